import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hal.folder import kernel
from hal.folder.base import (
    FileComplete,
    FolderError,
    FolderGone,
    FolderRescanned,
    FolderReturned,
    FolderSettings,
    FolderTrouble,
    open_version,
)
from hal.folder.inotify import InotifyFolder
from tests.hal.clocks import StoppedClock
from tests.hal.folder_contract import SETTINGS, FolderContract


class TestInotifyKeepsTheContract(FolderContract):
    def make(self, settings):
        return InotifyFolder(self.path, settings, clock=self.clock)

    def place(self):
        return self.path if self.path.exists() else self.path.with_name("away")

    def drop(self, watcher, path, content):
        target = self.place() / path
        new = [p for p in target.parents if not p.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        assert not new or target.exists()

    def remove(self, watcher, path):
        (self.path / path).unlink()

    def vanish(self, watcher):
        self.path.rename(self.path.with_name("away"))

    def come_back(self, watcher):
        self.path.with_name("away").rename(self.path)

    def test_what_comes_after_open_is_seen_by_the_kernel(self):
        watcher = self.make(SETTINGS)
        watcher.open()
        (self.path / "a").write_bytes(b"x")
        assert self.paths(self.everything(watcher)) == ["a"]
        watcher.close()

    def test_a_flood_of_events_is_taken_a_part_at_a_time(self, watcher):
        names = sorted(f"f{number}" for number in range(1500))
        for name in names:
            (self.path / name).write_bytes(b"x")
        first = watcher.collect()
        assert len(first) < len(names) and watcher.deadline() == self.clock.now()
        assert sorted(self.paths(first + self.everything(watcher))) == names

    def test_a_file_is_not_told_while_its_writer_has_it_open(self, watcher):
        with (self.path / "a").open("wb") as file:
            for _ in range(5):
                file.write(b"x" * 100)
                file.flush()
                assert self.pass_by(watcher, SETTINGS.settle * 2) == []
        (event,) = self.everything(watcher)
        assert event.version.size == 500

    def test_a_file_that_its_writer_has_abandoned_is_told_and_again_when_it_is_closed(
        self, watcher
    ):
        with (self.path / "a").open("wb") as file:
            file.write(b"x")
            file.flush()
            assert self.paths(self.pass_by(watcher, 3 * SETTINGS.abandoned)) == ["a"]
            file.write(b"y")
        (event,) = self.everything(watcher)
        assert event.version.size == 2

    def test_a_file_that_is_written_again_in_place_is_told_even_with_the_same_size_and_time(
        self, watcher
    ):
        path = self.path / "a"
        path.write_bytes(b"1")
        (first,) = self.everything(watcher)
        with path.open("r+b") as file:
            file.write(b"2")
            file.flush()
            os.utime(path, ns=(0, first.version.modified_ns))
        (second,) = self.everything(watcher)
        assert second == first

    def test_opening_and_reading_a_told_file_tells_nothing(self, watcher):
        path = self.path / "a"
        path.write_bytes(b"1")
        self.everything(watcher)
        path.read_bytes()
        with path.open("r+b"):
            pass
        path.chmod(0o600)
        assert self.pass_by(watcher, 100) == []

    def test_a_renamed_file_is_told_at_once_under_its_last_name(self, watcher):
        (self.path / "a.tmp").write_bytes(b"x")
        assert self.pass_by(watcher, 10) == []
        (self.path / "a.tmp").rename(self.path / "a.dcm")
        assert self.paths(self.everything(watcher)) == ["a.dcm"]

    def test_a_file_moved_in_and_out_is_not_told(self, watcher, tmp_path):
        (tmp_path / "x").write_bytes(b"x")
        (tmp_path / "x").rename(self.path / "x")
        (self.path / "x").rename(tmp_path / "y")
        assert self.pass_by(watcher, 100) == []

    def test_a_hard_link_and_a_file_made_without_a_name_are_told(self, watcher, tmp_path):
        (tmp_path / "x").write_bytes(b"x")
        (self.path / "linked").hardlink_to(tmp_path / "x")
        assert self.paths(self.pass_by(watcher, 100)) == ["linked"]

    def test_an_empty_file_waits_for_its_content(self, watcher):
        path = self.path / "a"
        path.touch()
        assert self.everything(watcher) == []
        path.write_bytes(b"x")
        (event,) = self.everything(watcher)
        assert event.version.size == 1
        (self.path / "empty").touch()
        assert self.paths(self.pass_by(watcher, 100)) == ["empty"]

    def test_symbolic_links_are_not_followed(self, watcher, tmp_path):
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "secret").write_bytes(b"x")
        (self.path / "file").symlink_to(outside / "secret")
        (self.path / "folder").symlink_to(outside)
        assert self.pass_by(watcher, 100) == []
        inner = self.path / "inner"
        inner.mkdir()
        (inner / "secret").write_bytes(b"y")
        (event,) = self.pass_by(watcher, 10)
        shutil.rmtree(inner)
        inner.symlink_to(outside)
        with pytest.raises(OSError):
            open_version(str(self.path), event)

    def test_pipes_sockets_and_devices_are_not_files(self, watcher):
        os.mkfifo(self.path / "pipe")
        assert self.pass_by(watcher, 100) == []

    def test_a_tree_moved_in_is_told_whole_and_a_tree_moved_within_under_its_new_name(
        self, watcher, tmp_path
    ):
        tree = tmp_path / "tree"
        (tree / "deep").mkdir(parents=True)
        for number in range(5):
            (tree / "deep" / f"f{number}").write_bytes(b"x")
        tree.rename(self.path / "one")
        told = self.paths(self.pass_by(watcher, 10))
        assert sorted(told) == [f"one/deep/f{number}" for number in range(5)]
        (self.path / "one").rename(self.path / "two")
        self.pass_by(watcher, 10)
        (self.path / "two" / "deep" / "late").write_bytes(b"x")
        assert self.paths(self.everything(watcher)) == ["two/deep/late"]

    def test_a_file_written_while_its_new_folder_is_being_found_is_told_once(self, watcher):
        folder = self.path / "new"
        folder.mkdir()
        with (folder / "a").open("wb") as file:
            file.write(b"x")
            self.everything(watcher)
            file.write(b"y")
        (event,) = self.pass_by(watcher, 100)
        assert event.version.size == 2

    def test_a_folder_that_is_not_there_at_first_is_waited_for(self):
        self.path.rmdir()
        watcher = self.make(SETTINGS)
        watcher.open()
        (gone,) = self.pass_by(watcher, 60)
        assert isinstance(gone, FolderGone)
        self.path.mkdir()
        (self.path / "a").write_bytes(b"x")
        events = self.pass_by(watcher, 60)
        assert [type(event) for event in events] == [FolderReturned, FileComplete]
        watcher.close()

    def test_a_folder_removed_and_made_anew_is_another_folder(self, watcher):
        shutil.rmtree(self.path)
        self.path.mkdir()
        events = self.pass_by(watcher, 60)
        assert [type(event) for event in events] == [FolderGone, FolderReturned]
        (self.path / "a").write_bytes(b"x")
        assert self.paths(self.everything(watcher)) == ["a"]

    def test_overflow_of_the_kernels_queue_loses_nothing(self, watcher):
        length = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
        if length > 20_000:
            pytest.skip(f"the queue holds {length} events")
        names = [f"f{number}" for number in range(length // 4)]
        for name in names:
            (self.path / name).write_bytes(b"x")
        for _ in range(3):
            for name in names[: length // 8]:
                (self.path / name).touch()
                (self.path / name).read_bytes()
        events = self.pass_by(watcher, 60)
        assert FolderRescanned("") in events
        assert sorted(self.paths(events)) == sorted(names)

    def test_a_sub_folder_that_may_not_be_read_is_said_once_and_tried_again(self, watcher):
        if os.geteuid() == 0:
            pytest.skip("root may read everything")
        closed = self.path / "closed"
        closed.mkdir(mode=0)
        events = self.pass_by(watcher, 60)
        assert [type(event) for event in events] == [FolderTrouble]
        closed.chmod(0o700)
        (closed / "a").write_bytes(b"x")
        assert self.paths(self.pass_by(watcher, 60)) == ["closed/a"]

    def test_without_kernel_events_files_are_found_by_looking_and_told_when_still(
        self, monkeypatch
    ):
        monkeypatch.setattr(kernel.Inotify, "read", lambda self: [])
        watcher = self.make(FolderSettings(settle=2, rescan=1, check=5))
        watcher.open()
        self.everything(watcher)
        told = []
        with (self.path / "a").open("wb") as file:
            for _ in range(6):
                file.write(b"x")
                file.flush()
                told += self.pass_by(watcher, 1.5)
        assert told == []
        (event,) = self.pass_by(watcher, 60)
        assert event.version.size == 6
        (self.path / "a").unlink()
        self.pass_by(watcher, 2)
        (self.path / "a").write_bytes(b"y")
        assert self.paths(self.pass_by(watcher, 60)) == ["a"]
        watcher.close()

    def test_without_a_watch_left_folders_are_looked_through(self, monkeypatch):
        def none_left(self, path, mask):
            raise OSError(28, "no inotify watch is left (fs.inotify.max_user_watches)")

        monkeypatch.setattr(kernel.Inotify, "add", none_left)
        watcher = self.make(SETTINGS)
        watcher.open()
        (trouble,) = self.everything(watcher)
        assert isinstance(trouble, FolderTrouble) and "max_user_watches" in trouble.reason
        (self.path / "a").write_bytes(b"x")
        assert self.paths(self.pass_by(watcher, 60)) == ["a"]
        watcher.close()

    def test_without_an_instance_left_open_says_so(self, monkeypatch):
        def none_left(self):
            raise OSError(24, "no inotify instance is left (max_user_instances)")

        monkeypatch.setattr(kernel.Inotify, "__init__", none_left)
        with pytest.raises(FolderError, match="max_user_instances"):
            self.make(SETTINGS).open()

    def test_the_descriptor_tells_when_something_happened(self, watcher):
        watcher.collect()  # what its own look through the folder stirred up
        poll = select.poll()
        poll.register(watcher.descriptor, select.POLLIN)
        assert poll.poll(0) == []
        (self.path / "a").write_bytes(b"x")
        assert poll.poll(0) != []
        self.everything(watcher)
        assert poll.poll(0) == []

    def test_no_descriptor_is_left_open(self):
        before = len(list(Path("/proc/self/fd").iterdir()))
        for number in range(20):
            watcher = self.make(SETTINGS)
            watcher.open()
            (self.path / f"f{number}").write_bytes(b"x")
            watcher.collect(1)
            watcher.close()
        assert len(list(Path("/proc/self/fd").iterdir())) == before


ACTS = [
    "write",
    "rewrite",
    "append",
    "rename",
    "link",
    "remove",
    "mkdir",
    "movedir",
    "look",
    "wait",
]


@settings(max_examples=40, deadline=None)
@given(acts=st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 3)), max_size=30))
def test_whatever_is_done_the_last_told_version_of_each_file_is_what_lies_there(
    tmp_path_factory, acts
):
    clock = StoppedClock()
    path = tmp_path_factory.mktemp("drop")
    (path / "d").mkdir()
    watcher = InotifyFolder(path, FolderSettings(settle=2), clock=clock)
    watcher.open()
    told = {}
    counter = 0

    def look():
        for event in watcher.collect(3):
            if isinstance(event, FileComplete):
                told[event.path] = event.version

    for act, number in acts:
        counter += 1
        names = sorted(p for p in path.rglob("*") if p.is_file())
        some = names[number % len(names)] if names else None
        if act in ("rewrite", "append") and some is not None and some.stat().st_nlink > 1:
            # The kernel tells of the name that was written through, and of no other.
            continue
        if act == "write":
            (path / f"n{counter}").write_bytes(b"x" * counter)
        elif act == "mkdir":
            (path / f"d{counter}" / "e").mkdir(parents=True)
            (path / f"d{counter}" / "e" / "f").write_bytes(b"x" * counter)
        elif act == "movedir":
            for folder in sorted(path.glob("d*"))[:1]:
                folder.rename(path / f"d{counter}")
        elif act == "look":
            look()
        elif act == "wait":
            clock.pass_by(number)
        elif some is None:
            continue
        elif act == "rewrite":
            some.write_bytes(b"y" * counter)
        elif act == "append":
            with some.open("ab") as file:
                file.write(b"z")
        elif act == "rename":
            some.rename(some.with_name(f"r{counter}"))
        elif act == "link":
            some.with_name(f"l{counter}").hardlink_to(some)
        elif act == "remove":
            some.unlink()
    for _ in range(60):
        look()
        if watcher.deadline() > clock.now():
            clock.pass_by(1)
    for file in (p for p in path.rglob("*") if p.is_file()):
        status = file.lstat()
        version = told[str(file.relative_to(path))]
        assert (version.inode, version.size) == (status.st_ino, status.st_size)
    watcher.close()


def test_with_writers_at_work_every_file_is_told_once_with_its_whole_content(tmp_path):
    """Another process writes slowly while we look all the time, by the real clock."""
    program = (
        "import os, sys\n"
        "for number in range(300):\n"
        "    with open(f'{sys.argv[1]}/f{number}', 'wb') as file:\n"
        "        for _ in range(20):\n"
        "            file.write(b'x' * 97); file.flush()\n"
    )
    watcher = InotifyFolder(tmp_path, FolderSettings(settle=30))
    watcher.open()
    writer = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)])
    told = []
    end = time.monotonic() + 20
    while len(told) < 300 and time.monotonic() < end:
        told += [event for event in watcher.collect() if isinstance(event, FileComplete)]
    assert writer.wait(10) == 0
    told += [event for event in watcher.collect() if isinstance(event, FileComplete)]
    watcher.close()
    assert sorted(event.path for event in told) == sorted(f"f{number}" for number in range(300))
    assert {event.version.size for event in told} == {1940}


def test_network_file_systems_are_known_by_the_mount_table(tmp_path):
    status = tmp_path.stat()
    device = f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}"
    table = tmp_path / "mountinfo"
    for kind, far in [("ext4", False), ("nfs4", True), ("cifs", True), ("fuse.sshfs", True)]:
        table.write_text(
            "21 1 0:77 / /proc rw - proc proc rw\n"
            f"22 1 {device} / / rw,noatime shared:1 - {kind} x rw\n"
        )
        assert kernel.writers_are_unseen(str(tmp_path), str(table)) is far
    assert kernel.writers_are_unseen(str(tmp_path), str(tmp_path / "none")) is False
