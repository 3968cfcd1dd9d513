"""The configuration as a support bundle shows it: without secrets, persons and places.

A value is shown for the kind that its key was declared with: numbers, flags, words out of a list,
AE titles, addresses. A text that a person wrote is shown only if it is the name of something in
this configuration. What differs from the defaults is shown, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from agent.cli.bundle_redactor import REMOVED
from agent.configuration.addresses import address, bind_address, network
from agent.configuration.certificate import Fingerprint
from agent.configuration.configuration import Configuration
from agent.configuration.key import Key, keys_of
from agent.configuration.kind import Kind
from agent.configuration.kinds import (
    Amount,
    ApplicationEntityTitle,
    Choice,
    FailureStatus,
    FileMode,
    Flag,
    ListOf,
    Path,
    Settings,
    Table,
    Tables,
    Text,
    UniqueIdentifier,
)
from agent.configuration.names import NamesOf, Term
from agent.configuration.profiles import profile_names
from agent.configuration.rendering import render

_SAFE = (
    Amount,
    ApplicationEntityTitle,
    Choice,
    FailureStatus,
    FileMode,
    Fingerprint,
    Flag,
    NamesOf,
    Term,
    UniqueIdentifier,
)
_ADDRESSES = frozenset(each().allowed for each in (address, bind_address, network))
_DEVICE = re.compile(r"/dev/[a-z]+[0-9]{0,3}")
_PERSONAL = ("access", "identity")
"""Tables that may be called by the names of persons."""


def shown(configuration: Configuration) -> str:
    """TOML; what is not shown is `"(removed)"`."""
    names = names_in(configuration)

    def written(path: str, key: Key, value: Any) -> object:
        if isinstance(key.kind, Settings) and key.name == "settings":
            return _settings(value)
        if path.startswith(_PERSONAL) and not isinstance(key.kind, _SAFE):
            return REMOVED
        return _value(key.kind, value, names)

    return render(configuration, defaults=False, written=written)


def names_in(configuration: Configuration) -> frozenset[str]:
    """What things are called in it, AE titles and addresses: they say nothing of patients."""
    profile = frozenset(profile_names()) & {configuration.profile}
    return profile | frozenset(_names(configuration, ""))


def _names(section: Any, path: str) -> Iterator[str]:
    for key in keys_of(type(section)).values():
        value = getattr(section, key.field)
        if isinstance(key.kind, Table) and value is not None:
            yield from _names(value, f"{path}.{key.name}")
        elif isinstance(key.kind, Tables):
            for each in value:
                yield from _names(each, f"{path}.{key.name}")
        elif path.startswith(tuple(f".{each}" for each in _PERSONAL)):
            continue
        elif key.name == "name" and isinstance(key.kind, Text):
            yield str(value)
        else:
            yield from _names_of_kind(key.kind, value)


def _names_of_kind(kind: Kind, value: Any) -> Iterator[str]:
    if isinstance(kind, ListOf):
        for each in value or ():
            yield from _names_of_kind(kind.kind, each)
    elif value and (isinstance(kind, ApplicationEntityTitle) or kind.allowed in _ADDRESSES):
        yield str(value)
        yield str(getattr(value, "host", value))


def _value(kind: Kind, value: Any, names: frozenset[str]) -> object:
    if isinstance(kind, ListOf):
        return [_value(kind.kind, each, names) for each in value]
    written = kind.write(value)
    if isinstance(kind, _SAFE) or kind.allowed in _ADDRESSES:
        return written
    if isinstance(kind, Text) and (written == "" or written in names):
        return written
    if isinstance(kind, Path) and (not written or _DEVICE.fullmatch(str(written))):
        return written
    return written if written == {} else REMOVED


def _settings(value: Mapping[str, Any]) -> object:
    """Of a driver: numbers and flags."""
    able = (int, float, bool)
    return {name: each if isinstance(each, able) else REMOVED for name, each in value.items()}
