"""The rules of `[[access.rule]]`: which services, roles, SOP classes and operations a caller may
use. The first rule that fits decides; the conditions on the caller are looked at once."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from agent.configuration.access import OPERATIONS, Access, AccessRule
from agent.configuration.distinguished_name import Attributes, parse
from agent.network.pdu import AssociateReject
from agent.network.rejection import (
    CALLED_AE_TITLE_NOT_RECOGNIZED,
    CALLING_AE_TITLE_NOT_RECOGNIZED,
    NO_REASON_GIVEN,
    USER_IDENTITY_NOT_AUTHORIZED,
)
from agent.security.applicant import Applicant
from agent.security.wildcard import fits

ALL_OPERATIONS = frozenset(OPERATIONS)
NONE: frozenset[str] = frozenset()
OTHERWISE = "otherwise"

_RETRIEVE = {"get": "C-GET", "move": "C-MOVE", "query": "C-FIND"}

# What is asked of the SCP of each service (PS3.4); N-EVENT-REPORT is asked of the SCU.
SERVICE_OPERATIONS: Mapping[str, frozenset[str]] = {
    "verification": frozenset(("C-ECHO",)),
    "storage": frozenset(("C-STORE",)),
    "non-patient-object-storage": frozenset(("C-STORE",)),
    "worklist": frozenset(("C-FIND",)),
    "repository-query": frozenset(("C-FIND",)),
    **{name: frozenset((operation,)) for name, operation in _RETRIEVE.items()},
    **{f"non-patient-{name}": frozenset((each,)) for name, each in _RETRIEVE.items()},
    "instance-move": frozenset(("C-MOVE",)),
    "instance-get": frozenset(("C-GET",)),
    "get-without-bulk-data": frozenset(("C-GET",)),
    "performed-step": frozenset(("N-CREATE", "N-SET", "N-GET")),
    "step-notification": frozenset(("N-EVENT-REPORT",)),
    "commitment": frozenset(("N-ACTION", "N-EVENT-REPORT")),
    "availability": frozenset(("N-CREATE",)),
    "event-logging": frozenset(("N-ACTION",)),
    "media-creation": frozenset(("N-CREATE", "N-ACTION", "N-GET")),
    "inventory-creation": frozenset(("N-ACTION", "N-GET", "N-EVENT-REPORT")),
}


class Verdict(NamedTuple):
    """Operations that one rule decides upon; `rule` is its name, or `OTHERWISE`."""

    rule: str
    allow: bool
    operations: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule with its conditions ready to be looked at."""

    table: AccessRule
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
    subjects: tuple[Attributes, ...]
    issuers: tuple[Attributes, ...]
    operations: frozenset[str]

    @classmethod
    def of(cls, table: AccessRule) -> _Rule:
        return cls(
            table,
            tuple(ipaddress.ip_network(each) for each in table.networks),
            tuple(parse(each) for each in table.subjects),
            tuple(parse(each) for each in table.issuers),
            frozenset(table.operations) or ALL_OPERATIONS,
        )

    @property
    def is_about_everything(self) -> bool:
        table = self.table
        return not (table.services or table.roles or table.sop_classes or table.operations)

    def is_about(self, service: str, role: str, sop_class: str) -> bool:
        table = self.table
        return (
            (not table.services or service in table.services)
            and (not table.roles or role in table.roles)
            and (not table.sop_classes or sop_class in table.sop_classes)
        )

    def fits(self, entity: str, applicant: Applicant, without: str = "") -> bool:
        """Whether all conditions on the caller hold; the one named in `without` is passed over
        where the rule allows something."""
        passed_over = without if self.table.allow else ""
        return all(
            name == passed_over or holds(self, entity, applicant)
            for name, holds in _CONDITIONS.items()
        )

    def names(self, condition: str) -> bool:
        """Whether it has such a condition."""
        return any(getattr(self.table, field) for field in _FIELDS[condition])


def _any_fits(patterns: tuple[str, ...], text: str) -> bool:
    return not patterns or any(fits(each, text) for each in patterns)


def _is_in_networks(rule: _Rule, entity: str, applicant: Applicant) -> bool:
    if not rule.networks:
        return True
    try:
        address = ipaddress.ip_address(applicant.address.partition("%")[0])
    except ValueError:
        return False
    return any(address in network for network in rule.networks)


def _certificate_fits(rule: _Rule, entity: str, applicant: Applicant) -> bool:
    table, shown = rule.table, applicant.certificate
    if not (rule.subjects or rule.issuers or table.fingerprints):
        return True
    if shown is None:
        return False
    return (
        (not rule.subjects or any(_has(shown.subject, each) for each in rule.subjects))
        and (not rule.issuers or any(_has(shown.issuer, each) for each in rule.issuers))
        and (not table.fingerprints or shown.fingerprint in table.fingerprints)
    )


def _has(name: Attributes, wanted: Attributes) -> bool:
    # RFC 5280 7.1: attributes of names are compared without regard to case.
    return all(
        any(kind == asked and fits(pattern.casefold(), value.casefold()) for kind, value in name)
        for asked, pattern in wanted
    )


def _user_fits(rule: _Rule, entity: str, applicant: Applicant) -> bool:
    table = rule.table
    if not (table.users or table.identities):
        return True
    if not applicant.identity:
        return False
    known = not table.identities or applicant.identity in table.identities
    return known and _any_fits(table.users, applicant.user)


_Condition = Callable[[_Rule, str, Applicant], bool]

_CONDITIONS: Mapping[str, _Condition] = {
    "entity": lambda rule, entity, _: not rule.table.entities or entity in rule.table.entities,
    "called": lambda rule, _, caller: _any_fits(rule.table.called, caller.called),
    "calling": lambda rule, _, caller: _any_fits(rule.table.calling, caller.calling),
    "network": _is_in_networks,
    "certificate": _certificate_fits,
    "user": _user_fits,
}

# What a caller is told who may have nothing, for want of what (PS3.8 9.3.4; PS3.7 D.3.3.7).
_REJECTIONS: Mapping[str, AssociateReject] = {
    "user": USER_IDENTITY_NOT_AUTHORIZED,
    "certificate": NO_REASON_GIVEN,
    "network": NO_REASON_GIVEN,
    "called": CALLED_AE_TITLE_NOT_RECOGNIZED,
    "calling": CALLING_AE_TITLE_NOT_RECOGNIZED,
}


# The keys that each condition is made of.
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "user": ("users", "identities"),
    "certificate": ("subjects", "issuers", "fingerprints"),
    "network": ("networks",),
    "called": ("called",),
    "calling": ("calling",),
}


class Grants:
    """What one caller may use of one entity."""

    def __init__(self, rules: Iterable[_Rule], otherwise: bool) -> None:
        self._rules = tuple(rules)
        self._otherwise = otherwise

    @property
    def is_nothing(self) -> bool:
        """Whether the caller may use nothing at all, whatever it asks for."""
        if self.barring is not None:
            return True
        return not (self._otherwise or any(rule.table.allow for rule in self._rules))

    @property
    def barring(self) -> _Rule | None:
        """The rule that refuses everything before any allows something."""
        for rule in self._rules:
            if rule.table.allow:
                return None
            if rule.is_about_everything:
                return rule
        return None

    def verdicts(self, service: str, role: str, sop_class: str) -> list[Verdict]:
        """What each rule decides of the operations of a SOP class, in the order of the rules."""
        left = SERVICE_OPERATIONS.get(service, ALL_OPERATIONS)
        found = []
        for rule in self._rules:
            taken = rule.operations & left
            if taken and rule.is_about(service, role, sop_class):
                found.append(Verdict(rule.table.name, rule.table.allow, taken))
                left -= taken
        if left:
            found.append(Verdict(OTHERWISE, self._otherwise, left))
        return found

    def operations(self, service: str, role: str, sop_class: str) -> frozenset[str]:
        """The operations that are allowed on a context of this SOP class."""
        allowed = [each.operations for each in self.verdicts(service, role, sop_class) if each[1]]
        return NONE.union(*allowed)


class AccessRules:
    """The rules of a configuration; without any, `accept` of the entities alone decides."""

    def __init__(self, access: Access) -> None:
        self._rules = tuple(_Rule.of(each) for each in access.rules)
        self._otherwise = access.otherwise == "allow"

    def __bool__(self) -> bool:
        return bool(self._rules)

    def grants(self, entity: str, applicant: Applicant, without: str = "") -> Grants:
        """What the applicant may use; as if the condition named in `without` held of each rule."""
        if not self._rules:
            return Grants((), True)
        fitting = (each for each in self._rules if each.fits(entity, applicant, without))
        return Grants(fitting, self._otherwise)

    def rejection(self, entity: str, applicant: Applicant) -> tuple[str, AssociateReject]:
        """For a caller who may have nothing: for want of what, and what it is told."""
        barring = self.grants(entity, applicant).barring
        if barring is not None:
            for condition, reject in _REJECTIONS.items():
                if barring.names(condition):
                    return condition, reject
        for condition, reject in _REJECTIONS.items():
            if not self.grants(entity, applicant, condition).is_nothing:
                return condition, reject
        named = any(
            each.table.allow and _any_fits(each.table.calling, applicant.calling)
            for each in self._rules
        )
        return ("rule", NO_REASON_GIVEN) if named else ("calling", CALLING_AE_TITLE_NOT_RECOGNIZED)
