"""Making a digital signature in an object (PS3.15 C, PS3.3 C.12.1.1.3).

The object is walked over for what can be signed, read once for the MAC, and copied with the two
sequences added; no value is changed. Memory: a few pieces of 64 KiB, whatever the size.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from agent.dataset import tags
from agent.dataset.byte_source import ByteSource, FileBytes
from agent.dataset.conversion import Replacement, Through, rewrite
from agent.dataset.date_time import date_time
from agent.dataset.file_meta import FileMeta, read_file_meta
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, encoding_of
from agent.dataset.uid import new_uid
from agent.dataset.value_representations import encode_numbers
from agent.dataset.whole_write import write_whole
from agent.errors import LocalError
from agent.security.signature_form import Mac, SignatureForm, compute_macs
from agent.security.signature_items import Nodes, adding, item, removal, replay, sequence, setting
from agent.security.signature_keys import Signer
from agent.security.signature_place import Location, described
from agent.security.signature_profiles import PROFILES, Profile, elements_to_sign
from agent.security.signature_reading import (
    MOST_SIGNATURES,
    StoredSignature,
    elements_at,
    stored_signatures,
)
from agent.security.signature_terms import (
    CERTIFICATE_OF_SIGNER,
    CERTIFICATE_TYPE,
    CERTIFIED_TIMESTAMP,
    CERTIFIED_TIMESTAMP_TYPE,
    CMS_TSP,
    CODE_MEANING,
    CODE_VALUE,
    CODING_SCHEME_DESIGNATOR,
    DATA_ELEMENTS_SIGNED,
    DIGITAL_SIGNATURE_DATE_TIME,
    DIGITAL_SIGNATURE_PURPOSE_CODE_SEQUENCE,
    DIGITAL_SIGNATURE_UID,
    MAC_ALGORITHM,
    MAC_CALCULATION_TRANSFER_SYNTAX_UID,
    MAC_ID_NUMBER,
    NOT_IN_THE_MAC,
    PURPOSE_SCHEME,
    PURPOSES,
    SIGNATURE,
    SOUND_MAC_ALGORITHMS,
    X509,
)

_MOST_ELEMENTS = 0xFFFE // 4
"""Tags that the short form of AT holds (PS3.5 7.1.2)."""


@dataclass(frozen=True, slots=True)
class SigningOrder:
    """What signature is to be made. `purpose` is a code of CID 7007, 0 for none; `elements` are
    signed besides those of the profile; `location` is the data set, or an item of it. Its UID is
    `uid` ("": a new one), its time `date_time` (DT; "": now)."""

    profile: Profile = PROFILES["base"]
    elements: tuple[int, ...] = ()
    location: Location = ()
    mac_algorithm: str = "SHA256"
    purpose: int = 0
    uid: str = ""
    date_time: str = ""

    def check(self) -> None:
        """Raises LocalError where the order is none that is carried out."""
        if self.mac_algorithm not in SOUND_MAC_ALGORITHMS:
            raise LocalError(
                f"Signatures are not made with {self.mac_algorithm}.",
                clause=self.profile.clause,
                value=self.mac_algorithm,
                limit=SOUND_MAC_ALGORITHMS,
            )
        if self.purpose and self.purpose not in PURPOSES:
            raise LocalError(
                "The purpose is none of the codes of PS3.16 CID 7007.",
                value=self.purpose,
                limit=(min(PURPOSES), max(PURPOSES)),
            )
        if self.profile.top_level and self.location:
            raise LocalError(
                f"The {self.profile.title} is one of data sets, not of items.",
                clause=self.profile.clause,
                value=described(self.location),
            )


def sign_file(source: int, target: int, order: SigningOrder, signer: Signer) -> str:
    """Copy an open DICOM file into another with a signature more; the UID of the signature.

    Raises LocalError where the order or its profile cannot be kept, PeerError and StorageError for
    a file that is damaged or none, what the signer raises, OSError where `target` cannot be
    written.
    """
    order.check()
    meta = read_file_meta(source)
    data_set = FileBytes(source, meta.data_set_offset)
    signing = Signing(data_set, meta.encoding_uid, order, signer)
    parameters, signature = signing.items()
    added = {
        tags.MAC_PARAMETERS_SEQUENCE: parameters,
        tags.DIGITAL_SIGNATURES_SEQUENCE: signature,
    }
    copy_through(source, meta, target, adding(order.location, added))
    return signing.uid


def remove_from_file(source: int, target: int, goes: Callable[[StoredSignature], bool]) -> int:
    """Copy an open DICOM file into another without the signatures that go; how many that were.

    Errors as `sign_file`.
    """
    meta = read_file_meta(source)
    data_set = FileBytes(source, meta.data_set_offset)
    signatures = stored_signatures(data_set, meta.encoding_uid)
    through = removal(signatures, goes)
    copy_through(source, meta, target, through)
    return sum(goes(each) for each in signatures)


def stamp_file(source: int, target: int, signature: StoredSignature, token: bytes) -> None:
    """Copy an open DICOM file into another with a certified time stamp in one of its signatures,
    which is not looked at here. Errors as `sign_file`."""
    meta = read_file_meta(source)
    place = (*signature.location, (tags.DIGITAL_SIGNATURES_SEQUENCE, signature.item))
    attributes = {
        CERTIFIED_TIMESTAMP_TYPE: Replacement(CERTIFIED_TIMESTAMP_TYPE, "CS", CMS_TSP.encode()),
        CERTIFIED_TIMESTAMP: Replacement(CERTIFIED_TIMESTAMP, "OB", token),
    }
    copy_through(source, meta, target, setting(place, attributes))


def copy_through(source: int, meta: FileMeta, target: int, through: Through | None) -> None:
    """A file whose data set has passed `through`, in its own transfer syntax, behind what stood
    before the data set."""
    write = partial(write_whole, target)
    write(os.pread(source, meta.data_set_offset, 0))
    data_set = FileBytes(source, meta.data_set_offset)
    rewrite(data_set, meta.encoding_uid, meta.encoding_uid, write, through=through)


class Signing:
    """One signature that is being made."""

    def __init__(
        self, source: ByteSource, syntax_uid: str, order: SigningOrder, signer: Signer
    ) -> None:
        self._source = source
        self._syntax_uid = syntax_uid
        self._order = order
        self._signer = signer
        self.uid = order.uid or new_uid()
        is_native = not encoding_of(syntax_uid).encapsulated
        self._mac_syntax = EXPLICIT_VR_LITTLE_ENDIAN if is_native else syntax_uid

    def items(self) -> tuple[Nodes, Nodes]:
        """The new items of MAC Parameters Sequence and Digital Signatures Sequence."""
        order = self._order
        found = elements_at(self._source, self._syntax_uid, order.location)
        chosen = elements_to_sign(order.profile, found, order.elements, order.purpose)
        if len(chosen) > _MOST_ELEMENTS:
            raise LocalError(
                "There are more data elements than a signature can name.",
                clause="PS3.5 7.1.2",
                value=len(chosen),
                limit=_MOST_ELEMENTS,
            )
        number = _number("US", self._free_number())
        attributes = self._attributes(number)
        mac = Mac(order.location, frozenset(chosen), order.mac_algorithm)
        form = SignatureForm(encoding_of(self._mac_syntax))
        compute_macs(self._source, self._syntax_uid, form, self._mac_syntax, [mac])
        form.takers = (mac,)
        signed = [each for each in attributes if getattr(each, "tag", 0) not in NOT_IN_THE_MAC]
        replay(signed, form, little_endian=True)
        signature = self._signer.sign(mac.digest(), order.mac_algorithm)
        place = next(i for i, each in enumerate(attributes) if _is(each, CERTIFICATE_OF_SIGNER))
        attributes.insert(place + 1, Replacement(SIGNATURE, "OB", signature))
        parameters = [
            Replacement(MAC_ID_NUMBER, "US", number),
            Replacement(MAC_CALCULATION_TRANSFER_SYNTAX_UID, "UI", self._mac_syntax.encode()),
            Replacement(MAC_ALGORITHM, "CS", order.mac_algorithm.encode()),
            Replacement(DATA_ELEMENTS_SIGNED, "AT", encode_numbers("AT", chosen)),
        ]
        return item(*parameters), item(*attributes)

    def _free_number(self) -> int:
        """A MAC ID Number that nobody has yet at that place."""
        signatures = stored_signatures(self._source, self._syntax_uid)
        if len(signatures) >= MOST_SIGNATURES:
            raise LocalError("The object has too many signatures.", limit=MOST_SIGNATURES)
        used = {each.fields.number for each in signatures if each.location == self._order.location}
        return next(each for each in range(len(used) + 1) if each not in used)

    def _attributes(self, number: bytes) -> Nodes:
        """Those of the item of the signature but the signature itself."""
        moment = self._order.date_time or date_time(time.time())
        attributes: Nodes = [
            Replacement(MAC_ID_NUMBER, "US", number),
            Replacement(DIGITAL_SIGNATURE_UID, "UI", self.uid.encode()),
            Replacement(DIGITAL_SIGNATURE_DATE_TIME, "DT", moment.encode()),
            Replacement(CERTIFICATE_TYPE, "CS", X509.encode()),
            Replacement(CERTIFICATE_OF_SIGNER, "OB", self._signer.certificate),
        ]
        if self._order.purpose:
            attributes += _purpose(self._order.purpose)
        return attributes


def _purpose(code: int) -> Nodes:
    """Digital Signature Purpose Code Sequence."""
    values = (
        (CODE_VALUE, "SH", str(code)),
        (CODING_SCHEME_DESIGNATOR, "SH", PURPOSE_SCHEME),
        (CODE_MEANING, "LO", PURPOSES[code]),
    )
    coded = item(*(Replacement(tag, vr, text.encode()) for tag, vr, text in values))
    return sequence(DIGITAL_SIGNATURE_PURPOSE_CODE_SEQUENCE, coded)


def _number(vr: str, value: int) -> bytes:
    return encode_numbers(vr, [value])


def _is(node: object, tag: int) -> bool:
    return isinstance(node, Replacement) and node.tag == tag
