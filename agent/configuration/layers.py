"""The layers of a configuration and how they lie upon each other.

A profile, `gantry.toml`, the files of `gantry.toml.d` in the order of their names, and `--set`:
each is a tree of TOML values. A later layer wins key by key. Tables are joined; in a list of
tables with names, those of the same name are joined and new ones added; anything else is replaced.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.configuration.positions import Path as PositionPath
from agent.configuration.positions import lines_of
from agent.configuration.problems import Problem

Key = tuple[str, ...]
Tree = dict[str, Any]

LONGEST_FILE = 2**22


@dataclass(slots=True)
class Layer:
    """One layer: the tree, the name of its source, and the text, for finding lines."""

    source: str
    tree: Tree
    text: str = ""
    _lines: dict[PositionPath, int] | None = field(default=None)

    def line(self, path: PositionPath) -> int:
        """The line of a key, or of what holds it; 0 where the source has no lines."""
        if not self.text:
            return 0
        if self._lines is None:
            self._lines = lines_of(self.text)
        while path:
            if path in self._lines:
                return self._lines[path]
            path = path[:-1]
        return 0


def read_layer(path: Path, problems: list[Problem]) -> Layer | None:
    """Read one file; what is wrong with it as a whole is added to the problems."""
    source = str(path)
    try:
        with path.open("rb") as file:
            raw = file.read(LONGEST_FILE + 1)
    except OSError as error:
        problems.append(Problem(source, 0, "", f"cannot be read: {error.strerror}"))
        return None
    if len(raw) > LONGEST_FILE:
        problems.append(
            Problem(source, 0, "", f"is longer than {LONGEST_FILE} bytes and no configuration")
        )
        return None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problems.append(Problem(source, line, "", "is not UTF-8 text, as TOML must be"))
        return None
    try:
        return Layer(source, tomllib.loads(text), text)
    except tomllib.TOMLDecodeError as error:
        message, line = _place_of(str(error), text)
        problems.append(Problem(source, line, "", f"is not TOML: {message}"))
    except RecursionError:
        problems.append(Problem(source, 0, "", "is not TOML: nested too deeply"))
    return None


def _place_of(message: str, text: str) -> tuple[str, int]:
    """Take the line out of tomllib's "... (at line 3, column 5)"."""
    reason, _, place = message.rpartition(" (at ")
    if place.startswith("line "):
        return reason, int(place.removeprefix("line ").partition(",")[0])
    return reason or message, text.count("\n") + 1


@dataclass(slots=True)
class Merged:
    """All layers as one tree, with the layer and the place that each key came from."""

    tree: Tree = field(default_factory=dict)
    origins: dict[Key, tuple[Layer, PositionPath]] = field(default_factory=dict)

    def add(self, layer: Layer) -> None:
        """Lay one more layer on top."""
        self._join(self.tree, layer.tree, layer, (), ())

    def place_of(self, key: Key) -> tuple[str, int]:
        """The source and line of a key, or of the nearest that holds it."""
        while True:
            found = self.origins.get(key)
            if found is not None:
                layer, position = found
                return layer.source, layer.line(position)
            if not key:
                return "", 0
            key = key[:-1]

    def _join(
        self,
        below: Tree,
        above: Mapping[str, Any],
        layer: Layer,
        key: Key,
        position: PositionPath,
    ) -> None:
        for name, value in above.items():
            here, place = (*key, name), (*position, name)
            old = below.get(name)
            if isinstance(value, dict):
                # A table stands where it was first begun, a value where it was last given.
                self.origins.setdefault(here, (layer, place))
                table = old if isinstance(old, dict) else {}
                below[name] = table
                self._join(table, value, layer, here, place)
            elif is_list_of_named(value):
                self.origins.setdefault(here, (layer, place))
                kept: list[Tree] = old if old is not None and is_list_of_named(old) else []
                below[name] = kept
                self._join_lists(kept, value, layer, here, place)
            else:
                self.origins[here] = (layer, place)
                below[name] = value
                self._note_elements(value, layer, here, place)

    def _join_lists(
        self,
        below: list[Tree],
        above: list[Tree],
        layer: Layer,
        key: Key,
        position: PositionPath,
    ) -> None:
        by_name = {each["name"]: each for each in below}
        for index, table in enumerate(above):
            name = table["name"]
            here = (*key, name)
            target = by_name.get(name)
            if target is None:
                target = by_name[name] = {}
                below.append(target)
            self.origins.setdefault(here, (layer, (*position, index)))
            self._join(target, table, layer, here, (*position, index))

    def _note_elements(self, value: object, layer: Layer, key: Key, position: PositionPath) -> None:
        if not isinstance(value, list):
            return
        for index, element in enumerate(value):
            if isinstance(element, dict):
                name = element.get("name")
                here = (*key, name if isinstance(name, str) and name else str(index + 1))
                self.origins[here] = (layer, (*position, index))
                for inner in element:
                    self.origins[(*here, inner)] = (layer, (*position, index, inner))


def is_list_of_named(value: object) -> bool:
    """Whether it is a list of tables that all have names of their own, so that it can be joined."""
    if not isinstance(value, list) or not value:
        return False
    names = [each.get("name") if isinstance(each, dict) else None for each in value]
    return all(isinstance(each, str) and each for each in names) and len(set(names)) == len(names)
