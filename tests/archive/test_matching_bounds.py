"""Keys of a peer who means harm: refused where they would cost more than any real one."""

from __future__ import annotations

import time

import pytest

from agent.archive.matching import MOST_TEXT, Matching
from agent.archive.matching_rules import MatchingRules
from agent.dataset.attributes import Attributes
from agent.errors import PeerError, StatusReaction

ENTITY = Attributes(
    PatientName="Müller^Jürgen",
    PatientComments="a" * 10_000,
    AcquisitionDateTime="20260102030405",
    PatientID="4711",
)
_FULL = MOST_TEXT - 100
COSTLY = {
    "stars": Attributes(PatientComments="a*" * (_FULL // 2)),
    "stars that do not fit": Attributes(PatientComments="*b" + "?*b" * (_FULL // 3)),
    "question marks": Attributes(PatientComments="?" * _FULL),
    "many values": Attributes(PatientID=["1*"] * (_FULL // 3)),
    "dashes": Attributes(AcquisitionDateTime="-" * _FULL),
    "dates": Attributes(AcquisitionDateTime="2026-" * (_FULL // 5)),
    "groups of a name": Attributes(PatientName="=*" * (_FULL // 2)),
    "words of a name": Attributes(PatientName="ck " * (_FULL // 3)),
}
_FUZZY = MatchingRules(fuzzy_names=True, multiple_values=True)


@pytest.mark.parametrize("name", COSTLY)
def test_the_costliest_identifier_that_is_taken_is_matched_in_no_time(name: str) -> None:
    begun = time.process_time()
    matching = Matching(COSTLY[name], _FUZZY)
    for _ in range(3):
        matching.matches(ENTITY)
    assert time.process_time() - begun < 4.0


@pytest.mark.parametrize("name", COSTLY)
def test_a_longer_one_is_refused(name: str) -> None:
    identifier = COSTLY[name].copy()
    identifier.set("PatientAddress", "a*" * 100)
    with pytest.raises(PeerError, match="longer than any") as caught:
        Matching(identifier, _FUZZY)
    reaction = caught.value.reaction
    assert isinstance(reaction, StatusReaction) and reaction.status == 0xA700


def test_what_is_in_sequences_counts_too() -> None:
    step = Attributes(ScheduledStationAETitle="A*" * (MOST_TEXT // 2))
    with pytest.raises(PeerError):
        Matching(Attributes(ScheduledProcedureStepSequence=[step]), MatchingRules())


def test_a_list_of_ten_thousand_uids_is_taken() -> None:
    uids = [f"1.2.826.0.1.3680043.9.9.{number}" for number in range(10_000)]
    matching = Matching(Attributes(SOPInstanceUID=uids), MatchingRules())
    assert matching.matches(Attributes(SOPInstanceUID=uids[77]))
    assert not matching.matches(Attributes(SOPInstanceUID="1.2"))
