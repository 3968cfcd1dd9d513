"""Storage commitment over the wire, both roles: pynetdicom on the other side."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.presentation import build_role
from pynetdicom.sop_class import StorageCommitmentPushModel

from tests.checklists.made import CT, instance_uid, store_all
from tests.node.running import NodeProcess, free_port, peer_table

WELL_KNOWN = "1.2.840.10008.1.20.1.1"
ULTRASOUND = "1.2.840.10008.5.1.4.1.1.6.1"
STORAGE = [CT, ULTRASOUND]


def until(holds: Any, why: Any = str, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, why()
        time.sleep(0.05)


@dataclass
class CommittingArchive:
    """pynetdicom as an archive: stores, and answers requests when it is told to."""

    port: int
    caller: int
    lost: set[str] = field(default_factory=set)
    answers: list[int] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    asked: list[Dataset] = field(default_factory=list)
    stored_on: list[Any] = field(default_factory=list)
    asked_on: list[Any] = field(default_factory=list)
    reason: int = 0x0112
    server: Any = None

    def start(self) -> CommittingArchive:
        application = AE(ae_title="FAR")
        application.maximum_associations = 20
        for uid in STORAGE:
            application.add_supported_context(uid)
        application.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
        self.server = application.start_server(
            ("127.0.0.1", self.port),
            block=False,
            evt_handlers=[(evt.EVT_C_STORE, self._store), (evt.EVT_N_ACTION, self._action)],
        )
        return self

    def stop(self) -> None:
        if self.server is not None:
            self.server.shutdown()
            self.server = None

    def _store(self, event: Any) -> int:
        self.stored_on.append(event.assoc)
        self.stored.append(str(event.request.AffectedSOPInstanceUID))
        return 0

    def _action(self, event: Any) -> tuple[int, None]:
        self.asked_on.append(event.assoc)
        self.asked.append(event.action_information)
        status = self.answers.pop(0) if self.answers else 0
        return status, None

    def result_of(self, asked: Dataset) -> tuple[int, Dataset]:
        information = Dataset()
        information.TransactionUID = asked.TransactionUID
        kept, failed = [], []
        for item in asked.ReferencedSOPSequence:
            copy = Dataset()
            copy.ReferencedSOPClassUID = item.ReferencedSOPClassUID
            copy.ReferencedSOPInstanceUID = item.ReferencedSOPInstanceUID
            if item.ReferencedSOPInstanceUID in self.lost:
                copy.FailureReason = self.reason
                failed.append(copy)
            else:
                kept.append(copy)
        if kept:
            information.ReferencedSOPSequence = kept
        if failed:
            information.FailedSOPSequence = failed
        return (2 if failed else 1), information

    def report(self, asked: Dataset) -> int:
        """On an association of its own, as SCP."""
        application = AE(ae_title="FAR")
        application.add_requested_context(StorageCommitmentPushModel)
        association = application.associate(
            "127.0.0.1",
            self.caller,
            ae_title="GANTRY",
            ext_neg=[build_role(StorageCommitmentPushModel, scp_role=True)],
        )
        assert association.is_established
        status = self.report_on(association, asked)
        association.release()
        return status

    def report_on(self, association: Any, asked: Dataset) -> int:
        """On this association."""
        event, information = self.result_of(asked)
        status, _ = association.send_n_event_report(
            information, event, StorageCommitmentPushModel, WELL_KNOWN
        )
        return int(status.Status)


def box(
    folder: Path, archive: CommittingArchive, each: str = "study", more: str = ""
) -> NodeProcess:
    table = peer_table("FAR", archive.port).replace(
        "[peer.retry]",
        f'services = ["storage", "commitment"]\n[peer.commitment]\neach = "{each}"\n'
        f'gather = "0.5 s"\n{more}[peer.retry]',
    )
    node = NodeProcess(
        folder, f'[[entity.service]]\nname = "commitment"\nroles = ["scu", "scp"]\n{table}'
    )
    archive.caller = node.port
    return node


@pytest.fixture
def archive() -> Iterator[CommittingArchive]:
    made = CommittingArchive(free_port(), 0)
    yield made.start()
    made.stop()


def committed(node: NodeProcess) -> bool:
    return "commitment answered" in node.log


def test_ps34_103_a_study_is_asked_for_in_one_transaction_each_object_once(
    tmp_path: Path, archive: CommittingArchive
) -> None:
    with box(tmp_path, archive) as node:
        assert store_all(node.port, (1, CT), (2, CT)) == [0, 0]
        until(lambda: len(archive.asked) == 2, lambda: node.log)
        transactions = {str(each.TransactionUID) for each in archive.asked}
        named = [
            item.ReferencedSOPInstanceUID
            for each in archive.asked
            for item in each.ReferencedSOPSequence
        ]
        assert sorted(named) == [instance_uid(1), instance_uid(2)]
        assert len(transactions) == 2
        for each in archive.asked:
            assert archive.report(each) == 0
        until(lambda: not node.ask("queue")["items"], lambda: node.log)


def test_cd_28_all_objects_of_a_study_that_come_together_are_asked_for_together(
    tmp_path: Path, archive: CommittingArchive
) -> None:
    from tests.checklists.in_syntax import put
    from tests.checklists.made import EXPLICIT, made
    from tests.peers.raw_pdu import proposed_context
    from tests.peers.raw_peer import RawPeer

    with box(tmp_path, archive) as node, RawPeer.connect(node.port) as peer:
        peer.associate(proposed_context(1, CT, EXPLICIT))
        for number in range(1, 6):
            assert put(peer, *made(number, study=77), number=number) == 0
        until(lambda: archive.asked, lambda: node.log)
        assert len(archive.asked[0].ReferencedSOPSequence) == 5
        assert archive.report(archive.asked[0]) == 0
        until(lambda: not node.ask("queue")["items"], lambda: node.log)
        assert len(archive.asked) == 1


def test_ps34_104_108_the_result_comes_on_another_association_after_a_restart(
    tmp_path: Path, archive: CommittingArchive
) -> None:
    with box(tmp_path, archive) as node:
        assert store_all(node.port, (1, CT)) == [0]
        until(lambda: archive.asked, lambda: node.log)
        until(lambda: "commitment asked" in node.log, lambda: node.log)
        (job,) = node.ask("queue")["items"]
        assert job["kind"] == "commit"
        assert "outstanding" in job["reason"]
        node.kill()
        node.start()
        assert archive.report(archive.asked[0]) == 0
        until(lambda: not node.ask("queue")["items"], lambda: node.log)
        # Once more changes nothing (J.3.3.1.3).
        assert archive.report(archive.asked[0]) == 0x0110


def test_ps34_105_110_the_result_may_come_on_the_association_of_the_request(
    tmp_path: Path,
) -> None:
    import threading

    from tests.peers.raw_pdu import (
        accepted_context,
        command_set,
        response,
        status_of,
    )
    from tests.peers.raw_peer import RawServer

    with RawServer() as server:
        archive = CommittingArchive(server.port, 0)
        statuses: list[int] = []

        def serve() -> None:
            with server.accept() as peer:
                peer.accept_association()
                message = peer.receive_message()
                peer.send_message(message.context, response(message.command, 0))
                peer.receive_pdu(0x05)
            with server.accept() as peer:
                peer.accept_association(accepted_context(1, 0, "1.2.840.10008.1.2.1"))
                message = peer.receive_message()
                peer.send_message(message.context, response(message.command, 0))
                report = command_set(
                    {
                        0x0002: "1.2.840.10008.1.20.1",
                        0x0100: 0x0100,
                        0x0110: 7,
                        0x0800: 1,
                        0x1000: WELL_KNOWN,
                        0x1002: 1,
                    }
                )
                # What was asked is what is committed, with the Retrieve AE Title outside.
                title = b"\x08\x00\x54\x00AE\x04\x00FAR "
                peer.send_message(message.context, report, title + message.data_set)
                statuses.append(status_of(peer.receive_message().command))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with box(tmp_path, archive) as node:
            assert store_all(node.port, (1, CT)) == [0]
            until(lambda: statuses, lambda: node.log)
            assert statuses == [0]
            until(lambda: not node.ask("queue")["items"], lambda: node.log)
        thread.join(10)


def test_ps34_106_what_is_lost_is_sent_again_and_asked_for_again(
    tmp_path: Path, archive: CommittingArchive
) -> None:
    archive.lost = {instance_uid(1)}
    with box(tmp_path, archive) as node:
        assert store_all(node.port, (1, CT)) == [0]
        until(lambda: archive.asked, lambda: node.log)
        assert archive.report(archive.asked[0]) == 0
        until(lambda: archive.stored == [instance_uid(1)] * 2, lambda: node.log)
        until(lambda: len(archive.asked) == 2, lambda: node.log)
        archive.lost = set()
        assert archive.report(archive.asked[1]) == 0
        until(lambda: not node.ask("queue")["items"], lambda: node.log)


def test_ps34_106_what_cannot_be_mended_is_held_with_the_reason(
    tmp_path: Path, archive: CommittingArchive
) -> None:
    archive.lost, archive.reason = {instance_uid(1)}, 0x0122
    with box(tmp_path, archive) as node:
        assert store_all(node.port, (1, CT)) == [0]
        until(lambda: archive.asked, lambda: node.log)
        assert archive.report(archive.asked[0]) == 0
        until(lambda: node.queue("FAR").get("held") == 1, lambda: node.log)
        (job,) = node.ask("queue")["items"]
        assert "0122H" in job["reason"]


def test_ps34_107_a_request_that_failed_is_repeated_under_a_new_transaction(
    tmp_path: Path, archive: CommittingArchive
) -> None:
    archive.answers = [0x0213]
    with box(tmp_path, archive) as node:
        assert store_all(node.port, (1, CT)) == [0]
        until(lambda: len(archive.asked) == 2, lambda: node.log, seconds=40)
        first, second = archive.asked
        assert first.TransactionUID != second.TransactionUID
        assert archive.report(first) == 0x0110
        assert archive.report(second) == 0


def test_ps34_109_an_unknown_transaction_is_answered_and_changes_nothing(
    tmp_path: Path, archive: CommittingArchive
) -> None:
    with box(tmp_path, archive) as node:
        assert store_all(node.port, (1, CT)) == [0]
        until(lambda: archive.asked, lambda: node.log)
        strange = Dataset()
        strange.update(archive.asked[0])
        strange.TransactionUID = generate_uid()
        assert archive.report(strange) == 0x0110
        assert len(node.ask("queue")["items"]) == 1


def requester(port: int, references: list[tuple[str, str]], listen: int) -> tuple[int, list[Any]]:
    """pynetdicom as a modality that asks us, and listens for the result."""
    events: list[Any] = []

    def take(event: Any) -> tuple[int, None]:
        events.append((event.event_type, event.event_information, event.assoc.requestor.ae_title))
        return 0, None

    listener = AE(ae_title="ASKER")
    listener.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    server = None
    application = AE(ae_title="ASKER")
    application.add_requested_context(StorageCommitmentPushModel)
    association = application.associate("127.0.0.1", port, ae_title="GANTRY")
    assert association.is_established
    information = Dataset()
    information.TransactionUID = generate_uid()
    items = []
    for sop_class, uid in references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
        items.append(item)
    information.ReferencedSOPSequence = items
    status, _ = association.send_n_action(information, 1, StorageCommitmentPushModel, WELL_KNOWN)
    association.release()
    if status.Status == 0:
        # It was away when the first try came: the result comes again and again.
        time.sleep(1.0)
        server = listener.start_server(
            ("127.0.0.1", listen), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)]
        )
        end = time.monotonic() + 20
        while not events and time.monotonic() < end:
            time.sleep(0.05)
        server.shutdown()
    return status.Status, events


def provider(folder: Path, listen: int) -> NodeProcess:
    return NodeProcess(
        folder,
        '[[entity.service]]\nname = "commitment"\nroles = ["scp"]\n'
        f'[[peer]]\nname = "ASKER"\naddresses = ["127.0.0.1:{listen}"]\nservices = []\n'
        '[peer.retry]\nfirst = "0.2 s"\nlongest = "0.5 s"\n',
    )


def test_ps34_111_112_we_answer_for_what_we_keep_on_an_association_of_our_own(
    tmp_path: Path,
) -> None:
    listen = free_port()
    with provider(tmp_path, listen) as node:
        assert store_all(node.port, (1, CT)) == [0]
        status, events = requester(
            node.port,
            [(CT, instance_uid(1)), (CT, instance_uid(2)), ("1.2.840.10008.5.1.4.1.1.4", "1.2.3")],
            listen,
        )
        assert status == 0
        ((event, information, title),) = events
        assert event == 2
        assert title.strip() == "GANTRY"
        (kept,) = information.ReferencedSOPSequence
        assert kept.ReferencedSOPInstanceUID == instance_uid(1)
        assert {
            (each.ReferencedSOPInstanceUID, each.FailureReason)
            for each in information.FailedSOPSequence
        } == {(instance_uid(2), 0x0112), ("1.2.3", 0x0112)}
        status, events = requester(node.port, [(CT, instance_uid(1))], listen)
        assert [event for event, _, _ in events] == [1]
        until(lambda: not node.ask("queue")["items"], lambda: node.log)


def test_requests_that_cannot_be_are_refused(tmp_path: Path) -> None:
    listen = free_port()
    with provider(tmp_path, listen) as node:
        twice = [(CT, instance_uid(1))] * 2
        assert requester(node.port, twice, listen)[0] == 0x0115
        assert requester(node.port, [], listen)[0] == 0x0115
