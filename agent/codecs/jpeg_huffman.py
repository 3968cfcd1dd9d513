"""Huffman tables of JPEG (ITU-T T.81 annexes C and K): checked, made for a picture, and the typical
ones of K.3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.errors import LocalError

LONGEST_CODE = 16
_CLAUSE = "ITU-T T.81 B.2.4.2"


@dataclass(frozen=True, slots=True)
class HuffmanTable:
    """A table as a DHT segment gives it (T.81 B.2.4.2).

    `counts` are the numbers of codes of 1 to 16 bits (BITS), `values` the symbols in the order of
    their codes (HUFFVAL). Raises LocalError when the codes do not fit their lengths, or when one of
    them is all ones, which C.2 reserves. A table without any code is allowed, and decodes nothing.
    """

    counts: bytes
    values: bytes

    def __post_init__(self) -> None:
        if len(self.counts) != LONGEST_CODE or sum(self.counts) != len(self.values):
            raise LocalError(
                f"A Huffman table has {len(self.values)} values for {sum(self.counts)} codes.",
                clause=_CLAUSE,
            )
        if len(self.values) > 256:
            raise LocalError("A Huffman table has more than 256 codes.", clause=_CLAUSE)
        code = 0
        for length, count in enumerate(self.counts, 1):
            code = code * 2 + count
            # `code` is now the first one that is free: after all others, at most all ones.
            if count and code >= 1 << length:
                raise LocalError(
                    f"A Huffman table has more codes of {length} bits than there are.",
                    clause="ITU-T T.81 C.2",
                    value=count,
                )

    @property
    def specification(self) -> bytes:
        """Counts and values, as they stand in a DHT segment and go to the kernels."""
        return self.counts + self.values


def optimal(frequencies: Sequence[int]) -> HuffmanTable:
    """The table for symbols that occur so often (T.81 K.2), with codes of at most 16 bits.

    `frequencies` has at most 256 numbers; symbols that never occur get no code.
    """
    if len(frequencies) > 256 or any(each < 0 for each in frequencies):
        raise LocalError("Frequencies of at most 256 symbols are wanted.", clause="ITU-T T.81 K.2")
    # One symbol more takes the code of all ones.
    sizes = _code_sizes([*frequencies, 1])
    counts = _limited_counts(sizes)
    order = sorted(
        (symbol for symbol in range(len(frequencies)) if sizes[symbol]),
        key=lambda symbol: (sizes[symbol], symbol),
    )
    return HuffmanTable(bytes(counts), bytes(order))


def _code_sizes(frequencies: list[int]) -> list[int]:
    """T.81 Figure K.1: how long each symbol's code would be without a limit."""
    sizes = [0] * len(frequencies)
    trees = [(count, -symbol, [symbol]) for symbol, count in enumerate(frequencies) if count]
    while len(trees) > 1:
        # The two least; of equal ones that with the greatest symbol, so that the reserved
        # one is among the longest.
        trees.sort(reverse=True)
        (least, first, symbols), (next_least, second, others) = trees.pop(), trees.pop()
        for symbol in symbols + others:
            sizes[symbol] += 1
        trees.append((least + next_least, min(first, second), symbols + others))
    return sizes


def _limited_counts(sizes: list[int]) -> list[int]:
    """T.81 Figure K.3: codes by length, none above 16 bits, and the reserved one taken out."""
    counts = [0] * (max(max(sizes), LONGEST_CODE) + 1)
    for size in sizes:
        counts[size] += size > 0
    for length in range(len(counts) - 1, LONGEST_CODE, -1):
        while counts[length]:
            shorter = length - 2
            while not counts[shorter]:
                shorter -= 1
            counts[length] -= 2
            counts[length - 1] += 1
            counts[shorter + 1] += 2
            counts[shorter] -= 1
    longest = max((length for length, count in enumerate(counts) if count), default=0)
    if longest:
        counts[longest] -= 1
    return counts[1 : LONGEST_CODE + 1]


LUMINANCE_DC = HuffmanTable(
    bytes((0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0)), bytes(range(12))
)
"""T.81 Table K.3."""

CHROMINANCE_DC = HuffmanTable(
    bytes((0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0)), bytes(range(12))
)
"""T.81 Table K.4."""

LUMINANCE_AC = HuffmanTable(
    bytes((0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125)),
    bytes.fromhex(
        "01 02 03 00 04 11 05 12 21 31 41 06 13 51 61 07 22 71 14 32 81 91 a1 08 23 42 b1 c1"
        "15 52 d1 f0 24 33 62 72 82 09 0a 16 17 18 19 1a 25 26 27 28 29 2a 34 35 36 37 38 39"
        "3a 43 44 45 46 47 48 49 4a 53 54 55 56 57 58 59 5a 63 64 65 66 67 68 69 6a 73 74 75"
        "76 77 78 79 7a 83 84 85 86 87 88 89 8a 92 93 94 95 96 97 98 99 9a a2 a3 a4 a5 a6 a7"
        "a8 a9 aa b2 b3 b4 b5 b6 b7 b8 b9 ba c2 c3 c4 c5 c6 c7 c8 c9 ca d2 d3 d4 d5 d6 d7 d8"
        "d9 da e1 e2 e3 e4 e5 e6 e7 e8 e9 ea f1 f2 f3 f4 f5 f6 f7 f8 f9 fa"
    ),
)
"""T.81 Table K.5."""

CHROMINANCE_AC = HuffmanTable(
    bytes((0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119)),
    bytes.fromhex(
        "00 01 02 03 11 04 05 21 31 06 12 41 51 07 61 71 13 22 32 81 08 14 42 91 a1 b1 c1 09"
        "23 33 52 f0 15 62 72 d1 0a 16 24 34 e1 25 f1 17 18 19 1a 26 27 28 29 2a 35 36 37 38"
        "39 3a 43 44 45 46 47 48 49 4a 53 54 55 56 57 58 59 5a 63 64 65 66 67 68 69 6a 73 74"
        "75 76 77 78 79 7a 82 83 84 85 86 87 88 89 8a 92 93 94 95 96 97 98 99 9a a2 a3 a4 a5"
        "a6 a7 a8 a9 aa b2 b3 b4 b5 b6 b7 b8 b9 ba c2 c3 c4 c5 c6 c7 c8 c9 ca d2 d3 d4 d5 d6"
        "d7 d8 d9 da e2 e3 e4 e5 e6 e7 e8 e9 ea f2 f3 f4 f5 f6 f7 f8 f9 fa"
    ),
)
"""T.81 Table K.6."""
