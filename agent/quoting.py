"""Texts of others inside sentences of ours: who must not show them can tell which they are.

What a peer says, what a data set has, what somebody called a file or a stick: each may be a
patient's name. A sentence of ours that repeats such a text marks it, once, where it is put in:

    raise PeerError(f"{quoted(text)} is no date")
    why = Sentence(f"{quoted(path)} is gone")

The marks are noncharacters of Unicode (U+FDD0 to U+FDD2), which are for the inside of a program
and never in a text; whatever carries them, an error across processes as well, takes them along.
They are seen by nobody: an error and a `Sentence` read as if nothing were marked. Only a log asks
for the text without what is marked (`in_log`, see `observation`).

`tests/test_texts_of_others.py` reads the source for gaps that are not marked.
"""

from __future__ import annotations

import re
from typing import Any

_OPEN, _MIDDLE, _CLOSE = "\ufdd0", "\ufdd1", "\ufdd2"
_NONE = {ord(each): None for each in (_OPEN, _MIDDLE, _CLOSE)}
_WITHIN = f"[^{_OPEN}{_MIDDLE}{_CLOSE}]*"
# A text that was cut may lack the end of its last mark.
_MARKED = re.compile(rf"{_OPEN}({_WITHIN})(?:{_MIDDLE}({_WITHIN})(?:{_CLOSE}|\Z)|\Z)")

LEFT_OUT = "(...)"
"""Stands for a text of others that is not shown."""


class Quoted:
    """A text of others, to be put into an f-string of ours or into the field of an event."""

    __slots__ = ("marked",)

    def __init__(self, marked: str) -> None:
        self.marked = marked

    def __format__(self, _: str) -> str:
        return self.marked

    def __str__(self) -> str:
        return _in_full(self.marked)


class Sentence(str):
    """A text of ours, with nothing of others but what is marked; it reads in full."""

    marked: str

    def __new__(cls, marked: str) -> Sentence:
        if isinstance(marked, Sentence):
            return marked
        made = super().__new__(cls, _in_full(marked))
        made.marked = marked
        return made

    @property
    def in_log(self) -> str:
        return without_quotes(self.marked)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Sentence, (self.marked,))


def quoted(value: object, stands_for: str = "") -> Quoted:
    """Mark what may be another's words; `stands_for` is what a log shows in their place.

    Of an error of ours, and of a `Sentence`, only what is marked in it is another's. Of an error
    of the system its words are shown, the name of the file is not; of any other its class is.
    """
    marked = getattr(value, "marked", None)
    if isinstance(marked, str):
        return Quoted(marked)
    if isinstance(value, OSError) and value.strerror is not None:
        return Quoted(_of_the_system(value))
    if isinstance(value, BaseException):
        stands_for = stands_for or type(value).__name__
    return Quoted(_mark(str(value), stands_for))


def without_quotes(marked: str) -> str:
    """What is left for a log."""
    return _MARKED.sub(lambda found: f"({found[1]})" if found[1] else LEFT_OUT, marked)


def _of_the_system(error: OSError) -> str:
    if error.filename is None:
        return str(error)
    return f"[Errno {error.errno}] {error.strerror}: {_mark(repr(error.filename), '')}"


def _mark(text: str, stands_for: str) -> str:
    clean = text.translate(_NONE)
    return f"{_OPEN}{stands_for.translate(_NONE)}{_MIDDLE}{clean}{_CLOSE}" if clean else ""


def _in_full(marked: str) -> str:
    return _MARKED.sub(lambda found: found[2] or "", marked)
