"""What says of a data set that it was de-identified, and how (PS3.15 E.1.1, PS3.3 C.12.1.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from agent.dataset.conversion import Replacement
from agent.dataset.reader import Event, ItemEnd, ItemStart, SequenceEnd, SequenceStart
from agent.dataset.value_representations import UNDEFINED_LENGTH
from agent.security.confidentiality_actions import ConfidentialityProfile
from agent.security.confidentiality_table import Option

Code = tuple[str, str, str]
"""Code Value, Coding Scheme Designator, Code Meaning."""
Made = list[Event | Replacement]

PATIENT_IDENTITY_REMOVED = 0x0012_0062
DEIDENTIFICATION_METHOD = 0x0012_0063
DEIDENTIFICATION_METHOD_CODE_SEQUENCE = 0x0012_0064
BURNED_IN_ANNOTATION = 0x0028_0301
RECOGNIZABLE_VISUAL_FEATURES = 0x0028_0302
LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED = 0x0028_0303
ENCRYPTED_ATTRIBUTES_SEQUENCE = 0x0400_0500

BASIC_PROFILE: Code = ("113100", "DCM", "Basic Application Confidentiality Profile")

METHODS: Mapping[Option, Code] = {
    option: (value, "DCM", f"{meaning} Option")
    for option, value, meaning in (
        (Option.CLEAN_PIXEL_DATA, "113101", "Clean Pixel Data"),
        (
            Option.CLEAN_RECOGNIZABLE_VISUAL_FEATURES,
            "113102",
            "Clean Recognizable Visual Features",
        ),
        (Option.CLEAN_GRAPHICS, "113103", "Clean Graphics"),
        (Option.CLEAN_STRUCTURED_CONTENT, "113104", "Clean Structured Content"),
        (Option.CLEAN_DESCRIPTORS, "113105", "Clean Descriptors"),
        (
            Option.RETAIN_FULL_DATES,
            "113106",
            "Retain Longitudinal Temporal Information Full Dates",
        ),
        (
            Option.RETAIN_MODIFIED_DATES,
            "113107",
            "Retain Longitudinal Temporal Information Modified Dates",
        ),
        (Option.RETAIN_PATIENT_CHARACTERISTICS, "113108", "Retain Patient Characteristics"),
        (Option.RETAIN_DEVICE_IDENTITY, "113109", "Retain Device Identity"),
        (Option.RETAIN_UIDS, "113110", "Retain UIDs"),
        (Option.RETAIN_SAFE_PRIVATE, "113111", "Retain Safe Private"),
        (Option.RETAIN_INSTITUTION_IDENTITY, "113112", "Retain Institution Identity"),
    )
}
"""CID 7050."""


def marks(profile: ConfidentialityProfile, codes: Sequence[Code] = ()) -> dict[int, Made]:
    """The elements to be set, by tag. `codes` were there before."""
    options = profile.options
    methods = [BASIC_PROFILE, *(METHODS[each] for each in METHODS if each in options)]
    methods = list(dict.fromkeys((*codes, *methods)))
    modified = "REMOVED"
    if Option.RETAIN_FULL_DATES in options:
        modified = "UNMODIFIED"
    elif Option.RETAIN_MODIFIED_DATES in options:
        modified = "MODIFIED"
    made: dict[int, Made] = {
        PATIENT_IDENTITY_REMOVED: [_text(PATIENT_IDENTITY_REMOVED, "CS", "YES")],
        DEIDENTIFICATION_METHOD: [
            _text(DEIDENTIFICATION_METHOD, "LO", "DICOM PS3.15 Annex E, Gantry")
        ],
        DEIDENTIFICATION_METHOD_CODE_SEQUENCE: _code_sequence(
            DEIDENTIFICATION_METHOD_CODE_SEQUENCE, methods
        ),
        LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED: [
            _text(LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED, "CS", modified)
        ],
    }
    if Option.CLEAN_PIXEL_DATA in options:
        made[BURNED_IN_ANNOTATION] = [_text(BURNED_IN_ANNOTATION, "CS", "NO")]
    if Option.CLEAN_RECOGNIZABLE_VISUAL_FEATURES in options:
        made[RECOGNIZABLE_VISUAL_FEATURES] = [_text(RECOGNIZABLE_VISUAL_FEATURES, "CS", "NO")]
    return made


def _text(tag: int, vr: str, text: str) -> Replacement:
    return Replacement(tag, vr, text.encode("ascii"))


def _code_sequence(tag: int, codes: Iterable[Code]) -> Made:
    made: Made = [SequenceStart(tag, "SQ", 0, UNDEFINED_LENGTH, 0, 0)]
    for number, (value, scheme, meaning) in enumerate(codes, 1):
        made += [
            ItemStart(number, 0, UNDEFINED_LENGTH, 0, 0),
            _text(0x0008_0100, "SH", value),
            _text(0x0008_0102, "SH", scheme),
            Replacement(0x0008_0104, "LO", meaning.encode("ascii", "replace")),
            ItemEnd(0, 0),
        ]
    made.append(SequenceEnd(tag, 0, 0))
    return made
