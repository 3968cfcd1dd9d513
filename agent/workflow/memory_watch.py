"""The memory of the whole node: all its processes together, so that it never meets the kernel's
out-of-memory killer; new associations wait instead."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from agent import observation
from agent.loop import sleep
from agent.loop.service import processes

MEMORY = observation.metrics.gauge(
    "gantry_memory_bytes", "Proportional set size of all processes of the node"
)

_LOOKS = 5.0
# Refused above the limit, taken again below this part of it.
_RELIEVED = 0.9


def proportional_set_size(pid: int) -> int:
    """Bytes of a process, what it shares with others by their number; 0 when it is gone."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    return 0


class MemoryWatch:
    """Looks every few seconds, where a limit is configured. 0: no limit, and no looking.

    `workers` gives the pids of the other processes of the node.
    """

    def __init__(self, limit: int, workers: Callable[[], list[int]] = processes) -> None:
        self.limit = limit
        self._workers = workers
        self.is_short = False

    def look(self) -> int:
        """Bytes in use now."""
        used = sum(proportional_set_size(each) for each in [os.getpid(), *self._workers()])
        MEMORY.of().set(used)
        short = bool(self.limit) and used > self.limit * (_RELIEVED if self.is_short else 1)
        if short and not self.is_short:
            observation.warning("short of memory", used=used, limit=self.limit)
        elif self.is_short and not short:
            observation.notice("memory is enough again", used=used, limit=self.limit)
        self.is_short = short
        return used

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            if self.limit:
                self.look()
            else:
                self.is_short = False
            await sleep(_LOOKS)
