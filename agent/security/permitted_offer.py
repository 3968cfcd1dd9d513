"""An entity's offer, cut to what one caller may use.

What is offered, and not to this caller, is answered with user-rejection (PS3.8 Table 9-18, 1); what
nobody is offered stays abstract-syntax-not-supported (3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from agent.errors import LocalError, StatusReaction
from agent.network.commands import MESSAGES
from agent.network.data_set import DataSetSink
from agent.network.exchange import IncomingRequest, Response, ServiceProvider
from agent.network.negotiation import AcceptorOffer, SyntaxOffer
from agent.network.status import NOT_AUTHORIZED, TEXTS
from agent.network.user_information import CommonExtendedNegotiation
from agent.security.access_rules import ALL_OPERATIONS, NONE, SERVICE_OPERATIONS, Grants
from agent.security.refusals import note_refusal

# PS3.7 10.1.1: asked of the SCU, all else of the SCP.
_OF_THE_SCU = frozenset(("N-EVENT-REPORT",))


class ClassServices(Protocol):
    """By which services an entity serves a SOP class in a role ("scp", "scu") of its own."""

    def of(self, sop_class: str, role: str) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class PermittedOffer:
    """`served_as` has, for each class whose offer was changed, what it was found as before;
    `operations` the operations allowed on classes where some are not. `refused` are the classes
    that the caller proposed in vain."""

    offer: AcceptorOffer
    served_as: Mapping[str, str]
    operations: Mapping[str, frozenset[str]]
    refused: tuple[str, ...]

    def providers(self, providers: Mapping[str, ServiceProvider]) -> Mapping[str, ServiceProvider]:
        """The entity's providers, guarded where only some operations are allowed."""
        if not self.served_as:
            return providers
        found = dict(providers)
        for uid, served_as in self.served_as.items():
            provider = providers.get(served_as)
            if provider is not None:
                allowed = self.operations.get(uid)
                found[uid] = provider if allowed is None else GuardedProvider(provider, allowed)
        return found


def permitted_offer(
    offer: AcceptorOffer,
    proposed: Iterable[str],
    announced: Mapping[str, CommonExtendedNegotiation],
    grants: Grants,
    services: ClassServices,
) -> PermittedOffer:
    """The offer for a caller with these grants, who proposes these abstract syntaxes."""
    changed: dict[str, SyntaxOffer] = {}
    served_as: dict[str, str] = {}
    guarded: dict[str, frozenset[str]] = {}
    for uid in dict.fromkeys(proposed):
        found = offer.find(uid, announced.get(uid))
        if found is None:
            continue
        offered = found[1]
        as_scp, all_as_scp = _allowed(grants, services.of(uid, "scp"), "scp", uid)
        as_scu, all_as_scu = _allowed(grants, services.of(uid, "scu"), "scu", uid)
        allowed = (as_scp - _OF_THE_SCU) | (as_scu & _OF_THE_SCU)
        asked = (all_as_scp - _OF_THE_SCU) | (all_as_scu & _OF_THE_SCU)
        fresh = replace(
            offered,
            scp=offered.scp and bool(as_scp - _OF_THE_SCU),
            scu=offered.scu and bool(as_scu),
        )
        if fresh != offered or allowed != asked:
            changed[uid], served_as[uid] = fresh, found[0]
        if allowed != asked:
            guarded[uid] = allowed
    if not changed:
        return PermittedOffer(offer, {}, {}, ())
    refused = tuple(uid for uid, each in changed.items() if not (each.scp or each.scu))
    cut = replace(offer, syntaxes={**offer.syntaxes, **changed})
    return PermittedOffer(cut, served_as, guarded, refused)


def _allowed(
    grants: Grants, services: tuple[str, ...], role: str, uid: str
) -> tuple[frozenset[str], frozenset[str]]:
    """The operations that are allowed, and all there are."""
    allowed = NONE.union(*(grants.operations(each, role, uid) for each in services))
    return allowed, NONE.union(*(SERVICE_OPERATIONS.get(each, ALL_OPERATIONS) for each in services))


class GuardedProvider:
    """Refuses the operations that the caller may not use, with status 0124H."""

    def __init__(self, provider: ServiceProvider, allowed: frozenset[str]) -> None:
        self._provider = provider
        self._allowed = allowed

    def begin(self, request: IncomingRequest) -> DataSetSink | None:
        operation = MESSAGES[request.command.field].name.removesuffix("-RQ")
        if operation not in self._allowed:
            association = request.association
            note_refusal(
                "operation",
                association=association.identification,
                entity=association.entity,
                calling=association.calling_ae_title,
                address=association.address,
                user=association.user or None,
                operation=operation,
                sop_class=request.context.abstract_syntax,
            )
            raise LocalError(
                f"the caller may not ask for {operation} here",
                clause="PS3.7 Annex C",
                value=operation,
                limit=", ".join(sorted(self._allowed)),
                reaction=StatusReaction(NOT_AUTHORIZED, TEXTS[NOT_AUTHORIZED]),
            )
        return self._provider.begin(request)

    async def perform(self, request: IncomingRequest) -> Response | None:
        return await self._provider.perform(request)
