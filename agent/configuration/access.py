"""Who may do what: rules for callers, lock-out after failures, and what operators may ask for."""

from __future__ import annotations

import re

from agent.configuration.addresses import network
from agent.configuration.connection import DAY
from agent.configuration.distinguished_name import parse
from agent.configuration.identity import KINDS
from agent.configuration.key import key, section
from agent.configuration.kinds import (
    Choice,
    Flag,
    ListOf,
    Mapped,
    Table,
    Tables,
    Text,
    count,
    duration,
    identifier,
)
from agent.configuration.names import Names, NamesOf, Term

# The operations of PS3.7 9.1 and 10.1 that a rule may name.
OPERATIONS = (
    "C-STORE",
    "C-FIND",
    "C-GET",
    "C-MOVE",
    "C-ECHO",
    "N-EVENT-REPORT",
    "N-GET",
    "N-SET",
    "N-ACTION",
    "N-CREATE",
    "N-DELETE",
)


def _distinguished_name(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("not a text")
    parse(value)
    return value


def _fingerprint(value: object) -> str:
    digits = value.replace(":", "").lower() if isinstance(value, str) else ""
    if not re.fullmatch("[0-9a-f]{64}", digits):
        raise ValueError("not a SHA-256 fingerprint")
    return digits


def _distinguished() -> Mapped:
    return Mapped('attributes such as "CN=ct1, O=Hospital"; "*" fits anything', _distinguished_name)


def _pattern() -> Text:
    return Text(256, minimum=1, what='a text of 1 to 256 characters; "*" fits anything')


@section
class AccessRule:
    """What some callers may use, or may not. The first rule that fits decides.

    A rule fits when all of its conditions hold; of several values of one, any. What is left out
    fits everything.
    """

    name: str = key(identifier(), "its name in this configuration, in logs and in the status")
    enabled: bool = key(Flag(), "false switches it off", default=True)
    allow: bool = key(Flag(), "false refuses what the rule is about", default=True)
    entities: tuple[str, ...] = key(
        ListOf(Text(64, minimum=1)), "local entities, by name", default=(), name="entity"
    )
    called: tuple[str, ...] = key(ListOf(_pattern()), "called AE titles", default=())
    calling: tuple[str, ...] = key(
        ListOf(_pattern()), "calling AE titles", default=(), example='["CT1", "MR_*"]'
    )
    networks: tuple[str, ...] = key(
        ListOf(network()),
        "hosts and networks",
        default=(),
        name="network",
        example='["192.0.2.0/24", "2001:db8::/32"]',
    )
    subjects: tuple[str, ...] = key(
        ListOf(_distinguished()),
        "what the subject of the caller's certificate must have, in any order",
        default=(),
        name="subject",
        example='"CN=ct1, O=Hospital"',
    )
    issuers: tuple[str, ...] = key(
        ListOf(_distinguished()),
        "what the issuer of the caller's certificate must have",
        default=(),
        name="issuer",
    )
    fingerprints: tuple[str, ...] = key(
        ListOf(Mapped("a SHA-256 fingerprint in hexadecimal digits", _fingerprint)),
        "the caller's certificate itself",
        default=(),
        name="fingerprint",
    )
    users: tuple[str, ...] = key(
        ListOf(_pattern()),
        "users whose identity was verified (PS3.7 D.3.3.7)",
        default=(),
        name="user",
        example='["anna", "*@hospital.example"]',
    )
    identities: tuple[str, ...] = key(
        ListOf(Choice(*KINDS)), "how the user was identified", default=(), name="identity"
    )
    services: tuple[str, ...] = key(
        ListOf(Term("service", "services")), "services", default=(), name="service"
    )
    roles: tuple[str, ...] = key(
        ListOf(Choice("scp", "scu")), "what we would play ourselves", default=(), name="role"
    )
    sop_classes: Names = key(
        NamesOf("SOP class"), "SOP classes by name, UID or group", default=Names(), name="sop_class"
    )
    operations: tuple[str, ...] = key(
        ListOf(Choice(*OPERATIONS)),
        "DIMSE operations that the caller asks us for",
        default=(),
        name="operation",
    )


@section
class LockOut:
    """Lock-out after failures: wrong titles, addresses, certificates, users and passcodes.

    A TLS handshake is a failure of the host where it shows no certificate that is accepted, or
    shares no version, cipher suite or group with us. Who connects and leaves, is silent, does not
    speak TLS or does not accept our certificate has failed in nothing: health checks and scans of
    ports lock nobody out. A health check that speaks TLS needs a certificate where one is required.

    What is remembered is bounded: the latest 4096 of each kind. An IPv6 host counts with its /64.
    A count of 0 lets those in again who are shut out.
    """

    host: int = key(
        count(1, 10**6, zero="never shut out"),
        "failures of one host, after which its connections are reset",
        default=0,
    )
    title: int = key(
        count(1, 10**6, zero="never shut out"),
        "failures under one calling AE title, from wherever it calls",
        default=0,
    )
    user: int = key(
        count(1, 10**6, zero="never shut out"),
        "failures to prove one user's identity, whoever tries",
        default=10,
    )
    window: float = key(duration(1, DAY), "time in which failures are counted", default=60.0)
    duration: float = key(duration(1, 30 * DAY), "how long one is shut out", default=300.0)


@section
class Operator:
    """What persons may ask of the running node by its control socket.

    Where there is no such table, whoever may open the socket may ask for everything. Else root and
    the node's own user may, and all others what the first table says that names them.
    """

    name: str = key(identifier(), "its name in this configuration")
    enabled: bool = key(Flag(), "false switches it off", default=True)
    users: tuple[str, ...] = key(
        ListOf(Text(64, minimum=1)), "accounts of this machine, by name or number", default=()
    )
    groups: tuple[str, ...] = key(
        ListOf(Text(64, minimum=1)), "groups of this machine, by name or number", default=()
    )
    questions: tuple[str, ...] = key(
        ListOf(Term("question", "questions"), minimum=1),
        'what may be asked, by name ("status", "exam-start"); "look": whatever changes nothing and '
        'names no patient; "see": whatever changes nothing; "all"',
        default=("look",),
    )


@section
class Access:
    """Who may do what, beyond `accept` of entities and services: both must agree."""

    rules: tuple[AccessRule, ...] = key(
        Tables(AccessRule), "rules for callers, in order", default=(), name="rule"
    )
    otherwise: str = key(
        Choice("refuse", "allow"),
        "what becomes of a caller whom no rule fits, where there are rules",
        default="refuse",
    )
    lock_out: LockOut = key(Table(LockOut), "lock-out after failures", default=LockOut())
    operators: tuple[Operator, ...] = key(
        Tables(Operator), "who may ask what of the control socket", default=(), name="operator"
    )
