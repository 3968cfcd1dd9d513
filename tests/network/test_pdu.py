"""The seven PDUs: layouts byte by byte after the tables of PS3.8 9.3, round trips, and faults."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from agent.errors import AbortReaction, LocalError, PeerError
from agent.network.limits import UpperLayerLimits
from agent.network.pdu import (
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ReleaseRequest,
    ReleaseResponse,
    abort_text,
    p_data_header,
)
from agent.network.presentation_context import (
    PresentationContextProposal,
    PresentationContextResult,
)
from agent.network.rejection import LOCAL_LIMIT_EXCEEDED, TEMPORARY_CONGESTION, reject_text
from agent.network.user_information import UserInformation
from tests.network.pdus import (
    ACCEPT,
    EXPLICIT,
    IMPLICIT,
    INFORMATION,
    REQUEST,
    VERIFICATION,
    accepts,
    item,
    proposing,
    raw_associate,
    requests,
)

NAME = item(0x10, b"1.2.840.10008.3.1.1.1")
USER = item(0x50, item(0x51, bytes.fromhex("00004000")) + item(0x52, b"1.2.3.4"))
CONTEXT = item(0x20, bytes((1, 0, 0, 0)) + item(0x30, b"1.2") + item(0x40, b"1.2.840.10008.1.2"))


def decode_request(*items: bytes, limits: UpperLayerLimits | None = None) -> AssociateRequest:
    body = raw_associate(1, *items)[6:]
    return AssociateRequest.decode(body, limits or UpperLayerLimits())


def reason_of(error: PeerError) -> int:
    assert isinstance(error.reaction, AbortReaction)
    assert error.reaction.source == 2
    return error.reaction.reason


def test_associate_request_is_laid_out_as_in_table_9_11() -> None:
    assert REQUEST.encode() == b"".join(
        (
            bytes.fromhex("0100000000c7"),
            bytes.fromhex("00010000"),
            b"CALLED          CALLING         ",
            bytes(32),
            bytes.fromhex("10000015") + b"1.2.840.10008.3.1.1.1",
            bytes.fromhex("2000004501000000"),
            bytes.fromhex("30000011") + b"1.2.840.10008.1.1",
            bytes.fromhex("40000011") + b"1.2.840.10008.1.2",
            bytes.fromhex("40000013") + b"1.2.840.10008.1.2.1",
            bytes.fromhex("5000001d"),
            bytes.fromhex("5100000400004000"),
            bytes.fromhex("52000007") + b"1.2.3.4",
            bytes.fromhex("55000006") + b"GANTRY",
        )
    )


def test_associate_accept_is_laid_out_as_in_table_9_17() -> None:
    encoded = ACCEPT.encode()
    assert encoded[:2] == b"\x02\x00"
    assert encoded[10:42] == b"CALLED          CALLING         "
    assert (
        bytes.fromhex("21000019") + bytes.fromhex("01000000") + item(0x40, IMPLICIT.encode())
        in encoded
    )


@pytest.mark.parametrize(
    ("pdu", "encoded"),
    [
        (AssociateReject(1, 1, 7), "03000000000400010107"),
        (TEMPORARY_CONGESTION, "03000000000400020301"),
        (LOCAL_LIMIT_EXCEEDED, "03000000000400020302"),
        (ReleaseRequest(), "05000000000400000000"),
        (ReleaseResponse(), "06000000000400000000"),
        (Abort(2, 6), "07000000000400000206"),
        (Abort(0, 0), "07000000000400000000"),
    ],
)
def test_the_short_pdus_are_laid_out_as_in_tables_9_21_and_9_24_to_9_26(
    pdu: AssociateReject | ReleaseRequest | ReleaseResponse | Abort, encoded: str
) -> None:
    assert pdu.encode() == bytes.fromhex(encoded)
    assert type(pdu).decode(pdu.encode()[6:]) == pdu


def test_an_abort_by_the_user_is_sent_without_reason() -> None:
    assert Abort(0, 6).encode() == bytes.fromhex("07000000000400000000")


def test_the_header_of_a_pdv_alone_in_its_pdu_is_laid_out_as_in_table_9_22() -> None:
    assert p_data_header(5, command=True, last=True, length=100) == (
        bytes.fromhex("04000000006a000000660503")
    )
    assert p_data_header(5, command=False, last=False, length=0)[10:] == b"\x05\x00"


@settings(max_examples=150)
@given(requests)
def test_any_request_reads_back_as_it_was_written(request: AssociateRequest) -> None:
    encoded = request.encode()
    assert len(encoded) == 6 + int.from_bytes(encoded[2:6], "big")
    assert AssociateRequest.decode(encoded[6:]) == request


@settings(max_examples=150)
@given(accepts)
def test_any_accept_reads_back_as_it_was_written(accept: AssociateAccept) -> None:
    assert AssociateAccept.decode(accept.encode()[6:]) == accept


def test_an_accept_returns_the_title_fields_as_they_came() -> None:
    body = bytearray(REQUEST.encode()[6:])
    body[4:36] = b"  CALLED        CALLING\0\0\0\0\0\0\0\0\0"
    body[36:68] = bytes(range(32))
    request = AssociateRequest.decode(body)
    assert (request.called_ae_title, request.calling_ae_title) == ("CALLED", "CALLING")
    accept = AssociateAccept(
        "", "", "1.2", (), INFORMATION, title_fields=request.title_fields
    ).encode()
    assert accept[10:74] == bytes(body[4:68])


@pytest.mark.parametrize("title", ["", "    ", "SEVENTEEN LETTERS", "BACK\\SLASH", "Ä", "A\nB"])
def test_an_ae_title_that_cannot_be_sent_is_our_fault(title: str) -> None:
    with pytest.raises(LocalError):
        AssociateRequest(title, "B", "1.2", (), INFORMATION).encode()


@pytest.mark.parametrize("title", [" A ", "A" * 16, "WITH SPACE"])
def test_spaces_around_an_ae_title_are_not_significant(title: str) -> None:
    request = AssociateRequest(title, title, "1.2", (), INFORMATION)
    assert AssociateRequest.decode(request.encode()[6:]).called_ae_title == title.strip()


def test_a_blank_ae_title_is_read_and_left_to_the_acceptor() -> None:
    body = bytearray(REQUEST.encode()[6:])
    body[4:20] = b" " * 16
    assert AssociateRequest.decode(body).called_ae_title == ""


@pytest.mark.parametrize(
    "request_",
    [
        proposing((2, VERIFICATION, (IMPLICIT,))),
        proposing((257, VERIFICATION, (IMPLICIT,))),
        proposing((1, "1.2.\u00e9", (IMPLICIT,))),
        proposing((1, "1." * 40000, (IMPLICIT,))),
        proposing((1, VERIFICATION, (IMPLICIT,)), information=UserInformation(1 << 32, "1.2")),
        proposing((1, VERIFICATION, (IMPLICIT,)), information=UserInformation(0, "1.2", "A" * 17)),
        proposing(
            (1, VERIFICATION, (IMPLICIT,)),
            information=UserInformation(0, "1.2", "A", (65536, 1)),
        ),
    ],
)
def test_what_the_fields_cannot_say_is_our_fault(request_: AssociateRequest) -> None:
    with pytest.raises(LocalError):
        request_.encode()


def test_unknown_items_are_skipped_on_every_level() -> None:
    unknown = item(0x7F, b"whatever")
    context = item(
        0x20, bytes((1, 9, 9, 9)) + unknown + item(0x30, b"1.2") + unknown + item(0x40, b"1.3")
    )
    request = decode_request(unknown, NAME, unknown, context, USER, unknown)
    assert request.presentation_contexts == (PresentationContextProposal(1, "1.2", ("1.3",)),)
    assert request.application_context_name == "1.2.840.10008.3.1.1.1"


def test_items_are_taken_in_any_order() -> None:
    assert decode_request(USER, CONTEXT, NAME) == decode_request(NAME, CONTEXT, USER)


def test_padding_of_uids_is_dropped() -> None:
    context = item(0x20, bytes((1, 0, 0, 0)) + item(0x30, b"1.2\0") + item(0x40, b"1.3 "))
    proposal = decode_request(NAME, context, USER).presentation_contexts[0]
    assert (proposal.abstract_syntax, proposal.transfer_syntaxes) == ("1.2", ("1.3",))


def test_a_request_without_user_information_is_read_with_the_safe_maximum_length() -> None:
    assert decode_request(NAME, CONTEXT).user_information == UserInformation(16384, "")


def test_a_context_without_transfer_syntax_is_left_to_negotiation() -> None:
    context = item(0x20, bytes((1, 0, 0, 0)) + item(0x30, b"1.2"))
    assert decode_request(NAME, context, USER).presentation_contexts[0].transfer_syntaxes == ()


def test_the_transfer_syntax_of_a_refused_context_is_not_looked_at() -> None:
    for inner in (b"", item(0x40, b""), item(0x40, b"\xff\xfe")):
        body = raw_associate(2, NAME, item(0x21, bytes((1, 0, 3, 0)) + inner), USER)[6:]
        assert AssociateAccept.decode(body).presentation_contexts[0].result == 3


@pytest.mark.parametrize(
    ("items", "reason", "clause"),
    [
        ([item(0x20, bytes((2, 0, 0, 0)) + item(0x30, b"1.2"))], 6, "9.3.2.2"),
        ([item(0x20, bytes((0, 0, 0, 0)) + item(0x30, b"1.2"))], 6, "9.3.2.2"),
        ([CONTEXT, CONTEXT], 6, "9.3.2.2"),
        ([item(0x20, bytes((1, 0, 0, 0)))], 6, "9.3.2.2"),
        ([item(0x20, bytes(4)[:3])], 6, "9.3.2.2"),
        ([item(0x20, bytes((1, 0, 0, 0)) + item(0x30, b"1") * 2)], 5, "9.3.2.2"),
        ([USER, USER], 5, "9.3.2"),
        ([bytes.fromhex("2000ffff01000000")], 6, "9.3.2"),
        ([bytes.fromhex("200000")], 6, "9.3.2"),
        ([item(0x20, bytes((1, 0, 0, 0)) + bytes.fromhex("30000009") + b"1.2")], 6, "9.3.2.2"),
    ],
)
def test_a_broken_request_is_answered_with_its_reason_and_clause(
    items: list[bytes], reason: int, clause: str
) -> None:
    with pytest.raises(PeerError) as caught:
        decode_request(NAME, *items)
    assert reason_of(caught.value) == reason
    assert caught.value.clause == f"PS3.8 {clause}"


def test_an_accepted_context_without_transfer_syntax_is_refused() -> None:
    body = raw_associate(2, NAME, item(0x21, bytes((1, 0, 0, 0))), USER)[6:]
    with pytest.raises(PeerError, match="without a transfer syntax"):
        AssociateAccept.decode(body)


def test_the_transfer_syntaxes_of_a_context_are_counted() -> None:
    limits = UpperLayerLimits(maximum_transfer_syntaxes=3)
    for count in (3, 4):
        context = item(0x20, bytes((1, 0, 0, 0)) + item(0x30, b"1.2") + item(0x40, b"1.3") * count)
        if count == 3:
            decode_request(NAME, context, limits=limits)
        else:
            with pytest.raises(PeerError, match="too many transfer syntaxes") as caught:
                decode_request(NAME, context, limits=limits)
            assert (caught.value.value, caught.value.limit) == (4, 3)


def test_the_items_of_a_pdu_are_counted_over_all_levels() -> None:
    limits = UpperLayerLimits(maximum_items=6)
    decode_request(NAME, CONTEXT, USER, limits=limits)
    with pytest.raises(PeerError, match="more items than are allowed"):
        decode_request(NAME, CONTEXT, item(0x99, b"") * 2, USER, limits=limits)


def test_the_sub_items_of_the_user_information_are_counted() -> None:
    limits = UpperLayerLimits(maximum_user_items=8)
    decode_request(NAME, item(0x50, item(0x70, b"") * 8), limits=limits)
    with pytest.raises(PeerError, match="more items than are allowed"):
        decode_request(NAME, item(0x50, item(0x70, b"") * 9), limits=limits)


@pytest.mark.parametrize("length", [0, 3, 67])
def test_a_pdu_shorter_than_its_fixed_fields_is_refused(length: int) -> None:
    with pytest.raises(PeerError, match="too short"):
        AssociateRequest.decode(bytes(length))
    with pytest.raises(PeerError, match="too short"):
        AssociateAccept.decode(bytes(length))


@pytest.mark.parametrize("kind", [AssociateReject, ReleaseRequest, ReleaseResponse, Abort])
@pytest.mark.parametrize("length", [0, 3, 5])
def test_the_short_pdus_have_four_bytes(kind: type[Abort], length: int) -> None:
    with pytest.raises(PeerError, match="length 4"):
        kind.decode(bytes(length))


def test_results_and_aborts_have_words() -> None:
    assert abort_text(2, 6) == "service-provider, invalid-PDU-parameter value"
    assert abort_text(0, 3) == "service-user"
    assert abort_text(9, 9) == "source 9, reason 9"
    assert "temporary-congestion" in reject_text(TEMPORARY_CONGESTION)
    assert "reason 99" in reject_text(AssociateReject(1, 1, 99))


def test_128_contexts_with_all_transfer_syntaxes_fit_the_default_limits() -> None:
    request = proposing(
        *(
            (2 * number + 1, f"1.2.{number}", tuple(f"1.3.{n}" for n in range(60)))
            for number in range(128)
        )
    )
    assert AssociateRequest.decode(request.encode()[6:]) == request
    accept = AssociateAccept(
        "A",
        "B",
        "1.2",
        tuple(PresentationContextResult(2 * n + 1, 0, EXPLICIT) for n in range(128)),
        INFORMATION,
    )
    assert AssociateAccept.decode(accept.encode()[6:]) == accept
