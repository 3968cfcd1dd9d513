"""The names that a configuration may use, handed in by the node.

The configuration knows forms (an AE title, a port, a UID), not things: which services, SOP
classes, transfer syntaxes and drivers exist is known on other floors. A node fills a `Vocabulary`
from their registries; a field left empty means that such names are taken as they are written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar


class Named(Protocol):
    """A row of a registry: a SOP class or a transfer syntax."""

    @property
    def uid(self) -> str: ...
    @property
    def name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class ServiceTerm:
    """A service class that an entity may offer or use, by the name that configurations give it.

    `roles` holds what the product can play of "scu" and "scp"; `sop_classes` the UIDs that the
    service is about (empty: not checked); `default_sop_classes` the UIDs when none are named.
    An `open` service takes other SOP classes as well (storage takes private ones).
    """

    name: str
    roles: tuple[str, ...]
    meaning: str = ""
    sop_classes: frozenset[str] = frozenset()
    default_sop_classes: tuple[str, ...] = ()
    open: bool = False


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Every name that means something to this product.

    Mappings of names give UIDs; groups give UIDs in their order. `attribute` finds the tag of a
    keyword of PS3.6; `attribute_keywords` lists them all, and is called only to suggest one.
    `unavailable` has names that are known and cannot be had, with the reason.
    """

    services: Mapping[str, ServiceTerm] = field(default_factory=dict)
    sop_classes: Mapping[str, str] = field(default_factory=dict)
    sop_class_groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    transfer_syntaxes: Mapping[str, str] = field(default_factory=dict)
    transfer_syntax_groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    attribute: Callable[[str], int | None] | None = None
    attribute_keywords: Callable[[], Iterable[str]] | None = None
    capture_kinds: tuple[str, ...] = ()
    serial_kinds: tuple[str, ...] = ()
    media_kinds: tuple[str, ...] = ()
    panel_kinds: tuple[str, ...] = ()
    media_profiles: tuple[str, ...] = ()
    tls_profiles: tuple[str, ...] = ()
    unavailable: Mapping[str, str] = field(default_factory=dict)
    questions: tuple[str, ...] = ()

    def names(self, kind: str) -> Mapping[str, str]:
        """Single names of a kind ("SOP class", "transfer syntax") with their UIDs."""
        return self.sop_classes if kind == "SOP class" else self.transfer_syntaxes

    def groups(self, kind: str) -> Mapping[str, tuple[str, ...]]:
        """Group names of a kind ("SOP class", "transfer syntax") with the UIDs of each."""
        return self.sop_class_groups if kind == "SOP class" else self.transfer_syntax_groups


R = TypeVar("R", bound=Named)


def names_of(registry: Mapping[str, R], *further: Callable[[R], str | None]) -> dict[str, str]:
    """The names of a registry's rows, each with the UID: the row's `name`, and what `further` give
    (a keyword, a short name)."""
    found: dict[str, str] = {}
    for row in registry.values():
        for spelling in (row.name, *(give(row) for give in further)):
            if spelling:
                found.setdefault(spelling, row.uid)
    return found
