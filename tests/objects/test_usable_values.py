"""Worklist entries with values that PS3.5 6.2 does not allow, and objects made for them."""

from __future__ import annotations

import pydicom
import pytest

from agent.dataset.attributes import Attributes
from agent.errors import LocalError
from agent.objects.usable_values import IDENTIFYING, usable
from agent.workflow.performed_step import plain
from tests.objects.judging import errors_of
from tests.objects.test_request_attributes import ENTRY, made

LONG = "x" * 70
BAD = {
    "AdditionalPatientHistory": "h" * 20_000,
    "EthnicGroup": "e" * 40,
    "MedicalAlerts": "m" * 100,
    "PatientBirthDate": "01.02.1970",
    "PatientSex": "Ö",
    "PatientSize": "1,80",
    "PatientState": LONG,
    "PatientWeight": "heavy",
    "PregnancyStatus": "7x",
    "ReferringPhysicianName": f"{LONG}^Jane",
    "RequestedProcedureDescription": LONG,
    "RequestedProcedureCodeSequence": [
        {"CodeValue": "C" * 20, "CodingSchemeDesignator": "99X", "CodeMeaning": "too long"},
        {"CodeValue": "C1", "CodingSchemeDesignator": "99X", "CodeMeaning": LONG},
    ],
}


def entry_with(values: dict[str, object]) -> Attributes:
    return Attributes.of({**ENTRY, **values})


@pytest.mark.peer
def test_objects_are_made_whatever_else_an_entry_says(tmp_path):
    entry, mended = usable(entry_with(BAD))
    path = made(tmp_path, plain(entry))
    assert errors_of(path) == []
    read = pydicom.dcmread(path)
    assert read.StudyDescription == LONG[:64]
    assert read.ReferringPhysicianName == LONG[:64]
    assert "PatientSex" not in read or read.PatientSex == ""
    (code,) = read.ProcedureCodeSequence
    assert (code.CodeValue, code.CodeMeaning) == ("C1", LONG[:64])
    said = {each.partition(" ")[0].rstrip(":") for each in mended}
    assert said == set(BAD)


@pytest.mark.parametrize("keyword", sorted(BAD))
def test_each_alone_would_have_failed_or_been_wrong_and_does_no_more(tmp_path, keyword):
    entry, mended = usable(entry_with({keyword: BAD[keyword]}))
    assert mended
    made(tmp_path, plain(entry))


def test_a_sound_entry_stays_as_it_is():
    entry = entry_with({})
    assert usable(entry) == (entry, ())


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("AccessionNumber", "A" * 17),
        ("PatientID", "P" * 65),
        ("PatientName", "N" * 65),
        ("StudyInstanceUID", "not.a.uid"),
    ],
)
def test_an_identifier_is_neither_cut_nor_left_out(keyword, value):
    assert pydicom.datadict.tag_for_keyword(keyword) in IDENTIFYING
    with pytest.raises(LocalError, match=keyword) as caught:
        usable(entry_with({keyword: value}))
    assert value not in str(caught.value)
