"""Reading a ZIP file of whatever maker (PS3.12 V): its entries, each checked before it is used.

Names are those of the archive; nothing is written under them. What an entry says of its size holds:
no byte more is unpacked.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from agent.dataset.whole_write import write_whole
from agent.errors import StorageError
from agent.media.found import Damage
from agent.media.zip_format import (
    CENTRAL,
    CENTRAL_SIGNATURE,
    DEFLATED,
    ENCRYPTED,
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
    MASKED,
    STORED,
    STRONGLY_ENCRYPTED,
    UTF_8,
    ZIP64_EXTRA,
)

CLAUSE = "PS3.12 V"
MOST_ENTRIES = 200_000
LARGEST_RATIO = 100
"""How many times its size a ZIP file may hold, where it holds more than `HARMLESS` bytes. DICOM
files shrink to a tenth at best; what claims more is made to fill disks."""
HARMLESS = 1 << 30

_BLOCK = 1 << 18
_PIECE = 1 << 20
_LONGEST_COMMENT = 0xFFFF
_UNIX = 3


class Entry(NamedTuple):
    """A file of the archive; `packed` and `size` in bytes, `position` that of its local header."""

    name: str
    method: int
    checksum: int
    packed: int
    size: int
    position: int


def is_zip(descriptor: int) -> bool:
    """Whether an open file begins as a ZIP file does."""
    return os.pread(descriptor, 4, 0) in (LOCAL_SIGNATURE, END_SIGNATURE)


def entries_of(descriptor: int) -> Iterator[Entry | Damage]:
    """The files of the archive in the order of its directory; damage for what cannot be had.

    Folders are passed over. Memory: one header. Raises StorageError for what is no whole ZIP file,
    for one in several parts, and for one that claims to hold far more than it can; OSError.
    """
    size = os.fstat(descriptor).st_size
    count, length, start, moved = _directory_of(descriptor, size)
    if count > MOST_ENTRIES:
        raise StorageError(
            f"the ZIP file has {count} entries", clause=CLAUSE, value=count, limit=MOST_ENTRIES
        )
    position = start + moved
    end = position + length
    packed = unpacked = 0
    for _ in range(count):
        header = os.pread(descriptor, CENTRAL.size, position)
        if len(header) < CENTRAL.size or header[:4] != CENTRAL_SIGNATURE:
            raise _damaged("its directory is not whole")
        fields = CENTRAL.unpack(header)
        variable = os.pread(descriptor, sum(fields[10:13]), position + CENTRAL.size)
        position += CENTRAL.size + len(variable)
        if len(variable) < sum(fields[10:13]) or position > end:
            raise _damaged("its directory is not whole")
        entry, refusal = _entry(fields, variable, moved)
        packed += entry.packed
        unpacked += entry.size
        # Entries that share their bytes are how a small file can hold very much.
        if packed > size or (unpacked > HARMLESS and unpacked > LARGEST_RATIO * size):
            raise StorageError(
                f"the ZIP file of {size} bytes claims to hold {unpacked} and more",
                clause=CLAUSE,
                value=unpacked,
                limit=LARGEST_RATIO * size,
                way_out="It was made to fill disks: ask who made it.",
            )
        if refusal:
            yield Damage(entry.name, refusal)
        elif not entry.name.endswith("/"):
            yield entry


def unpack(descriptor: int, entry: Entry, target: int) -> None:
    """Write what an entry holds. Memory: one MiB. Raises StorageError where it is damaged, or holds
    another number of bytes than it says; OSError."""
    header = os.pread(descriptor, LOCAL.size, entry.position)
    if len(header) < LOCAL.size or header[:4] != LOCAL_SIGNATURE:
        raise _damaged("it is not where the directory of the ZIP file says")
    fields = LOCAL.unpack(header)
    position = entry.position + LOCAL.size + fields[9] + fields[10]
    checksum = size = 0
    for piece in _content(descriptor, entry, position):
        size += len(piece)
        if size > entry.size:
            raise _damaged(f"it holds more than the {entry.size} bytes that it claims")
        checksum = zlib.crc32(piece, checksum)
        write_whole(target, piece)
    if size < entry.size:
        raise _damaged(f"it holds {size} of {entry.size} bytes: it seems cut off")
    if checksum != entry.checksum:
        raise _damaged("its checksum is wrong: it was changed")


def _content(descriptor: int, entry: Entry, position: int) -> Iterator[bytes]:
    inflate = zlib.decompressobj(-15) if entry.method == DEFLATED else None
    end = position + entry.packed
    while position < end:
        piece = os.pread(descriptor, min(_BLOCK, end - position), position)
        if not piece:
            return
        position += len(piece)
        if inflate is None:
            yield piece
            continue
        try:
            while piece:
                yield inflate.decompress(piece, _PIECE)
                piece = inflate.unconsumed_tail
        except zlib.error as error:
            raise _damaged("it cannot be inflated: it was changed") from error
        if inflate.eof:
            return
    if inflate is not None:
        yield inflate.flush()


def _directory_of(descriptor: int, size: int) -> tuple[int, int, int, int]:
    """Entries, length and offset of the directory, and by how much all offsets are moved, for
    something may stand before the archive."""
    tail = min(size, END.size + _LONGEST_COMMENT)
    found = os.pread(descriptor, tail, size - tail)
    at = found.rfind(END_SIGNATURE)
    while at >= 0 and len(found) - at < END.size:
        at = found.rfind(END_SIGNATURE, 0, at)
    if at < 0:
        raise _damaged("it has no directory: it seems cut off")
    _, disk, first, here, count, length, start, _ = END.unpack_from(found, at)
    position = size - tail + at
    if disk not in (0, LARGEST_16) or first not in (0, LARGEST_16) or here != count:
        raise StorageError("the ZIP file is one of several parts", clause=CLAUSE, value=disk)
    if count == LARGEST_16 or LARGEST_32 in (length, start):
        wide = _directory_64(descriptor, position)
        if wide is not None:
            count, length, start, position = wide
    moved = position - length - start
    if moved < 0:
        raise _damaged("its directory is not where it should be")
    return count, length, start, moved


def _directory_64(descriptor: int, end: int) -> tuple[int, int, int, int] | None:
    before = os.pread(descriptor, LOCATOR_64.size, max(0, end - LOCATOR_64.size))
    if len(before) < LOCATOR_64.size or before[:4] != LOCATOR_64_SIGNATURE:
        return None
    position = LOCATOR_64.unpack(before)[2]
    record = os.pread(descriptor, END_64.size, position) if position < end else b""
    if len(record) < END_64.size or record[:4] != END_64_SIGNATURE:
        raise _damaged("its ZIP64 directory is not where it should be")
    fields = END_64.unpack(record)
    return fields[7], fields[8], fields[9], position


def _entry(fields: tuple[int, ...], variable: bytes, moved: int) -> tuple[Entry, str]:
    """An entry, and why it cannot be had."""
    flags, method, checksum, packed, size = fields[3], fields[4], *fields[7:10]
    position = fields[16]
    raw = variable[: fields[10]]
    if LARGEST_32 in (packed, size, position):
        extra = variable[fields[10] : fields[10] + fields[11]]
        size, packed, position = _widened(extra, size, packed, position)
    name = raw.decode("utf-8" if flags & UTF_8 else "cp437", "replace").replace("\\", "/")
    entry = Entry(name, method, checksum, packed, size, position + moved)
    return entry, _refusal(entry, flags, fields)


def _refusal(entry: Entry, flags: int, fields: tuple[int, ...]) -> str:
    if flags & (ENCRYPTED | STRONGLY_ENCRYPTED | MASKED):
        return "it is encrypted as ZIP files are: get it in a plain one, or as a Secure DICOM file"
    parts = entry.name.rstrip("/").split("/")
    if any(part in ("", ".", "..") or "\0" in part or ":" in part for part in parts):
        return "its name leads out of the ZIP file"
    if fields[1] >> 8 == _UNIX and stat.S_ISLNK(fields[15] >> 16):
        return "it is a link"
    if entry.method not in (STORED, DEFLATED):
        return f"its compression method is {entry.method}, which we cannot read"
    return ""


def _widened(extra: bytes, size: int, packed: int, position: int) -> tuple[int, int, int]:
    """The fields of ZIP64: those that are there stand in this order (APPNOTE 4.5.3)."""
    values = [size, packed, position]
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == ZIP64_EXTRA:
            content = extra[at + 4 : at + 4 + length]
            for number, value in enumerate(values):
                if value == LARGEST_32:
                    if len(content) < 8:
                        raise _damaged("a ZIP64 field is not whole")
                    values[number] = int.from_bytes(content[:8], "little")
                    content = content[8:]
        at += 4 + length
    return values[0], values[1], values[2]


def _damaged(why: str) -> StorageError:
    return StorageError(f"the ZIP file is damaged: {why}", clause=CLAUSE)
