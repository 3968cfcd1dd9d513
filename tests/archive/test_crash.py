"""Killed at any instruction, or failed by any system call: nothing acknowledged is lost.

The invariants, checked after each crash by a new worker on the same folder: every object that was
answered with success is there, byte for byte, with its row and its jobs; every name stands for a
whole object with a row; nothing is left in `incoming/`.
"""

from __future__ import annotations

import errno
import os
import random
import resource
import signal
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.archive import file_system, whole_sync
from agent.archive.settings import ArchiveSettings
from agent.dataset import tags
from agent.errors import StatusReaction, StorageError
from tests.archive.objects import Rules, SampleObject, Worker, files, sample

OBJECTS_IN_A_GROUP = 3
RULES = Rules(("PACS",))
SETTINGS = ArchiveSettings(lock_patience=2.0)


def numbered(number: int) -> SampleObject:
    """An object of its own study and content, so that it can be told from all others."""
    return sample(
        f"1.2.3.{number}",
        study=f"1.2.{number % 7}",
        series=f"1.2.{number % 7}.0",
        pixels=struct.pack("<I", number) * (100 + number % 50),
    )


def assert_whole(folder: Path, acknowledged: dict[int, int]) -> None:
    """The invariants; `acknowledged` maps the number of a sample to its number in the spool."""
    with Worker(folder, RULES, SETTINGS) as worker:
        worker.store()
        stored = files(folder)
        rows = {
            number: (uid, size, jobs)
            for number, uid, size, jobs in worker.rows(
                "SELECT id, sop_instance_uid, bytes, (SELECT count(*) FROM job"
                " WHERE job.instance = instance.id) FROM instance"
            )
        }
        assert set(rows) == set(stored)
        for number, (uid, size, jobs) in rows.items():
            expected = numbered(int(uid.rpartition(".")[2]))
            assert stored[number] == expected.meta + expected.data_set
            assert (size, jobs) == (len(stored[number]), 1)
        for each, number in acknowledged.items():
            assert rows[number][0] == f"1.2.3.{each}"
        assert worker.rows("SELECT coalesce(sum(bytes), 0) FROM instance") == [
            (sum(map(len, stored.values())),)
        ]
        assert worker.rows("PRAGMA quick_check") == [("ok",)]
        assert not list((folder / "incoming").iterdir())
        assert not list((folder / "strays").iterdir())


@contextmanager
def child(function: Callable[[], None]) -> Iterator[int]:
    """A forked process that runs `function`; it is killed when the block ends."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
        finally:
            os._exit(0)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def store_for_ever(folder: Path, acknowledge: int, first: int) -> None:
    """Store groups, and write down each acknowledged object once it is."""
    number = first
    with Worker(folder, RULES, SETTINGS) as worker:
        while True:
            group = list(range(number, number + OBJECTS_IN_A_GROUP))
            for each, verdict in zip(
                group, worker.store(*(numbered(each) for each in group)), strict=True
            ):
                if verdict.status == 0:
                    os.write(acknowledge, struct.pack("<II", each, verdict.instance_id))
            number += OBJECTS_IN_A_GROUP


def test_killed_at_random_moments_nothing_acknowledged_is_lost(
    tmp_path: Path, count: Callable[[int, int], int], way: str
) -> None:
    ledger = os.open(tmp_path / "ledger", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    folder = tmp_path / "archive"
    chance = random.Random(7)
    rounds, enough = count(25, 500), 20 * 8
    round_, longest = 0, 0.06
    while round_ < rounds or (os.fstat(ledger).st_size <= enough and round_ < 20 * rounds):
        before = os.fstat(ledger).st_size
        with child(lambda first=round_ * 100000: store_for_ever(folder, ledger, first)):
            time.sleep(chance.uniform(0.005, longest))
        if os.fstat(ledger).st_size == before:
            # On a machine with other work children die before their first object is safe.
            longest = min(1.1 * longest, 2.0)
        round_ += 1
    content = (tmp_path / "ledger").read_bytes()
    os.close(ledger)
    acknowledged = dict(struct.iter_unpack("<II", content))
    assert len(acknowledged) > 20
    assert_whole(folder, acknowledged)


STEPS = {
    **dict.fromkeys(("open", "fdatasync", "link", "fsync", "unlink", "mkdir", "write"), os),
    "synchronise": file_system,
}
_real: dict[str, Callable[..., Any]] = {
    name: getattr(module, name) for name, module in STEPS.items()
}


@pytest.fixture(params=["at once", "one after the other"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How objects become durable: where the file system can be synced whole, and elsewhere."""
    monkeypatch.setattr(
        file_system, "can_be_synchronised_whole", lambda _: request.param == "at once"
    )
    # However long a disk with other work takes.
    monkeypatch.setattr(whole_sync, "_PATIENCE", 3600.0)
    return str(request.param)


class FaultyDisk:
    """Counts the archive's own system calls, and lets the one of a given number fail or kill."""

    def __init__(self, at: int, fault: Callable[[], None]) -> None:
        self.calls = 0
        self._at = at
        self._fault = fault

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, module in STEPS.items():
            monkeypatch.setattr(module, name, self._wrapped(name))

    def _wrapped(self, name: str) -> Callable[..., object]:
        def call(*arguments: object, **fields: object) -> object:
            self.calls += 1
            if self.calls == self._at:
                self._fault()
            return _real[name](*arguments, **fields)

        return call


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fails_with(number: int) -> Callable[[], None]:
    def fault() -> None:
        raise OSError(number, os.strerror(number))

    return fault


def groups_of(folder: Path, ledger: int) -> None:
    """Open, two groups that cross into a new folder, a deletion, a correction."""
    with Worker(folder, RULES, SETTINGS) as worker:
        store = worker.worker._store
        assert store is not None
        store.use_up(997)
        for first in (1, 4):
            group = range(first, first + 3)
            calls = worker.try_store(*(numbered(each) for each in group))
            for each, call in zip(group, calls, strict=True):
                if call.error is None and call.value.verdict.status == 0:
                    os.pwrite(
                        ledger, struct.pack("<II", each, call.value.verdict.instance_id), each * 8
                    )


def calls_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    with monkeypatch.context() as patched:
        disk = FaultyDisk(0, kill)
        disk.install(patched)
        ledger = _real["open"](tmp_path / "dry-ledger", os.O_RDWR | os.O_CREAT)
        groups_of(tmp_path / "dry", ledger)
        os.close(ledger)
    return disk.calls


def read_ledger(path: Path) -> dict[int, int]:
    content = path.read_bytes()
    content = content[: len(content) // 8 * 8]
    return {each: number for each, number in struct.iter_unpack("<II", content) if each}


def test_killed_at_each_system_call_nothing_acknowledged_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    calls = calls_of(tmp_path, monkeypatch)
    assert calls > 30
    for at in range(1, calls + 1):
        folder = tmp_path / f"killed-{at}"
        path = tmp_path / f"ledger-{at}"
        ledger = os.open(path, os.O_RDWR | os.O_CREAT)
        pid = os.fork()
        if pid == 0:
            FaultyDisk(at, kill).install(monkeypatch)
            groups_of(folder, ledger)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == signal.SIGKILL, f"call {at} was never reached"
        os.close(ledger)
        assert_whole(folder, read_ledger(path))


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EROFS])
def test_failed_by_each_system_call_nothing_is_half_done_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, way: str
) -> None:
    calls = calls_of(tmp_path, monkeypatch)
    refused = 0
    for at in range(1, calls + 1):
        folder = tmp_path / f"failed-{at}"
        path = tmp_path / f"ledger-{at}"
        ledger = os.open(path, os.O_RDWR | os.O_CREAT)
        with monkeypatch.context() as patched:
            FaultyDisk(at, fails_with(number)).install(patched)
            try:
                groups_of(folder, ledger)
            except (StorageError, OSError) as error:
                # The archive could not be opened, or the test's own writing failed.
                if isinstance(error, StorageError):
                    assert isinstance(error.reaction, StatusReaction)
        os.close(ledger)
        acknowledged = read_ledger(path)
        refused += len(acknowledged) < 6
        assert_whole(folder, acknowledged)
    assert refused > 5


@pytest.mark.parametrize("way", ["one after the other"], indirect=True)
def test_one_file_that_cannot_be_synced_does_not_fail_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    with Worker(tmp_path, RULES) as worker:
        synced = []

        def fdatasync(descriptor: int) -> None:
            synced.append(descriptor)
            if len(synced) == 2:
                raise OSError(errno.EIO, "Input/output error")
            _real["fdatasync"](descriptor)

        with monkeypatch.context() as patched:
            patched.setattr(os, "fdatasync", fdatasync)
            one, two, three = worker.try_store(*(numbered(each) for each in (1, 2, 3)))
        assert one.result().verdict.status == three.result().verdict.status == 0
        assert isinstance(two.error, StorageError)
        assert isinstance(two.error.reaction, StatusReaction)
        assert two.error.reaction.status & 0xFF00 == 0xA700
    assert_whole(tmp_path, {1: 1, 3: 2})


def test_a_commit_that_fails_fails_its_group_and_the_next_one_clears_it_away(
    tmp_path: Path, way: str
) -> None:
    with Worker(tmp_path, RULES) as worker:
        worker.store(numbered(1))
        store = worker.worker._store
        assert store is not None
        real = store.index.execute

        def fails(statement: str, *values: object) -> object:
            if statement == "COMMIT":
                real("ROLLBACK")
                raise OSError(errno.EIO, "Input/output error")
            return real(statement, *values)

        store.index.execute = fails  # type: ignore[assignment]
        calls = worker.try_store(numbered(2), numbered(3))
        store.index.execute = real
        assert all(isinstance(call.error, StorageError) for call in calls)
        assert len(files(tmp_path)) == 3, "their fate is open: the log may yet be found good"
        (verdict,) = worker.store(numbered(2))
        assert (verdict.status, verdict.duplicate, verdict.instance_id) == (0, False, 4)
        assert sorted(files(tmp_path)) == [1, 4]
    assert_whole(tmp_path, {1: 1, 2: 4})


def commits_that_fail(folder: Path, ledger: int, room: int) -> None:
    """Groups while no file may grow beyond `room` bytes, and then while all may."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with Worker(folder, RULES, SETTINGS) as worker:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        refused = 0
        for first, limit in ((1, room), (4, room), (7, room), (10, hard), (13, hard)):
            receptions = [numbered(each) for each in range(first, first + 3)]
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            calls = worker.try_store(*receptions)
            for each, call in zip(range(first, first + 3), calls, strict=True):
                if call.error is None:
                    number = call.value.verdict.instance_id
                    os.pwrite(ledger, struct.pack("<II", each, number), each * 8)
                else:
                    assert isinstance(call.error, StorageError)
                    refused += 1
        os.pwrite(ledger, struct.pack("<II", 0, refused), 0)


def test_an_index_that_cannot_be_written_loses_nothing_acknowledged(
    tmp_path: Path, way: str
) -> None:
    refused = 0
    for room in range(6000, 150_000, 9001):
        folder, path = tmp_path / f"limited-{room}", tmp_path / f"ledger-{room}"
        with Worker(folder):
            pass
        ledger = os.open(path, os.O_RDWR | os.O_CREAT)
        pid = os.fork()
        if pid == 0:
            try:
                commits_that_fail(folder, ledger, room)
            finally:
                os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ledger)
        content = path.read_bytes()
        refused += struct.unpack_from("<II", content)[1]
        acknowledged = read_ledger(path)
        assert set(range(10, 16)) <= set(acknowledged), "it goes on when the disk does"
        assert_whole(folder, acknowledged)
    assert refused > 20


def test_orphans_get_their_rows_and_jobs_and_what_is_no_object_is_set_aside(
    tmp_path: Path,
) -> None:
    with Worker(tmp_path, RULES) as worker:
        worker.store(numbered(1))
    orphan = numbered(2)
    objects = tmp_path / "objects/000000"
    (objects / "000000002.dcm").write_bytes(orphan.meta + orphan.data_set)
    (objects / "000000003.dcm").write_bytes(b"")
    (objects / "000000004.dcm").write_bytes(b"no object at all" * 100)
    (objects / "notes.txt").write_text("not ours")
    with Worker(tmp_path, RULES) as worker:
        recovery = worker.opened.recovery
        assert (recovery.indexed, recovery.set_aside) == (1, 2)
        jobs = worker.queue("claim", "PACS", 10)
        assert [job.sop_instance_uid for job in jobs] == ["1.2.3.1", "1.2.3.2"]
        ((source,),) = worker.rows("SELECT source FROM instance WHERE id = 2")
        assert source == "MODALITY", "from the file meta information"
        (verdict,) = worker.store(numbered(5))
        assert verdict.instance_id == 5
    assert sorted(files(tmp_path)) == [1, 2, 5]
    assert len(list((tmp_path / "strays").iterdir())) == 2
    assert (objects / "notes.txt").exists()


def test_an_orphan_that_is_a_second_copy_is_cleared_away(tmp_path: Path) -> None:
    one = numbered(1)
    with Worker(tmp_path, RULES) as worker:
        worker.store(one)
    (tmp_path / "objects/000000/000000002.dcm").write_bytes(one.meta + one.data_set)
    assert_whole(tmp_path, {1: 1})
    assert sorted(files(tmp_path)) == [1]


def test_orphans_that_the_rules_would_refuse_now_are_kept(tmp_path: Path) -> None:
    with Worker(tmp_path):
        pass
    one = sample()
    folder = tmp_path / "objects/000000"
    folder.mkdir()
    (folder / "000000001.dcm").write_bytes(one.meta + one.data_set)
    refusing = Rules(("PACS",), refusal=StatusReaction(0x0124), coercions={tags.PATIENT_ID: b"1"})
    with Worker(tmp_path, refusing) as worker:
        assert worker.opened.recovery.indexed == 1
        assert worker.rows("SELECT count(*) FROM job") == [(0,)]


def killed_before_it_is_synced(folder: Path, *numbers: int) -> None:
    """Objects with names and rows, of which the disk need not have anything; nobody is answered."""
    pid = os.fork()
    if pid == 0:
        try:
            with Worker(folder, RULES, SETTINGS) as worker:
                file_system.synchronise = lambda _: kill()
                worker.store(*(numbered(each) for each in numbers))
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def with_a_hole(path: Path) -> None:
    content = path.read_bytes()
    os.truncate(path, 0)
    os.truncate(path, len(content))


def emptied(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.parametrize("way", ["at once"], indirect=True)
@pytest.mark.parametrize("damage", [Path.unlink, cut, with_a_hole, emptied])
def test_a_power_cut_before_the_sync_leaves_no_row_of_what_is_not_whole(
    tmp_path: Path, way: str, damage: Callable[[Path], None]
) -> None:
    with Worker(tmp_path, RULES) as worker:
        worker.store(numbered(1))
    killed_before_it_is_synced(tmp_path, 2, 3, 4)
    damage(tmp_path / "objects/000000/000000003.dcm")
    with Worker(tmp_path, RULES, SETTINGS) as worker:
        assert worker.opened.recovery.taken_back == 1
        assert worker.rows("SELECT id FROM instance ORDER BY id") == [(1,), (2,), (4,)]
        (verdict,) = worker.store(numbered(3))
        assert (verdict.status, verdict.duplicate) == (0, False)
    assert_whole(tmp_path, {1: 1, 2: 2, 4: 4, 3: verdict.instance_id})


@pytest.mark.parametrize("way", ["at once"], indirect=True)
@pytest.mark.parametrize("damage", [cut, with_a_hole, emptied])
def test_a_power_cut_that_leaves_a_name_without_a_row_leaves_no_half_object(
    tmp_path: Path, way: str, damage: Callable[[Path], None]
) -> None:
    with Worker(tmp_path, RULES) as worker:
        worker.store(numbered(1))
    whole = numbered(2)
    path = tmp_path / "objects/000000/000000002.dcm"
    path.write_bytes(whole.meta + whole.data_set)
    path.with_name("000000003.dcm").write_bytes(whole.meta + numbered(3).data_set)
    damage(path)
    with Worker(tmp_path, RULES, SETTINGS) as worker:
        recovery = worker.opened.recovery
        assert (recovery.indexed, recovery.set_aside) == (1, 1)
    assert sorted(files(tmp_path)) == [1, 3]


@pytest.mark.parametrize("way", ["at once"], indirect=True)
def test_a_sync_that_fails_is_a_failure_and_the_disk_is_asked_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    with Worker(tmp_path, RULES, SETTINGS) as worker:
        worker.store(numbered(1))
        with monkeypatch.context() as patched:
            patched.setattr(file_system, "synchronise", lambda _: fails_with(errno.EIO)())
            for _ in range(2):
                (call,) = worker.try_store(numbered(2))
                assert isinstance(call.error, StorageError)
                assert isinstance(call.error.reaction, StatusReaction)
                assert call.error.reaction.status == 0xA700
        (verdict,) = worker.store(numbered(2))
        assert (verdict.status, verdict.duplicate, verdict.instance_id) == (0, True, 2)
    assert_whole(tmp_path, {1: 1, 2: 2})


@pytest.mark.parametrize("way", ["at once"], indirect=True)
def test_who_waits_long_for_others_is_synced_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(whole_sync, "_PATIENCE", 0.0)
    calls: list[int] = []
    monkeypatch.setattr(
        file_system, "synchronise", lambda each: (calls.append(each), _real["synchronise"](each))
    )
    with Worker(tmp_path, RULES, SETTINGS) as worker:
        worker.store(numbered(1))
        assert len(calls) == 1
        worker.store(numbered(2), numbered(3))
        assert len(calls) == 1
    assert_whole(tmp_path, {1: 1, 2: 2, 3: 3})
