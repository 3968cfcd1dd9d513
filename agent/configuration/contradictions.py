"""What cannot all be meant: keys of different parts that contradict each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from agent.configuration.configuration import Configuration
from agent.configuration.connection import Retry
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
    yield from _deidentification(configuration)


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


def _mail(configuration: Configuration) -> Iterator[Contradiction]:
    mail = configuration.mail
    if mail.host and not mail.sender:
        yield Contradiction(("mail", "from"), "is empty, and there is a mail server", "an address")
    if mail.user and mail.security == "none":
        yield Contradiction(
            ("mail", "security"),
            "is none, and a password would go over the network",
            "starttls, implicit, or no user",
        )


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
