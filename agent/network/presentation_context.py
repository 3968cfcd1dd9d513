"""Presentation contexts as proposed (item 20H, PS3.8 9.3.2.2) and answered (21H, 9.3.3.2)."""

from __future__ import annotations

from dataclasses import dataclass

from agent.errors import LocalError
from agent.network.item import (
    UNEXPECTED_PDU_PARAMETER,
    Fields,
    ItemBudget,
    decode_uid,
    encode_item,
    encode_number,
    encode_uid,
    invalid,
    items,
)

PROPOSAL_ITEM = 0x20
RESULT_ITEM = 0x21
ABSTRACT_SYNTAX_ITEM = 0x30
TRANSFER_SYNTAX_ITEM = 0x40

# Table 9-18: Result/Reason of a presentation context.
ACCEPTANCE = 0
USER_REJECTION = 1
NO_REASON = 2
ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
TRANSFER_SYNTAXES_NOT_SUPPORTED = 4

RESULT_TEXTS = {
    ACCEPTANCE: "acceptance",
    USER_REJECTION: "user-rejection",
    NO_REASON: "no-reason (provider rejection)",
    ABSTRACT_SYNTAX_NOT_SUPPORTED: "abstract-syntax-not-supported (provider rejection)",
    TRANSFER_SYNTAXES_NOT_SUPPORTED: "transfer-syntaxes-not-supported (provider rejection)",
}

# Identifiers are the odd numbers from 1 to 255 (PS3.8 7.1.1.13): 128 of them.
MAXIMUM_PRESENTATION_CONTEXTS = 128


def _encode_identifier(identifier: int) -> bytes:
    if identifier % 2 == 0:
        raise LocalError(
            "a presentation context identifier is odd", clause="PS3.8 7.1.1.13", value=identifier
        )
    return encode_number(identifier, 1)


@dataclass(frozen=True, slots=True)
class PresentationContextProposal:
    """One abstract syntax and the transfer syntaxes that the requestor offers for it."""

    identifier: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]

    def encode(self) -> bytes:
        return encode_item(
            PROPOSAL_ITEM,
            _encode_identifier(self.identifier) + bytes(3),
            encode_item(ABSTRACT_SYNTAX_ITEM, encode_uid(self.abstract_syntax)),
            *(
                encode_item(TRANSFER_SYNTAX_ITEM, encode_uid(syntax))
                for syntax in self.transfer_syntaxes
            ),
        )


@dataclass(frozen=True, slots=True)
class PresentationContextResult:
    """The acceptor's answer; the transfer syntax has a meaning only with result 0."""

    identifier: int
    result: int
    transfer_syntax: str

    def encode(self) -> bytes:
        return encode_item(
            RESULT_ITEM,
            _encode_identifier(self.identifier)
            + bytes((0,))
            + encode_number(self.result, 1)
            + bytes(1),
            encode_item(TRANSFER_SYNTAX_ITEM, encode_uid(self.transfer_syntax)),
        )


def _identifier(number: int, seen: set[int], clause: str) -> int:
    # PS3.8 7.1.1.13: odd, 1 to 255, and each within the association only once. An even or repeated
    # one would make later P-DATA ambiguous, so nothing can be accepted in its place.
    if number % 2 == 0:
        raise invalid(
            f"presentation context identifier {number} is even", clause=clause, value=number
        )
    if number in seen:
        raise invalid(
            f"presentation context identifier {number} occurs twice", clause=clause, value=number
        )
    seen.add(number)
    return number


def decode_proposal(
    value: memoryview, budget: ItemBudget, seen: set[int], maximum_transfer_syntaxes: int
) -> PresentationContextProposal:
    """Item 20H; `seen` gathers the identifiers of the PDU. Unknown sub-items are skipped."""
    clause = "PS3.8 9.3.2.2"
    identifier = _identifier(Fields(value, clause).take(4)[0], seen, clause)
    abstract_syntax: str | None = None
    transfer_syntaxes: list[str] = []
    for kind, inner in items(value[4:], budget, clause):
        if kind == TRANSFER_SYNTAX_ITEM:
            if len(transfer_syntaxes) == maximum_transfer_syntaxes:
                raise invalid(
                    f"presentation context {identifier} has too many transfer syntaxes",
                    clause=clause,
                    value=len(transfer_syntaxes) + 1,
                    limit=maximum_transfer_syntaxes,
                )
            transfer_syntaxes.append(decode_uid(inner))
        elif kind == ABSTRACT_SYNTAX_ITEM:
            if abstract_syntax is not None:
                raise invalid(
                    f"presentation context {identifier} has more than one abstract syntax",
                    clause=clause,
                    reason=UNEXPECTED_PDU_PARAMETER,
                )
            abstract_syntax = decode_uid(inner)
    if abstract_syntax is None:
        raise invalid(f"presentation context {identifier} has no abstract syntax", clause=clause)
    return PresentationContextProposal(identifier, abstract_syntax, tuple(transfer_syntaxes))


def decode_result(
    value: memoryview, budget: ItemBudget, seen: set[int]
) -> PresentationContextResult:
    """Item 21H. The transfer syntax may be missing or anything where it is not significant."""
    clause = "PS3.8 9.3.3.2"
    head = Fields(value, clause).take(4)
    identifier = _identifier(head[0], seen, clause)
    transfer_syntax = ""
    for kind, inner in items(value[4:], budget, clause):
        if kind == TRANSFER_SYNTAX_ITEM:
            transfer_syntax = decode_uid(inner)
    if head[2] == ACCEPTANCE and not transfer_syntax:
        raise invalid(
            f"presentation context {identifier} is accepted without a transfer syntax",
            clause=clause,
        )
    return PresentationContextResult(identifier, head[2], transfer_syntax)
