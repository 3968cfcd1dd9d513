"""A pseudo-terminal as a serial line: its port can be pulled, and plugged in again."""

from __future__ import annotations

import os
import pty
import tty
from pathlib import Path


class Line:
    """`path` is the port, `far` the device's end."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ttyTEST"
        self.far = -1
        self.plug()

    def plug(self) -> None:
        self.far, near = pty.openpty()
        tty.setraw(near)
        os.set_blocking(self.far, False)
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(near))
        os.close(near)

    def say(self, data: bytes) -> None:
        os.write(self.far, data)

    def heard(self) -> bytes:
        try:
            return os.read(self.far, 65536)
        except (BlockingIOError, OSError):
            return b""

    def pull(self) -> None:
        if self.far >= 0:
            os.close(self.far)
            self.far = -1
        # The name of a pseudo-terminal is given out again, maybe to somebody else's.
        self.path.unlink(missing_ok=True)
