"""Worklists and steps as MxView, C-DAC's toolkit and Reviewer describe them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ImplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt
from pynetdicom.presentation import build_role
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepNotification,
    ModalityPerformedProcedureStepRetrieve,
    ModalityWorklistInformationFind,
)

from agent.archive.worklist_store import add_entry
from agent.dataset.json_model import to_json
from agent.objects.waveform_iods import GENERAL_ECG
from agent.services.modality_worklist import RETURN_KEYS, STEP
from agent.services.performed_procedure_step_table import ROWS
from tests.checklists.test_profiles import ProfileNode
from tests.cli_of import gantry
from tests.node.running import NodeProcess, free_port
from tests.node.test_examination import CAPTURE, Clinic
from tests.node.test_steps import Modality, Ris, begun, completed, relay, until
from tests.node.test_worklist import entry
from tests.objects.test_waveforms import ECG, WaveformFile
from tests.peers.dcmtk import DcmtkStoreScp

KINDS = {
    "worklist": ModalityWorklistInformationFind,
    "performed-step": ModalityPerformedProcedureStep,
}


class SlowRis:
    """A RIS of pynetdicom that counts the associations it holds, and takes its time to answer."""

    def __init__(self, *services: str) -> None:
        self.port = free_port()
        self.most = 0
        self.seen: Counter[str] = Counter()
        self._open: set[Any] = set()
        application = AE(ae_title="RIS")
        for name in services:
            application.add_supported_context(KINDS[name])
        ends = (evt.EVT_RELEASED, evt.EVT_ABORTED, evt.EVT_CONN_CLOSE)
        self.server = application.start_server(
            ("127.0.0.1", self.port),
            block=False,
            evt_handlers=[
                (evt.EVT_ACCEPTED, self._begin),
                *((each, self._end) for each in ends),
                (evt.EVT_C_FIND, self._find),
                (evt.EVT_N_CREATE, self._create),
                (evt.EVT_N_SET, self._set),
            ],
        )

    def _begin(self, event: Any) -> None:
        self._open.add(event.assoc)
        self.most = max(self.most, len(self._open))

    def _end(self, event: Any) -> None:
        self._open.discard(event.assoc)

    def _find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        self.seen["find"] += 1
        time.sleep(0.4)
        yield 0xFF00, _entry()
        yield 0x0000, None

    def _create(self, event: Any) -> tuple[int, None]:
        self.seen["create"] += 1
        time.sleep(0.4)
        return 0, None

    def _set(self, event: Any) -> tuple[int, None]:
        self.seen["set"] += 1
        time.sleep(0.4)
        return 0, None


def _entry() -> Dataset:
    return Dataset.from_json(to_json(entry(1)))


def _device(folder: Path, peers: dict[str, tuple[SlowRis, tuple[str, ...]]]) -> NodeProcess:
    node = NodeProcess(
        folder,
        "".join(
            f'[[peer]]\nname = "{name}"\naddresses = ["127.0.0.1:{ris.port}"]\n'
            f"services = {list(services)}\n[peer.quirks]\nsingle_association = true\n"
            for name, (ris, services) in peers.items()
        )
        + CAPTURE,
    )
    asked = next(name for name, (_, services) in peers.items() if "worklist" in services)
    told = next(name for name, (_, services) in peers.items() if "performed-step" in services)
    head = (
        f'[worklist]\npeer = "{asked}"\nany_day = true\nevery = "0 s"\n[steps]\npeer = ["{told}"]\n'
    )
    text = node.configuration.read_text()
    node.configuration.write_text(text.replace("[[entity]]", f"{head}[[entity]]", 1))
    return node


@pytest.mark.parametrize("joint", [True, False])
def test_mx_14_one_association_at_a_time_with_one_ris_and_two_with_two(
    tmp_path: Path, joint: bool
) -> None:
    both = ("worklist", "performed-step")
    one = SlowRis(*both if joint else both[:1])
    two = one if joint else SlowRis(*both[1:])
    peers = {"A": (one, both)} if joint else {"A": (one, both[:1]), "B": (two, both[1:])}
    with _device(tmp_path, peers) as node:
        node.ask("worklist", refresh=True)

        def refresh() -> None:
            for _ in range(4):
                node.ask("worklist", refresh=True)

        asking = threading.Thread(target=refresh)
        asking.start()
        for _ in range(2):
            node.ask("exam-start", keys={"ScheduledProcedureStepID": "SPS1"})
            node.ask("exam-finish")
        asking.join(30)
        until(lambda: two.seen["set"] == 2, lambda: node.log)
    for ris in {one, two}:
        ris.server.shutdown()
        assert ris.most == 1
    assert one.seen["find"] == 5


@pytest.mark.parametrize("final", ["COMPLETED", "DISCONTINUED"])
def test_cd_27_steps_are_taken_passed_on_read_and_notified_on_a_class_for_each(
    tmp_path: Path, final: str
) -> None:
    ris = Ris(free_port()).start()
    uid = generate_uid()
    with relay(tmp_path, ris) as node:
        device = Modality(node.port)
        assert device.create(begun(), uid).Status == 0
        assert device.set(completed(final), uid).Status == 0
        again = device.set(completed("COMPLETED"), uid)
        assert (again.Status, again.ErrorID) == (0x0110, 0xA710)
        accepted = {str(each.abstract_syntax) for each in device.association.accepted_contexts}
        assert accepted == {ModalityPerformedProcedureStep, ModalityPerformedProcedureStepRetrieve}
        status, found = device.get(uid)
        assert status.Status == 0
        assert found is not None
        assert found.PerformedProcedureStepStatus == final
        until(lambda: len(ris.said) == len(ris.events) == 2, lambda: node.log)
        shown = gantry("mpps", f"127.0.0.1:{node.port}", "get", uid, "--called", "GANTRY").check()
        assert f"PerformedProcedureStepStatus = {final}" in shown.output
    ris.stop()
    assert [what for what, _, _ in ris.said] == ["create", "set"]
    assert ris.said[1][2].PerformedProcedureStepStatus == final
    assert ris.events == [(uid, 1), (uid, {"COMPLETED": 2, "DISCONTINUED": 3}[final])]
    assert set(ris.event_classes) == {ModalityPerformedProcedureStepNotification}


LISTENS = '[[entity.service]]\nname = "step-notification"\nroles = ["scu"]\n'


def test_cd_27_notifications_of_others_are_taken_as_scu_and_unknown_events_refused(
    tmp_path: Path,
) -> None:
    uid = generate_uid()
    with NodeProcess(tmp_path, LISTENS) as node:
        application = AE(ae_title="RIS")
        application.add_requested_context(ModalityPerformedProcedureStepNotification)
        role = build_role(ModalityPerformedProcedureStepNotification, scp_role=True)
        association = application.associate(
            "127.0.0.1", node.port, ae_title="GANTRY", ext_neg=[role]
        )
        assert association.is_established
        answers = [
            association.send_n_event_report(
                None, event, ModalityPerformedProcedureStepNotification, uid
            )[0].Status
            for event in (1, 2, 3, 4, 5, 6)
        ]
        association.release()
        assert answers == [0, 0, 0, 0, 0, 0x0113]
        assert node.log.count(f"step notified step={uid}") == 5


def test_cd_27_a_node_of_ours_notifies_another_one(tmp_path: Path) -> None:
    uid = generate_uid()
    with NodeProcess(tmp_path / "listener", LISTENS) as listener:
        notifier = NodeProcess(
            tmp_path / "notifier",
            '[[entity.service]]\nname = "performed-step"\nroles = ["scp"]\n'
            '[entity.steps]\nnotify = ["OTHER"]\n'
            f'[[peer]]\nname = "OTHER"\ntitle = "GANTRY"\nservices = ["performed-step"]\n'
            f'addresses = ["127.0.0.1:{listener.port}"]\n',
        )
        with notifier as node:
            device = Modality(node.port)
            assert device.create(begun(), uid).Status == 0
            assert device.set(completed(), uid).Status == 0
            until(lambda: listener.log.count("step notified") == 2, lambda: node.log)
    assert listener.log.index("IN PROGRESS") < listener.log.index("COMPLETED")


@pytest.mark.parametrize("discontinue", ["", "110501"])
def test_mx_16_waveforms_are_listed_apart_from_images(
    tmp_path: Path, start_peer: Any, discontinue: str
) -> None:
    pacs = start_peer(DcmtkStoreScp(tmp_path / "pacs"))
    with Clinic(tmp_path, pacs.port) as clinic:
        add_entry(str(clinic.worklist), entry(1))
        begun = clinic.start()
        clinic.exam("capture")
        (image,) = (dcmread(path) for path in pacs.wait_for_files(1))
        file = WaveformFile(tmp_path, GENERAL_ECG)
        file.writer.begin_group(ECG)
        file.writer.write(bytes(2 * 12 * 500))
        file.writer.end_group()
        file.finish()
        ecg = dcmread(file.path)
        ecg.StudyInstanceUID, ecg.SeriesInstanceUID = (
            image.StudyInstanceUID,
            image.SeriesInstanceUID,
        )
        ecg.save_as(file.path)
        gantry("send", f"127.0.0.1:{clinic.box.port}", file.path, "--called", "GANTRY").check()
        clinic.exam("finish", discontinue=discontinue)
        until(lambda: len(clinic.steps.said) == 2, lambda: clinic.box.log)
    _, uid, change = clinic.steps.said[1]
    assert uid == begun["step"]
    (series,) = change.PerformedSeriesSequence
    (listed,) = series.ReferencedImageSequence
    (apart,) = series.ReferencedNonImageCompositeSOPInstanceSequence
    assert listed.ReferencedSOPInstanceUID == image.SOPInstanceUID
    assert (apart.ReferencedSOPClassUID, apart.ReferencedSOPInstanceUID) == (
        ecg.SOPClassUID,
        ecg.SOPInstanceUID,
    )


def test_rv_37_the_query_has_its_keys_where_the_standard_has_them_and_all_return_keys(
    tmp_path: Path,
) -> None:
    asked: list[tuple[str, Dataset]] = []

    def find(event: Any) -> Iterator[tuple[int, None]]:
        asked.append((str(event.context.transfer_syntax), event.identifier))
        yield 0x0000, None

    port = free_port()
    application = AE(ae_title="RIS")
    # Reviewer's statement knows no other syntax for it.
    application.add_supported_context(ModalityWorklistInformationFind, ImplicitVRLittleEndian)
    server = application.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_FIND, find)]
    )
    more = (
        '[worklist]\npeer = "RIS"\nstation = "REVIEWER"\nmodality = "CT"\n'
        f'[[peer]]\nname = "RIS"\naddresses = ["127.0.0.1:{port}"]\nservices = ["worklist"]\n'
    )
    with ProfileNode(tmp_path, "reviewer", ["REVIEWER"], more) as node:
        until(lambda: asked, lambda: node.log)
    words = ("PatientName=Doe*", "PatientID=P1", "Modality=CT", "ScheduledStationAETitle=REVIEWER")
    gantry("worklist", f"127.0.0.1:{port}", *words, "--called", "RIS").check()
    server.shutdown()
    for syntax, query in asked:
        assert syntax == ImplicitVRLittleEndian
        (step,) = query.ScheduledProcedureStepSequence
        assert (step.Modality, step.ScheduledStationAETitle) == ("CT", "REVIEWER")
        for sequence, keywords in RETURN_KEYS.items():
            place = getattr(query, sequence)[0] if sequence else query
            for keyword in keywords:
                assert keyword in place, keyword
    assert asked[0][1][STEP][0].ScheduledProcedureStepStartDate == time.strftime("%Y%m%d")
    assert (str(asked[1][1].PatientName), asked[1][1].PatientID) == ("Doe*", "P1")


REVIEWER_CREATES = (
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "PerformedStationAETitle",
    "PerformedStationName",
    "PerformedLocation",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
    "PerformedProcedureStepEndDate",
    "PerformedProcedureStepEndTime",
    "PerformedProcedureStepStatus",
    "PerformedProcedureStepID",
    "PerformedProcedureStepDescription",
    "PerformedProtocolCodeSequence",
)
REVIEWER_SETS = (
    "PerformedProcedureStepEndDate",
    "PerformedProcedureStepStatus",
    "PerformedProcedureStepDescription",
    "PerformedProtocolCodeSequence",
)


def test_rv_39_ps34_001_create_and_set_have_what_statement_and_standard_say_and_no_sop_uids(
    tmp_path: Path, start_peer: Any
) -> None:
    pacs = start_peer(DcmtkStoreScp(tmp_path / "pacs"))
    made = Clinic(tmp_path, pacs.port)
    made.steps.syntaxes = (ImplicitVRLittleEndian,)
    with made as clinic:
        add_entry(str(clinic.worklist), entry(1))
        clinic.start()
        clinic.exam("capture")
        clinic.exam("finish")
        until(lambda: len(clinic.steps.said) == 2, lambda: clinic.box.log)
    (_, _, created), (_, _, changed) = clinic.steps.said
    for keyword in REVIEWER_CREATES:
        assert keyword in created, keyword
    assert not created.PerformedProcedureStepEndDate
    for keyword in REVIEWER_SETS:
        assert keyword in changed, keyword
    whole = Dataset()
    whole.update(created)
    whole.update(changed)
    assert "SOPClassUID" not in whole and "SOPInstanceUID" not in whole
    for row in ROWS:
        places = [whole]
        for keyword in row.path:
            places = [item for place in places for item in getattr(place, keyword, [])]
        for place in places:
            assert row.create == 3 or row.keyword in place, row
            assert row.final != 1 or getattr(place, row.keyword, None), row
