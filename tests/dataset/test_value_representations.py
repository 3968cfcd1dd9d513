from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR, EXPLICIT_VR_LENGTH_32, VR

from agent.dataset.value_representations import (
    SHORT_LENGTH,
    VALUE_REPRESENTATIONS,
    decode_numbers,
    encode_numbers,
    pad,
    swap,
)
from agent.errors import LocalError

NUMERIC = [name for name, row in VALUE_REPRESENTATIONS.items() if row.format]


def test_the_table_agrees_with_pydicom() -> None:
    assert set(VALUE_REPRESENTATIONS) == {str(vr) for vr in VR if len(vr) == 2}
    for name, row in VALUE_REPRESENTATIONS.items():
        assert row.long == (name in EXPLICIT_VR_LENGTH_32)
        assert row.long == (name not in SHORT_LENGTH)
        assert row.character_set == (name in CUSTOMIZABLE_CHARSET_VR)


@pytest.mark.parametrize(
    ("vr", "padded"), [("LO", b"a "), ("UI", b"a\0"), ("OB", b"a\0"), ("??", b"a\0")]
)
def test_padding_is_that_of_the_vr(vr: str, padded: bytes) -> None:
    assert pad(vr, b"a") == padded
    assert pad(vr, b"ab") == b"ab"


@pytest.mark.parametrize("vr", NUMERIC)
@given(data=st.binary(max_size=50))
def test_numbers_go_round_in_both_byte_orders(vr: str, data: bytes) -> None:
    little = decode_numbers(vr, data)
    if any(number != number for number in little):
        return
    whole = encode_numbers(vr, little)
    assert data.startswith(whole)
    big = encode_numbers(vr, little, little_endian=False)
    assert swap(vr, whole) == big
    assert swap(vr, big) == whole
    assert decode_numbers(vr, big, little_endian=False) == little


def test_tags_are_whole_numbers() -> None:
    assert encode_numbers("AT", [0x00181063]) == b"\x18\0\x63\x10"
    assert decode_numbers("AT", b"\0\x18\x10\x63\0\0", little_endian=False) == (0x00181063,)


@pytest.mark.parametrize(("vr", "number"), [("US", 65536), ("US", -1), ("UL", 1 << 32)])
def test_a_number_that_does_not_fit_is_refused(vr: str, number: int) -> None:
    with pytest.raises(LocalError, match="does not fit"):
        encode_numbers(vr, [number])


def test_text_holds_no_binary_numbers() -> None:
    with pytest.raises(LocalError):
        encode_numbers("DS", [1])
    with pytest.raises(LocalError):
        decode_numbers("OB", b"")
    assert swap("PN", b"abc") == b"abc"
    assert swap("OW", b"abc") == b"bac"
