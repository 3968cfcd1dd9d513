"""Exports onto a stick that is pulled, where nothing is sure that was not synced.

The stick is a folder whose renames are as those of FAT: until the file itself is synced under its
new name, that leads nowhere. It is pulled at each system call once; see tests/machine/test_pulls.py
for the real ones.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.errors import StorageError
from agent.media.application_profiles import profile_of
from agent.media.directory_writer import Creator
from agent.media.file_set import FileSetWriter
from agent.workflow.export_plain import PlainFiles
from agent.workflow.export_settings import FOLDER, Plan, Selection, Target
from agent.workflow.export_unfinished import Unfinished
from tests.media.instances import instance, save
from tests.media.test_writing import uids_read_by_us
from tests.workflow.test_export_volume import archive_of, planned, writing

MARK = "GANTRY.TMP"
CALLS = ("fsync", "replace", "unlink", "rmdir", "mkdir")


class Fat:
    """Counts the system calls below a folder, and fails all from a certain one on."""

    def __init__(self, patch: pytest.MonkeyPatch, root: Path) -> None:
        self.root = root
        self.unsynced: set[Path] = set()
        self.left: int | None = None
        for name in CALLS:
            patch.setattr(os, name, self._wrapped(name, getattr(os, name)))

    def _wrapped(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(what: Any, *others: Any, dir_fd: int | None = None, **more: Any) -> Any:
            path = self._path(what, dir_fd)
            if not path.is_relative_to(self.root):
                words = more if dir_fd is None else {**more, "dir_fd": dir_fd}
                return call(what, *others, **words)
            if self.left is not None:
                if self.left == 0:
                    raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
                self.left -= 1
            words = more if dir_fd is None else {**more, "dir_fd": dir_fd}
            done = call(what, *others, **words)
            if name == "replace":
                self.unsynced.discard(path)
                self.unsynced.add(Path(others[0]))
            else:
                self.unsynced.discard(path)
            return done

        return wrapped

    @staticmethod
    def _path(what: Any, folder: int | None) -> Path:
        if isinstance(what, int):
            return Path(f"/proc/self/fd/{what}").readlink()
        if folder is not None:
            return Path(f"/proc/self/fd/{folder}").readlink() / what
        return Path(what)

    def put_back(self) -> None:
        """The stick is back, with what has arrived on it."""
        self.left = None
        for path in self.unsynced:
            if path.is_file():
                path.write_bytes(b"")
        self.unsynced.clear()


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def fat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fat]:
    yield Fat(monkeypatch, tmp_path / "stick")


@pytest.fixture
def update(tmp_path: Path) -> tuple[Path, Plan, Target, dict[str, bytes]]:
    """An archive with two studies, of which a stick has one; and the plan to add the other."""
    archive = archive_of(tmp_path, *(instance(each, study=each) for each in (1, 2)))
    stick = tmp_path / "stick"
    new = Target(FOLDER, str(stick))
    first = Selection(query=(("StudyID", "1"),))
    assert list(writing(archive, new, planned(archive, new, first)).steps())
    target = new._replace(update=True)
    shutil.copytree(stick, tmp_path / "kept")
    shutil.rmtree(tmp_path / "scratch")
    return archive, planned(archive, target), target, contents(stick)


def test_when_a_file_set_is_made_it_is_on_the_stick(tmp_path: Path, fat: Fat) -> None:
    with FileSetWriter(fat.root, profile_of("STD-GEN-CD"), Creator("1.2.3", "TEST", "")) as writer:
        writer.add(save(instance(1), tmp_path / "image"))
        writer.finish()
    fat.put_back()
    assert len(uids_read_by_us(fat.root)) == 1


@pytest.mark.parametrize(("by", "step"), [("the same export", 3), ("another export", 1)])
def test_pulled_at_each_call_the_file_set_is_the_old_or_the_new(
    update: tuple[Path, Plan, Target, dict[str, bytes]], fat: Fat, by: str, step: int
) -> None:
    archive, made, target, before = update
    after = None
    for moment in itertools.count(step=step):
        shutil.rmtree(archive.parent / "scratch", ignore_errors=True)
        shutil.rmtree(fat.root)
        shutil.copytree(archive.parent / "kept", fat.root)
        fat.unsynced.clear()
        fat.left = moment
        volume = writing(archive, target, made)
        try:
            for _ in volume.steps():
                pass
            is_over = True
        except StorageError:
            is_over = False
        was_pulled = fat.left == 0
        fat.put_back()
        if by == "the same export":  # Which takes longer.
            again = writing(archive, target, made)
            list(again.steps())
            assert again.tally().copied == 1, moment
            is_over = True
        else:
            Unfinished(fat.root).take_back()
        found = contents(fat.root)
        assert all(found[name] == data for name, data in before.items() if name != "DICOMDIR")
        assert len(uids_read_by_us(fat.root)) == (2 if found.keys() != before.keys() else 1)
        assert is_over <= (found.keys() != before.keys()), moment
        assert not any(name.startswith((MARK, "DICOMDIR.NEW")) for name in found), moment
        if not was_pulled:
            after = found
            break
    assert after is not None and moment > 30


def test_pulled_at_each_call_while_it_is_taken_back_the_file_set_is_the_old(
    update: tuple[Path, Plan, Target, dict[str, bytes]], fat: Fat
) -> None:
    archive, made, target, before = update
    steps = writing(archive, target, made).steps()
    for _ in range(3):
        next(steps)
    left = archive.parent / "left"
    shutil.copytree(fat.root, left)
    for moment in itertools.count():
        shutil.rmtree(fat.root)
        shutil.copytree(left, fat.root)
        fat.unsynced.clear()
        fat.left = moment
        try:
            Unfinished(fat.root).take_back()
        except OSError:
            assert fat.left == 0
        was_pulled = fat.left == 0
        fat.put_back()
        Unfinished(fat.root).take_back()
        assert contents(fat.root) == before, moment
        if not was_pulled:
            break
    assert moment > 8


def test_a_mark_whose_state_did_not_arrive_is_of_an_export_that_had_not_begun(
    update: tuple[Path, Plan, Target, dict[str, bytes]],
) -> None:
    _, _, target, before = update
    mark = Path(target.path) / MARK
    mark.mkdir()
    (mark / "STATE").touch()
    Unfinished(Path(target.path)).take_back()
    assert contents(Path(target.path)) == before


@pytest.mark.parametrize("profile", ["STD-GEN-CD", "NONE"])
def test_where_a_stick_was_no_folder_is_made(tmp_path: Path, profile: str) -> None:
    made = save(instance(1), tmp_path / "image")
    root, creator = tmp_path / "stick", Creator("1.2.3", "TEST", "")
    root.mkdir()
    if profile == "NONE":
        writer: FileSetWriter | PlainFiles = PlainFiles(root, creator)
    else:
        writer = FileSetWriter(root, profile_of(profile), creator)
    with writer:
        root.rmdir()
        with pytest.raises((StorageError, OSError)):
            writer.add(made)
    assert not root.exists()
