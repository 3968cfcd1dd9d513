"""Tables P.2-2, P.2-3, P.3-2 and P.3-3 of PS3.4: what an event carries, and what it is answered.

Attributes of type 2 that an SCU leaves out are taken as if they were there and empty: an event of
a device that forgets one is worth more than none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from agent.dataset.attributes import Attributes
from agent.network.status import status_text

# Table P.2-3
SYNCHRONIZATION_DIFFERS = 0xB101
OTHER_STUDY = 0xB102
LOGGED_INCONSISTENT = 0xB104
LOGGING_NOT_AVAILABLE = 0xC101
TEMPLATE_MISMATCH = 0xC102
NO_CURRENT_STUDY = 0xC103
NOT_LOGGED_INCONSISTENT = 0xC104
# Table P.3-3
OPERATOR_REFUSED = 0xC10E
PATIENT_NOT_IDENTIFIED = 0xC110
UPDATE_FAILED = 0xC111

STATUSES: Mapping[int, str] = {
    SYNCHRONIZATION_DIFFERS: "Warning: other synchronization frame of reference",
    OTHER_STUDY: "Warning: logged under a different Study Instance UID",
    LOGGED_INCONSISTENT: "Warning: IDs inconsistent, event logged",
    LOGGING_NOT_AVAILABLE: "Failed: procedural logging not available for this study",
    TEMPLATE_MISMATCH: "Failed: event information does not match template",
    NO_CURRENT_STUDY: "Failed: cannot match event to a current study",
    NOT_LOGGED_INCONSISTENT: "Failed: IDs inconsistent, event not logged",
    OPERATOR_REFUSED: "Failed: operator refused",
    PATIENT_NOT_IDENTIFIED: "Failed: patient cannot be identified",
    UPDATE_FAILED: "Failed: update of the administration record failed",
}


def status_words(status: int) -> str:
    """A status of these services in words."""
    known = STATUSES.get(status)
    return status_text(status) if known is None else f"{status:04X}H {known}"


class ActionAttribute(NamedTuple):
    """One attribute of the Action Information with its type for SCU and SCP.

    `path` names the sequences that it lies in. One with `alternatives` is of type 1C: it or one of
    those must have a value.
    """

    keyword: str
    scu: str
    scp: str
    path: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()


PROCEDURAL_EVENT: tuple[ActionAttribute, ...] = (
    ActionAttribute("PatientID", "2", "2"),
    ActionAttribute("StudyInstanceUID", "2", "2"),
    ActionAttribute("StudyID", "2", "2"),
    ActionAttribute("SynchronizationFrameOfReferenceUID", "2", "2"),
    ActionAttribute("PerformedLocation", "2", "2"),
)
"""Table P.2-2, without the SR Document Content Module, which is the Procedure Log's (P.2.2.1.3)."""

_ROUTE = ("AdministrationRouteCodeSequence",)
_OPERATOR = ("OperatorIdentificationSequence",)
_PERSON = (*_OPERATOR, "PersonIdentificationCodeSequence")
_CODES = ("LongCodeValue", "URNCodeValue")

ADMINISTRATION: tuple[ActionAttribute, ...] = (
    ActionAttribute("PatientID", "1C", "1C", alternatives=("AdmissionID",)),
    ActionAttribute("IssuerOfPatientID", "3", "2"),
    ActionAttribute("PatientName", "2", "2"),
    ActionAttribute("AdmissionID", "1C", "1C", alternatives=("PatientID",)),
    ActionAttribute("IssuerOfAdmissionID", "3", "2"),
    ActionAttribute("ProductPackageIdentifier", "1C", "1C", alternatives=("ProductName",)),
    ActionAttribute("ProductName", "1C", "1C", alternatives=("ProductPackageIdentifier",)),
    ActionAttribute("ProductDescription", "3", "3"),
    ActionAttribute("SubstanceAdministrationDateTime", "1", "1"),
    ActionAttribute("SubstanceAdministrationNotes", "3", "2"),
    ActionAttribute("SubstanceAdministrationDeviceID", "3", "3"),
    ActionAttribute("AdministrationRouteCodeSequence", "2", "2"),
    ActionAttribute("CodeValue", "1C", "1C", _ROUTE, _CODES),
    ActionAttribute("CodeMeaning", "1", "1", _ROUTE),
    ActionAttribute("SubstanceAdministrationParameterSequence", "3", "3"),
    ActionAttribute("OperatorIdentificationSequence", "1", "1"),
    ActionAttribute("PersonIdentificationCodeSequence", "1", "1", _OPERATOR),
    ActionAttribute("CodeValue", "1C", "1C", _PERSON, _CODES),
    ActionAttribute("CodeMeaning", "1", "1", _PERSON),
)
"""Table P.3-2, with the rows of Table 8-1a for its codes: the meaning is mandatory."""

PATIENT_KEYWORDS = ("PatientID", "AdmissionID")


def lacking(table: Iterable[ActionAttribute], information: Attributes) -> list[str]:
    """Keywords of type 1 that have no value, of alternatives the first."""
    absent: list[str] = []
    for row in table:
        if row.scu not in ("1", "1C"):
            continue
        places = _places(information, row.path)
        keywords = (row.keyword, *row.alternatives)
        if any(not any(map(place.has, keywords)) for place in places):
            absent.append(row.keyword)
    return list(dict.fromkeys(absent))


def complete(table: Iterable[ActionAttribute], information: Attributes) -> None:
    """Add what an SCU must send at least empty (type 2)."""
    for row in table:
        if row.scu == "2":
            for place in _places(information, row.path):
                if row.keyword not in place:
                    place.set(row.keyword)


def _places(information: Attributes, path: tuple[str, ...]) -> list[Attributes]:
    places = [information]
    for keyword in path:
        places = [item for place in places for item in place.items_of(keyword)]
    return places
