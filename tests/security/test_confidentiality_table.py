"""Table E.1-1 as it ships, against the published table and against pydicom's dictionary."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from pydicom.datadict import dictionary_VR, keyword_for_tag

from agent.configuration.deidentification import OPTIONS
from agent.errors import ConfigurationError
from agent.security.confidentiality_actions import _OURS, _STRUCTURAL, options_of
from agent.security.confidentiality_table import LETTERS, PRIVATE, Option, row_of, rows
from agent.security.deidentification_marks import METHODS

_COLUMNS = {
    "rtnSafePrivOpt": "P",
    "rtnUIDsOpt": "U",
    "rtnDevIdOpt": "D",
    "rtnInstIdOpt": "I",
    "rtnPatCharsOpt": "C",
    "rtnLongFullDatesOpt": "F",
    "rtnLongModifDatesOpt": "M",
    "cleanDescOpt": "T",
    "cleanStructContOpt": "S",
    "cleanGraphOpt": "G",
}


def test_the_table_is_that_of_the_standard() -> None:
    folder = os.environ.get("GANTRY_TEST_DATA")
    file = Path(folder or ".", "..", "dicom-standard", "confidentiality_profile_attributes.json")
    if not file.is_file():
        pytest.skip("the published table is not beside GANTRY_TEST_DATA")
    published = json.loads(file.read_text())
    seen = set()
    for each in published:
        options = {LETTERS[letter]: each[name] for name, letter in _COLUMNS.items() if name in each}
        if "GGGG" in each["tag"]:
            row = PRIVATE
        else:
            tag = each["tag"][1:10].replace(",", "").upper()
            seen.add(tag)
            row = rows()[tag]
        assert (row.action, dict(row.options)) == (each["basicProfile"], options), each
    assert seen == set(rows())


def test_the_table_is_in_order_and_names_what_pydicom_knows() -> None:
    assert list(rows()) == sorted(rows())
    assert len(rows()) == 620
    for tag in rows():
        if tag != "50XXXXXX":
            number = int(tag.replace("60XX", "6000"), 16)
            assert keyword_for_tag(number), tag


def test_repeating_groups_and_private_attributes_have_their_rows() -> None:
    for tag in (0x50000005, 0x501E3000):
        assert row_of(tag) is rows()["50XXXXXX"]
    assert row_of(0x60023000) is rows()["60XX3000"]
    assert row_of(0x60020010) is None
    assert row_of(0x00091001) is PRIVATE


def test_our_own_rows_are_none_of_the_table() -> None:
    tags = [line.split(" ")[0] for line in _OURS.split("\n") if line]
    assert tags == sorted(tags)
    for tag in tags:
        assert tag not in rows()
        assert keyword_for_tag(int(tag, 16))


def test_uids_that_stay_are_not_in_the_table() -> None:
    for tag in _STRUCTURAL:
        assert dictionary_VR(tag) == "UI"
        assert row_of(tag) is None


def test_every_option_has_a_code() -> None:
    assert set(METHODS) == set(Option)
    assert sorted(code for code, _, _ in METHODS.values()) == [
        str(number) for number in range(113101, 113113)
    ]


def test_an_option_that_is_none_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match="retain-everything") as caught:
        options_of(["retain-uids", "retain-everything"])
    assert "clean-graphics" in caught.value.way_out


def test_dates_cannot_be_kept_and_modified() -> None:
    with pytest.raises(ConfigurationError, match="dates"):
        options_of(["retain-full-dates", "retain-modified-dates"])


def test_the_configuration_knows_the_same_options() -> None:
    assert {each.value for each in Option} == set(OPTIONS)
