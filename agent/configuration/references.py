"""Where a configuration names peers for procedures: each name must be that of a peer."""

from __future__ import annotations

from collections.abc import Iterator

from agent.configuration.configuration import Configuration


def named_peers(configuration: Configuration) -> Iterator[tuple[tuple[str, ...], str]]:
    """The place and the name of each."""
    yield ("worklist", "peer"), configuration.worklist.peer
    for name in configuration.steps.peers:
        yield ("steps", "peer"), name
    for name in configuration.steps.available:
        yield ("steps", "available"), name
    for kind, rules in (
        ("prefetch", configuration.prefetches),
        ("precache", configuration.precaches),
    ):
        for rule in rules:
            for name in rule.peers:
                yield (kind, rule.name, "peer"), name
    for entity in configuration.entities:
        for name in entity.steps.forward:
            yield ("entity", entity.name, "steps", "forward"), name
        for name in entity.steps.notify:
            yield ("entity", entity.name, "steps", "notify"), name
    for peer in configuration.peers:
        yield ("peer", peer.name, "commitment", "peer"), peer.commitment.peer
