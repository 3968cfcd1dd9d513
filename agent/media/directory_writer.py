"""Writing a DICOMDIR (PS3.3 F.2, F.3) for any number of records in little memory.

Records are kept in a file without a name while they come, in any order; in memory there are only
numbers about each. All elements that hold offsets are of fixed length, so the length of every
record is known before any offset is: one pass over the numbers, from the last to the first, gives
the extent of each entity, and one pass over the records writes the file from its first byte to its
last, each record followed by those below it.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.dataset import tags
from agent.dataset.element_encoding import encode_element, encode_header, item_header
from agent.dataset.file_meta import encode_file_meta
from agent.dataset.sop_classes import MEDIA_STORAGE_DIRECTORY
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from agent.dataset.value_representations import encode_numbers
from agent.errors import LocalError
from agent.media.record_building import SYNTAX

ROOT_ENTITY = 0
"""The node that stands for the Root Directory Entity."""

LARGEST = 0xFFFFFFFE
"""Bytes: offsets and the length of the sequence have 32 bits (PS3.3 F.2.2.2)."""

_ITEM_AND_LINKS = 8 + 12 + 10 + 12
_IN_USE = 0xFFFF


@dataclass(frozen=True, slots=True)
class Creator:
    """Who writes: for the file meta information of what we write (PS3.10 7.1)."""

    implementation_class_uid: str
    implementation_version_name: str = ""
    source_ae_title: str = ""


Recount = Callable[[bytes, int, int], bytes]
"""From a record's content, the number of records in the entity below it, and that of the files it
stands for, its new content."""


class DirectoryTree:
    """The records of a directory that is being made: nodes with a content, below each other.

    A node's content is the record from Directory Record Type (0004,1430) on. Memory: 36 bytes for
    each record, four MiB for 100,000 instances; the contents are on disk, in `folder` or where
    temporary files are. Raises OSError when that is full.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._contents = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by close)
        self._end = 0
        self._position = array("Q", [0])
        self._length = array("I", [0])
        self._parent = array("I", [0])
        self._first = array("I", [0])
        self._last = array("I", [0])
        self._next = array("I", [0])
        self._has_lost = bytearray(1)
        self._is_gone = bytearray(1)
        self._recounts: dict[int, Recount] = {}
        self._extent = array("Q")
        self._children = array("I")
        self._files = array("I")

    def close(self) -> None:
        """Let go of the file with the contents."""
        self._contents.close()

    def add(self, parent: int, content: bytes, recount: Recount | None = None) -> int:
        """A record, the last of the entity below `parent`; its node.

        `recount` is asked when the directory is written, for keys that count what is below.
        """
        self._contents.seek(self._end)
        self._contents.write(content)
        node = len(self._position)
        self._position.append(self._end)
        self._length.append(len(content))
        self._end += len(content)
        self._parent.append(parent)
        for column in (self._first, self._last, self._next):
            column.append(0)
        self._has_lost.append(0)
        self._is_gone.append(0)
        if self._last[parent]:
            self._next[self._last[parent]] = node
        else:
            self._first[parent] = node
        self._last[parent] = node
        if recount is not None:
            self._recounts[node] = recount
        return node

    def lost_below(self, parent: int) -> None:
        """A record of this entity was left out: when none remains, the parent goes as well."""
        if parent:
            self._has_lost[parent] = 1

    def content(self, node: int) -> bytes:
        """The record from Directory Record Type on."""
        self._contents.seek(self._position[node])
        return self._contents.read(self._length[node])

    def write(
        self,
        write: Callable[[bytes], object],
        before: bytes,
        more: bytes = b"",
        after: bytes = b"",
    ) -> None:
        """The whole file: `before` is all up to the data set, `more` the elements in front of the
        Directory Information Module, `after` those behind it.

        Raises LocalError when the directory becomes too long for its offsets, and what `write`
        raises.
        """
        self._measure()
        size = self._extent[ROOT_ENTITY]
        information = 12 + 12 + 10 + 12
        start = len(before) + len(more) + information
        if start + size > LARGEST:
            raise LocalError(
                "The directory becomes too long.",
                clause="PS3.3 F.2.2.2",
                value=start + size,
                limit=LARGEST,
                way_out="Make several file-sets.",
            )
        first = last = 0
        position = start
        for node in self._living(self._first[ROOT_ENTITY]):
            first = first or position
            last = position
            position += self._extent[node]
        write(before + more + _information(first, last, size))
        waiting: list[bytes] = []
        for piece in self._items(start):
            waiting.append(piece)
            if len(waiting) >= 64:
                write(b"".join(waiting))
                waiting.clear()
        write(b"".join(waiting) + after)

    def _measure(self) -> None:
        """Extents and counts; a node's parent always has a lower number than itself."""
        count = len(self._position)
        self._extent = array("Q", bytes(8 * count))
        self._children = array("I", bytes(4 * count))
        self._files = array("I", bytes(4 * count))
        for node in range(count - 1, 0, -1):
            parent = self._parent[node]
            if self._has_lost[node] and not self._children[node]:
                self._is_gone[node] = 1
                self.lost_below(parent)
                continue
            self._files[node] = self._files[node] or 1
            if node in self._recounts:
                old = self.content(node)
                new = self._recounts[node](old, self._children[node], self._files[node])
                if new != old:
                    self._replace(node, new)
            self._extent[node] += _ITEM_AND_LINKS + self._length[node]
            self._extent[parent] += self._extent[node]
            self._children[parent] += 1
            self._files[parent] += self._files[node]

    def _replace(self, node: int, content: bytes) -> None:
        self._contents.seek(self._end)
        self._contents.write(content)
        self._position[node] = self._end
        self._length[node] = len(content)
        self._end += len(content)

    def _living(self, node: int) -> Iterator[int]:
        """The node and those after it in its entity, without those that are gone."""
        while node:
            if not self._is_gone[node]:
                yield node
            node = self._next[node]

    def _items(self, position: int) -> Iterator[bytes]:
        """Each record as an item, in the order of the file; the first stands at `position`."""
        pending = [next(self._living(self._first[ROOT_ENTITY]), 0)]
        while pending:
            node = pending.pop()
            if not node:
                continue
            following = next(self._living(self._next[node]), 0)
            below = next(self._living(self._first[node]), 0)
            content = self.content(node)
            own = _ITEM_AND_LINKS + len(content)
            yield (
                item_header(own - 8, True)
                + _number(
                    tags.OFFSET_OF_THE_NEXT_DIRECTORY_RECORD,
                    "UL",
                    position + self._extent[node] if following else 0,
                )
                + _number(tags.RECORD_IN_USE_FLAG, "US", _IN_USE)
                + _number(
                    tags.OFFSET_OF_REFERENCED_LOWER_LEVEL_DIRECTORY_ENTITY,
                    "UL",
                    position + own if below else 0,
                )
                + content
            )
            position += own
            pending.append(following)
            pending.append(below)


def _number(tag: int, vr: str, value: int) -> bytes:
    return encode_element(tag, vr, encode_numbers(vr, (value,), little_endian=True), SYNTAX)


def _information(first: int, last: int, size: int) -> bytes:
    """The Directory Information Module up to its first item (PS3.3 Table F.3-3)."""
    return (
        _number(tags.OFFSET_OF_THE_FIRST_DIRECTORY_RECORD_OF_THE_ROOT_DIRECTORY_ENTITY, "UL", first)
        + _number(tags.OFFSET_OF_THE_LAST_DIRECTORY_RECORD_OF_THE_ROOT_DIRECTORY_ENTITY, "UL", last)
        + _number(tags.FILE_SET_CONSISTENCY_FLAG, "US", 0)
        + encode_header(tags.DIRECTORY_RECORD_SEQUENCE, "SQ", size, SYNTAX)
    )


def head_of_directory(creator: Creator, sop_instance_uid: str) -> bytes:
    """Preamble and file meta information of a DICOMDIR (PS3.10 8.6)."""
    return encode_file_meta(
        sop_class_uid=MEDIA_STORAGE_DIRECTORY,
        sop_instance_uid=sop_instance_uid,
        transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
        implementation_class_uid=creator.implementation_class_uid,
        implementation_version_name=creator.implementation_version_name,
        source_ae_title=creator.source_ae_title,
    )


def identification(file_set_id: str) -> bytes:
    """The File-set Identification Module; the File-set ID is Type 2 (PS3.3 Table F.3-2)."""
    return encode_element(tags.FILE_SET_ID, "CS", file_set_id.encode("ascii"), SYNTAX)
