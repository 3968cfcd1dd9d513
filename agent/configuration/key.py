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
    """What `key` was told."""

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
    """Make a class a section: immutable, compared by its values, its docstring for a person.

    The methods of all sections are the same functions. Those that `dataclass` would write for each
    take half a megabyte in every process of a node.
    """
    make: Callable[[type[T]], type[T]] = dataclasses.dataclass(
        init=False, repr=False, eq=False, slots=True
    )
    made = make(kind)
    for name, method in _METHODS.items():
        setattr(made, name, method)
    return made


def _initialize(self: object, **values: object) -> None:
    for field in dataclasses.fields(self):  # type: ignore[arg-type]
        if field.name in values:
            value = values.pop(field.name)
        elif field.default_factory is not dataclasses.MISSING:
            value = field.default_factory()
        elif field.default is not REQUIRED:
            value = field.default
        else:
            raise TypeError(f"{type(self).__name__} needs {field.name}")
        object.__setattr__(self, field.name, value)
    if values:
        raise TypeError(f"{type(self).__name__} has no {', '.join(values)}")


def _values(self: object) -> tuple[object, ...]:
    return tuple(getattr(self, each) for each in self.__dataclass_fields__)  # type: ignore[attr-defined]


def _is_equal(self: object, other: object) -> bool:
    return _values(self) == _values(other) if type(self) is type(other) else NotImplemented


def _hash(self: object) -> int:
    return hash(_values(self))


def _represent(self: object) -> str:
    named = zip(self.__dataclass_fields__, _values(self), strict=True)  # type: ignore[attr-defined]
    return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in named)})"


def _refuse(self: object, name: str, *_: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _restore(self: object, values: tuple[object, ...]) -> None:
    for name, value in zip(self.__dataclass_fields__, values, strict=True):  # type: ignore[attr-defined]
        object.__setattr__(self, name, value)


_METHODS = {
    "__init__": _initialize,
    "__eq__": _is_equal,
    "__hash__": _hash,
    "__repr__": _represent,
    "__setattr__": _refuse,
    "__delattr__": _refuse,
    "__getstate__": _values,
    "__setstate__": _restore,
}


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
