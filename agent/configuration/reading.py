"""From the joined tree to sections: every value checked by the declaration of its key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from agent.configuration.key import REQUIRED, keys_of
from agent.configuration.kind import INVALID
from agent.configuration.layers import Merged
from agent.configuration.names import Names
from agent.configuration.problems import Problem
from agent.configuration.vocabulary import Vocabulary

T = TypeVar("T")


class Reading:
    """One reading of a configuration: the problems found so far and how to find places."""

    def __init__(self, merged: Merged, vocabulary: Vocabulary) -> None:
        self.merged = merged
        self.vocabulary = vocabulary
        self.problems: list[Problem] = []

    def root(self, kind: type[T]) -> T:
        """Read the whole tree; what cannot be read has its default, and a problem is noted."""
        made: T = Here(self, ()).section(kind, self.merged.tree)
        return made

    def report(
        self, key: tuple[str, ...], message: str, *, allowed: str = "", suggestion: str = ""
    ) -> None:
        source, line = self.merged.place_of(key)
        self.problems.append(Problem(source, line, dotted(key), message, allowed, suggestion))


@dataclass(frozen=True, slots=True)
class Here:
    """A place in the tree: what kinds of value talk to (see `kind.Place`)."""

    reading: Reading
    key: tuple[str, ...]

    @property
    def vocabulary(self) -> Vocabulary:
        return self.reading.vocabulary

    def report(self, message: str, *, allowed: str = "", suggestion: str = "") -> Any:
        self.reading.report(self.key, message, allowed=allowed, suggestion=suggestion)
        return INVALID

    def suggest(self, word: str, words: Iterable[str]) -> str:
        return nearest(word, words)

    def within(self, name: str) -> Here:
        return Here(self.reading, (*self.key, name))

    def section(self, kind: type, tree: Mapping[str, object]) -> Any:
        keys = keys_of(kind)
        values: dict[str, Any] = {}
        sound = True
        for name, value in tree.items():
            declared = keys.get(name)
            if declared is None:
                self.within(name).report("there is no such key", suggestion=nearest(name, keys))
                continue
            read = declared.kind.read(value, self.within(name))
            if read is not INVALID:
                values[declared.field] = read
            elif declared.required:
                sound = False
        for name, declared in keys.items():
            if name in tree:
                continue
            if declared.default is REQUIRED:
                self.within(name).report("is missing", allowed=declared.kind.allowed)
                sound = False
            elif isinstance(declared.default, Names) and declared.default.written:
                # A default that is a name of the vocabulary: found as if it had been written.
                read = declared.kind.read(list(declared.default.written), self.within(name))
                if read is not INVALID:
                    values[declared.field] = read
        return kind(**values) if sound else INVALID


def nearest(word: str, words: Iterable[str]) -> str:
    """The one of the words that is most like this one, if any is at all."""
    import difflib  # Only when something is wrong.

    by_lower: dict[str, str] = {}
    for each in words:
        by_lower.setdefault(each.lower(), each)
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else ""


def dotted(key: Iterable[str]) -> str:
    """A key as `--set` takes it."""
    return ".".join(
        part
        if part and all(each.isascii() and (each.isalnum() or each in "_-") for each in part)
        else '"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"'
        for part in key
    )
