"""How a key of the configuration is declared: once, beside the field that holds its value.

A section is a frozen dataclass; each field is made by `key(...)` with the kind of its value, its
default and its meaning. Validation, `config init`, `config show` and the reference of all keys
are read from these declarations, so that none can differ from another.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform

if TYPE_CHECKING:
    from agent.configuration.kind import Kind

METADATA = "gantry"
REQUIRED: Any = dataclasses.MISSING

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    """The declaration of one key: `name` is its name in TOML, `field` the dataclass field.

    `default` is the value of the field when the key is absent (`REQUIRED`: it may not be).
    `default_text` says in words what an empty default stands for. `example` is a TOML value for
    documentation. `restart` is true where a reload cannot apply a change.
    """

    name: str
    field: str
    kind: Kind
    meaning: str
    default: Any
    default_text: str
    example: str
    restart: bool

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


@dataclasses.dataclass(frozen=True, slots=True)
class _Declaration:
    kind: Kind
    meaning: str
    default: Any
    name: str
    default_text: str
    example: str
    restart: bool


def key(
    kind: Kind,
    meaning: str,
    *,
    default: Any = REQUIRED,
    name: str = "",
    default_text: str = "",
    example: str = "",
    restart: bool = False,
) -> Any:
    """Declare a key as the field of a section; without `default` the key must be given."""
    declaration = _Declaration(kind, meaning, default, name, default_text, example, restart)
    metadata = {METADATA: declaration}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(key,))
def section(kind: type[T]) -> type[T]:
    """Make a class a section: a frozen dataclass whose docstring explains it to a person."""
    made: Callable[[type[T]], type[T]] = dataclasses.dataclass(
        frozen=True, kw_only=True, slots=True
    )
    return made(kind)


_KEYS: dict[type, dict[str, Key]] = {}


def keys_of(kind: type) -> dict[str, Key]:
    """The keys of a section by their names in TOML, in the order of declaration."""
    found = _KEYS.get(kind)
    if found is None:
        found = _KEYS[kind] = {}
        for each in dataclasses.fields(kind):
            declaration = each.metadata.get(METADATA)
            if declaration is None:
                continue
            name = declaration.name or each.name
            found[name] = Key(
                name=name,
                field=each.name,
                kind=declaration.kind,
                meaning=declaration.meaning,
                default=declaration.default,
                default_text=declaration.default_text,
                example=declaration.example,
                restart=declaration.restart,
            )
    return found


def meaning_of(kind: type) -> str:
    """What a section is for, as its docstring says it, in one paragraph per line."""
    paragraphs = (kind.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
