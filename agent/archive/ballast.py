"""Space that is kept back, so that a disk that is full to the last byte can still be emptied.

To delete an object, or to note that one is delivered, the index writes a little. When there is no
room even for that, the ballast is thrown off; it is taken on again when files were deleted.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from agent.archive.layout import BALLAST

BYTES = 2 << 20


class Ballast:
    """The file of ballast in the archive's `folder`. Without room for it, there is none."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / BALLAST
        self.is_on_board = False
        self.take_on()

    def take_on(self) -> None:
        """Keep the space back, if there is room for it."""
        if self.is_on_board:
            return
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                os.posix_fallocate(descriptor, 0, BYTES)
            finally:
                os.close(descriptor)
        except OSError:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
        else:
            self.is_on_board = True

    def throw_off(self) -> bool:
        """Free the space; False when there was none."""
        was_on_board, self.is_on_board = self.is_on_board, False
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            return False
        return was_on_board
