"""What a reload changes: so that the node opens again only what must be opened again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity
from agent.configuration.key import keys_of
from agent.configuration.kinds import Table, Tables


@dataclass(frozen=True, slots=True)
class Changes:
    """The names of the parts of one kind that came, went, or are not what they were."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True, slots=True)
class Differences:
    """What differs between two configurations.

    `reopen` names the entities of `entities.changed` whose listening socket must be closed and
    opened again; the others take their new rules for new associations only. `sections` names the
    single tables that differ ("log", "delivery"). `routes` is true when any route differs, their
    order included, `compressions` when a rule for what comes in does. `restart` names keys that
    take effect only when the node starts again.
    """

    entities: Changes = Changes()
    reopen: tuple[str, ...] = ()
    peers: Changes = Changes()
    archives: Changes = Changes()
    folders: Changes = Changes()
    captures: Changes = Changes()
    routes: bool = False
    compressions: bool = False
    sections: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        parts = (self.entities, self.peers, self.archives, self.folders, self.captures)
        return any(parts) or self.routes or self.compressions or bool(self.sections or self.restart)


class _Named(Protocol):
    @property
    def name(self) -> str: ...


def differences(old: Configuration, new: Configuration) -> Differences:
    """What a node that runs by `old` has to do in order to run by `new`."""
    entities = _changes(old.entities, new.entities)
    return Differences(
        entities=entities,
        reopen=tuple(
            name
            for name in entities.changed
            if _listening(old.entity(name)) != _listening(new.entity(name))
        ),
        peers=_changes(old.peers, new.peers),
        archives=_changes(old.archives, new.archives),
        folders=_changes(old.folders, new.folders),
        captures=_changes(old.captures, new.captures),
        routes=old.routes != new.routes,
        compressions=old.compressions != new.compressions,
        sections=tuple(
            key.name
            for key in keys_of(Configuration).values()
            if isinstance(key.kind, Table) and getattr(old, key.field) != getattr(new, key.field)
        ),
        restart=tuple(_for_restart(old, new, "")),
    )


def _changes(old: Sequence[_Named], new: Sequence[_Named]) -> Changes:
    before = {each.name: each for each in old}
    after = {each.name: each for each in new}
    return Changes(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed=tuple(
            name for name, each in after.items() if name in before and before[name] != each
        ),
    )


def _listening(entity: Entity | None) -> object:
    if entity is None or not entity.port:
        return None
    plain = {port: tls is None for port, tls in entity.ports.items()}
    return entity.bind_addresses, plain, entity.socket


def _for_restart(old: Any, new: Any, path: str) -> Iterator[str]:
    for key in keys_of(type(new)).values():
        before, after = getattr(old, key.field), getattr(new, key.field)
        if before == after:
            continue
        name = f"{path}{key.name}"
        if key.restart:
            yield name
        elif isinstance(key.kind, Table) and before is not None and after is not None:
            yield from _for_restart(before, after, f"{name}.")
        elif isinstance(key.kind, Tables) and key.kind.named:
            by_name = {each.name: each for each in before}
            for each in after:
                if each.name in by_name:
                    yield from _for_restart(by_name[each.name], each, f"{name}.{each.name}.")
