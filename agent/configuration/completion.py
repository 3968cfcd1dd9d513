"""What follows from what was said: empty names filled in, references looked up, contradictions.

After this every name in a configuration means something that is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from agent.configuration.archive import Archive
from agent.configuration.configuration import Configuration
from agent.configuration.contradictions import contradictions
from agent.configuration.entity import Entity, Service
from agent.configuration.intake import Capture, Folder
from agent.configuration.keys import with_folder, with_stored_key
from agent.configuration.kinds import ApplicationEntityTitle
from agent.configuration.media import Media
from agent.configuration.names import Attribute, Names
from agent.configuration.peer import Peer
from agent.configuration.reading import Reading, dotted, nearest
from agent.configuration.references import named_peers
from agent.configuration.route import COERCIBLE, TESTS, Change, Condition, Route
from agent.configuration.vocabulary import ServiceTerm

Key = tuple[str, ...]
S = TypeVar("S", Entity, Peer)
A = TypeVar("A", Entity, Folder, Capture, Media)

DEFAULT_ARCHIVE = "main"


def complete(configuration: Configuration, reading: Reading) -> Configuration:
    """Fill in what follows, and report every contradiction."""
    checks = _Checks(reading)
    archives = tuple(
        replace(each, folder=each.folder or f"{configuration.node.state}/archive/{each.name}")
        for each in configuration.archives or (Archive(name=DEFAULT_ARCHIVE),)
    )
    names = [each.name for each in archives]
    entities = tuple(
        checks.archive_of(checks.service_names(checks.titled(each, "entity")), "entity", names)
        for each in _with_folders(configuration)
    )
    entity_names = [each.name for each in entities]
    peers = tuple(
        checks.calls_as(checks.titled(each, "peer"), entities) for each in configuration.peers
    )
    keys = tuple(with_folder(each, configuration.node.state) for each in configuration.keys)
    completed = replace(
        configuration,
        keys=keys,
        archives=archives,
        entities=tuple(replace(e, tls=with_stored_key(e.tls, keys)) for e in entities),
        peers=tuple(replace(each, tls=with_stored_key(each.tls, keys)) for each in peers),
        folders=tuple(checks.archive_of(e, "folder", names) for e in configuration.folders),
        captures=tuple(checks.archive_of(e, "capture", names) for e in configuration.captures),
        media=tuple(checks.archive_of(e, "media", names) for e in configuration.media),
    )
    peer_names = [each.name for each in peers]
    for archive in archives:
        checks.archive(archive)
    checks.folders_apart(archives)
    for folder in completed.folders:
        checks.folder(folder, archives)
    for entity in entities:
        checks.entity(entity, peer_names)
    checks.ports(entities)
    for peer in peers:
        checks.peer(peer)
    checks.titles_apart(peers)
    for route in completed.routes:
        ways = [each.name for each in completed.deidentifications]
        checks.route(route, peers, entity_names, ways)
    for place, name in named_peers(completed):
        if name:
            checks.known(name, peer_names, "peer", place)
    for each in contradictions(completed):
        checks.report(each.key, each.problem, allowed=each.allowed)
    return completed


def _with_folders(configuration: Configuration) -> Iterator[Entity]:
    for each in configuration.entities:
        folder = each.worklist.folder or f"{configuration.node.state}/worklist"
        media = each.media_creation.folder or f"{configuration.node.state}/media"
        yield replace(
            each,
            worklist=replace(each.worklist, folder=folder),
            media_creation=replace(each.media_creation, folder=media),
        )


class _Checks:
    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.report = reading.report

    def known(self, name: str, names: Sequence[str], what: str, key: Key) -> None:
        if name in names:
            return
        written = self.reading.merged.tree.get(what)
        off = isinstance(written, list) and any(
            isinstance(each, dict) and each.get("name") == name for each in written
        )
        self.report(
            key,
            f"{what} {name!r} is switched off" if off else f"there is no {what} {name!r}",
            allowed=", ".join(names) or f"none, as no {what} is configured",
            suggestion="" if off else nearest(name, names),
        )

    def told(self, key: Key) -> bool:
        """Whether something is wrong there already."""
        return any(problem.key == dotted(key) for problem in self.reading.problems)

    # Names that follow from others.

    def titled(self, thing: S, part: str) -> S:
        if thing.title:
            return thing
        if not 1 <= len(thing.name) <= 16:
            self.report(
                (part, thing.name, "title"),
                "is missing, and the name is too long to be an AE title",
                allowed=ApplicationEntityTitle.allowed,
            )
        return replace(thing, title=thing.name)

    def service_names(self, entity: Entity) -> Entity:
        services = tuple(self._service(entity, each) for each in entity.services)
        return replace(entity, services=services)

    def _service(self, entity: Entity, service: Service) -> Service:
        key = ("entity", entity.name, "service", service.name)
        terms = self.reading.vocabulary.services
        named = service.service or service.name
        if terms and named not in terms:
            if not service.service:
                # A `service` that is given was checked when it was read.
                self.report(
                    (*key, "name"),
                    f"there is no service {named!r}",
                    allowed=", ".join(terms),
                    suggestion=nearest(named, terms),
                )
            return replace(service, service=named)
        term = terms.get(named)
        if term is not None:
            for role in service.roles:
                if role not in term.roles:
                    self.report(
                        (*key, "roles"),
                        f"{named!r} has no role {role!r} here",
                        allowed=", ".join(term.roles),
                    )
            self._sop_classes(service, term, key)
        defaults = term.default_sop_classes if term is not None else ()
        return replace(
            service,
            service=named,
            transfer_syntaxes=service.transfer_syntaxes or entity.transfer_syntaxes,
            sop_classes=service.sop_classes or Names(defaults, ()),
        )

    def _sop_classes(self, service: Service, term: ServiceTerm, key: Key) -> None:
        if term.open or not term.sop_classes:
            return
        for uid in service.sop_classes:
            if uid not in term.sop_classes:
                self.report((*key, "sop_classes"), f"{uid} is no SOP class of {term.name!r}")

    def archive_of(self, thing: A, part: str, names: Sequence[str]) -> A:
        if not thing.archive:
            return replace(thing, archive=names[0])
        self.known(thing.archive, names, "archive", (part, thing.name, "archive"))
        return thing

    def calls_as(self, peer: Peer, entities: Sequence[Entity]) -> Peer:
        if peer.entity:
            self.known(
                peer.entity,
                [each.name for each in entities],
                "entity",
                ("peer", peer.name, "entity"),
            )
        found = next((each for each in entities if each.name == peer.entity), None)
        if found is None and entities and not peer.entity:
            found = entities[0]
        if found is None:
            return peer
        if peer.fetch.entity:
            self.known(
                peer.fetch.entity,
                [each.name for each in entities],
                "entity",
                ("peer", peer.name, "fetch", "entity"),
            )
        return replace(peer, entity=found.name, calling_title=peer.calling_title or found.title)

    # Contradictions.

    def archive(self, archive: Archive) -> None:
        if archive.low_watermark >= archive.high_watermark:
            self.report(
                ("archive", archive.name, "low_watermark"),
                f"{archive.low_watermark:g} is not below the high watermark",
                allowed=f"less than {archive.high_watermark:g}",
            )
        retention = archive.retention
        if retention.delete == "by-age" and retention.age < retention.keep:
            self.report(
                ("archive", archive.name, "retention", "age"),
                f"{retention.age:g} s is less than what `keep` protects",
                allowed=f"at least {retention.keep:g}",
            )

    def folders_apart(self, archives: Iterable[Archive]) -> None:
        seen: dict[str, str] = {}
        for archive in archives:
            folder = archive.folder.rstrip("/")
            other = next(
                (
                    name
                    for path, name in seen.items()
                    if path == folder
                    or folder.startswith(path + "/")
                    or path.startswith(folder + "/")
                ),
                None,
            )
            if other is not None:
                self.report(
                    ("archive", archive.name, "folder"),
                    f"lies in or around the folder of archive {other!r}",
                )
            seen[folder] = archive.name

    def folder(self, folder: Folder, archives: Iterable[Archive]) -> None:
        """What is put away must not be found again."""
        inside = folder.path.rstrip("/") + "/"
        for name, place in (("done", folder.done), ("failed", folder.failed)):
            below = (place.rstrip("/") + "/").removeprefix(inside)
            if below != place.rstrip("/") + "/" and not below.startswith("."):
                self.report(
                    ("folder", folder.name, name),
                    "lies in the folder itself, where it would be picked up again",
                    allowed="a place outside, or one whose name begins with a dot",
                )
        for archive in archives:
            kept = archive.folder.rstrip("/") + "/"
            if kept.startswith(inside) or inside.startswith(kept):
                self.report(
                    ("folder", folder.name, "path"),
                    f"lies in or around the folder of archive {archive.name!r}",
                )

    def entity(self, entity: Entity, peers: Sequence[str]) -> None:
        key = ("entity", entity.name)
        if entity.port and not entity.services and not self.told((*key, "service")):
            # More often a name that was mistyped in a `--set` than meant.
            self.report((*key, "service"), "is missing: it would listen and offer nothing")
        tls = entity.tls
        if tls is not None and entity.port and not (tls.certificate or tls.key_name):
            self.report(
                (*key, "tls", "certificate"), "is missing: a server must show a certificate"
            )
        if entity.storage.onward:
            self.known(entity.storage.onward, peers, "peer", (*key, "storage", "onward"))
        for name in entity.retrieval.destinations:
            self.known(name, peers, "peer", (*key, "retrieval", "destinations"))
        if entity.storage.signature_level and entity.storage.level < 2:
            # Table B.3-2: the byte is defined for a Storage Level 2 SCP only.
            signature = (*key, "storage", "signature_level")
            if signature in self.reading.merged.origins:
                self.report(signature, "belongs to storage level 2 (PS3.4 B.3.1.2)", allowed="0")
        if entity.accept.calling == "titles" and not entity.accept.calling_titles:
            self.report((*key, "accept", "calling_titles"), "is empty, so nobody could ever call")

    def ports(self, entities: Sequence[Entity]) -> None:
        for index, entity in enumerate(entities):
            for other in entities[:index]:
                if set(entity.bind_addresses) & set(other.bind_addresses):
                    for port in entity.ports.keys() & other.ports.keys():
                        self._share(entity, other, port)

    def _share(self, entity: Entity, other: Entity, port: int) -> None:
        key = ("entity", entity.name)
        where = f"port {port} with entity {other.name!r}"
        if entity.title == other.title:
            self.report((*key, "title"), f"is {entity.title!r} twice: it shares {where}")
        # Nothing is known of the called title yet while TLS is being set up, or before accept().
        if entity.ports[port] != other.ports[port]:
            self.report((*key, "tls"), f"differs, and it shares {where}")
        if entity.socket != other.socket:
            self.report((*key, "socket"), f"differs, and it shares {where}")
        if not entity.accept.called_title and not other.accept.called_title:
            self.report(
                (*key, "accept", "called_title"),
                f"is false twice: it shares {where}, and one of them must be told by its title",
                allowed="true",
            )

    def peer(self, peer: Peer) -> None:
        both = [uid for uid in peer.transfer_syntaxes if uid in peer.never_propose]
        for uid in both:
            self.report(
                ("peer", peer.name, "never_propose"), f"{uid} is in transfer_syntaxes as well"
            )
        window = peer.window
        if peer.quirks.single_association and window.associations > 1:
            self.report(
                ("peer", peer.name, "window", "associations"),
                f"{window.associations} contradicts the quirk `single_association`",
                allowed="1",
            )

    def titles_apart(self, peers: Sequence[Peer]) -> None:
        seen: dict[str, str] = {}
        for peer in peers:
            for title in peer.titles:
                other = seen.setdefault(title, peer.name)
                if other != peer.name:
                    # Two peers may share a title at two addresses; who calls is then unknown.
                    self.report(
                        ("peer", peer.name, "title"),
                        f"{title!r} is a title of peer {other!r} as well",
                    )

    def route(
        self,
        route: Route,
        peers: Sequence[Peer],
        entities: Sequence[str],
        ways: Sequence[str],
    ) -> None:
        key = ("route", route.name)
        names = [each.name for each in peers]
        for name in route.deliver:
            self.known(name, names, "peer", (*key, "deliver"))
            found = next((each for each in peers if each.name == name), None)
            if found is not None and not found.addresses:
                self.report((*key, "deliver"), f"peer {name!r} has no addresses to deliver to")
        for name in route.match.peers:
            self.known(name, names, "peer", (*key, "match", "peer"))
        for name in route.match.entities:
            self.known(name, entities, "entity", (*key, "match", "entity"))
        if route.deidentify:
            self.known(route.deidentify, ways, "deidentify", (*key, "deidentify"))
        if route.drop and (route.deliver or route.on_receipt or route.hold):
            self.report((*key, "drop"), "contradicts deliver, hold and on_receipt")
        for index, condition in enumerate(route.match.conditions):
            self._condition(condition, (*key, "match", "attribute", str(index + 1)))
        for index, change in enumerate(route.changes):
            self._change(change, (*key, "change", str(index + 1)))
        for index, change in enumerate(route.on_receipt):
            place = (*key, "on_receipt", str(index + 1))
            self._change(change, place)
            if change.attribute not in COERCIBLE:
                attribute = Attribute()
                self.report(
                    (*place, "attribute"),
                    f"{attribute.write(change.attribute)} may not be coerced on receipt "
                    "(PS3.4 B.4.1.3); `change` alters the copies that are sent",
                    allowed=", ".join(str(attribute.write(tag)) for tag in sorted(COERCIBLE)),
                )

    def _condition(self, condition: Condition, key: Key) -> None:
        given = [each for each in TESTS if getattr(condition, each) is not None]
        if len(given) != 1:
            self.report(
                key,
                f"has {' and '.join(given) if given else 'no test'}",
                allowed=f"exactly one of {', '.join(TESTS)}",
            )

    def _change(self, change: Change, key: Key) -> None:
        given = [
            name
            for name, present in (
                ("set", change.set is not None),
                ("map", change.map is not None),
                ("delete", change.delete),
            )
            if present
        ]
        if len(given) != 1:
            self.report(
                key,
                f"has {' and '.join(given) if given else 'no action'}",
                allowed="exactly one of set, map, delete",
            )
        if change.otherwise is not None and change.map is None:
            self.report((*key, "otherwise"), "belongs to `map`")
