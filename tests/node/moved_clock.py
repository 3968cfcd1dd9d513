"""A node whose clocks a test moves: the calendar and the steady one, in all of its processes.

As a program it runs the command line with both clocks so many seconds on as a file says:
`python -m tests.node.moved_clock FILE run --config ...`. What sleeps meanwhile looks at the clock
when something wakes it; a question on the control socket does.
"""

from __future__ import annotations

import mmap
import struct
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Modules keep the clock that they find when they are imported, so none of ours are here.
    from tests.node.running import NodeProcess

_SECONDS = struct.Struct("<d")


class MovedClock:
    """The clock of `node`, which has to be started after this is made."""

    def __init__(self, node: NodeProcess) -> None:
        self.seconds = 0.0
        self._node = node
        self._file = node.folder / "clock"
        self._file.write_bytes(_SECONDS.pack(0.0))
        node.program = ("-m", "tests.node.moved_clock", str(self._file))

    def advance(self, seconds: float) -> None:
        """So many seconds later, the node is told."""
        self.seconds += seconds
        with self._file.open("r+b") as out:
            out.write(_SECONDS.pack(self.seconds))
        self._node.ask("status")


def _move(file: Path) -> None:
    with file.open("rb") as opened:
        shared = mmap.mmap(opened.fileno(), _SECONDS.size, prot=mmap.PROT_READ)
    calendar, steady = time.time, time.monotonic
    time.time = lambda: calendar() + _SECONDS.unpack_from(shared)[0]
    time.monotonic = lambda: steady() + _SECONDS.unpack_from(shared)[0]


if __name__ == "__main__":
    _move(Path(sys.argv[1]))
    from agent.cli.main import main

    sys.exit(main(sys.argv[2:]))
