"""The tables of PS3.4 Annex S and of PS3.3 C.22.1: what a media creation request is made of.

What N-CREATE demands is little (S.3.2.1.3, note 1): whether the instances are here, and whether the
profiles fit, is told by N-GET after the request was initiated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from agent.dataset.attributes import Attributes
from agent.dataset.uid import is_valid_uid
from agent.network.status import status_text

INITIATE_MEDIA_CREATION, CANCEL_MEDIA_CREATION = 1, 2
"""Action types (Tables S.3.2.2.1-1 and S.3.2.3.1-1)."""

INITIATE_ALREADY_RECEIVED = 0xA510
ALREADY_COMPLETED = 0xC201
CANNOT_BE_INTERRUPTED = 0xC202
CANCELLATION_DENIED = 0xC203
REQUESTED_ATTRIBUTES_NOT_SUPPORTED = 0x0001
INVALID_ATTRIBUTE_VALUE = 0x0106
INVALID_ARGUMENT_VALUE = 0x0115
MISSING_ATTRIBUTE = 0x0120
MISSING_ATTRIBUTE_VALUE = 0x0121

STATUSES: Mapping[int, str] = {
    INITIATE_ALREADY_RECEIVED: "Failed: an Initiate Media Creation action was already received",
    ALREADY_COMPLETED: "Failed: media creation request already completed",
    CANNOT_BE_INTERRUPTED: "Failed: request already in progress and cannot be interrupted",
    CANCELLATION_DENIED: "Failed: cancellation denied for unspecified reason",
}
"""Tables S.3.2.2.4-1 and S.3.2.3.4-1; 0001H of Table S.3.2.4.4-1 is a status of PS3.7 too."""

IDLE, PENDING, CREATING, DONE, FAILURE = "IDLE", "PENDING", "CREATING", "DONE", "FAILURE"
EXECUTION_STATUSES: Mapping[str, str] = {
    IDLE: "created, and not initiated",
    PENDING: "initiated, and waits",
    CREATING: "the media are being made",
    DONE: "the media are made",
    FAILURE: "the media could not be made",
}
"""PS3.3 C.22.1.2."""
OVER = frozenset((DONE, FAILURE))

EXECUTION_STATUS_INFO: Mapping[str, str] = {
    "NORMAL": "no problem",
    "CHECK_MCD_OP": "the device is not ready: an operator has to look",
    "CHECK_MCD_SRV": "the device is not ready: service has to look",
    "DIR_PROC_ERR": "the DICOMDIR could not be built",
    "DUPL_REF_INST": "an instance is referenced more than once",
    "INST_AP_CONFLICT": "instances and application profiles do not fit together",
    "INST_OVERSIZED": "an instance is larger than a medium",
    "INSUFFIC_MEMORY": "there is not enough memory",
    "MCD_BUSY": "the device is busy: try again later",
    "MCD_FAILURE": "the device does not work",
    "NO_INSTANCE": "an instance is not here",
    "NOT_SUPPORTED": "an application profile, or a SOP Class, is not supported",
    "OUT_OF_SUPPLIES": "blank media, or other supplies, are used up",
    "PROC_FAILURE": "a general failure",
    "QUEUED": "waits for its turn",
    "SET_OVERSIZED": "the file-set is larger than a medium, and may not be split",
    "UNKNOWN": "an unspecified problem",
}
"""PS3.3 C.22.1.3."""
SAID_BY_US = frozenset(EXECUTION_STATUS_INFO) - {
    "CHECK_MCD_SRV",
    "INSUFFIC_MEMORY",
    "MCD_BUSY",
    "UNKNOWN",
}
"""Those that our SCP has reason for."""

PROCESSING_FAILED = 0x0110
NO_SUCH_INSTANCE = 0x0112
CLASS_INSTANCE_CONFLICT = 0x0119
CLASS_NOT_SUPPORTED = 0x0122
PROFILES_CONFLICT = 0x0201
PROFILE_INSTANCE_CONFLICT = 0x0202
PROFILE_COMPRESSION_CONFLICT = 0x0203
PROFILE_NOT_SUPPORTED = 0x0204
INSTANCE_TOO_LARGE = 0x0205

FAILURE_REASONS: Mapping[int, str] = {
    PROCESSING_FAILED: "Processing failure",
    NO_SUCH_INSTANCE: "No such object instance",
    CLASS_INSTANCE_CONFLICT: "Class / Instance conflict",
    CLASS_NOT_SUPPORTED: "Referenced SOP Class not supported",
    PROFILES_CONFLICT: "Media Application Profiles conflict",
    PROFILE_INSTANCE_CONFLICT: "Media Application Profile / Instance conflict",
    PROFILE_COMPRESSION_CONFLICT: "Media Application Profile / Compression conflict",
    PROFILE_NOT_SUPPORTED: "Media Application Profile not supported",
    INSTANCE_TOO_LARGE: "Instance size exceeded",
}
"""Values of Failure Reason (0008,1197), PS3.3 C.22.1.4."""

PRIORITIES = ("HIGH", "MED", "LOW")
"""Of Request Priority (2200,0020), the most urgent first."""


class CreationAttribute(NamedTuple):
    """One attribute with its type for SCU and SCP. `path` names the sequence that it lies in;
    `use` says what we do with it as SCP, for the conformance statement."""

    keyword: str
    scu: str
    scp: str
    use: str
    path: tuple[str, ...] = ()


_OF_INSTANCE = ("ReferencedSOPSequence",)
_NO_LABEL = "no label is made; kept, and given back by N-GET"

CREATE: tuple[CreationAttribute, ...] = (
    CreationAttribute("SpecificCharacterSet", "1C", "1C", "kept"),
    CreationAttribute(
        "StorageMediaFileSetID", "3", "3", "used; of several volumes it is the prefix of each"
    ),
    CreationAttribute(
        "StorageMediaFileSetUID", "3", "3", "used; of several volumes the first has it"
    ),
    CreationAttribute("LabelUsingInformationExtractedFromInstances", "3", "1C", _NO_LABEL),
    CreationAttribute("LabelText", "3", "1C", _NO_LABEL),
    CreationAttribute("LabelStyleSelection", "3", "1C", _NO_LABEL),
    CreationAttribute("BarcodeValue", "3", "3", _NO_LABEL),
    CreationAttribute("BarcodeSymbology", "3", "3", _NO_LABEL),
    CreationAttribute("MediaDisposition", "3", "3", "kept, and given back by N-GET"),
    CreationAttribute(
        "AllowMediaSplitting", "3", "1C", "NO: what needs several volumes fails; absent is YES"
    ),
    CreationAttribute(
        "AllowLossyCompression",
        "3",
        "1C",
        "NO: a profile that knows lossy compression only fails; nothing is ever compressed so",
    ),
    CreationAttribute(
        "IncludeNonDICOMObjects",
        "3",
        "1C",
        "YES: pages with pictures for a web browser; absent is as configured",
    ),
    CreationAttribute("IncludeDisplayApplication", "3", "1C", "none is ever included"),
    CreationAttribute(
        "PreserveCompositeInstancesAfterMediaCreation",
        "3",
        "3",
        "no bearing: instances stay as long as retention says",
    ),
    CreationAttribute("ReferencedSOPSequence", "1", "1", "what goes on the media, in this order"),
    CreationAttribute("ReferencedSOPClassUID", "1", "1", "compared", _OF_INSTANCE),
    CreationAttribute("ReferencedSOPInstanceUID", "1", "1", "used", _OF_INSTANCE),
    CreationAttribute("RequestedMediaApplicationProfile", "3", "1", "used", _OF_INSTANCE),
    CreationAttribute(
        "IconImageSequence",
        "3",
        "1C",
        "not used: profiles that want an icon are not supported",
        _OF_INSTANCE,
    ),
)
"""Table S.3.2.1.1-1."""

INITIATE: tuple[CreationAttribute, ...] = (
    CreationAttribute("NumberOfCopies", "3", "1", "used; absent is 1"),
    CreationAttribute("RequestPriority", "3", "3", "HIGH goes before MED before LOW"),
)
"""Table S.3.2.2.1-1."""

RESULT: tuple[CreationAttribute, ...] = (
    CreationAttribute("SpecificCharacterSet", "3", "1C", "that of the request"),
    CreationAttribute("ExecutionStatus", "3", "1", "always"),
    CreationAttribute("ExecutionStatusInfo", "3", "1", "always"),
    CreationAttribute("TotalNumberOfPiecesOfMediaCreated", "3", "1", "volumes times copies"),
    CreationAttribute("FailedSOPSequence", "3", "2", "with the Failure Reason"),
    CreationAttribute("ReferencedStorageMediaSequence", "3", "2", "each volume, when DONE"),
)
"""Table S.3.2.4.1-1; all other attributes of the request are given back as they came."""

_FLAGS = (
    "LabelUsingInformationExtractedFromInstances",
    "AllowMediaSplitting",
    "AllowLossyCompression",
    "IncludeNonDICOMObjects",
    "IncludeDisplayApplication",
    "PreserveCompositeInstancesAfterMediaCreation",
)
_LONGEST_FILE_SET_ID = 16
_IN_FILE_SET_ID = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


class Fault(NamedTuple):
    """Why a request cannot be: the status, the attribute, and a comment for the SCU."""

    status: int
    keyword: str
    comment: str


def fault_of_request(request: Attributes) -> Fault | None:
    """What is wrong with the attributes of an N-CREATE, or None."""
    return next(_faults(request), None)


def _faults(request: Attributes) -> Iterator[Fault]:
    for row in CREATE:
        if row.scu != "1":
            continue
        places = [request] if not row.path else list(request.items_of(row.path[0]))
        for place in places:
            if row.keyword not in place:
                yield Fault(MISSING_ATTRIBUTE, row.keyword, f"Missing: {row.keyword}")
            elif not place.has(row.keyword):
                yield Fault(MISSING_ATTRIBUTE_VALUE, row.keyword, f"No value: {row.keyword}")
            elif row.path and not is_valid_uid(place.text(row.keyword)):
                yield Fault(INVALID_ATTRIBUTE_VALUE, row.keyword, f"{row.keyword} is no UID")
    for keyword in _FLAGS:
        if request.has(keyword) and request.text(keyword) not in ("YES", "NO"):
            yield Fault(INVALID_ATTRIBUTE_VALUE, keyword, f"Not YES or NO: {keyword}")
    # Both shall be used (S.3.2.1.1.1), so they must be such as a File-set can have (PS3.10 8.5).
    name = request.text("StorageMediaFileSetID")
    if len(name) > _LONGEST_FILE_SET_ID or not _IN_FILE_SET_ID.issuperset(name):
        yield Fault(
            INVALID_ATTRIBUTE_VALUE, "StorageMediaFileSetID", "File-set ID: up to 16 of A-Z, 0-9, _"
        )
    uid = request.text("StorageMediaFileSetUID")
    if uid and not is_valid_uid(uid):
        yield Fault(INVALID_ATTRIBUTE_VALUE, "StorageMediaFileSetUID", "File-set UID is no UID")


def status_words(status: int) -> str:
    """A status of this service in words."""
    known = STATUSES.get(status)
    return status_text(status) if known is None else f"{status:04X}H {known}"


def reason_words(reason: int) -> str:
    """A Failure Reason in words."""
    return f"{reason:04X}H {FAILURE_REASONS.get(reason, 'Failure')}"
