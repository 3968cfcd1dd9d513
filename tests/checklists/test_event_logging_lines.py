"""Lines of the checklists on Application Event Logging (PS3.4 P; CD 31)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt

from agent.archive.worklist_store import add_entry
from agent.services.procedural_event import UTC_SYNCHRONIZATION
from tests.checklists.made import CT
from tests.cli_of import gantry
from tests.node.running import NodeProcess, free_port, peer_table
from tests.node.test_examination import Clinic
from tests.node.test_steps import until
from tests.node.test_worklist import entry
from tests.objects.judging import errors_of
from tests.peers.dcmtk import DcmtkStoreScp
from tests.peers.dicom3tools import dcentvfy

PROCEDURAL, PROCEDURAL_INSTANCE = "1.2.840.10008.1.40", "1.2.840.10008.1.40.1"
SUBSTANCE, SUBSTANCE_INSTANCE = "1.2.840.10008.1.42", "1.2.840.10008.1.42.1"
PROCEDURE_LOG = "1.2.840.10008.5.1.4.1.1.88.40"
SERVICE = '[[entity.service]]\nname = "event-logging"\nroles = ["scp"]\n'


def code(value: str, scheme: str, meaning: str) -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, scheme, meaning
    return made


def item(kind: str, relationship: str, concept: tuple[str, str], **values: Any) -> Dataset:
    made = Dataset()
    made.ValueType, made.RelationshipType = kind, relationship
    made.ConceptNameCodeSequence = [code(concept[0], "DCM", concept[1])]
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def event(text: str, at: str = "20250102120000", **identifiers: str) -> Dataset:
    """A nursing note, as pydicom writes it."""
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 100"
    for keyword in ("PatientID", "StudyInstanceUID", "StudyID", "PerformedLocation"):
        setattr(made, keyword, identifiers.pop(keyword, ""))
    made.SynchronizationFrameOfReferenceUID = identifiers.pop("frame", "")
    made.ValueType, made.ContinuityOfContent = "CONTAINER", "SEPARATE"
    made.ConceptNameCodeSequence = [code("121120", "DCM", "Cath Lab Procedure Log")]
    observer = ("121008", "Person Observer Name")
    made.ContentSequence = [
        item("PNAME", "HAS OBS CONTEXT", observer, PersonName="Weiß^Anna"),
        item(
            "TEXT",
            "CONTAINS",
            ("121172", "Nursing Note"),
            TextValue=text,
            ObservationDateTime=at,
        ),
    ]
    return made


def administration(**changes: Any) -> Dataset:
    made = Dataset()
    made.PatientID, made.PatientName = "P1", "Doe^Jane"
    made.ProductName, made.SubstanceAdministrationDateTime = "Iodine 300", "20250102120000"
    made.AdministrationRouteCodeSequence = [code("47625008", "SCT", "Intravenous route")]
    operator = Dataset()
    operator.PersonIdentificationCodeSequence = [code("4711", "99STAFF", "Weiss")]
    made.OperatorIdentificationSequence = [operator]
    for keyword, value in changes.items():
        setattr(made, keyword, value)
    return made


class Device:
    """An SCU of pynetdicom."""

    def __init__(self, port: int, syntax: str = ExplicitVRLittleEndian) -> None:
        application = AE(ae_title="HEMO")
        application.add_requested_context(PROCEDURAL, syntax)
        application.add_requested_context(SUBSTANCE, syntax)
        self.association = application.associate("127.0.0.1", port, ae_title="GANTRY")
        assert self.association.is_established

    def log(self, told: Dataset, action: int = 1, uid: str = PROCEDURAL_INSTANCE) -> Any:
        status, reply = self.association.send_n_action(told, action, PROCEDURAL, uid)
        return status.get("Status"), reply

    def give(self, told: Dataset, action: int = 1, uid: str = SUBSTANCE_INSTANCE) -> Any:
        status, _ = self.association.send_n_action(told, action, SUBSTANCE, uid)
        return status.get("Status")


@contextmanager
def device(port: int, syntax: str = ExplicitVRLittleEndian) -> Iterator[Device]:
    made = Device(port, syntax)
    try:
        yield made
    finally:
        made.association.release()


def store_image(port: int, study: str) -> Dataset:
    """An object of the patient P1, so that the archive knows the study as S1."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID, image.SOPInstanceUID = CT, generate_uid()
    image.StudyInstanceUID, image.SeriesInstanceUID = study, generate_uid()
    image.PatientID, image.PatientName, image.StudyID = "P1", "Doe^Jane", "S1"
    application = AE(ae_title="CT")
    application.add_requested_context(CT, ExplicitVRLittleEndian)
    association = application.associate("127.0.0.1", port, ae_title="GANTRY")
    assert association.send_c_store(image).Status == 0
    association.release()
    return image


def logs(node: NodeProcess) -> list[Dataset]:
    found = [dcmread(path) for path in node.objects()]
    return [each for each in found if each.SOPClassUID == PROCEDURE_LOG]


def texts(log: Dataset) -> list[str]:
    entries = [each for each in log.ContentSequence if each.RelationshipType == "CONTAINS"]
    return [each.TextValue for each in entries if each.ValueType == "TEXT"]


def test_cd_31_an_event_makes_a_procedure_log_and_the_next_extends_it(
    tmp_path: Path, start_peer: Any
) -> None:
    pacs = DcmtkStoreScp(tmp_path / "pacs", port=free_port())
    start_peer(pacs)
    uid = generate_uid()
    with NodeProcess(tmp_path / "node", SERVICE + peer_table("PACS", pacs.port)) as node:
        with device(node.port) as hemo:
            for text, at in (("Sheath in", "20250102120500"), ("Größe", "20250102120000")):
                status, reply = hemo.log(event(text, at, StudyInstanceUID=uid, PatientID="P1"))
                assert (status, reply.StudyInstanceUID, reply.PatientID) == (0, uid, "P1")
            # Its answer was lost: the same again changes nothing.
            told = event("Größe", "20250102120000", StudyInstanceUID=uid, PatientID="P1")
            assert hemo.log(told)[0] == 0
        first, second = logs(node)
        assert texts(first) == ["Sheath in"]
        assert texts(second) == ["Größe", "Sheath in"]
        assert second.SeriesInstanceUID == first.SeriesInstanceUID
        for path in node.objects():
            assert errors_of(path) == []
        assert dcentvfy(*node.objects()) == ()
        # It is in the index like all else, and delivered like all else.
        (study,) = node.ask("studies", study_instance_uid=uid)["items"]
        assert (study["patient_id"], study["instances"]) == ("P1", 2)
        node.wait_until_delivered("PACS")
        until(lambda: len(pacs.received()) == 2, lambda: node.log)


@pytest.mark.filterwarnings("ignore:The value length")
def test_cd_31_each_failure_and_warning_has_its_status(tmp_path: Path) -> None:
    uid, unknown = generate_uid(), generate_uid()
    with NodeProcess(tmp_path, SERVICE) as node:
        with device(node.port) as hemo:
            told = event("a", StudyInstanceUID=uid, PatientID="P1", StudyID="S1")
            assert hemo.log(told)[0] == 0
            frame = event("b", StudyInstanceUID=uid, frame="1.2.99")
            assert hemo.log(frame)[0] == 0xB101
            utc = event("c", StudyInstanceUID=uid, frame=UTC_SYNCHRONIZATION)
            assert hemo.log(utc)[0] == 0
            status, reply = hemo.log(event("d", StudyInstanceUID=uid, StudyID="S2"))
            assert (status, reply.PatientID) == (0xB104, "P1")
            status, reply = hemo.log(event("e", PatientID="P1", StudyID="S1"))
            assert (status, reply.StudyInstanceUID) == (0, uid)
            assert texts(logs(node)[-1]) == ["a", "b", "c", "d", "e"]

            status, reply = hemo.log(event("f", StudyInstanceUID=uid, PatientID="P2"))
            assert (status, reply) == (0xC104, None)
            assert hemo.log(event("f", StudyInstanceUID=unknown))[0] == 0xC103
            assert hemo.log(event("f", PatientID="P9"))[0] == 0xC103
            bare = event("f", StudyInstanceUID=uid)
            del bare.ContentSequence[0]
            assert hemo.log(bare)[0] == 0xC102
            timeless = event("f", StudyInstanceUID=uid)
            del timeless.ContentSequence[1].ObservationDateTime
            assert hemo.log(timeless)[0] == 0xC102
            long = event("f", StudyInstanceUID=uid)
            long.ContentSequence[1].ConceptNameCodeSequence[0].CodeMeaning = "x" * 65
            assert hemo.log(long)[0] == 0xC102
            good = event("f", StudyInstanceUID=uid)
            assert hemo.log(good, action=2)[0] == 0x0123
            assert hemo.log(good, uid="1.2.3")[0] == 0x0112
        assert len(logs(node)) == 5


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_cd_31_a_measurement_with_its_properties_comes_whole_in_each_syntax(
    tmp_path: Path, syntax: str
) -> None:
    measured = Dataset()
    measured.NumericValue = "37.5"
    measured.MeasurementUnitsCodeSequence = [code("Cel", "UCUM", "C")]
    action = item("TEXT", "HAS PROPERTIES", ("121124", "Procedure Action ID"), TextValue="A7")
    number = item(
        "NUM",
        "CONTAINS",
        ("99", "Temperature"),
        ObservationDateTime="20250102130000.5+0100",
        MeasuredValueSequence=[measured],
        ContentSequence=[action],
    )
    told = event("Größe", StudyInstanceUID=generate_uid(), PatientID="P1")
    told.ContentSequence.append(number)
    with NodeProcess(tmp_path, SERVICE) as node, device(node.port, syntax) as hemo:
        assert hemo.log(told)[0] == 0
        (path,) = node.objects()
    assert errors_of(path) == []
    kept, *_ = [each for each in dcmread(path).ContentSequence if each.ValueType == "NUM"]
    assert kept.ObservationDateTime == "20250102130000.5+0100"
    (value,) = kept.MeasuredValueSequence
    assert (value.NumericValue, value.MeasurementUnitsCodeSequence[0].CodeValue) == (37.5, "Cel")
    values = [(each.RelationshipType, each.get("TextValue")) for each in kept.ContentSequence]
    assert values == [("HAS OBS CONTEXT", None), ("HAS PROPERTIES", "A7")]


def test_cd_31_events_of_several_devices_at_once_are_all_in_the_log(tmp_path: Path) -> None:
    uid = generate_uid()

    def tell(node: NodeProcess, number: int) -> list[int]:
        with device(node.port) as hemo:
            return [
                hemo.log(event(f"{number}.{each}", StudyInstanceUID=uid, PatientID="P1"))[0]
                for each in range(4)
            ]

    with NodeProcess(tmp_path, SERVICE) as node:
        with ThreadPoolExecutor(4) as devices:
            said = list(devices.map(lambda number: tell(node, number), range(4)))
        assert said == [[0] * 4] * 4
        last = logs(node)[-1]
    assert sorted(texts(last)) == [f"{one}.{two}" for one in range(4) for two in range(4)]
    assert last.InstanceNumber == 16


def test_cd_31_what_an_event_names_is_evidence_and_a_large_log_begins_anew(tmp_path: Path) -> None:
    uid = generate_uid()
    more = f'{SERVICE}[[entity.service]]\nname = "storage"\nroles = ["scp"]\n'
    with NodeProcess(tmp_path, more) as node:
        image = store_image(node.port, uid)
        named = Dataset()
        named.ReferencedSOPClassUID = CT
        named.ReferencedSOPInstanceUID = image.SOPInstanceUID
        shown = item(
            "IMAGE",
            "CONTAINS",
            ("121200", "Illustration"),
            ObservationDateTime="20250102120001",
            ReferencedSOPSequence=[named],
        )
        with device(node.port) as hemo:
            told = event("a", StudyInstanceUID=uid)
            told.ContentSequence.append(shown)
            assert hemo.log(told)[0] == 0
            (log,) = logs(node)
            (study,) = log.CurrentRequestedProcedureEvidenceSequence
            assert study.ReferencedSeriesSequence[0].SeriesInstanceUID == image.SeriesInstanceUID
            assert (log.PatientName, log.StudyID) == ("Doe^Jane", "S1")
            for letter in "bcde":
                assert hemo.log(event(letter * 900_000, StudyInstanceUID=uid))[0] == 0
        entries = ["".join(each[0] for each in texts(log)) for log in logs(node)]
        assert entries == ["a", "ab", "abc", "abcd", "e"]
        assert "PredecessorDocumentsSequence" not in logs(node)[-1]


def test_cd_31_an_examination_in_progress_takes_events_of_its_patient(
    tmp_path: Path, start_peer: Any
) -> None:
    pacs = start_peer(DcmtkStoreScp(tmp_path / "pacs", port=free_port()))
    with Clinic(tmp_path, pacs.port, SERVICE) as clinic:
        add_entry(str(clinic.worklist), entry(1))
        begun = clinic.start()
        with device(clinic.box.port) as hemo:
            status, reply = hemo.log(event("a", PatientID="P1"))
            assert (status, reply.StudyInstanceUID) == (0, begun["study_instance_uid"])
            (log,) = logs(clinic.box)
            assert (log.AccessionNumber, str(log.PatientName)) == ("A1", "Müller^Jörg1")


def test_cd_31_the_log_of_an_emergency_is_reconciled_and_goes_on(
    tmp_path: Path, start_peer: Any
) -> None:
    pacs = start_peer(DcmtkStoreScp(tmp_path / "pacs", port=free_port()))
    with Clinic(tmp_path, pacs.port, SERVICE) as clinic:
        add_entry(str(clinic.worklist), entry(1))
        who = {"PatientName": "Unknown^One", "PatientID": "E1"}
        begun = clinic.exam("start", emergency=True, keys=who)
        clinic.exam("capture", stills=1)
        before = begun["study_instance_uid"]
        with device(clinic.box.port) as hemo:
            assert hemo.log(event("a", StudyInstanceUID=before, PatientID="E1"))[0] == 0
            clinic.exam("finish")
            said = clinic.exam("reconcile", id=begun["id"], keys={"AccessionNumber": "A1"})
            assert said["objects"] == 2
            (log,) = logs(clinic.box)
            assert (log.PatientID, log.StudyInstanceUID) == ("P1", said["study_instance_uid"])
            # The device knows nothing of it.
            status, reply = hemo.log(event("b", StudyInstanceUID=before, PatientID="E1"))
            assert (status, reply.StudyInstanceUID) == (0xB102, said["study_instance_uid"])
            assert reply.PatientID == "P1"
        assert {each.PatientID for each in logs(clinic.box)} == {"P1"}
        for path in clinic.box.objects():
            assert errors_of(path) == []


def test_cd_31_what_nobody_knows_is_refused_where_the_configuration_says_so(
    tmp_path: Path,
) -> None:
    more = (
        "[entity.events]\nunknown_studies = false\nunknown_patients = false\n"
        f'operators = ["4711^99STAFF"]\n{SERVICE}'
        '[[entity.service]]\nname = "storage"\nroles = ["scp"]\n'
    )
    known = generate_uid()
    worklist = tmp_path / "state" / "worklist"
    scheduled = entry(2)
    scheduled.set("AdmissionID", "A1")
    add_entry(str(worklist), scheduled)
    with NodeProcess(tmp_path, more) as node:
        store_image(node.port, known)
        with device(node.port) as hemo:
            other = generate_uid()
            told = event("a", StudyInstanceUID=other, PatientID="P1", StudyID="S9")
            assert hemo.log(told)[0] == 0xC101
            told = event("a", StudyInstanceUID=other, PatientID="P1", StudyID="S1")
            status, reply = hemo.log(told)
            assert (status, reply.StudyInstanceUID) == (0xB102, known)
            (log,) = logs(node)
            assert (log.PatientName, log.StudyInstanceUID) == ("Doe^Jane", known)
            # The worklist knows what the archive does not.
            planned = scheduled.text("StudyInstanceUID")
            status, reply = hemo.log(event("b", StudyInstanceUID=planned))
            assert (status, reply.PatientID) == (0, scheduled.text("PatientID"))
            assert str(logs(node)[-1].PatientName) == scheduled.text("PatientName")

            assert hemo.give(administration()) == 0
            assert hemo.give(administration(PatientID="P9")) == 0xC110
            assert hemo.give(administration(PatientID="", AdmissionID="A1")) == 0
            assert hemo.give(administration(PatientID="", AdmissionID="*")) == 0xC110
            stranger = administration()
            person = stranger.OperatorIdentificationSequence[0]
            person.PersonIdentificationCodeSequence = [code("1", "99STAFF", "Nobody")]
            assert hemo.give(stranger) == 0xC10E


def test_cd_31_an_administration_is_recorded_and_read_back(tmp_path: Path) -> None:
    with NodeProcess(tmp_path, SERVICE) as node:
        with device(node.port) as pump:
            assert pump.give(administration()) == 0
            assert pump.give(administration()) == 0
            assert pump.give(administration(ProductName="Saline")) == 0
            assert pump.give(administration(PatientID="")) == 0xC110
            assert pump.give(administration(SubstanceAdministrationDateTime="")) == 0x0115
            assert pump.give(administration(OperatorIdentificationSequence=[])) == 0x0115
            assert pump.give(administration(), action=2) == 0x0123
            assert pump.give(administration(), uid=PROCEDURAL_INSTANCE) == 0x0112
        found = node.ask("administrations", patient_id="P1")["items"]
        names = [each["administration"]["00440008"]["Value"] for each in found]
        assert names == [["Saline"], ["Iodine 300"]]
        shown = gantry("substances", "--control", node.control).check().output
        assert "20250102120000  P1  Iodine 300  by Weiss, told by HEMO" in shown
        nobody = gantry("substances", "--control", node.control, "--patient", "P9").check()
        assert "no administrations" in nobody.output


def test_cd_31_a_disk_that_takes_no_administration_gets_c111(tmp_path: Path) -> None:
    with NodeProcess(tmp_path, SERVICE) as node:
        (tmp_path / "state" / "archive" / "main" / "administrations.jsonl").mkdir()
        with device(node.port) as pump:
            assert pump.give(administration()) == 0xC111


def test_cd_31_a_full_archive_promises_nothing(tmp_path: Path) -> None:
    full = '[[archive]]\nname = "main"\nquota = "1 MiB"\n'
    uid = generate_uid()
    with NodeProcess(tmp_path, SERVICE + full) as node:
        with device(node.port) as hemo:
            for letter in "ab":
                told = event(letter * 700_000, StudyInstanceUID=uid, PatientID="P1")
                assert hemo.log(told)[0] == 0
            assert hemo.log(event("c", StudyInstanceUID=uid, PatientID="P1"))[0] == 0x0213
            assert hemo.give(administration()) == 0xC111
        assert len(logs(node)) == 2
        assert node.ask("administrations")["items"] == []


def test_cd_31_nothing_that_was_answered_is_lost_when_the_node_is_killed(tmp_path: Path) -> None:
    uid = generate_uid()
    node = NodeProcess(tmp_path, SERVICE)
    try:
        for number in range(1, 4):
            node.start()
            hemo = Device(node.port)
            at = f"202501021200{number:02}"
            told = event(f"{number}", at, StudyInstanceUID=uid, PatientID="P1")
            assert hemo.log(told)[0] == 0
            assert hemo.give(administration(ProductName=f"{number}")) == 0
            node.kill()
            hemo.association.abort()
            assert texts(logs(node)[-1]) == [str(each) for each in range(1, number + 1)]
        node.start()
        assert len(node.ask("administrations")["items"]) == 3
        (study,) = node.ask("studies")["items"]
        assert study["instances"] == 3
    finally:
        node.kill()


class Logger:
    """An SCP of pynetdicom that notes what it is told and answers as it is told."""

    def __init__(self, status: int = 0, **reply: str) -> None:
        self.port = free_port()
        self.told: list[tuple[Any, Dataset]] = []
        self.status = status
        self.reply = reply

    def __enter__(self) -> Logger:
        application = AE(ae_title="LOGGER")
        application.add_supported_context(PROCEDURAL)
        application.add_supported_context(SUBSTANCE)
        self._server = application.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_N_ACTION, self._take)]
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()

    def _take(self, happened: Any) -> tuple[int, Dataset | None]:
        self.told.append((happened.request, happened.action_information))
        reply = Dataset()
        for keyword, value in self.reply.items():
            setattr(reply, keyword, value)
        return self.status, reply if self.reply else None

    def ask(self, *words: str) -> Any:
        return gantry("log-event", f"127.0.0.1:{self.port}", "--called", "LOGGER", *words)


def test_ps34_138_an_event_is_sent_to_the_well_known_instance(tmp_path: Path) -> None:
    note = ("--note", "Größe", "--by", "nurse", "--observer", "Weiß^Anna")
    with Logger(0xB102, StudyInstanceUID="1.2.4", PatientID="P1") as logger:
        said = logger.ask("procedure", "StudyInstanceUID=1.2.3", "PatientID=P1", *note).check()
        assert "B102H Warning" in said.output and "go on with study 1.2.4" in said.output
        shown = logger.ask("procedure", "PatientID=P1", *note, "--synchronized", "--json").check()
        assert json.loads(shown.output)["study_instance_uid"] == "1.2.4"
    (request, told), (_, second) = logger.told
    assert (request.RequestedSOPInstanceUID, request.ActionTypeID) == (PROCEDURAL_INSTANCE, 1)
    assert told.SynchronizationFrameOfReferenceUID == ""
    assert second.SynchronizationFrameOfReferenceUID == UTC_SYNCHRONIZATION
    assert {"StudyID", "PerformedLocation", "PatientID"} <= {each.keyword for each in told}
    assert [each.ValueType for each in told.ContentSequence] == ["CODE", "PNAME", "TEXT"]
    assert told.ContentSequence[-1].TextValue == "Größe"
    assert told.ContentSequence[-1].ObservationDateTime
    # Whoever takes our events may be Gantry.
    with NodeProcess(tmp_path, SERVICE) as node:
        words = ("procedure", "StudyInstanceUID=1.2.3", "PatientID=P1", *note)
        address = f"127.0.0.1:{node.port}"
        said = gantry("log-event", address, "--called", "GANTRY", *words).check()
        assert "0000H Success, in study 1.2.3" in said.output
        assert texts(logs(node)[0]) == ["Größe"]


def test_ps34_139_an_administration_is_sent_with_what_its_table_wants() -> None:
    words = (
        "substance",
        "PatientID=P1",
        "ProductName=Iodine 300",
        "--operator",
        "4711^99STAFF^Weiss",
        "--route",
        "47625008^SCT^Intravenous route",
    )
    with Logger() as logger:
        logger.ask(*words).check()
        logger.status = 0xC10E
        refused = logger.ask(*words)
        assert refused.returncode == 1
        assert "C10EH Failed: operator refused" in refused.output
    (request, told), _ = logger.told
    assert (request.RequestedSOPInstanceUID, request.ActionTypeID) == (SUBSTANCE_INSTANCE, 1)
    operator = told.OperatorIdentificationSequence[0].PersonIdentificationCodeSequence[0]
    assert (operator.CodeValue, operator.CodeMeaning) == ("4711", "Weiss")
    assert told.AdministrationRouteCodeSequence[0].CodeValue == "47625008"
    assert told.SubstanceAdministrationDateTime.startswith(time.strftime("%Y"))
    assert told.PatientName == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("procedure", "PatientID=P1"), "no event"),
        (("procedure", "PatientID=P1", "--note", "a"), "observer"),
        (("substance", "PatientID=P1", "--operator", "4711"), "no code"),
    ],
)
def test_half_an_event_is_not_sent(words: tuple[str, ...], said: str) -> None:
    ended = gantry("log-event", "127.0.0.1:1", *words)
    assert ended.returncode == 2
    assert said in ended.output


def test_cd_31_the_profile_offers_both_classes_and_the_statement_tells_of_them() -> None:
    stated = gantry("conformance", "cdac-sdk").check().output
    for words in (
        f"| Procedural Event Logging | {PROCEDURAL} |",
        f"| Substance Administration Logging | {SUBSTANCE} |",
        "### Procedural Event Logging as SCP (PS3.4 P.2.5.2)",
        "### Substance Administration Logging as SCP (PS3.4 P.3.5.2)",
        "### Application Event Logging as SCU (PS3.4 P.2.5.1, P.3.5.1)",
        "C104H Failed",
        "C111H Failed",
    ):
        assert words in stated
