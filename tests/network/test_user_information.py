"""The user information sub-items: layouts after PS3.8 D.1 and PS3.7 D.3.3, and their faults."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import PeerError
from agent.network.item import ItemBudget
from agent.network.user_identity import UserIdentity
from agent.network.user_information import (
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    RoleSelection,
    UserInformation,
    decode_user_information,
)
from tests.network.pdus import item, user_information

BASE = UserInformation(0, "")
BASE_BYTES = item(0x51, bytes(4))


def decode(value: bytes, limit: int = 100) -> UserInformation:
    return decode_user_information(memoryview(value), ItemBudget(limit))


def counted(value: bytes) -> bytes:
    return len(value).to_bytes(2, "big") + value


CASES = {
    "51H maximum length": (UserInformation(0x12345678, ""), item(0x51, b"\x12\x34\x56\x78"), b""),
    "52H implementation class": (UserInformation(0, "1.2.3"), BASE_BYTES, item(0x52, b"1.2.3")),
    "53H window": (
        UserInformation(0, "", asynchronous_operations_window=(8, 0)),
        BASE_BYTES,
        item(0x53, bytes.fromhex("00080000")),
    ),
    "54H roles": (
        UserInformation(0, "", roles=(RoleSelection("1.2", scu=False, scp=True),)),
        BASE_BYTES,
        item(0x54, counted(b"1.2") + b"\x00\x01"),
    ),
    "55H version": (UserInformation(0, "", "GANTRY_1"), BASE_BYTES, item(0x55, b"GANTRY_1")),
    "56H extended": (
        UserInformation(0, "", extended=(ExtendedNegotiation("1.2", b"\x02\0\0\0\1\0"),)),
        BASE_BYTES,
        item(0x56, counted(b"1.2") + b"\x02\0\0\0\1\0"),
    ),
    "57H common extended": (
        UserInformation(
            0,
            "",
            common_extended=(
                CommonExtendedNegotiation("1.2", "1.2.840.10008.4.2", ("1.4", "1.5.6")),
            ),
        ),
        BASE_BYTES,
        item(
            0x57,
            counted(b"1.2")
            + counted(b"1.2.840.10008.4.2")
            + counted(counted(b"1.4") + counted(b"1.5.6")),
        ),
    ),
    "57H without related classes": (
        UserInformation(0, "", common_extended=(CommonExtendedNegotiation("1.2", "1.3"),)),
        BASE_BYTES,
        item(0x57, counted(b"1.2") + counted(b"1.3") + counted(b"")),
    ),
    "58H type 1": (
        UserInformation(0, "", user_identity=UserIdentity(1, b"name")),
        BASE_BYTES,
        item(0x58, b"\x01\x00" + counted(b"name") + counted(b"")),
    ),
    "58H type 2": (
        UserInformation(0, "", user_identity=UserIdentity(2, b"name", b"word", True)),
        BASE_BYTES,
        item(0x58, b"\x02\x01" + counted(b"name") + counted(b"word")),
    ),
    "58H type 3": (
        UserInformation(0, "", user_identity=UserIdentity(3, b"ticket")),
        BASE_BYTES,
        item(0x58, b"\x03\x00" + counted(b"ticket") + counted(b"")),
    ),
    "58H type 4": (
        UserInformation(0, "", user_identity=UserIdentity(4, b"<saml/>" * 999)),
        BASE_BYTES,
        item(0x58, b"\x04\x00" + counted(b"<saml/>" * 999) + counted(b"")),
    ),
    "58H type 5": (
        UserInformation(0, "", user_identity=UserIdentity(5, b"e30.e30.", b"", True)),
        BASE_BYTES,
        item(0x58, b"\x05\x01" + counted(b"e30.e30.") + counted(b"")),
    ),
    "59H response": (
        UserInformation(0, "", user_identity_response=b"ticket"),
        BASE_BYTES,
        item(0x59, counted(b"ticket")),
    ),
    "59H empty response": (
        UserInformation(0, "", user_identity_response=b""),
        BASE_BYTES,
        item(0x59, counted(b"")),
    ),
    "unknown": (UserInformation(0, "", unknown=((0xEE, b"abc"),)), BASE_BYTES, item(0xEE, b"abc")),
}


@pytest.mark.parametrize("case", CASES)
def test_a_sub_item_is_laid_out_as_its_table_says_in_both_directions(case: str) -> None:
    information, first, second = CASES[case]
    assert information.encode() == item(0x50, first + second)
    assert decode(first + second) == information
    assert decode(second + first) == information, "sub-items come in any order"


@settings(max_examples=200)
@given(user_information)
def test_any_user_information_reads_back_as_it_was_written(information: UserInformation) -> None:
    assert decode(information.encode()[4:]) == information


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_are_the_peers_fault(value: bytes) -> None:
    try:
        information = decode(value)
    except PeerError as error:
        assert error.clause and error.reaction is not None
    else:
        assert isinstance(information, UserInformation)


FAULTS = {
    "51H of three bytes": item(0x51, bytes(3)),
    "53H of five bytes": item(0x53, bytes(5)),
    "54H whose UID is longer than the item": item(0x54, b"\x00\xff1.2\0\0"),
    "54H without roles": item(0x54, counted(b"1.2")),
    "56H whose UID is longer than the item": item(0x56, b"\xff\xff1.2"),
    "56H of one byte": item(0x56, b"\0"),
    "57H cut short": item(0x57, counted(b"1.2")),
    "57H whose list is longer than the item": item(0x57, counted(b"1") * 2 + b"\x00\x09\x00\x01"),
    "57H whose list is cut short": item(0x57, counted(b"1") * 2 + counted(b"\x00")),
    "58H whose primary field is longer than the item": item(0x58, b"\x01\x00\xff\xffname"),
    "58H whose secondary field is cut": item(0x58, b"\x02\x00" + counted(b"name") + b"\x00"),
    "58H twice": item(0x58, b"\x01\x00" + counted(b"name")) * 2,
    "59H longer than the item": item(0x59, b"\x00\x09ticket"),
    "an item beyond its parent": b"\x51\x00\xff\xff\x00",
    "an item header cut short": b"\x51\x00\x00",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_lying_length_or_a_doubled_identity_is_the_peers_fault(fault: str) -> None:
    with pytest.raises(PeerError) as caught:
        decode(FAULTS[fault])
    assert caught.value.clause
    assert caught.value.reaction is not None


def test_a_secondary_field_that_is_left_out_is_empty() -> None:
    identity = decode(item(0x58, b"\x01\x01" + counted(b"name"))).user_identity
    assert identity == UserIdentity(1, b"name", b"", True)


def test_of_doubled_sub_items_the_first_counts() -> None:
    value = (
        item(0x51, bytes.fromhex("00000001"))
        + item(0x51, bytes.fromhex("00000002"))
        + item(0x52, b"1.2")
        + item(0x52, b"1.3")
        + item(0x53, bytes.fromhex("00020003"))
        + item(0x53, bytes.fromhex("00040005"))
    )
    assert decode(value) == UserInformation(1, "1.2", "", (2, 3))


def test_a_missing_maximum_length_is_not_taken_for_unlimited() -> None:
    assert decode(item(0x52, b"1.2")).maximum_length == 16384


def test_related_general_classes_count_as_items() -> None:
    related = counted(counted(b"") * 200)
    with pytest.raises(PeerError, match="more items"):
        decode(item(0x57, counted(b"1") * 2 + related))


def test_secrets_are_not_in_the_text_of_an_identity() -> None:
    text = repr(UserIdentity(2, b"name", b"passcode"))
    assert "passcode'" not in text and "name'" not in text
