"""The archive from the node's side: on the loop, with its real workers."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from agent.archive.archive import Archive
from agent.archive.decision import DELIVER, Decision, JobPlan, Origin, Receiver, Verdict
from agent.archive.failure import DiskUnusable
from agent.archive.records import COMMITTED, DELIVERED, RECEIVED, Conditions
from agent.archive.settings import ArchiveSettings
from agent.dataset import tags
from agent.dataset.head import Head
from agent.errors import LocalError, StatusReaction, StorageError
from agent.loop import Loop, TaskGroup, sleep
from agent.loop.workers import Service, Template, WorkerPool
from tests.archive.objects import Rules, SampleObject, files, sample

Test = Callable[[Archive], Awaitable[None]]


def run(
    folder: Path,
    test: Test,
    receiver: Receiver | None = None,
    settings: ArchiveSettings | None = None,
) -> None:
    """Run a test on a loop, with an archive that is open."""
    template = Template.start()

    async def main() -> None:
        pool = WorkerPool(template, kind="general", limit=1)
        archive = await Archive.open(
            folder, template, receiver or Rules(("PACS",)), settings=settings, pool=pool
        )
        try:
            await test(archive)
        finally:
            await archive.close()
            pool.close()

    try:
        Loop().run(main())
    finally:
        template.close()


class BadSector:
    """A storage worker that cannot read what one question is about."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def call(self, name: str, *arguments: Any, descriptors: tuple[int, ...] = ()) -> Any:
        if name == "next_due":
            raise DiskUnusable("a sector cannot be read", reaction=StatusReaction(0xA7FF, "Bad"))
        return await self._service.call(name, *arguments, descriptors=descriptors)

    def close(self) -> None:
        self._service.close()

    async def closed(self) -> None:
        await self._service.closed()


async def store(archive: Archive, one: SampleObject) -> Verdict:
    with archive.receive(one.meta) as reception:
        os.write(reception.descriptor, one.data_set)
        return await archive.commit(reception, one.origin)


def test_others_are_stored_while_a_large_object_is_compared(tmp_path: Path) -> None:
    large = sample("1.2.3.1", pixels=bytes(24 << 20))
    other = sample("1.2.3.1", pixels=bytes((24 << 20) - 2) + b"\1\1")

    async def test(archive: Archive) -> None:
        assert (await store(archive, large)).instance_id == 1
        async with TaskGroup() as group:
            again = group.start(store(archive, large))
            variant = group.start(store(archive, other))
            small = [
                await store(archive, sample(f"1.2.4.{number}", pixels=b"\0\0"))
                for number in range(5)
            ]
        assert all(each.status == 0 for each in small)
        found = await again.join()
        assert (found.status, found.duplicate, found.instance_id) == (0, True, 1)
        found = await variant.join()
        assert (found.status, found.variant) == (0, True)
        assert found.instance_id > 1

    run(tmp_path, test)


class CountingPool:
    """A pool that counts how many calls are under way at once; what they do takes its time."""

    def __init__(self) -> None:
        self.now = self.most = 0

    async def call(self, *_: object, descriptors: object = ()) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        await sleep(0.05)
        self.now -= 1


@pytest.mark.parametrize(("size", "most"), [(2 << 20, 3), (33 << 20, 1)])
def test_what_takes_seconds_leaves_workers_to_others(tmp_path: Path, size: int, most: int) -> None:
    async def test(archive: Archive) -> None:
        pool = archive._pool = CountingPool()  # type: ignore[assignment]
        async with TaskGroup() as group:
            stored = [
                group.start(store(archive, sample(f"1.2.3.{number}", pixels=bytes(size))))
                for number in range(3)
            ]
        assert [(await each.join()).status for each in stored] == [0, 0, 0]
        assert pool.most == most

    run(tmp_path, test)


def test_an_archive_is_opened_anew_after_an_error_of_its_disk_and_not_for_each_of_them(
    tmp_path: Path,
) -> None:
    async def test(archive: Archive) -> None:
        archive._service = BadSector(await archive._running())  # type: ignore[assignment]
        with pytest.raises(DiskUnusable):
            await archive.next_due("PACS")
        assert archive.away is not None
        refusal = archive.refusal()
        assert refusal is not None and refusal.status == 0xA7FF
        for question in (archive.jobs, archive.studies, archive.counts):
            with pytest.raises(DiskUnusable):
                await question()
        with pytest.raises(DiskUnusable):
            await archive.claim("PACS", 1)
        await archive.set_receiver(Rules(("OTHER",)))
        await archive.start()
        assert archive.away is None and archive.refusal() is None
        archive._service = BadSector(await archive._running())  # type: ignore[assignment]
        with pytest.raises(DiskUnusable):
            await archive.next_due("PACS")
        # It is that question only: all others go on.
        assert archive.away is None
        assert (await store(archive, sample())).status == 0
        assert [each.destination for each in (await archive.jobs()).items] == ["OTHER"]

    run(tmp_path, test)


def test_the_way_of_an_object_from_reception_to_deletion(tmp_path: Path) -> None:
    one = sample()

    async def test(archive: Archive) -> None:
        assert archive.refusal() is None
        verdict = await store(archive, one)
        assert (verdict.status, verdict.instance_id, verdict.jobs) == (0, 1, 1)
        assert archive.open_receptions == 0
        assert archive.space.held == len(one.meta + one.data_set)
        (job,) = await archive.claim("PACS", 10)
        assert archive.path_of(job).read_bytes() == one.meta + one.data_set
        assert await archive.claim("PACS", 10) == []
        await archive.retry(job.id, reason="no connection", delay=0.0)
        assert (await archive.next_due("PACS") or 0) <= 0
        (job,) = await archive.claim("PACS", 10)
        assert (job.attempts, job.reason) == (1, "no connection")
        assert await archive.finish(job.id)
        assert await archive.mark_committed("PACS", ["1.2.3.1"]) == 1
        (study,) = (await archive.studies()).items
        assert (study.patient_name, study.instances) == ("Doe^Jane", 1)
        (series,) = (await archive.series(study.id)).items
        (instance,) = (await archive.instances(series=series.id)).items
        assert instance.sop_instance_uid == "1.2.3.1"
        assert (await archive.counts()).instances == 1
        (destination,) = await archive.destinations()
        assert (destination.waiting, destination.last_reason) == (0, "no connection")
        await archive.touch([study.id])
        for after in (RECEIVED, DELIVERED, COMMITTED):
            (candidate,) = await archive.candidates(Conditions(after=after))
        deleted = await archive.delete_objects([candidate.id], who="retention", reason="old")
        assert deleted == (1, 0, len(one.meta + one.data_set))
        (line,) = (await archive.corrections()).items
        assert (line.action, line.who) == ("delete", "retention")
        assert files(tmp_path) == {}
        assert archive.space.held == 0

    run(tmp_path, test)


def test_many_senders_share_one_sync(tmp_path: Path) -> None:
    async def test(archive: Archive) -> None:
        async def send(sender: int) -> None:
            for number in range(5):
                verdict = await store(archive, sample(f"1.2.{sender}.{number}"))
                assert verdict.status == 0

        async with TaskGroup() as group:
            for sender in range(8):
                group.start(send(sender), name=f"sender {sender}")
        statistics = await archive.statistics()
        assert statistics["objects"] == 40
        assert statistics["batches"] < 30

    run(tmp_path, test)
    assert len(files(tmp_path)) == 40


def test_a_large_object_is_synced_by_itself(tmp_path: Path) -> None:
    async def test(archive: Archive) -> None:
        large = sample(pixels=bytes(9 << 20))
        assert (await store(archive, large)).status == 0
        assert (await store(archive, large)).duplicate

    run(tmp_path, test)
    assert len(files(tmp_path)) == 1


def test_a_reception_that_is_left_leaves_nothing(tmp_path: Path) -> None:
    async def test(archive: Archive) -> None:
        with archive.receive(sample().meta) as reception:
            os.write(reception.descriptor, b"some of it")
            assert archive.open_receptions == 1
        assert archive.open_receptions == 0
        assert reception.descriptor == -1

    run(tmp_path, test)
    assert files(tmp_path) == {}
    assert not list((tmp_path / "incoming").iterdir())


def test_above_the_quota_nothing_is_taken(tmp_path: Path) -> None:
    async def test(archive: Archive) -> None:
        assert (await store(archive, sample())).status == 0
        refusal = archive.refusal()
        assert refusal is not None and refusal.status == 0xA700
        with pytest.raises(StorageError) as caught:
            archive.receive(sample().meta)
        assert isinstance(caught.value.reaction, StatusReaction)
        assert caught.value.reaction.status == 0xA700
        await archive.delete("instance", "1.2.3.1", who="mueller", force=True)
        assert (await store(archive, sample())).status == 0

    run(tmp_path, test, settings=ArchiveSettings(quota=1000, reserve=0))


class Deadly(Rules):
    """Rules that end the worker when they see a certain object."""

    def receive(self, head: Head, origin: Origin) -> Decision:
        if origin.sop_instance_uid == "1.2.3.666":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().receive(head, origin)


def test_a_worker_that_dies_is_started_again_and_nothing_was_promised(tmp_path: Path) -> None:
    async def test(archive: Archive) -> None:
        assert (await store(archive, sample())).status == 0
        verdict = await store(archive, sample("1.2.3.666"))
        assert (verdict.status & 0xFF00, verdict.is_stored) == (0xA700, False)
        assert (await store(archive, sample("1.2.3.2"))).status == 0
        assert (await archive.counts()).instances == 2

    run(tmp_path, test, Deadly(("PACS",)))


def test_other_rules_can_be_set_while_it_runs(tmp_path: Path) -> None:
    async def test(archive: Archive) -> None:
        await archive.set_receiver(Rules(("CLOUD", "PACS")))
        assert (await store(archive, sample())).jobs == 2

    run(tmp_path, test)


def test_a_person_corrects_and_sends_again(tmp_path: Path) -> None:
    async def test(archive: Archive) -> None:
        for number in (1, 2, 3):
            await store(archive, sample(f"1.2.3.{number}"))
        changes = {tags.PATIENT_ID: "0815"}
        assert await archive.reidentify("study", "1.2.3", changes, who="mueller") == 3
        (study,) = (await archive.studies(patient_id="0815")).items
        assert study.instances == 3
        plan = JobPlan(DELIVER, "CLOUD")
        assert await archive.send_again("study", "1.2.3", plan, who="mueller") == 3
        assert await archive.delete("study", "1.2.3", who="mueller") == (0, 3)
        assert await archive.delete("study", "1.2.3", who="mueller", force=True) == (3, 0)
        actions = [line.action for line in (await archive.corrections()).items]
        assert actions == ["delete", "delete", "send again", "re-identify"]

    run(tmp_path, test)
    assert files(tmp_path) == {}


def test_a_correction_that_fails_leaves_all_as_it_was(tmp_path: Path) -> None:
    async def test(archive: Archive) -> None:
        await store(archive, sample("1.2.3.1"))
        await store(archive, sample("1.2.3.2", character_set=""))
        with pytest.raises(LocalError):
            changes = {tags.PATIENT_NAME: "Müller^Anna"}
            await archive.reidentify("study", "1.2.3", changes, who="mueller")
        await store(archive, sample("1.2.3.3"))
        (study,) = (await archive.studies()).items
        assert study.patient_name == "Doe^Jane"

    run(tmp_path, test)
    assert len(files(tmp_path)) == 3


def test_the_queue_is_a_person_s_too(tmp_path: Path) -> None:
    async def test(archive: Archive) -> None:
        await store(archive, sample())
        await archive.pause("PACS")
        assert await archive.claim("PACS", 1) == []
        await archive.resume("PACS")
        (job,) = await archive.claim("PACS", 1)
        await archive.release([job.id])
        assert await archive.hold(job.id, "wait")
        assert (await archive.jobs(destination="PACS")).items[0].reason == "wait"
        assert await archive.again([job.id]) == 1
        assert await archive.drop([job.id], "not wanted") == 1
        (finished,) = (await archive.finished_jobs()).items
        assert (finished.outcome, finished.reason) == ("dropped", "not wanted")
        number = await archive.add_job(JobPlan("report", "RIS", payload=b"{}"))
        assert [each.id for each in await archive.claim("RIS", 1)] == [number]

    run(tmp_path, test)


def test_an_archive_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    (tmp_path / "index.sqlite").write_bytes(b"this is no database at all" * 100)

    async def test(archive: Archive) -> None:
        raise AssertionError("it was opened")

    with pytest.raises(StorageError, match="damaged"):
        run(tmp_path, test)


def test_two_archives_live_in_one_node(tmp_path: Path) -> None:
    template = Template.start()

    async def main() -> list[Any]:
        one = await Archive.open(tmp_path / "one", template, name="one")
        two = await Archive.open(tmp_path / "two", template, name="two")
        try:
            verdicts = [await store(one, sample()), await store(two, sample())]
            assert one.identity != two.identity
            return verdicts
        finally:
            await one.close()
            await two.close()

    try:
        verdicts = Loop().run(main())
    finally:
        template.close()
    assert [verdict.instance_id for verdict in verdicts] == [1, 1]
    assert len(files(tmp_path / "one")) == len(files(tmp_path / "two")) == 1
