"""Writing a ZIP file (PS3.12 V): a file-set in one file, with ZIP64 where it is needed.

The same files give the same bytes: there are no times in it, and names come in the order in which
they are added. What does not shrink is stored as it is.
"""

from __future__ import annotations

import os
import struct
import tempfile
import zlib
from pathlib import Path
from types import TracebackType

from agent.dataset.whole_write import write_whole
from agent.media.zip_format import (
    CENTRAL,
    CENTRAL_SIGNATURE,
    DEFLATED,
    END,
    END_64,
    END_64_SIGNATURE,
    END_SIGNATURE,
    LARGEST_16,
    LARGEST_32,
    LOCAL,
    LOCAL_SIGNATURE,
    LOCATOR_64,
    LOCATOR_64_SIGNATURE,
    STORED,
    ZIP64_EXTRA,
)

_BLOCK = 1 << 18
_SAMPLE = 1 << 16
_WORTHWHILE = 0.9
"""What a sample must shrink to, for its file to be deflated."""
_NO_TIME, _FIRST_DAY = 0, 1 << 5 | 1
_VERSION, _VERSION_64 = 20, 45
_UNIX = 3 << 8
_REGULAR_FILE = 0o100644 << 16
_MARGIN = 1 << 20
"""What deflating can add to a file that does not shrink, with room to spare."""


class ZipWriter:
    """A ZIP file that is being written; `finish` writes its directory.

    Memory: one MiB; the directory waits in a file without a name. All raise OSError.
    """

    def __init__(self, out: int, spill_folder: Path | None = None) -> None:
        """`out` is an empty regular file."""
        self._out = out
        self._directory = tempfile.TemporaryFile(dir=spill_folder)  # noqa: SIM115 (see close)
        self._count = 0

    def __enter__(self) -> ZipWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the temporary file."""
        self._directory.close()

    def add(self, name: str, source: int) -> None:
        """Add an open file under a name, which is in ASCII, with "/" between folders."""
        encoded = name.encode("ascii")
        size = os.fstat(source).st_size
        is_large = size + _MARGIN >= LARGEST_32
        method = DEFLATED if _shrinks(source) else STORED
        start = os.lseek(self._out, 0, os.SEEK_END)
        head = LOCAL.size + len(encoded) + (20 if is_large else 0)
        write_whole(self._out, bytes(head))
        checksum, size = self._write_content(source, method)
        packed = os.lseek(self._out, 0, os.SEEK_END) - start - head
        extra = struct.pack("<HHQQ", ZIP64_EXTRA, 16, size, packed) if is_large else b""
        local = LOCAL.pack(
            LOCAL_SIGNATURE,
            _VERSION_64 if is_large else _VERSION,
            0,
            method,
            _NO_TIME,
            _FIRST_DAY,
            checksum,
            LARGEST_32 if is_large else packed,
            LARGEST_32 if is_large else size,
            len(encoded),
            len(extra),
        )
        os.pwrite(self._out, local + encoded + extra, start)
        self._note(encoded, method, checksum, packed, size, start)

    def _write_content(self, source: int, method: int) -> tuple[int, int]:
        """The CRC-32 of what was read, and its length."""
        deflate = zlib.compressobj(6, zlib.DEFLATED, -15) if method == DEFLATED else None
        checksum = position = 0
        while piece := os.pread(source, _BLOCK, position):
            checksum = zlib.crc32(piece, checksum)
            position += len(piece)
            write_whole(self._out, deflate.compress(piece) if deflate else piece)
        if deflate:
            write_whole(self._out, deflate.flush())
        return checksum, position

    def _note(
        self, name: bytes, method: int, checksum: int, packed: int, size: int, start: int
    ) -> None:
        large = [each for each in (size, packed, start) if each >= LARGEST_32]
        extra = b""
        if large:
            extra = struct.pack(f"<HH{len(large)}Q", ZIP64_EXTRA, 8 * len(large), *large)
        version = _VERSION_64 if large else _VERSION
        header = CENTRAL.pack(
            CENTRAL_SIGNATURE,
            _UNIX | version,
            version,
            0,
            method,
            _NO_TIME,
            _FIRST_DAY,
            checksum,
            min(packed, LARGEST_32),
            min(size, LARGEST_32),
            len(name),
            len(extra),
            0,
            0,
            0,
            _REGULAR_FILE,
            min(start, LARGEST_32),
        )
        self._directory.write(header + name + extra)
        self._count += 1

    def finish(self) -> None:
        """Write the directory: the file is whole, and on the disk."""
        start = os.lseek(self._out, 0, os.SEEK_END)
        size = self._directory.tell()
        self._directory.seek(0)
        while piece := self._directory.read(_BLOCK):
            write_whole(self._out, piece)
        count = self._count
        if count >= LARGEST_16 or max(start, size) >= LARGEST_32:
            end = END_64.pack(
                END_64_SIGNATURE,
                END_64.size - 12,
                _UNIX | _VERSION_64,
                _VERSION_64,
                0,
                0,
                count,
                count,
                size,
                start,
            )
            locator = LOCATOR_64.pack(LOCATOR_64_SIGNATURE, 0, start + size, 1)
            write_whole(self._out, end + locator)
        count = min(count, LARGEST_16)
        write_whole(
            self._out,
            END.pack(
                END_SIGNATURE,
                0,
                0,
                count,
                count,
                min(size, LARGEST_32),
                min(start, LARGEST_32),
                0,
            ),
        )
        os.fsync(self._out)


def _shrinks(source: int) -> bool:
    sample = os.pread(source, _SAMPLE, 0)
    return len(zlib.compress(sample, 1)) < _WORTHWHILE * len(sample)
