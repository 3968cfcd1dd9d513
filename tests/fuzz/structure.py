"""Changes that keep to a structure: PDUs with their items, command sets with their elements.

What is changed at random is mostly refused at the first length that is wrong. Here a part is taken
out, doubled, moved or changed, and the lengths around it are made right again; now and then not.
"""

from __future__ import annotations

import random
from collections.abc import Callable

Mutate = Callable[[bytes, random.Random], bytes]

_ITEMS_AT = {0x01: 68, 0x02: 68, 0x20: 4, 0x21: 4, 0x50: 0}
"""Where items begin: in A-ASSOCIATE-RQ and -AC, presentation contexts, user information."""
_TELLING = (0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF, 0x100, 0x101, 0xFFFF, 0xFF00, 0x8001, 0xA700)
_MOST_ADDED = 1 << 14
"""Bytes that one change adds at most."""
_DEEPEST = 4
_LIES = 0.1
"""How often a length stays wrong."""


def change_pdus(data: bytes, chance: random.Random) -> bytes:
    """The input of the target `pdu`: two bytes that choose, then PDUs."""
    pdus = _split(data[2:], 2, 4)
    _rearrange(pdus, chance, lambda head, body: _changed_pdu(head, body, chance))
    return data[:2] + b"".join(_joined(head, body, 4, "big", chance) for head, body in pdus)


def change_command(data: bytes, chance: random.Random) -> bytes:
    """The input of the target `command`: one byte that chooses, then a command set or fragments."""
    if not data or data[0] & 1:
        return data
    elements = _split(data[1:], 4, 4, "little")
    _rearrange(elements, chance, lambda head, body: (head, _changed_value(body, chance)))
    if elements and elements[0][0] == bytes(4) and chance.random() > _LIES:
        length = sum(8 + len(body) for _, body in elements[1:])
        elements[0] = bytes(4), length.to_bytes(4, "little")
    made = (_joined(head, body, 4, "little", chance) for head, body in elements)
    return data[:1] + b"".join(made)


Parts = list[tuple[bytes, bytes]]


def _split(data: bytes, head: int, length: int, order: str = "big") -> Parts:
    """Parts of a head, a length and as many bytes; what does not fit is the last one's."""
    found: Parts = []
    position = 0
    while position + head + length <= len(data):
        at = position + head
        size = int.from_bytes(data[at : at + length], "big" if order == "big" else "little")
        found.append((data[position:at], data[at + length : at + length + size]))
        position = at + length + size
    return found


def _joined(head: bytes, body: bytes, length: int, order: str, chance: random.Random) -> bytes:
    size = len(body)
    if chance.random() < _LIES / 4:
        size = chance.choice((0, 1, size + 1, max(0, size - 1), (1 << 8 * length) - 1))
    size %= 1 << 8 * length
    return head + size.to_bytes(length, "big" if order == "big" else "little") + body


def _rearrange(
    parts: Parts, chance: random.Random, change: Callable[[bytes, bytes], tuple[bytes, bytes]]
) -> None:
    """One to three changes of a list of parts, or of what is in one."""
    for _ in range(chance.randint(1, 3)):
        if not parts:
            return
        place = chance.randrange(len(parts))
        kind = chance.randrange(8)
        if kind == 0 and len(parts) > 1:
            del parts[place]
        elif kind == 1:
            room = _MOST_ADDED // (len(parts[place][1]) + 1)
            parts[place:place] = [parts[place]] * min(chance.choice((1, 1, 2, 20)), room)
        elif kind == 2:
            parts.insert(chance.randrange(len(parts) + 1), parts.pop(place))
        else:
            parts[place] = change(*parts[place])


def _changed_pdu(
    head: bytes, body: bytes, chance: random.Random, depth: int = 0
) -> tuple[bytes, bytes]:
    """A PDU, or an item of one at some `depth`."""
    begin = _ITEMS_AT.get(head[0]) if head and depth < _DEEPEST else None
    if head[:1] == b"\x04" and chance.random() > 0.2:
        return head, _changed_values(body, chance)
    if begin is None or chance.random() < 0.1:
        if chance.random() < 0.1:
            head = bytes((chance.choice((*range(9), *_ITEMS_AT, *range(0x50, 0x5B))),)) + head[1:]
        return head, _changed_value(body, chance)
    items = _split(body[begin:], 2, 2)
    _rearrange(items, chance, lambda head, body: _changed_pdu(head, body, chance, depth + 1))
    fixed = body[:begin]
    if chance.random() < 0.2:
        fixed = _changed_value(fixed, chance)
    return head, fixed + b"".join(_joined(*each, 2, "big", chance) for each in items)


def _changed_values(body: bytes, chance: random.Random) -> bytes:
    """The PDVs of a P-DATA-TF: each with a length, a context, a control header and its bytes."""
    values = _split(body, 0, 4)
    _rearrange(values, chance, lambda head, value: (head, _changed_value(value, chance)))
    return b"".join(_joined(*each, 4, "big", chance) for each in values)


def _changed_value(value: bytes, chance: random.Random) -> bytes:
    data = bytearray(value)
    place = chance.randrange(len(data) + 1)
    kind = chance.randrange(5)
    if kind == 0 and data:
        data[place % len(data)] = chance.choice(_TELLING) & 0xFF
    elif kind == 1:
        size = chance.choice((1, 2, 4))
        number = chance.choice(_TELLING) % (1 << 8 * size)
        data[place : place + size] = number.to_bytes(size, chance.choice(("big", "little")))
    elif kind == 2:
        del data[place : place + chance.choice((1, 2, 16))]
    elif kind == 3:
        data[place:place] = data[max(0, place - 16) : place] * chance.choice((1, 2, 64))
    else:
        data[place:place] = chance.choice((b"\0", b"1.2", b".", b"\\", b" ", b"1" * 65))
    return bytes(data)
