"""Which studies a request for an inventory means, and how it is answered (PS3.4 KK.2.2)."""

from __future__ import annotations

from typing import Any

import pytest

from agent.archive.procedure_steps import pack
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import with_character_set
from agent.services.inventory_scope import scope_of


def asked(**scope: Any) -> Attributes:
    return Attributes(InventoryLevel="STUDY", ScopeOfInventorySequence=[scope] if scope else None)


def test_keys_of_all_sequences_are_one_identifier() -> None:
    scope, outcome = scope_of(
        asked(
            RangeMatchingSequence=[{"StudyDate": "20260101\\20260131", "StudyTime": "1000-"}],
            ListOfUIDMatchingSequence=[{"StudyInstanceUID": "1.2\\1.3"}],
            GeneralMatchingSequence=[{"PatientName": "Doe*"}],
        )
    )
    assert outcome.status == 0
    assert scope.identifier.texts("StudyDate") == ("20260101-20260131",)
    assert scope.identifier.texts("StudyTime") == ("1000-",)
    assert scope.identifier.texts("StudyInstanceUID") == ("1.2", "1.3")
    assert scope.identifier.text("PatientName") == "Doe*"
    assert scope.identifier.text("QueryRetrieveLevel") == "STUDY"
    kept = scope.item.item_of("RangeMatchingSequence")
    assert kept.texts("StudyDate") == ("20260101", "20260131"), "as it was asked"


@pytest.mark.parametrize(
    ("value", "means"),
    [("20260101\\", "20260101-"), ("\\20260131", "-20260131"), ("20260101", "20260101")],
)
def test_a_range_may_be_open(value: str, means: str) -> None:
    scope, _ = scope_of(asked(RangeMatchingSequence=[{"StudyDate": value}]))
    assert scope.identifier.text("StudyDate") == means


def test_without_a_scope_all_studies_are_meant() -> None:
    scope, outcome = scope_of(asked())
    assert outcome.status == 0
    assert len(scope.item) == 0
    assert not scope.identifier.has("StudyInstanceUID")


@pytest.mark.parametrize(
    "wrong",
    [
        Attributes(ScopeOfInventorySequence=None),
        Attributes(InventoryLevel="IMAGE"),
        Attributes(InventoryLevel="STUDY", ScopeOfInventorySequence=[{}, {}]),
        asked(EmptyValueMatchingSequence=[{"PatientName": ""}]),
        asked(ExtendedMatchingMechanisms="ANY"),
        asked(ExtendedMatchingMechanisms="FUZZY\\ANY"),
        asked(ExtendedMatchingMechanisms="RELATIONAL"),
        asked(ExtendedMatchingMechanisms="RELATIONAL", QueryRetrieveLevel="PATIENT"),
        asked(ExtendedMatchingMechanisms="TIMEZONE_ADJUST"),
        asked(SpecificCharacterSet="ISO_IR 100\\MARS"),
    ],
)
def test_what_is_not_supported_is_a_mistyped_argument(wrong: Attributes) -> None:
    _, outcome = scope_of(wrong)
    assert outcome.status == 0x0212
    assert 0 < len(outcome.comment) <= 64


def test_each_mechanism_is_agreed_to_where_it_is_offered() -> None:
    terms = "RELATIONAL\\TIMEZONE_ADJUST\\EMPTY_VALUE\\MULTIPLE_VALUE\\FUZZY\\DATETIME"
    request = asked(
        ExtendedMatchingMechanisms=terms,
        QueryRetrieveLevel="SERIES",
        TimezoneOffsetFromUTC="+0100",
        EmptyValueMatchingSequence=[{"AccessionNumber": "", "StudyInstanceUID": "", "Rows": ""}],
        GeneralMatchingSequence=[{"PatientName": "Doe", "Modality": "CT", "Columns": "5"}],
    )
    scope, outcome = scope_of(request)
    assert (outcome.status, outcome.unsupported) == (0xB010, (0x0020000D, 0x00280010, 0x00280011))
    assert set(scope.mechanisms) == {
        "relational", "date_time", "fuzzy", "timezone", "empty", "multiple"
    }  # fmt: skip
    assert scope.identifier.text("AccessionNumber") == '""'
    assert scope.identifier.text("PatientName") == "Doe"
    assert scope.below.text("Modality") == "CT"
    assert scope.below.text("QueryRetrieveLevel") == "SERIES"
    assert {each.text("TimezoneOffsetFromUTC") for each in scope[:3]} == {"+0100"}
    assert scope.item.texts("ExtendedMatchingMechanisms") == tuple(terms.split("\\"))
    kept = scope.item.item_of("EmptyValueMatchingSequence")
    assert set(kept) == {0x00080050} and not kept.has("AccessionNumber"), "as it was asked"
    _, outcome = scope_of(request, ("relational", "timezone", "empty", "multiple", "fuzzy"))
    assert outcome.status == 0x0212, "date and time are not offered by this entity"


def test_keys_below_studies_need_the_relational_mechanism() -> None:
    scope, outcome = scope_of(asked(GeneralMatchingSequence=[{"Modality": "CT"}]))
    assert outcome.unsupported == (0x00080060,)
    assert len(scope.below) == 0
    relational = {"ExtendedMatchingMechanisms": "RELATIONAL", "QueryRetrieveLevel": "SERIES"}
    scope, outcome = scope_of(asked(**relational, GeneralMatchingSequence=[{"PatientID": "P1"}]))
    assert outcome.status == 0
    assert len(scope.below) == 0, "no study is asked for nothing"


def test_hostile_scopes_are_unsupported_keys_at_worst() -> None:
    strange = Attributes()
    strange.set("PatientName", [{"PatientID": "1"}, {"PatientID": "2"}], vr="SQ")
    strange.set("RecordKey", b"1:1.2.3")
    strange.set("QueryRetrieveLevel", "IMAGE")
    strange.set("SOPInstanceUID", "1.2")
    strange.set("PixelData", b"\0" * 10, vr="OW")
    strange.set(0x00991001, "private", vr="LO")
    strange.set("StudyID", "\\".join(["1"] * 1000))
    request = asked(GeneralMatchingSequence=[strange], RangeMatchingSequence=[strange])
    request.item_of("ScopeOfInventorySequence").set("ListOfUIDMatchingSequence", "1.2", vr="UI")
    scope, outcome = scope_of(request)
    assert outcome.status == 0xB010
    assert 0x0008041B in outcome.unsupported
    assert 0x00100010 in outcome.unsupported
    assert scope.identifier.text("QueryRetrieveLevel") == "STUDY"
    assert set(scope.item.item_of("GeneralMatchingSequence")) == {0x00200010}
    assert pack(with_character_set(scope.identifier))
    assert pack(with_character_set(scope.item))
