"""Retention against a real archive: what goes, in which order, and what never does."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from agent.archive.archive import Archive
from agent.archive.records import Page
from agent.archive.settings import ArchiveSettings
from agent.configuration.archive import Archive as ArchiveTable
from agent.configuration.archive import Retention as RetentionTable
from agent.loop import Loop, timeout
from agent.loop.workers import Template, WorkerPool
from agent.workflow.export_record import COMPLETED, IN_PROGRESS, ExportRecord
from agent.workflow.export_settings import Plan, Target
from agent.workflow.retention import Retention
from tests.archive.objects import Rules, sample

Test = Callable[[Archive], Awaitable[None]]
_SIZE = 100_000
_QUOTA = 10 * _SIZE
_TODAY = 1_800_000_000.0


def run(folder: Path, test: Test, *, destinations: tuple[str, ...] = (), quota: int = 0) -> None:
    template = Template.start()
    settings = ArchiveSettings(quota=quota, high_watermark=0.9, low_watermark=0.5, reserve=0)

    async def main() -> None:
        pool = WorkerPool(template, limit=1)
        archive = await Archive.open(
            folder / "archive", template, Rules(destinations), settings=settings, pool=pool
        )
        try:
            with timeout(30):
                await test(archive)
        finally:
            await archive.close()
            pool.close()

    try:
        Loop().run(main())
    finally:
        template.close()


async def store(archive: Archive, *numbers: int, received: float = 0.0, study: str = "") -> None:
    for number in numbers:
        one = sample(f"1.2.3.{number}", study=study or f"1.2.{number}", pixels=bytes(_SIZE - 1000))
        with archive.receive(one.meta) as reception:
            os.write(reception.descriptor, one.data_set)
            origin = one.origin
            origin = type(origin)(
                calling=origin.calling,
                sop_class_uid=origin.sop_class_uid,
                sop_instance_uid=origin.sop_instance_uid,
                received=received,
            )
            assert (await archive.commit(reception, origin)).is_stored


def retention(archive: Archive, **rules: object) -> Retention:
    table = ArchiveTable(
        name="main",
        quota=_QUOTA,
        high_watermark=0.9,
        low_watermark=0.5,
        retention=RetentionTable(**rules),  # type: ignore[arg-type]
    )
    return Retention(table, archive, earliest=1_700_000_000.0, clock=lambda: _TODAY)


async def kept(archive: Archive) -> list[int]:
    page: Page = await archive.instances(limit=100)  # type: ignore[type-arg]
    return [int(each.sop_instance_uid.rpartition(".")[2]) for each in page.items]


def test_nothing_goes_by_itself_where_that_is_not_configured(tmp_path: Path) -> None:
    async def test(archive: Archive) -> None:
        await store(archive, *range(1, 9), received=1.0)
        await retention(archive, delete="never", after="received", keep=0.0).tidy()
        assert len(await kept(archive)) == 8

    run(tmp_path, test, quota=_QUOTA)


def test_the_oldest_go_for_space_down_to_the_low_watermark_before_a_sender_is_refused(
    tmp_path: Path,
) -> None:
    async def test(archive: Archive) -> None:
        rules = retention(archive, delete="for-space", after="received", keep=0.0)
        await store(archive, 1, 2, 3, 4, 5, 6)
        await rules.tidy()
        assert len(await kept(archive)) == 6
        await store(archive, 7, 8)
        assert archive.refusal() is None
        await rules.tidy()
        assert await kept(archive) == [4, 5, 6, 7, 8]

    run(tmp_path, test, quota=_QUOTA)


def test_the_least_recently_used_go_first_where_that_is_configured(tmp_path: Path) -> None:
    async def test(archive: Archive) -> None:
        await store(archive, *range(1, 9), received=_TODAY - 900 * 86400)
        studies = await archive.studies(study_instance_uid="1.2.1")
        await archive.touch([studies.items[0].id])
        rules = {"delete": "for-space", "after": "received", "keep": 0.0}
        await retention(archive, order="least-recently-used", **rules).tidy()
        assert await kept(archive) == [1, 5, 6, 7, 8]

    run(tmp_path, test, quota=_QUOTA)


def test_what_is_younger_than_the_configured_time_stays_however_full_it_is(
    tmp_path: Path,
) -> None:
    async def test(archive: Archive) -> None:
        await store(archive, 1, 2, received=_TODAY - 7200)
        await store(archive, *range(3, 10), received=_TODAY - 60)
        rules = retention(archive, delete="for-space", after="received", keep=3600.0)
        await rules.tidy()
        assert await kept(archive) == list(range(3, 10))
        assert archive.space.excess(0.5)

    run(tmp_path, test, quota=_QUOTA)


def test_what_is_still_to_be_sent_stays_and_goes_when_it_was_delivered(tmp_path: Path) -> None:
    async def test(archive: Archive) -> None:
        await store(archive, *range(1, 10))
        rules = retention(archive, delete="for-space", after="delivered", keep=0.0)
        await rules.tidy()
        assert len(await kept(archive)) == 9
        for job in await archive.claim("PACS", 4, keep_order=False):
            assert await archive.finish(job.id)
        await rules.tidy()
        assert await kept(archive) == [5, 6, 7, 8, 9]

    run(tmp_path, test, destinations=("PACS",), quota=_QUOTA)


def test_what_was_delivered_waits_for_the_commitment_where_that_is_configured(
    tmp_path: Path,
) -> None:
    async def test(archive: Archive) -> None:
        await store(archive, *range(1, 9))
        for job in await archive.claim("PACS", 9, keep_order=False):
            await archive.finish(job.id)
        rules = retention(archive, delete="for-space", after="committed", keep=0.0)
        await rules.tidy()
        assert len(await kept(archive)) == 8
        await archive.mark_committed("PACS", ["1.2.3.2", "1.2.3.3"])
        await rules.tidy()
        assert await kept(archive) == [1, 4, 5, 6, 7, 8]

    run(tmp_path, test, destinations=("PACS",), quota=_QUOTA)


def test_by_age_only_what_has_a_known_age_goes(tmp_path: Path) -> None:
    async def test(archive: Archive) -> None:
        await store(archive, 1, received=86400.0)  # in 1970, by a clock that was not set
        await store(archive, 2, received=_TODAY - 40 * 86400)
        await store(archive, 3, received=_TODAY - 20 * 86400)
        await store(archive, 4, received=_TODAY + 86400)
        await retention(archive, delete="by-age", after="received", age=30 * 86400.0).tidy()
        assert await kept(archive) == [1, 3, 4]
        corrections = (await archive.corrections()).items
        assert [(each.action, each.uid, each.who) for each in corrections] == [
            ("delete", "age", "retention")
        ]

    run(tmp_path, test)


def test_what_an_export_has_still_to_write_stays(tmp_path: Path) -> None:
    async def test(archive: Archive) -> None:
        await store(archive, *range(1, 9), received=_TODAY - 900 * 86400)
        target = Target("folder", "/nowhere")
        made = Plan("STD-GEN-CD", ("1.2.1", "1.2.2", "1.2.4"), (1, 1, 1), (), (), 8, "/")
        record = ExportRecord(0, IN_PROGRESS, _TODAY, target, made)
        begun = ExportRecord.of(await archive.save_examination(record.row()))
        rules = {"delete": "by-age", "after": "received", "keep": 86400.0}
        await retention(archive, **rules).tidy()
        assert await kept(archive) == [1, 2, 4]
        begun.state = COMPLETED
        await archive.save_examination(begun.row())
        await retention(archive, **rules).tidy()
        assert await kept(archive) == []

    run(tmp_path, test)
