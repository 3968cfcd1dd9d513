"""Remote application entities: where they are, how they like it, what is odd about them."""

from __future__ import annotations

from agent.configuration.addresses import Address, address
from agent.configuration.compression import Lossy
from agent.configuration.connection import Retry, Socket, Timers, Tls
from agent.configuration.fetching import Fetch
from agent.configuration.identity import PresentedIdentity
from agent.configuration.key import key, section
from agent.configuration.kinds import (
    ApplicationEntityTitle,
    Flag,
    ListOf,
    Table,
    Text,
    count,
    duration,
    identifier,
    rate,
    size,
)
from agent.configuration.names import Names, NamesOf, Term
from agent.configuration.procedure import Commitment


@section
class Window:
    """How much is under way to a peer at once, over all of its addresses."""

    associations: int = key(count(1, 1024), "associations that deliveries hold at once", default=1)
    operations: int = key(
        count(1, 65535, zero="as many as the peer allows"),
        "operations outstanding on one association; with 1 the asynchronous operations window is "
        "not proposed",
        default=1,
    )
    bandwidth: int = key(rate(1024, zero="no limit"), "bytes sent a second", default=0)
    objects_per_association: int = key(
        count(1, zero="no limit"), "objects sent before an association is released", default=0
    )
    reuse: bool = key(Flag(), "keep an association for the next objects", default=True)
    idle: float = key(
        duration(0, 86400), "time without work before a kept association is released", default=5.0
    )
    cached: int = key(count(0, 1024), "idle associations that are kept at once", default=1)


@section
class Quirks:
    """What is odd about a peer."""

    nagles: bool = key(
        Flag(),
        "it leaves Nagle's algorithm on: always acknowledge at once, whatever `socket` says",
        default=False,
    )
    association_per_study: bool = key(
        Flag(), "it takes the end of an association for the end of a study", default=False
    )
    relational_unnegotiated: bool = key(
        Flag(),
        "it answers relational queries without extended negotiation (PS3.4 C.5.1.1), or sends them",
        default=False,
    )
    single_association: bool = key(
        Flag(), "it cannot hold more than one association with us, whatever for", default=False
    )
    single_uids: bool = key(
        Flag(),
        "it cannot take several UIDs in one key (PS3.4 C.2.2.2.2): it is asked for one at a time",
        default=False,
    )
    plain_negotiation: bool = key(
        Flag(),
        "it fails on extended negotiation and role items: send none that is not needed",
        default=False,
    )


@section
class Peer:
    """A remote application entity."""

    name: str = key(identifier(), "its name in this configuration")
    enabled: bool = key(Flag(), "false switches it off", default=True)
    title: str = key(
        ApplicationEntityTitle(optional=True), "its AE title", default="", default_text="the name"
    )
    other_titles: tuple[str, ...] = key(
        ListOf(ApplicationEntityTitle()), "further titles under which it calls us", default=()
    )
    description: str = key(Text(256), "for people", default="")
    addresses: tuple[Address, ...] = key(
        ListOf(address(), maximum=16),
        "where it listens, in order: the next is tried when one does not answer",
        default=(),
        default_text="it only calls us",
        example='["192.0.2.10:104", "archive-2.example:11112"]',
    )
    first_again: float = key(
        duration(1, 86400), "after a fail-over, the first address is tried again", default=300.0
    )
    entity: str = key(
        Text(64),
        "the local entity in whose name we call it",
        default="",
        default_text="the first one",
    )
    calling_title: str = key(
        ApplicationEntityTitle(optional=True),
        "the AE title under which we call it",
        default="",
        default_text="that of the entity",
    )
    services: tuple[str, ...] = key(
        ListOf(Term("service", "services")),
        "what it offers us as SCP",
        default=("verification", "storage"),
    )
    transfer_syntaxes: Names = key(
        NamesOf("transfer syntax"),
        "transfer syntaxes that it likes, best first; objects in others are converted where that "
        "can be done",
        default=Names(),
        default_text="whatever an object is stored in, and the uncompressed ones",
    )
    never_propose: Names = key(
        NamesOf("transfer syntax"), "transfer syntaxes never to propose to it", default=Names()
    )
    convert: bool = key(
        Flag(),
        "objects that it does not take as they are go out uncompressed, or compressed as "
        "`transfer_syntaxes` says",
        default=True,
    )
    secure_use: bool = key(
        Flag(),
        "it follows the Online Electronic Storage Secure Use Profile (PS3.15 A.1); needs TLS with "
        "certificates of both sides",
        default=False,
    )
    takes_originals: bool = key(
        Flag(),
        "originals (OR, AO) go to it as what they are, and become copies here when it has "
        "committed to them (PS3.15 A.1.1 d); one peer at most, with `secure_use`",
        default=False,
    )
    lossy: Lossy = key(Table(Lossy), "compression that loses something", default=Lossy())
    maximum_pdu: int = key(
        size(2048, 2**27, zero="no limit"),
        "the longest P-DATA PDU that we receive from it on associations that we open",
        default=131072,
    )
    longest_sent_pdu: int = key(
        size(2048, 2**27, zero="as it allows"),
        "never send longer P-DATA PDUs than this, even if it allows",
        default=0,
    )
    commitment: Commitment = key(
        Table(Commitment), "whether it is asked to commit to what it was sent", default=Commitment()
    )
    window: Window = key(Table(Window), "how much is under way", default=Window())
    fetch: Fetch = key(
        Table(Fetch), "how objects are retrieved from it into our archives", default=Fetch()
    )
    quirks: Quirks = key(Table(Quirks), "what is odd about it", default=Quirks())
    timers: Timers = key(Table(Timers), "how long to wait", default=Timers())
    socket: Socket = key(Table(Socket), "the TCP socket", default=Socket())
    retry: Retry | None = key(
        Table(Retry, optional=True),
        "when to try again",
        default=None,
        default_text="as [delivery.retry]",
    )
    identity: PresentedIdentity = key(
        Table(PresentedIdentity),
        "the user identity with which we call it",
        default=PresentedIdentity(),
    )
    tls: Tls | None = key(Table(Tls, optional=True), "TLS", default=None, default_text="plain TCP")

    @property
    def titles(self) -> tuple[str, ...]:
        """Every title under which it may call us."""
        return (self.title, *self.other_titles)
