"""What cannot all be meant: keys of different parts that contradict each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from agent.configuration.configuration import Configuration
from agent.configuration.connection import Retry, Tls
from agent.configuration.keys import lacks
from agent.configuration.mail import MailServer
from agent.configuration.secure_use import is_mutual
from agent.configuration.syslog import SyslogReceiver
from agent.dataset.transfer_syntaxes import encoding_of


class Contradiction(NamedTuple):
    """One key that cannot be meant so, for what another says."""

    key: tuple[str, ...]
    problem: str
    allowed: str


def contradictions(configuration: Configuration) -> Iterator[Contradiction]:
    """All of a configuration that is complete."""
    yield from _coercion(configuration)
    yield from _retry(configuration)
    yield from _lossy(configuration)
    yield from _compression(configuration)
    yield from _mail(configuration)
    yield from _alerts(configuration)
    yield from _audit(configuration)
    yield from _secure_use(configuration)
    yield from _deidentification(configuration)
    yield from _secure_transport(configuration)
    yield from _signatures(configuration)
    yield from _identities(configuration)
    yield from _presented(configuration)
    yield from _keys(configuration)


def _keys(configuration: Configuration) -> Iterator[Contradiction]:
    """A key that TLS names must be there, and is not named beside files."""
    for named in configuration.keys:
        for name, problem in lacks(named):
            yield Contradiction(("key", named.name, name), problem, "")
    secured = [("entity", each.name, each.tls) for each in configuration.entities]
    secured += [("peer", each.name, each.tls) for each in configuration.peers]
    known = ", ".join(each.name for each in configuration.keys) or "none; write a [[key]]"
    for kind, owner, tls in secured:
        if tls is None or not tls.key_name:
            continue
        place = (kind, owner, "tls", "key")
        if tls.stored is None:
            yield Contradiction(place, f"{tls.key_name!r} is no key of this file", known)
        if tls.certificate or tls.private_key:
            yield Contradiction(place, "contradicts `certificate` and `private_key`", "one of both")


def _coercion(configuration: Configuration) -> Iterator[Contradiction]:
    """What `on_receipt` does must be what extended negotiation tells (PS3.4 B.3.1.2)."""
    for route in configuration.routes:
        if not route.on_receipt:
            continue
        for entity in configuration.entities:
            wanted = route.match.entities
            if wanted and entity.name not in wanted:
                continue
            if entity.services_of("storage", "scp") and not entity.storage.coercion:
                yield Contradiction(
                    ("entity", entity.name, "storage", "coercion"),
                    f"is 0, and route {route.name!r} changes objects on receipt",
                    "1, or a route that names other entities",
                )


def _retry(configuration: Configuration) -> Iterator[Contradiction]:
    tables: list[tuple[tuple[str, ...], Retry]] = [
        (("delivery", "retry"), configuration.delivery.retry),
        (("mail", "retry"), configuration.mail.retry),
    ]
    tables += [
        (("peer", each.name, "retry"), each.retry)
        for each in configuration.peers
        if each.retry is not None
    ]
    for key, retry in tables:
        if retry.longest < retry.first:
            yield Contradiction(
                (*key, "longest"),
                f"{retry.longest:g} s is shorter than the first wait",
                f"at least {retry.first:g}",
            )


def _lossy(configuration: Configuration) -> Iterator[Contradiction]:
    for peer in configuration.peers:
        if peer.lossy.allowed and peer.commitment.each != "never":
            yield Contradiction(
                ("peer", peer.name, "lossy", "allowed"),
                "contradicts `commitment`: the peer cannot commit to objects that it was not sent",
                "false",
            )


def _compression(configuration: Configuration) -> Iterator[Contradiction]:
    entities = [each.name for each in configuration.entities]
    for rule in configuration.compressions:
        for uid in rule.to:
            syntax = encoding_of(uid)
            if not syntax.encapsulated or syntax.lossy or syntax.video:
                yield Contradiction(
                    ("compress", rule.name, "to"),
                    f"{syntax.name} is no lossless compression of frames",
                    "lossless compressed transfer syntaxes",
                )
        for name in rule.entities:
            if name not in entities:
                yield Contradiction(
                    ("compress", rule.name, "entity"),
                    f"there is no entity {name!r}",
                    ", ".join(entities),
                )


def _audit(configuration: Configuration) -> Iterator[Contradiction]:
    yield from _receivers(configuration.audit.repositories, ("audit", "repository"))


def _secure_use(configuration: Configuration) -> Iterator[Contradiction]:
    for peer in configuration.peers:
        if peer.secure_use and peer.tls is not None and not is_mutual(peer.tls):
            yield Contradiction(
                ("peer", peer.name, "secure_use"),
                "is true, and not both sides show a certificate (PS3.15 A.1.1)",
                "false, or `tls` with a certificate and `peer_certificate` required",
            )
    taking = [each for each in configuration.peers if each.takes_originals]
    for peer in taking:
        where = ("peer", peer.name, "takes_originals")
        if not (peer.secure_use and is_mutual(peer.tls)):
            yield Contradiction(
                where, "is true, and the peer does not follow the profile", "`secure_use` and `tls`"
            )
        if peer.commitment.each == "never" or peer.commitment.peer not in ("", peer.name):
            yield Contradiction(
                where,
                "is true, and it is not asked itself to commit to them (PS3.15 A.1.1 d 4)",
                "`commitment.each` other than never, and no `commitment.peer`",
            )
    for peer in taking[1:]:
        yield Contradiction(
            ("peer", peer.name, "takes_originals"),
            f"is true, as for {taking[0].name}: one holds an original (PS3.15 A.1.1 c)",
            "false",
        )
    if configuration.secure_use.originals and not configuration.secure_use.certification:
        yield Contradiction(
            ("secure_use", "certification"),
            "is missing, and originals have it (PS3.15 A.1.1 a)",
            "the number of the equipment's certification",
        )
    for entity in configuration.entities:
        if configuration.secure_use.enabled and entity.storage.level != 2:
            yield Contradiction(
                ("entity", entity.name, "storage", "level"),
                f"is {entity.storage.level}, and [secure_use] wants all kept (PS3.15 A.1.1 g)",
                "2",
            )
        if configuration.secure_use.enabled and entity.storage.onward:
            yield Contradiction(
                ("entity", entity.name, "storage", "onward"),
                "passes objects on as they are, and [secure_use] wants their status changed",
                "empty",
            )


def _mail(configuration: Configuration) -> Iterator[Contradiction]:
    yield from _mail_server(configuration.mail, ("mail",))


def _mail_server(mail: MailServer, where: tuple[str, ...]) -> Iterator[Contradiction]:
    if mail.host and not mail.sender:
        yield Contradiction((*where, "from"), "is empty, and there is a mail server", "an address")
    if mail.user and mail.security == "none":
        yield Contradiction(
            (*where, "security"),
            "is none, and a password would go over the network",
            "starttls, implicit, or no user",
        )


def _alerts(configuration: Configuration) -> Iterator[Contradiction]:
    mail = configuration.alerts.mail
    yield from _mail_server(mail, ("alerts", "mail"))
    if mail.recipients and not (mail.host or configuration.mail.host):
        yield Contradiction(
            ("alerts", "mail", "host"), "is empty, and so is that of [mail]", "a mail server"
        )
    yield from _receivers(configuration.alerts.syslog, ("alerts", "syslog"))


def _receivers(tables: Sequence[SyslogReceiver], place: tuple[str, ...]) -> Iterator[Contradiction]:
    for each in tables:
        if each.transport != "journal" and each.address is None:
            yield Contradiction((*place, each.name, "address"), "is missing", '"HOST:PORT"')


def _deidentification(configuration: Configuration) -> Iterator[Contradiction]:
    for rule in configuration.deidentifications:
        if {"retain-full-dates", "retain-modified-dates"} <= set(rule.options):
            yield Contradiction(
                ("deidentify", rule.name, "options"),
                "keeps dates as they are, and modified (PS3.15 E.3.6)",
                "retain-full-dates or retain-modified-dates",
            )
    for route in configuration.routes:
        way = configuration.deidentification(route.deidentify)
        for name in route.deliver if way is not None else ():
            peer = configuration.peer(name)
            if peer is not None and peer.commitment.each != "never":
                yield Contradiction(
                    ("route", route.name, "deidentify"),
                    f"contradicts `commitment` of {name!r}: the peer cannot commit to objects that "
                    "it was not sent",
                    "a peer whose commitment.each is never",
                )


def _secure_transport(configuration: Configuration) -> Iterator[Contradiction]:
    tables: list[tuple[tuple[str, ...], Tls]] = [
        (("peer", each.name, "tls"), each.tls) for each in configuration.peers if each.tls
    ]
    for entity in configuration.entities:
        key = ("entity", entity.name)
        if entity.tls_port and (entity.tls is None or not entity.port):
            missing = "port" if entity.tls is not None else "table `tls`"
            yield Contradiction(
                (*key, "tls_port"), f"is given, and there is no {missing}", "0, or both"
            )
        elif entity.tls_port == entity.port != 0:
            yield Contradiction((*key, "tls_port"), "is `port` as well", "another port, or 0")
        if entity.tls is not None:
            tables.append(((*key, "tls"), entity.tls))
            if entity.tls.fingerprints and entity.tls.peer_certificate == "none":
                yield Contradiction(
                    (*key, "tls", "fingerprints"),
                    "can never fit: with peer_certificate = none a client is not asked for one",
                    "peer_certificate = required or optional",
                )
    for place, tls in tables:
        if tls.crl_of_authorities and not tls.crl:
            yield Contradiction(
                (*place, "crl_of_authorities"), "is true, and `crl` names no lists", "false"
            )
        if tls.ocsp_of_authorities and tls.ocsp == "off":
            yield Contradiction(
                (*place, "ocsp_of_authorities"), "is true, and `ocsp` asks nobody", "false"
            )
        if tls.crl and tls.peer_certificate == "none":
            yield Contradiction(
                (*place, "crl"),
                "is never looked at: with peer_certificate = none no certificate is checked",
                "no lists, or peer_certificate = required",
            )


def _signatures(configuration: Configuration) -> Iterator[Contradiction]:
    ours = configuration.signatures
    if bool(ours.signing_key) != bool(ours.signing_certificate):
        missing = "signing_certificate" if ours.signing_key else "signing_key"
        yield Contradiction(
            ("signatures", missing), "is missing: key and certificate go together", "a file"
        )
    if ours.replace and not (ours.signing_key and ours.trust):
        yield Contradiction(
            ("signatures", "replace"),
            "is true: it needs a `signing_key`, and a `trust` in those whose signatures go",
            "false",
        )
    for capture in configuration.captures:
        if capture.sign and not ours.signing_key:
            yield Contradiction(
                ("capture", capture.name, "sign"),
                "is true, and [signatures] has no signing_key",
                "false",
            )
    for entity in configuration.entities:
        storage = entity.storage
        if storage.level == 2 and storage.signature_level == 2:
            place = ("entity", entity.name, "storage", "signature_level")
            if not ours.replace:
                yield Contradiction(
                    place,
                    "is 2, and [signatures] does not `replace` what a change breaks (PS3.4 "
                    "B.4.1.4)",
                    "1 or 3, or replace = true",
                )
            elif storage.signatures == "ignore":
                yield Contradiction(
                    place,
                    "is 2, and signatures of what comes in are not looked at (PS3.4 B.4.1.4)",
                    '1 or 3, or signatures = "note", "refuse" or "require"',
                )
        if storage.signatures == "require" and not ours.trust:
            yield Contradiction(
                ("entity", entity.name, "storage", "signatures"),
                "is 'require', and [signatures] trusts nobody",
                "note or refuse, or a `trust` in [signatures]",
            )


def _identities(configuration: Configuration) -> Iterator[Contradiction]:
    """Who is to be told by a user identity must be asked for one, and somebody must know it."""
    identity, entities = configuration.identity, configuration.entities
    verifier = identity.verifier
    if verifier.program and verifier.socket:
        yield Contradiction(
            ("identity", "verifier", "socket"), "is one verifier, `program` another", "one of them"
        )
    if verifier.program and not verifier.program[0].startswith("/"):
        yield Contradiction(
            ("identity", "verifier", "program"),
            f"{verifier.program[0]!r} would be searched for",
            "an absolute path",
        )
    known = {"username", "username-and-passcode"} if identity.passcodes else set()
    known |= set(verifier.kinds) if verifier else set()
    for entity in entities:
        accepted = entity.accept.identity
        if accepted.wanted != "ignored" and not known & set(accepted.kinds):
            yield Contradiction(
                ("entity", entity.name, "accept", "identity", "wanted"),
                f"is {accepted.wanted}, and nobody knows such identities",
                "ignored, or [identity] with `passcodes` or a verifier of these kinds",
            )
        for service in entity.services:
            own = service.accept.identity if service.accept is not None else None
            if own is not None and own.wanted == "required" and accepted.wanted == "ignored":
                yield Contradiction(
                    ("entity", entity.name, "service", service.name, "accept", "identity"),
                    "requires what the entity ignores, so nobody could ever use the service",
                    "accept.identity.wanted of the entity: optional or required",
                )
    names = [each.name for each in entities]
    looks = any(each.accept.identity.wanted != "ignored" for each in entities)
    for rule in configuration.access.rules:
        place = ("access", "rule", rule.name)
        if (rule.users or rule.identities) and not looks:
            yield Contradiction(
                (*place, "user"),
                "never holds: every entity ignores user identities",
                "an entity with accept.identity.wanted: optional or required",
            )
        for name in rule.entities:
            if name not in names:
                yield Contradiction(
                    (*place, "entity"), f"there is no entity {name!r}", ", ".join(names)
                )


def _presented(configuration: Configuration) -> Iterator[Contradiction]:
    """An identity of ours must have what its kind consists of (PS3.7 Table D.3-14)."""
    for peer in configuration.peers:
        identity, place = peer.identity, ("peer", peer.name, "identity")
        if not identity:
            continue
        if identity.kind in ("username", "username-and-passcode") and not identity.user:
            yield Contradiction(
                (*place, "user"), f"is empty, and {identity.kind} has one", "a name"
            )
        if identity.kind != "username" and not identity.secret:
            yield Contradiction(
                (*place, "secret"), f"is missing, and {identity.kind} is one", "where it lies"
            )
