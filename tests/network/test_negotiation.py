"""Negotiation for both roles (PS3.8 7.1, PS3.7 D.3), as pure functions on requests and offers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import LocalError
from agent.network.negotiation import (
    STORAGE_SERVICE_CLASS_UID,
    AcceptedContexts,
    AcceptorOffer,
    ContextNeed,
    OperationsWindow,
    PresentationContext,
    ProposalLimits,
    SyntaxOffer,
    answer,
    information_for,
    propose,
)
from agent.network.pdu import (
    DICOM_APPLICATION_CONTEXT_NAME,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
)
from agent.network.presentation_context import PresentationContextResult
from agent.network.user_identity import UserIdentity
from agent.network.user_information import (
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    RoleSelection,
    UserInformation,
)
from tests.network.pdus import (
    CT_IMAGE_STORAGE,
    EXPLICIT,
    IMPLICIT,
    INFORMATION,
    JPEG,
    VERIFICATION,
    proposing,
    requests,
)

OWN_UID = "1.2.3"
MPPS = "1.2.840.10008.3.1.2.3.3"


def offer(**syntaxes_and_settings: object) -> AcceptorOffer:
    base = AcceptorOffer(
        syntaxes={
            VERIFICATION: SyntaxOffer((IMPLICIT,)),
            CT_IMAGE_STORAGE: SyntaxOffer((JPEG, EXPLICIT, IMPLICIT)),
        },
        implementation_class_uid=OWN_UID,
        implementation_version_name="GANTRY",
    )
    return replace(base, **syntaxes_and_settings)  # type: ignore[arg-type]


def accepted(request: AssociateRequest, offered: AcceptorOffer) -> AssociateAccept:
    result = answer(request, offered)
    assert isinstance(result, AssociateAccept)
    # What is answered can be sent, and reads back the same.
    assert AssociateAccept.decode(result.encode()[6:]) == result
    return result


def results(accept: AssociateAccept) -> list[tuple[int, int]]:
    return [(result.identifier, result.result) for result in accept.presentation_contexts]


def told(**fields: object) -> UserInformation:
    return replace(INFORMATION, **fields)  # type: ignore[arg-type]


# Contexts.


def test_ps34_028_contexts_are_refused_one_by_one_never_the_association() -> None:
    request = proposing(
        *((2 * n + 1, f"1.2.999.{n}", (IMPLICIT,)) for n in range(126)),
        (253, CT_IMAGE_STORAGE, (EXPLICIT,)),
        (255, CT_IMAGE_STORAGE, ("1.2.840.10008.1.2.5",)),
    )
    accept = accepted(request, offer())
    assert results(accept) == [*((2 * n + 1, 3) for n in range(126)), (253, 0), (255, 4)]


def test_an_association_without_any_accepted_context_is_still_accepted() -> None:
    assert results(accepted(proposing((1, "1.2.999", (IMPLICIT,))), offer())) == [(1, 3)]
    assert results(accepted(proposing(), offer())) == []


def test_each_of_several_contexts_for_one_abstract_syntax_is_answered() -> None:
    request = proposing(
        (1, CT_IMAGE_STORAGE, (JPEG,)),
        (3, CT_IMAGE_STORAGE, (EXPLICIT,)),
        (5, CT_IMAGE_STORAGE, ("1.2.999",)),
        (7, CT_IMAGE_STORAGE, ()),
    )
    accept = accepted(request, offer())
    assert results(accept) == [(1, 0), (3, 0), (5, 4), (7, 4)]
    assert [result.transfer_syntax for result in accept.presentation_contexts[:2]] == [
        JPEG,
        EXPLICIT,
    ]


@pytest.mark.parametrize(("prefer", "chosen"), [("acceptor", JPEG), ("requestor", IMPLICIT)])
def test_cd_02_the_transfer_syntax_is_chosen_in_the_order_that_is_configured(
    prefer: str, chosen: str
) -> None:
    request = proposing((1, CT_IMAGE_STORAGE, ("1.2.999", IMPLICIT, EXPLICIT, JPEG)))
    accept = accepted(request, offer(prefer=prefer))
    assert accept.presentation_contexts[0].transfer_syntax == chosen


@pytest.mark.parametrize("turn", [False, True])
def test_cd_02_the_first_of_many_that_is_supported_is_picked_for_each_context(turn: bool) -> None:
    proposed = (*(f"1.2.999.{n}" for n in range(22)), EXPLICIT, IMPLICIT, JPEG)
    first, second = (proposed[::-1], proposed) if turn else (proposed, proposed[::-1])
    request = proposing((1, CT_IMAGE_STORAGE, first), (3, CT_IMAGE_STORAGE, second))
    accept = accepted(request, offer(prefer="requestor"))
    chosen = [result.transfer_syntax for result in accept.presentation_contexts]
    assert chosen == ([JPEG, EXPLICIT] if turn else [EXPLICIT, JPEG])


def test_cd_03_a_context_with_unsupported_syntaxes_alone_is_refused_with_result_4() -> None:
    smpte = ("1.2.840.10008.1.2.6.1", "1.2.840.10008.1.2.6.2")
    request = proposing((1, VERIFICATION, smpte), (3, VERIFICATION, (IMPLICIT,)))
    assert results(accepted(request, offer())) == [(1, 4), (3, 0)]


def test_ic_13_of_100_contexts_classes_and_syntaxes_are_told_apart() -> None:
    request = proposing(
        *((2 * n + 1, f"1.2.999.{n}", (EXPLICIT,)) for n in range(98)),
        (197, CT_IMAGE_STORAGE, (EXPLICIT,)),
        (199, CT_IMAGE_STORAGE, ("1.2.999",)),
    )
    accept = accepted(request, offer())
    assert [result for _, result in results(accept)] == [3] * 98 + [0, 4]


def test_the_title_fields_go_back_as_they_came() -> None:
    body = bytearray(proposing((1, VERIFICATION, (IMPLICIT,))).encode()[6:])
    body[4:20] = b"  CALLED        "
    request = AssociateRequest.decode(body)
    assert accepted(request, offer()).encode()[10:74] == bytes(body[4:68])


def test_ic_04_another_application_context_is_rejected_by_the_user() -> None:
    request = replace(proposing((1, VERIFICATION, (IMPLICIT,))), application_context_name="1.2.3")
    assert answer(request, offer()) == AssociateReject(1, 1, 2)


def test_another_protocol_version_is_rejected_by_the_provider() -> None:
    request = replace(proposing((1, VERIFICATION, (IMPLICIT,))), protocol_version=2)
    assert answer(request, offer()) == AssociateReject(1, 2, 2)


# Roles: PS3.7 D.3.3.4.


@pytest.mark.parametrize("own_scu", [False, True])
@pytest.mark.parametrize("own_scp", [False, True])
@pytest.mark.parametrize(
    "asked", [None, (True, False), (False, True), (True, True), (False, False)]
)
def test_roles_meet_or_the_context_is_refused(
    asked: tuple[bool, bool] | None, own_scp: bool, own_scu: bool
) -> None:
    roles = () if asked is None else (RoleSelection(MPPS, scu=asked[0], scp=asked[1]),)
    request = proposing((1, MPPS, (IMPLICIT,)), information=told(roles=roles))
    offered = offer(syntaxes={MPPS: SyntaxOffer((IMPLICIT,), scu=own_scu, scp=own_scp)})
    accept = accepted(request, offered)
    scu, scp = asked or (True, False)
    granted = (scu and own_scp, scp and own_scu)
    assert results(accept) == [(1, 0 if any(granted) else 1)]
    items = accept.user_information.roles
    if asked is None or not any(granted):
        assert items == ()
    else:
        assert items == (RoleSelection(MPPS, scu=granted[0], scp=granted[1]),)
    for requestor in (True, False):
        contexts = AcceptedContexts.from_pair(request, accept, requestor=requestor)
        if any(granted):
            own = granted if requestor else granted[::-1]
            assert (contexts[1].scu_role, contexts[1].scp_role) == own
        else:
            assert contexts.refused == {1: (MPPS, 1)}


def test_no_role_item_is_returned_that_was_not_asked_for() -> None:
    offered = offer(syntaxes={MPPS: SyntaxOffer((IMPLICIT,), scu=True, scp=True)})
    accept = accepted(proposing((1, MPPS, (IMPLICIT,))), offered)
    assert accept.user_information.roles == ()


def test_a_role_item_for_a_refused_or_unproposed_class_is_not_answered() -> None:
    roles = (RoleSelection("1.2.999", scu=True, scp=True), RoleSelection(MPPS, True, True))
    request = proposing((1, "1.2.999", (IMPLICIT,)), information=told(roles=roles))
    offered = offer(syntaxes={MPPS: SyntaxOffer((IMPLICIT,), scu=True)})
    assert accepted(request, offered).user_information.roles == ()


def test_a_role_that_was_not_proposed_is_not_taken_from_the_answer() -> None:
    request = proposing((1, MPPS, (IMPLICIT,)))
    accept = accepted(request, offer(syntaxes={MPPS: SyntaxOffer((IMPLICIT,))}))
    granting = replace(
        accept,
        user_information=replace(accept.user_information, roles=(RoleSelection(MPPS, True, True),)),
    )
    context = AcceptedContexts.from_pair(request, granting, requestor=True)[1]
    assert (context.scu_role, context.scp_role) == (True, False)


def test_without_an_answer_to_the_role_item_the_default_roles_hold() -> None:
    request = proposing(
        (1, MPPS, (IMPLICIT,)), information=told(roles=(RoleSelection(MPPS, False, True),))
    )
    accept = accepted(
        proposing((1, MPPS, (IMPLICIT,))), offer(syntaxes={MPPS: SyntaxOffer((IMPLICIT,))})
    )
    context = AcceptedContexts.from_pair(request, accept, requestor=True)[1]
    assert (context.scu_role, context.scp_role) == (True, False)


# The asynchronous operations window: PS3.7 D.3.3.3.


@pytest.mark.parametrize(
    ("proposed", "limit", "answered"),
    [
        (None, (8, 8), None),
        ((8, 8), (1, 1), None),
        ((8, 4), (3, 9), (3, 4)),
        ((0, 0), (5, 0), (5, 0)),
        ((5, 1), (0, 0), (5, 1)),
        ((1, 1), (8, 8), None),
        ((0, 0), (0, 0), (0, 0)),
    ],
)
def test_rv_06_ic_06_the_window_is_negotiated_down_and_never_up(
    proposed: tuple[int, int] | None, limit: tuple[int, int], answered: tuple[int, int] | None
) -> None:
    request = proposing(
        (1, VERIFICATION, (IMPLICIT,)), information=told(asynchronous_operations_window=proposed)
    )
    accept = accepted(request, offer(asynchronous_operations_window=limit))
    assert accept.user_information.asynchronous_operations_window == answered
    invoked, performed = answered or (1, 1)
    requestor = AcceptedContexts.from_pair(request, accept, requestor=True)
    assert requestor.window == OperationsWindow(invoked, performed)
    acceptor = AcceptedContexts.from_pair(request, accept, requestor=False)
    assert acceptor.window == OperationsWindow(performed, invoked)


def test_a_window_answered_larger_than_proposed_or_unasked_is_not_used() -> None:
    request = proposing(
        (1, VERIFICATION, (IMPLICIT,)), information=told(asynchronous_operations_window=(4, 2))
    )
    accept = AssociateAccept("A", "B", "1.2", (), told(asynchronous_operations_window=(0, 9)))
    window = AcceptedContexts.from_pair(request, accept, requestor=True).window
    assert window == OperationsWindow(4, 2)
    unasked = proposing((1, VERIFICATION, (IMPLICIT,)))
    assert AcceptedContexts.from_pair(unasked, accept, requestor=True).window == OperationsWindow()


# Maximum length and implementation identification.


@pytest.mark.parametrize("maximum_length", [0, 4096, 0xFFFFFFFF])
def test_each_side_knows_what_the_other_can_take(maximum_length: int) -> None:
    request = proposing(
        (1, VERIFICATION, (IMPLICIT,)), information=told(maximum_length=maximum_length)
    )
    accept = accepted(request, offer(maximum_length=65536))
    as_acceptor = AcceptedContexts.from_pair(request, accept, requestor=False)
    as_requestor = AcceptedContexts.from_pair(request, accept, requestor=True)
    assert as_acceptor.peer_maximum_length == maximum_length
    assert as_requestor.peer_maximum_length == 65536


def test_rv_07_ic_05_the_implementation_is_identified_in_each_answer() -> None:
    information = accepted(proposing((1, VERIFICATION, (IMPLICIT,))), offer()).user_information
    assert information.implementation_class_uid == OWN_UID
    assert information.implementation_version_name == "GANTRY"


# SOP class extended negotiation: PS3.7 D.3.3.5.


def storage_item(information: bytes) -> bytes | None:
    return bytes((2, 0, 0, 0, 1, 0)) if len(information) == 6 else None


EXTENDED_OFFER = {
    VERIFICATION: SyntaxOffer((IMPLICIT,)),
    CT_IMAGE_STORAGE: SyntaxOffer((IMPLICIT,), extended=storage_item),
}


def asking_extended(*items: ExtendedNegotiation) -> AssociateRequest:
    return proposing(
        (1, VERIFICATION, (IMPLICIT,)),
        (3, CT_IMAGE_STORAGE, (IMPLICIT,)),
        information=told(extended=items),
    )


def test_ps34_018_an_extended_item_is_answered_by_the_function_of_its_class() -> None:
    request = asking_extended(ExtendedNegotiation(CT_IMAGE_STORAGE, b"\x03\xff\0\xff\x02\xff"))
    extended = accepted(request, offer(syntaxes=EXTENDED_OFFER)).user_information.extended
    assert extended == (ExtendedNegotiation(CT_IMAGE_STORAGE, bytes((2, 0, 0, 0, 1, 0))),)


@pytest.mark.parametrize(
    "items",
    [
        (),
        (ExtendedNegotiation(CT_IMAGE_STORAGE, b"short"),),
        (ExtendedNegotiation(VERIFICATION, bytes(6)),),
        (ExtendedNegotiation("1.2.999", bytes(6)),),
    ],
)
def test_ps34_020_no_extended_item_without_a_question_that_the_class_answers(
    items: tuple[ExtendedNegotiation, ...],
) -> None:
    request = asking_extended(*items)
    assert accepted(request, offer(syntaxes=EXTENDED_OFFER)).user_information.extended == ()


def test_ps34_029_a_class_that_has_no_extended_negotiation_gets_no_answer() -> None:
    request = asking_extended(ExtendedNegotiation(CT_IMAGE_STORAGE, b"\2\0\3\0\0\0"))
    mute = offer(syntaxes=EXTENDED_OFFER, without_extended=frozenset((CT_IMAGE_STORAGE,)))
    assert accepted(request, mute).user_information.extended == ()


def test_of_two_extended_items_for_one_class_one_is_answered() -> None:
    items = (ExtendedNegotiation(CT_IMAGE_STORAGE, bytes(6)),) * 2
    request = asking_extended(*items)
    assert len(accepted(request, offer(syntaxes=EXTENDED_OFFER)).user_information.extended) == 1


# SOP class common extended negotiation: PS3.7 D.3.3.6.

NEW_CLASS = "1.2.840.113619.5.9"
KEEP = SyntaxOffer((EXPLICIT, IMPLICIT))


def announcing(service_class: str, *related: str) -> AssociateRequest:
    item = CommonExtendedNegotiation(NEW_CLASS, service_class, related)
    return proposing(
        (1, NEW_CLASS, (IMPLICIT, EXPLICIT)), information=told(common_extended=(item,))
    )


def test_ps34_024_an_unknown_class_announced_as_storage_is_taken_where_offered() -> None:
    request = announcing(STORAGE_SERVICE_CLASS_UID)
    keeping = offer(service_classes={STORAGE_SERVICE_CLASS_UID: KEEP})
    assert results(accepted(request, keeping)) == [(1, 0)]
    assert keeping.find(NEW_CLASS, request.user_information.common_extended[0]) == (
        STORAGE_SERVICE_CLASS_UID,
        KEEP,
    )
    assert results(accepted(request, offer())) == [(1, 3)]
    assert results(accepted(announcing("1.2.840.10008.4.99"), keeping)) == [(1, 3)]
    unannounced = proposing((1, NEW_CLASS, (IMPLICIT,)))
    assert results(accepted(unannounced, keeping)) == [(1, 3)]


def test_a_class_is_taken_as_its_related_general_class_where_the_offer_says_so() -> None:
    request = announcing(STORAGE_SERVICE_CLASS_UID, "1.2.999", CT_IMAGE_STORAGE)
    related = offer(accept_related_general=True)
    accept = accepted(request, related)
    assert accept.presentation_contexts[0].transfer_syntax == EXPLICIT
    found = related.find(NEW_CLASS, request.user_information.common_extended[0])
    assert found is not None and found[0] == CT_IMAGE_STORAGE
    assert results(accepted(request, offer())) == [(1, 3)]


def test_everything_is_taken_where_the_offer_keeps_what_nobody_announced() -> None:
    keeping = offer(unannounced=KEEP)
    assert results(accepted(proposing((1, NEW_CLASS, (IMPLICIT,))), keeping)) == [(1, 0)]
    assert keeping.find(NEW_CLASS) == ("", KEEP)


# User identity: PS3.7 D.3.3.7.


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    ("asked", "offered", "answered"),
    [(True, b"response", b"response"), (True, b"", b""), (True, None, None), (False, b"", None)],
)
def test_a_positive_response_is_given_when_asked_for_and_offered(
    kind: int, asked: bool, offered: bytes | None, answered: bytes | None
) -> None:
    identity = UserIdentity(kind, b"name", b"word", asked)
    request = proposing((1, VERIFICATION, (IMPLICIT,)), information=told(user_identity=identity))
    accept = accepted(request, offer(user_identity_response=offered))
    assert accept.user_information.user_identity_response == answered
    assert accept.user_information.user_identity is None


# The requestor.


def test_ps34_010_each_context_has_one_abstract_syntax_and_an_odd_number() -> None:
    (contexts,) = propose(
        [
            ContextNeed(VERIFICATION, (IMPLICIT,)),
            ContextNeed(CT_IMAGE_STORAGE, (EXPLICIT, IMPLICIT, EXPLICIT)),
        ]
    )
    assert [(c.identifier, c.abstract_syntax, c.transfer_syntaxes) for c in contexts] == [
        (1, VERIFICATION, (IMPLICIT,)),
        (3, CT_IMAGE_STORAGE, (EXPLICIT, IMPLICIT)),
    ]


def test_separate_needs_get_a_context_for_each_transfer_syntax_once() -> None:
    (contexts,) = propose(
        [
            ContextNeed(CT_IMAGE_STORAGE, (JPEG, EXPLICIT), separate=True),
            ContextNeed(CT_IMAGE_STORAGE, (EXPLICIT,)),
        ]
    )
    assert [c.transfer_syntaxes for c in contexts] == [(JPEG,), (EXPLICIT,)]


@pytest.mark.parametrize(
    ("count", "limit", "sizes"),
    [
        (0, 128, []),
        (128, 128, [128]),
        (129, 128, [128, 1]),
        (300, 999, [128, 128, 44]),
        (10, 4, [4, 4, 2]),
    ],
)
def test_more_contexts_than_fit_are_split_over_associations(
    count: int, limit: int, sizes: list[int]
) -> None:
    needs = [ContextNeed(f"1.2.{number}", (IMPLICIT,)) for number in range(count)]
    split = propose(needs, ProposalLimits(limit))
    assert [len(contexts) for contexts in split] == sizes
    assert [c.abstract_syntax for contexts in split for c in contexts] == [
        need.abstract_syntax for need in needs
    ]
    for contexts in split:
        assert [c.identifier for c in contexts] == [2 * n + 1 for n in range(len(contexts))]
        proposing(
            *((c.identifier, c.abstract_syntax, c.transfer_syntaxes) for c in contexts)
        ).encode()


def test_what_is_needed_in_each_association_is_in_each() -> None:
    needs = [ContextNeed(f"1.2.{number}", (IMPLICIT,)) for number in range(170)]
    split = propose([ContextNeed("1.9", (IMPLICIT,), in_each=True), *needs])
    assert [len(contexts) for contexts in split] == [128, 44]
    assert all(contexts[0].abstract_syntax == "1.9" for contexts in split)
    assert propose([ContextNeed("1.9", (IMPLICIT,), in_each=True)])


def test_needs_that_cannot_be_proposed_are_our_fault() -> None:
    with pytest.raises(LocalError):
        propose([ContextNeed("1.2", ())])
    each = [ContextNeed(f"1.2.{number}", (IMPLICIT,), in_each=True) for number in range(128)]
    assert len(propose(each)) == 1
    with pytest.raises(LocalError):
        propose([*each, ContextNeed("1.3", (IMPLICIT,))])


def test_ps34_009_items_are_sent_only_for_the_classes_that_are_proposed() -> None:
    (contexts,) = propose([ContextNeed(VERIFICATION, (IMPLICIT,))])
    information = told(
        roles=(RoleSelection(CT_IMAGE_STORAGE, True, True),),
        extended=(ExtendedNegotiation(CT_IMAGE_STORAGE, bytes(6)),),
        common_extended=(CommonExtendedNegotiation(CT_IMAGE_STORAGE, STORAGE_SERVICE_CLASS_UID),),
        asynchronous_operations_window=(1, 1),
    )
    assert information_for(contexts, information) == INFORMATION
    (contexts,) = propose([ContextNeed(CT_IMAGE_STORAGE, (IMPLICIT,))])
    assert information_for(contexts, information) == replace(
        information, asynchronous_operations_window=None
    )


# What both came to.


def test_both_sides_read_the_same_contexts_from_the_same_pair() -> None:
    request = proposing(
        (1, VERIFICATION, (IMPLICIT,)),
        (3, CT_IMAGE_STORAGE, (IMPLICIT, JPEG)),
        (5, CT_IMAGE_STORAGE, (IMPLICIT,)),
        (7, "1.2.999", (IMPLICIT,)),
    )
    accept = accepted(request, offer())
    requestor = AcceptedContexts.from_pair(request, accept, requestor=True)
    acceptor = AcceptedContexts.from_pair(request, accept, requestor=False)
    assert list(requestor) == list(acceptor) == [1, 3, 5]
    assert requestor.refused == acceptor.refused == {7: ("1.2.999", 3)}
    assert requestor[3] == PresentationContext(3, CT_IMAGE_STORAGE, JPEG, True, False)
    assert acceptor[3] == PresentationContext(3, CT_IMAGE_STORAGE, JPEG, False, True)
    assert requestor.find(CT_IMAGE_STORAGE) is requestor[3]
    assert requestor.find(CT_IMAGE_STORAGE, IMPLICIT) is requestor[5]
    assert requestor.find(CT_IMAGE_STORAGE, EXPLICIT) is None
    assert requestor.find(CT_IMAGE_STORAGE, scp=True) is None
    assert acceptor.find(CT_IMAGE_STORAGE, scp=True) is acceptor[3]
    assert 7 not in requestor and len(requestor) == 3


def test_an_answer_that_does_not_fit_the_request_is_refused_and_remarked() -> None:
    request = proposing(
        (1, VERIFICATION, (IMPLICIT,)),
        (3, CT_IMAGE_STORAGE, (IMPLICIT,)),
        (5, MPPS, (IMPLICIT,)),
    )
    accept = AssociateAccept(
        "A",
        "B",
        DICOM_APPLICATION_CONTEXT_NAME,
        (
            PresentationContextResult(1, 0, IMPLICIT),
            PresentationContextResult(3, 0, JPEG),
            PresentationContextResult(9, 0, IMPLICIT),
        ),
        INFORMATION,
    )
    contexts = AcceptedContexts.from_pair(request, accept, requestor=True)
    assert list(contexts) == [1]
    assert contexts.refused == {3: (CT_IMAGE_STORAGE, 2), 5: (MPPS, 2)}
    assert len(contexts.remarks) == 3


@settings(max_examples=150)
@given(requests, st.booleans())
def test_any_request_gets_an_answer_that_keeps_the_rules(
    request: AssociateRequest, everything: bool
) -> None:
    keep = SyntaxOffer(
        tuple({s for c in request.presentation_contexts for s in c.transfer_syntaxes})
    )
    result = answer(
        replace(
            request, application_context_name=DICOM_APPLICATION_CONTEXT_NAME, protocol_version=1
        ),
        offer(unannounced=keep if everything else None, asynchronous_operations_window=(3, 0)),
    )
    assert isinstance(result, AssociateAccept)
    assert AssociateAccept.decode(result.encode()[6:]) == result
    assert [r.identifier for r in result.presentation_contexts] == [
        c.identifier for c in request.presentation_contexts
    ]
    asked = {role.sop_class_uid: role for role in reversed(request.user_information.roles)}
    for role in result.user_information.roles:
        assert role.scu <= asked[role.sop_class_uid].scu
        assert role.scp <= asked[role.sop_class_uid].scp
    for requestor in (True, False):
        contexts = AcceptedContexts.from_pair(request, result, requestor=requestor)
        assert len(contexts) + len(contexts.refused) == len(request.presentation_contexts)
        assert not contexts.remarks
