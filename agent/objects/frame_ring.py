"""The last frames of a device, in a file of fixed size: the newest replace the oldest.

Frames are of any length, as compressed ones are. They lie one behind the other in the file and go
on at its beginning when its end is reached. Of each only the place is in memory, a hundred bytes.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from agent.errors import StorageError
from agent.objects.output import Bytes

_STRIP = 65536


class RingFrame(NamedTuple):
    """A frame in the ring. `start` counts bytes from the first that was ever written; `dropped`
    frames are missing between the one before and this; `timestamp` is that of the device."""

    start: int
    length: int
    timestamp: float
    dropped: int


class FrameRing:
    """A file of `size` bytes that holds frames of the last `seconds`, or fewer where it is full.

    The descriptor is the caller's, of a file that can be read and written and that nobody else
    writes. All room is taken at once, so a disk that is full later harms nothing. Memory: a strip
    of 64 KiB, and a hundred bytes a frame. All methods raise StorageError when the disk is full or
    broken.
    """

    def __init__(self, descriptor: int, size: int, seconds: float) -> None:
        self._descriptor = descriptor
        self._size = size
        self._seconds = seconds
        self._frames: deque[RingFrame] = deque()
        self._end = 0
        self._begun: tuple[int, float, int] | None = None
        self._given_up = False
        self._missing = 0
        self._held: int | None = None
        self._strip = bytearray(min(_STRIP, size))
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            raise _failed(error, "The disk has no room for the frames to be kept.") from error

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def newest(self) -> RingFrame | None:
        """The last whole frame, unless one that came after it had no room."""
        return self._frames[-1] if self._frames and not self._missing else None

    # Writing.

    def begin_frame(self, timestamp: float, dropped: int) -> None:
        """A frame of that moment comes; `dropped` are missing before it."""
        self._begun = (self._end, timestamp, dropped)
        self._given_up = False
        while self._frames and timestamp - self._frames[0].timestamp > self._seconds:
            if not self._let_go():
                break

    def write(self, data: Bytes) -> None:
        """The next bytes of it; they take the room of the oldest frames. A frame for which there is
        none, as others are held or as it is larger than the file, is given up."""
        assert self._begun is not None
        with memoryview(data) as lent, lent.cast("B") as view:
            end = self._end + len(view)
            if self._given_up or end - self._begun[0] > self._size:
                self._given_up = True
                return
            while self._frames and end - self._frames[0].start > self._size:
                if not self._let_go():
                    self._given_up = True
                    return
            self._put(view)
            self._end = end

    def give_up(self) -> None:
        """It will not be whole."""
        self._given_up = True

    def end_frame(self) -> bool:
        """It is whole; False when it was given up, and counts as missing."""
        assert self._begun is not None
        start, timestamp, dropped = self._begun
        self._begun = None
        if self._given_up or self._end == start:
            self._end = start
            self._missing += 1 + dropped
            return False
        frame = RingFrame(start, self._end - start, timestamp, dropped + self._missing)
        self._missing = 0
        self._frames.append(frame)
        return True

    def _let_go(self) -> bool:
        if self._held is not None and self._frames[0].start >= self._held:
            return False
        self._frames.popleft()
        return True

    def _put(self, view: memoryview) -> None:
        done = 0
        while done < len(view):
            at = (self._end + done) % self._size
            with view[done : done + self._size - at] as part:
                try:
                    done += os.pwrite(self._descriptor, part, at)
                except OSError as error:
                    raise _failed(error, "The frames cannot be kept.") from error

    # Reading.

    def between(self, first: float, last: float) -> list[RingFrame]:
        """The frames with timestamps from `first` to `last`, the oldest first."""
        return [each for each in self._frames if first <= each.timestamp <= last]

    def hold(self, frame: RingFrame | None) -> None:
        """This frame and those after it stay, whatever comes; None: none any more."""
        self._held = frame.start if frame is not None else None

    def pieces(self, frame: RingFrame) -> Iterator[memoryview]:
        """The frame in pieces; each is valid until the next is asked for, then released."""
        done = 0
        while done < frame.length:
            at = (frame.start + done) % self._size
            count = min(frame.length - done, self._size - at, len(self._strip))
            with memoryview(self._strip) as strip, strip[:count] as piece:
                try:
                    count = os.preadv(self._descriptor, [piece], at)
                except OSError as error:
                    raise _failed(error, "The frames that were kept cannot be read.") from error
                if not count:
                    raise StorageError("The frames that were kept are cut off.", value=at)
                with piece[:count] as part:
                    yield part
            done += count


def _failed(error: OSError, what: str) -> StorageError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return StorageError(what, value=error.errno, way_out="Free some room." if full else "")
