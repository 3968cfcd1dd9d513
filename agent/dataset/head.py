"""The fast path: a few top-level values from the head of a data set, in one pass.

Every object that is received or found in the spool goes through `scan_head` once, so it is written
for speed: about half a microsecond for each element, no object made for those nobody wants.
Anything else reads with `agent.dataset.reader`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import NoReturn

from agent.dataset.byte_source import CANNOT_UNDERSTAND, ByteSource, decoded
from agent.dataset.tags import BULK, format_tag, known_value_representation
from agent.dataset.transfer_syntaxes import TransferSyntax
from agent.dataset.value_representations import (
    SHORT_LENGTH,
    UNDEFINED_LENGTH,
    VALUE_REPRESENTATIONS,
)
from agent.errors import PeerError, StatusReaction

LONGEST_HEAD = 64 << 20
"""Bytes of a data set that are ever looked at; what is skipped by its length is not counted."""
LONGEST_VALUE = 1 << 20
"""Bytes of one wanted value."""
DEEPEST_NESTING = 64
"""Sequences of undefined length within each other."""

_Headers = tuple[
    Callable[..., tuple[int, int, bytes, int]],
    Callable[..., tuple[int, int, int]],
    Callable[..., tuple[int]],
]
"""Unpackers of: a header in explicit VR with a short length; one in implicit VR; a long length."""

_HEADERS: dict[bool, _Headers] = {
    little: (
        Struct(f"{order}HH2sH").unpack_from,
        Struct(f"{order}HHI").unpack_from,
        Struct(f"{order}I").unpack_from,
    )
    for little, order in ((True, "<"), (False, ">"))
}

_FIRST_READ = 8192
_SHORT = frozenset(vr.encode() for vr in SHORT_LENGTH)
_LONG = frozenset(vr.encode() for vr in VALUE_REPRESENTATIONS) - _SHORT
_FIRST_BULK = min(BULK)
_ITEM, _ITEM_END, _SEQUENCE_END = 0xE000, 0xE00D, 0xE0DD


@dataclass(frozen=True, slots=True)
class Head:
    """What `scan_head` found.

    `values` holds the raw bytes of the wanted elements that are there, padding included; `vrs`
    their VRs (in implicit VR, as far as `agent.dataset.tags` knows them). `end_offset` is the
    position after the last element that was read or skipped, `pixel_data_offset` that of the
    element with the pixel data, when the scan came so far.
    """

    values: dict[int, bytes]
    vrs: dict[int, str]
    end_offset: int
    pixel_data_offset: int | None


def scan_head(
    source: ByteSource,
    transfer_syntax: TransferSyntax,
    wanted: frozenset[int],
    *,
    limit: int = 65536,
) -> Head:
    """Read the wanted top-level elements; stop at the pixel data or after the greatest of them.

    `limit` is how many bytes are read at a time: memory is that much and the wanted values.
    Sequences and long values are skipped by their lengths without being read. A sequence that is
    wanted is given as bytes when its length is defined, otherwise not at all. Raises PeerError
    with the C-STORE status C000H when the bytes are no data set in this transfer syntax (PS3.5
    section 7), and what the source raises.
    """
    return _Scan(decoded(source, transfer_syntax), transfer_syntax, limit).run(wanted)


class _Scan:
    """One pass. The block holds the bytes from `_start` on; reading only ever goes forward."""

    __slots__ = ("_block", "_budget", "_limit", "_size", "_source", "_start", "_syntax")

    def __init__(self, source: ByteSource, transfer_syntax: TransferSyntax, limit: int) -> None:
        self._source = source
        self._syntax = transfer_syntax
        self._limit = max(limit, 64)
        self._size = min(_FIRST_READ, self._limit)
        self._budget = LONGEST_HEAD
        self._block = b""
        self._start = 0

    def run(self, wanted: frozenset[int]) -> Head:
        explicit = self._syntax.explicit_vr
        headers = _HEADERS[self._syntax.little_endian]
        explicit_header, implicit_header, long_length = headers
        short, long = _SHORT, _LONG
        last = max(wanted, default=0)
        values: dict[int, bytes] = {}
        vrs: dict[int, str] = {}
        pixel_data_offset: int | None = None
        block, start, position, end = b"", 0, 0, 0
        vr = b""
        while True:
            # Room for the longest header, or as much as there is.
            if end - position < 12:
                block = self._fill(start + position, 12)
                start, position, end = self._start, 0, len(block)
                if end < 8:
                    # Fewer bytes than an element are padding of some transport: not our business.
                    break
            if explicit:
                group, element, vr, length = explicit_header(block, position)
                if vr in short:
                    value = position + 8
                elif vr in long and end - position >= 12:
                    length = long_length(block, position + 8)[0]
                    value = position + 12
                else:
                    size, length = _odd_header(block[position : position + 12], headers)
                    value = position + size
            else:
                group, element, length = implicit_header(block, position)
                value = position + 8
            tag = group << 16 | element
            if tag >= _FIRST_BULK and tag in BULK:
                pixel_data_offset = start + position
                break
            if tag > last:
                break
            if length == UNDEFINED_LENGTH:
                position = self._skip_sequence(start + value, explicit and vr != b"UN")
                block, start = self._block, self._start
                position, end = position - start, len(block)
                continue
            if tag in wanted:
                if length > LONGEST_VALUE:
                    _refuse(f"The value of {format_tag(tag)} is too long", length, LONGEST_VALUE)
                if value + length > end:
                    block = self._fill(start + value, length)
                    start, value, end = self._start, 0, len(block)
                    if end < length:
                        _refuse(f"The data set ends within {format_tag(tag)}", end, length)
                values[tag] = block[value : value + length]
                vrs[tag] = vr.decode("latin-1") if explicit else known_value_representation(tag)
            position = value + length
        return Head(values, vrs, start + position, pixel_data_offset)

    def _fill(self, position: int, need: int) -> bytes:
        """The block from `position` on, with at least `need` bytes if there are so many."""
        kept = position - self._start
        have = len(self._block)
        if kept <= have:
            block = self._block[kept:]
        else:
            # The byte before proves that the value skipped is there as a whole.
            block = self._read(position - 1, max(self._size, need) + 1)
            if not block:
                _refuse("The data set ends within a value", position, None)
            block = block[1:]
        while len(block) < need:
            piece = self._read(position + len(block), max(self._size, need - len(block)))
            if not piece:
                break
            block += piece
        self._block = block
        self._start = position
        return block

    def _read(self, position: int, length: int) -> bytes:
        piece = self._source.read(position, length)
        self._size = min(self._size * 2, self._limit)
        self._budget -= len(piece)
        if self._budget < 0:
            _refuse("The head of the data set is too long", LONGEST_HEAD, LONGEST_HEAD)
        return piece

    def _skip_sequence(self, position: int, explicit: bool) -> int:
        """The position after a value of undefined length that starts at `position`.

        Items of defined length are skipped whole; others are walked through, without recursion.
        A value of UN is in Implicit VR Little Endian (PS3.5 6.2.2 note 2).
        """
        # One entry for each open sequence: whether it, and the item open in it, is explicit VR
        # and little endian. `inside` says whether an item of the innermost one is open.
        little = self._syntax.little_endian or not explicit
        stack = [(explicit, little)]
        inside = False
        while stack:
            explicit, little = stack[-1]
            headers = _HEADERS[little]
            block = self._window(position)
            if len(block) < 8:
                _refuse("The data set ends within a sequence", position, None)
            group, element, length = headers[1](block)
            if group == 0xFFFE:
                position += 8
                if element == _ITEM and not inside:
                    if length == UNDEFINED_LENGTH:
                        inside = True
                    else:
                        position += length
                elif element == _ITEM_END and inside:
                    inside = False
                elif element == _SEQUENCE_END and not inside:
                    stack.pop()
                    inside = bool(stack)
                else:
                    _refuse(
                        f"{format_tag(group << 16 | element)} stands where it cannot",
                        position,
                        None,
                    )
                continue
            if not inside:
                _refuse("A sequence holds something else than items", group << 16 | element, None)
            size = 8
            vr = b""
            if explicit:
                vr = block[4:6]
                if vr in _SHORT:
                    length = headers[0](block)[3]
                elif vr in _LONG and len(block) >= 12:
                    size, length = 12, headers[2](block, 8)[0]
                else:
                    size, length = _odd_header(block[:12], headers)
            position += size
            if length != UNDEFINED_LENGTH:
                position += length
                continue
            if len(stack) >= DEEPEST_NESTING:
                _refuse("The sequences are nested too deeply", len(stack) + 1, DEEPEST_NESTING)
            implicit = vr == b"UN"
            stack.append((explicit and not implicit, little or implicit))
            inside = False
        return position

    def _window(self, position: int) -> bytes:
        """Twelve bytes at `position`, or what there is, the block staying where it is."""
        offset = position - self._start
        if 0 <= offset <= len(self._block) - 12:
            return self._block[offset : offset + 12]
        return self._fill(position, 12)[:12]


def _odd_header(header: bytes, headers: _Headers) -> tuple[int, int]:
    """The size of the header, and the length of the value, of an element without a known VR.

    A VR of two capital letters is one of the future and has the long form (PS3.5 6.2). Other
    bytes are the length of an element that a careless writer left in implicit VR, or a
    placeholder such as "??" with the short form.
    """
    vr = header[4:6]
    if vr.isalpha() and vr.isupper():
        if len(header) < 12:
            _refuse("The data set ends within the header of an element", len(header), 12)
        return 12, headers[2](header, 8)[0]
    length: int = headers[0](header)[3]
    if length and vr != b"\xff\xff":
        return 8, length
    return 8, headers[1](header)[2]


def _refuse(message: str, value: object, limit: object) -> NoReturn:
    raise PeerError(
        f"{message}.",
        clause="PS3.5 7",
        value=value,
        limit=limit,
        reaction=StatusReaction(CANNOT_UNDERSTAND, message[:64]),
    )
