"""The ring of buffers that a capture driver lends frames from.

Shared by drivers, whatever the memory is (a bytearray, a mapping of the kernel's buffers): it
knows which buffers are free and whether a lent one is still looked into.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Sequence

from hal.capture.base import Frame, FrameHeld

if sys.version_info >= (3, 12):
    from collections.abc import Buffer
else:
    from typing import Any as Buffer


class BufferRing:
    """A fixed number of buffers, each free, filled or lent."""

    def __init__(self, buffers: Sequence[Buffer]) -> None:
        self._buffers = list(buffers)
        self._free = deque(range(len(self._buffers)))
        self._lent: dict[int, Frame] = {}
        self._idle_references = [0] * len(self._buffers)

    def __len__(self) -> int:
        return len(self._buffers)

    @property
    def free(self) -> int:
        return len(self._free)

    def take(self) -> int | None:
        """A free buffer's number, or None. The one that was used last comes first: pages of buffers
        that are never needed are never touched."""
        return self._free.pop() if self._free else None

    def put(self, number: int) -> None:
        """A buffer that was taken but never lent is free again."""
        self._free.append(number)

    def free_all(self) -> None:
        """Whoever filled the buffers has given them up: all are free but those that are lent."""
        self._free = deque(
            number for number in range(len(self._buffers)) if number not in self._lent
        )

    def writable(self, number: int) -> memoryview:
        return memoryview(self._buffers[number])

    def view(self, number: int, length: int) -> memoryview:
        """The read-only view of a buffer's first `length` bytes, for a Frame."""
        # What refers to the buffer while nobody looks into it.
        self._idle_references[number] = self._references(number)
        return memoryview(self._buffers[number]).toreadonly()[:length]

    def lend(self, frame: Frame) -> Frame:
        self._lent[frame.buffer] = frame
        return frame

    def take_back(self, frame: Frame) -> bool:
        """Release the frame's view and free its buffer; False when that was done already.

        Raises FrameHeld while something else looks into the buffer; the frame then stays valid.
        """
        number = frame.buffer
        if self._lent.get(number) is not frame:
            return False
        length = len(frame.view)
        try:
            frame.view.release()
        except BufferError:
            raise FrameHeld(f"frame {frame.sequence} is still looked into") from None
        # A slice of the view keeps the buffer alive without the view knowing of it.
        if self._references(number) > self._idle_references[number]:
            frame.view = memoryview(self._buffers[number]).toreadonly()[:length]
            raise FrameHeld(f"frame {frame.sequence} is still looked into by a slice of its view")
        del self._lent[number]
        self._free.append(number)
        return True

    def release_all(self) -> None:
        """Let go of every buffer; views that are referred to live as long as the reference."""
        for frame in self._lent.values():
            try:
                frame.view.release()
            except BufferError:
                continue
        self._lent.clear()
        self._free.clear()
        self._buffers.clear()

    def _references(self, number: int) -> int:
        return sys.getrefcount(self._buffers[number])
