"""ASN.1 as the Cryptographic Message Syntax needs it (X.690): DER is written, BER is read.

Both are streams. The reader takes pieces as they come, follows definite and indefinite lengths and
strings that are cut into parts, and keeps no more than one element of a length that its caller
allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agent.errors import StorageError

INTEGER = 0x02
OCTET_STRING = 0x04
NULL = 0x05
OBJECT_IDENTIFIER = 0x06
UTC_TIME = 0x17
SEQUENCE = 0x30
SET = 0x31
_CONSTRUCTED = 0x20
_INDEFINITE = 0x80
_END_OF_CONTENTS = b"\0\0"
_MOST_OCTETS_OF_A_LENGTH = 8
_DEEPEST = 24


def context(number: int, *, constructed: bool = True) -> int:
    """The identifier octet of a context-specific tag, [number]."""
    return 0x80 | number | (_CONSTRUCTED if constructed else 0)


def header(tag: int, length: int) -> bytes:
    """Identifier and length octets of an element, in DER."""
    if length < 0x80:
        return bytes((tag, length))
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets


def element(tag: int, *parts: bytes) -> bytes:
    """An element with these contents."""
    contents = b"".join(parts)
    return header(tag, len(contents)) + contents


def integer(value: int) -> bytes:
    """An INTEGER that is not negative."""
    return element(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def object_identifier(text: str) -> bytes:
    """An OBJECT IDENTIFIER from its numbers with points between them."""
    first, second, *rest = (int(each) for each in text.split("."))
    octets = bytearray()
    for number in (first * 40 + second, *rest):
        septets = [number & 0x7F]
        while number := number >> 7:
            septets.append(0x80 | number & 0x7F)
        octets += bytes(reversed(septets))
    return element(OBJECT_IDENTIFIER, bytes(octets))


def algorithm(identifier: str, *parameters: bytes) -> bytes:
    """An AlgorithmIdentifier (RFC 5280 4.1.1.2)."""
    return element(SEQUENCE, object_identifier(identifier), *parameters)


def set_of(tag: int, members: Iterable[bytes]) -> bytes:
    """A SET OF in the order that DER wants (X.690 11.6)."""
    return element(tag, *sorted(members))


class Reader:
    """Reads elements one after the other from pieces of bytes.

    `what` is the subject of what errors say. Memory: a piece, and what `whole` was allowed. All
    methods raise StorageError where the bytes are not what is asked for, or end too early.
    """

    def __init__(self, pieces: Iterable[bytes], what: str) -> None:
        self._pieces = iter(pieces)
        self._what = what
        self._piece = b""
        self._start = 0
        self._position = 0
        # Of each element that is entered: where it must end at the latest, and whether it ends
        # there (definite length) or with two zero octets.
        self._open: list[tuple[int | None, bool]] = []

    def next_tag(self) -> int | None:
        """The tag of the next element; None at the end of the one that was entered last."""
        limit, is_definite = self._open[-1] if self._open else (None, False)
        if is_definite and self._position == limit:
            return None
        if not self._open and not self._available(1):
            return None
        if limit is not None and not is_definite and self._position + 2 > limit:
            raise self.fault("has an element that does not end where it must")
        self._need(2)
        is_indefinite = bool(self._open) and not is_definite
        if is_indefinite and self._piece.startswith(_END_OF_CONTENTS, self._start):
            return None
        return self._piece[self._start]

    def enter(self, tag: int) -> None:
        """Go into the element that must be next and have this tag; `leave` goes out of it."""
        length = self._header(tag)
        if len(self._open) >= _DEEPEST:
            raise self.fault(f"has elements nested deeper than {_DEEPEST}")
        limit = self._open[-1][0] if self._open else None
        if length is not None:
            limit = self._position + length
        self._open.append((limit, length is not None))

    def leave(self) -> None:
        """Go out of the element that was entered last; all of it must have been read."""
        if self.next_tag() is not None:
            raise self.fault("has more elements than there may be")
        _, is_definite = self._open.pop()
        if not is_definite:
            self._taken(2)

    def skip_to_end(self, longest: int) -> None:
        """Pass over what is left in the element that was entered last."""
        while self.next_tag() is not None:
            self.whole(longest)

    def rest(self) -> Iterator[bytes]:
        """All that is left, piece by piece, whatever it is."""
        while self._available(1):
            found = self._piece[self._start :]
            self._taken(len(found))
            yield found

    def octets(self, tag: int = OCTET_STRING) -> Iterator[bytes]:
        """The contents of an OCTET STRING, primitive or cut into parts, piece by piece.

        All pieces must be taken before anything else is read.
        """
        if self.next_tag() == tag | _CONSTRUCTED:
            self.enter(tag | _CONSTRUCTED)
            while self.next_tag() is not None:
                yield from self.octets()
            self.leave()
            return
        length = self._header(tag) or 0
        while length:
            self._need(1)
            stop = min(len(self._piece), self._start + length)
            found = self._piece[self._start : stop]
            self._start = stop
            self._position += len(found)
            length -= len(found)
            yield found

    def octet_string(self, longest: int, tag: int = OCTET_STRING) -> bytes:
        """The contents of a short OCTET STRING."""
        found = bytearray()
        for piece in self.octets(tag):
            found += piece
            if len(found) > longest:
                raise self.fault(f"has a string longer than {longest} bytes")
        return bytes(found)

    def whole(self, longest: int) -> bytes:
        """The next element as it stands, at most `longest` bytes; one of indefinite length gets a
        definite one."""
        tag = self.next_tag()
        if tag is None:
            raise self.fault("lacks an element")
        length = self._header(tag)
        if length is not None:
            if length > longest:
                raise self.fault(f"has an element of {length} bytes, more than {longest}")
            self._need(length)
            return header(tag, length) + self._taken(length)
        if len(self._open) >= _DEEPEST:
            raise self.fault(f"has elements nested deeper than {_DEEPEST}")
        self._open.append((self._open[-1][0] if self._open else None, False))
        contents = bytearray()
        while self.next_tag() is not None:
            contents += self.whole(longest - len(contents))
        self.leave()
        return element(tag, bytes(contents))

    def integer(self, longest: int = 64) -> int:
        """An INTEGER."""
        return int.from_bytes(self._primitive(INTEGER, longest), "big", signed=True)

    def object_identifier(self) -> str:
        """An OBJECT IDENTIFIER, as numbers with points between them."""
        numbers = []
        number = 0
        octets = self._primitive(OBJECT_IDENTIFIER, 64)
        for octet in octets:
            number = number << 7 | octet & 0x7F
            if octet < 0x80:
                numbers.append(number)
                number = 0
        if not numbers or octets[-1] >= 0x80:
            raise self.fault("has an object identifier that is none")
        first = min(numbers[0] // 40, 2)
        return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))

    def algorithm(self, longest: int = 1024) -> tuple[str, Reader]:
        """An AlgorithmIdentifier: the algorithm, and a reader of its parameters."""
        inside = self.inside(SEQUENCE, longest)
        return inside.object_identifier(), inside

    def inside(self, tag: int, longest: int) -> Reader:
        """A reader of the contents of a short element."""
        if self.next_tag() != tag:
            raise self._unexpected(tag)
        reader = Reader([self.whole(longest)], self._what)
        reader.enter(tag)
        return reader

    def fault(self, reason: str) -> StorageError:
        """The error that says that something is wrong here."""
        return StorageError(f"{self._what} {reason}", clause="X.690", value=self._position)

    def _primitive(self, tag: int, longest: int) -> bytes:
        length = self._header(tag) or 0
        if not 0 < length <= longest:
            raise self.fault(f"has a value of {length} bytes where 1 to {longest} may be")
        return self._taken(length)

    def _header(self, tag: int) -> int | None:
        """Read identifier and length; None stands for an indefinite length."""
        if self.next_tag() != tag:
            raise self._unexpected(tag)
        self._need(2)
        if tag & 0x1F == 0x1F:
            raise self.fault("has a tag that does not belong there")
        first = self._piece[self._start + 1]
        length: int | None = first
        size = 2
        if first == _INDEFINITE:
            if not tag & _CONSTRUCTED:
                raise self.fault("has a value of indefinite length that has no parts")
            length = None
        elif first > _INDEFINITE:
            count = first - _INDEFINITE
            if count > _MOST_OCTETS_OF_A_LENGTH:
                raise self.fault(f"has a length of {count} octets")
            size += count
            self._need(size)
            digits = self._piece[self._start + 2 : self._start + size]
            length = int.from_bytes(digits, "big")
        self._taken(size)
        limit = self._open[-1][0] if self._open else None
        if limit is not None and self._position + (length or 0) > limit:
            raise self.fault("has an element that is longer than what it is in")
        return length

    def _unexpected(self, tag: int) -> StorageError:
        found = self.next_tag()
        seen = "its end" if found is None else f"the tag {found:02X}H"
        return self.fault(f"has {seen} where the tag {tag:02X}H must be")

    def _taken(self, count: int) -> bytes:
        self._need(count)
        found = self._piece[self._start : self._start + count]
        self._start += count
        self._position += count
        return found

    def _need(self, count: int) -> None:
        if not self._available(count):
            raise self.fault("ends too early: it seems cut off")

    def _available(self, count: int) -> bool:
        """Whether so many bytes come; they are in one piece then."""
        missing = count - (len(self._piece) - self._start)
        if missing <= 0:
            return True
        parts = [self._piece[self._start :]]
        while missing > 0:
            more = next(self._pieces, None)
            if more is None:
                self._pieces = iter(())
                break
            parts.append(more)
            missing -= len(more)
        self._piece, self._start = b"".join(parts), 0
        return missing <= 0
