"""The structure of a mail (RFC 5322, RFC 2045, RFC 2046): its parts, and where their bodies lie.

A mail of any length is gone through line by line once; a part is decoded when it is wanted.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Callable, Iterator
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import collapse_rfc2231_value
from typing import NamedTuple, TypeAlias

from agent.dataset.whole_write import write_whole
from agent.errors import StorageError
from agent.quoting import quoted

CLAUSE = "PS3.12 K, W"
MOST_PARTS = 100_000
DEEPEST = 20
LONGEST_HEAD = 1 << 16
LONGEST_LINE = 1 << 16
LONGEST_FIELD = 1 << 10
"""Of the fields whose parameters are read: Python looks for the end of a quoted one in a time that
grows with the square of the length. A name and a boundary have 320 characters at most."""
MOST_HEADS = 32 << 20
"""Bytes of all headers of a mail: 100,000 parts have a quarter of it."""

_BLOCK = 1 << 18
_WITH_PARAMETERS = ("Content-Type", "Content-Disposition")
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")


class Part(NamedTuple):
    """A part that has no parts of its own: its header, and its body from `start` to `end`."""

    head: Message
    start: int
    end: int

    @property
    def encoding(self) -> str:
        """Content-Transfer-Encoding, in small letters."""
        return str(self.head.get("Content-Transfer-Encoding", "7bit")).strip().lower()

    @property
    def size(self) -> int:
        """Bytes that it can have at most when it is decoded."""
        return self.end - self.start

    def parameter(self, name: str) -> str:
        """A parameter of Content-Type; "" where it is not there."""
        value = _parameter(self.head, name, "content-type")
        return (value[2] if isinstance(value, tuple) else str(value)).strip()

    @property
    def file_name(self) -> str:
        """The name that Content-Disposition or Content-Type gives it; "" for none."""
        said = _text(_parameter(self.head, "filename", "content-disposition"))
        return said.strip() or self.parameter("name")


Parameter: TypeAlias = "str | tuple[str | None, str | None, str]"
"""As Python reads one: with character set and language where it says them (RFC 2231)."""


def _parameter(head: Message, name: str, field: str) -> Parameter:
    """A parameter of a header field; "" where it is not there, or cannot be read."""
    try:
        found: Parameter = head.get_param(name, "", field)
    except (TypeError, ValueError, LookupError):
        # Python's reader fails by continuations without a number.
        return ""
    return found


def _text(value: Parameter) -> str:
    try:
        return collapse_rfc2231_value(value)
    except (TypeError, ValueError, LookupError):
        # In a character set that is none.
        return ""


def is_mail(descriptor: int) -> bool:
    """Whether an open file begins with a header field, after the line that mailboxes have."""
    lines = os.pread(descriptor, 4096, 0).split(b"\n", 2)
    first = lines[1] if len(lines) > 1 and lines[0].startswith((b"From ", b">From ")) else lines[0]
    return _FIELD.match(first) is not None


def parts_of_mail(descriptor: int) -> Iterator[Part]:
    """The parts, in their order; those of mails within the mail too.

    Memory: the headers on the way down, a line. Raises StorageError for a structure that nobody
    needs: too deep, with too many parts, or a header without end; OSError.
    """
    lines = _Lines(descriptor)
    yield from _Structure(lines).entity(0)


def decode(descriptor: int, part: Part, target: int) -> None:
    """Write the body of a part as it was before its encoding. Memory: one MiB.

    Raises StorageError where it cannot be decoded; OSError.
    """
    decoders: dict[str, Callable[[int, Part], Iterator[bytes]]] = {
        "base64": _base64,
        "quoted-printable": _quoted,
        "7bit": _verbatim,
        "8bit": _verbatim,
        "binary": _verbatim,
    }
    decoder = decoders.get(part.encoding)
    if decoder is None:
        raise StorageError(
            f"its encoding {quoted(part.encoding)} is none of RFC 2045", clause=CLAUSE
        )
    try:
        for piece in decoder(descriptor, part):
            write_whole(target, piece)
    except (binascii.Error, ValueError) as error:
        raise StorageError(
            f"it cannot be decoded from {quoted(part.encoding)}: it was changed, or cut off",
            clause=CLAUSE,
        ) from error


def _verbatim(descriptor: int, part: Part) -> Iterator[bytes]:
    position = part.start
    while position < part.end:
        piece = os.pread(descriptor, min(_BLOCK, part.end - position), position)
        if not piece:
            return
        yield piece
        position += len(piece)


_NOT_BASE64 = bytes(
    each
    for each in range(256)
    if each not in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
)


def _base64(descriptor: int, part: Part) -> Iterator[bytes]:
    held = b""
    for piece in _verbatim(descriptor, part):
        # Other characters, line ends above all, are to be passed over (RFC 2045 6.8).
        held += piece.translate(None, _NOT_BASE64)
        whole = len(held) // 4 * 4
        yield base64.b64decode(held[:whole], validate=True)
        held = held[whole:]
    if held:
        raise ValueError("base64 ends within a group")


def _quoted(descriptor: int, part: Part) -> Iterator[bytes]:
    held = b""
    for piece in _verbatim(descriptor, part):
        lines = (held + piece).splitlines(keepends=True)
        held = lines.pop()
        yield binascii.a2b_qp(b"".join(lines))
        if len(held) > LONGEST_LINE:
            raise ValueError("a line of quoted-printable has no end")
    yield binascii.a2b_qp(held)


class _Lines:
    """The lines of a file with their places; of a long one the parts, as lines without an end."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = b""
        self._at = 0
        self.position = 0
        """Where the next line begins."""
        self.begins = True
        """Whether the next line is the beginning of one."""

    def next(self) -> bytes:
        """The next line with its end; b"" behind the last."""
        found = self._buffer.find(b"\n", self._at)
        while found < 0 and len(self._buffer) - self._at < LONGEST_LINE:
            read = self.position + len(self._buffer) - self._at
            more = os.pread(self._descriptor, _BLOCK, read)
            if not more:
                break
            self._buffer = self._buffer[self._at :] + more
            self._at = 0
            found = self._buffer.find(b"\n")
        end = found + 1 if found >= 0 else min(len(self._buffer), self._at + LONGEST_LINE)
        line = self._buffer[self._at : end]
        self._at = end
        self.position += len(line)
        return line


class _Structure:
    """Goes through the lines once; `_boundaries` are those of the multiparts around it."""

    def __init__(self, lines: _Lines) -> None:
        self._lines = lines
        self._boundaries: list[bytes] = []
        self._count = 0
        self._heads = 0
        # The boundary that was met: its depth, and whether it is the last of its kind; (0, True) is
        # the end of the mail.
        self._met: tuple[int, bool] | None = None

    def entity(self, depth: int) -> Iterator[Part]:
        """An entity up to the boundary behind it; `_met` says which."""
        self._count += 1
        if depth > DEEPEST or self._count > MOST_PARTS:
            raise StorageError(
                "the mail has more parts than a mail needs",
                clause=CLAUSE,
                limit=(DEEPEST, MOST_PARTS),
            )
        head = self._head()
        kind = head.get_content_maintype()
        boundary = ""
        if kind == "multipart":
            boundary = _text(_parameter(head, "boundary", "content-type")).rstrip()
        if boundary:
            yield from self._multipart(boundary.encode("utf-8", "replace"), depth)
        elif head.get_content_type() == "message/rfc822" and self._met is None:
            yield from self.entity(depth + 1)
        else:
            start = end = self._lines.position
            if self._met is None:
                end = self._to_a_boundary()
            yield Part(head, start, max(start, end))

    def _multipart(self, boundary: bytes, depth: int) -> Iterator[Part]:
        self._boundaries.append(b"--" + boundary)
        mine = len(self._boundaries)
        if self._met is None:
            self._to_a_boundary()
        while self._met == (mine, False):
            yield from self.entity(depth + 1)
        self._boundaries.pop()
        if self._met == (mine, True):
            # What stands behind the last part belongs to nobody.
            self._to_a_boundary()

    def _head(self) -> Message:
        raw = b""
        self._met = None
        while True:
            line = self._lines.next()
            if not line or self._is_boundary(line):
                break
            if not line.strip(b"\r\n"):
                break
            raw += line
            if len(raw) > LONGEST_HEAD:
                raise StorageError(
                    "a header of the mail has no end", clause=CLAUSE, limit=LONGEST_HEAD
                )
        if not line:
            self._met = (0, True)
        self._heads += len(raw)
        if self._heads > MOST_HEADS:
            raise StorageError(
                "the mail has more header than a mail needs", clause=CLAUSE, limit=MOST_HEADS
            )
        if raw.startswith((b"From ", b">From ")):
            raw = raw.partition(b"\n")[2]
        head = BytesHeaderParser().parsebytes(raw)
        if any(
            len(str(each)) > LONGEST_FIELD
            for name in _WITH_PARAMETERS
            for each in head.get_all(name, ())
        ):
            raise StorageError(
                "a header field of the mail is longer than one needs to be",
                clause=CLAUSE,
                limit=LONGEST_FIELD,
            )
        return head

    def _to_a_boundary(self) -> int:
        """Where the body ends: the line end before a boundary belongs to that (RFC 2046 5.1.1)."""
        before = 0
        self._met = None
        while True:
            position = self._lines.position
            line = self._lines.next()
            if not line:
                self._met = (0, True)
                return position
            if self._is_boundary(line):
                return position - before
            before = 2 if line.endswith(b"\r\n") else 1 if line.endswith(b"\n") else 0

    def _is_boundary(self, line: bytes) -> bool:
        if not line.startswith(b"--"):
            return False
        text = line.rstrip(b" \t\r\n")
        for depth in range(len(self._boundaries), 0, -1):
            boundary = self._boundaries[depth - 1]
            if text in (boundary, boundary + b"--"):
                self._met = (depth, text != boundary)
                return True
        return False
