"""Negotiation of an association, as pure functions for both roles (PS3.8 7.1, PS3.7 D.3).

The requestor turns its needs into proposals (`propose`) and cuts what it says of them to each
association (`information_for`); the acceptor answers from what it offers (`answer`); what both
came to is `AcceptedContexts`. What the acceptor cannot take is refused context by context with its
result, never by rejecting the association.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from agent.errors import LocalError
from agent.network.accepted_contexts import (
    AcceptedContexts,
    OperationsWindow,
    PresentationContext,
    agreed_window,
    roles_by_sop_class,
    smaller_window,
)
from agent.network.pdu import (
    DICOM_APPLICATION_CONTEXT_NAME,
    PROTOCOL_VERSION,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
)
from agent.network.presentation_context import (
    ABSTRACT_SYNTAX_NOT_SUPPORTED,
    ACCEPTANCE,
    MAXIMUM_PRESENTATION_CONTEXTS,
    TRANSFER_SYNTAXES_NOT_SUPPORTED,
    USER_REJECTION,
    PresentationContextProposal,
    PresentationContextResult,
)
from agent.network.rejection import (
    APPLICATION_CONTEXT_NAME_NOT_SUPPORTED,
    PROTOCOL_VERSION_NOT_SUPPORTED,
)
from agent.network.user_information import (
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    RoleSelection,
    UserInformation,
)

__all__ = [
    "AcceptedContexts",
    "AcceptorOffer",
    "ContextNeed",
    "OperationsWindow",
    "PresentationContext",
    "ProposalLimits",
    "SyntaxOffer",
    "agreed_window",
    "answer",
    "information_for",
    "propose",
    "without_secrets",
]

# PS3.4 B.3.1.3: the UID by which a requestor announces a SOP class as one of Storage.
STORAGE_SERVICE_CLASS_UID = "1.2.840.10008.4.2"
_IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"

Preference = Literal["acceptor", "requestor"]
# Takes the service-class-application-information of the request and gives that of the answer; None
# gives no item. What the bytes mean is the service class's own affair (PS3.7 D.3.3.5).
ExtendedAnswer = Callable[[bytes], bytes | None]


@dataclass(frozen=True, slots=True)
class SyntaxOffer:
    """What an acceptor offers for one abstract syntax.

    `transfer_syntaxes` are in our order of preference; `scu` and `scp` are the roles that we would
    play ourselves. `extended` is None for classes without extended negotiation (Verification).
    """

    transfer_syntaxes: tuple[str, ...]
    scu: bool = False
    scp: bool = True
    extended: ExtendedAnswer | None = None


@dataclass(frozen=True, slots=True)
class AcceptorOffer:
    """What an acceptor offers to one peer.

    `prefer` says whose order of transfer syntaxes decides. `asynchronous_operations_window` is our
    limit for (what the requestor invokes, what it performs); 0 is unlimited. `maximum_length`
    bounds the P-DATA-TF PDUs that we take; 0 is unlimited (PS3.8 D.1).

    For abstract syntaxes that are not in `syntaxes`: `service_classes` has what is offered to those
    that the requestor announces as SOP classes of a service class (PS3.7 D.3.3.6; Storage is
    `STORAGE_SERVICE_CLASS_UID`), `accept_related_general` treats them as the first announced
    related general class that is in `syntaxes`, and `unannounced` is offered to all others.
    Classes in `without_extended` get no answer to extended negotiation, however they are served.
    Without `role_selection` every role item is passed over: the default roles hold (D.3.3.4).

    `user_identity_response` is returned when a positive response is asked for (PS3.7 D.3.3.7): b""
    for a user name, the ticket or SAML response else. None: we do not look at user identities, and
    the item is ignored.
    """

    syntaxes: Mapping[str, SyntaxOffer]
    implementation_class_uid: str
    implementation_version_name: str = ""
    maximum_length: int = 131072
    prefer: Preference = "acceptor"
    asynchronous_operations_window: tuple[int, int] = (1, 1)
    service_classes: Mapping[str, SyntaxOffer] = field(default_factory=dict)
    accept_related_general: bool = False
    role_selection: bool = True
    without_extended: frozenset[str] = frozenset()
    unannounced: SyntaxOffer | None = None
    user_identity_response: bytes | None = None

    def find(
        self, abstract_syntax: str, announced: CommonExtendedNegotiation | None = None
    ) -> tuple[str, SyntaxOffer] | None:
        """What is offered for `abstract_syntax`, and as what it is served.

        The first value is the abstract syntax itself, the related general class or service class
        UID that it is served as, or "" when it is taken unannounced.
        """
        offered = self.syntaxes.get(abstract_syntax)
        if offered is not None:
            return abstract_syntax, offered
        if announced is not None:
            if self.accept_related_general:
                for general in announced.related_general_sop_class_uids:
                    offered = self.syntaxes.get(general)
                    if offered is not None:
                        return general, offered
            offered = self.service_classes.get(announced.service_class_uid)
            if offered is not None:
                return announced.service_class_uid, offered
        return None if self.unannounced is None else ("", self.unannounced)


def answer(request: AssociateRequest, offer: AcceptorOffer) -> AssociateAccept | AssociateReject:
    """The acceptor's answer; who may call at all has been decided before.

    Rejects only for the protocol version and the application context name. Contexts are refused
    one by one: result 3 when the abstract syntax is not offered, 4 when no transfer syntax is, 1
    when there is no role that both sides would play.
    """
    if not request.protocol_version & PROTOCOL_VERSION:
        return PROTOCOL_VERSION_NOT_SUPPORTED
    if request.application_context_name != DICOM_APPLICATION_CONTEXT_NAME:
        return APPLICATION_CONTEXT_NAME_NOT_SUPPORTED
    asked = request.user_information
    announced: dict[str, CommonExtendedNegotiation] = {}
    for item in asked.common_extended:
        announced.setdefault(item.sop_class_uid, item)
    roles = roles_by_sop_class(asked.roles if offer.role_selection else ())
    results: list[PresentationContextResult] = []
    served: dict[str, SyntaxOffer] = {}
    for proposal in request.presentation_contexts:
        syntax = proposal.abstract_syntax
        found = offer.find(syntax, announced.get(syntax))
        offered = None if found is None else found[1]
        result = _answer_context(proposal, offered, roles.get(syntax), offer.prefer)
        results.append(result)
        if offered is not None and result.result == ACCEPTANCE:
            served[syntax] = offered
    information = UserInformation(
        maximum_length=offer.maximum_length,
        implementation_class_uid=offer.implementation_class_uid,
        implementation_version_name=offer.implementation_version_name,
        asynchronous_operations_window=_answer_window(
            asked.asynchronous_operations_window, offer.asynchronous_operations_window
        ),
        roles=tuple(
            _answer_role(role, served[syntax]) for syntax, role in roles.items() if syntax in served
        ),
        extended=_answer_extended(asked.extended, served, offer.without_extended),
        user_identity_response=_answer_identity(asked, offer),
    )
    return AssociateAccept(
        request.called_ae_title,
        request.calling_ae_title,
        request.application_context_name,
        tuple(results),
        information,
        title_fields=request.title_fields,
    )


def _answer_context(
    proposal: PresentationContextProposal,
    offered: SyntaxOffer | None,
    role: RoleSelection | None,
    prefer: Preference,
) -> PresentationContextResult:
    # The transfer syntax of a refusal is not significant, but shall be there (9.3.3.2).
    filler = next(iter(proposal.transfer_syntaxes), _IMPLICIT_VR_LITTLE_ENDIAN)
    if offered is None:
        return PresentationContextResult(proposal.identifier, ABSTRACT_SYNTAX_NOT_SUPPORTED, filler)
    if role is None:
        plays = offered.scp
    else:
        granted = _answer_role(role, offered)
        plays = granted.scu or granted.scp
    if not plays:
        return PresentationContextResult(proposal.identifier, USER_REJECTION, filler)
    chosen = _choose(proposal.transfer_syntaxes, offered.transfer_syntaxes, prefer)
    if chosen is None:
        return PresentationContextResult(
            proposal.identifier, TRANSFER_SYNTAXES_NOT_SUPPORTED, filler
        )
    return PresentationContextResult(proposal.identifier, ACCEPTANCE, chosen)


def _choose(proposed: tuple[str, ...], offered: tuple[str, ...], prefer: Preference) -> str | None:
    order, others = (offered, proposed) if prefer == "acceptor" else (proposed, offered)
    wanted = frozenset(others)
    return next((syntax for syntax in order if syntax in wanted), None)


def _answer_role(role: RoleSelection, offered: SyntaxOffer) -> RoleSelection:
    # PS3.7 D.3.3.4: never 1 for a role that was not proposed. The requestor's SCU meets our SCP.
    return RoleSelection(
        role.sop_class_uid, scu=role.scu and offered.scp, scp=role.scp and offered.scu
    )


def _answer_window(
    proposed: tuple[int, int] | None, limit: tuple[int, int]
) -> tuple[int, int] | None:
    # PS3.7 D.3.3.3: no item in the request, none in the answer; an absent item means (1, 1).
    if proposed is None:
        return None
    window = (smaller_window(proposed[0], limit[0]), smaller_window(proposed[1], limit[1]))
    return None if window == (1, 1) else window


def _answer_extended(
    asked: Iterable[ExtendedNegotiation],
    served: Mapping[str, SyntaxOffer],
    excluded: frozenset[str],
) -> tuple[ExtendedNegotiation, ...]:
    answers: dict[str, ExtendedNegotiation] = {}
    for item in asked:
        offered = served.get(item.sop_class_uid)
        if offered is None or offered.extended is None or item.sop_class_uid in answers:
            continue
        if item.sop_class_uid in excluded:
            continue
        information = offered.extended(item.information)
        if information is not None:
            answers[item.sop_class_uid] = ExtendedNegotiation(item.sop_class_uid, information)
    return tuple(answers.values())


def _answer_identity(asked: UserInformation, offer: AcceptorOffer) -> bytes | None:
    identity = asked.user_identity
    if identity is None or not identity.positive_response_requested:
        return None
    return offer.user_identity_response


@dataclass(frozen=True, slots=True)
class ContextNeed:
    """What a requestor needs: an abstract syntax in one of some transfer syntaxes.

    With `separate`, each transfer syntax gets a context of its own, so that the acceptor can take
    several of them and instances go out as they are. With `in_each`, the contexts are part of every
    association when there must be more than one (the C-GET beside its storage classes).
    """

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]
    separate: bool = False
    in_each: bool = False


@dataclass(frozen=True, slots=True)
class ProposalLimits:
    """How many contexts one association may propose; some peers take fewer than 128."""

    maximum_contexts: int = MAXIMUM_PRESENTATION_CONTEXTS


def propose(
    needs: Iterable[ContextNeed], limits: ProposalLimits | None = None
) -> list[list[PresentationContextProposal]]:
    """The proposals of one association after the other; equal needs are proposed once.

    Identifiers are 1, 3, 5, ... in each association. No needs give no association. Raises
    LocalError when a need has no transfer syntax, or what shall be in each leaves no room.
    """
    room = min((limits or ProposalLimits()).maximum_contexts, MAXIMUM_PRESENTATION_CONTEXTS)
    in_each: dict[tuple[str, tuple[str, ...]], None] = {}
    spread: dict[tuple[str, tuple[str, ...]], None] = {}
    for need in needs:
        if not need.transfer_syntaxes:
            raise LocalError(
                f"no transfer syntax is proposed for {need.abstract_syntax}",
                clause="PS3.8 7.1.1.13",
                value=need.abstract_syntax,
            )
        groups = (
            [(syntax,) for syntax in need.transfer_syntaxes]
            if need.separate
            else [tuple(dict.fromkeys(need.transfer_syntaxes))]
        )
        into = in_each if need.in_each else spread
        into.update(dict.fromkeys((need.abstract_syntax, group) for group in groups))
    rest = [pair for pair in spread if pair not in in_each]
    step = room - len(in_each)
    if step < 0 or (step == 0 and rest):
        raise LocalError(
            "the contexts that shall be in each association leave no room for others",
            clause="PS3.8 7.1.1.13",
            value=len(in_each),
            limit=room,
        )
    if not rest:
        return [_numbered(list(in_each))] if in_each else []
    return [
        _numbered([*in_each, *rest[start : start + step]]) for start in range(0, len(rest), step)
    ]


def _numbered(pairs: list[tuple[str, tuple[str, ...]]]) -> list[PresentationContextProposal]:
    return [
        PresentationContextProposal(2 * index + 1, abstract_syntax, transfer_syntaxes)
        for index, (abstract_syntax, transfer_syntaxes) in enumerate(pairs)
    ]


def information_for(
    proposals: Iterable[PresentationContextProposal], information: UserInformation
) -> UserInformation:
    """`information` cut to what may be sent with these proposals.

    Items on SOP classes that are not proposed are left out, and of several on one class all but the
    first (PS3.7 D.3.3.4 to D.3.3.6); so is a window of (1, 1), which is the default (D.3.3.3).
    """
    proposed = {proposal.abstract_syntax for proposal in proposals}
    extended: dict[str, ExtendedNegotiation] = {}
    for item in information.extended:
        extended.setdefault(item.sop_class_uid, item)
    common: dict[str, CommonExtendedNegotiation] = {}
    for announcement in information.common_extended:
        common.setdefault(announcement.sop_class_uid, announcement)
    roles = roles_by_sop_class(information.roles)
    window = information.asynchronous_operations_window
    return replace(
        information,
        roles=tuple(role for uid, role in roles.items() if uid in proposed),
        extended=tuple(item for uid, item in extended.items() if uid in proposed),
        common_extended=tuple(item for uid, item in common.items() if uid in proposed),
        asynchronous_operations_window=None if window == (1, 1) else window,
    )


def without_secrets(request: AssociateRequest) -> AssociateRequest:
    """The request as it may be kept while the association lasts: of the user identity only its kind
    stays, and whether a positive response was asked for."""
    information = request.user_information
    if information.user_identity is None:
        return request
    bare = replace(information.user_identity, primary=b"", secondary=b"")
    return replace(request, user_information=replace(information, user_identity=bare))
