"""Full disks, quotas, and volumes that are away."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.archive import space as space_module
from agent.archive.incoming import create
from agent.archive.settings import ArchiveSettings, StorageStatuses
from agent.archive.space import Excess, Space
from agent.errors import StatusReaction, StorageError
from tests.archive.objects import RecordedCall, Rules, Worker, files, receive, sample


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 6 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m,nr_inodes=10000", "gantry-test", folder],
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("mounting needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill_up(path: Path) -> None:
    """Take all that is left of a disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(descriptor, bytes(4096))
    except OSError:
        os.close(descriptor)


def numbered(number: int, length: int = 100_000) -> object:
    return sample(f"1.2.3.{number}", pixels=bytes((number, 0)) * (length // 2))


def test_a_full_disk_answers_a700_and_recovers_by_itself(small_disk: Path) -> None:
    folder = small_disk / "archive"
    settings = ArchiveSettings(reserve=0, statuses=StorageStatuses(disk_full=0xA701))
    stored: dict[int, int] = {}
    statuses: set[int] = set()
    with Worker(folder, Rules(("PACS",)), settings) as worker:
        for number in range(1, 60):
            try:
                call = worker.try_store(numbered(number))[0]  # type: ignore[arg-type]
                error = call.error
            except (StorageError, OSError) as failed:
                error = failed
            if error is None:
                stored[number] = call.value.verdict.instance_id
            elif isinstance(error, StorageError):
                assert isinstance(error.reaction, StatusReaction)
                statuses.add(error.reaction.status)
        assert 10 < len(stored) < 45
        assert len(files(folder)) == len(stored)
        assert statuses <= {0xA701}
        worker.call("delete", list(stored.values())[:5], True)
        while worker.call("sweep"):
            pass
        (verdict,) = worker.store(numbered(99))  # type: ignore[arg-type]
        assert verdict.status == 0
        for number in list(stored)[:5]:
            del stored[number]
        stored[99] = verdict.instance_id
    with Worker(folder, settings=settings) as worker:
        rows = dict(worker.rows("SELECT id, sop_instance_uid FROM instance"))
        assert rows == {number: f"1.2.3.{each}" for each, number in stored.items()}
        assert set(files(folder)) == set(rows)


def test_an_index_that_cannot_grow_answers_a700_and_leaves_nothing(small_disk: Path) -> None:
    folder = small_disk / "archive"
    with Worker(folder, settings=ArchiveSettings(reserve=0)) as worker:
        receptions = [receive(folder, sample(f"1.2.3.{number}")) for number in range(200)]
        filler = small_disk / "filler"
        fill_up(filler)
        calls = [
            RecordedCall("commit", (sample(f"1.2.3.{number}").origin, "", None), [each.descriptor])
            for number, each in enumerate(receptions)
        ]
        worker.serve(*calls)
        failed = [call for call in calls if call.error is not None]
        assert failed
        for call in failed:
            assert isinstance(call.error, StorageError)
            assert isinstance(call.error.reaction, StatusReaction)
            assert call.error.reaction.status == 0xA700
        for reception in receptions:
            reception.discard()
        assert len(files(folder)) == 200 - len(failed)
        filler.unlink()
        # They send again: what was stored is known, what was refused is not.
        verdicts = worker.store(*(sample(f"1.2.3.{number}") for number in range(200)))
        assert sum(verdict.duplicate for verdict in verdicts) == 200 - len(failed)
        assert len(files(folder)) == 200


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def filled_space(
    monkeypatch: pytest.MonkeyPatch, free: int, settings: ArchiveSettings, *, free_files: int = 900
) -> tuple[Space, list[int], Clock]:
    asked: list[int] = []

    def statvfs(path: object) -> os.statvfs_result:
        asked.append(1)
        files = (1000, free_files, free_files) if free_files else (0, 0, 0)
        return os.statvfs_result((4096, 4096, 1000, free, free, *files, 0, 255))

    monkeypatch.setattr(space_module.os, "statvfs", statvfs)
    clock = Clock()
    return Space(Path("/nowhere"), settings, clock=clock), asked, clock


@pytest.mark.parametrize(
    ("free", "held", "settings", "refused"),
    [
        (500, 0, ArchiveSettings(reserve=0), ""),
        (49, 0, ArchiveSettings(reserve=0), "disk space"),
        (51, 0, ArchiveSettings(reserve=0), ""),
        (500, 0, ArchiveSettings(reserve=501 * 4096), "disk space"),
        (500, 95, ArchiveSettings(reserve=0, quota=100), "quota"),
        (500, 94, ArchiveSettings(reserve=0, quota=100), ""),
        (10, 0, ArchiveSettings(reserve=0, quota=100), ""),
    ],
)
def test_marks_are_kept(
    monkeypatch: pytest.MonkeyPatch,
    free: int,
    held: int,
    settings: ArchiveSettings,
    refused: str,
) -> None:
    space, _, _ = filled_space(monkeypatch, free, settings)
    space.held = held
    refusal = space.refusal()
    if refused:
        assert refusal is not None
        assert refusal.status == 0xA700
        assert refused in refusal.comment
    else:
        assert refusal is None


@pytest.mark.parametrize(
    ("free_files", "settings", "refused", "excess"),
    [
        (900, ArchiveSettings(reserve=0), "", 0),
        (51, ArchiveSettings(reserve=0, high_watermark=0.96), "", 449),
        (49, ArchiveSettings(reserve=0), "files", 451),
        (100, ArchiveSettings(reserve=0, high_watermark=0.9), "disk space", 400),
        (50, ArchiveSettings(reserve=0, quota=100), "files", 50),
        (51, ArchiveSettings(reserve=0, quota=100), "", 49),
        # A file system without bound, as btrfs.
        (0, ArchiveSettings(reserve=0), "", 0),
    ],
)
def test_marks_are_kept_for_files_as_well(
    monkeypatch: pytest.MonkeyPatch,
    free_files: int,
    settings: ArchiveSettings,
    refused: str,
    excess: int,
) -> None:
    space, _, _ = filled_space(monkeypatch, 900, settings, free_files=free_files)
    refusal = space.refusal()
    assert bool(refusal) is bool(refused)
    if refusal is not None:
        assert refusal.status == 0xA700
        assert refused in refusal.comment
    assert space.excess(0.5) == Excess(0, excess)


def test_a_disk_without_room_for_files_answers_a700_and_recovers_by_itself(
    small_disk: Path,
) -> None:
    subprocess.run(["mount", "-o", "remount,size=60m,nr_inodes=200", small_disk], check=True)
    settings = ArchiveSettings(reserve=0)
    space = Space(small_disk / "archive", settings, period=0)
    stored: list[int] = []
    with Worker(small_disk / "archive", Rules(("PACS",)), settings) as worker:
        while (refusal := space.refusal()) is None:
            (verdict,) = worker.store(numbered(len(stored), 200))  # type: ignore[arg-type]
            stored.append(verdict.instance_id)
        assert refusal.status == 0xA700
        usage = space.usage()
        assert 10 <= usage.free_files <= 12, "others have some left"
        assert usage.part > 0.94 and usage.free > usage.total / 2
        excess = space.excess(0.85)
        assert excess == Excess(0, usage.files - usage.free_files - int(0.85 * usage.files))
        worker.call("delete", stored[: excess.files], True)
        while worker.call("sweep"):
            pass
        assert not space.excess(0.85)
        assert space.refusal() is None
        (verdict,) = worker.store(numbered(250, 200))  # type: ignore[arg-type]
        assert verdict.status == 0


def test_the_file_system_is_asked_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    space, asked, clock = filled_space(monkeypatch, 500, ArchiveSettings(reserve=0))
    for _ in range(100):
        space.refusal()
    assert len(asked) == 1
    clock.now += 1.0
    space.refusal()
    assert len(asked) == 2
    space.look_again()
    space.refusal()
    assert len(asked) == 3


def test_a_volume_that_cannot_be_asked_refuses(tmp_path: Path) -> None:
    space = Space(tmp_path / "gone", ArchiveSettings())
    refusal = space.refusal()
    assert refusal is not None and refusal.status == 0xA700


def test_a_folder_whose_volume_is_away_is_a_failure_and_not_an_empty_archive(
    tmp_path: Path,
) -> None:
    volume, record = tmp_path / "volume", tmp_path / "state/identity"
    settings = ArchiveSettings(identity_record=str(record), lock_patience=0.1)
    with Worker(volume / "archive", settings=settings) as worker:
        worker.store(sample())
        identity = worker.opened.identity
    volume.rename(tmp_path / "unplugged")
    volume.mkdir()
    with pytest.raises(StorageError, match="away") as caught:
        Worker(volume / "archive", settings=settings)
    assert isinstance(caught.value.reaction, StatusReaction)
    assert not (volume / "archive").exists(), "nothing is made in its place"
    with Worker(tmp_path / "other"):
        pass
    (tmp_path / "other").rename(volume / "archive")
    with pytest.raises(StorageError, match="another archive"):
        Worker(volume / "archive", settings=settings)
    (volume / "archive").rename(tmp_path / "other")
    volume.rmdir()
    (tmp_path / "unplugged").rename(volume)
    with Worker(volume / "archive", settings=settings) as worker:
        assert worker.opened.identity == identity
        assert len(files(volume / "archive")) == 1


def test_a_worker_takes_up_a_volume_that_comes_back(tmp_path: Path) -> None:
    record = tmp_path / "identity"
    folder = tmp_path / "archive"
    settings = ArchiveSettings(identity_record=str(record), lock_patience=0.1)
    with Worker(folder, settings=settings):
        pass
    folder.rename(tmp_path / "away")
    worker = Worker.__new__(Worker)
    with pytest.raises(StorageError):
        worker.__init__(folder, settings=settings)  # type: ignore[misc]
    (tmp_path / "away").rename(folder)
    assert worker.call("open").identity
    worker.close()


def test_a_mount_point_that_is_not_mounted_is_said(tmp_path: Path) -> None:
    settings = ArchiveSettings(volume=str(tmp_path))
    with pytest.raises(StorageError, match="not mounted"):
        Worker(tmp_path / "archive", settings=settings)


def test_a_volume_that_is_mounted_is_taken(small_disk: Path) -> None:
    settings = ArchiveSettings(volume=str(small_disk))
    with Worker(small_disk / "archive", settings=settings) as worker:
        assert worker.store(sample())[0].status == 0


def test_no_file_can_be_made_where_there_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        create(tmp_path / "nowhere")
