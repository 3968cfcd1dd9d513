"""The configuration as TOML again, for `gantry config show`: what holds, defaults included.

A configuration holds no secrets, only where they lie; what a driver's settings call by the name of
a secret is not shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from agent.configuration.configuration import Configuration
from agent.configuration.key import Key, keys_of
from agent.configuration.kinds import Settings, Table, Tables
from agent.configuration.toml_text import key_text, value_text

HIDDEN = "(hidden)"
_SECRET_NAME = re.compile(r"pass|secret|token|pin\b|credential|private", re.IGNORECASE)


def render(configuration: Configuration, *, defaults: bool = True) -> str:
    """The TOML text; without `defaults` only what differs from them.

    It can be loaded again, and means the same.
    """
    return "\n".join(_section(configuration, "", defaults)).strip("\n") + "\n"


def _section(section: Any, path: str, defaults: bool) -> Iterator[str]:
    tables: list[tuple[Key, Any]] = []
    for key in keys_of(type(section)).values():
        value = getattr(section, key.field)
        if isinstance(key.kind, (Table, Tables)):
            tables.append((key, value))
        elif value is not None and value != {} and (defaults or value != key.default):
            # An empty secret, or a test that is not made, has no form in TOML.
            written = key.kind.write(value)
            if isinstance(key.kind, Settings):
                written = _without_secrets(written)
            if written != {}:
                yield f"{key_text(key.name)} = {value_text(written)}"
    for key, value in tables:
        inner = f"{path}.{key_text(key.name)}" if path else key_text(key.name)
        if isinstance(key.kind, Table):
            if value is not None and (defaults or value != key.default):
                yield from _table(value, f"[{inner}]", inner, defaults)
        else:
            for element in value:
                yield from _table(element, f"[[{inner}]]", inner, defaults)


def _table(section: Any, header: str, path: str, defaults: bool) -> Iterator[str]:
    yield ""
    yield header
    yield from _section(section, path, defaults)


def _without_secrets(value: object) -> object:
    if isinstance(value, Mapping):
        return {
            name: HIDDEN
            if _SECRET_NAME.search(str(name)) and not isinstance(each, Mapping) and each != ""
            else _without_secrets(each)
            for name, each in value.items()
        }
    return value
