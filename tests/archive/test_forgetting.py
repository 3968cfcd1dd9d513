"""Steps, examinations, commitments and worklist entries whose time is over; and what never goes."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

from agent.archive.commitments import Delivered, Item
from agent.archive.decision import COMMIT, DELIVER, NOTIFY, REPORT, RESULT, JobPlan, order_of
from agent.archive.examinations import ExaminationRow
from agent.archive.forgetting import Period, ended_examinations, stale_commitments
from agent.archive.procedure_steps import pack
from agent.archive.worklist_forgetting import forget_entries
from agent.archive.worklist_store import add_entry, read_entries, set_step_status
from agent.dataset.attributes import Attributes
from agent.dataset.json_model import to_json
from tests.archive.objects import Rules, Worker, sample
from tests.node.test_worklist import entry, wl_file

_NOW = 1_800_000_000.0
_OLD = _NOW - 100 * 86400
_PERIOD = Period(1_700_000_000.0, _NOW - 30 * 86400)


def set_time(worker: Worker, table: str, column: str, at: float, key: str, value: object) -> None:
    store = worker.worker._store
    assert store is not None
    with store.index.transaction():
        store.index.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (at, value))


# Steps.


def step(worker: Worker, uid: str, status: str = "COMPLETED", changed: float = _OLD) -> None:
    made = Attributes(PerformedProcedureStepStatus=status)
    assert worker.call("create_step", uid, "US1", pack(made))
    set_time(worker, "step", "changed", changed, "sop_instance_uid", uid)


def steps(worker: Worker) -> list[str]:
    return [str(uid) for (uid,) in worker.rows("SELECT sop_instance_uid FROM step")]


def test_old_steps_go_and_those_in_progress_young_or_of_no_known_age_stay(tmp_path: Path) -> None:
    with Worker(tmp_path) as worker:
        step(worker, "1.1")
        step(worker, "1.2", "DISCONTINUED")
        step(worker, "1.3", "IN PROGRESS")
        step(worker, "1.4", changed=_NOW - 86400)
        step(worker, "1.5", changed=86400.0)
        assert worker.call("forget_steps", _PERIOD, "", 200) == (2, "")
        assert steps(worker) == ["1.3", "1.4", "1.5"]


def test_a_step_that_is_still_to_be_reported_stays_until_it_is(tmp_path: Path) -> None:
    with Worker(tmp_path) as worker:
        step(worker, "1.1")
        job = worker.queue("add", JobPlan(REPORT, "RIS"), study=-order_of("1.1"))
        assert worker.call("forget_steps", _PERIOD, "", 200) == (0, "")
        worker.queue("finish", job)
        assert worker.call("forget_steps", _PERIOD, "", 200) == (1, "")


def test_steps_go_a_few_at_a_time_and_those_that_stay_hold_up_no_others(tmp_path: Path) -> None:
    with Worker(tmp_path) as worker:
        for number in range(1, 7):
            step(worker, f"1.{number}")
        for number in (1, 2, 3):
            worker.queue("add", JobPlan(REPORT, "RIS"), study=-order_of(f"1.{number}"))
        counts, after = [], ""
        while True:
            count, after = worker.call("forget_steps", _PERIOD, after, 2)
            counts.append(count)
            if not after:
                break
        assert counts == [0, 1, 2, 0]
        assert steps(worker) == ["1.1", "1.2", "1.3"]


# Examinations.


def examination(
    worker: Worker, study: str, state: str = "COMPLETED", changed: float = _OLD
) -> tuple[int, tuple[int, ...]]:
    row = ExaminationRow(0, state, "us", _OLD, 0.0, study, json.dumps({}))
    number = worker.call("save_examination", row).id
    set_time(worker, "examination", "changed", changed, "id", number)
    return number, (order_of(f"{study}.9"),)


def test_only_examinations_that_are_over_are_asked_for_in_pages(tmp_path: Path) -> None:
    with Worker(tmp_path) as worker:
        for number in range(3):
            examination(worker, f"1.{number}")
        examination(worker, "1.7", "IN PROGRESS")
        examination(worker, "1.8", changed=_NOW)
        examination(worker, "1.9", "DISCONTINUED")
    folder = str(tmp_path)
    assert [each.id for each in ended_examinations(folder, _PERIOD, 0, 2)] == [1, 2]
    assert [each.id for each in ended_examinations(folder, _PERIOD, 2, 2)] == [3, 6]


def test_an_examination_goes_when_nothing_about_it_waits(tmp_path: Path) -> None:
    with Worker(tmp_path, Rules(("PACS",))) as worker:
        ended = [examination(worker, "1.2.3"), examination(worker, "1.2.4")]
        ended.append(examination(worker, "1.2.5"))
        worker.store(sample("1.2.3.1", study="1.2.3"))
        notice = worker.queue("add", JobPlan(NOTIFY, "RIS"), study=-order_of("1.2.4.9"))
        assert worker.call("forget_examinations", tuple(ended), _PERIOD) == 1
        assert worker.rows("SELECT id FROM examination") == [(1,), (2,)]
        worker.queue("finish", notice)
        assert worker.call("forget_examinations", tuple(ended), _PERIOD) == 1
        (job,) = worker.queue("claim", "PACS", 1)
        assert worker.call("forget_examinations", tuple(ended), _PERIOD) == 0
        worker.queue("finish", job.id)
        assert worker.call("forget_examinations", tuple(ended), _PERIOD) == 1


def test_one_that_was_begun_again_meanwhile_stays(tmp_path: Path) -> None:
    with Worker(tmp_path) as worker:
        ended = [examination(worker, "1.2.3")]
        row = ExaminationRow(1, "IN PROGRESS", "us", _OLD, 0.0, "1.2.3", "{}")
        worker.call("save_examination", row)
        assert worker.call("forget_examinations", tuple(ended), _PERIOD) == 0


# Commitments.


def asked(worker: Worker, uid: str, *items: Item, at: float = _OLD) -> None:
    worker.call("begin_commitment", uid, "PACS", items, 86400.0)
    set_time(worker, "commitment", "asked", at, "transaction_uid", uid)


def forget_commitments(worker: Worker) -> list[str]:
    found = stale_commitments(str(worker.folder), _PERIOD, 200)
    worker.call("forget_commitments", found)
    return found


def test_a_transaction_goes_when_nothing_waits_for_it_any_more(tmp_path: Path) -> None:
    with Worker(tmp_path, Rules(("PACS",))) as worker:
        worker.store(sample("1.2.3.1"))
        (delivery,) = worker.queue("claim", "PACS", 1)
        then = JobPlan(COMMIT, "PACS", payload=Delivered("PACS", b"").pack())
        worker.queue("finish", delivery.id, then=then)
        ((job,),) = worker.rows("SELECT id FROM job")
        item = Item(sample().sop_class_uid, "1.2.3.1", job)
        asked(worker, "1.7.1", item)
        asked(worker, "1.7.2", item, at=_OLD + 86400)
        asked(worker, "1.7.3", Item("1.2", "1.2.3.8", 4711))
        # The first was asked for again, of the third the job is gone; the second is open.
        assert forget_commitments(worker) == ["1.7.1", "1.7.3"]
        assert worker.rows("SELECT transaction_uid FROM commitment_item") == [("1.7.2",)]
        assert worker.call("commitment_answered", "1.7.2", ["1.2.3.1"], []) == "PACS"
        assert worker.rows("SELECT * FROM job") == []


def test_one_that_was_asked_of_us_is_known_until_it_is_answered_and_old(tmp_path: Path) -> None:
    with Worker(tmp_path) as worker:
        for uid in ("1.8.1", "1.8.2", "1.8.3"):
            payload = json.dumps({"transaction": uid, "objects": []}).encode()
            assert worker.call("commitment_asked", uid, JobPlan(RESULT, "CT", payload=payload))
            set_time(worker, "commitment", "asked", _OLD, "transaction_uid", uid)
        set_time(worker, "commitment", "asked", _NOW, "transaction_uid", "1.8.3")
        jobs = worker.queue("claim", "CT", 3)
        assert forget_commitments(worker) == []
        for job in jobs[::2]:
            worker.queue("finish", job.id)
        assert forget_commitments(worker) == ["1.8.1"]
        plan = JobPlan(DELIVER, "CT")
        assert not worker.call("commitment_asked", "1.8.2", plan)
        assert worker.call("commitment_asked", "1.8.1", plan)


# Worklist entries.


def written(path: Path, at: float) -> Path:
    os.utime(path, (at, at))
    return path


def own(folder: Path, number: int, date: str = "20250101", at: float = _OLD, **more: Any) -> Path:
    made = entry(number, ScheduledProcedureStepStartDate=date, **more)
    return written(folder / add_entry(str(folder), made), at)


def test_old_entries_of_our_own_go_and_those_of_others_only_where_configured(
    tmp_path: Path,
) -> None:
    mine = own(tmp_path, 1)
    wl_file(tmp_path / "ris.wl", entry(2, ScheduledProcedureStepStartDate="20250101"))
    written(tmp_path / "ris.wl", _OLD)
    theirs = tmp_path / "AE1"
    theirs.mkdir()
    other = theirs / "other.json"
    other.write_text(json.dumps(to_json(entry(3, ScheduledProcedureStepStartDate="20250101"))))
    written(other, _OLD)
    elsewhere = tmp_path / "backup"
    elsewhere.mkdir()
    kept = written(Path(other.rename(elsewhere / "other.json")), _OLD)
    other.write_text(kept.read_text())
    written(other, _OLD)
    before = _NOW - 30 * 86400
    assert forget_entries(str(tmp_path), ("AE1", "AE2"), before, 0.0) == 1
    assert not mine.exists()
    assert forget_entries(str(tmp_path), ("AE1", "AE2"), 0.0, before) == 2
    assert sorted(each.name for each in tmp_path.rglob("*.*")) == ["other.json"]
    assert kept.exists()


def test_entries_stay_that_are_for_a_later_day_under_way_fresh_or_not_understood(
    tmp_path: Path,
) -> None:
    later = time.strftime("%Y%m%d", time.localtime(_NOW - 30 * 86400))
    over, future, fresh = own(tmp_path, 1), own(tmp_path, 2, date=later), own(tmp_path, 3, at=_NOW)
    going, done, broken = own(tmp_path, 4), own(tmp_path, 5), own(tmp_path, 6)
    for number, path, status in ((4, going, "IN PROGRESS"), (5, done, "COMPLETED")):
        study = entry(number).text("StudyInstanceUID")
        assert set_step_status(str(tmp_path), study, f"SPS{number}", status)
        written(path, _OLD)
    broken.write_text("{")
    written(broken, _OLD)
    assert forget_entries(str(tmp_path), (), _NOW - 30 * 86400, 1.0) == 2
    assert {each for each in (over, future, fresh, going, done, broken) if each.exists()} == {
        future,
        fresh,
        going,
        broken,
    }


def test_a_file_of_several_entries_goes_with_the_last_of_them(tmp_path: Path) -> None:
    days = ["20250101", time.strftime("%Y%m%d", time.localtime(_NOW))]
    entries = [entry(n, ScheduledProcedureStepStartDate=day) for n, day in enumerate(days)]
    path = tmp_path / "several.json"
    path.write_text(json.dumps([to_json(each) for each in entries]))
    written(path, _OLD)
    assert forget_entries(str(tmp_path), (), _NOW, _NOW - 30 * 86400) == 0
    assert forget_entries(str(tmp_path), (), _NOW, _NOW + 2 * 86400) == 1


def test_nothing_is_deleted_while_the_ris_holds_its_lock(tmp_path: Path) -> None:
    own(tmp_path, 1)
    (tmp_path / "lockfile").touch()
    with (tmp_path / "lockfile").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        assert forget_entries(str(tmp_path), (), _NOW, 0.0) == 0
    assert forget_entries(str(tmp_path), (), _NOW, 0.0) == 1


def test_a_folder_that_is_not_there_has_nothing_to_delete(tmp_path: Path) -> None:
    assert forget_entries(str(tmp_path / "away"), ("AE1",), _NOW, _NOW) == 0


def test_a_called_title_that_is_a_path_leads_nowhere(tmp_path: Path) -> None:
    folder = tmp_path / "worklist"
    folder.mkdir()
    own(tmp_path, 1)
    assert read_entries(str(folder), "..") == read_entries(str(folder), "../../x") == []
    assert len(read_entries(str(tmp_path), "")) == 1
