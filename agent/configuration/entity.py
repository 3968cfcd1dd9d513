"""Local application entities: who we are, what each offers, to whom, and within which limits."""

from __future__ import annotations

from agent.configuration.addresses import bind_address, network
from agent.configuration.connection import Socket, Timers, Tls
from agent.configuration.identity import AcceptedIdentity
from agent.configuration.key import key, section
from agent.configuration.kinds import (
    ApplicationEntityTitle,
    Choice,
    FailureStatus,
    Flag,
    ListOf,
    Table,
    Tables,
    Text,
    count,
    identifier,
    size,
)
from agent.configuration.media_creation import MediaCreationAnswers
from agent.configuration.names import Names, NamesOf, Term
from agent.configuration.procedure import EventAnswers, StepAnswers, WorklistAnswers
from agent.configuration.query import QueryAnswers
from agent.configuration.retrieval import RetrievalAnswers


@section
class Accept:
    """Who may open an association. Nothing is trusted by default: only configured peers may."""

    called_title: bool = key(
        Flag(),
        "the called AE title must be ours (else: rejected, called AE title not recognised)",
        default=True,
    )
    calling: str = key(
        Choice("peers", "titles", "any"),
        "who may call: titles of configured peers, the `calling_titles` below, or anybody",
        default="peers",
    )
    calling_titles: tuple[str, ...] = key(
        ListOf(ApplicationEntityTitle()),
        "calling AE titles that may call besides: with `peers`, in addition to them",
        default=(),
        example='["CT1", "MR_ROOM2"]',
    )
    networks: tuple[str, ...] = key(
        ListOf(network()),
        "hosts and networks that may call",
        default=(),
        default_text="from anywhere",
        example='["192.0.2.0/24", "2001:db8::/32"]',
    )
    peer_addresses: bool = key(
        Flag(), "a configured peer must call from one of its own addresses", default=False
    )
    identity: AcceptedIdentity = key(
        Table(AcceptedIdentity), "user identities (PS3.7 D.3.3.7)", default=AcceptedIdentity()
    )
    solicited: bool = key(
        Flag(),
        "only objects that we asked for by a C-MOVE of our own are taken; others are refused",
        default=False,
    )


@section
class EntityLimits:
    """How much callers may use of this entity, and it of others. The limits of the node hold
    besides."""

    associations: int = key(
        count(1, 65535, zero="only the node's limit"), "accepted associations at once", default=100
    )
    associations_per_peer: int = key(
        count(1, 65535, zero="no limit of its own"),
        "accepted associations at once with one calling AE title at one address",
        default=0,
    )
    associations_opened: int = key(
        count(1, 65535, zero="any number"),
        "associations that are open at once in the name of this entity, to whatever peers; what "
        "wants another waits",
        default=0,
    )
    operations_performed: int = key(
        count(1, 65535, zero="any number"),
        "operations that a peer may have outstanding with us (PS3.7 D.3.3.3); with 1 the "
        "asynchronous operations window is not offered",
        default=1,
    )
    operations_invoked: int = key(
        count(1, 65535, zero="any number"),
        "operations that we may have outstanding with a peer on an accepted association",
        default=1,
    )


@section
class StorageBehaviour:
    """How the storage service behaves as SCP (PS3.4 Annex B)."""

    level: int = key(
        count(0, 2), "level of storage support that is negotiated (PS3.4 B.4.1.1)", default=2
    )
    signature_level: int = key(
        count(0, 3),
        "level of digital signature support (PS3.4 B.4.1.4): 3 keeps every bit; 2 verifies "
        "signatures and replaces those that a change breaks, which wants `signatures` here and "
        "`replace` in [signatures]; 1 promises nothing; with `coercion`, 3 is negotiated as 1",
        default=3,
    )
    signatures: str = key(
        Choice("ignore", "note", "refuse", "require"),
        "digital signatures of what comes in: not looked at; verified and logged; refused where "
        "one is invalid; or refused where not each is valid and trusted, or there is none. It "
        "holds for what this entity retrieves too, and for folders and media of its archive; of "
        "several entities, the strictest for those",
        default="ignore",
    )
    coercion: int = key(
        count(0, 1),
        "1 tells requestors that data elements may be coerced; needed by `on_receipt` changes",
        default=0,
    )
    unknown_sop_classes: str = key(
        Choice("refuse", "announced", "accept"),
        "SOP classes that nobody knows: refused; taken as storage where common extended "
        "negotiation announces them as such (PS3.4 B.4.1.2); or always taken as storage",
        default="announced",
    )
    check_sop_class: bool = key(
        Flag(),
        "refuse an object whose data set names another SOP class or instance than the request",
        default=True,
    )
    onward: str = key(
        Text(64),
        "a peer that must have taken an object before we answer success",
        default="",
        default_text="none: we answer when it is safe in the archive",
    )

    @property
    def negotiated_signature_level(self) -> int:
        """What changes values cannot promise to keep every bit (PS3.4 B.4.1.4)."""
        return 1 if self.coercion and self.signature_level == 3 else self.signature_level


@section
class Statuses:
    """The DIMSE status for each reason to refuse an object (PS3.4 B.2.3)."""

    out_of_resources: int = key(
        FailureStatus(), "a limit is reached: memory, quota, too many at once", default=0xA700
    )
    disk_full: int = key(FailureStatus(), "the disk or the watermark is reached", default=0xA700)
    mismatch: int = key(
        FailureStatus(), "the data set does not match the SOP class", default=0xA900
    )
    unparsable: int = key(FailureStatus(), "the data set cannot be understood", default=0xC000)
    volume_away: int = key(
        FailureStatus(), "the volume of the archive is not mounted", default=0xC002
    )
    onward_silent: int = key(FailureStatus(), "the onward peer does not answer", default=0xC003)
    onward_refused: int = key(FailureStatus(), "the onward peer refuses us", default=0xC004)
    signature: int = key(
        FailureStatus(), "a digital signature is not as `storage.signatures` wants", default=0xC005
    )
    unsolicited: int = key(FailureStatus(), "we did not ask for this object", default=0x0124)


@section
class Service:
    """A service of an entity. What is left out is as the entity has it."""

    name: str = key(
        identifier(), "the name of this table; also of the service, where `service` is empty"
    )
    enabled: bool = key(Flag(), "false switches it off", default=True)
    service: str = key(
        Term("service", "services", optional=True),
        "the service, where one is listed more than once with different rules",
        default="",
        default_text="as `name`",
    )
    roles: tuple[str, ...] = key(
        ListOf(Choice("scp", "scu"), minimum=1, maximum=2), "what we play", default=("scp",)
    )
    sop_classes: Names = key(
        NamesOf("SOP class"),
        'SOP classes by name, UID or group such as "storage-all"',
        default=Names(),
        default_text="all of the service",
        example='["storage-all", "-1.2.840.10008.5.1.4.1.1.4"]',
    )
    transfer_syntaxes: Names = key(
        NamesOf("transfer syntax"),
        "transfer syntaxes in order of preference",
        default=Names(),
        default_text="those of the entity",
    )
    associations: int = key(
        count(1, 65535, zero="no limit of its own"),
        "associations at once that use this service",
        default=0,
    )
    operations: int = key(
        count(1, 65535, zero="as the entity has it"),
        "1 keeps this service out of the asynchronous operations window",
        default=0,
    )
    accept: Accept | None = key(
        Table(Accept, optional=True),
        "who may use this service, where that is another rule than the entity's",
        default=None,
        default_text="as the entity",
    )


@section
class Entity:
    """A local application entity. Several may share a port, told apart by the called AE title."""

    name: str = key(identifier(), "its name in this configuration")
    enabled: bool = key(Flag(), "false switches it off", default=True)
    title: str = key(
        ApplicationEntityTitle(optional=True), "its AE title", default="", default_text="the name"
    )
    description: str = key(Text(256), "for people", default="")
    addresses: tuple[str, ...] = key(
        ListOf(bind_address(), minimum=1, maximum=64),
        "addresses of this machine on which it listens, at once or when they come",
        default=("*",),
    )
    port: int = key(
        count(1, 65535, zero="it accepts no associations, only opens them"),
        "the TCP port",
        default=11112,
    )
    tls_port: int = key(
        count(1, 65535, zero="with the table `tls`, `port` itself is the secure one"),
        "the TCP port on which it speaks TLS, beside the plain `port`; 2762 is registered for that",
        default=0,
    )
    archive: str = key(
        Text(64),
        "the archive that it stores to and answers from",
        default="",
        default_text="the first one",
    )
    maximum_pdu: int = key(
        size(2048, 2**27, zero="no limit"),
        "the longest P-DATA PDU that we receive (PS3.8 D.1)",
        default=131072,
    )
    transfer_syntaxes: Names = key(
        NamesOf("transfer syntax"),
        "transfer syntaxes in order of preference, for services that name none",
        default=Names(("all",), ("all",)),
    )
    prefer: str = key(
        Choice("requestor", "acceptor"),
        "whose order decides which of the proposed transfer syntaxes is taken",
        default="requestor",
    )
    extended_negotiation: bool = key(
        Flag(), "answer and send SOP class extended negotiation", default=True
    )
    role_selection: bool = key(Flag(), "answer and send SCP/SCU role selection", default=True)
    services: tuple[Service, ...] = key(
        Tables(Service), "what it offers and uses", default=(), name="service"
    )
    accept: Accept = key(Table(Accept), "who may call", default=Accept())
    limits: EntityLimits = key(
        Table(EntityLimits), "how much callers may use", default=EntityLimits()
    )
    timers: Timers = key(Table(Timers), "how long to wait", default=Timers())
    storage: StorageBehaviour = key(
        Table(StorageBehaviour), "how storage behaves", default=StorageBehaviour()
    )
    worklist: WorklistAnswers = key(
        Table(WorklistAnswers), "the worklist that it answers from", default=WorklistAnswers()
    )
    queries: QueryAnswers = key(
        Table(QueryAnswers), "the queries that it answers", default=QueryAnswers()
    )
    steps: StepAnswers = key(
        Table(StepAnswers), "the steps that are reported to it", default=StepAnswers()
    )
    events: EventAnswers = key(
        Table(EventAnswers), "the events that it logs", default=EventAnswers()
    )
    media_creation: MediaCreationAnswers = key(
        Table(MediaCreationAnswers), "the media that it makes", default=MediaCreationAnswers()
    )
    retrieval: RetrievalAnswers = key(
        Table(RetrievalAnswers), "what may be retrieved from it", default=RetrievalAnswers()
    )
    status: Statuses = key(Table(Statuses), "the status of each refusal", default=Statuses())
    socket: Socket = key(Table(Socket), "the TCP socket", default=Socket())
    tls: Tls | None = key(Table(Tls, optional=True), "TLS", default=None, default_text="plain TCP")

    @property
    def ports(self) -> dict[int, Tls | None]:
        """Each port that it listens on, with the TLS that is spoken there; None: plain TCP."""
        if not self.port:
            return {}
        if self.tls is None or not self.tls_port:
            return {self.port: self.tls}
        return {self.port: None, self.tls_port: self.tls}

    @property
    def bind_addresses(self) -> tuple[str, ...]:
        """Literal addresses to bind; of "*", "::" may be missing where the kernel has no IPv6."""
        found: dict[str, None] = {}
        for address in self.addresses:
            found.update(dict.fromkeys(("0.0.0.0", "::") if address == "*" else (address,)))
        return tuple(found)

    def services_of(self, service: str, role: str) -> tuple[Service, ...]:
        """The tables of one service in which we play this role."""
        return tuple(
            each for each in self.services if each.service == service and role in each.roles
        )
