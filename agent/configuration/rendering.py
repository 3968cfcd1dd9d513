"""The configuration as TOML again, for `gantry config show`: what holds, defaults included.

A configuration holds no secrets, only where they lie; what a driver's settings call by the name of
a secret is not shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from agent.configuration.configuration import Configuration
from agent.configuration.key import Key, keys_of
from agent.configuration.kinds import Settings, Table, Tables
from agent.configuration.toml_text import key_text, value_text

HIDDEN = "(hidden)"
_SECRET_NAME = re.compile(r"pass|secret|token|pin\b|credential|private", re.IGNORECASE)


Written = Callable[[str, Key, Any], object]
"""What is written for the value of a key in a table, which is given by its path."""


def as_it_is(_path: str, key: Key, value: Any) -> object:
    """As it can be loaded again; secrets among a driver's settings are not shown."""
    written = key.kind.write(value)
    return _without_secrets(written) if isinstance(key.kind, Settings) else written


def render(
    configuration: Configuration, *, defaults: bool = True, written: Written = as_it_is
) -> str:
    """The TOML text; without `defaults` only what differs from them.

    It can be loaded again, and means the same, where values are written as they are.
    """
    return "\n".join(_section(configuration, "", defaults, written)).strip("\n") + "\n"


def _section(section: Any, path: str, defaults: bool, written: Written) -> Iterator[str]:
    tables: list[tuple[Key, Any]] = []
    for key in keys_of(type(section)).values():
        value = getattr(section, key.field)
        if isinstance(key.kind, (Table, Tables)):
            tables.append((key, value))
        elif value is not None and value != {} and (defaults or value != key.default):
            # An empty secret, or a test that is not made, has no form in TOML.
            text = written(path, key, value)
            if text != {}:
                yield f"{key_text(key.name)} = {value_text(text)}"
    for key, value in tables:
        inner = f"{path}.{key_text(key.name)}" if path else key_text(key.name)
        if isinstance(key.kind, Table):
            if value is not None and (defaults or value != key.default):
                yield from _table(value, f"[{inner}]", inner, defaults, written)
        else:
            for element in value:
                yield from _table(element, f"[[{inner}]]", inner, defaults, written)


def _table(section: Any, header: str, path: str, defaults: bool, written: Written) -> Iterator[str]:
    yield ""
    yield header
    yield from _section(section, path, defaults, written)


def _without_secrets(value: object) -> object:
    if isinstance(value, Mapping):
        return {
            name: HIDDEN
            if _SECRET_NAME.search(str(name)) and not isinstance(each, Mapping) and each != ""
            else _without_secrets(each)
            for name, each in value.items()
        }
    return value
