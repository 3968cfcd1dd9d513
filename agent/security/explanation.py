"""What a caller would be answered, and by which rule: for an engineer who tries a configuration.

The same functions decide here and in the node; only limits of number and lock-out are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity
from agent.network.pdu import AssociateReject
from agent.network.rejection import USER_IDENTITY_NOT_AUTHORIZED
from agent.security.access import Access, Refusal
from agent.security.access_rules import AccessRules, Verdict
from agent.security.applicant import Applicant


@dataclass(frozen=True, slots=True)
class Explained:
    """What is said of one SOP class in one role of ours: the services that serve it, and verdicts.

    `closed` is true where the service itself does not accept this caller.
    """

    service: str
    role: str
    sop_class: str
    verdicts: tuple[Verdict, ...]
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Explanation:
    """`reject` is None where the association would be accepted; `reason` is that of the log."""

    entity: str
    reason: str
    reject: AssociateReject | None
    contexts: tuple[Explained, ...] = ()


# (SOP class, our role) -> the names of the services.
Listed = Mapping[tuple[str, str], Iterable[str]]


def explain(
    configuration: Configuration, applicant: Applicant, entity: Entity, listed: Listed
) -> Explanation:
    """What the applicant would be answered who calls this entity for all of these classes."""
    access, rules = Access(configuration), AccessRules(configuration.access)
    found = access.decide(applicant, entity.port, lambda *_: 0)
    if isinstance(found, Refusal):
        return Explanation(entity.name, found.reason, found.reject)
    wanted = found[0].accept.identity
    if wanted.wanted == "required" and applicant.identity not in wanted.kinds:
        reason = "identity-kind" if applicant.identity else "identity-missing"
        return Explanation(entity.name, reason, USER_IDENTITY_NOT_AUTHORIZED)
    grants = rules.grants(entity.name, applicant)
    if grants.is_nothing:
        return Explanation(entity.name, *rules.rejection(entity.name, applicant))
    open_services = {each.service for each in access.services(applicant, entity)}
    contexts = tuple(
        Explained(
            service,
            role,
            sop_class,
            tuple(grants.verdicts(service, role, sop_class)),
            closed=role == "scp" and service not in open_services,
        )
        for (sop_class, role), services in listed.items()
        for service in services
    )
    return Explanation(entity.name, "", None, contexts)
