"""PS3.4 Annex B as SCU: what the node says, and what it makes of each answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.archive.records import JobState
from agent.dataset.sop_classes import FOR_PROCESSING
from tests.checklists.far_archive import (
    Context,
    FarArchive,
    common_extended_items_of,
    extended_items_of,
)
from tests.checklists.made import CT, EXPLICIT, instance_uid, made, store_all
from tests.node.running import NodeProcess, peer_table

SENDER_ONLY = (
    '[[entity]]\nname = "SENDER"\nport = 0\n[[entity.service]]\nname = "storage"\nroles = ["scu"]\n'
)
TWELVE_LEAD, GENERAL_ECG, ECG_32 = (f"1.2.840.10008.5.1.4.1.1.9.1.{n}" for n in (1, 2, 4))
BASIC_TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.11"
EXTENSIBLE_SR = [f"1.2.840.10008.5.1.4.1.1.88.{n}" for n in (22, 33, 34, 35)]
FAILURES = (0xA700, 0xA7FF, 0xA900, 0xA9FE, 0xC000, 0xCFFF)
UNLISTED_FAILURES = (0xA7AB, 0xA9AB, 0xC123)


def until(node: NodeProcess, holds: Any, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"{node.queue('FAR')}\n{node.log[-3000:]}"
        time.sleep(0.05)


def slow(port: int) -> str:
    """A peer and a route to it; what failed is not tried again within the test."""
    return peer_table("FAR", port).replace('"0.2 s"', '"600 s"').replace('"0.5 s"', '"600 s"')


def as_sender_only(port: int) -> str:
    return SENDER_ONLY + slow(port).replace("[peer.retry]", 'entity = "SENDER"\n[peer.retry]')


@pytest.fixture
def relayed(tmp_path: Path) -> Iterator[FarArchive]:
    """What arrives at a willing archive when three classes go through a node at once."""
    with FarArchive() as far, NodeProcess(tmp_path / "node", slow(far.port)) as node:
        wanted = ((1, CT), (2, TWELVE_LEAD), (3, BASIC_TEXT_SR))
        assert store_all(node.port, *wanted) == [0, 0, 0]
        until(node, lambda: len(far.stored) == 3)
        yield far


def test_ps34_010_each_context_proposed_has_one_abstract_syntax_and_each_class_has_one(
    relayed: FarArchive,
) -> None:
    proposed = relayed.contexts()
    assert all(len(each.abstract_syntaxes) == 1 for each in proposed)
    assert {CT, TWELVE_LEAD, BASIC_TEXT_SR} <= {each.abstract_syntax for each in proposed}
    for request in relayed.requests:
        identifiers = [content[0] for kind, content in request.items() if kind == 0x20]
        assert identifiers == list(range(1, 2 * len(identifiers), 2))
    assert {each.abstract_syntax for each in relayed.stored} == {
        each.sop_class_uid for each in relayed.stored
    }


def test_ps34_022_the_announcements_name_storage_and_exactly_the_classes_of_table_b_3_3(
    relayed: FarArchive,
) -> None:
    announced = {}
    for request in relayed.requests:
        announced.update(common_extended_items_of(request))
    storage = "1.2.840.10008.4.2"
    assert announced[CT] == (storage, ())
    assert announced[TWELVE_LEAD] == (storage, (GENERAL_ECG, ECG_32))
    assert announced[BASIC_TEXT_SR] == (storage, tuple(EXTENSIBLE_SR))
    assert {service for service, _ in announced.values()} == {storage}
    assert set(announced) == {each.abstract_syntax for each in relayed.contexts()}


def test_ps34_021_an_entity_that_only_sends_says_03_00_00_00_02_00(tmp_path: Path) -> None:
    with FarArchive() as far, NodeProcess(tmp_path / "node", as_sender_only(far.port)) as node:
        assert store_all(node.port, (1, CT)) == [0]
        until(node, lambda: far.stored)
        assert extended_items_of(far.requests[0]) == [(CT, bytes.fromhex("030000000200"))]


def test_ps34_021_an_entity_that_receives_too_says_its_own_level(relayed: FarArchive) -> None:
    for request in relayed.requests:
        said = dict(extended_items_of(request))
        assert set(said.values()) == {bytes.fromhex("020003000000")}


@pytest.mark.parametrize("statuses", [FAILURES, UNLISTED_FAILURES])
def test_ps34_011_and_148_every_failure_status_leaves_the_object_in_the_queue(
    tmp_path: Path, statuses: tuple[int, ...]
) -> None:
    by_uid = {instance_uid(number): status for number, status in enumerate(statuses, 1)}
    far = FarArchive(status=by_uid.__getitem__, more={0x0902: "As the test wants"})
    with far, NodeProcess(tmp_path / "node", slow(far.port)) as node:
        numbered = [(number, CT) for number in range(1, len(statuses) + 1)]
        assert set(store_all(node.port, *numbered)) == {0}
        until(node, lambda: len(far.stored) == len(statuses))
        until(node, lambda: not node.queue("FAR").get("claimed"))
        jobs = {each["sop_instance_uid"]: each for each in node.ask("queue")["items"]}
        assert {uid: job["status"] for uid, job in jobs.items()} == by_uid
        # As the conformance statement says: refused is tried again, an error waits for a person.
        assert {uid: job["state"] for uid, job in jobs.items()} == {
            uid: JobState.WAITING if status & 0xFF00 == 0xA700 else JobState.HELD
            for uid, status in by_uid.items()
        }
        assert all("As the test wants" in job["reason"] for job in jobs.values())
        assert len(node.objects()) == len(statuses)


def test_ps34_012_and_148_warnings_are_stored_and_the_queue_is_empty(tmp_path: Path) -> None:
    statuses = (0xB000, 0xB006, 0xB007, 0xB123)
    by_uid = {instance_uid(number): status for number, status in enumerate(statuses, 1)}
    more: dict[int, int | str | bytes] = {0x0902: "Patient ID coerced", 0x0901: b"\x10\0\x20\0"}
    far = FarArchive(status=by_uid.__getitem__, more=more)
    with far, NodeProcess(tmp_path / "node", slow(far.port)) as node:
        assert set(store_all(node.port, *((n, CT) for n in (1, 2, 3, 4)))) == {0}
        until(node, lambda: len(far.stored) == 4)
        node.wait_until_delivered("FAR")
        assert node.ask("queue")["items"] == []
        summary = node.queue("FAR")
        assert summary["held"] == 0
        (far_status,) = [e for e in node.ask("status")["destinations"] if e["peer"] == "FAR"]
        assert far_status["delivered"] == 4
        # B.4.2.3: what was stored with a warning is stored, and said.
        said = [line for line in node.log.splitlines() if "object stored with a warning" in line]
        assert len(said) == 4
        assert all("(...) of (0010,0020)" in line for line in said)
        assert [status for status in statuses if f"{status:04X}H" in "".join(said)] == [*statuses]


def test_ps34_023_what_is_refused_as_special_goes_out_as_general_under_its_own_uid(
    tmp_path: Path,
) -> None:
    far = FarArchive(takes=lambda context: context.abstract_syntax == GENERAL_ECG)
    with far, NodeProcess(tmp_path / "node", slow(far.port)) as node:
        assert store_all(node.port, (1, TWELVE_LEAD)) == [0]
        until(node, lambda: far.stored)
        node.wait_until_delivered("FAR")
        (arrived,) = far.stored
        proposed = dict.fromkeys(each.abstract_syntax for each in far.contexts())
        assert set(proposed) == {TWELVE_LEAD, GENERAL_ECG, ECG_32}
        assert (arrived.abstract_syntax, arrived.sop_class_uid) == (GENERAL_ECG, GENERAL_ECG)
        uid, data = made(1, TWELVE_LEAD)
        assert arrived.sop_instance_uid == uid
        special, general = TWELVE_LEAD.encode() + b"\0", GENERAL_ECG.encode() + b"\0"
        length = len(general).to_bytes(2, "little")
        tail = data[data.index(special) + len(special) :]
        at = tail.index(b"\x08\0\x18\0") + 8 + len(uid.encode()) + len(uid) % 2
        assert (
            arrived.data_set
            == (
                b"\x08\0\x16\0UI"
                + length
                + general
                + tail[:at]
                + b"\x08\0\x1b\0UI"
                + length
                + special
            )
            + tail[at:]
        )


@pytest.mark.parametrize("processing", sorted(FOR_PROCESSING))
def test_ps34_026_for_presentation_is_sent_where_only_that_is_accepted(
    tmp_path: Path, processing: str
) -> None:
    presentation = FOR_PROCESSING[processing]

    def takes(context: Context) -> bool:
        return context.abstract_syntax == presentation

    far = FarArchive(takes=takes)
    with far, NodeProcess(tmp_path / "node", slow(far.port)) as node:
        assert store_all(node.port, (1, processing)) == [0]
        until(node, lambda: node.queue("FAR").get("held") == 1)
        # Who supports the one supports the other: it is proposed for the object alone already.
        assert {processing, presentation} <= {each.abstract_syntax for each in far.contexts()}
        assert store_all(node.port, (2, presentation)) == [0]
        until(node, lambda: far.stored)
        (arrived,) = far.stored
        assert (arrived.sop_class_uid, arrived.transfer_syntax) == (presentation, EXPLICIT)
        assert arrived.data_set == made(2, presentation)[1]
        # It has arrived before its job is over here.
        until(node, lambda: len(node.ask("queue")["items"]) == 1)
        (held,) = node.ask("queue")["items"]
        assert (held["sop_class_uid"], held["status"]) == (processing, 0x0122)
