"""Performed procedure steps over the wire, both roles, with pynetdicom on the other side."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, DEFAULT_TRANSFER_SYNTAXES, evt
from pynetdicom.dsutils import encode
from pynetdicom.presentation import build_role
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepNotification,
    ModalityPerformedProcedureStepRetrieve,
)

from agent.archive.worklist_store import add_entry
from tests.cli_of import gantry
from tests.node.running import NodeProcess, free_port
from tests.node.test_worklist import EXPLICIT, entry
from tests.peers.raw_pdu import command_set, proposed_context, status_of
from tests.peers.raw_peer import RawPeer

SERVES = (
    '[[entity.service]]\nname = "performed-step"\nroles = ["scp"]\n'
    '[[entity.service]]\nname = "worklist"\nroles = ["scp"]\n'
)


@dataclass
class Ris:
    """A step SCP of pynetdicom that writes down what it is told; `answers` are statuses to give."""

    port: int
    said: list[tuple[str, str, Dataset]] = field(default_factory=list)
    events: list[tuple[str, int]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    roles: list[tuple[Any, Any]] = field(default_factory=list)
    event_classes: list[str] = field(default_factory=list)
    syntaxes: tuple[str, ...] = tuple(DEFAULT_TRANSFER_SYNTAXES)
    server: Any = None

    def start(self) -> Ris:
        application = AE(ae_title="RIS")
        application.add_supported_context(
            ModalityPerformedProcedureStep, list(self.syntaxes), scu_role=True, scp_role=False
        )
        application.add_supported_context(
            ModalityPerformedProcedureStepNotification, scu_role=True, scp_role=True
        )
        self.server = application.start_server(
            ("127.0.0.1", self.port),
            block=False,
            evt_handlers=[
                (evt.EVT_N_CREATE, self._create),
                (evt.EVT_N_SET, self._set),
                (evt.EVT_N_EVENT_REPORT, self._event),
                (evt.EVT_REQUESTED, self._requested),
            ],
        )
        return self

    def _requested(self, event: Any) -> None:
        requestor = event.assoc.requestor
        self.roles.append((dict(requestor.role_selection), dict(requestor.sop_class_extended)))

    def _status(self) -> Any:
        status = self.answers.pop(0) if self.answers else 0
        if status == 0xA710:
            said = Dataset()
            said.Status = 0x0110
            said.ErrorComment = "Performed Procedure Step Object may no longer be updated"
            said.ErrorID = 0xA710
            return said
        return status

    def _create(self, event: Any) -> tuple[Any, Dataset | None]:
        uid = event.request.AffectedSOPInstanceUID
        self.said.append(("create", str(uid), event.attribute_list))
        return self._status(), None

    def _set(self, event: Any) -> tuple[Any, Dataset | None]:
        uid = event.request.RequestedSOPInstanceUID
        self.said.append(("set", str(uid), event.modification_list))
        return self._status(), None

    def _event(self, event: Any) -> tuple[int, None]:
        self.event_classes.append(str(event.context.abstract_syntax))
        self.events.append((str(event.request.AffectedSOPInstanceUID), event.request.EventTypeID))
        return 0, None

    def stop(self) -> None:
        if self.server is not None:
            self.server.shutdown()
            self.server = None


@pytest.fixture
def ris() -> Iterator[Ris]:
    made = Ris(free_port())
    yield made
    made.stop()


def begun(**more: Any) -> Dataset:
    step = Dataset()
    scheduled = Dataset()
    scheduled.StudyInstanceUID = "1.2.826.0.1.3680043.9.6.1"
    scheduled.ReferencedStudySequence = []
    scheduled.AccessionNumber = "A1"
    scheduled.RequestedProcedureID = "RP1"
    scheduled.ScheduledProcedureStepID = "SPS1"
    step.ScheduledStepAttributesSequence = [scheduled]
    step.PatientName = "Müller^Jörg"
    step.SpecificCharacterSet = "ISO_IR 100"
    step.PatientID = "P1"
    step.PerformedProcedureStepID = "PPS1"
    step.PerformedStationAETitle = "US1"
    step.PerformedProcedureStepStartDate = "20260101"
    step.PerformedProcedureStepStartTime = "080000"
    step.PerformedProcedureStepStatus = "IN PROGRESS"
    step.PerformedProcedureStepDiscontinuationReasonCodeSequence = []
    step.Modality = "US"
    step.PerformedSeriesSequence = []
    for keyword, value in more.items():
        setattr(step, keyword, value)
    return step


def completed(status: str = "COMPLETED") -> Dataset:
    change = Dataset()
    change.PerformedProcedureStepStatus = status
    change.PerformedProcedureStepEndDate = "20260101"
    change.PerformedProcedureStepEndTime = "090000"
    series = Dataset()
    series.ProtocolName = "Abdomen"
    series.SeriesInstanceUID = "1.2.3.4"
    change.PerformedSeriesSequence = [series]
    return change


class Modality:
    """pynetdicom as a device that reports to us."""

    def __init__(self, port: int) -> None:
        application = AE(ae_title="US1")
        application.add_requested_context(ModalityPerformedProcedureStep)
        application.add_requested_context(ModalityPerformedProcedureStepRetrieve)
        self.association = application.associate(
            "127.0.0.1",
            port,
            ae_title="GANTRY",
            ext_neg=[build_role(ModalityPerformedProcedureStep, scu_role=True)],
        )
        assert self.association.is_established

    def create(self, step: Dataset, uid: str) -> Dataset:
        status, _ = self.association.send_n_create(step, ModalityPerformedProcedureStep, uid)
        return Dataset(status)

    def set(self, change: Dataset, uid: str) -> Dataset:
        status, _ = self.association.send_n_set(change, ModalityPerformedProcedureStep, uid)
        return Dataset(status)

    def get(self, uid: str, *tags: int) -> tuple[Dataset, Dataset | None]:
        status, found = self.association.send_n_get(
            list(tags), ModalityPerformedProcedureStepRetrieve, uid
        )
        return status, found


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path / "node", SERVES) as running:
        yield running


def until(holds: Any, why: Any = str, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, why()
        time.sleep(0.05)


def test_a_step_goes_from_in_progress_to_completed_and_no_further(node: NodeProcess) -> None:
    uid = generate_uid()
    device = Modality(node.port)
    assert device.create(begun(), uid).Status == 0
    assert device.create(begun(), uid).Status == 0x0111
    note = Dataset()
    note.PerformedProcedureStepDescription = "Abdomen"
    assert device.set(note, uid).Status == 0
    assert device.set(completed(), uid).Status == 0
    status, found = device.get(uid)
    assert status.Status == 0
    assert found is not None
    found.decode()
    assert str(found.PatientName) == "Müller^Jörg"
    assert found.PerformedProcedureStepStatus == "COMPLETED"
    assert found.PerformedProcedureStepDescription == "Abdomen"


def test_ps34_099_a_step_cannot_be_created_completed(node: NodeProcess) -> None:
    uid = generate_uid()
    wrong = begun(PerformedProcedureStepStatus="COMPLETED")
    with RawPeer.connect(node.port) as peer:
        peer.associate(proposed_context(1, str(ModalityPerformedProcedureStep), EXPLICIT))
        command: dict[int, int | str | bytes] = {
            0x0002: str(ModalityPerformedProcedureStep),
            0x0100: 0x0140,
            0x0110: 1,
            0x0800: 1,
            0x1000: uid,
        }
        peer.send_message(1, command_set(command), encode(wrong, False, True))
        answer = peer.receive_message()
        peer.release()
    assert status_of(answer.command) == 0x0106
    # The Attribute List says which value was wrong (F.7.2.1.3).
    assert b"COMPLETED" in answer.data_set
    assert Modality(node.port).get(uid)[0].Status == 0x0112


@pytest.mark.parametrize("final", ["COMPLETED", "DISCONTINUED"])
def test_ps34_100_a_final_step_is_not_changed_any_more(node: NodeProcess, final: str) -> None:
    uid = generate_uid()
    device = Modality(node.port)
    assert device.create(begun(), uid).Status == 0
    assert device.set(completed(final), uid).Status == 0
    refused = device.set(completed("DISCONTINUED"), uid)
    assert refused.Status == 0x0110
    assert refused.ErrorID == 0xA710
    assert "no longer be updated" in refused.ErrorComment
    _, found = device.get(uid)
    assert found is not None
    assert found.PerformedProcedureStepStatus == final


def test_ps34_005_101_what_is_not_there_is_not_given(node: NodeProcess) -> None:
    uid = generate_uid()
    device = Modality(node.port)
    assert device.get(uid)[0].Status == 0x0112
    assert device.set(completed(), uid).Status == 0x0112
    assert device.create(begun(), uid).Status == 0
    status, found = device.get(uid, 0x00100020, 0x00401010)
    assert status.Status == 0x0001
    assert found is not None
    assert found.PatientID == "P1"


def test_ps34_002_003_attributes_that_are_missing_or_empty_are_told(node: NodeProcess) -> None:
    uid = generate_uid()
    device = Modality(node.port)
    without = begun()
    del without.PerformedStationAETitle
    assert device.create(without, uid).Status == 0x0120
    assert device.create(begun(PerformedProcedureStepID=""), uid).Status == 0x0121
    assert device.create(begun(), uid).Status == 0
    wrong = Dataset()
    wrong.PatientID = "P2"
    wrong.PerformedProcedureStepDescription = "new"
    assert device.set(wrong, uid).Status == 0x0107
    _, found = device.get(uid)
    assert found is not None
    assert (found.PatientID, found.PerformedProcedureStepDescription) == ("P1", "new")


def test_steps_survive_kill_and_the_worklist_follows_them(node: NodeProcess) -> None:
    folder = node.folder / "state" / "worklist"
    add_entry(str(folder), entry(1))
    uid = generate_uid()
    assert Modality(node.port).create(begun(), uid).Status == 0
    node.kill()
    node.start()
    device = Modality(node.port)
    status, found = device.get(uid)
    assert status.Status == 0
    assert found is not None
    assert device.set(completed(), uid).Status == 0
    (file,) = folder.glob("*.json")
    step = json.loads(file.read_text())["00400100"]["Value"][0]
    assert step["00400020"]["Value"] == ["COMPLETED"]
    shown = gantry("worklist", f"127.0.0.1:{node.port}", "--called", "GANTRY")
    assert "SPS1" not in shown.output


def relay(tmp_path: Path, ris: Ris) -> NodeProcess:
    return NodeProcess(
        tmp_path / "node",
        f'{SERVES}[entity.steps]\nforward = ["RIS"]\nnotify = ["RIS"]\n'
        f'[[peer]]\nname = "RIS"\naddresses = ["127.0.0.1:{ris.port}"]\n'
        'services = ["performed-step"]\n[peer.retry]\nfirst = "0.2 s"\nlongest = "0.5 s"\n',
    )


def test_ps34_102_a_relayed_step_arrives_in_order_with_its_events_though_the_ris_was_away(
    tmp_path: Path, ris: Ris
) -> None:
    uid = generate_uid()
    with relay(tmp_path, ris) as node:
        device = Modality(node.port)
        assert device.create(begun(), uid).Status == 0
        assert device.set(completed(), uid).Status == 0
        node.kill()
        node.start()
        ris.start()
        until(lambda: len(ris.said) == 2 and len(ris.events) == 2, lambda: node.log)
    assert [(what, each) for what, each, _ in ris.said] == [("create", uid), ("set", uid)]
    assert ris.said[0][2].PatientID == "P1"
    assert ris.said[1][2].PerformedProcedureStepStatus == "COMPLETED"
    assert ris.events == [(uid, 1), (uid, 2)]


def test_ps34_091_093_094_098_what_is_reported_has_role_reason_and_character_set(
    tmp_path: Path, ris: Ris
) -> None:
    ris.start()
    with relay(tmp_path, ris) as node:
        uid = generate_uid()
        device = Modality(node.port)
        assert device.create(begun(), uid).Status == 0
        note = completed()
        note.PerformedProcedureStepDescription = "Größe"
        note.SpecificCharacterSet = "ISO_IR 100"
        assert device.set(note, uid).Status == 0
        until(lambda: len(ris.said) == 2, lambda: node.log)
    roles, extended = ris.roles[0]
    assert roles[ModalityPerformedProcedureStep].scu_role
    assert extended == {}
    created, changed = ris.said[0][2], ris.said[1][2]
    assert created.PerformedProcedureStepDiscontinuationReasonCodeSequence == []
    assert created.SpecificCharacterSet == changed.SpecificCharacterSet == "ISO_IR 100"
    assert "PatientID" not in changed


def test_ps34_097_a710_ends_the_tries(tmp_path: Path, ris: Ris) -> None:
    ris.answers = [0, 0xA710]
    ris.start()
    with relay(tmp_path, ris) as node:
        uid = generate_uid()
        device = Modality(node.port)
        assert device.create(begun(), uid).Status == 0
        assert device.set(completed(), uid).Status == 0
        until(lambda: len(ris.said) == 2, lambda: node.log)
        until(lambda: not node.ask("queue")["items"], lambda: node.log)
        time.sleep(1)
        assert len(ris.said) == 2
        assert 'status="0110H Processing failure (...)"' in node.log


def test_our_command_creates_sets_and_reads_a_step(node: NodeProcess, ris: Ris) -> None:
    ris.start()
    address = f"127.0.0.1:{ris.port}"
    made = gantry("mpps", address, "create", "PatientID=P1", "PatientName=Größe", "--called", "RIS")
    assert made.returncode == 0, made.output
    uid = made.output.split()[-1]
    step = ris.said[0][2]
    step.decode()
    assert str(step.PatientName) == "Größe"
    assert step.PerformedProcedureStepStatus == "IN PROGRESS"
    ours = f"127.0.0.1:{node.port}"
    made = gantry("mpps", ours, "create", "PatientID=P1", "--called", "GANTRY")
    uid = made.output.split()[-1]
    bad = gantry(
        "mpps", ours, "set", uid, "PerformedProcedureStepStatus=COMPLETED", "--called", "GANTRY"
    )
    assert bad.returncode != 0
    assert "PerformedSeriesSequence" in bad.output
    done = gantry(
        "mpps", ours, "set", uid, "PerformedProcedureStepDescription=x", "--called", "GANTRY"
    )
    assert done.returncode == 0, done.output
    read = gantry("mpps", ours, "get", uid, "--called", "GANTRY")
    assert "PerformedProcedureStepDescription = x" in read.output
