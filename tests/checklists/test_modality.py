"""Lines of the checklists on worklist, steps, commitment and availability (PS3.4, MX, CD)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    InstanceAvailabilityNotification,
    ModalityWorklistInformationFind,
)

from agent.archive.worklist_store import add_entry
from agent.services.instance_availability import AvailableObject, availability
from agent.services.modality_worklist import (
    RETURN_KEYS,
    worklist_extended,
    worklist_identifier,
)
from agent.services.performed_procedure_step_table import ROWS
from tests.checklists.in_syntax import jpeg, send
from tests.checklists.made import CT, EXPLICIT, instance_uid, store_all
from tests.cli_of import gantry
from tests.node.running import NodeProcess, free_port
from tests.node.test_commitment import CommittingArchive, box, provider, requester
from tests.node.test_examination import Clinic
from tests.node.test_steps import until
from tests.node.test_worklist import entry
from tests.peers.dcmtk import DcmtkStoreScp

STEP = "ScheduledProcedureStepSequence"


class Ris:
    """A worklist SCP of pynetdicom that notes what it is asked and answers what it is told."""

    def __init__(self, *answers: tuple[int, Dataset]) -> None:
        self.port = free_port()
        self.asked: list[Dataset] = []
        self.answers = answers

    def __enter__(self) -> Ris:
        application = AE(ae_title="RIS")
        application.add_supported_context(ModalityWorklistInformationFind)
        self._server = application.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_C_FIND, self._find)]
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()

    def _find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        self.asked.append(event.identifier)
        yield from self.answers
        yield 0x0000, None

    def ask(self, *words: str) -> Any:
        address = f"127.0.0.1:{self.port}"
        return gantry("worklist", address, *words, "--called", "RIS", "--json")


def test_ps34_082_086_one_item_of_the_step_no_level_and_no_timezone() -> None:
    with Ris() as ris:
        ris.ask("Modality=US", "ScheduledStationAETitle=US1", "PatientID=P1").check()
    (asked,) = ris.asked
    assert len(asked.ScheduledProcedureStepSequence) == 1
    assert "QueryRetrieveLevel" not in asked
    assert "TimezoneOffsetFromUTC" not in asked
    step = asked.ScheduledProcedureStepSequence[0]
    assert (step.Modality, step.ScheduledStationAETitle, asked.PatientID) == ("US", "US1", "P1")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"fuzzy": True}, b"\1\1\1"),
        ({"timezone": True}, b"\1\1\0\1"),
        ({"fuzzy": True, "timezone": True}, b"\1\1\1\1"),
    ],
)
def test_ps34_084_the_extended_item_has_three_or_four_bytes_the_first_two_1(
    options: dict[str, bool], expected: bytes
) -> None:
    item = worklist_extended(**options)
    assert item is not None
    assert item.information == expected
    assert worklist_extended() is None


def test_ps34_085_087_what_lacks_or_exceeds_what_was_asked_is_one_entry_each() -> None:
    bare, full = Dataset(), Dataset()
    bare.PatientID = "P1"
    item = Dataset()
    item.ScheduledProcedureStepID = "S1"
    bare.ScheduledProcedureStepSequence = [item]
    full.PatientID = "P2"
    document = Dataset()
    document.ReferencedSOPInstanceUID = "1.2.3"
    full.HL7StructuredDocumentReferenceSequence = [document]
    with Ris((0xFF01, bare), (0xFF00, full)) as ris:
        found = json.loads(ris.ask().check().output)
    assert [each["00100020"]["Value"] for each in found] == [["P1"], ["P2"]]
    assert "0040A390" in found[1]


MXVIEW_KEYS = (
    "PatientName",
    "PatientID",
    "OtherPatientIDs",
    "PatientWeight",
    "PatientBirthName",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "EthnicGroup",
    "PatientComments",
    "ConfidentialityConstraintOnPatientDataDescription",
    "MedicalAlerts",
    "Allergies",
    "AdditionalPatientHistory",
    "SpecialNeeds",
    "ReferencedPatientSequence",
    "AdmissionID",
    "PatientState",
    "CurrentPatientLocation",
    "StudyInstanceUID",
    "RequestedProcedureDescription",
    "RequestingService",
    "RequestedProcedureCodeSequence",
    "AccessionNumber",
    "ReferringPhysicianName",
    "ReferencedStudySequence",
    "RequestingPhysician",
    "RequestedProcedureID",
    "NamesOfIntendedRecipientsOfResults",
    "RequestedProcedureComments",
    "ImagingServiceRequestComments",
)
MXVIEW_STEP_KEYS = (
    "Modality",
    "ScheduledStationAETitle",
    "ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepStartTime",
    "ScheduledProcedureStepID",
    "ScheduledProcedureStepDescription",
    "ScheduledPerformingPhysicianName",
    "ScheduledProtocolCodeSequence",
    "ScheduledProcedureStepLocation",
)


def test_mx_13_the_query_asks_for_every_attribute_of_the_statement_and_shows_each() -> None:
    identifier = worklist_identifier({})
    for keyword in MXVIEW_KEYS:
        assert keyword in identifier, keyword
    for keyword in MXVIEW_STEP_KEYS:
        assert keyword in identifier.item_of(STEP), keyword
    answer = Dataset()
    for keyword in RETURN_KEYS[""]:
        value = {"DA": "19700101", "DS": "70", "US": 4, "CS": "X", "UI": "1.2.3"}
        answer.add_new(keyword, *_value(keyword, value))
    with Ris((0xFF00, answer)) as ris:
        (found,) = json.loads(ris.ask().check().output)
        shown = gantry("worklist", f"127.0.0.1:{ris.port}", "--called", "RIS", "--full").check()
    for element in answer:
        if element.VR != "SQ":
            assert f"{element.tag:08X}" in found, element.keyword
            assert element.keyword in shown.output, element.keyword


def _value(keyword: str, values: dict[str, Any]) -> tuple[str, Any]:
    from pydicom.datadict import dictionary_VR

    vr = dictionary_VR(keyword)
    return vr, values.get(vr, "text" if vr != "AS" else "034Y")


@pytest.fixture
def clinic(tmp_path: Path, start_peer: Any) -> Iterator[Clinic]:
    pacs = start_peer(DcmtkStoreScp(tmp_path / "pacs"))
    with Clinic(tmp_path, pacs.port) as made:
        made.pacs = pacs  # type: ignore[attr-defined]
        add_entry(str(made.worklist), entry(1, PatientName="Müller^Jörg"))
        yield made


def _places(step: Dataset, path: tuple[str, ...]) -> list[Dataset]:
    places = [step]
    for keyword in path:
        places = [item for place in places for item in getattr(place, keyword, [])]
    return places


def test_ps34_092_mx_15_n_create_has_every_attribute_of_type_1_and_2(clinic: Clinic) -> None:
    begun = clinic.start()
    until(lambda: clinic.steps.said, lambda: clinic.box.log)
    _, uid, step = clinic.steps.said[0]
    assert uid == begun["step"]
    for row in ROWS:
        if row.create == 3:
            continue
        for place in _places(step, row.path):
            assert row.keyword in place, row
            assert row.create == 2 or getattr(place, row.keyword), row
    step.decode()
    scheduled = step.ScheduledStepAttributesSequence[0]
    expected = entry(1, PatientName="Müller^Jörg")
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex"):
        assert str(getattr(step, keyword)) == expected.text(keyword), keyword
    for keyword in ("AccessionNumber", "StudyInstanceUID", "RequestedProcedureID"):
        assert str(getattr(scheduled, keyword)) == expected.text(keyword), keyword


@pytest.mark.parametrize("discontinue", ["", "110501"])
def test_ps34_095_096_mx_16_the_end_lists_what_was_stored_and_nothing_comes_after(
    clinic: Clinic, discontinue: str
) -> None:
    clinic.start()
    clinic.exam("capture", stills=3)
    clinic.exam("finish", discontinue=discontinue)
    received = clinic.pacs.wait_for_files(3)  # type: ignore[attr-defined]
    until(lambda: len(clinic.steps.said) == 2, lambda: clinic.box.log)
    change = clinic.steps.said[1][2]
    assert change.PerformedProcedureStepEndDate
    assert change.PerformedProcedureStepEndTime
    (series,) = change.PerformedSeriesSequence
    assert series.RetrieveAETitle == "PACS"
    stored = {(m.SOPClassUID, m.SOPInstanceUID) for m in map(dcmread, received)}
    assert {
        (item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID)
        for item in series.ReferencedImageSequence
    } == stored
    for row in ROWS:
        if row.final == 1:
            for place in _places(change, row.path):
                assert getattr(place, row.keyword, None), row
    clinic.exam("start", emergency=True, keys={})
    clinic.exam("capture")
    clinic.exam("finish")
    until(lambda: len(clinic.steps.said) == 4, lambda: clinic.box.log)
    assert clinic.steps.said[2][1] != clinic.steps.said[0][1]


def test_mx_17_latin_1_text_is_the_same_bytes_from_the_worklist_to_the_step_and_the_directory(
    clinic: Clinic, tmp_path: Path
) -> None:
    text = clinic.box.configuration.read_text()
    latin = 'character_set = "ISO_IR 100"\nmanufacturer ='
    clinic.box.configuration.write_text(text.replace("manufacturer =", latin, 1))
    clinic.box.ask("reload")
    clinic.start()
    clinic.exam("capture")
    clinic.exam("finish")
    (path,) = clinic.pacs.wait_for_files(1)  # type: ignore[attr-defined]
    until(lambda: len(clinic.steps.said) == 2, lambda: clinic.box.log)
    _, _, step = clinic.steps.said[0]
    name = "Müller^Jörg"
    assert step.SpecificCharacterSet == "ISO_IR 100"
    assert step.get_item("PatientName").value.rstrip() == name.encode("latin-1")
    made = dcmread(path)
    assert made.SpecificCharacterSet == "ISO_IR 100"
    assert made.get_item("PatientName").value.rstrip() == name.encode("latin-1")
    gantry("media", "create", tmp_path / "cd", path).check()
    with (tmp_path / "cd" / "DICOMDIR").open("rb") as file:
        directory = dcmread(file)
    (patient,) = [
        each for each in directory.DirectoryRecordSequence if each.DirectoryRecordType == "PATIENT"
    ]
    assert patient.SpecificCharacterSet == "ISO_IR 100"
    assert patient.get_item("PatientName").value.rstrip() == name.encode("latin-1")


def test_mx_35_each_object_is_asked_for_under_a_transaction_of_its_own_on_one_association(
    tmp_path: Path,
) -> None:
    archive = CommittingArchive(free_port(), 0).start()
    try:
        with box(tmp_path, archive, each="object") as node:
            assert store_all(node.port, (1, CT), (2, CT), (3, CT)) == [0, 0, 0]
            until(lambda: len(archive.asked) == 3, lambda: node.log)
            assert len({each.TransactionUID for each in archive.asked}) == 3
            assert all(len(each.ReferencedSOPSequence) == 1 for each in archive.asked)
            time.sleep(1.5)
            # Storage released its own; the one for commitment stays open for its result.
            assert len(archive.server.active_associations) >= 1
            for each in archive.asked:
                assert archive.report(each) == 0
            until(lambda: not node.ask("queue")["items"], lambda: node.log)
    finally:
        archive.stop()


def test_mx_37_cd_29_the_answer_says_what_is_kept_and_0112_for_the_rest(tmp_path: Path) -> None:
    listen = free_port()
    with provider(tmp_path, listen) as node:
        assert store_all(node.port, (1, CT)) == [0]
        _, events = requester(node.port, [(CT, instance_uid(1)), (CT, "1.2.3")], listen)
        ((event, information, _),) = events
        assert event == 2
        assert [item.FailureReason for item in information.FailedSOPSequence] == [0x0112]


def test_ps34_113_pixels_that_are_only_referred_to_are_not_committed_to(tmp_path: Path) -> None:
    listen = free_port()
    with provider(tmp_path, listen) as node:
        send(node.port, (1, CT, jpeg(94)), (2, CT, EXPLICIT))
        _, events = requester(node.port, [(CT, instance_uid(1)), (CT, instance_uid(2))], listen)
        ((_, information, _),) = events
        (kept,) = information.ReferencedSOPSequence
        assert kept.ReferencedSOPInstanceUID == instance_uid(2)


def test_ps34_136_a_notification_has_the_attributes_of_its_table_and_no_others() -> None:
    made = availability(
        "1.2.3",
        [AvailableObject("1.2.3.1", CT, "1.2.3.1.1"), AvailableObject("1.2.3.2", CT, "1.2.3.2.1")],
        "PACS",
        performed_step_uid="1.2.9",
    )
    names = {"ReferencedPerformedProcedureStepSequence", "StudyInstanceUID"}
    from agent.dataset import tags

    assert {tags.keyword_of(tag) for tag in made} == names | {"ReferencedSeriesSequence"}
    assert len(made.items_of("ReferencedSeriesSequence")) == 2
    (item,) = made.item_of("ReferencedSeriesSequence").items_of("ReferencedSOPSequence")
    assert {tags.keyword_of(tag) for tag in item} == {
        "ReferencedSOPClassUID",
        "ReferencedSOPInstanceUID",
        "InstanceAvailability",
        "RetrieveAETitle",
    }


def test_cd_31_availability_is_told_and_taken(tmp_path: Path, start_peer: Any) -> None:
    told: list[Dataset] = []
    there: list[int] = []
    pacs = DcmtkStoreScp(tmp_path / "pacs", port=free_port())

    def take(event: Any) -> tuple[int, None]:
        told.append(event.attribute_list)
        there.append(len(pacs.received()))
        return 0, None

    port = free_port()
    application = AE(ae_title="VIEWER")
    application.add_supported_context(InstanceAvailabilityNotification)
    server = application.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_N_CREATE, take)]
    )
    made = Clinic(
        tmp_path,
        pacs.port,
        f'[[peer]]\nname = "VIEWER"\naddresses = ["127.0.0.1:{port}"]\n'
        'services = ["availability"]\n',
    )
    text = made.box.configuration.read_text()
    made.box.configuration.write_text(
        text.replace('peer = ["RIS"]', 'peer = ["RIS"]\navailable = ["VIEWER"]')
    )
    with made as clinic:
        add_entry(str(clinic.worklist), entry(1))
        begun = clinic.start()
        clinic.exam("capture", stills=2)
        clinic.exam("finish")
        # Nothing can be retrieved from an archive that has not got it.
        time.sleep(1.5)
        assert not told
        start_peer(pacs)
        until(lambda: told, lambda: clinic.box.log)
    server.shutdown()
    assert there == [2]
    (notification,) = told
    assert notification.StudyInstanceUID == begun["study_instance_uid"]
    (step,) = notification.ReferencedPerformedProcedureStepSequence
    assert step.ReferencedSOPInstanceUID == begun["step"]
    (series,) = notification.ReferencedSeriesSequence
    assert len(series.ReferencedSOPSequence) == 2
    assert series.ReferencedSOPSequence[0].InstanceAvailability == "ONLINE"


def test_cd_31_our_provider_takes_a_notification_and_refuses_half_of_one(tmp_path: Path) -> None:
    more = '[[entity.service]]\nname = "availability"\nroles = ["scp"]\n'
    with NodeProcess(tmp_path, more) as node:
        application = AE(ae_title="PACS")
        application.add_requested_context(InstanceAvailabilityNotification)
        association = application.associate("127.0.0.1", node.port, ae_title="GANTRY")
        assert association.is_established
        whole = Dataset()
        whole.ReferencedPerformedProcedureStepSequence = []
        whole.StudyInstanceUID = generate_uid()
        item, series = Dataset(), Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, generate_uid()
        item.InstanceAvailability, item.RetrieveAETitle = "ONLINE", "PACS"
        series.SeriesInstanceUID = generate_uid()
        series.ReferencedSOPSequence = [item]
        whole.ReferencedSeriesSequence = [series]
        status, _ = association.send_n_create(
            whole, InstanceAvailabilityNotification, generate_uid()
        )
        assert status.Status == 0
        del whole.StudyInstanceUID
        status, _ = association.send_n_create(
            whole, InstanceAvailabilityNotification, generate_uid()
        )
        assert status.Status == 0x0120
        association.release()
