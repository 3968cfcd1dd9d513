"""The audit messages that wait for their repositories, on disk (bounded, in order, numbered).

A folder of segments: files of records, named by the number of their first. A record is written by
one system call, so a killed process leaves whole ones; what a cut of power tore at the end is cut
off at the next start. Each repository has a place: the number of the first message that it may not
have. Memory: a few numbers a segment; messages are read when they are sent.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.errors import StorageError
from agent.quoting import quoted
from agent.security.audit_syslog import Recorded

_HEADER = struct.Struct(">IIQdB")  # length, CRC of all behind it, number, when, severity
_SEGMENT = 1 << 20
_LONGEST = 1 << 22
_MOST_MARKS = 16
_SUFFIX, _PLACE = ".messages", ".place"


@dataclass(slots=True)
class _Segment:
    first: int
    path: Path
    size: int
    changed: float


class AuditQueue:
    """The one writer of the folder. `size` bounds the bytes of all segments; `keep` is how long
    what every repository has is kept for people, in seconds, where there is room."""

    def __init__(self, folder: Path, *, size: int, keep: float = 0.0, newest: bool = False) -> None:
        """`newest`: when it is full, new messages are lost instead of the oldest that wait.

        Raises StorageError when the folder cannot be used.
        """
        self.folder = folder
        self.size = size
        self.keep = keep
        self.newest = newest
        self.lost = 0
        """Messages that were lost for want of room since the start."""
        self.next = 1
        self._marks: dict[int, tuple[int, int]] = {}
        self._places: dict[str, int] = {}
        self._segments: list[_Segment] = []
        self._end = -1
        self._unsynced = False
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._find()
        except OSError as error:
            raise _fault(error, folder) from error

    # Writing.

    def append(self, xml: str, severity: int, when: float) -> int:
        """Keep a message; its number, or 0 where it is lost for want of room.

        After it the message survives the end of this process; with `descriptor_to_sync` synced, a
        cut of power too. Raises StorageError when the disk fails.
        """
        data = xml.encode("utf-8", "replace")
        body = struct.pack(">QdB", self.next, when, severity) + data
        record = struct.pack(">II", len(data), zlib.crc32(body)) + body
        try:
            if not self._make_room(len(record)):
                self.lost += 1
                return 0
            if self._end < 0 or self._segments[-1].size + len(record) > self._segment_size:
                self._begin_segment()
            written = os.write(self._end, record)
            if written != len(record):
                os.ftruncate(self._end, self._segments[-1].size)
                raise OSError(28, "No space left on device")
        except OSError as error:
            self.lost += 1
            raise _fault(error, self.folder) from error
        self._segments[-1].size += len(record)
        self._segments[-1].changed = time.time()
        self._unsynced = True
        self.next += 1
        return self.next - 1

    def descriptor_to_sync(self) -> int | None:
        """What was written since it was last asked for; None: nothing."""
        if not self._unsynced or self._end < 0:
            return None
        self._unsynced = False
        return self._end

    # Reading, for repositories and for people.

    def read(self, number: int, most: int = 64, most_bytes: int = 1 << 18) -> list[Recorded]:
        """Messages from this number on; those that are gone are left out. Raises StorageError."""
        found: list[Recorded] = []
        number = max(number, self.oldest)
        try:
            for segment, after in zip(self._segments, [*self._segments[1:], None], strict=True):
                if after is None or after.first > number:
                    most_bytes -= self._read_segment(segment, number, most, most_bytes, found)
                    if len(found) >= most or most_bytes <= 0:
                        break
        except OSError as error:
            raise _fault(error, self.folder) from error
        return found

    def _read_segment(
        self, segment: _Segment, number: int, most: int, most_bytes: int, found: list[Recorded]
    ) -> int:
        """Add to `found`; how many bytes that was."""
        held = 0
        first, offset = self._marks.pop(number, (0, 0))
        with segment.path.open("rb") as file:
            if first == segment.first:
                file.seek(offset)
            while len(found) < most and held < most_bytes:
                recorded = _next_record(file.read)
                if recorded is None:
                    return held
                if recorded.number >= number:
                    found.append(recorded)
                    held += len(recorded.xml)
            # Who goes on from here need not read what is before.
            self._marks[found[-1].number + 1] = segment.first, file.tell()
        while len(self._marks) > _MOST_MARKS:
            del self._marks[next(iter(self._marks))]
        return held

    @property
    def oldest(self) -> int:
        """The number of the first message that is here; `next` where there is none."""
        return self._segments[0].first if self._segments else self.next

    @property
    def held(self) -> int:
        """Bytes of all segments."""
        return sum(each.size for each in self._segments)

    @property
    def is_full(self) -> bool:
        """Whether the next message costs one that waits, or is lost itself."""
        waiting = min(self._places.values(), default=self.next)
        free = (
            self.size
            - self.held
            + sum(each.size for each in self._done(waiting) if each is not self._segments[-1])
        )
        return free < self._segment_size

    # Places.

    def place(self, repository: str) -> int:
        """The first message that this repository may not have: a new one gets what comes."""
        found = self._places.get(repository)
        if found is None:
            text = ""
            with contextlib.suppress(OSError):
                text = self._place_file(repository).read_text().strip()
            found = int(text) if text.isdigit() else self.next
            self.advance(repository, min(found, self.next))
        return self._places[repository]

    def advance(self, repository: str, number: int) -> None:
        """It has all before this number. Raises StorageError."""
        self._places[repository] = number
        try:
            end = os.open(self._place_file(repository), os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.pwrite(end, b"%020d\n" % number, 0)
            finally:
                os.close(end)
        except OSError as error:
            raise _fault(error, self.folder) from error

    def keep_places_of(self, repositories: set[str]) -> None:
        """Others are gone from the configuration: nothing waits for them."""
        for path in self.folder.glob(f"*{_PLACE}"):
            if path.stem not in repositories:
                path.unlink(missing_ok=True)
                self._places.pop(path.stem, None)

    def waiting(self, repository: str) -> int:
        """How many messages it may not have."""
        return self.next - max(self.place(repository), self.oldest)

    def tidy(self, clock: float) -> None:
        """What every repository has, and was kept long enough, goes."""
        done = min(self._places.values(), default=self.next)
        for segment in self._done(done):
            if segment is not self._segments[-1] and segment.changed + self.keep <= clock:
                self._drop(segment)

    def close(self) -> None:
        if self._end >= 0:
            os.close(self._end)
            self._end = -1

    # What it is made of.

    @property
    def _segment_size(self) -> int:
        return min(_SEGMENT, self.size // 8)

    def _place_file(self, repository: str) -> Path:
        return self.folder / f"{repository}{_PLACE}"

    def _done(self, number: int) -> list[_Segment]:
        """Segments with nothing from this number on."""
        ends = [each.first for each in self._segments[1:]] + [self.next]
        return [segment for segment, end in zip(self._segments, ends, strict=True) if end <= number]

    def _make_room(self, size: int) -> bool:
        while self._segments and self.held + size > self.size:
            oldest = self._segments[0]
            if oldest is self._segments[-1]:
                return False
            end = self._segments[1].first
            waits_from = min(self._places.values(), default=self.next)
            if end > waits_from:
                if self.newest:
                    return False
                self.lost += end - max(waits_from, oldest.first)
            self._drop(oldest)
            for name, place in list(self._places.items()):
                if place < end:
                    self.advance(name, end)
        return True

    def _drop(self, segment: _Segment) -> None:
        segment.path.unlink(missing_ok=True)
        self._segments.remove(segment)

    def _begin_segment(self) -> None:
        self.close()
        path = self.folder / f"{self.next:020d}{_SUFFIX}"
        self._end = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._segments.append(_Segment(self.next, path, 0, time.time()))

    def _find(self) -> None:
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
            if path.stem.isdigit():
                state = path.stat()
                self._segments.append(_Segment(int(path.stem), path, state.st_size, state.st_mtime))
        for path in self.folder.glob(f"*{_PLACE}"):
            text = path.read_text().strip()
            self._places[path.stem] = int(text) if text.isdigit() else 1
        self.next = max([1, *self._places.values()])
        if not self._segments:
            return
        last = self._segments[-1]
        self.next = max(self.next, last.first)
        whole = 0
        with last.path.open("rb") as file:
            while (recorded := _next_record(file.read)) is not None:
                whole = file.tell()
                self.next = max(self.next, recorded.number + 1)
        self._end = os.open(last.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        if whole != last.size:
            os.ftruncate(self._end, whole)
            last.size = whole


def _next_record(read: Callable[[int], bytes]) -> Recorded | None:
    """The next whole record, or None at the end, or where what follows is none."""
    head = read(_HEADER.size)
    if len(head) < _HEADER.size:
        return None
    length, checked, number, when, severity = _HEADER.unpack(head)
    if length > _LONGEST:
        return None
    data = read(length)
    if len(data) < length or zlib.crc32(head[8:] + data) != checked:
        return None
    return Recorded(number, when, severity, data)


def _fault(error: OSError, folder: Path) -> StorageError:
    return StorageError(
        f"the audit messages in {quoted(folder)} cannot be kept: {error.strerror}",
        value=str(folder),
        way_out="Give the folder room, and the node the right to write there.",
    )
