"""Delete, re-identify, send again; and what retention may delete."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from agent.archive import candidates, reader_worker
from agent.archive.decision import DELIVER, JobPlan
from agent.archive.records import (
    COMMITTED,
    DELIVERED,
    LEAST_RECENTLY_USED,
    RECEIVED,
    Conditions,
    Flag,
)
from agent.dataset import tags
from agent.errors import LocalError
from tests.archive.objects import Rules, Worker, files, sample


def three_objects(folder: Path, *destinations: str) -> Worker:
    worker = Worker(folder, Rules(destinations))
    worker.store(
        sample("1.2.3.1"),
        sample("1.2.3.2", series="1.2.3.9"),
        sample("1.2.4.1", study="1.2.4", series="1.2.4.0", patient_id="4712"),
    )
    return worker


@pytest.mark.parametrize(
    ("level", "uid", "left", "counts"),
    [
        ("study", "1.2.3", [3], (1, 1, 1, 1)),
        ("series", "1.2.3.9", [1, 3], (2, 2, 2, 2)),
        ("instance", "1.2.3.1", [2, 3], (2, 2, 2, 2)),
    ],
)
def test_deleting_takes_rows_files_and_what_is_empty_then(
    tmp_path: Path, level: str, uid: str, left: list[int], counts: tuple[int, ...]
) -> None:
    with three_objects(tmp_path) as worker:
        numbers = worker.call("numbers_of", level, uid)
        result = worker.call("delete", numbers, False)
        assert list(result.deleted) == numbers
        found = reader_worker.counts(str(tmp_path))
        assert (found.patients, found.studies, found.series, found.instances) == counts
        assert found.size == sum(len(content) for content in files(tmp_path).values())
        assert sorted(files(tmp_path)) == left
        assert worker.rows("SELECT id FROM doomed") == []


def test_what_has_jobs_stays_unless_forced(tmp_path: Path) -> None:
    with three_objects(tmp_path, "PACS") as worker:
        result = worker.call("delete", [1, 2], False)
        assert (result.deleted, result.kept, len(files(tmp_path))) == ((), (1, 2), 3)
        result = worker.call("delete", [1, 2], True)
        assert (result.deleted, result.kept) == ((1, 2), ())
        assert len(reader_worker.jobs(str(tmp_path)).items) == 1
        history = reader_worker.finished_jobs(str(tmp_path)).items
        assert {each.outcome for each in history} == {"dropped"}


def test_what_was_deleted_can_come_again_and_numbers_are_never_used_twice(tmp_path: Path) -> None:
    with three_objects(tmp_path) as worker:
        worker.call("delete", [3], False)
    with Worker(tmp_path) as worker:
        (verdict,) = worker.store(sample("1.2.4.1", study="1.2.4", series="1.2.4.0"))
        assert (verdict.duplicate, verdict.instance_id) == (False, 4)


def test_a_crash_between_row_and_file_leaves_nothing(tmp_path: Path) -> None:
    with three_objects(tmp_path) as worker:
        store = worker.worker._store
        assert store is not None
        with store.index.transaction():
            store.rows.remove([1, 2])
        assert len(files(tmp_path)) == 3
    with Worker(tmp_path) as worker:
        worker.store(sample("1.2.9"))
        assert sorted(files(tmp_path)) == [3, 4]


def reidentify(worker: Worker, numbers: list[int], changes: dict[int, str]) -> int:
    pairs = [(number, worker.call("stage", number, changes, "mueller")) for number in numbers]
    done: int = worker.call("swap", pairs)
    return done


def test_a_study_is_reidentified_with_its_old_values_recorded(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom")
    changes = {tags.PATIENT_ID: "0815", tags.PATIENT_NAME: "Müller^Anna"}
    with three_objects(tmp_path, "PACS") as worker:
        assert reidentify(worker, worker.call("numbers_of", "study", "1.2.3"), changes) == 2
        assert sorted(files(tmp_path)) == [3, 4, 5]
        study = next(
            each
            for each in reader_worker.studies(str(tmp_path)).items
            if each.study_instance_uid == "1.2.3"
        )
        assert (study.patient_id, study.patient_name) == ("0815", "Müller^Anna")
        assert (study.instances, study.series) == (2, 2)
        jobs = worker.queue("claim", "PACS", 10)
        assert sorted(job.instance_id for job in jobs) == [3, 4, 5]
        # A second correction is recorded beside the first.
        assert reidentify(worker, [4], {tags.PATIENT_ID: "0816"}) == 1
        found = reader_worker.instances(str(tmp_path)).items
        assert all(each.flags & Flag.REIDENTIFIED for each in found if each.id != 3)
        assert worker.store(sample("1.2.3.1"))[0].duplicate, "what was received then is known"
        assert worker.rows("SELECT id FROM doomed") == []
    data_set = pydicom.dcmread(tmp_path / "objects/000000/000000006.dcm")
    assert (data_set.PatientID, str(data_set.PatientName)) == ("0816", "Müller^Anna")
    first, second = data_set.OriginalAttributesSequence
    assert first.ModifiedAttributesSequence[0].PatientID == "4711"
    assert second.ModifiedAttributesSequence[0].PatientID == "0815"
    assert first.SourceOfPreviousValues == "mueller"


def test_what_is_being_sent_while_it_is_reidentified_goes_out_once_more(tmp_path: Path) -> None:
    with three_objects(tmp_path, "PACS") as worker:
        (under_way,) = worker.queue("claim", "PACS", 1)
        assert reidentify(worker, [1, 2], {tags.PATIENT_ID: "0815"}) == 2
        worker.queue("finish", under_way.id, status=0, reason="", then=None)
        waiting = worker.queue("claim", "PACS", 10)
        # The one that began as it was, the one that waited, and the one that nobody changed.
        assert sorted(job.instance_id for job in waiting) == [3, 4, 5]


def test_a_crash_while_reidentifying_leaves_the_old_objects_only(tmp_path: Path) -> None:
    with three_objects(tmp_path) as worker:
        worker.call("stage", 1, {tags.PATIENT_ID: "0815"}, "mueller")
        worker.store(sample("1.2.9"))
        assert sorted(files(tmp_path)) == [1, 2, 3, 4, 5], "not swept while it is worked on"
    with Worker(tmp_path) as worker:
        worker.store()
        assert sorted(files(tmp_path)) == [1, 2, 3, 5]
        assert worker.opened.recovery.indexed == 0


@pytest.mark.parametrize("tag", [tags.SOP_INSTANCE_UID, tags.SPECIFIC_CHARACTER_SET])
def test_what_an_object_is_cannot_be_changed(tmp_path: Path, tag: int) -> None:
    with three_objects(tmp_path) as worker:
        with pytest.raises(LocalError):
            worker.call("stage", 1, {tag: "1.2"}, "mueller")


def test_a_name_that_the_character_set_cannot_hold_is_refused(tmp_path: Path) -> None:
    with three_objects(tmp_path) as worker:
        with pytest.raises(LocalError, match="no code"):
            worker.call("stage", 1, {tags.PATIENT_NAME: "王^小東"}, "mueller")
        worker.store()
        assert sorted(files(tmp_path)) == [1, 2, 3]


def test_a_study_is_sent_again(tmp_path: Path) -> None:
    with three_objects(tmp_path) as worker:
        numbers = worker.call("numbers_of", "study", "1.2.3")
        assert worker.call("send_again", numbers, JobPlan(DELIVER, "PACS")) == 2
        assert worker.call("send_again", numbers, JobPlan(DELIVER, "PACS")) == 0
        worker.call("record", "send again", "study", "1.2.3", "mueller", 2, {"destination": "PACS"})
        (line,) = reader_worker.corrections(str(tmp_path)).items
        assert (line.action, line.uid, line.who, line.instances) == (
            "send again",
            "1.2.3",
            "mueller",
            2,
        )


def ids(folder: Path, **conditions: object) -> list[int]:
    found = candidates.candidates(str(folder), Conditions(**conditions))  # type: ignore[arg-type]
    return [each.id for each in found]


def test_what_retention_may_delete(tmp_path: Path) -> None:
    with three_objects(tmp_path, "PACS") as worker:
        assert ids(tmp_path, after=RECEIVED) == [], "never with unfinished jobs"
        for job in worker.queue("claim", "PACS", 2):
            worker.queue("finish", job.id)
        assert ids(tmp_path, after=RECEIVED) == [1, 2]
        assert ids(tmp_path, after=DELIVERED) == [1, 2]
        assert ids(tmp_path, after=COMMITTED) == []
        worker.queue("mark_committed", "PACS", ["1.2.3.2"])
        assert ids(tmp_path, after=COMMITTED) == [2]
        assert ids(tmp_path, after=RECEIVED, received_before=time.time() - 60) == []


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    with three_objects(tmp_path) as worker:
        worker.store(sample("1.2.9", study="", series=""))
        ((study,),) = worker.rows("SELECT id FROM study WHERE study_instance_uid = '1.2.3'")
        worker.call("touch", [study], time.time() + 10)
        order = {"after": RECEIVED, "order": LEAST_RECENTLY_USED}
        assert ids(tmp_path, **order) == [3, 1, 2, 4]
        assert ids(tmp_path, after=RECEIVED, unused_since=time.time() + 5) == [3, 4]
        found = candidates.candidates(
            str(tmp_path), Conditions(after=RECEIVED), 2, skip=frozenset((1,))
        )
        assert [each.id for each in found] == [2, 3]
