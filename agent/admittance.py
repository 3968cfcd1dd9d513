"""Who is admitted to an association, and to what: `accept` of entities and services, access rules,
user identities and lock-out, in this order. Each refusal is counted and logged here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from agent import observation
from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity
from agent.configuration.peer import Peer
from agent.loop import now
from agent.network.admission import Admission, Caller, Decision
from agent.network.association import Association
from agent.network.exchange import ServiceProvider
from agent.network.negotiation import AcceptorOffer, SyntaxOffer
from agent.network.pdu import AssociateReject, AssociateRequest
from agent.network.rejection import (
    IDENTITY_NOT_VERIFIED,
    LOCAL_LIMIT_EXCEEDED,
    TEMPORARY_CONGESTION,
    USER_IDENTITY_NOT_AUTHORIZED,
)
from agent.network.user_information import CommonExtendedNegotiation
from agent.quoting import Sentence
from agent.security.access import Access, Refusal
from agent.security.applicant import Applicant
from agent.security.lock_out import ConnectionRate, LockOuts
from agent.security.refusals import REFUSED_TOTAL, note_refusal
from agent.services.offer import (
    ClassServices,
    abstract_syntaxes_of,
    class_services_of,
    offer_of,
    providers_of,
)
from agent.services.service import Support

if TYPE_CHECKING:
    from agent.network.user_identity import UserIdentity
    from agent.security.access_rules import AccessRules, Grants
    from agent.security.identity_verification import Call, IdentityVerification

# What is no fault of the caller, or has been counted already.
_NO_FAILURE = frozenset(("locked-out", "not-verified"))
# No question of who it is.
_FULL = frozenset(("limit", "memory"))


class Admittance:
    """Decides by one configuration after the other; failures are remembered across reloads."""

    def __init__(
        self,
        configuration: Configuration,
        support: Callable[[Configuration], Support],
        associations: Callable[[], set[Association]],
        is_short_of_memory: Callable[[], bool],
        call: Call,
    ) -> None:
        self._support = support
        self._associations = associations
        self._is_short_of_memory = is_short_of_memory
        self._call = call
        self._rate = ConnectionRate(now)
        self._lock_outs = LockOuts(configuration.access.lock_out, now)
        self._verifying = 0
        self.follow(configuration)

    def follow(self, configuration: Configuration) -> None:
        """Decide by this configuration from now on."""
        self._configuration = configuration
        self._access = Access(configuration)
        self._lock_outs.table = configuration.access.lock_out
        self._rules: AccessRules | None = None
        self._verification: IdentityVerification | None = None
        if configuration.access.rules:
            from agent.security.access_rules import AccessRules

            self._rules = AccessRules(configuration.access)
        if any(each.accept.identity.wanted != "ignored" for each in configuration.entities):
            from agent.security.identity_verification import IdentityVerification

            self._verification = IdentityVerification(configuration.identity, self._call)
        self._offers: dict[tuple[str, frozenset[str]], AcceptorOffer] = {}
        self._class_services: dict[str, ClassServices] = {}
        support = self._support(configuration)
        self._providers: dict[str, Mapping[str, ServiceProvider]] = {
            entity.name: providers_of(entity, support) for entity in configuration.entities
        }

    # What costs least comes first: before a byte is read.

    def lets_in(self, host: str) -> bool:
        """Whether a connection of this host is worth a look."""
        if self._lock_outs.is_shut_out("host", host):
            REFUSED_TOTAL.of("locked-out").add()
            return False
        most = self._configuration.limits.connections_per_second_per_host
        above = self._rate.exceeds(host, most) if most else 0
        if above > 0:
            if above == 1:
                # Once a second: the log must not be what is flooded.
                note_refusal("rate", address=host, limit=most)
            else:
                REFUSED_TOTAL.of("rate").add()
            return False
        return True

    def failed(self, host: str) -> None:
        """A host had no certificate that we accept, or nothing of TLS in common with us; the log
        has it."""
        REFUSED_TOTAL.of("handshake").add()
        self._lock_outs.failed(host=host)

    def locked_out(self) -> list[dict[str, object]]:
        """Who is shut out now."""
        return self._lock_outs.listing()

    # Associations.

    def admit(
        self, request: AssociateRequest, caller: Caller
    ) -> Decision | Coroutine[Any, Any, Decision]:
        """What an association is admitted to; a coroutine where an identity must be verified."""
        applicant = Applicant(
            request.called_ae_title.strip(),
            request.calling_ae_title.strip(),
            caller.address,
            caller.certificate,
        )
        if self._is_short_of_memory():
            return self._refuse(applicant, Refusal("memory", LOCAL_LIMIT_EXCEEDED))
        if self._lock_outs.is_shut_out("title", applicant.calling):
            return self._refuse(applicant, Refusal("locked-out", TEMPORARY_CONGESTION))
        found = self._access.decide(applicant, caller.local_port, self._counted)
        if isinstance(found, Refusal):
            return self._refuse(applicant, found)
        identity = request.user_information.user_identity
        if self._verification is not None and found[0].accept.identity.wanted != "ignored":
            return self._identify(request, caller, applicant, found[0], identity)
        return self._admit(request, applicant, *found)

    def _identify(
        self,
        request: AssociateRequest,
        caller: Caller,
        applicant: Applicant,
        entity: Entity,
        identity: UserIdentity | None,
    ) -> Decision | Coroutine[Any, Any, Decision]:
        from agent.security.identity_verification import claimed_user, kind_of

        assert self._verification is not None
        wanted, kind = entity.accept.identity, ""
        if identity is not None:
            kind = kind_of(identity)
        if identity is None or kind not in wanted.kinds or not self._verification.knows(kind):
            if wanted.wanted == "required":
                reason = "identity-missing" if identity is None else "identity-kind"
                return self._refuse(
                    applicant, Refusal(reason, USER_IDENTITY_NOT_AUTHORIZED, entity.name)
                )
            # D.3.3.7: who does not support it accepts without a response.
            peer = self._configuration.peer_calling(applicant.calling)
            return self._admit(request, applicant, entity, peer)
        user = claimed_user(identity)
        claimed = applicant._replace(user=user)
        if self._lock_outs.is_shut_out("user", user):
            refusal = Refusal("locked-out", USER_IDENTITY_NOT_AUTHORIZED, entity.name)
            return self._refuse(claimed, refusal)
        if self._verifying >= self._configuration.identity.waiting:
            return self._refuse(claimed, Refusal("limit", LOCAL_LIMIT_EXCEEDED, entity.name))
        return self._verify(request, caller, claimed, entity, identity, self._verification)

    async def _verify(
        self,
        request: AssociateRequest,
        caller: Caller,
        claimed: Applicant,
        entity: Entity,
        identity: UserIdentity,
        verification: IdentityVerification,
    ) -> Decision:
        from agent.security.identity_verification import kind_of

        self._verifying += 1
        try:
            verified = await verification.verify(identity, claimed)
        finally:
            self._verifying -= 1
        if verified.unknown:
            return self._refuse(
                claimed, Refusal("not-verified", IDENTITY_NOT_VERIFIED, entity.name)
            )
        if not verified.accepted:
            refusal = Refusal("identity", USER_IDENTITY_NOT_AUTHORIZED, entity.name)
            return self._refuse(claimed, refusal, why=verified.reason or None)
        if self._lock_outs.is_shut_out("user", claimed.user):
            # Others failed meanwhile: who tries many at once has no more tries for it.
            refusal = Refusal("locked-out", USER_IDENTITY_NOT_AUTHORIZED, entity.name)
            return self._refuse(claimed, refusal)
        self._lock_outs.succeeded(claimed.user)
        applicant = claimed._replace(user=verified.user, identity=kind_of(identity))
        observation.info(
            "user.authenticated",
            entity=entity.name,
            identity=applicant.identity,
            **applicant.for_log(),
        )
        # Others may have come in meanwhile, and the configuration may be another.
        found = self._access.decide(applicant, caller.local_port, self._counted)
        if isinstance(found, Refusal):
            return self._refuse(applicant, found)
        response = verified.response if found[0].accept.identity.respond else None
        return self._admit(request, applicant, *found, response=response)

    def _admit(
        self,
        request: AssociateRequest,
        applicant: Applicant,
        entity: Entity,
        peer: Peer | None,
        *,
        response: bytes | None = None,
    ) -> Decision:
        grants: Grants | None = None
        if self._rules is not None:
            grants = self._rules.grants(entity.name, applicant)
            if grants.is_nothing:
                return self._refuse(
                    applicant, Refusal(*self._rules.rejection(entity.name, applicant), entity.name)
                )
        open_to_caller = self._access.services(applicant, entity)
        window = entity.limits.operations_performed
        wanted = {each.abstract_syntax for each in request.presentation_contexts}
        for table in open_to_caller:
            if not (table.associations or table.operations):
                continue
            if not wanted & abstract_syntaxes_of(entity, table):
                continue
            if table.associations and self._using(entity, table.name) >= table.associations:
                # Transient: another time there is room, and a sender tries again.
                return self._refuse(applicant, Refusal("limit", LOCAL_LIMIT_EXCEEDED, entity.name))
            if table.operations:
                window = min(window or table.operations, table.operations)
        providers = self._providers[entity.name]
        names = frozenset(each.name for each in open_to_caller)
        offer = self._offer_to(request, applicant, entity, names)
        if grants is not None:
            offer, providers = self._permit(request, applicant, entity, offer, grants)
        if window != entity.limits.operations_performed:
            invoked = offer.asynchronous_operations_window[1]
            offer = dataclasses.replace(offer, asynchronous_operations_window=(window, invoked))
        if response is not None:
            offer = dataclasses.replace(offer, user_identity_response=response)
        return Admission(
            offer,
            providers,
            entity.timers,
            entity=entity.name,
            peer=peer.name if peer is not None else "",
            user=applicant.user if applicant.identity else "",
            quick_acknowledge=True if peer is not None and peer.quirks.nagles else None,
        )

    def _permit(
        self,
        request: AssociateRequest,
        applicant: Applicant,
        entity: Entity,
        offer: AcceptorOffer,
        grants: Grants,
    ) -> tuple[AcceptorOffer, Mapping[str, ServiceProvider]]:
        """The offer and the providers, cut to what the rules grant."""
        from agent.security.permitted_offer import permitted_offer

        services = self._class_services.get(entity.name)
        if services is None:
            services = self._class_services[entity.name] = class_services_of(entity)
        proposed = [each.abstract_syntax for each in request.presentation_contexts]
        permitted = permitted_offer(offer, proposed, _announced(request), grants, services)
        self._note_refused(applicant, entity, permitted.refused)
        return permitted.offer, permitted.providers(self._providers[entity.name])

    def _note_refused(self, applicant: Applicant, entity: Entity, classes: tuple[str, ...]) -> None:
        """Contexts that are answered with user-rejection."""
        if classes:
            note_refusal(
                "context",
                len(classes),
                entity=entity.name,
                **applicant.for_log(),
                sop_classes=",".join(classes[:8]),
            )

    def _refuse(
        self, applicant: Applicant, refusal: Refusal, *, why: str | None = None
    ) -> AssociateReject:
        if refusal.reason in _FULL:
            # The log has it already, as an association that was rejected.
            REFUSED_TOTAL.of(refusal.reason).add()
            return refusal.reject
        note_refusal(
            refusal.reason,
            entity=refusal.entity or None,
            why=Sentence(why) if why else None,
            **applicant.for_log(),
        )
        if refusal.reason not in _NO_FAILURE:
            user = applicant.user if refusal.reason == "identity" else ""
            self._lock_outs.failed(host=applicant.address, title=applicant.calling, user=user)
        return refusal.reject

    # Offers.

    def _offer_to(
        self,
        request: AssociateRequest,
        applicant: Applicant,
        entity: Entity,
        names: frozenset[str],
    ) -> AcceptorOffer:
        """The offer with these of its services; what only the others offer is no class that we do
        not support, but one that is refused to this caller."""
        offer = self._offer(entity, names)
        if len(names) == len(entity.services):
            return offer
        whole = self._offer(entity, frozenset(each.name for each in entity.services))
        announced = _announced(request)
        closed: dict[str, SyntaxOffer] = {}
        for context in request.presentation_contexts:
            uid = context.abstract_syntax
            found = whole.find(uid, announced.get(uid))
            if found is not None and offer.find(uid, announced.get(uid)) is None:
                closed[uid] = dataclasses.replace(found[1], scu=False, scp=False)
        if not closed:
            return offer
        self._note_refused(applicant, entity, tuple(closed))
        return dataclasses.replace(offer, syntaxes={**offer.syntaxes, **closed})

    def _offer(self, entity: Entity, services: frozenset[str]) -> AcceptorOffer:
        """What the entity offers with these of its services."""
        found = self._offers.get((entity.name, services))
        if found is None:
            open_services = tuple(each for each in entity.services if each.name in services)
            narrowed = dataclasses.replace(entity, services=open_services)
            found = offer_of(narrowed, self._configuration)
            self._offers[entity.name, services] = found
        return found

    # Who is there already.

    def _using(self, entity: Entity, service: str) -> int:
        """Associations with this entity on which a class of this service was accepted."""
        table = next(each for each in entity.services if each.name == service)
        classes = abstract_syntaxes_of(entity, table)
        return sum(
            each.entity == entity.name
            and any(context.abstract_syntax in classes for context in each.contexts.values())
            for each in self._associations()
        )

    def _counted(self, entity: str, calling: str, address: str) -> int:
        return sum(
            each.entity == entity
            and (not calling or (each.calling_ae_title == calling and each.address == address))
            for each in self._associations()
        )


def _announced(request: AssociateRequest) -> dict[str, CommonExtendedNegotiation]:
    found: dict[str, CommonExtendedNegotiation] = {}
    for item in request.user_information.common_extended:
        found.setdefault(item.sop_class_uid, item)
    return found
