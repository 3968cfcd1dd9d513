"""Associations of pynetdicom whose own thread stands still while a request is under way.

pynetdicom 3.0 says that its thread is paused a moment before it is: one that has just gone past the
checkpoint takes the response to a request that is sent at once, calls it unexpected, and the sender
waits for it until its time is over.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from pynetdicom.association import Association

_PATIENCE = 5.0


class Checkpoint(threading.Event):
    """After `clear` the thread of the association waits here, or has ended."""

    _cond: threading.Condition
    _flag: bool

    def __init__(self, association: threading.Thread) -> None:
        super().__init__()
        self._association = association
        self._waiting = 0

    def wait(self, timeout: float | None = None) -> bool:
        with self._cond:
            self._waiting += 1
            try:
                # One that is woken too late, after the next `clear`, goes on waiting.
                return self._cond.wait_for(lambda: self._flag, timeout)
            finally:
                self._waiting -= 1

    def clear(self) -> None:
        super().clear()
        if threading.current_thread() is self._association:
            return
        end = time.monotonic() + _PATIENCE
        while not self._waiting and self._association.is_alive() and time.monotonic() < end:
            time.sleep(0.0005)


def pause_exactly() -> None:
    """From now on, for all associations of this process."""
    make = Association.__init__

    def made(self: Association, *arguments: Any, **more: Any) -> None:
        make(self, *arguments, **more)
        self._reactor_checkpoint = Checkpoint(self)
        self._reactor_checkpoint.set()

    Association.__init__ = made  # type: ignore[method-assign]
