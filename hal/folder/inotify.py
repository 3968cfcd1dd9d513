"""Watches a folder with the kernel's inotify, and by looking through it where that is blind."""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from hal.clock import Clock, MonotonicClock
from hal.folder import kernel
from hal.folder.base import (
    FileComplete,
    FileVersion,
    FolderError,
    FolderEvent,
    FolderGone,
    FolderRescanned,
    FolderReturned,
    FolderSettings,
    FolderTrouble,
    WatchedFolder,
)
from hal.folder.completion import Completion

_MASK = (
    kernel.IN_MODIFY
    | kernel.IN_CLOSE_WRITE
    | kernel.IN_OPEN
    | kernel.IN_MOVED_FROM
    | kernel.IN_MOVED_TO
    | kernel.IN_CREATE
    | kernel.IN_DELETE
    | kernel.IN_DELETE_SELF
    | kernel.IN_MOVE_SELF
    | kernel.IN_ONLYDIR
    | kernel.IN_EXCL_UNLINK
)
_SELF_GONE = kernel.IN_DELETE_SELF | kernel.IN_MOVE_SELF | kernel.IN_UNMOUNT | kernel.IN_IGNORED
_RESCAN_WHERE_BLIND = 10.0
_MOST_READS = 2


class InotifyFolder(WatchedFolder):
    """The driver. `path` may itself be reached over symbolic links; nothing below it may.

    Each folder below takes one of the user's inotify watches; where none is left, those folders
    are looked through every ten seconds instead, and a FolderTrouble says so.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        settings: FolderSettings | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        self._path = os.fspath(path)
        self._settings = FolderSettings() if settings is None else settings
        self._clock = MonotonicClock() if clock is None else clock
        self._inotify: kernel.Inotify | None = None
        self._completion = Completion(
            settle=self._settings.settle, abandoned=self._settings.abandoned
        )
        self._root: tuple[int, int] | None = None
        self._folder_of: dict[int, str] = {}
        self._watch_of: dict[str, int] = {}
        self._to_scan: deque[str] = deque()
        self._scanning: Iterator[None] | None = None
        self._whole_scan = False
        self._unread: set[str] = set()
        self._blind = False
        self._behind = False
        self._told_gone = False
        self._events: list[FolderEvent] = []
        self._next_check = 0.0
        self._next_rescan: float | None = None

    # The interface.

    def open(self) -> None:
        if self._inotify is not None:
            return
        try:
            self._inotify = kernel.Inotify()
        except OSError as error:
            raise FolderError(f"{self._path} cannot be watched: {error.strerror}") from error
        self._completion.vanished()
        self._told_gone = False
        self._next_check = self._clock.now()
        self._look_for_root()
        self._scan_some(1)  # from here on the kernel sees what comes

    def close(self) -> None:
        if self._inotify is not None:
            self._leave_root()
            self._inotify.close()
            self._inotify = None
        self._events.clear()

    @property
    def descriptor(self) -> int | None:
        return None if self._inotify is None else self._inotify.descriptor

    def deadline(self) -> float | None:
        if self._inotify is None:
            return None
        if self._behind or self._events or self._to_scan or self._scanning is not None:
            return self._clock.now()
        moments = [self._next_check, self._next_rescan, self._completion.deadline()]
        return min(moment for moment in moments if moment is not None)

    def collect(self, limit: int = 128) -> list[FolderEvent]:
        if self._inotify is not None:
            self._behind = not self._take_kernel_events()
            now = self._clock.now()
            if now >= self._next_check:
                self._look_for_root()
            if self._next_rescan is not None and now >= self._next_rescan:
                self._scan_all(lost_track=False)
            self._scan_some(limit)
            if not self._behind:
                self._tell_complete(limit)
        events, self._events = self._events, []
        return events

    # The folder itself.

    def _look_for_root(self) -> None:
        """Is the folder there, and the same one? A mount upon it, for one, is not announced."""
        self._next_check = self._clock.now() + self._settings.check
        try:
            status = Path(self._path).stat()
            if not stat.S_ISDIR(status.st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        except OSError as error:
            self._root_gone(error.strerror or "it is not there")
            return
        root = (status.st_dev, status.st_ino)
        if self._root is not None and self._root != root:
            self._root_gone("another folder is in its place")
        if self._root is None:
            self._root = root
            if self._told_gone:
                self._told_gone = False
                self._events.append(FolderReturned(""))
            self._blind = kernel.writers_are_unseen(self._path)
            self._scan_all(lost_track=True)

    def _root_gone(self, reason: str) -> None:
        self._leave_root()
        if not self._told_gone:
            self._told_gone = True
            self._events.append(FolderGone("", reason))

    def _leave_root(self) -> None:
        assert self._inotify is not None
        for watch in self._folder_of:
            self._inotify.remove(watch)
        self._folder_of.clear()
        self._watch_of.clear()
        self._to_scan.clear()
        self._scanning = None
        self._whole_scan = False
        self._unread.clear()
        self._completion.vanished()
        self._root = None
        self._next_rescan = None

    # What the kernel saw.

    def _take_kernel_events(self) -> bool:
        """Whether all that waited was taken; a flood of events is taken a part at a time."""
        assert self._inotify is not None
        for _ in range(_MOST_READS):
            events = self._inotify.read()
            if not events:
                return True
            now = self._clock.now()
            for event in events:
                self._kernel_event(event, now)
        return False

    def _kernel_event(self, event: kernel.KernelEvent, now: float) -> None:
        if event.mask & kernel.IN_Q_OVERFLOW:
            self._events.append(FolderRescanned(""))
            if self._root is not None:
                self._scan_all(lost_track=True)
            return
        folder = self._folder_of.get(event.watch)
        if folder is None:
            return
        if not event.name:
            if event.mask & _SELF_GONE:
                self._folder_gone(folder, event)
            return
        path = f"{folder}/{event.name}" if folder else event.name
        if event.mask & kernel.IN_ISDIR:
            self._folder_event(event, path)
        elif self._settings.takes_file(event.name):
            self._file_event(event.mask, path, now)

    def _file_event(self, mask: int, path: str, now: float) -> None:
        if mask & kernel.IN_MODIFY:
            self._completion.written(path, now)
        elif mask & kernel.IN_CLOSE_WRITE:
            self._completion.closed(path, now)
        elif mask & kernel.IN_MOVED_TO:
            self._completion.moved_in(path, now)
        elif mask & kernel.IN_CREATE:
            self._completion.created(path, now)
        elif mask & kernel.IN_OPEN:
            self._completion.opened(path, now)
        elif mask & (kernel.IN_DELETE | kernel.IN_MOVED_FROM):
            self._completion.removed(path)

    def _folder_event(self, event: kernel.KernelEvent, path: str) -> None:
        if event.mask & (kernel.IN_CREATE | kernel.IN_MOVED_TO):
            if self._settings.enters_folder(event.name):
                self._to_scan.append(path)
        elif event.mask & (kernel.IN_MOVED_FROM | kernel.IN_DELETE):
            self._forget_folder(path)

    def _folder_gone(self, folder: str, event: kernel.KernelEvent) -> None:
        if folder == "":
            self._root_gone("it was removed, moved or unmounted")
            self._next_check = self._clock.now()
        elif event.mask & (kernel.IN_IGNORED | kernel.IN_UNMOUNT):
            self._forget_folder(folder)

    def _forget_folder(self, folder: str) -> None:
        """It is not at this path any more; where it went, its new place tells."""
        assert self._inotify is not None
        inside = folder + "/"
        for path in [path for path in self._watch_of if path == folder or path.startswith(inside)]:
            watch = self._watch_of.pop(path)
            self._folder_of.pop(watch, None)
            self._inotify.remove(watch)
        self._unread = {
            path for path in self._unread if path != folder and not path.startswith(inside)
        }
        self._completion.removed_below(folder)

    # Looking through.

    def _scan_all(self, *, lost_track: bool) -> None:
        self._completion.scan_begins(lost_track=lost_track, now=self._clock.now())
        self._to_scan.clear()
        self._to_scan.append("")
        self._scanning = None
        self._whole_scan = True
        interval = self._settings.rescan
        if interval is None and self._blind:
            interval = _RESCAN_WHERE_BLIND
        self._next_rescan = None if interval is None else self._clock.now() + interval

    def _scan_some(self, limit: int) -> None:
        for _ in range(limit):
            if self._scanning is None:
                if not self._to_scan:
                    break
                self._scanning = self._scan(self._to_scan.popleft())
            if next(self._scanning, self) is self:
                self._scanning = None
        if self._whole_scan and not self._to_scan and self._scanning is None:
            self._whole_scan = False
            unseen = tuple(f"{folder}/" if folder else "" for folder in self._unread)
            self._completion.scan_ended(unseen)

    def _scan(self, folder: str) -> Iterator[None]:
        """Watch one folder, then look through it; one step for each entry."""
        # Watched first: what comes while we look is then seen by the kernel.
        place = os.path.join(self._path, folder) if folder else self._path  # noqa: PTH118
        follow = 0 if folder == "" else os.O_NOFOLLOW
        try:
            self._watch(folder, place)
            descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | follow)
        except OSError as error:
            self._cannot_look(folder, error)
            return
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    self._entry(folder, entry)
                    yield
            self._unread.discard(folder)
        except OSError as error:
            self._cannot_look(folder, error)
        finally:
            os.close(descriptor)

    def _entry(self, folder: str, entry: os.DirEntry[str]) -> None:
        path = f"{folder}/{entry.name}" if folder else entry.name
        if entry.is_dir(follow_symlinks=False):
            if self._settings.enters_folder(entry.name):
                self._to_scan.append(path)
        elif entry.is_file(follow_symlinks=False) and self._settings.takes_file(entry.name):
            try:
                version = FileVersion.of(entry.stat(follow_symlinks=False))
            except FileNotFoundError:
                return
            self._completion.found(path, version, self._clock.now())

    def _watch(self, folder: str, place: str) -> None:
        assert self._inotify is not None
        mask = _MASK if folder == "" else _MASK | kernel.IN_DONT_FOLLOW
        try:
            watch = self._inotify.add(place, mask)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            if not self._blind:
                self._blind = True
                self._events.append(FolderTrouble(folder, error.strerror or ""))
                self._next_rescan = self._clock.now() + _RESCAN_WHERE_BLIND
            return
        before = self._watch_of.get(folder)
        if before is not None and before != watch:
            self._folder_of.pop(before, None)
            self._inotify.remove(before)
        self._folder_of[watch] = folder
        self._watch_of[folder] = watch

    def _cannot_look(self, folder: str, error: OSError) -> None:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE):
            if folder == "":
                self._next_check = self._clock.now()
            return
        if folder not in self._unread:
            self._unread.add(folder)
            self._events.append(FolderTrouble(folder, error.strerror or str(error)))
        if self._next_rescan is None:
            self._next_rescan = self._clock.now() + _RESCAN_WHERE_BLIND

    # What is complete.

    def _tell_complete(self, limit: int) -> None:
        """Tell what is complete: its status is taken between two looks at the kernel's queue.

        What was written before the status was taken is then known, so that a file that is being
        written again is not told, and a version is not told twice.
        """
        due = self._completion.due(self._clock.now(), limit)
        if not due:
            return
        versions = {path: self._version(path) for path in due}
        if not self._take_kernel_events():
            self._behind = True
            return
        now = self._clock.now()
        for path, seen in versions.items():
            version = self._completion.judge(path, seen, now)
            if version is not None:
                self._events.append(FileComplete(path, version))

    def _version(self, path: str) -> FileVersion | None:
        try:
            status = os.lstat(os.path.join(self._path, path))  # noqa: PTH118
        except OSError:
            return None
        return FileVersion.of(status) if stat.S_ISREG(status.st_mode) else None
