"""Changed inputs, the same ones in each run: bytes turned, taken out, doubled, put in, spliced."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from tests.fuzz.structure import Mutate

# What lengths, tags, delimiters and counts look like at their edges.
_TELLING = (
    b"\x00",
    b"\x01",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\x00\x00",
    b"\xff\xff",
    b"\xff\xff\xff\xff",
    b"\xfe\xff\xff\xff",
    b"\x00\x00\x00\x80",
    b"\x7f\xff\xff\xff",
    b"\xfe\xff\x00\xe0\xff\xff\xff\xff",
    b"\xfe\xff\x0d\xe0\x00\x00\x00\x00",
    b"\xfe\xff\xdd\xe0\x00\x00\x00\x00",
    b"SQ\x00\x00\xff\xff\xff\xff",
    b"UN\x00\x00\xff\xff\xff\xff",
    b"\\",
    b"*",
    b"-",
    b"?",
    b"^",
    b"=",
    b"..\\",
    b'"',
    b"{",
    b"[",
)
_MOST_AT_ONCE = 6
_STRUCTURED = 0.7


def mutations(
    seeds: Sequence[bytes], seed: int, longest: int, mutate: Mutate | None = None
) -> Iterator[bytes]:
    """Changed seeds without end; `seed` decides which. With `mutate`, most are changed by that."""
    chance = random.Random(seed)
    while True:
        chosen = chance.choice(seeds)
        if mutate is not None and chance.random() < _STRUCTURED:
            yield mutate(chosen, chance)[:longest]
            continue
        data = bytearray(chosen)
        for _ in range(chance.randint(1, _MOST_AT_ONCE)):
            _change(data, chance, seeds)
        yield bytes(data[:longest])


def _change(data: bytearray, chance: random.Random, seeds: Sequence[bytes]) -> None:
    place = chance.randrange(len(data) + 1)
    length = chance.choice((1, 1, 2, 4, 8, chance.randrange(1, 65)))
    kind = chance.randrange(8)
    if kind == 0 and data:
        data[place % len(data)] ^= 1 << chance.randrange(8)
    elif kind == 1 and data:
        data[place % len(data)] = chance.randrange(256)
    elif kind == 2:
        telling = chance.choice(_TELLING)
        data[place : place + len(telling)] = telling
    elif kind == 3:
        data[place:place] = chance.choice(_TELLING) * chance.choice((1, 1, 3, 50))
    elif kind == 4:
        del data[place : place + length]
    elif kind == 5:
        data[place:place] = data[max(0, place - length) : place] * chance.choice((1, 1, 2, 20))
    elif kind == 6:
        other = chance.choice(seeds)
        begin = chance.randrange(len(other) + 1)
        data[place:] = other[begin:]
    else:
        del data[place:]
