"""Attribute matching (PS3.4 C.2.2.2), key by key; the null rules of both families."""

from __future__ import annotations

import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.archive.matching import Matching
from agent.archive.matching_rules import MatchingRules
from agent.archive.matching_values import interval, wild
from agent.dataset.attributes import Attributes

QUERY = MatchingRules()
WORKLIST = MatchingRules(unknown_matches=False, date_times=((0x00400002, 0x00400003),))


def holds(rules: MatchingRules, keys: dict[str, object], **entity: object) -> bool:
    return Matching(Attributes.of(keys), rules).matches(Attributes.of(entity))


@pytest.mark.parametrize(
    ("keyword", "key", "value", "expected"),
    [
        ("AccessionNumber", "A7", "A7", True),
        ("AccessionNumber", "a7", "A7", False),
        ("AccessionNumber", "A*", "A7", True),
        ("AccessionNumber", "A?", "A77", False),
        ("AccessionNumber", "*", "", True),
        ("Modality", "US", "US", True),
        ("ModalitiesInStudy", "MR", ["CT", "MR"], True),
        ("PatientName", "doe^jane", "Doe^Jane", True),
        ("PatientName", "Doe^Jane", "Doe^Jane^^", True),
        ("PatientName", "Do*", "Doe^Jane", True),
        ("PatientName", "*Ja?e*", "Doe^Jane", True),
        ("PatientName", "Doe", "Doe^Jane", False),
        ("PatientName", "山田^太郎", "Yamada^Tarou=山田^太郎=やまだ^たろう", True),
        ("PatientName", "=山田*", "Yamada^Tarou=山田^太郎", True),
        ("PatientName", "Yamada*=鈴木*", "Yamada^Tarou=山田^太郎", False),
        ("StudyInstanceUID", "1.2\\1.3", "1.3", True),
        ("StudyInstanceUID", "1.2\\1.3", "1.4", False),
        ("StudyDate", "20260101-20261231", "20260515", True),
        ("StudyDate", "20260515", "2026.05.15", True),
        ("StudyDate", "-20260101", "20260101", True),
        ("StudyDate", "20260102-", "20260101", False),
        ("StudyTime", "0800-1000", "100059.9", True),
        ("StudyTime", "0800-1000", "1001", False),
        ("StudyTime", "10", "1030", True),
        ("AcquisitionDateTime", "20260101-20260102", "20260102235959.5", True),
        ("AcquisitionDateTime", "20260101000000-0500", "20260101050000+0000", True),
        ("AcquisitionDateTime", "20260101000000-0500-20260101020000-0500", "2026010106+0000", True),
        (
            "AcquisitionDateTime",
            "20260101000000-0500-20260101020000-0500",
            "2026010108+0000",
            False,
        ),
        ("SeriesNumber", "1", "01", True),
        ("PatientSex", "[MF]", "M", False),
        ("AccessionNumber", ".*", "A7", False),
    ],
)
def test_a_key_matches_as_its_vr_says(
    keyword: str, key: str, value: object, expected: bool
) -> None:
    assert holds(QUERY, {keyword: key}, **{keyword: value}) is expected


def test_a_universal_key_matches_all_and_returns_the_value() -> None:
    matching = Matching(Attributes(PatientID="", PatientName="*"), WORKLIST)
    entity = Attributes(PatientID="P1", PatientSex="F")
    assert matching.matches(entity)
    assert matching.returned(entity) == Attributes(PatientID="P1", PatientName="")


def test_an_identifier_without_keys_matches_nothing() -> None:
    only = Attributes(SpecificCharacterSet="ISO_IR 192", QueryRetrieveLevel="STUDY")
    assert not Matching(only, QUERY).matches(Attributes(PatientID="P1"))


@pytest.mark.parametrize("entity", [{}, {"AccessionNumber": ""}])
def test_an_unknown_value_matches_in_queries_and_not_in_worklists(
    entity: dict[str, object],
) -> None:
    assert holds(QUERY, {"AccessionNumber": "X"}, **entity)
    assert not holds(WORKLIST, {"AccessionNumber": "X"}, **entity)
    assert holds(WORKLIST, {"AccessionNumber": "*"}, **entity)
    assert not holds(WORKLIST, {"AccessionNumber": "X*"}, **entity)


def test_all_keys_of_an_item_have_to_match_in_one_item() -> None:
    keys = {"RequestAttributesSequence": [{"RequestedProcedureID": "1", "AccessionNumber": "B"}]}
    one, other = (
        {"RequestedProcedureID": "1", "AccessionNumber": "A"},
        {"RequestedProcedureID": "2", "AccessionNumber": "B"},
    )
    assert not holds(WORKLIST, keys, RequestAttributesSequence=[one, other])
    assert holds(
        WORKLIST, keys, RequestAttributesSequence=[one, {**other, "RequestedProcedureID": "1"}]
    )


def test_of_a_sequence_the_keys_of_its_item_come_back_or_all() -> None:
    entity = Attributes.of(
        {"RequestAttributesSequence": [{"RequestedProcedureID": "1", "AccessionNumber": "A"}]}
    )
    some = Attributes.of({"RequestAttributesSequence": [{"AccessionNumber": ""}]})
    assert Matching(some, QUERY).returned(entity) == Attributes.of(
        {"RequestAttributesSequence": [{"AccessionNumber": "A"}]}
    )
    for asked in ([], [{}]):
        whole = Attributes.of({"RequestAttributesSequence": asked})
        assert Matching(whole, QUERY).returned(entity) == entity


@pytest.mark.parametrize(
    ("day", "clock", "expected"),
    [
        ("20260101", "0700", False),
        ("20260101", "0900", True),
        ("20260102", "0300", True),
        ("20260103", "1000", True),
        ("20260103", "1801", False),
    ],
)
def test_ps34_088_ranges_of_date_and_time_are_one_interval_in_a_worklist(
    day: str, clock: str, expected: bool
) -> None:
    step = {"ScheduledProcedureStepStartDate": day, "ScheduledProcedureStepStartTime": clock}
    keys = {
        "ScheduledProcedureStepStartDate": "20260101-20260103",
        "ScheduledProcedureStepStartTime": "0800-1800",
    }
    assert holds(WORKLIST, keys, **step) is expected


def test_ps34_089_an_unknown_physician_is_found_by_the_universal_key_only() -> None:
    name = "ScheduledPerformingPhysicianName"
    assert not holds(WORKLIST, {name: "DR*"}, PatientID="1")
    assert holds(WORKLIST, {name: "", "PatientID": "1"}, PatientID="1")
    assert holds(WORKLIST, {name: "*", "PatientID": "1"}, PatientID="1")


def test_names_match_fuzzily_where_that_was_negotiated() -> None:
    fuzzy = MatchingRules(fuzzy_names=True)
    for key in ("muller", "Müller^Jörg", "Mueller Jo", "jorg^MÜLER"):
        assert holds(fuzzy, {"PatientName": key}, PatientName="Müller^Jörg"), key
    assert not holds(fuzzy, {"PatientName": "Schmidt"}, PatientName="Müller^Jörg")


def test_the_empty_value_and_all_of_several_values_match_where_negotiated() -> None:
    rules = MatchingRules(empty_values=True, multiple_values=True)
    assert holds(rules, {"AccessionNumber": '""'}, PatientID="1")
    assert not holds(rules, {"AccessionNumber": '""'}, AccessionNumber="A")
    both = {"ModalitiesInStudy": "MR\\CT"}
    assert holds(rules, both, ModalitiesInStudy=["CT", "US", "MR"])
    assert not holds(rules, both, ModalitiesInStudy=["CT"])
    assert holds(QUERY, both, ModalitiesInStudy=["CT"])


def test_a_query_from_another_timezone_is_moved_to_ours() -> None:
    here = MatchingRules(unknown_matches=False, date_times=((0x00400002, 0x00400003),), timezone=60)
    keys = {
        "TimezoneOffsetFromUTC": "-0500",
        "ScheduledProcedureStepStartDate": "20260101",
    }
    date, time = "ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime"
    # Midnight in New York is six in the morning here.
    assert not holds(here, keys, **{date: "20260101", time: "0559"})
    assert holds(here, keys, **{date: "20260102", time: "0559"})


ALPHABET = st.text("ab*?", max_size=12)


@given(ALPHABET, st.text("abc", max_size=12))
def test_wild_cards_match_as_those_of_the_shell(pattern: str, value: str) -> None:
    assert wild(pattern)(value) == bool(re.match(fnmatch.translate(pattern), value))


@given(st.sampled_from(("DA", "TM", "DT")), st.text("0123456789-+.: ", max_size=30))
def test_any_text_is_an_interval_or_none(vr: str, text: str) -> None:
    found = interval(vr, text)
    assert found is None or len(found) == 2


def test_a_month_ends_with_its_last_day() -> None:
    found = interval("DT", "202402")
    assert found is not None
    assert (found[0].day, found[1].day, found[1].month) == (1, 29, 2)
    for month in range(1, 13):
        bounds = interval("DT", f"2026{month:02}")
        assert bounds is not None
        assert bounds[1].month == month


@pytest.mark.parametrize("rules", [QUERY, WORKLIST])
def test_a_key_that_says_it_is_a_sequence_does_not_match_text(rules: MatchingRules) -> None:
    keys = Attributes()
    keys.set("PatientName", [{"PatientID": "1"}], vr="SQ")
    assert not Matching(keys, rules).matches(Attributes(PatientName="Doe^Jane"))
