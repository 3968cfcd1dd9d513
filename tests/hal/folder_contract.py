"""What every watcher of a folder owes its owner: subclassed per driver, with the hand that drops.

Time stands still but for `pass_by`; `everything` collects until the watcher has nothing to do now.
"""

import os
from pathlib import Path

import pytest

from hal.folder.base import (
    FileChanged,
    FileComplete,
    FolderEvent,
    FolderGone,
    FolderReturned,
    FolderSettings,
    WatchedFolder,
    open_version,
)
from tests.hal.clocks import StoppedClock

SETTINGS = FolderSettings(settle=2.0, abandoned=30.0, check=5.0)


class FolderContract:
    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.clock = StoppedClock()
        self.path = tmp_path / "drop"
        self.path.mkdir()

    def make(self, settings: FolderSettings) -> WatchedFolder:
        raise NotImplementedError

    def drop(self, watcher: WatchedFolder, path: str, content: bytes) -> None:
        raise NotImplementedError

    def remove(self, watcher: WatchedFolder, path: str) -> None:
        raise NotImplementedError

    def vanish(self, watcher: WatchedFolder) -> None:
        raise NotImplementedError

    def come_back(self, watcher: WatchedFolder) -> None:
        raise NotImplementedError

    @pytest.fixture
    def watcher(self):
        made = self.make(SETTINGS)
        made.open()
        self.everything(made)
        yield made
        made.close()

    def everything(self, watcher: WatchedFolder, limit: int = 256) -> list[FolderEvent]:
        events: list[FolderEvent] = []
        for _ in range(10_000):
            found = watcher.collect(limit)
            events += found
            deadline = watcher.deadline()
            if not found and (deadline is None or deadline > self.clock.now()):
                return events
        raise AssertionError("the watcher never comes to rest")

    def pass_by(self, watcher: WatchedFolder, seconds: float) -> list[FolderEvent]:
        """Time goes on to each deadline in turn: what a loop would do."""
        events: list[FolderEvent] = []
        end = self.clock.now() + seconds
        while True:
            events += self.everything(watcher)
            deadline = watcher.deadline()
            if deadline is None or deadline > end:
                self.clock.time = end
                return events + self.everything(watcher)
            self.clock.time = deadline

    @staticmethod
    def paths(events: list[FolderEvent]) -> list[str]:
        return [event.path for event in events if isinstance(event, FileComplete)]

    def test_a_dropped_file_is_told_once_and_at_once(self, watcher):
        self.drop(watcher, "a.dcm", b"abc")
        (event,) = self.everything(watcher)
        assert isinstance(event, FileComplete)
        assert (event.path, event.version.size) == ("a.dcm", 3)
        assert self.pass_by(watcher, 100) == []

    def test_files_that_are_there_already_are_told_when_they_have_settled(self):
        (self.path / "sub").mkdir()
        for name in ("one", "two", "sub/three"):
            (self.path / name).write_bytes(b"x")
        watcher = self.make(SETTINGS)
        watcher.open()
        assert self.everything(watcher) == []
        self.clock.pass_by(SETTINGS.settle)
        assert sorted(self.paths(self.everything(watcher))) == ["one", "sub/three", "two"]
        assert self.pass_by(watcher, 100) == []
        watcher.close()

    def test_each_version_of_a_file_is_told(self, watcher):
        told = []
        for content in (b"1", b"22", b"22", b"1"):
            self.drop(watcher, "a", content)
            told += self.everything(watcher)
        assert self.paths(told) == ["a"] * 4

    def test_versions_that_follow_each_other_before_a_look_are_told_as_the_last(self, watcher):
        for content in (b"1", b"22", b"333"):
            self.drop(watcher, "a", content)
        (event,) = self.everything(watcher)
        assert event.version.size == 3

    def test_a_file_in_a_new_folder_is_told_with_its_path(self, watcher):
        self.drop(watcher, "patient/study/a", b"x")
        assert self.paths(self.pass_by(watcher, 10)) == ["patient/study/a"]

    def test_a_file_removed_before_a_look_is_not_told(self, watcher):
        self.drop(watcher, "a", b"x")
        self.remove(watcher, "a")
        assert self.pass_by(watcher, 10) == []

    def test_a_file_removed_and_dropped_again_is_told_again(self, watcher):
        self.drop(watcher, "a", b"x")
        assert self.paths(self.everything(watcher)) == ["a"]
        self.remove(watcher, "a")
        self.everything(watcher)
        self.drop(watcher, "a", b"x")
        assert self.paths(self.everything(watcher)) == ["a"]

    def test_names_of_unfinished_files_and_hidden_folders_are_passed_over(self, watcher):
        for name in ("a.tmp", "b.PART", ".hidden", "~c", "d~", ".done/e"):
            self.drop(watcher, name, b"x")
        assert self.pass_by(watcher, 100) == []

    def test_only_names_that_match_the_pattern_count(self):
        watcher = self.make(FolderSettings(pattern="*.dcm", recursive=False))
        watcher.open()
        self.everything(watcher)
        for name in ("a.dcm", "b.txt", "sub/c.dcm"):
            self.drop(watcher, name, b"x")
        assert self.paths(self.pass_by(watcher, 100)) == ["a.dcm"]
        watcher.close()

    def test_names_that_are_no_text_are_kept(self, watcher):
        name = b"\xff\xfe \n.dcm".decode("utf-8", "surrogateescape")
        self.drop(watcher, name, b"x")
        (event,) = self.everything(watcher)
        assert event.path == name

    def test_a_folder_that_goes_and_comes_back_is_said_and_nothing_is_told_twice(self, watcher):
        self.drop(watcher, "old", b"x")
        assert self.paths(self.everything(watcher)) == ["old"]
        self.vanish(watcher)
        (gone,) = self.pass_by(watcher, 60)
        assert isinstance(gone, FolderGone) and gone.reason
        self.drop(watcher, "new", b"y")
        self.come_back(watcher)
        events = self.pass_by(watcher, 60)
        assert [type(event) for event in events] == [FolderReturned, FileComplete]
        assert self.paths(events) == ["new"]

    def test_many_files_are_told_each_once_however_little_a_look_may_do(self, watcher):
        names = [f"f{number:03}" for number in range(200)]
        for name in names:
            self.drop(watcher, name, b"x")
        assert sorted(self.paths(self.everything(watcher, limit=7))) == names

    def test_a_complete_file_opens_as_the_version_that_was_told(self, watcher):
        self.drop(watcher, "sub/a", b"abc")
        (event,) = self.pass_by(watcher, 10)
        with os.fdopen(open_version(str(self.path), event), "rb") as file:
            assert file.read() == b"abc"
        self.drop(watcher, "sub/a", b"other")
        with pytest.raises(FileChanged):
            open_version(str(self.path), event)
        self.remove(watcher, "sub/a")
        with pytest.raises(FileChanged):
            open_version(str(self.path), event)

    def test_close_is_always_right_and_open_can_follow(self):
        watcher = self.make(SETTINGS)
        watcher.close()
        assert watcher.collect() == [] and watcher.deadline() is None
        watcher.open()
        watcher.open()
        watcher.close()
        watcher.close()
        watcher.open()
        self.everything(watcher)
        self.drop(watcher, "a", b"x")
        assert self.paths(self.everything(watcher)) == ["a"]
        watcher.close()
