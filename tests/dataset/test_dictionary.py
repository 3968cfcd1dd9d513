"""The rows of the data dictionary, held against pydicom's."""

from __future__ import annotations

from pydicom.datadict import dictionary_VR, keyword_for_tag

from agent.dataset import tags
from agent.dataset.dictionary import by_keyword, by_tag


def test_each_row_has_the_keyword_and_the_vr_of_the_standard() -> None:
    for tag, row in by_tag().items():
        assert keyword_for_tag(tag) == row.keyword
        assert row.vr in dictionary_VR(tag).split(" or ")


def test_a_keyword_stands_for_one_tag() -> None:
    assert len(by_keyword()) == len(by_tag()) > 800
    assert tags.from_text("ScheduledStationAETitle") == 0x00400001
    assert tags.keyword_of(0x00400001) == "ScheduledStationAETitle"


def test_implicit_vr_knows_the_attributes_of_worklists() -> None:
    assert tags.dictionary_value_representation(0x00400100) == "SQ"
    assert tags.dictionary_value_representation(0x00404034) == dictionary_VR(0x00404034)
