"""Delivery with a real archive, to programs of others and to scripted peers."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from agent import observation
from agent.archive.archive import Archive
from agent.archive.records import Job, JobState
from agent.configuration.addresses import Address
from agent.configuration.load import load
from agent.loop import Loop, ManualClock, TaskGroup, now, sleep, timeout
from agent.loop.workers import Template, WorkerPool
from agent.workflow.bandwidth import Bandwidth
from agent.workflow.delivery import Delivery
from agent.workflow.fail_over import FailOver
from agent.workflow.settlement import FAILED
from tests.archive.objects import Rules, SampleObject, sample
from tests.node.running import free_port
from tests.peers.child_script import in_child
from tests.peers.dcmtk import DcmtkStoreScp
from tests.peers.pynetdicom_peer import PynetdicomScp
from tests.peers.raw_pdu import abort, release_response, response
from tests.peers.raw_peer import RawServer
from tests.peers.sample_files import data_set_bytes

Test = Callable[[Archive, Delivery], Awaitable[None]]

_WHAT_IS_DUE_SOON = 0.05


def configured(folder: Path, peers: str) -> Path:
    path = folder / "gantry.toml"
    path.write_text(f'profile = "gateway"\n[node]\nstate = "{folder}/state"\n{peers}')
    return path


def peer(name: str, *ports: int, more: str = "") -> str:
    addresses = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
    return (
        f'[[peer]]\nname = "{name}"\naddresses = [{addresses}]\n{more}'
        '[peer.retry]\nfirst = "0.2 s"\nlongest = "0.3 s"\n'
    )


def run(folder: Path, peers: str, names: tuple[str, ...], test: Test) -> None:
    """Run a test beside a delivery, with every object going to the peers named."""
    template = Template.start()
    configuration = load(files=[configured(folder, peers)])

    async def main() -> None:
        pool = WorkerPool(template, kind="general", limit=1)
        archive = await Archive.open(folder / "archive", template, Rules(names), pool=pool)
        try:
            delivery = Delivery(configuration, {"main": archive})
            with timeout(30):
                async with TaskGroup() as group:
                    group.start(delivery.run(), name="delivery")
                    await test(archive, delivery)
                    group.cancel()
        finally:
            await archive.close()
            pool.close()

    try:
        Loop().run(main())
    finally:
        template.close()


def objects(number: int, *, study: str = "1.2.3") -> list[SampleObject]:
    return [sample(f"{study}.0.{each}", study=study) for each in range(1, number + 1)]


async def store(archive: Archive, delivery: Delivery, *several: SampleObject) -> None:
    for one in several:
        with archive.receive(one.meta) as reception:
            os.write(reception.descriptor, one.data_set)
            assert (await archive.commit(reception, one.origin)).is_stored
        delivery.wake()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await sleep(_WHAT_IS_DUE_SOON)


def row(delivery: Delivery, name: str) -> dict[str, Any]:
    return next((each for each in delivery.status() if each["peer"] == name), {"delivered": 0})


def delivered(delivery: Delivery, name: str, number: int) -> Callable[[], bool]:
    return lambda: row(delivery, name)["delivered"] >= number


async def open_jobs(archive: Archive, state: JobState | None = None) -> list[Job]:
    return list((await archive.jobs(state=state)).items)


async def until_held(archive: Archive, number: int = 1) -> list[Job]:
    while len(held := await open_jobs(archive, JobState.HELD)) < number:
        await sleep(_WHAT_IS_DUE_SOON)
    return held


@pytest.mark.peer
def test_objects_arrive_byte_for_byte_and_the_success_is_dated(
    tmp_path: Path, dcmtk_storescp: DcmtkStoreScp
) -> None:
    sent = objects(5)

    async def test(archive: Archive, delivery: Delivery) -> None:
        await store(archive, delivery, *sent)
        await until(delivered(delivery, "FAR", 5))
        assert not await open_jobs(archive)

    run(tmp_path, peer("FAR", dcmtk_storescp.port), ("FAR",), test)
    arrived = {data_set_bytes(path) for path in dcmtk_storescp.wait_for_files(5)}
    assert arrived == {each.data_set for each in sent}
    assert 'gantry_delivery_last_success_seconds{peer="FAR"} 1' in observation.metrics.render()


@pytest.mark.peer
def test_a_dead_destination_delays_no_other(tmp_path: Path, dcmtk_storescp: DcmtkStoreScp) -> None:
    async def test(archive: Archive, delivery: Delivery) -> None:
        await store(archive, delivery, *objects(3))
        await until(delivered(delivery, "FAR", 3))
        await until(lambda: row(delivery, "DEAD")["failures"] >= 1)
        left = await open_jobs(archive)
        assert {job.destination for job in left} == {"DEAD"}
        assert all(job.state != JobState.HELD for job in left)

    both = peer("DEAD", free_port()) + peer("FAR", dcmtk_storescp.port)
    run(tmp_path, both, ("DEAD", "FAR"), test)


@pytest.mark.peer
def test_the_second_address_is_taken_when_the_first_does_not_answer(
    tmp_path: Path, dcmtk_storescp: DcmtkStoreScp
) -> None:
    async def test(archive: Archive, delivery: Delivery) -> None:
        await store(archive, delivery, *objects(2))
        await until(delivered(delivery, "FAR", 2))
        assert row(delivery, "FAR")["failures"] == 0

    run(tmp_path, peer("FAR", free_port(), dcmtk_storescp.port), ("FAR",), test)


def test_after_a_fail_over_the_address_that_answered_keeps_its_place_for_a_while() -> None:
    first, second = Address("a", 104), Address("b", 104)
    order = FailOver((first, second), 300.0)
    assert order.order(10.0) == [("a", 104), ("b", 104)]
    order.answered(("b", 104), 10.0)
    assert order.order(309.0) == [("b", 104), ("a", 104)]
    order.answered(("b", 104), 309.0)
    assert order.order(310.0) == [("a", 104), ("b", 104)]
    order.answered(("b", 104), 310.0)
    order.answered(("a", 104), 311.0)
    assert order.order(312.0) == [("a", 104), ("b", 104)]


@pytest.mark.peer
@pytest.mark.parametrize("status", [0xA900, 0xC001])
def test_rv_11_what_cannot_pass_is_held_with_the_words_of_the_peer(
    tmp_path: Path, start_peer: Any, status: int
) -> None:
    far = start_peer(PynetdicomScp(tmp_path / "far", status=status))

    async def test(archive: Archive, delivery: Delivery) -> None:
        await store(archive, delivery, *objects(2))
        held = await until_held(archive, 2)
        assert [job.status for job in held] == [status, status]
        assert all(job.reason for job in held)
        assert row(delivery, "FAR")["delivered"] == 0

    run(tmp_path, peer("FAR", far.port), ("FAR",), test)


@pytest.mark.peer
def test_what_may_pass_is_tried_again_by_the_policy_of_the_peer(
    tmp_path: Path, start_peer: Any
) -> None:
    far = start_peer(PynetdicomScp(tmp_path / "far", status=0xA700))

    async def test(archive: Archive, delivery: Delivery) -> None:
        await store(archive, delivery, *objects(1))
        (held,) = await until_held(archive)
        assert (held.status, held.attempts) == (0xA700, 3)
        assert "tried 3 times" in held.reason

    run(tmp_path, peer("FAR", far.port) + "attempts = 3\n", ("FAR",), test)


@pytest.mark.peer
def test_what_a_peer_did_not_take_is_tried_again_after_a_reload(
    tmp_path: Path, start_peer: Any
) -> None:
    far = start_peer(PynetdicomScp(tmp_path / "far", status=0x0122))
    peers = peer("FAR", far.port)
    failures = FAILED.of("FAR")

    async def test(archive: Archive, delivery: Delivery) -> None:
        before = failures.value
        await store(archive, delivery, *objects(1))
        await until_held(archive)
        assert failures.value == before + 1
        delivery.reload(load(files=[configured(tmp_path, peers)]))
        await until(lambda: failures.value == before + 2)
        await until_held(archive)

    run(tmp_path, peers, ("FAR",), test)


def _take(server: RawServer, number: int) -> list[list[str]]:
    """Take so many objects: the SOP Instance UIDs of each association."""
    taken: list[list[str]] = []
    while sum(map(len, taken)) < number:
        with server.accept() as far:
            far.accept_association()
            taken.append([])
            try:
                while True:
                    message = far.receive_message()
                    taken[-1].append(message.command[0x1000].rstrip(b"\0").decode())
                    far.send_message(1, response(message.command, 0))
            except AssertionError:  # A-RELEASE-RQ, no message
                far.send(release_response())
    return taken


def _taken(folder: Path, more: str, sent: list[SampleObject]) -> list[list[str]]:
    with RawServer() as server, in_child(_take, server, len(sent)) as script:

        async def test(archive: Archive, delivery: Delivery) -> None:
            await store(archive, delivery, *sent)
            await until(delivered(delivery, "FAR", len(sent)))

        run(folder, peer("FAR", server.port, more=more), ("FAR",), test)
        taken: list[list[str]] = script.result()
        return taken


def test_no_more_objects_than_configured_go_over_one_association(tmp_path: Path) -> None:
    taken = _taken(tmp_path, "window.objects_per_association = 2\n", objects(5))
    assert max(map(len, taken)) <= 2
    assert [uid for each in taken for uid in each] == [each.sop_instance_uid for each in objects(5)]


def test_a_peer_that_wants_it_gets_one_association_for_each_study(tmp_path: Path) -> None:
    mixed = [
        each for pair in zip(objects(3), objects(3, study="1.2.4"), strict=True) for each in pair
    ]
    taken = _taken(tmp_path, "quirks.association_per_study = true\n", mixed)
    assert all(len({uid.rsplit(".", 2)[0] for uid in each}) == 1 for each in taken)


def _abort_on(server: RawServer, poison: str, others: int) -> list[str]:
    """Take objects, but abort whenever the poisonous one comes."""
    taken: list[str] = []
    while len(taken) < others:
        with server.accept() as far:
            far.accept_association()
            try:
                while len(taken) < others:
                    message = far.receive_message()
                    uid = message.command[0x1000].rstrip(b"\0").decode()
                    if uid == poison:
                        far.send(abort())
                        break
                    taken.append(uid)
                    far.send_message(1, response(message.command, 0))
            except AssertionError:
                far.send(release_response())
    return taken


def test_an_object_on_which_the_peer_aborts_does_not_hold_up_the_others(tmp_path: Path) -> None:
    poison, others = objects(1), objects(3, study="1.2.4")
    uid = poison[0].sop_instance_uid
    with RawServer() as server, in_child(_abort_on, server, uid, 3) as script:

        async def test(archive: Archive, delivery: Delivery) -> None:
            await store(archive, delivery, *poison, *others)
            await until(delivered(delivery, "FAR", 3))
            (left,) = await open_jobs(archive)
            assert left.sop_instance_uid == uid
            assert left.attempts >= 1
            assert "abort" in left.reason

        run(tmp_path, peer("FAR", server.port), ("FAR",), test)
        assert script.result() == [each.sop_instance_uid for each in others]


@pytest.mark.peer
def test_several_associations_carry_all_objects_once(tmp_path: Path, start_peer: Any) -> None:
    far = start_peer(DcmtkStoreScp(tmp_path / "far", "--fork"))
    sent = [each for study in range(4) for each in objects(4, study=f"1.2.{study}")]

    async def test(archive: Archive, delivery: Delivery) -> None:
        await store(archive, delivery, *sent)
        await until(delivered(delivery, "FAR", len(sent)))
        assert row(delivery, "FAR")["delivered"] == len(sent)

    run(tmp_path, peer("FAR", far.port, more="window.associations = 3\n"), ("FAR",), test)
    assert len(far.wait_for_files(len(sent))) == len(sent)


def test_bandwidth_is_one_account_for_all_who_send_at_once() -> None:
    async def main() -> float:
        bandwidth = Bandwidth(1000)
        start = now()
        async with TaskGroup() as group:
            for _ in range(5):
                group.start(bandwidth.take(500))
        return now() - start

    assert Loop(ManualClock()).run(main()) == pytest.approx(2.0)
