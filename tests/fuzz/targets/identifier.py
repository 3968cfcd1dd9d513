"""Identifiers of queries and worklists, made ready and matched (PS3.4 C.2.2.2, C.4.1, K.4.1)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from agent.archive.information_model import MODELS
from agent.archive.matching import Matching
from agent.archive.matching_rules import Combination, MatchingRules
from agent.archive.query_plan import plan_of
from agent.archive.query_records import Question
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import decode_attributes, encode_attributes
from agent.dataset.transfer_syntaxes import by_name
from tests.fuzz.target import Target

_SYNTAXES = tuple(map(by_name, ("explicit", "implicit", "explicit-big", "deflated")))
_CLASSES = tuple(MODELS)
_PAIRS = ((0x00080020, 0x00080030), (0x00400002, 0x00400003))


def _rules(flags: int) -> MatchingRules:
    return MatchingRules(
        unknown_matches=bool(flags & 1),
        date_times=_PAIRS,
        combination=Combination.SAME_FORM if flags & 2 else Combination.RANGES,
        fuzzy_names=bool(flags & 4),
        empty_values=bool(flags & 8),
        multiple_values=bool(flags & 16),
        timezone=120 if flags & 32 else None,
    )


@cache
def _entities() -> tuple[Attributes, ...]:
    step = Attributes(
        Modality="US",
        ScheduledStationAETitle=["ROOM1", "ROOM2"],
        ScheduledProcedureStepStartDate="20260102",
        ScheduledProcedureStepStartTime="081500",
    )
    return (
        Attributes(
            PatientName="Müller^Jürgen=山田^太郎",
            PatientID="P 1",
            StudyDate="20260102",
            StudyTime="030405.123456",
            StudyInstanceUID="1.2.3",
            ModalitiesInStudy=["CT", "MR"],
            AccessionNumber="A" * 16,
            PatientComments="a" * 2000,
            AcquisitionDateTime="20260102030405.1+0100",
            SliceThickness="1.50",
        ),
        Attributes(
            PatientName="O'Brien^Mary Ann", PatientID="", ScheduledProcedureStepSequence=[step]
        ),
        Attributes(),
    )


def run(data: bytes) -> None:
    """Three bytes choose transfer syntax, rules, and SOP class; the rest is the identifier."""
    if len(data) < 3:
        return
    syntax, rules = _SYNTAXES[data[0] % len(_SYNTAXES)], _rules(data[1])
    identifier = decode_attributes(data[3:], syntax)
    matching = Matching(identifier, rules)
    for each in _entities():
        matching.matches(each)
        matching.returned(each)
    plan_of(
        Question(
            _CLASSES[data[2] % len(_CLASSES)],
            data[3:],
            syntax.uid,
            "GANTRY",
            rules,
            relational=bool(data[2] & 0x80),
        )
    )


def seeds() -> Iterator[bytes]:
    """Queries as they are asked, in each transfer syntax."""
    queries = (
        Attributes(QueryRetrieveLevel="STUDY", PatientName="M?ller^*", StudyDate="20260101-"),
        Attributes(
            QueryRetrieveLevel="STUDY",
            StudyDate="20251231-20260103",
            StudyTime="0800-1200",
            TimezoneOffsetFromUTC="+0100",
            ModalitiesInStudy=["CT", "US"],
            AccessionNumber="*A*A*A*",
            PatientComments="*a?a*a*b",
        ),
        Attributes(
            QueryRetrieveLevel="IMAGE",
            StudyInstanceUID="1.2.3",
            SeriesInstanceUID="1.2.3.4",
            SOPInstanceUID=["1.2.3.4.5", "1.2.3.4.6"],
            AcquisitionDateTime="20260101-0500-20260103+0100",
            SliceThickness="1.5",
        ),
        Attributes(
            PatientName="muller jurgen",
            PatientID='""',
            ScheduledProcedureStepSequence=[
                Attributes(
                    ScheduledProcedureStepStartDate="20260102",
                    ScheduledProcedureStepStartTime="-0900",
                    Modality="US",
                )
            ],
        ),
    )
    for number, query in enumerate(queries):
        for at, syntax in enumerate(_SYNTAXES):
            yield bytes((at, 37 * number & 0xFF, 0x80 | number)) + encode_attributes(query, syntax)


TARGET = Target(run, seeds, seconds=0.5, longest=1 << 14)
