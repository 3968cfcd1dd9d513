from __future__ import annotations

import pytest
from pydicom.datadict import dictionary_VR, keyword_for_tag

from agent.dataset import tags
from agent.dataset.tags import (
    dictionary_value_representation,
    format_tag,
    from_text,
    is_private,
    keyword_of,
    known_value_representation,
    name_of,
)
from agent.errors import LocalError

CONSTANTS = {
    name: value
    for name, value in vars(tags).items()
    if name.isupper() and not name.startswith("_") and isinstance(value, int)
}


@pytest.mark.parametrize("name", sorted(set(CONSTANTS)))
def test_constants_bear_the_keyword_of_their_tag(name: str) -> None:
    keyword = keyword_for_tag(CONSTANTS[name]) or {
        tags.ITEM: "Item",
        tags.ITEM_DELIMITATION: "ItemDelimitationItem",
        tags.SEQUENCE_DELIMITATION: "SequenceDelimitationItem",
    }.get(CONSTANTS[name], "")
    assert keyword.upper().removesuffix("ITEM") == name.replace("_", "").removesuffix("ITEM")


@pytest.mark.parametrize("tag", sorted(tags._KNOWN))
def test_known_vrs_are_those_of_the_dictionary(tag: int) -> None:
    assert known_value_representation(tag) in dictionary_VR(tag).split(" or ")


def test_vrs_of_tags_without_a_constant() -> None:
    assert known_value_representation(0x00091001) == "UN"
    assert known_value_representation(0x00090010) == "LO"
    assert known_value_representation(0x00100000) == "UL"
    assert known_value_representation(0x60023000) == "OW"
    assert known_value_representation(0x00189346) == "UN"
    assert dictionary_value_representation(0x00189346) == "SQ"
    assert dictionary_value_representation(0x00091001) == "UN"
    assert dictionary_value_representation(0x00280106) == "US"
    assert dictionary_value_representation(0xFFFEE000) == "UN"


@pytest.mark.parametrize("text", ["PatientID", "0010,0020", "(0010,0020)", " 00100020 "])
def test_a_person_can_name_a_tag_in_four_ways(text: str) -> None:
    assert from_text(text) == tags.PATIENT_ID


@pytest.mark.parametrize("text", ["", "patient", "0010", "00100020ff", "(0010;0020)", "GGGGEEEE"])
def test_anything_else_is_refused_with_a_way_out(text: str) -> None:
    with pytest.raises(LocalError) as caught:
        from_text(text)
    assert caught.value.way_out


def test_names() -> None:
    assert format_tag(tags.PIXEL_DATA) == "(7FE0,0010)"
    assert keyword_of(tags.PATIENT_ID) == "PatientID"
    assert name_of(tags.PATIENT_ID) == "Patient ID"
    assert name_of(0x00100000) == "Group Length"
    assert name_of(0x00090010) == "Private Creator"
    assert name_of(0x00091002, "GEMS_IDEN_01") == "Suite id"
    assert name_of(0x00091002, "NOBODY") == name_of(0x00091002) == "Private"
    assert name_of(0x00109999) == "Unknown"
    assert is_private(0x00091002) and not is_private(tags.PATIENT_ID)
