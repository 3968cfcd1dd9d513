"""What ^C does to a loop: a KeyboardInterrupt anywhere would tear it, so it ends the main task."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType


class _CutShort(BaseException):
    """Raised by the handler of SIGINT out of a system call that would go on waiting (PEP 475)."""


class Interrupt:
    """`with Interrupt(end)`: the first SIGINT calls `end()`, at a moment that the loop chooses.

    A second one raises KeyboardInterrupt wherever the program is, the way out of a turn that never
    ends. Where SIGINT has another handler than Python's own (`Signals`, a test, a program that
    ignores it), or outside of the main thread, it does nothing.
    """

    def __init__(self, end: Callable[[], None]) -> None:
        self.pending = False
        self.came = False
        self._end = end
        self._waiting = False
        self._installed = False

    def __enter__(self) -> Interrupt:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            try:
                signal.signal(signal.SIGINT, self._take)
                self._installed = True
            except ValueError:
                # Only the main thread can set handlers, and only it gets SIGINT.
                pass
        return self

    def __exit__(self, *_: object) -> None:
        if self._installed and signal.getsignal(signal.SIGINT) == self._take:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self.came:
            raise KeyboardInterrupt
        self.came = self.pending = True
        if self._waiting:
            raise _CutShort

    def deliver(self) -> None:
        """End what SIGINT shall end; for the loop, between turns."""
        self.pending = False
        self._end()

    def cut_short(self, wait: Callable[[float | None], None], seconds: float | None) -> None:
        """Call `wait(seconds)`, which SIGINT ends at once; does not wait when it has come."""
        try:
            try:
                self._waiting = True
                wait(0.0 if self.pending else seconds)
            finally:
                self._waiting = False
        except _CutShort:
            self._waiting = False
