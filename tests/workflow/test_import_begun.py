"""What an import has begun is carried out, whatever became of who asked for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agent.archive.examinations import ExaminationRow
from agent.loop import Loop, TaskGroup, sleep
from agent.media.contents import Patient, Series, Study
from agent.workflow import import_reconciliation
from agent.workflow.import_reconciliation import Imports
from agent.workflow.import_record import ImportRecord
from agent.workflow.import_survey import FoundStudy, Survey


class Archive:
    """Keeps what it is given, and takes its time to note it."""

    def __init__(self) -> None:
        self.rows: list[ExaminationRow] = []

    async def examinations(self, *_: Any, **__: Any) -> list[ExaminationRow]:
        return self.rows

    async def save_examination(self, row: ExaminationRow, *_: Any) -> ExaminationRow:
        self.rows.append(row._replace(id=1))
        return self.rows[-1]

    async def note(self, *_: Any) -> None:
        await sleep(0.05)


class Pool:
    async def call(self, *_: Any) -> Survey:
        study = Study("1.2.3", "1", "", "", "", {"1.2.3.4": Series("1.2.3.4", "1", "CT", "")})
        return Survey([FoundStudy(Patient("P", "Doe"), study)])


class Configuration:
    class node:
        uid_root = ""

    class steps:
        peers = available = ()


def imports_into(archive: Archive) -> Any:
    return Imports(
        Configuration,  # type: ignore[arg-type]
        {"main": archive},  # type: ignore[dict-item]
        None,  # type: ignore[arg-type]
        Pool(),  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
        lambda _: None,
    )


def test_a_stick_that_goes_while_its_import_is_begun_leaves_none_that_nobody_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = []

    async def go_on(_: Imports, archive: Archive, record: ImportRecord) -> bool:
        done.append(record.id)
        archive.rows.clear()
        return True

    async def main() -> None:
        archive = Archive()
        imports = imports_into(archive)
        async with TaskGroup() as group:
            running = group.start(imports.run(), "run")
            await sleep(0.02)
            asking = group.start(imports.begin("/stick"), "begin")
            while not archive.rows:
                await sleep(0.005)
            asking.cancel()
            await sleep(0.2)
            running.cancel()

    monkeypatch.setattr(Imports, "_go_on", go_on)
    monkeypatch.setattr(import_reconciliation, "media_keys_of", lambda _: None)
    Loop().run(main())
    assert done == [1]


def with_a_file_that_cannot_be_read(record: ImportRecord) -> None:
    record.failed_with("IMAGE", "Input/output error")


def begun_from_half_the_stick(record: ImportRecord) -> None:
    """Pulled while it was looked through: as many objects were expected as were seen."""
    record.expected += 2


@pytest.mark.parametrize("so_far", [with_a_file_that_cannot_be_read, begun_from_half_the_stick])
def test_an_import_that_goes_on_is_not_begun_again(
    monkeypatch: pytest.MonkeyPatch, so_far: Callable[[ImportRecord], None]
) -> None:
    found: list[Any] = []

    async def main() -> None:
        archive = Archive()
        imports = imports_into(archive)
        await imports.begin("/stick")
        record = ImportRecord.of(archive.rows[0])
        so_far(record)
        archive.rows[0] = record.row()
        found.append(await imports.begin_all("/stick", match=False))

    monkeypatch.setattr(import_reconciliation, "media_keys_of", lambda _: None)
    Loop().run(main())
    assert found == [([1], [])]
