"""What a signed report says of the objects that it rests on (PS3.15 A.4).

Each reference in its two sequences of evidence must have a signature of the object, or a MAC over
it: else who signs the report vouches for names only. Where it has none, a MAC is made of the object
itself (PS3.3 C.12.1.1.3, without fields of a signature), over what others may not correct later.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from agent.dataset import tags
from agent.dataset.byte_source import ByteSource, FileBytes, decoded
from agent.dataset.conversion import Replacement
from agent.dataset.file_meta import read_file_meta
from agent.dataset.reader import Element, Event, ItemEnd, SequenceStart, elements, read_value
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, encoding_of
from agent.dataset.value_representations import encode_numbers
from agent.errors import LocalError, StorageError
from agent.quoting import quoted
from agent.security.signature_creation import SigningOrder, copy_through, sign_file
from agent.security.signature_form import Mac, SignatureForm, compute_macs
from agent.security.signature_items import Node, Nodes, item, sequence
from agent.security.signature_keys import Signer
from agent.security.signature_place import Location, Place
from agent.security.signature_profiles import PROFILES, elements_to_sign
from agent.security.signature_reading import elements_at
from agent.security.signature_terms import (
    DATA_ELEMENTS_SIGNED,
    MAC_ALGORITHM,
    MAC_CALCULATION_TRANSFER_SYNTAX_UID,
)

CLAUSE = "PS3.15 A.4"

_EVIDENCE = (0x0040_A375, 0x0040_A385)
"""Current Requested Procedure Evidence Sequence, Pertinent Other Evidence Sequence."""
_REFERENCED_SERIES_SEQUENCE = 0x0008_1115
_REFERENCED_SOP_SEQUENCE = 0x0008_1199
_REFERENCED_SOP_INSTANCE_UID = 0x0008_1155
_REFERENCED_DIGITAL_SIGNATURE_SEQUENCE = 0x0400_0402
_REFERENCED_SOP_INSTANCE_MAC_SEQUENCE = 0x0400_0403
_MAC = 0x0400_0404

_PROOFS = (_REFERENCED_DIGITAL_SIGNATURE_SEQUENCE, _REFERENCED_SOP_INSTANCE_MAC_SEQUENCE)
_MOST = 10_000


class Reference(NamedTuple):
    """A reference to an object, at an item of the report that has no proof of it."""

    location: Location
    uid: str


def unproved(source: ByteSource, syntax_uid: str) -> list[Reference]:
    """The references of a report's evidence with neither signature nor MAC.

    Raises PeerError where it is damaged, LocalError where there are too many.
    """
    syntax = encoding_of(syntax_uid)
    data = decoded(source, syntax)
    events = elements(
        data,
        syntax._replace(deflated=False),
        through_bulk=True,
        value_representation=tags.dictionary_value_representation,
    )
    place = Place()
    found: dict[Location, str] = {}
    proved: set[Location] = set()
    for event in events:
        here = place.location
        if _is_reference(here) and place.is_directly_in(here):
            if isinstance(event, Element) and event.tag == _REFERENCED_SOP_INSTANCE_UID:
                found[here] = read_value(data, event).decode("ascii", "replace").strip("\0 ")
            elif isinstance(event, SequenceStart) and event.tag in _PROOFS:
                proved.add(here)
        if len(found) > _MOST:
            raise LocalError("The report has too much evidence.", clause=CLAUSE, limit=_MOST)
        place.follow(event)
    return [Reference(*each) for each in found.items() if each[0] not in proved]


def prove(source: int, target: int, evidence: Mapping[str, Path], mac_algorithm: str) -> int:
    """Copy an open report into another file, with a MAC at each reference that has no proof; how
    many. `evidence` are files by SOP Instance UID.

    Raises LocalError where one of them is missing; PeerError and StorageError for files that are
    damaged or none, OSError where `target` cannot be written. Memory: the MACs, half a kilobyte
    for each reference.
    """
    meta = read_file_meta(source)
    references = unproved(FileBytes(source, meta.data_set_offset), meta.encoding_uid)
    missing = [each.uid for each in references if each.uid not in evidence]
    if missing:
        raise LocalError(
            f"{len(missing)} objects that the report rests on are not at hand, as"
            f" {quoted(missing[0])}: it would be signed without a signature or a MAC of them.",
            clause=CLAUSE,
            value=missing[0],
            way_out="Name the folder in which they are with --evidence, or sign by the base "
            "profile.",
        )
    made: dict[str, Nodes] = {}
    for each in references:
        if each.uid not in made:
            made[each.uid] = _mac_of(evidence[each.uid], mac_algorithm)
    adding = _Adding({each.location: made[each.uid] for each in references})
    copy_through(source, meta, target, adding.through)
    return len(references)


def sign_report(
    evidence: Mapping[str, Path], order: SigningOrder, signer: Signer, source: int, target: int
) -> str:
    """`prove`, and sign what that gives; the UID of the signature. Errors as of both."""
    order.check()
    with tempfile.TemporaryFile(dir="/var/tmp") as proved:
        prove(source, proved.fileno(), evidence, order.mac_algorithm)
        return sign_file(proved.fileno(), target, order, signer)


def evidence_in(files: Iterable[Path]) -> dict[str, Path]:
    """The DICOM files among these by SOP Instance UID, as their file meta information says it."""
    found = {}
    for path in files:
        with contextlib.suppress(StorageError), path.open("rb") as file:
            found[read_file_meta(file.fileno()).media_storage_sop_instance_uid] = path
    return found


class _Adding:
    """For `rewrite`: a Referenced SOP Instance MAC Sequence in each of these items."""

    def __init__(self, items: Mapping[Location, Nodes]) -> None:
        self._items = items

    def through(self, source: ByteSource, events: Iterator[Event]) -> Iterator[Node]:
        place = Place()
        done: Location = ()
        for event in events:
            here = place.location
            if here != done and here in self._items and place.is_directly_in(here):
                tag = getattr(event, "tag", 0)
                if isinstance(event, ItemEnd) or tag > _REFERENCED_SOP_INSTANCE_MAC_SEQUENCE:
                    done = here
                    yield from sequence(_REFERENCED_SOP_INSTANCE_MAC_SEQUENCE, self._items[here])
            place.follow(event)
            yield event


def _is_reference(location: Location) -> bool:
    names = tuple(tag for tag, _ in location)
    return names[1:] == (_REFERENCED_SERIES_SEQUENCE, _REFERENCED_SOP_SEQUENCE) and (
        names[0] in _EVIDENCE
    )


def _mac_of(path: Path, mac_algorithm: str) -> Nodes:
    """The one item of the sequence: what it is over, and the MAC (PS3.3 Table C.17-3a)."""
    with path.open("rb") as file:
        meta = read_file_meta(file.fileno())
        data_set = FileBytes(file.fileno(), meta.data_set_offset)
        found = elements_at(data_set, meta.encoding_uid, ())
        chosen = elements_to_sign(PROFILES["creator"], found, (), 0)
        is_native = not encoding_of(meta.encoding_uid).encapsulated
        syntax = EXPLICIT_VR_LITTLE_ENDIAN if is_native else meta.encoding_uid
        mac = Mac((), frozenset(chosen), mac_algorithm)
        form = SignatureForm(encoding_of(syntax))
        compute_macs(data_set, meta.encoding_uid, form, syntax, [mac])
    return item(
        Replacement(MAC_CALCULATION_TRANSFER_SYNTAX_UID, "UI", syntax.encode()),
        Replacement(MAC_ALGORITHM, "CS", mac_algorithm.encode()),
        Replacement(DATA_ELEMENTS_SIGNED, "AT", encode_numbers("AT", chosen)),
        Replacement(_MAC, "OB", mac.digest()),
    )
