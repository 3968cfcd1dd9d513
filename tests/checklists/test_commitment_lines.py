"""Storage commitment as MxView, C-DAC's toolkit and Reviewer describe it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.presentation import build_role
from pynetdicom.sop_class import StorageCommitmentPushModel

from tests.checklists.made import CT, instance_uid, store_all
from tests.checklists.test_profiles import REVIEWER_SYNTAXES, ProfileNode
from tests.node.running import free_port, peer_table
from tests.node.test_commitment import (
    WELL_KNOWN,
    CommittingArchive,
    box,
    provider,
    until,
)

COMMITS = 'services = ["storage", "commitment"]\n[peer.commitment]\neach = "object"\n'


@pytest.fixture
def archive() -> Iterator[CommittingArchive]:
    made = CommittingArchive(free_port(), 0)
    yield made.start()
    made.stop()


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("where", ["same", "new"])
def test_mx_36_cd_28_a_result_of_either_kind_is_taken_on_the_same_association_and_on_a_new_one(
    tmp_path: Path, archive: CommittingArchive, where: str, lost: bool
) -> None:
    with box(tmp_path, archive) as node:
        assert store_all(node.port, (1, CT)) == [0]
        until(lambda: "commitment asked" in node.log, lambda: node.log)
        assert archive.asked_on[0] is not archive.stored_on[0]
        archive.lost = {instance_uid(1)} if lost else set()
        (asked,) = archive.asked
        unknown = Dataset()
        unknown.update(asked)
        unknown.TransactionUID = generate_uid()

        def report(about: Dataset) -> int:
            if where == "new":
                return archive.report(about)
            return archive.report_on(archive.asked_on[0], about)

        assert report(unknown) == 0x0110
        assert len(node.ask("queue")["items"]) == 1
        assert report(asked) == 0
        if not lost:
            until(lambda: not node.ask("queue")["items"], lambda: node.log)
            return
        # What the archive has not is sent to it again, and asked for anew.
        until(lambda: len(archive.stored) == len(archive.asked) == 2, lambda: node.log)


def test_mx_35_the_association_stays_for_the_result_and_no_longer(
    tmp_path: Path, archive: CommittingArchive
) -> None:
    with box(tmp_path, archive, each="object", more='linger = "2 s"\n') as node:
        assert store_all(node.port, (1, CT), (2, CT)) == [0, 0]
        until(lambda: node.log.count("commitment asked") == 2, lambda: node.log)
        asked_at = time.monotonic()
        first, second = archive.asked_on
        assert first is second
        time.sleep(1)
        assert first.is_established
        until(lambda: first.is_released, lambda: node.log)
        assert 1.5 < time.monotonic() - asked_at < 6


@pytest.mark.parametrize("inside", [False, True])
def test_ps34_110_where_objects_can_be_had_is_understood_inside_the_items_and_outside(
    tmp_path: Path, archive: CommittingArchive, inside: bool
) -> None:
    with box(tmp_path, archive) as node:
        assert store_all(node.port, (1, CT)) == [0]
        until(lambda: "commitment asked" in node.log, lambda: node.log)
        (asked,) = archive.asked
        plain = archive.result_of

        def result_of(about: Dataset) -> tuple[int, Dataset]:
            event, information = plain(about)
            place = information.ReferencedSOPSequence[0] if inside else information
            place.RetrieveAETitle = "ELSEWHERE"
            place.StorageMediaFileSetID = "SET1"
            place.StorageMediaFileSetUID = "1.2.3"
            return event, information

        archive.result_of = result_of  # type: ignore[method-assign]
        assert archive.report(asked) == 0
        until(lambda: not node.ask("queue")["items"], lambda: node.log)


class Asker:
    """pynetdicom as a modality that asks us, and is away at times."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.events: list[tuple[int, Dataset]] = []

    def ask(self, node_port: int, *uids: str) -> int:
        application = AE(ae_title="ASKER")
        application.add_requested_context(StorageCommitmentPushModel)
        association = application.associate("127.0.0.1", node_port, ae_title="GANTRY")
        assert association.is_established
        information = Dataset()
        information.TransactionUID = generate_uid()
        information.ReferencedSOPSequence = []
        for uid in uids:
            item = Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, uid
            information.ReferencedSOPSequence.append(item)
        status, _ = association.send_n_action(
            information, 1, StorageCommitmentPushModel, WELL_KNOWN
        )
        association.release()
        return int(status.Status)

    def __enter__(self) -> Asker:
        application = AE(ae_title="ASKER")
        application.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
        self._server = application.start_server(
            ("127.0.0.1", self.port),
            block=False,
            evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._take)],
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()

    def _take(self, event: Any) -> tuple[int, None]:
        self.events.append((event.event_type, event.event_information))
        return 0, None


def test_cd_29_the_result_is_sent_until_it_is_taken_after_a_restart_too(tmp_path: Path) -> None:
    asker = Asker(free_port())
    with provider(tmp_path, asker.port) as node:
        assert store_all(node.port, (1, CT)) == [0]
        assert asker.ask(node.port, instance_uid(1)) == 0
        assert asker.ask(node.port, instance_uid(1), instance_uid(2)) == 0
        until(lambda: "errand failed" in node.log, lambda: node.log)
        node.kill()
        node.start()
        assert len(node.ask("queue")["items"]) == 2
        tries = node.log.count("errand failed")
        until(lambda: node.log.count("errand failed") > tries, lambda: node.log)
        with asker:
            until(lambda: len(asker.events) == 2, lambda: node.log)
            until(lambda: not node.ask("queue")["items"], lambda: node.log)
    (whole, kept), (partly, lost) = asker.events
    assert (whole, partly) == (1, 2)
    assert [each.ReferencedSOPInstanceUID for each in kept.ReferencedSOPSequence] == [
        instance_uid(1)
    ]
    (failed,) = lost.FailedSOPSequence
    assert (failed.ReferencedSOPInstanceUID, failed.FailureReason) == (instance_uid(2), 0x0112)


def test_rv_43_a_later_result_is_taken_in_each_of_the_twelve_syntaxes(
    tmp_path: Path, archive: CommittingArchive
) -> None:
    far = peer_table("FAR", archive.port).replace("[peer.retry]", f"{COMMITS}[peer.retry]")
    statuses = {}
    with ProfileNode(tmp_path, "reviewer", ["REVIEWER"], far) as node:
        port = node.ports["REVIEWER"]
        numbered = [(number, CT) for number, _ in enumerate(REVIEWER_SYNTAXES)]
        assert set(store_all(port, *numbered, called="REVIEWER")) == {0}
        until(lambda: len(archive.asked) == len(REVIEWER_SYNTAXES), lambda: node.log)
        for asked, syntax in zip(archive.asked, REVIEWER_SYNTAXES, strict=True):
            application = AE(ae_title="FAR")
            application.add_requested_context(StorageCommitmentPushModel, syntax)
            association = application.associate(
                "127.0.0.1",
                port,
                ae_title="REVIEWER",
                ext_neg=[build_role(StorageCommitmentPushModel, scp_role=True)],
            )
            assert association.is_established, syntax
            statuses[syntax] = archive.report_on(association, asked)
            association.release()
        until(lambda: not node.ask("queue")["items"], lambda: node.log)
    assert statuses == dict.fromkeys(REVIEWER_SYNTAXES, 0)


@pytest.mark.parametrize("status", [0x0110, 0x0122])
def test_rv_44_a_request_that_is_refused_has_failed_and_is_repeated_or_held(
    tmp_path: Path, archive: CommittingArchive, status: int
) -> None:
    archive.answers = [status]
    with box(tmp_path, archive) as node:
        assert store_all(node.port, (1, CT)) == [0]
        until(lambda: "commitment refused" in node.log, lambda: node.log)
        if status == 0x0122:
            until(lambda: node.queue("FAR").get("held") == 1, lambda: node.log)
            (job,) = node.ask("queue")["items"]
            assert "0122H" in job["reason"]
            return
        until(lambda: len(archive.asked) == 2, lambda: node.log)
        assert archive.report(archive.asked[1]) == 0
        until(lambda: not node.ask("queue")["items"], lambda: node.log)


def test_a_peer_of_one_association_gets_objects_and_requests_in_turn(
    tmp_path: Path, archive: CommittingArchive
) -> None:
    held: set[Any] = set()
    most = [0]

    def begin(event: Any) -> None:
        held.add(event.assoc)
        most[0] = max(most[0], len(held))

    archive.server.bind(evt.EVT_ACCEPTED, begin)
    archive.server.bind(evt.EVT_RELEASED, lambda event: held.discard(event.assoc))
    with box(tmp_path, archive) as node:
        text = node.configuration.read_text()
        node.kill()
        lone = '[peer.quirks]\nsingle_association = true\n[peer.window]\nidle = "0.3 s"\n'
        node.configuration.write_text(text.replace("[peer.retry]", f"{lone}[peer.retry]"))
        node.start()
        for number in range(1, 4):
            assert store_all(node.port, (number, CT)) == [0]
        until(lambda: len(archive.asked) == 3, lambda: node.log)
    assert most == [1]
