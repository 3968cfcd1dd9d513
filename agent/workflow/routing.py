"""Routing: what becomes of an object that came in, by the routes of the configuration.

`Routing` is asked in the archive's storage worker, so it is plain data and keeps no state.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.archive.decision import DELIVER, Decision, JobPlan, Origin
from agent.archive.examinations import WAITS_FOR_REVIEW
from agent.archive.records import WAITS_FOR_COMMITMENT, Flag
from agent.configuration.configuration import Configuration
from agent.configuration.patterns import fits
from agent.configuration.route import FETCHED, Condition, Match, Route
from agent.dataset import tags
from agent.dataset.character_set import decode_text
from agent.dataset.head import Head
from agent.dataset.sop_classes import NON_PATIENT
from agent.workflow.changes import encode_changes, values_after
from agent.workflow.instance_status import (
    ABOVE_NOT_SPECIFIED,
    NOT_SPECIFIED,
    flags_of,
    trusted_senders,
)

_BY_STORAGE = frozenset(("network", FETCHED))
_ALWAYS = frozenset((tags.SOP_CLASS_UID, tags.MODALITY, tags.SPECIFIC_CHARACTER_SET))


def _texts(head: Head, tag: int) -> list[str]:
    """The values of an attribute; none when it is absent or empty."""
    raw = head.values.get(tag)
    if not raw:
        return []
    vr = head.vrs.get(tag, "") or tags.known_value_representation(tag) or "LO"
    text = decode_text(raw, vr, head.values.get(tags.SPECIFIC_CHARACTER_SET))
    return [each.strip(" \0") for each in text.split("\\")]


def _one_fits(condition: Condition, value: str) -> bool:
    if condition.equals is not None:
        return value == condition.equals
    if condition.one_of is not None:
        return value in condition.one_of
    if condition.wildcard is not None:
        return fnmatch.fnmatchcase(value, condition.wildcard.replace("[", "[[]"))
    return condition.regex is not None and fits(condition.regex, value)


def condition_holds(condition: Condition, head: Head) -> bool:
    """Whether one test of an attribute holds for this object."""
    values = _texts(head, condition.attribute)
    if condition.exists is not None:
        holds = condition.exists == any(values)
    else:
        holds = any(_one_fits(condition, value) for value in values)
    return holds != condition.negate


def matches(match: Match, head: Head, origin: Origin) -> bool:
    """Whether all that is given holds."""
    named = (
        (match.called, origin.called),
        (match.calling, origin.calling),
        (match.peers, origin.peer),
        (match.entities, origin.entity),
        (match.sources, origin.source),
    )
    if any(wanted and value not in wanted for wanted, value in named):
        return False
    if origin.source == FETCHED and FETCHED not in match.sources:
        # It would go back to where it came from.
        return False
    if match.modalities and not set(match.modalities) & set(_texts(head, tags.MODALITY)):
        return False
    if match.sop_classes and not set(match.sop_classes) & set(_texts(head, tags.SOP_CLASS_UID)):
        return False
    return all(condition_holds(each, head) for each in match.conditions)


@dataclass(frozen=True)
class Routing:
    """The routes, as the archive's receiver. `peers` finds a peer's name by its calling title:
    after a crash the title is all that is left of an object's origin."""

    routes: tuple[Route, ...]
    peers: Mapping[str, str] = field(default_factory=dict)
    reviewed: frozenset[str] = frozenset()
    """Capture devices whose objects wait until a person has accepted them."""
    trusted: frozenset[tuple[str, str]] | None = None
    """Pairs of entity and peer whose SOP Instance Status is kept; None: that of all."""

    @classmethod
    def of(cls, configuration: Configuration) -> Routing:
        return cls(
            tuple(each for each in configuration.routes if each.enabled),
            {title: peer.name for peer in configuration.peers for title in peer.titles},
            frozenset(each.name for each in configuration.captures if each.review),
            trusted_senders(configuration),
        )

    @property
    def wanted(self) -> frozenset[int]:
        found = set(_ALWAYS)
        if self.trusted is not None:
            found.add(tags.SOP_INSTANCE_STATUS)
        for route in self.routes:
            found.update(each.attribute for each in route.match.conditions)
            found.update(each.attribute for each in route.on_receipt)
        return frozenset(found)

    def _must_lose_status(self, head: Head, origin: Origin) -> bool:
        """PS3.15 A.1.1 f 2: what came unsecured, or from one who does not follow the profile."""
        if self.trusted is None or origin.source not in _BY_STORAGE:
            return False
        status = head.values.get(tags.SOP_INSTANCE_STATUS, b"").strip(b" \0")
        return status in ABOVE_NOT_SPECIFIED and (origin.entity, origin.peer) not in self.trusted

    def receive(self, head: Head, origin: Origin) -> Decision:
        """The jobs of all routes that fit; a destination gets an object once."""
        jobs: dict[str, JobPlan] = {}
        coercions: dict[int, bytes | None] = {}
        dropped = False
        non_patient = origin.sop_class_uid in NON_PATIENT
        waits = origin.source == "capture" and origin.entity in self.reviewed
        flags = 0
        if not non_patient and self._must_lose_status(head, origin):
            coercions[tags.SOP_INSTANCE_STATUS] = NOT_SPECIFIED
        elif not non_patient and self.trusted is not None:
            flags = flags_of(head.values.get(tags.SOP_INSTANCE_STATUS), origin)
        for route in self.routes:
            if not matches(route.match, head, origin):
                continue
            dropped = dropped or route.drop
            if not non_patient:
                # PS3.4 GG.4.2: objects of no patient are never changed.
                coercions.update(values_after(route.on_receipt, head.values))
            for destination in route.deliver:
                jobs.setdefault(
                    destination,
                    JobPlan(
                        DELIVER,
                        destination,
                        priority=route.priority,
                        delay=route.delay,
                        hold=f"held by the route {route.name}"
                        if route.hold
                        else WAITS_FOR_REVIEW * waits
                        or WAITS_FOR_COMMITMENT * bool(flags & Flag.UNCONFIRMED),
                        payload=encode_changes(
                            route.changes, "" if non_patient else route.deidentify
                        ),
                    ),
                )
            if route.last:
                break
        return Decision(
            jobs=tuple(jobs.values()),
            # An original is not thrown away (PS3.15 A.1.1 c).
            discard=dropped and not jobs and not flags,
            coercions=coercions,
            flags=flags,
        )
