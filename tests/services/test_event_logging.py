"""Application Event Logging: the tables of annex P, each status, and TID 3001."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agent.dataset.attributes import Attributes
from agent.network.status import SUCCESS, Category, category
from agent.objects.procedural_note import noted
from agent.objects.procedure_log_template import fault_of
from agent.services.event_logging_table import (
    ADMINISTRATION,
    LOGGED_INCONSISTENT,
    LOGGING_NOT_AVAILABLE,
    NO_CURRENT_STUDY,
    NOT_LOGGED_INCONSISTENT,
    OPERATOR_REFUSED,
    OTHER_STUDY,
    PATIENT_NOT_IDENTIFIED,
    PROCEDURAL_EVENT,
    STATUSES,
    SYNCHRONIZATION_DIFFERS,
    complete,
    lacking,
    status_words,
)
from agent.services.procedural_event import (
    UTC_SYNCHRONIZATION,
    KnownStudy,
    match,
    with_synchronization,
)
from agent.services.storage_commitment import INVALID_ARGUMENT_VALUE
from agent.services.substance_administration import refusal

STUDY = KnownStudy("1.2.3", "P1", "S1")
OTHER = KnownStudy("1.2.4", "P1", "S2")


def event(**identifiers: str) -> Attributes:
    return Attributes(**identifiers)


def code(value: str, meaning: str = "Somebody") -> Attributes:
    return Attributes(CodeValue=value, CodingSchemeDesignator="99STAFF", CodeMeaning=meaning)


def administration(**changes: str) -> Attributes:
    made = Attributes(
        PatientID="P1", ProductName="Saline", SubstanceAdministrationDateTime="20250102120000"
    )
    operator = Attributes.of({"PersonIdentificationCodeSequence": [code("4711")]})
    made.set("OperatorIdentificationSequence", [operator])
    for keyword, value in changes.items():
        made.set(keyword, value)
    return made


@pytest.mark.parametrize("status", STATUSES)
def test_each_status_of_tables_p_2_3_and_p_3_3_has_its_class_and_words(status: int) -> None:
    warning = status & 0xF000 == 0xB000
    assert category(status) is (Category.WARNING if warning else Category.FAILURE)
    assert status_words(status).startswith(f"{status:04X}H {'Warning' if warning else 'Failed'}: ")


@pytest.mark.parametrize(
    ("identifiers", "known", "current", "status", "uid"),
    [
        # A study that is known by its UID.
        ({"StudyInstanceUID": "1.2.3"}, STUDY, [], SUCCESS, "1.2.3"),
        ({"StudyInstanceUID": "1.2.3", "PatientID": "P1"}, STUDY, [], SUCCESS, "1.2.3"),
        (
            {"StudyInstanceUID": "1.2.3", "PatientID": "P2"},
            STUDY,
            [],
            NOT_LOGGED_INCONSISTENT,
            "",
        ),
        ({"StudyInstanceUID": "1.2.3", "StudyID": "S9"}, STUDY, [], LOGGED_INCONSISTENT, "1.2.3"),
        # One that was reconciled: patient and UID of the event are those of before.
        ({"StudyInstanceUID": "1.2.9", "PatientID": "E1"}, STUDY, [], OTHER_STUDY, "1.2.3"),
        # One that nobody knows, where those are logged.
        ({"StudyInstanceUID": "1.2.9", "PatientID": "P1"}, None, [], SUCCESS, "1.2.9"),
        ({"StudyInstanceUID": "1.2.9"}, None, [], NO_CURRENT_STUDY, ""),
        ({"StudyInstanceUID": "1.02"}, None, [], INVALID_ARGUMENT_VALUE, ""),
        # No UID at all.
        ({"PatientID": "P1"}, None, [STUDY], SUCCESS, "1.2.3"),
        ({"PatientID": "P1", "StudyID": "S2"}, None, [STUDY, OTHER], SUCCESS, "1.2.4"),
        ({"PatientID": "P1", "StudyID": "S9"}, None, [STUDY], LOGGED_INCONSISTENT, "1.2.3"),
        ({"PatientID": "P1", "StudyID": "S9"}, None, [STUDY, OTHER], NO_CURRENT_STUDY, ""),
        ({"PatientID": "P1"}, None, [STUDY, OTHER], NO_CURRENT_STUDY, ""),
        ({"PatientID": "P1"}, None, [], NO_CURRENT_STUDY, ""),
        ({"StudyID": "S1", "PerformedLocation": "LAB"}, None, [STUDY], NO_CURRENT_STUDY, ""),
    ],
)
def test_an_event_finds_its_study_or_is_told_why_not(
    identifiers: dict[str, str],
    known: KnownStudy | None,
    current: list[KnownStudy],
    status: int,
    uid: str,
) -> None:
    found = match(event(**identifiers), known, current, unknown_studies=True)
    assert found.status == status
    assert (found.study.study_instance_uid if found.study else "") == uid


@pytest.mark.parametrize(
    ("study_id", "current", "status"),
    [
        ("S1", [STUDY, OTHER], OTHER_STUDY),
        ("S9", [STUDY], LOGGING_NOT_AVAILABLE),
        ("", [STUDY], LOGGING_NOT_AVAILABLE),
        ("S1", [], LOGGING_NOT_AVAILABLE),
    ],
)
def test_where_unknown_studies_are_not_logged_a_current_one_may_take_the_event(
    study_id: str, current: list[KnownStudy], status: int
) -> None:
    told = event(StudyInstanceUID="1.2.9", PatientID="P1", StudyID=study_id)
    found = match(told, None, current, unknown_studies=False)
    assert found.status == status
    assert found.study == (STUDY if status == OTHER_STUDY else None)


@pytest.mark.parametrize(
    ("frame", "status"),
    [("", SUCCESS), (UTC_SYNCHRONIZATION, SUCCESS), ("1.2.99", SYNCHRONIZATION_DIFFERS)],
)
def test_times_of_another_frame_are_warned_of(frame: str, status: int) -> None:
    told = event(StudyInstanceUID="1.2.3", SynchronizationFrameOfReferenceUID=frame)
    found = with_synchronization(match(told, STUDY, [], unknown_studies=True), told)
    assert (found.status, found.study) == (status, STUDY)


def test_another_frame_hides_no_other_answer() -> None:
    told = event(
        StudyInstanceUID="1.2.3", StudyID="S9", SynchronizationFrameOfReferenceUID="1.2.99"
    )
    found = with_synchronization(match(told, STUDY, [], unknown_studies=True), told)
    assert found.status == LOGGED_INCONSISTENT


def test_what_is_of_type_2_is_sent_at_least_empty() -> None:
    told = event(PatientID="P1")
    complete(PROCEDURAL_EVENT, told)
    assert told.text("PatientID") == "P1"
    assert all(row.keyword in told for row in PROCEDURAL_EVENT)
    given = administration()
    complete(ADMINISTRATION, given)
    assert {"PatientName", "AdministrationRouteCodeSequence"} <= {
        row.keyword for row in ADMINISTRATION if row.keyword in given
    }
    assert refusal(given) is None


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, None),
        ({"PatientID": "", "AdmissionID": "A1"}, None),
        ({"ProductName": "", "ProductPackageIdentifier": "01234"}, None),
        ({"PatientID": ""}, PATIENT_NOT_IDENTIFIED),
        ({"ProductName": ""}, INVALID_ARGUMENT_VALUE),
        ({"SubstanceAdministrationDateTime": ""}, INVALID_ARGUMENT_VALUE),
        ({"SubstanceAdministrationDateTime": "20251302"}, INVALID_ARGUMENT_VALUE),
        ({"OperatorIdentificationSequence": ""}, INVALID_ARGUMENT_VALUE),
    ],
)
def test_an_administration_is_held_against_table_p_3_2(
    changes: dict[str, str], status: int | None
) -> None:
    refused = refusal(administration(**changes))
    assert (None if refused is None else refused.status) == status


@pytest.mark.parametrize("sequence", ["route", "operator"])
@pytest.mark.parametrize("keyword", ["CodeValue", "CodeMeaning"])
def test_a_code_has_a_value_and_a_meaning(sequence: str, keyword: str) -> None:
    given = administration()
    bad = code("4711")
    bad.remove(keyword)
    if sequence == "route":
        given.set("AdministrationRouteCodeSequence", [bad])
    else:
        operator = Attributes.of({"PersonIdentificationCodeSequence": [bad]})
        given.set("OperatorIdentificationSequence", [operator])
    assert lacking(ADMINISTRATION, given) == [keyword]


@pytest.mark.parametrize(
    ("operators", "allowed"),
    [
        ((), True),
        (("4711",), True),
        (("4711^99STAFF",), True),
        (("4711^99OTHER",), False),
        (("1", "2"), False),
    ],
)
def test_one_operator_must_be_among_those_who_may(
    operators: tuple[str, ...], allowed: bool
) -> None:
    refused = refusal(administration(), operators)
    assert (refused is None) == allowed
    assert refused is None or refused.status == OPERATOR_REFUSED


# The template.


def note() -> Attributes:
    return noted("nurse", "Sheath in", "20250102120000", "Weiß^Anna")


def entry(content: Attributes) -> Attributes:
    return content.items_of("ContentSequence")[-1]


def below(content: Attributes, *items: Attributes) -> None:
    entry(content).set("ContentSequence", list(items))


def no_observer(content: Attributes) -> None:
    content.set("ContentSequence", [entry(content)])


def no_event(content: Attributes) -> None:
    content.set("ContentSequence", list(content.items_of("ContentSequence")[:-1]))


def container(content: Attributes) -> None:
    entry(content).set("ValueType", "CONTAINER")


def by_reference(content: Attributes) -> None:
    entry(content).set("ReferencedContentItemIdentifier", 1)


def staff_as_text(content: Attributes) -> None:
    entry(content).item_of("ConceptNameCodeSequence").set("CodeValue", "122041")


def action(content: Attributes) -> None:
    start = Attributes(CodeValue="121130", CodingSchemeDesignator="DCM", CodeMeaning="Start")
    entry(content).set("ValueType", "CODE")
    entry(content).set("ConceptNameCodeSequence", [start])
    entry(content).set("ConceptCodeSequence", [code("1")])


def deep_fault(content: Attributes) -> None:
    item = Attributes(ValueType="TEXT", RelationshipType="HAS PROPERTIES", TextValue="x")
    below(content, item)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.set("ValueType", "TEXT"), "no CONTAINER"),
        (lambda c: c.remove("ContinuityOfContent"), "Continuity"),
        (lambda c: c.remove("ConceptNameCodeSequence"), "no title"),
        (
            lambda c: c.item_of("ContentTemplateSequence").set("TemplateIdentifier", "2000"),
            "2000, not 3001",
        ),
        (no_observer, "observer"),
        (no_event, "No event"),
        (container, "CONTAINER CONTAINS CONTAINER"),
        (by_reference, "by reference"),
        (lambda c: entry(c).remove("ObservationDateTime"), "Observation DateTime"),
        (lambda c: entry(c).set("ObservationDateTime", "noon"), "Observation DateTime"),
        (lambda c: entry(c).remove("TextValue"), "without TextValue"),
        (lambda c: entry(c).remove("RelationshipType"), "not allowed"),
        (lambda c: entry(c).remove("ConceptNameCodeSequence"), "concept name"),
        (lambda c: entry(c).set("ValueType", "DATE"), "CONTAINER CONTAINS DATE"),
        (staff_as_text, "122041 is TEXT, not PNAME"),
        (action, "Procedure Action ID"),
        (deep_fault, "concept name"),
    ],
)
def test_what_is_no_procedure_log_is_told_apart(
    change: Callable[[Attributes], None], words: str
) -> None:
    content = note()
    assert fault_of(content) == ""
    change(content)
    assert words in fault_of(content)


def test_an_action_with_its_id_and_an_entry_of_our_own_scheme_are_well() -> None:
    content = note()
    action(content)
    name = Attributes(CodeValue="121124", CodingSchemeDesignator="DCM", CodeMeaning="ID")
    identifier = Attributes(ValueType="TEXT", RelationshipType="HAS PROPERTIES", TextValue="1")
    identifier.set("ConceptNameCodeSequence", [name])
    below(content, identifier)
    assert fault_of(content) == ""
    entry(content).item_of("ConceptNameCodeSequence").set("CodingSchemeDesignator", "99LAB")
    below(content)
    assert fault_of(content) == ""
