"""The Digital Signature Profiles: which data elements a signature is over (PS3.15 C.1 to C.4).

The standard says what must be signed at least. The Creator profile lists image, report and
equipment modules; what it leaves out is what others may rightly correct later. So here a creator
signs all but that, and needs no list of the attributes of forty modules.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from agent.dataset import tags
from agent.errors import LocalError
from agent.security.signature_form import is_signable
from agent.security.signature_terms import VERIFICATION_SIGNATURE

_VERIFICATION_FLAG = 0x0040_A493

_UIDS = frozenset((tags.SOP_CLASS_UID, tags.STUDY_INSTANCE_UID, tags.SERIES_INSTANCE_UID))

_CORRECTED_GROUPS = frozenset((0x0010, 0x0012, 0x0032, 0x0038, 0x0400))
"""Patient, clinical trial, study and visit, and what tells of changes."""

_CORRECTED = frozenset(
    (
        0x0008_0020,  # Study Date
        0x0008_0030,  # Study Time
        0x0008_0050,  # Accession Number
        0x0008_0051,  # Issuer of Accession Number Sequence
        0x0008_0090,  # Referring Physician's Name
        0x0008_0092,  # Referring Physician's Address
        0x0008_0094,  # Referring Physician's Telephone Numbers
        0x0008_0096,  # Referring Physician Identification Sequence
        0x0008_009C,  # Consulting Physician's Name
        0x0008_009D,  # Consulting Physician Identification Sequence
        0x0008_1030,  # Study Description
        0x0008_1032,  # Procedure Code Sequence
        0x0008_1048,  # Physician(s) of Record
        0x0008_1049,  # Physician(s) of Record Identification Sequence
        0x0008_1060,  # Name of Physician(s) Reading Study
        0x0008_1062,  # Physician(s) Reading Study Identification Sequence
        0x0008_1080,  # Admitting Diagnoses Description
        0x0008_1084,  # Admitting Diagnoses Code Sequence
        0x0008_1110,  # Referenced Study Sequence
        0x0008_1111,  # Referenced Performed Procedure Step Sequence
        0x0008_1120,  # Referenced Patient Sequence
        0x0018_A001,  # Contributing Equipment Sequence
        0x0020_0010,  # Study ID
        0x0040_0244,  # Performed Procedure Step Start Date
        0x0040_0245,  # Performed Procedure Step Start Time
        0x0040_0250,  # Performed Procedure Step End Date
        0x0040_0251,  # Performed Procedure Step End Time
        0x0040_0253,  # Performed Procedure Step ID
        0x0040_0254,  # Performed Procedure Step Description
        0x0040_0260,  # Performed Protocol Code Sequence
        0x0040_0275,  # Request Attributes Sequence
        0x0040_0280,  # Comments on the Performed Procedure Step
        0x0040_1012,  # Reason For Performed Procedure Code Sequence
        0x0100_0410,  # SOP Instance Status
        0x0100_0420,  # SOP Authorization DateTime
        0x0100_0424,  # SOP Authorization Comment
        0x0100_0426,  # Authorization Equipment Certification Number
    )
)
"""What others may correct (PS3.4 Table B.4-1) or add without touching what was created."""

_GENERAL_EQUIPMENT = (
    0x0008_0070,
    0x0008_0080,
    0x0008_0081,
    0x0008_1010,
    0x0008_1040,
    0x0008_1041,
    0x0008_1090,
    0x0018_1000,
    0x0018_1002,
    0x0018_1008,
    0x0018_100A,
    0x0018_1020,
    0x0018_1050,
    0x0018_1200,
    0x0018_1201,
    0x0018_1202,
    0x0018_1204,
    0x0018_1205,
    0x0028_0120,
)
"""PS3.3 C.7.5.1."""

_REPORT = frozenset(
    (
        *_UIDS,
        *_GENERAL_EQUIPMENT,
        0x0040_A375,  # Current Requested Procedure Evidence Sequence
        0x0040_A385,  # Pertinent Other Evidence Sequence
        0x0040_A360,  # Predecessor Documents Sequence
        # SR Document Content Module (PS3.3 C.17.3)
        0x0040_A032,
        0x0040_A040,
        0x0040_A043,
        0x0040_A050,
        0x0040_A171,
        0x0040_A504,
        tags.CONTENT_SEQUENCE,
    )
)
_VERIFIED_REPORT = frozenset(
    (
        tags.SOP_INSTANCE_UID,
        _VERIFICATION_FLAG,
        0x0040_A073,  # Verifying Observer Sequence
        0x0040_A030,  # Verification DateTime
    )
)
_OF_A_REPORT = (0x0040_A040, 0x0040_A043, tags.CONTENT_SEQUENCE)
"""Value Type, Concept Name Code Sequence and Content Sequence: what every report has."""


class Profile(NamedTuple):
    """A Digital Signature Profile. `signs` is what it wants signed, for people."""

    name: str
    title: str
    clause: str
    signs: str
    required: frozenset[int]
    top_level: bool


PROFILES: Mapping[str, Profile] = {
    each.name: each
    for each in (
        Profile(
            "base",
            "Base RSA Digital Signature Profile",
            "PS3.15 C.1",
            "the attributes that are named, or all that can be signed",
            frozenset(),
            False,
        ),
        Profile(
            "creator",
            "Creator RSA Digital Signature Profile",
            "PS3.15 C.2",
            "all that can be signed but private attributes, and those of patient, study, visit, "
            "request, procedure step and authorization, which others may correct",
            _UIDS | {tags.SOP_INSTANCE_UID},
            True,
        ),
        Profile(
            "authorization",
            "Authorization RSA Digital Signature Profile",
            "PS3.15 C.3",
            "all that can be signed but private attributes",
            _UIDS | {tags.SOP_INSTANCE_UID},
            True,
        ),
        Profile(
            "structured-report",
            "Structured Report RSA Digital Signature Profile",
            "PS3.15 C.4",
            "the attributes that C.4 lists; of a verified report, for the purpose of verification, "
            "those that it lists besides",
            _UIDS | frozenset(_OF_A_REPORT),
            True,
        ),
    )
}
"""By the names that commands and the configuration have for them."""


def elements_to_sign(
    profile: Profile,
    found: Mapping[int, bool],
    wanted: Collection[int],
    purpose: int,
) -> list[int]:
    """The tags that a signature is over, in the order of the data set.

    `found` are the elements that are there, and whether their VR lets them be signed; `wanted` are
    named by the caller. Raises LocalError where the profile cannot be kept.
    """
    missing = sorted(profile.required - found.keys())
    if missing:
        raise LocalError(
            f"{tags.name_of(missing[0])} is missing, which the {profile.title} wants signed.",
            clause=profile.clause,
            value=tags.format_tag(missing[0]),
        )
    chosen = {*_by_profile(profile, found, wanted, purpose), *wanted}
    for tag in sorted(chosen):
        if tag not in found:
            raise LocalError(f"{tags.name_of(tag)} is not there.", value=tags.format_tag(tag))
        if not is_signable(tag) or not found[tag]:
            raise LocalError(
                f"{tags.name_of(tag)} cannot be signed: its value representation, or one in it, is "
                "not known, or it is one that is never signed.",
                clause="PS3.3 C.12.1.1.3.1.1",
                value=tags.format_tag(tag),
                way_out="Name the attributes to be signed, in the base profile.",
            )
    if not chosen:
        raise LocalError("There is nothing that can be signed.", clause="PS3.3 C.12.1.1.3.1.1")
    return sorted(chosen)


def _by_profile(
    profile: Profile, found: Mapping[int, bool], wanted: Collection[int], purpose: int
) -> set[int]:
    present = {tag for tag in found if is_signable(tag)}
    public = {tag for tag in present if not tags.is_private(tag)}
    if profile.name == "base":
        return set() if wanted else {tag for tag in present if found[tag]}
    if profile.name == "authorization":
        return public
    if profile.name == "creator":
        return {
            tag for tag in public if tag not in _CORRECTED and tag >> 16 not in _CORRECTED_GROUPS
        }
    if not purpose:
        raise LocalError(
            f"A signature of the {profile.title} has a purpose.",
            clause=profile.clause,
            way_out="Say which: 1 is the author's, 5 a verification signature.",
        )
    report = _REPORT | _VERIFIED_REPORT if purpose == VERIFICATION_SIGNATURE else _REPORT
    return public & report
