"""What `gantry doctor` found when it looked last, from the one place where that is kept.

The command writes a file into the state folder and tells the node; `gantry status` and the panel
read it from there. The lamp `health` is dark while all is well, blinks quickly while something is
at fault, and slowly when nobody has looked for two days.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent import observation
from agent.configuration.configuration import Configuration
from agent.dataset.whole_write import put_in_place, write_synced
from agent.loop import Event, TimedOut, timeout
from agent.loop.workers import WorkerPool

if TYPE_CHECKING:
    from hal.panel.base import Pattern

LAMP = "health"
FAULT = "!!"
"""The verdict of a finding that is a fault; others need nobody."""
_NAME = "health.json"
_OLD = 2 * 86400.0
_LOOKS = 3600.0
_LONGEST = 1 << 20

_FAULTS = observation.metrics.gauge("gantry_faults", "What gantry doctor found to be at fault")


def keep_health(state: str, findings: Sequence[tuple[str, str]]) -> None:
    """Keep what was found: wholly, or as it was before. Raises OSError."""
    file = Path(state) / _NAME
    new = file.with_name(f"{_NAME}.new")
    said = {"at": time.time(), "findings": [list(each) for each in findings]}
    write_synced(new, json.dumps(said).encode(), mode=0o640)
    if os.geteuid() == 0:
        # Root may look by hand: the node's own user reads it, and writes the next one.
        folder = file.parent.stat()
        os.chown(new, folder.st_uid, folder.st_gid)
    put_in_place(new, file)


def health_kept(state: str) -> tuple[float, list[str]] | None:
    """When it was looked last, and the faults; None where nobody ever did. Never raises."""
    try:
        with (Path(state) / _NAME).open("rb") as file:
            said = json.loads(file.read(_LONGEST))
        faults = [str(text) for verdict, text in said["findings"] if verdict == FAULT]
        return float(said["at"]), faults
    except (OSError, ValueError, TypeError, KeyError):
        return None


class Health:
    """Of one node. Nothing is read before somebody asks."""

    def __init__(self, configuration: Callable[[], Configuration], pool: WorkerPool) -> None:
        self._configuration = configuration
        self._pool = pool
        self._seen = Event()
        self._told = 0
        self.faults: int | None = None
        """How many there were when the file was read last; None: there is no such file."""

    async def look(self) -> dict[str, Any] | None:
        """As it stands: seconds since it was looked, whether that is long, and what is at fault."""
        kept = await self._pool.call(health_kept, self._configuration().node.state)
        if kept is None:
            return None
        at, faults = kept
        self.faults = len(faults)
        # A clock that was set in between must not make it younger than new.
        age = max(0.0, time.time() - at)
        return {"age": round(age), "old": age > _OLD, "faults": faults}

    async def answer(self, request: dict[str, Any]) -> Any:
        """The doctor has looked: on the control socket."""
        found = await self.look()
        count = len(found["faults"]) if found else 0
        _FAULTS.of().set(count)
        if count != self._told:
            say = observation.warning if count else observation.notice
            say("health", faults=count, see="gantry status")
            self._told = count
        self._seen.set()
        return found

    @property
    def lamps(self) -> dict[str, Callable[[Callable[[Pattern], None]], Coroutine[Any, Any, None]]]:
        """Who shows it on the panel, by the lamp."""
        return {LAMP: self.follow}

    async def follow(self, show: Callable[[Pattern], None]) -> None:
        """Until cancelled: show it on the panel."""
        from hal.panel.base import Pattern

        while True:
            self._seen.clear()
            found = await self.look()
            if found and found["faults"]:
                show(Pattern.FAST)
            else:
                show(Pattern.SLOW if found and found["old"] else Pattern.OFF)
            try:
                with timeout(_LOOKS):
                    await self._seen.wait()
            except TimedOut:
                continue
