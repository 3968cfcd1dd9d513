"""When is a file complete? The rule alone: no file system, no kernel, no clock of its own.

A driver tells what it sees of each path; `due` names the paths to be looked at, and `judge`
decides with the status that the driver found.

    state       means                                        leaves by
    settling    nobody was seen writing it                   still for `settle` seconds: told
    writing     a writer has it open                         closed: ready; still for `abandoned`
                                                             seconds: told
    ready       closed after writing, or moved in            looked at: told
    told        this version was told                        written, replaced, removed
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum

from hal.folder.base import FileVersion


class _State(Enum):
    SETTLING = "settling"
    WRITING = "writing"
    READY = "ready"
    TOLD = "told"


_WAITS = (_State.READY, _State.SETTLING, _State.WRITING)


class _File:
    __slots__ = ("asked", "created", "dirty", "seen", "since", "state", "told", "version")

    def __init__(self) -> None:
        self.state = _State.TOLD
        self.since = 0.0
        self.seen = 0
        self.version: FileVersion | None = None
        self.told: FileVersion | None = None
        self.dirty = False
        """Written to since it was told: then it is a new version, even with an equal status."""
        self.created = False
        """Its name just appeared: whoever opens it next is its writer, unless it was a link."""
        self.asked = False
        """`due` gave it, and nothing was seen of it since."""


class Completion:
    """What is known of every file of one folder. Paths are whatever the driver uses."""

    def __init__(self, *, settle: float, abandoned: float) -> None:
        self._files: dict[str, _File] = {}
        # The paths in each state that waits, the longest quiet first, and for how long they wait.
        self._queues: dict[_State, OrderedDict[str, None]] = {
            state: OrderedDict() for state in _WAITS
        }
        self._waits = {_State.READY: 0.0, _State.SETTLING: settle, _State.WRITING: abandoned}
        self._scan = 0

    def __len__(self) -> int:
        return len(self._files)

    # What a driver sees.

    def found(self, path: str, version: FileVersion, now: float) -> None:
        """The file lies there, as looking through the folder shows."""
        file = self._files.get(path)
        if file is None:
            file = self._enter(path, _State.SETTLING, now)
        file.seen = self._scan
        if file.state is _State.TOLD and (file.dirty or version != file.told):
            self._enter(path, _State.SETTLING, now)
        if file.state in (_State.SETTLING, _State.WRITING) and version != file.version:
            self._enter(path, file.state, now)
            file.version = version

    def created(self, path: str, now: float) -> None:
        """The name appeared: a writer made it, or somebody linked a whole file to it."""
        file = self._enter(path, _State.SETTLING, now)
        file.dirty = file.created = True

    def opened(self, path: str, now: float) -> None:
        """Somebody opened it: its writer if it was just created, else perhaps only a reader."""
        file = self._files.get(path)
        if file is not None and file.created and file.state is _State.SETTLING:
            file.created = False
            self._enter(path, _State.WRITING, now)

    def written(self, path: str, now: float) -> None:
        """Its content changed."""
        self._enter(path, _State.WRITING, now).dirty = True

    def closed(self, path: str, now: float) -> None:
        """A writer closed it."""
        self._enter(path, _State.READY, now)

    def moved_in(self, path: str, now: float) -> None:
        """It was renamed to this path: whole, and another than what was here."""
        self.removed(path)
        self._enter(path, _State.READY, now)

    def removed(self, path: str) -> None:
        """It is not at this path any more."""
        file = self._files.pop(path, None)
        if file is not None and file.state is not _State.TOLD:
            del self._queues[file.state][path]

    def removed_below(self, folder: str) -> None:
        """A folder within the folder went, with all in it."""
        inside = folder + "/"
        for path in [path for path in self._files if path.startswith(inside)]:
            self.removed(path)

    # Looking through the whole folder.

    def scan_begins(self, *, lost_track: bool, now: float) -> None:
        """All that lies there will be `found`. `lost_track`: a closing may have been missed."""
        self._scan += 1
        if lost_track:
            for path in list(self._queues[_State.WRITING]):
                self._enter(path, _State.SETTLING, now)

    def scan_ended(self, unseen_folders: tuple[str, ...] = ()) -> None:
        """What was not found is not there, except below folders that could not be read."""
        for path, file in list(self._files.items()):
            if file.seen < self._scan and not path.startswith(unseen_folders):
                self.removed(path)

    def vanished(self) -> None:
        """The whole folder went: keep only what was told, to know it when the folder is back."""
        for queue in self._queues.values():
            queue.clear()
        for path, file in list(self._files.items()):
            file.state = _State.TOLD
            if file.told is None:
                del self._files[path]

    # What a driver shall do.

    def deadline(self) -> float | None:
        """When `due` has something to give; None: not unless something is seen."""
        moments = [
            self._files[next(iter(queue))].since + self._waits[state]
            for state, queue in self._queues.items()
            if queue
        ]
        return min(moments, default=None)

    def due(self, now: float, limit: int) -> list[str]:
        """Up to `limit` paths whose status is to be looked at now, then judged."""
        paths: list[str] = []
        for state, queue in self._queues.items():
            for path in queue:
                if len(paths) >= limit or self._files[path].since + self._waits[state] > now:
                    break
                self._files[path].asked = True
                paths.append(path)
        return paths

    def judge(self, path: str, version: FileVersion | None, now: float) -> FileVersion | None:
        """The version to be told, or None.

        To be called for each path of `due`, once all that happened until its status was taken has
        been reported here: of a file that something happened to since, the status may be stale,
        and it is left for the next time. `version` None: it is not there, or no file any more.
        """
        file = self._files.get(path)
        if file is None or file.state is _State.TOLD or not file.asked:
            return None
        if version is None:
            self.removed(path)
            return None
        # Empty is often only the place that a writer keeps for what comes: let it settle.
        settled = version == file.version
        if settled or (file.state is _State.READY and version.size > 0):
            return self._tell(path, file, version)
        if file.state is _State.READY:
            self._enter(path, _State.SETTLING, now)
        else:
            self._enter(path, file.state, now)
        file.version = version
        return None

    # Inside.

    def _enter(self, path: str, state: _State, now: float) -> _File:
        """The file is in this state from now on, and last in its queue."""
        file = self._files.get(path)
        if file is None:
            file = self._files[path] = _File()
        elif file.state is not _State.TOLD:
            del self._queues[file.state][path]
        file.state = state
        file.since = now
        file.seen = self._scan
        file.asked = False
        self._queues[state][path] = None
        return file

    def _tell(self, path: str, file: _File, version: FileVersion) -> FileVersion | None:
        del self._queues[file.state][path]
        known = version == file.told and not file.dirty
        file.state = _State.TOLD
        file.told = file.version = version
        file.dirty = file.created = False
        return None if known else version
