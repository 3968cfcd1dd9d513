"""The index: durable, versioned, checked, rebuilt from the spool, and quick to open when large."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest

from agent.archive import migrations, reader_worker, schema
from agent.archive.index import Index
from agent.archive.instances import InstanceRows, NewInstance
from agent.archive.keys import keys_of
from agent.archive.rebuild import rebuild
from agent.archive.settings import ArchiveSettings
from agent.dataset import tags
from agent.dataset.head import Head
from agent.errors import StorageError
from tests.archive.objects import Rules, Worker, files, sample

SETTINGS = ArchiveSettings(lock_patience=0.1)
RULES = Rules(("PACS",))


def filled(folder: Path, count: int = 5) -> None:
    with Worker(folder, RULES) as worker:
        worker.store(*(sample(f"1.2.3.{number}") for number in range(1, count + 1)))
        first, second = worker.queue("claim", "PACS", 2)
        worker.queue("finish", first.id)
        worker.queue("hold", second.id, reason="0122 SOP class not supported")


def test_the_index_is_durable_and_says_so(tmp_path: Path) -> None:
    index = Index.open(tmp_path)
    assert index.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert index.execute("PRAGMA synchronous").fetchone() == (2,)
    assert index.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
    index.close()


def test_a_newer_index_is_left_alone_with_a_way_out(tmp_path: Path) -> None:
    filled(tmp_path)
    with sqlite3.connect(tmp_path / "index.sqlite") as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    with pytest.raises(StorageError, match="newer Gantry") as caught:
        Worker(tmp_path)
    assert "--rebuild-index" in caught.value.way_out
    result = rebuild(tmp_path, RULES, SETTINGS)
    assert (result.objects, result.jobs_kept) == (5, 4)
    with Worker(tmp_path) as worker:
        assert len(worker.queue("claim", "PACS", 10)) == 3


def test_an_older_index_is_migrated_step_by_step_or_not_at_all(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "old.sqlite", isolation_level=None)
    assert migrations.migrate(connection) == 0
    steps = {
        schema.VERSION: "ALTER TABLE study ADD COLUMN one TEXT; CREATE TABLE two (id INTEGER)",
        schema.VERSION + 1: "ALTER TABLE two ADD COLUMN three TEXT",
    }
    newest = schema.VERSION + 2
    broken = {**steps, schema.VERSION + 1: "ALTER TABLE nowhere ADD COLUMN three TEXT"}
    with pytest.raises(sqlite3.Error):
        migrations.migrate(connection, steps=broken, newest=newest)
    assert connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
    assert connection.execute(
        "SELECT count(*) FROM sqlite_schema WHERE name = 'two'"
    ).fetchone() == (0,)
    assert migrations.migrate(connection, steps=steps, newest=newest) == schema.VERSION
    connection.execute("INSERT INTO two (three) VALUES ('x')")
    assert migrations.migrate(connection, steps=steps, newest=newest) == newest
    connection.close()


@pytest.mark.parametrize("damage", ["overwritten", "cut", "garbage"])
def test_a_damaged_index_is_noticed_and_rebuilt_from_the_spool(tmp_path: Path, damage: str) -> None:
    filled(tmp_path, 50)
    path = tmp_path / "index.sqlite"
    content = bytearray(path.read_bytes())
    if damage == "overwritten":
        content[4096:] = b"\xa5" * (len(content) - 4096)
    elif damage == "cut":
        del content[len(content) // 2 :]
    else:
        content = bytearray(b"this is no database at all" * 1000)
    path.write_bytes(content)
    with pytest.raises(StorageError, match="damaged") as caught:
        Worker(tmp_path)
    assert "--rebuild-index" in caught.value.way_out
    seen: list[int] = []
    result = rebuild(tmp_path, RULES, SETTINGS, seen.append)
    assert result.objects == seen[-1] == 50
    assert Path(result.old_index).exists()
    with Worker(tmp_path) as worker:
        (study,) = reader_worker.studies(str(tmp_path)).items
        assert study.instances == 50
        assert worker.rows("PRAGMA quick_check") == [("ok",)]
        # Jobs that could not be read are made anew by the rules: sent twice rather than not at all.
        ((left,),) = worker.rows("SELECT count(*) FROM job")
        assert left >= 48
        (verdict,) = worker.store(sample("1.2.3.51"))
        assert verdict.instance_id == 51


def test_a_page_damaged_in_the_middle_is_found_by_the_full_check(tmp_path: Path) -> None:
    filled(tmp_path, 300)
    path = tmp_path / "index.sqlite"
    content = bytearray(path.read_bytes())
    pages = len(content) // 4096
    middle = content.find(b"1.2.3.150")
    content[middle // 4096 * 4096 : middle // 4096 * 4096 + 64] = b"\xff" * 64
    assert pages > 10
    path.write_bytes(content)
    with pytest.raises(StorageError, match="damaged"):
        with Worker(tmp_path) as worker:
            worker.call("check")


def test_a_rebuild_of_a_whole_index_keeps_everything(tmp_path: Path) -> None:
    filled(tmp_path)
    with Worker(tmp_path, RULES) as worker:
        worker.store(sample("1.2.3.1", pixels=b"\7\7"))
        numbers = worker.call("numbers_of", "instance", "1.2.3.3")
        worker.call("delete", numbers, True)
        worker.call("record", "delete", "instance", "1.2.3.3", "mueller", 1, {})
        tables = ("instance", "destination", "finished_job", "delivery", "correction")
        before = {table: worker.rows(f"SELECT * FROM {table} ORDER BY 1") for table in tables}
        jobs = worker.rows("SELECT id, instance, state, reason FROM job ORDER BY id")
    result = rebuild(tmp_path, Rules(("SOMEWHERE ELSE",)), SETTINGS)
    assert (result.objects, result.set_aside, result.jobs_kept) == (5, 0, 4)
    with Worker(tmp_path) as worker:
        for table in ("instance", "finished_job", "delivery", "correction"):
            assert worker.rows(f"SELECT * FROM {table} ORDER BY 1") == before[table], table
        assert worker.rows("SELECT id, instance, state, reason FROM job ORDER BY id") == jobs
        assert worker.rows("SELECT name FROM destination") == [("PACS",)]
        (verdict,) = worker.store(sample("1.2.3.3"))
        assert verdict.instance_id == 7, "numbers are not used again"
    assert len(files(tmp_path)) == 6


def test_a_lost_index_is_made_anew_at_once(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / "index.sqlite").unlink()
    with Worker(tmp_path, RULES) as worker:
        assert worker.opened.recovery.indexed == 5
        assert len(worker.queue("claim", "PACS", 10)) == 5


def fill_with_rows(folder: Path, count: int) -> None:
    """Rows as if `count` objects had been stored, without their files."""
    index = Index.open(folder)
    rows = InstanceRows(index)
    with index.transaction():
        for number in range(1, count + 1):
            study, series = number // 500, number // 100
            values = {
                tags.SOP_CLASS_UID: b"1.2.840.10008.5.1.4.1.1.2",
                tags.SOP_INSTANCE_UID: b"1.2.3.%d" % number,
                tags.STUDY_INSTANCE_UID: b"1.2.4.%d" % study,
                tags.SERIES_INSTANCE_UID: b"1.2.5.%d" % series,
                tags.PATIENT_ID: b"%d" % (study // 2),
                tags.PATIENT_NAME: b"Doe^%d" % (study // 2),
                tags.MODALITY: b"CT",
            }
            rows.add(
                NewInstance(
                    number=number,
                    keys=keys_of(Head(values, {}, 0, None)),
                    transfer_syntax_uid="1.2.840.10008.1.2.1",
                    data_set_offset=400,
                    size=500_000,
                    received=1e9 + number,
                    source="MODALITY",
                )
            )
        index.set_state(last_number=count, bytes=count * 500_000)
    index.close()


def opening_time(folder: Path) -> float:
    times = []
    for _ in range(5):
        started = time.perf_counter()
        with Worker(folder):
            times.append(time.perf_counter() - started)
    return min(times)


def test_100000_objects_start_as_fast_as_none_and_are_listed_at_once(
    tmp_path: Path, record_property: pytest.RecordProperty, capsys: pytest.CaptureFixture[str]
) -> None:
    empty, full = tmp_path / "empty", tmp_path / "full"
    with Worker(empty), Worker(full):
        pass
    started = time.perf_counter()
    fill_with_rows(full, 100_000)
    per_row = (time.perf_counter() - started) / 100_000
    times = {"empty": opening_time(empty), "full": opening_time(full)}
    started = time.perf_counter()
    page = reader_worker.studies(str(full), limit=100)
    listing = time.perf_counter() - started
    started = time.perf_counter()
    counts = reader_worker.counts(str(full))
    counting = time.perf_counter() - started
    with capsys.disabled():
        print(
            f"\narchive start: empty {times['empty'] * 1e3:.1f} ms,"
            f" 100,000 objects {times['full'] * 1e3:.1f} ms; {per_row * 1e6:.0f} us a row;"
            f" 100 studies {listing * 1e3:.1f} ms, counts {counting * 1e3:.1f} ms"
        )
    assert (counts.instances, len(page.items)) == (100_000, 100)
    assert times["full"] < times["empty"] + 0.05
    assert listing < 0.2
    assert counting < 0.2
