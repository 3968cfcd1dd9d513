"""Every row of Table E.1-1, and every option that it has, on an attribute that pydicom wrote.

The attribute stands at the top level and within an item: the profile is for both.
"""

from __future__ import annotations

import functools

import pytest
from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.sequence import Sequence

from agent.security.confidentiality_table import Option, rows
from agent.security.original_identity import _IDENTIFIERS
from tests.security.deidentifying import PSEUDONYMS, deidentified

_SECRET = "Wendelgard"
_VALUES = {
    "AS": "042Y",
    "CS": "WENDELGARD",
    "DA": "20240229",
    "DS": "42.5",
    "DT": "20240229115959.5+0100",
    "IS": "4242",
    "PN": "Wunibald^Maria",
    "TM": "115959",
    "UI": "1.2.826.0.1.4242",
    "UR": f"https://{_SECRET}.example",
    "OB": b"WendelGard",
    "OW": b"WendelGard",
    "UN": b"WendelGard",
    "US": 4242,
    "FD": 42.5,
}
_CONTENT = 0x0040_A730
_REFERENCED_STUDY_SEQUENCE = 0x0008_1110
_DUMMIES = {"X/Z": "Z", "X/D": "D", "Z/D": "D", "X/Z/D": "D", "X/Z/U*": "U"}
_PATIENT = (0x0010_0010, 0x0010_0020)


def _tag(text: str) -> int:
    return int(text.replace("60XX", "6000").replace("50XXXXXX", "50003000"), 16)


def _representation(tag: int) -> str:
    vr = dictionary_VR(tag)
    return {"OB or OW": "OB", "US or SS": "US"}.get(vr, vr)


def _item() -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    item.ReferencedSOPInstanceUID = "1.2.826.0.1.4242"
    item.PatientComments = _SECRET
    item.CodeMeaning = _SECRET
    return item


def _attribute(tag: int) -> object:
    vr = _representation(tag)
    if tag in _IDENTIFIERS and vr in ("LO", "SH"):
        # What identifies is looked for in all text that stays.
        return "Wunibald"
    return Sequence([_item()]) if vr == "SQ" else _VALUES.get(vr, _SECRET)


@functools.cache
def _outcome(*options: str) -> tuple[Dataset, Dataset]:
    """The top level and an item, both with all attributes of the table, after de-identification."""
    whole, item = Dataset(), Dataset()
    for row in rows():
        tag = _tag(row)
        item.add_new(tag, _representation(tag), _attribute(tag))
        if tag >> 16 >= 8:
            # No elements of messages and of file meta information stand at the top level.
            whole.add_new(tag, _representation(tag), _attribute(tag))
    whole.ContributingEquipmentSequence = Sequence([item])
    made = deidentified(whole, *options)
    return made, made.ContributingEquipmentSequence[0]


def _places(tag: int, *options: str) -> tuple[Dataset, ...]:
    whole, item = _outcome(*options)
    return (whole, item) if tag >> 16 >= 8 else (item,)


def _check(tag: int, action: str, made: Dataset, basic: str = "") -> None:
    vr = _representation(tag)
    action = _DUMMIES.get(action, action)
    if action == "C":
        _check_cleaned(tag, made, _DUMMIES.get(basic, basic))
        return
    if action == "X":
        assert tag not in made
        return
    assert tag in made
    after = made[tag]
    assert vr == after.VR
    if tag in _PATIENT and action in ("Z", "D"):
        assert after.value
        assert "Wunibald" not in str(after.value)
    elif action == "Z":
        assert after.VM == 0 or len(after.value) == 0
    elif action == "K" and vr != "SQ":
        assert after.value == _attribute(tag)
    elif action == "U" and vr == "UI":
        assert after.value == PSEUDONYMS.uid(str(_VALUES["UI"]))
    elif action == "D":
        assert after.value != _attribute(tag)
        assert not after.is_empty
        assert _SECRET not in str(after)
        assert "Wunibald" not in str(after)
    else:
        _check_items(after.value[0], action)


def _check_items(item: Dataset, action: str) -> None:
    """What stays of a sequence is cleaned itself."""
    assert "PatientComments" not in item
    assert item.ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.2"
    if action == "U":
        assert item.ReferencedSOPInstanceUID == PSEUDONYMS.uid("1.2.826.0.1.4242")


def _check_cleaned(tag: int, made: Dataset, basic: str) -> None:
    """Nothing of the original is left; what could not be cleaned went as the profile says."""
    vr = _representation(tag)
    if vr in ("DA", "DT"):
        assert made[tag].value != _VALUES[vr]
        assert str(made[tag].value)[8:] == str(_VALUES[vr])[8:]
        return
    if vr == "TM" or tag == 0x0008_0201:
        assert made[tag].value == _attribute(tag)
        return
    if tag in made:
        assert _SECRET.lower() not in str(made[tag]).lower()
        assert "42" not in str(made[tag].value) or vr == "SQ"
    else:
        assert basic == "X"


@pytest.mark.parametrize("row", rows())
def test_a_row_of_table_e_1_1(row: str) -> None:
    tag = _tag(row)
    for place, made in enumerate(_places(tag)):
        # In General Study, it must have items (PS3.3 C.7.2.1); elsewhere it may be without.
        is_alone = tag == _REFERENCED_STUDY_SEQUENCE and not place
        _check(tag, "X" if is_alone else rows()[row].action, made)


_WITH_OPTIONS = [
    (tag, option)
    for tag, row in rows().items()
    for option in row.options
    if not tag.startswith("60XX")  # overlays have tests of their own
]


@pytest.mark.parametrize(("row", "option"), _WITH_OPTIONS)
def test_an_option_of_a_row(row: str, option: Option) -> None:
    found = rows()[row]
    for made in _places(_tag(row), option.value):
        _check(_tag(row), found.options[option], made, found.action)
