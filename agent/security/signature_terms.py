"""The terms of digital signatures: attributes, algorithms, purposes and verdicts (PS3.3 C.12.1.1.3,
PS3.15 C, PS3.16 CID 7007)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

CLAUSE = "PS3.15 C"

MAC_ID_NUMBER = 0x0400_0005
MAC_CALCULATION_TRANSFER_SYNTAX_UID = 0x0400_0010
MAC_ALGORITHM = 0x0400_0015
DATA_ELEMENTS_SIGNED = 0x0400_0020
DIGITAL_SIGNATURE_UID = 0x0400_0100
DIGITAL_SIGNATURE_DATE_TIME = 0x0400_0105
CERTIFICATE_TYPE = 0x0400_0110
CERTIFICATE_OF_SIGNER = 0x0400_0115
SIGNATURE = 0x0400_0120
CERTIFIED_TIMESTAMP_TYPE = 0x0400_0305
CERTIFIED_TIMESTAMP = 0x0400_0310
DIGITAL_SIGNATURE_PURPOSE_CODE_SEQUENCE = 0x0400_0401
CODE_VALUE = 0x0008_0100
CODING_SCHEME_DESIGNATOR = 0x0008_0102
CODE_MEANING = 0x0008_0104

X509 = "X509_1993_SIG"
"""The one Certificate Type (C.1)."""
CMS_TSP = "CMS_TSP"
"""The one Certified Timestamp Type (C.1): a token of RFC 3161."""

NOT_IN_THE_MAC = frozenset(
    (CERTIFICATE_OF_SIGNER, SIGNATURE, CERTIFIED_TIMESTAMP_TYPE, CERTIFIED_TIMESTAMP)
)
"""Of an item of the Digital Signatures Sequence; all else of it is signed (C.12.1.1.3.1.2)."""


class MacAlgorithm(NamedTuple):
    """One of the MAC algorithms of C.1: its name for hashlib and its object identifier.

    `sound` says that signatures are still made with it: of the others, two contents with the same
    MAC can be made, or soon can.
    """

    name: str
    digest: str
    identifier: str
    sound: bool


MAC_ALGORITHMS: Mapping[str, MacAlgorithm] = {
    each.name: each
    for each in (
        MacAlgorithm("RIPEMD160", "ripemd160", "1.3.36.3.2.1", False),
        MacAlgorithm("MD5", "md5", "1.2.840.113549.2.5", False),
        MacAlgorithm("SHA1", "sha1", "1.3.14.3.2.26", False),
        MacAlgorithm("SHA256", "sha256", "2.16.840.1.101.3.4.2.1", True),
        MacAlgorithm("SHA384", "sha384", "2.16.840.1.101.3.4.2.2", True),
        MacAlgorithm("SHA512", "sha512", "2.16.840.1.101.3.4.2.3", True),
    )
}
"""By the terms of MAC Algorithm (0400,0015)."""

SOUND_MAC_ALGORITHMS = tuple(each.name for each in MAC_ALGORITHMS.values() if each.sound)

PURPOSE_SCHEME = "ASTM-sigpurpose"

PURPOSES: Mapping[int, str] = {
    1: "Author's Signature",
    2: "Coauthor's Signature",
    3: "Co-participant's Signature",
    4: "Transcriptionist/Recorder Signature",
    5: "Verification Signature",
    6: "Validation Signature",
    7: "Consent Signature",
    8: "Signature Witness Signature",
    9: "Event Witness Signature",
    10: "Identity Witness Signature",
    11: "Consent Witness Signature",
    12: "Interpreter Signature",
    13: "Review Signature",
    14: "Source Signature",
    15: "Addendum Signature",
    16: "Modification Signature",
    17: "Administrative (Error/Edit) Signature",
    18: "Timestamp Signature",
}
"""CID 7007, of the scheme ASTM-sigpurpose."""

VERIFICATION_SIGNATURE = 5
SOURCE_SIGNATURE = 14
MODIFICATION_SIGNATURE = 16


class Verdict(Enum):
    """What became of the verification of one signature, from the best to the worst."""

    VALID = "valid"
    UNTRUSTWORTHY = "untrustworthy"
    """It is right, but nobody whom we trust vouches for who made it, or no longer."""
    UNKNOWN = "unknown"
    """Whether it is right cannot be told: an algorithm or an encoding that is not known here."""
    INVALID = "invalid"
    """What was signed was changed, or this was never a signature of it."""
