"""`--set key=value`: one key of the configuration, given on the command line.

    node.state=/tmp/one
    entity.GANTRY.port=11113
    peer.PACS.addresses=["192.0.2.1:104"]

The key is dotted as in TOML; an element of a list of tables is named by its `name`. The value is a
TOML value; a text that is none, and does not begin like one, is taken as a text.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

from agent.configuration.key import keys_of
from agent.configuration.kind import Kind
from agent.configuration.kinds import Table, Tables

_PART = re.compile(r"""\s*([A-Za-z0-9_\-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')\s*""")
_BEGINS_A_VALUE = re.compile(r"""\s*(["'\[{]|[+-]?[0-9])""")


class AssignmentError(ValueError):
    """The words of a `--set` have not the form key=value."""


def parse_assignment(text: str) -> tuple[tuple[str, ...], Any]:
    """The parts of the key, and the value; raises `AssignmentError` with what is wrong."""
    parts: list[str] = []
    position = 0
    while True:
        match = _PART.match(text, position)
        if match is None:
            raise AssignmentError("not of the form key=value")
        parts.append(_plain(match[1]))
        position = match.end()
        if text.startswith(".", position):
            position += 1
            continue
        if text.startswith("=", position):
            return tuple(parts), parse_value(text[position + 1 :])
        raise AssignmentError("not of the form key=value")


def _plain(part: str) -> str:
    if part[0] not in "\"'":
        return part
    found = _toml(part)
    if not isinstance(found, str):
        raise AssignmentError("a quoted part of the key is not a text")
    return found


def parse_value(text: str) -> Any:
    """The TOML value, or the text itself where it is none and does not begin like one."""
    try:
        return _toml(text)
    except AssignmentError:
        plain = text.strip()
        if not plain or "\n" in plain or (_BEGINS_A_VALUE.match(text) and not _is_address(plain)):
            raise
        return plain


def _is_address(text: str) -> bool:
    """Addresses, networks and dates begin with a digit and are no TOML values."""
    return re.fullmatch(r"[0-9][0-9A-Za-z.:/%\-]*", text) is not None


def _toml(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        reason = str(error).split(" (at ")[0] or "nested too deeply"
        raise AssignmentError(f"the value is no TOML value: {reason}") from None
    if set(parsed) != {"value"} or "\n" in text.strip().replace("\r", "\n"):
        # A line break could smuggle in further keys.
        raise AssignmentError("the value is more than one TOML value")
    return parsed["value"]


def as_tree(parts: tuple[str, ...], value: Any, root: type) -> dict[str, Any]:
    """The tree that a file with only this key would give; `root` says which keys are lists."""
    kind: Kind | None = Table(root)
    return _nested(parts, value, kind)


def _nested(parts: tuple[str, ...], value: Any, kind: Kind | None) -> dict[str, Any]:
    name, *rest = parts
    declared = keys_of(kind.section).get(name) if isinstance(kind, (Table, Tables)) else None
    inner = declared.kind if declared is not None else None
    if not rest:
        return {name: value}
    if isinstance(inner, Tables) and inner.named:
        element, *further = rest
        table = _nested(tuple(further), value, inner) if further else value
        if not isinstance(table, dict):
            # A value where a table belongs: left for the reader, which says so.
            return {name: {element: table}}
        return {name: [{**table, "name": element}]}
    return {name: _nested(tuple(rest), value, inner)}
