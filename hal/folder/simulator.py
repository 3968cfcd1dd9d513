"""A folder into which a script drops files: what a demonstration watches in place of a person.

The files are real, in a folder of the owner's, so that whoever takes them does what it always
does; only the hand that drops them, and the eye that sees it, are simulated.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from hal.clock import Clock, MonotonicClock
from hal.folder.base import (
    FileComplete,
    FileVersion,
    FolderEvent,
    FolderGone,
    FolderReturned,
    FolderSettings,
    WatchedFolder,
)
from hal.folder.completion import Completion


class Drop(NamedTuple):
    """Write a file, `at` seconds after `open()`; one that is there is replaced."""

    at: float
    path: str
    content: bytes


class Remove(NamedTuple):
    """Delete a file."""

    at: float
    path: str


class Vanish(NamedTuple):
    """Take the whole folder away, as a pulled stick."""

    at: float


class Return(NamedTuple):
    """Put the folder back, with what it held."""

    at: float


Act = Drop | Remove | Vanish | Return


class SimulatedFolder(WatchedFolder):
    """The simulator: does each act of its script when it is due, and tells what follows from it.

    Files that lie in the folder at `open()` are told once they have settled.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        settings: FolderSettings | None = None,
        *,
        script: Iterable[Act] = (),
        clock: Clock | None = None,
    ) -> None:
        self._path = Path(path)
        self._away = self._path.with_name(f".{self._path.name}.away")
        self._settings = FolderSettings() if settings is None else settings
        self._clock = MonotonicClock() if clock is None else clock
        self._script = sorted(script, key=lambda act: act.at)
        self._completion = Completion(
            settle=self._settings.settle, abandoned=self._settings.abandoned
        )
        self._events: list[FolderEvent] = []
        self._opened_at: float | None = None
        self._gone = False

    def open(self) -> None:
        if self._opened_at is None:
            self._opened_at = self._clock.now()
            self._completion.vanished()
            self._look_through()

    def close(self) -> None:
        self._opened_at = None
        self._events.clear()

    @property
    def descriptor(self) -> int | None:
        return None

    def deadline(self) -> float | None:
        if self._opened_at is None:
            return None
        if self._events:
            return self._clock.now()
        moments = [self._completion.deadline()]
        if self._script:
            moments.append(self._opened_at + self._script[0].at)
        return min((moment for moment in moments if moment is not None), default=None)

    def collect(self, limit: int = 128) -> list[FolderEvent]:
        if self._opened_at is None:
            return []
        now = self._clock.now()
        while self._script and self._opened_at + self._script[0].at <= now:
            self._do(self._script.pop(0))
        for path in self._completion.due(now, limit):
            version = self._completion.judge(path, self._version(path), now)
            if version is not None:
                self._events.append(FileComplete(path, version))
        events, self._events = self._events, []
        return events

    def act(self, act: Act) -> None:
        """Do this now, whatever its time; `collect()` tells it."""
        self._do(act)

    def _do(self, act: Act) -> None:
        if isinstance(act, Drop):
            self._drop(act)
        elif isinstance(act, Remove):
            (self._place() / act.path).unlink(missing_ok=True)
            self._completion.removed(act.path)
        elif isinstance(act, Vanish) and not self._gone:
            self._path.rename(self._away)
            self._gone = True
            self._completion.vanished()
            self._events.append(FolderGone("", "it was taken away"))
        elif isinstance(act, Return) and self._gone:
            self._away.rename(self._path)
            self._gone = False
            self._events.append(FolderReturned(""))
            self._look_through()

    def _drop(self, act: Drop) -> None:
        target = self._place() / act.path
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.name}.unfinished")
        unfinished.write_bytes(act.content)
        unfinished.rename(target)
        if not self._gone and self._counts(act.path):
            self._completion.moved_in(act.path, self._clock.now())

    def _place(self) -> Path:
        return self._away if self._gone else self._path

    def _counts(self, path: str) -> bool:
        *folders, name = path.split("/")
        return self._settings.takes_file(name) and all(
            self._settings.enters_folder(folder) for folder in folders
        )

    def _look_through(self) -> None:
        now = self._clock.now()
        self._completion.scan_begins(lost_track=True, now=now)
        for folder, _, names in os.walk(self._path):
            for name in names:
                path = str(Path(folder, name).relative_to(self._path))
                version = self._version(path)
                if version is not None and self._counts(path):
                    self._completion.found(path, version, now)
        self._completion.scan_ended()

    def _version(self, path: str) -> FileVersion | None:
        place = self._place() / path
        try:
            return FileVersion.of(place.lstat()) if place.is_file() else None
        except OSError:
            return None
