"""What the conformance statement says of retrieval as SCU: what is fetched, and by which rules
(PS3.4 C.4.1.2, C.4.2.2, C.4.3.2, C.6)."""

from __future__ import annotations

from collections.abc import Iterator

from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity
from agent.configuration.fetching import Precache, Prefetch
from agent.configuration.peer import Peer
from agent.conformance_sections import section

_RETRIEVES = frozenset(("get", "move"))

_EACH: tuple[tuple[str, str], ...] = (
    (
        "Real-world activities",
        "a person asks for studies, a series or instances; a rule does; a transfer to a third "
        "application, direct (C-MOVE to it) or by way of this node (C-MOVE or C-GET, then C-STORE)",
    ),
    (
        "Information model",
        "Study Root, hierarchical; extended negotiation is not proposed",
    ),
    (
        "Request identifier",
        "Query/Retrieve Level and unique keys only (C.4.2.2.1, C.4.3.2.1)",
    ),
    (
        "What was asked for is complete",
        "when every instance that the peer lists is here; without a list, when its final response "
        "says success and as many came as it counts",
    ),
    (
        "What did not come",
        "is asked for again by its SOP Instance UIDs at the IMAGE level, up to 100 in one request",
    ),
    ("Contexts of a C-GET", "those of the classes that the peer lists, with the role of an SCP"),
    (
        "C-STORE while a C-MOVE of ours waits",
        "by Study and Series Instance UID, or SOP Instance UID where instances were asked for; "
        "Move Originator is not required; where `solicited` is on, all else is refused with 0124H",
    ),
    (
        "Cancel",
        "C-CANCEL when a person stops it or the node ends; then the final response is awaited",
    ),
    ("Retrievals at once", "one of each peer"),
    (
        "After a restart",
        "goes on with what is missing; nothing that is here is asked for again",
    ),
)

_RESPONSES: tuple[tuple[str, str], ...] = (
    ("0000H", "complete, where all came"),
    ("FF00H", "a sign of life; its counters are shown"),
    ("B000H", "what is missing is asked for again, at the IMAGE level"),
    ("A701H, A702H", "tried again with increasing waits"),
    ("A801H", "tried again with increasing waits: the peer does not know our AE title"),
    ("A900H, Cxxx, others", "tried again with increasing waits, with the peer's own words"),
    ("FE00H", "stopped by a person: discontinued; else tried again"),
    ("no such objects", "over at once, and says why"),
    ("no answer, abort", "tried again with increasing waits"),
    ("whatever failed to the end of the retries", "held for a person"),
)


def fetching(entity: Entity, configuration: Configuration) -> Iterator[str]:
    """The sections of an entity in whose name something is retrieved, as lines of Markdown."""
    peers = [
        each
        for each in configuration.peers
        if each.entity == entity.name and each.addresses and _RETRIEVES & set(each.services)
    ]
    if not peers:
        return
    yield from section("Retrieval as SCU (PS3.4 C.4.2.2, C.4.3.2)", _EACH)
    yield ""
    yield "| from | by | instances are listed | references are followed | given up after |"
    yield "|---|---|---|---|---|"
    for peer in peers:
        yield f"| {' | '.join(_of_peer(peer))} |"
    yield ""
    yield "| final response | behaviour |"
    yield "|---|---|"
    for status, behaviour in _RESPONSES:
        yield f"| {status} | {behaviour} |"
    names = {each.name for each in peers}
    for prefetch in configuration.prefetches:
        if prefetch.enabled and names & set(prefetch.peers):
            yield from section(f"Prior studies, rule {prefetch.name}", _prefetch(prefetch))
    for precache in configuration.precaches:
        if precache.enabled and names & set(precache.peers):
            yield from section(f"Studies of some days, rule {precache.name}", _precache(precache))


def _of_peer(peer: Peer) -> Iterator[str]:
    fetch = peer.fetch
    both = set(peer.services) >= _RETRIEVES
    used = fetch.by if both else next(each for each in peer.services if each in _RETRIEVES)
    lists = fetch.instance_query and "query" in peer.services
    yield peer.title
    yield f"C-{used.upper()}"
    one = ", one UID in each request" if peer.quirks.single_uids else ""
    yield f"{'C-FIND at SERIES and IMAGE' if lists else 'no'}{one}"
    yield "yes" if fetch.references else "no"
    yield f"{fetch.patience:g} s without any object"


def _prefetch(rule: Prefetch) -> Iterator[tuple[str, str]]:
    yield "Triggered by", f"an entry of the worklist, looked at every {rule.every:g} s"
    yield "C-FIND", "STUDY, by Patient ID; a study that several peers have comes from the first"
    yield "Peers", ", ".join(rule.peers)
    yield "Studies of a patient", f"the latest {rule.most}"
    yield "Greatest age", f"{rule.days} days" if rule.days else "any"
    yield "Modalities in Study", ", ".join(rule.modalities) or "any"
    parts = ", ".join(rule.body_parts)
    yield "Body Part Examined", f"{parts}: one C-FIND at SERIES for each study" if parts else "any"


def _precache(rule: Precache) -> Iterator[tuple[str, str]]:
    yield "Triggered", f"every {rule.every:g} s"
    yield (
        "C-FIND",
        f"STUDY, with a range of Study Date from {rule.days_before} days before today to "
        f"{rule.days_after} after",
    )
    yield "Peers", ", ".join(rule.peers)
    yield "Answers of one peer", f"{rule.most}; then C-CANCEL"
    yield "Modalities in Study", ", ".join(rule.modalities) or "any"
    yield "Patient IDs that are passed over", ", ".join(rule.skip) or "none"
    yield "Retrieved", "studies that are not here, or have more instances than when they came"
