"""Killed or failed in the middle of a deletion or a correction: it is done whole, or not at all."""

from __future__ import annotations

import errno
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from agent.dataset import tags
from agent.errors import StorageError
from tests.archive.objects import Worker, files, sample
from tests.archive.test_crash import RULES, SETTINGS, FaultyDisk, fails_with, kill

UIDS = ("1.2.3.1", "1.2.3.2", "1.2.3.3")


def prepare(folder: Path) -> None:
    with Worker(folder, RULES, SETTINGS) as worker:
        worker.store(*(sample(uid) for uid in UIDS))


def correct(folder: Path) -> None:
    """Delete the first object, and give the two others another patient."""
    with Worker(folder, RULES, SETTINGS) as worker:
        worker.call("delete", [1], True)
        changes = {tags.PATIENT_ID: "0815"}
        pairs = [(number, worker.call("stage", number, changes, "mueller")) for number in (2, 3)]
        worker.call("swap", pairs)
        while worker.call("sweep"):
            pass


def assert_whole(folder: Path) -> str:
    """The invariants; returns the patient of the two objects."""
    with Worker(folder, RULES, SETTINGS) as worker:
        worker.store()
        assert worker.opened.recovery.set_aside == 0
        rows = worker.rows("SELECT id, sop_instance_uid, bytes FROM instance")
        stored = files(folder)
        assert {number: size for number, _, size in rows} == {
            number: len(content) for number, content in stored.items()
        }
        found = sorted(uid for _, uid, _ in rows)
        assert found in ([*UIDS], [*UIDS[1:]])
        patients = {b"0815" in stored[number] for number, uid, _ in rows if uid != UIDS[0]}
        assert len(patients) == 1, "both or none"
        jobs = worker.rows(
            "SELECT sop_instance_uid FROM job JOIN instance ON instance.id = instance"
        )
        assert sorted(uid for (uid,) in jobs) == found
        assert worker.rows("SELECT count(*) FROM study") == [(1,)]
        ((patient,),) = worker.rows("SELECT patient_id FROM patient")
        assert patient == (b"0815" if True in patients else b"4711")
        assert worker.rows("SELECT id FROM doomed") == []
        return str(patient)


def calls_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    prepare(folder)
    with monkeypatch.context() as patched:
        disk = FaultyDisk(0, kill)
        disk.install(patched)
        correct(folder)
    return disk.calls


def test_killed_at_each_system_call_a_correction_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = set()
    for at in range(1, calls_of(tmp_path / "dry", monkeypatch) + 1):
        folder = tmp_path / f"killed-{at}"
        prepare(folder)
        pid = os.fork()
        if pid == 0:
            FaultyDisk(at, kill).install(monkeypatch)
            correct(folder)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == signal.SIGKILL
        seen.add(assert_whole(folder))
    assert len(seen) == 2, "the moments before and after were both tried"


def test_failed_by_each_system_call_a_correction_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in range(1, calls_of(tmp_path / "dry", monkeypatch) + 1):
        folder = tmp_path / f"failed-{at}"
        prepare(folder)
        with monkeypatch.context() as patched:
            FaultyDisk(at, fails_with(errno.EIO)).install(patched)
            with suppress(StorageError):
                correct(folder)
        assert_whole(folder)
