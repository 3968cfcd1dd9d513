"""Whose an object is, and what else must be known of it before its first element is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.dataset import tags
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import MOST_BYTES, decode_attributes
from agent.dataset.byte_source import ByteSource
from agent.dataset.character_set import decode_text
from agent.dataset.reader import read_exactly
from agent.dataset.transfer_syntaxes import TransferSyntax
from agent.security.descriptors import KnownIdentifiers
from agent.security.item_contents import Place, places_of
from agent.security.pseudonyms import Patient
from agent.security.safe_private import SafePrivate

_NAMES = (
    0x0010_0010,  # Patient's Name
    0x0010_1001,  # Other Patient Names
    0x0010_1005,  # Patient's Birth Name
    0x0010_1060,  # Patient's Mother's Birth Name
    0x0010_2297,  # Responsible Person
    0x0008_0090,  # Referring Physician's Name
    0x0008_1048,  # Physician(s) of Record
    0x0008_1050,  # Performing Physician's Name
    0x0008_1060,  # Name of Physician(s) Reading Study
    0x0008_1070,  # Operators' Name
    0x0032_1032,  # Requesting Physician
)
_IDENTIFIERS = (
    0x0008_0050,  # Accession Number
    0x0010_0020,  # Patient ID
    0x0010_0030,  # Patient's Birth Date
    0x0010_1000,  # Other Patient IDs
    0x0010_1090,  # Medical Record Locator
    0x0010_2154,  # Patient's Telephone Numbers
    0x0038_0010,  # Admission ID
)
_ISSUER_OF_PATIENT_ID = 0x0010_0021
_BURNED_IN_ANNOTATION = 0x0028_0301
_BODY_PART_EXAMINED = 0x0018_0015
_MIME_TYPE = 0x0042_0012
_METHOD_CODES = 0x0012_0064
_PRIVATE_CHARACTERISTICS = 0x0008_0300
_OVERLAY_TYPES = tuple(group << 16 | 0x0040 for group in range(0x6000, 0x6020, 2))
_OTHERS = (
    tags.SPECIFIC_CHARACTER_SET,
    tags.SOP_CLASS_UID,
    tags.SOP_INSTANCE_UID,
    tags.STUDY_INSTANCE_UID,
    tags.MODALITY,
    _ISSUER_OF_PATIENT_ID,
    _BODY_PART_EXAMINED,
    _BURNED_IN_ANNOTATION,
    _MIME_TYPE,
)
_WANTED = frozenset(
    (*_NAMES, *_IDENTIFIERS, *_OTHERS, *_OVERLAY_TYPES, _METHOD_CODES, _PRIVATE_CHARACTERISTICS)
)
_LONGEST = 4096


@dataclass(frozen=True, slots=True)
class OriginalIdentity:
    """What an object says of itself. `codes` are methods by which it was de-identified before, as
    Code Value, Coding Scheme Designator and Code Meaning; `regions` the groups of overlays that
    are regions of interest."""

    patient: Patient
    known: KnownIdentifiers
    sop_class_uid: str
    sop_instance_uid: str
    modality: str
    body_part: str
    burned_in_annotation: str
    mime_type: str
    codes: tuple[tuple[str, str, str], ...]
    regions: frozenset[int]
    safe_private: SafePrivate


def original_identity(source: ByteSource, syntax: TransferSyntax) -> OriginalIdentity:
    """Read the top level of a data set. Raises PeerError with status C000H where it is damaged."""
    places = places_of(source, syntax, _WANTED)
    texts = _texts(source, places)
    return OriginalIdentity(
        Patient(
            texts[0x0010_0020],
            texts[_ISSUER_OF_PATIENT_ID],
            texts[0x0010_0010],
            texts[0x0010_0030],
            texts[tags.STUDY_INSTANCE_UID],
        ),
        KnownIdentifiers(
            (texts[tag] for tag in _NAMES),
            (texts[tag] for tag in _IDENTIFIERS),
        ),
        texts[tags.SOP_CLASS_UID],
        texts[tags.SOP_INSTANCE_UID],
        texts[tags.MODALITY],
        texts[_BODY_PART_EXAMINED],
        texts[_BURNED_IN_ANNOTATION],
        texts[_MIME_TYPE],
        _codes(source, syntax, places.get(_METHOD_CODES)),
        frozenset(tag >> 16 for tag in _OVERLAY_TYPES if texts[tag] == "R"),
        _safe_private(source, syntax, places.get(_PRIVATE_CHARACTERISTICS)),
    )


def _texts(source: ByteSource, places: Mapping[int, Place]) -> Mapping[int, str]:
    character_set = b""
    found = {}
    for tag in sorted(_WANTED):
        place = places.get(tag)
        raw = b""
        if place is not None and tag not in (_METHOD_CODES, _PRIVATE_CHARACTERISTICS):
            raw = read_exactly(source, place.value_offset, min(place.length, _LONGEST))
        if tag == tags.SPECIFIC_CHARACTER_SET:
            character_set = raw.rstrip(b"\0 ")
        vr = "PN" if tag in _NAMES else tags.dictionary_value_representation(tag)
        found[tag] = decode_text(raw, vr, character_set).strip(" \0")
    return found


def _items(
    source: ByteSource, syntax: TransferSyntax, tag: int, place: Place | None
) -> tuple[Attributes, ...]:
    if place is None or place.end - place.offset > MOST_BYTES:
        return ()
    data = read_exactly(source, place.offset, place.end - place.offset)
    return decode_attributes(data, syntax).items_of(tag)


def _codes(
    source: ByteSource, syntax: TransferSyntax, place: Place | None
) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (each.text("CodeValue"), each.text("CodingSchemeDesignator"), each.text("CodeMeaning"))
        for each in _items(source, syntax, _METHOD_CODES, place)
    )


def _safe_private(source: ByteSource, syntax: TransferSyntax, place: Place | None) -> SafePrivate:
    """What the object declares of its private attributes (PS3.3 C.12.1.1.7)."""
    found = SafePrivate()
    for each in _items(source, syntax, _PRIVATE_CHARACTERISTICS, place):
        group, creator = each.number(0x0008_0301), each.text(0x0008_0302)
        if each.text(0x0008_0303) == "SAFE":
            found.declare_block(group, creator)
        for element in each.texts(0x0008_0304):
            if element.isdigit():
                found.declare_element(group, creator, int(element))
    return found
