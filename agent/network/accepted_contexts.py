"""What an association came to: contexts with their roles, the window, the length the peer takes.

Both sides compute the same from the same pair of PDUs, each from its own view.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from agent.network.pdu import AssociateAccept, AssociateRequest
from agent.network.presentation_context import (
    ACCEPTANCE,
    NO_REASON,
    PresentationContextProposal,
    PresentationContextResult,
)
from agent.network.user_information import RoleSelection


@dataclass(frozen=True, slots=True)
class PresentationContext:
    """An accepted presentation context; the roles are those of our own side."""

    identifier: int
    abstract_syntax: str
    transfer_syntax: str
    scu_role: bool
    scp_role: bool


@dataclass(frozen=True, slots=True)
class OperationsWindow:
    """How many operations may be outstanding; 0 is no bound (PS3.7 D.3.3.3).

    `invoked` are those that our own side asks the peer for, `performed` those that the peer may ask
    of us.
    """

    invoked: int = 1
    performed: int = 1


class AcceptedContexts(Mapping[int, PresentationContext]):
    """The accepted contexts by identifier, in the order in which they were proposed.

    `refused` has the others with their abstract syntax and result; `remarks` what the peer answered
    against the standard without harm: the contexts concerned count as refused.
    """

    __slots__ = ("_contexts", "peer_maximum_length", "refused", "remarks", "window")

    def __init__(
        self,
        contexts: Mapping[int, PresentationContext],
        refused: Mapping[int, tuple[str, int]],
        *,
        window: OperationsWindow,
        peer_maximum_length: int,
        remarks: tuple[str, ...] = (),
    ) -> None:
        self._contexts = dict(contexts)
        self.refused = dict(refused)
        self.window = window
        self.peer_maximum_length = peer_maximum_length
        self.remarks = remarks

    @classmethod
    def from_pair(
        cls, request: AssociateRequest, accept: AssociateAccept, *, requestor: bool
    ) -> AcceptedContexts:
        """What `request` and `accept` agreed upon, as seen by the side that `requestor` names."""
        results = {result.identifier: result for result in accept.presentation_contexts}
        proposed_roles = roles_by_sop_class(request.user_information.roles)
        answered_roles = roles_by_sop_class(accept.user_information.roles)
        contexts: dict[int, PresentationContext] = {}
        refused: dict[int, tuple[str, int]] = {}
        remarks: list[str] = []
        for proposal in request.presentation_contexts:
            number, syntax = proposal.identifier, proposal.abstract_syntax
            result = results.pop(number, None)
            remark = _fault_of(proposal, result)
            if remark:
                remarks.append(remark)
            if result is None or result.result != ACCEPTANCE or remark:
                outcome = result.result if result is not None and not remark else NO_REASON
                refused[number] = (syntax, outcome)
                continue
            scu, scp = _agreed_roles(proposed_roles.get(syntax), answered_roles.get(syntax))
            if not requestor:
                scu, scp = scp, scu
            contexts[number] = PresentationContext(
                number, syntax, result.transfer_syntax, scu_role=scu, scp_role=scp
            )
        remarks += [
            f"presentation context {number} was answered but not proposed" for number in results
        ]
        peer = accept if requestor else request
        return cls(
            contexts,
            refused,
            window=agreed_window(request, accept, requestor=requestor),
            peer_maximum_length=peer.user_information.maximum_length,
            remarks=tuple(remarks),
        )

    def find(
        self,
        abstract_syntax: str,
        transfer_syntax: str | None = None,
        *,
        scu: bool = False,
        scp: bool = False,
    ) -> PresentationContext | None:
        """The first context for `abstract_syntax` with the transfer syntax and our roles wanted."""
        for context in self._contexts.values():
            if (
                context.abstract_syntax == abstract_syntax
                and transfer_syntax in (None, context.transfer_syntax)
                and (context.scu_role or not scu)
                and (context.scp_role or not scp)
            ):
                return context
        return None

    def __getitem__(self, identifier: int) -> PresentationContext:
        return self._contexts[identifier]

    def __iter__(self) -> Iterator[int]:
        return iter(self._contexts)

    def __len__(self) -> int:
        return len(self._contexts)


def roles_by_sop_class(roles: tuple[RoleSelection, ...]) -> dict[str, RoleSelection]:
    """One item for each SOP class (PS3.7 D.3.3.4); of more, the first counts."""
    found: dict[str, RoleSelection] = {}
    for role in roles:
        found.setdefault(role.sop_class_uid, role)
    return found


def _fault_of(
    proposal: PresentationContextProposal, result: PresentationContextResult | None
) -> str:
    # PS3.8 7.1.1.14: the list of results takes the form of the list of definitions.
    if result is None:
        return f"presentation context {proposal.identifier} was not answered"
    if result.result == ACCEPTANCE and result.transfer_syntax not in proposal.transfer_syntaxes:
        return (
            f"presentation context {proposal.identifier} was accepted with transfer syntax "
            f"{result.transfer_syntax}, which was not proposed"
        )
    return ""


def _agreed_roles(
    proposed: RoleSelection | None, answered: RoleSelection | None
) -> tuple[bool, bool]:
    """The requestor's roles (SCU, SCP).

    PS3.7 D.3.3.4: without an item on both sides the requestor is SCU and the acceptor SCP; a role
    that was not proposed is not granted, whatever the answer says.
    """
    if proposed is None or answered is None:
        return True, False
    return proposed.scu and answered.scu, proposed.scp and answered.scp


def smaller_window(one: int, other: int) -> int:
    """The smaller of two numbers of outstanding operations, 0 being unlimited."""
    return min(one or other, other or one)


def agreed_window(
    request: AssociateRequest, accept: AssociateAccept, *, requestor: bool
) -> OperationsWindow:
    """The window as our own side sees it; an answer above the proposal is taken down to it.

    Both PDUs count from the requestor's side: (what it invokes, what it performs).
    """
    proposed = request.user_information.asynchronous_operations_window
    answered = accept.user_information.asynchronous_operations_window
    if proposed is None or answered is None:
        return OperationsWindow()
    invoked = smaller_window(proposed[0], answered[0])
    performed = smaller_window(proposed[1], answered[1])
    return (
        OperationsWindow(invoked, performed) if requestor else OperationsWindow(performed, invoked)
    )
