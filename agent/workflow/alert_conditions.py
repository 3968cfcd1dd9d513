"""What is wrong with a box, in sentences without patient data: names of the configuration, counts.

Each has a key that stays the same as long as it is the same trouble.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from agent.archive.archive import Archive
from agent.configuration.alerts import (
    AWAY,
    CERTIFICATE,
    CLOCK,
    DISK,
    DOCTOR,
    FAILING,
    UNDELIVERED,
    Alerts,
)
from agent.configuration.configuration import Configuration
from agent.errors import GantryError
from agent.loop.workers import WorkerPool
from agent.workflow.alert_record import Wrong
from agent.workflow.supervision import FAULTS
from hal.clock import CalendarState

Found = Iterator[tuple[str, Wrong]]


class Watched(Protocol):
    """What of the node is looked at."""

    @property
    def configuration(self) -> Configuration: ...

    @property
    def archives(self) -> Mapping[str, Archive]: ...

    @property
    def pool(self) -> WorkerPool: ...

    def calendar_state(self) -> CalendarState: ...

    def certificates(self) -> Sequence[Mapping[str, Any]]: ...

    def doctor_faults(self) -> int | None: ...


class Conditions:
    """Looks at a node; remembers how often work had failed the time before."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._failures: Mapping[tuple[str, ...], float] = FAULTS.values()

    @property
    def unknown(self) -> tuple[str, ...]:
        """Keys of what nobody has looked at since the start."""
        return (DOCTOR,) if self._watched.doctor_faults() is None else ()

    async def look(self) -> dict[str, Wrong]:
        """All that is wrong now, by its key."""
        table = self._watched.configuration.alerts
        looks: dict[str, Callable[[Alerts], Found]] = {
            CERTIFICATE: self._certificates,
            DISK: self._disks,
            CLOCK: self._clock,
            FAILING: self._failing,
            DOCTOR: self._doctor,
        }
        found: dict[str, Wrong] = {}
        for name, look in looks.items():
            if name not in table.left_out:
                found.update(look(table))
        if UNDELIVERED not in table.left_out:
            found.update(await self._undelivered(table))
        if AWAY not in table.left_out:
            found.update(await self._away(table))
        return found

    async def _undelivered(self, table: Alerts) -> list[tuple[str, Wrong]]:
        found = []
        for name, archive in self._watched.archives.items():
            try:
                summaries = await archive.destinations()
            except GantryError:
                # That it cannot be used is told as such.
                continue
            for each in summaries:
                age = time.time() - each.oldest if each.oldest else 0.0
                if age >= table.undelivered:
                    left = each.waiting + each.claimed + each.held
                    held = f", {each.held} of them held for a person" if each.held else ""
                    text = (
                        f"{each.name}: {left} jobs of the archive {name} are not done{held},"
                        f" the oldest for {_hours(age)}"
                    )
                    found.append((f"{UNDELIVERED} {name} {each.name}", Wrong(text)))
        return found

    async def _away(self, table: Alerts) -> list[tuple[str, Wrong]]:
        places = dict(_places(self._watched.configuration))
        if not places:
            return []
        # A folder may be on a volume whose server is away: who looks may wait.
        missing: list[str] = await self._watched.pool.call(absent, list(places.values()))
        return [
            (f"{AWAY} {what}", Wrong(f"{what} is not there", table.away))
            for what, path in places.items()
            if path in missing
        ]

    def _certificates(self, table: Alerts) -> Found:
        for each in self._watched.certificates():
            file, mood = each["file"], each["mood"]
            if mood == "bad":
                yield f"{CERTIFICATE} {file}", Wrong(f"the certificate {file} cannot be read")
            elif mood == "expired":
                yield f"{CERTIFICATE} {file}", Wrong(f"the certificate {file} has expired")
            elif mood == "soon":
                text = f"the certificate {file} expires in {each['days']:g} days"
                yield f"{CERTIFICATE} {file}", Wrong(text)

    def _disks(self, table: Alerts) -> Found:
        for name, archive in self._watched.archives.items():
            part = _part_in_use(archive)
            if part is not None and part >= table.disk:
                yield f"{DISK} {name}", Wrong(f"the archive {name} is {part:.0%} full")

    def _clock(self, table: Alerts) -> Found:
        state = self._watched.calendar_state()
        if not state.set:
            yield CLOCK, Wrong(f"the clock is not certain: {state.reason}", table.clock)

    def _failing(self, table: Alerts) -> Found:
        for name, archive in self._watched.archives.items():
            if _part_in_use(archive) is None:
                text = f"the archive {name} cannot be used"
                yield f"{FAILING} archive {name}", Wrong(text, table.away)
        before, self._failures = self._failures, FAULTS.values()
        for labels, count in self._failures.items():
            if count > before.get(labels, 0):
                work = " ".join(labels)
                yield f"{FAILING} {work}", Wrong(f"the work of {work} fails", table.away)

    def _doctor(self, table: Alerts) -> Found:
        count = self._watched.doctor_faults()
        if count:
            yield DOCTOR, Wrong(f"`gantry doctor` finds {count} faults")


def _part_in_use(archive: Archive) -> float | None:
    """None where its volume cannot be asked."""
    try:
        return archive.usage().part
    except GantryError:
        return None


def _places(configuration: Configuration) -> Iterator[tuple[str, str]]:
    """Devices and folders that must be there, and where."""
    for device in configuration.captures:
        if device.enabled and device.device.startswith("/"):
            yield f"the capture device {device.name}", device.device
    for line in configuration.serials:
        place = str(line.settings.get("port") or line.settings.get("device") or "")
        if line.enabled and place.startswith("/"):
            yield f"the serial device {line.name}", place
    for folder in configuration.folders:
        if folder.enabled:
            yield f"the folder {folder.name}", folder.path


def absent(paths: Sequence[str]) -> list[str]:
    """Those that are not there; in a worker, for a file system may make one wait."""
    return [each for each in paths if not os.access(each, os.R_OK)]


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.0f} hours" if seconds >= 7200 else f"{seconds / 60:.0f} minutes"
