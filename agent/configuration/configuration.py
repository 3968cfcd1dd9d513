"""The configuration of a node: everything that it was told, checked and complete."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from agent.configuration.access import Access
from agent.configuration.alerts import Alerts
from agent.configuration.archive import Archive
from agent.configuration.audit import Audit
from agent.configuration.compression import ReceivedCompression
from agent.configuration.deidentification import Deidentify
from agent.configuration.delivery import Delivery
from agent.configuration.entity import Entity
from agent.configuration.fetching import Precache, Prefetch
from agent.configuration.identity import Identity
from agent.configuration.intake import Capture, Folder, Panel, Serial
from agent.configuration.key import key, section
from agent.configuration.keys import NamedKey
from agent.configuration.kinds import Table, Tables, Text
from agent.configuration.mail import Mail
from agent.configuration.media import Media, MediaKeys, MediaPages
from agent.configuration.node import Clock, Limits, Log, LoopBudget, Metrics, Node, Workers
from agent.configuration.peer import Peer
from agent.configuration.procedure import Steps, Worklist
from agent.configuration.route import Route
from agent.configuration.secure_use import SecureUse
from agent.configuration.signatures import Signatures


class _Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a configuration came from: all files read, in order, and the keys that `--set` gave."""

    files: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()


@section
class Configuration:
    """Everything that a node was told. Parts that are switched off do not appear."""

    profile: str = key(Text(64), "the profile beneath this file, by name", default="", restart=True)
    description: str = key(Text(1024), "what this product is, for people", default="")
    node: Node = key(Table(Node), "the node", default=Node())
    log: Log = key(Table(Log), "log events", default=Log())
    metrics: Metrics = key(Table(Metrics), "metrics", default=Metrics())
    loop: LoopBudget = key(Table(LoopBudget), "the event loop", default=LoopBudget())
    workers: Workers = key(Table(Workers), "worker processes", default=Workers())
    clock: Clock = key(Table(Clock), "the clock", default=Clock())
    limits: Limits = key(Table(Limits), "limits of the node", default=Limits())
    access: Access = key(Table(Access), "who may do what", default=Access())
    identity: Identity = key(
        Table(Identity), "how user identities are verified", default=Identity()
    )
    delivery: Delivery = key(Table(Delivery), "delivery", default=Delivery())
    audit: Audit = key(Table(Audit), "the audit trail", default=Audit())
    secure_use: SecureUse = key(
        Table(SecureUse), "secure use of what is stored", default=SecureUse()
    )
    worklist: Worklist = key(Table(Worklist), "the worklist that is asked for", default=Worklist())
    steps: Steps = key(Table(Steps), "the steps that we perform", default=Steps())
    keys: tuple[NamedKey, ...] = key(Tables(NamedKey), "our own keys", default=(), name="key")
    archives: tuple[Archive, ...] = key(
        Tables(Archive), "archives", default=(), default_text="one, `main`", name="archive"
    )
    entities: tuple[Entity, ...] = key(
        Tables(Entity), "local application entities", default=(), name="entity"
    )
    peers: tuple[Peer, ...] = key(
        Tables(Peer), "remote application entities", default=(), name="peer"
    )
    routes: tuple[Route, ...] = key(
        Tables(Route), "what becomes of objects", default=(), name="route"
    )
    compressions: tuple[ReceivedCompression, ...] = key(
        Tables(ReceivedCompression),
        "images that are compressed when they come in",
        default=(),
        name="compress",
    )
    deidentifications: tuple[Deidentify, ...] = key(
        Tables(Deidentify),
        "ways to de-identify copies",
        default=(),
        name="deidentify",
    )
    folders: tuple[Folder, ...] = key(
        Tables(Folder), "folders that are watched", default=(), name="folder"
    )
    captures: tuple[Capture, ...] = key(
        Tables(Capture), "capture devices", default=(), name="capture"
    )
    serials: tuple[Serial, ...] = key(
        Tables(Serial), "devices on serial lines", default=(), name="serial"
    )
    media: tuple[Media, ...] = key(
        Tables(Media), "removable media that are looked at", default=(), name="media"
    )
    media_pages: MediaPages = key(
        Table(MediaPages), "pages for a web browser on media", default=MediaPages()
    )
    media_keys: MediaKeys = key(Table(MediaKeys), "keys of Secure DICOM files", default=MediaKeys())
    signatures: Signatures = key(
        Table(Signatures), "digital signatures of objects", default=Signatures()
    )
    mail: Mail = key(Table(Mail), "mails with studies", default=Mail())
    alerts: Alerts = key(Table(Alerts), "alerts by mail and syslog", default=Alerts())
    prefetches: tuple[Prefetch, ...] = key(
        Tables(Prefetch), "prior studies of scheduled patients", default=(), name="prefetch"
    )
    precaches: tuple[Precache, ...] = key(
        Tables(Precache), "studies of some days", default=(), name="precache"
    )
    panel: Panel = key(Table(Panel), "lamps and buttons", default=Panel())
    origin: Origin = Origin()

    def entity(self, name: str) -> Entity | None:
        return _by_name(self.entities, name)

    def peer(self, name: str) -> Peer | None:
        return _by_name(self.peers, name)

    def named_key(self, name: str) -> NamedKey | None:
        return _by_name(self.keys, name)

    def archive(self, name: str) -> Archive | None:
        return _by_name(self.archives, name)

    def deidentification(self, name: str) -> Deidentify | None:
        return _by_name(self.deidentifications, name)

    def peer_calling(self, title: str) -> Peer | None:
        """The peer that calls under this AE title."""
        return next((each for each in self.peers if title in each.titles), None)


def _by_name(things: Iterable[N], name: str) -> N | None:
    return next((each for each in things if each.name == name), None)
