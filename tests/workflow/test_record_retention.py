"""Retention of records: who decides how long, and that nothing fails for another's sake."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from agent.archive.archive import Archive
from agent.archive.decision import REPORT, JobPlan, order_of
from agent.archive.examinations import EXPORT, IN_PROGRESS
from agent.archive.worklist_store import add_entry
from agent.configuration.archive import Archive as ArchiveTable
from agent.configuration.archive import Retention
from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity, Service
from agent.configuration.procedure import StepAnswers, WorklistAnswers
from agent.dataset.attributes import Attributes
from agent.loop import Loop, timeout
from agent.loop.workers import Template, WorkerPool
from agent.workflow.examination_record import (
    COMPLETED,
    ExaminationRecord,
    PerformedSeries,
    PerformedStep,
)
from agent.workflow.export_record import FAILED, ExportRecord
from agent.workflow.export_settings import Plan, Target
from agent.workflow.record_retention import RecordRetention
from tests.node.test_worklist import entry

_DAY = 86400.0
_TODAY = 1_800_000_000.0
_OLD = _TODAY - 100 * _DAY


def entity(folder: Path, name: str = "A", *, keep: float = 30 * _DAY) -> Entity:
    services = tuple(
        Service(name=each, service=each, roles=("scp",)) for each in ("performed-step", "worklist")
    )
    return Entity(
        name=name,
        title=name,
        archive="main",
        services=services,
        steps=StepAnswers(keep=keep),
        worklist=WorklistAnswers(folder=str(folder / "worklist")),
    )


def configured(*entities: Entity, **rules: float) -> Configuration:
    table = ArchiveTable(name="main", retention=Retention(**rules))  # type: ignore[arg-type]
    return Configuration(archives=(table, replace(table, name="away")), entities=entities)


def age(archive: Archive, at: float = _OLD) -> None:
    """Everything is as old as that."""
    with sqlite3.connect(archive.folder / "index.sqlite", timeout=10) as index:
        index.execute("UPDATE step SET changed = ?", (at,))
        index.execute("UPDATE examination SET changed = ?", (at,))
        index.execute("UPDATE commitment SET asked = ?", (at,))


def run(
    folder: Path,
    configuration: Configuration,
    test: Callable[[Archive, RecordRetention], Awaitable[None]],
) -> None:
    template = Template.start()

    async def main() -> None:
        pool = WorkerPool(template, limit=1)
        archive = await Archive.open(folder / "archive", template, pool=pool, name="main")
        away = Archive(folder / "away", template, archive._receiver, archive.settings, pool, "away")
        await away.close()
        retention = RecordRetention(
            lambda: configuration,
            {"away": away, "main": archive},
            pool,
            lambda: 1_700_000_000.0,
            lambda: _TODAY,
        )
        try:
            with timeout(30):
                await test(archive, retention)
        finally:
            await archive.close()
            pool.close()

    try:
        Loop().run(main())
    finally:
        template.close()


async def fill(archive: Archive) -> None:
    """A step, an examination of one step, and a transaction, all over."""
    await archive.create_step("1.1", "US", Attributes(PerformedProcedureStepStatus=COMPLETED))
    step = PerformedStep("1.9", "1", _OLD, COMPLETED, _OLD, series=[PerformedSeries("1.9.1", 1)])
    await archive.save_examination(ExaminationRecord(0, "us", _OLD, "1.2", steps=[step]).row())
    await archive.begin_commitment("1.7", "PACS", [], 60.0)
    age(archive)


async def left(archive: Archive) -> tuple[int, int, int]:
    with sqlite3.connect(archive.folder / "index.sqlite") as index:
        (count,) = index.execute("SELECT count(*) FROM commitment").fetchone()
    return len(await archive.steps()), len(await archive.examinations()), count


def test_all_that_is_over_goes_whatever_becomes_of_another_archive(tmp_path: Path) -> None:
    async def test(archive: Archive, retention: RecordRetention) -> None:
        await fill(archive)
        await retention.tidy()
        assert await left(archive) == (0, 0, 0)

    run(tmp_path, configured(entity(tmp_path)), test)


def test_exports_that_are_over_go_and_are_no_examinations(tmp_path: Path) -> None:
    async def test(archive: Archive, retention: RecordRetention) -> None:
        target, made = (
            Target("folder", "/nowhere"),
            Plan("STD-GEN-CD", ("1.2",), (1,), (), (), 1, "/"),
        )
        for state in (IN_PROGRESS, COMPLETED, FAILED):
            await archive.save_examination(ExportRecord(0, state, _OLD, target, made).row())
        age(archive)
        assert await archive.examinations() == []
        assert await archive.examination(1) is None
        await retention.tidy()
        (left_over,) = await archive.examinations(kind=EXPORT)
        assert left_over.state == IN_PROGRESS
        assert ExportRecord.of(left_over).plan == made

    run(tmp_path, configured(entity(tmp_path), examinations=30 * _DAY), test)


def test_zero_is_for_ever(tmp_path: Path) -> None:
    async def test(archive: Archive, retention: RecordRetention) -> None:
        await fill(archive)
        await retention.tidy()
        assert await left(archive) == (1, 1, 1)

    entities = entity(tmp_path), entity(tmp_path, "B", keep=0.0)
    run(tmp_path, configured(*entities, examinations=0.0, commitments=0.0), test)


def test_of_entities_that_share_an_archive_the_longest_time_counts(tmp_path: Path) -> None:
    async def test(archive: Archive, retention: RecordRetention) -> None:
        await fill(archive)
        await retention.tidy()
        assert await left(archive) == (1, 0, 0)
        age(archive, _TODAY - 201 * _DAY)
        await retention.tidy()
        assert await left(archive) == (0, 0, 0)

    entities = entity(tmp_path), entity(tmp_path, "B", keep=200 * _DAY)
    run(tmp_path, configured(*entities), test)


def test_an_examination_whose_step_is_unreported_stays(tmp_path: Path) -> None:
    async def test(archive: Archive, retention: RecordRetention) -> None:
        await fill(archive)
        job = await archive.add_job(JobPlan(REPORT, "RIS"), order=order_of("1.9"))
        await retention.tidy()
        assert await left(archive) == (0, 1, 0)
        await archive.finish(job)
        await retention.tidy()
        assert await left(archive) == (0, 0, 0)

    run(tmp_path, configured(entity(tmp_path)), test)


def test_what_was_written_before_the_clock_was_set_stays(tmp_path: Path) -> None:
    async def test(archive: Archive, retention: RecordRetention) -> None:
        await fill(archive)
        age(archive, 86400.0)
        await retention.tidy()
        assert await left(archive) == (1, 1, 1)

    run(tmp_path, configured(entity(tmp_path)), test)


def test_old_worklist_entries_go(tmp_path: Path) -> None:
    folder = tmp_path / "worklist"
    made = [
        add_entry(str(folder), entry(n, ScheduledProcedureStepStartDate="20250101")) for n in (1, 2)
    ]
    os.utime(folder / made[0], (_OLD, _OLD))

    async def test(archive: Archive, retention: RecordRetention) -> None:
        os.utime(folder / made[1], (_TODAY, _TODAY))
        await retention.tidy()
        assert [each.name for each in folder.iterdir()] == [made[1]]

    run(tmp_path, configured(entity(tmp_path)), test)
