"""The sentences that the program can say, read from its own source.

What a log or an error says may have values in it that lead to a patient: names, numbers, paths,
words of a peer. The words around them are ours. So a text is let through only as far as it is one
of our own sentences; what stands in its gaps is for the caller to judge. A text that is none of
ours has nothing that could be let through.
"""

from __future__ import annotations

import ast
import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TypeAlias

Pieces: TypeAlias = tuple[str, ...]
"""The literal parts of a sentence; between two of them is a gap."""

Judge: TypeAlias = Callable[[str], str]
"""What becomes of the text in a gap."""

_PACKAGES = ("agent", "hal")
_FEWEST_LETTERS = 3
"""In the literal parts: with fewer almost any text would be a sentence of ours."""

_LONGEST = 4096
_HEAD = 3
_ANYWHERE = ("", "")
_CLAUSE = re.compile(r" \((?:PS3\.[0-9]{1,2}|RFC [0-9]{3,5})(?: [A-Z]?[0-9.\-]{0,16})?\)")


class Sentences:
    """Sentences and single words of a program."""

    def __init__(self, templates: Iterable[Pieces]) -> None:
        made = set(templates)
        self.words = frozenset(each[0] for each in made if len(each) == 1)
        """Texts without a gap, single words among them."""
        able = (each for each in made if len(each) > 1 and _letters(each) >= _FEWEST_LETTERS)
        self._with_gaps: dict[tuple[str, str], list[tuple[int, Pieces]]] = {}
        # The one with the most words of ours says the most.
        ranked = sorted(able, key=lambda each: (-_letters(each), each))
        for rank, pieces in enumerate(ranked):
            self._with_gaps.setdefault(_place(pieces), []).append((rank, pieces))

    def of(self, text: str, judge: Judge) -> str | None:
        """The text with its gaps judged; None where it is no sentence of ours."""
        if len(text) > _LONGEST:
            return None
        clause = _CLAUSE.search(text)
        if clause is not None and clause.end() == len(text):
            said = self.of(text[: clause.start()], judge)
            return None if said is None else said + clause[0]
        if text in self.words and " " in text:
            return text
        places = (("begins", text[:_HEAD]), ("ends", text[-_HEAD:]), _ANYWHERE)
        rows = (self._with_gaps.get(each, []) for each in places)
        for _, pieces in sorted(row for each in rows for row in each):
            gaps = _gaps(pieces, text)
            if gaps is not None:
                return _joined(pieces, [judge(each) for each in gaps])
        return None


def _place(pieces: Pieces) -> tuple[str, str]:
    """Where it is looked for: by how it begins, or else by how it ends."""
    if len(pieces[0]) >= _HEAD:
        return "begins", pieces[0][:_HEAD]
    return ("ends", pieces[-1][-_HEAD:]) if len(pieces[-1]) >= _HEAD else _ANYWHERE


def _letters(pieces: Pieces) -> int:
    return sum(each.isalpha() for piece in pieces for each in piece)


def _gaps(pieces: Pieces, text: str) -> list[str] | None:
    """What stands between the pieces, the leftmost way that fits; None where none does."""
    first, *inner, last = pieces
    if not text.startswith(first) or not text.endswith(last):
        return None
    place, end = len(first), len(text) - len(last)
    found = []
    for piece in inner:
        at = text.find(piece, place, end)
        if at < 0:
            return None
        found.append(text[place:at])
        place = at + len(piece)
    if place > end:
        return None
    return [*found, text[place:end]]


def _joined(pieces: Pieces, gaps: list[str]) -> str:
    rest = (gap + piece for gap, piece in zip(gaps, pieces[1:], strict=True))
    return pieces[0] + "".join(rest)


@cache
def own_sentences() -> Sentences:
    """Those of the program that runs. Without its source, only those of the operating system."""
    return Sentences([*_of_the_source(), *_of_the_system()])


def _of_the_source() -> Iterator[Pieces]:
    import agent

    root = Path(next(iter(agent.__path__))).parent
    for package in _PACKAGES:
        for path in (root / package).rglob("*.py"):
            # Demonstrations speak of made-up patients.
            if not path.name.startswith("demo"):
                yield from sentences_in(path.read_text("utf-8"))


def _of_the_system() -> Iterator[Pieces]:
    for number in errno.errorcode:
        words = os.strerror(number)
        yield (words,)
        yield (f"[Errno {number}] {words}",)
        yield (f"[Errno {number}] {words}: ", "")


def sentences_in(source: str) -> Iterator[Pieces]:
    """Texts of Python source, docstrings left out."""
    skipped: set[int] = set()
    # A parent comes before what is in it.
    for node in ast.walk(ast.parse(source)):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Expr):
            skipped.add(id(node.value))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
            yield (node.value,)
        elif isinstance(node, ast.JoinedStr):
            # The literal parts of a formatted text are no texts of their own.
            skipped.update(id(each) for each in node.values)
            yield _pieces(node)


def _pieces(node: ast.JoinedStr) -> Pieces:
    pieces = [""]
    for part in node.values:
        if isinstance(part, ast.Constant):
            pieces[-1] += str(part.value)
        elif pieces[-1] or len(pieces) == 1:
            pieces.append("")
    return tuple(pieces)
