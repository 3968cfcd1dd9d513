"""PS3.4 C.4.1 as SCP: the lines of the checklist about C-FIND, asked by pynetdicom and DCMTK."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from agent.archive.index import Index
from agent.archive.instances import InstanceRows, NewInstance
from agent.archive.keys import keys_of
from agent.dataset import tags
from agent.dataset.head import Head
from tests.checklists.query_archive import ROOT, uid, write_all
from tests.checklists.test_profiles import ProfileNode
from tests.cli_of import gantry
from tests.peers.dcmtk import findscu
from tests.peers.querying import Answer, Asker, ask, identifier

MANY = 12_000
UNREQUESTED = {
    "QueryRetrieveLevel",
    "SpecificCharacterSet",
    "TimezoneOffsetFromUTC",
    "RetrieveAETitle",
    "InstanceAvailability",
}
RELATIONAL, COMBINED, FUZZY = b"\1", b"\0\1", b"\0\0\1"
TIMEZONE, EMPTY, MULTIPLE = b"\0\0\0\1", b"\0\0\0\0\0\1", b"\0\0\0\0\0\0\1"

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR", "ignore:The value length")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProfileNode]:
    """A node of the profile, with the small archive and a series of many instances."""
    folder = tmp_path_factory.mktemp("archive")
    node = ProfileNode(
        folder / "node",
        "mini-archive",
        ["ARCHIVE"],
        '[entity.accept]\ncalling = "any"\n[[peer]]\nname = "OLD"\n'
        "[peer.quirks]\nrelational_unnegotiated = true\n",
    )
    with node:
        sent = gantry(
            "send",
            f"127.0.0.1:{node.ports['ARCHIVE']}",
            *write_all(folder / "files"),
            "--called",
            "ARCHIVE",
        )
        sent.check()
        node.stop()
    add_many(next((folder / "node" / "state").rglob("index.sqlite")).parent)
    with node:
        yield node


def add_many(folder: Path) -> None:
    """Rows of a series of many instances, whose files nobody asks for."""
    index = Index.open(folder)
    index.execute("PRAGMA synchronous = OFF")
    rows = InstanceRows(index)
    values = {
        tags.SOP_CLASS_UID: b"1.2.840.10008.5.1.4.1.1.2",
        tags.STUDY_INSTANCE_UID: f"{ROOT}.99".encode(),
        tags.SERIES_INSTANCE_UID: f"{ROOT}.99.1".encode(),
        tags.PATIENT_ID: b"MANY",
        tags.PATIENT_NAME: b"Many^Images",
        tags.MODALITY: b"US",
        tags.STUDY_DATE: b"19990101",
        tags.STUDY_TIME: b"0000",
        tags.ACCESSION_NUMBER: b"MANY",
        tags.STUDY_ID: b"99",
        tags.PATIENT_SEX: b"O",
    }
    with index.transaction():
        first = index.state("last_number") + 1
        for number in range(first, first + MANY):
            values[tags.SOP_INSTANCE_UID] = f"{ROOT}.99.1.{number}".encode()
            values[tags.INSTANCE_NUMBER] = b"%d" % number
            rows.add(
                NewInstance(
                    number=number,
                    keys=keys_of(Head(dict(values), {}, 0, None)),
                    transfer_syntax_uid="1.2.840.10008.1.2.1",
                    data_set_offset=400,
                    size=1000,
                    received=1e9,
                    source="TEST",
                )
            )
    index.close()


def find(
    node: ProfileNode, level: str, model: str = "study", offer: bytes | None = None, **keys: Any
) -> Answer:
    return ask(node.ports["ARCHIVE"], "ARCHIVE", identifier(level, **keys), model, offer)


def studies(node: ProfileNode, offer: bytes | None = None, **keys: Any) -> tuple[int, ...]:
    """The numbers of the studies that answer; the many are left out."""
    answer = find(node, "STUDY", offer=offer, **{"StudyInstanceUID": "", **keys})
    assert answer.status == 0, answer.final
    found = [int(each.StudyInstanceUID.rpartition(".")[2]) for each in answer.matches]
    assert len(found) == len(set(found))
    return tuple(sorted(each for each in found if each != 99))


@pytest.mark.parametrize(
    ("model", "level", "keys", "asked", "expected"),
    [
        ("patient", "PATIENT", {"PatientID": "P2"}, "PatientName", ["Roe^Ann"]),
        ("patient", "PATIENT", {"PatientName": "Roe*"}, "PatientID", ["P2"]),
        ("patient", "STUDY", {"PatientID": "P2", "StudyDate": "20060707"}, "StudyID", ["3"]),
        ("patient", "STUDY", {"PatientID": "P1", "StudyTime": "12"}, "StudyID", ["1"]),
        ("patient", "STUDY", {"PatientID": "P1", "AccessionNumber": "ABC1"}, "StudyID", ["1"]),
        ("patient", "STUDY", {"PatientID": "P1", "StudyID": "1"}, "AccessionNumber", ["ABC1"]),
        ("patient", "SERIES", {"PatientID": "P1", "StudyInstanceUID": uid(1), "Modality": "PT"},
         "SeriesNumber", ["2"]),
        ("patient", "IMAGE", {"PatientID": "P1", "StudyInstanceUID": uid(1),
         "SeriesInstanceUID": uid(1, 1), "InstanceNumber": "2"}, "SOPInstanceUID", [uid(1, 1, 2)]),
        ("study", "STUDY", {"PatientID": "P1"}, "StudyID", ["1"]),
        ("study", "STUDY", {"PatientName": "DOE^JANE"}, "StudyID", ["1"]),
        ("study", "STUDY", {"StudyInstanceUID": uid(3)}, "StudyDate", ["20060707"]),
        ("study", "STUDY", {"StudyID": "3", "AccessionNumber": "abc1"}, "PatientID", ["P2"]),
        ("study", "SERIES", {"StudyInstanceUID": uid(1), "SeriesNumber": "1"}, "Modality", ["CT"]),
        ("study", "SERIES", {"StudyInstanceUID": uid(1), "SeriesInstanceUID": uid(1, 2)},
         "Modality", ["PT"]),
        ("study", "IMAGE", {"StudyInstanceUID": uid(1), "SeriesInstanceUID": uid(1, 1),
         "SOPInstanceUID": uid(1, 1, 1)}, "InstanceNumber", ["1"]),
        ("patient-study-only", "PATIENT", {"PatientID": "P4"}, "PatientSex", ["F"]),
        ("patient-study-only", "STUDY", {"PatientID": "P2", "StudyDate": "20060707"}, "StudyID",
         ["3"]),
    ],
)  # fmt: skip
def test_ps34_039_unique_and_required_keys_of_each_level_match(
    archive: ProfileNode, model: str, level: str, keys: dict[str, str], asked: str,
    expected: list[str],
) -> None:  # fmt: skip
    answer = find(archive, level, model, **{asked: "", **keys})
    # Study 2 has no Study Time, Accession Number and Study ID: unknown values match (line 40).
    assert sorted({each for each in answer.values(asked) if each}) == expected
    assert answer.statuses == [0xFF00] * len(answer.matches) + [0]


def test_ps34_040_a_required_key_of_zero_length_matches_any_value(archive: ProfileNode) -> None:
    assert studies(archive, AccessionNumber="XYZ") == (2,)
    assert studies(archive, StudyTime="0100-0101") == (2,)
    assert studies(archive, StudyID="4711") == (2,)


def test_ps34_041_a_key_of_zero_length_is_returned_of_every_entity(archive: ProfileNode) -> None:
    answer = find(archive, "STUDY", StudyInstanceUID="", AccessionNumber="")
    held = ["", "A6C1", "A9C", "ABC1", "AXC99", "MANY", "abc1"]
    assert answer.values("AccessionNumber") == held
    assert set(answer.statuses[:-1]) == {0xFF00}


def test_ps34_042_wild_cards_are_any_sequence_and_one_character(archive: ProfileNode) -> None:
    assert studies(archive, AccessionNumber="A?C*") == (1, 2, 4, 5, 6)
    assert studies(archive, AccessionNumber="ABC1*") == (1, 2)
    assert studies(archive, AccessionNumber="a?c*") == (2, 3)
    assert studies(archive, AccessionNumber="A?C") == (2, 4)
    assert studies(archive, PatientName="M?ller*") == (4,)
    assert studies(archive, StudyDescription="Sch?del", PatientID="P4") == (4,)


def test_ps34_043_a_list_of_uids_returns_both_and_only_both(archive: ProfileNode) -> None:
    assert studies(archive, StudyInstanceUID=[uid(1), uid(3), uid(77)]) == (1, 3)


def test_ps34_044_ranges_are_inclusive_and_times_do_not_wrap(archive: ProfileNode) -> None:
    assert studies(archive, StudyDate="20060705-20060706") == (1, 2)
    assert studies(archive, StudyDate="-20060705") == (1, 4)
    assert studies(archive, StudyDate="20060708-") == (5, 6)
    assert studies(archive, StudyTime="190000-235959") == (2, 3, 4)
    assert studies(archive, StudyTime="-120000") == (1, 2, 5, 6)
    assert studies(archive, StudyTime="2300-0100") == (2,), "no range crosses midnight"


def test_ps34_045_date_and_time_are_one_range_only_when_negotiated(archive: ProfileNode) -> None:
    keys = {"StudyDate": "20060704-20060707", "StudyTime": "1200-1800"}
    assert studies(archive, **keys) == (1, 2), "windows of each day"
    assert studies(archive, COMBINED, **keys) == (1, 2, 4)
    later = {"StudyDate": "20060704-20060707", "StudyTime": "1200-2000"}
    assert studies(archive, COMBINED, **later) == (1, 2, 3, 4)
    other_form = {"StudyDate": "20060704-20060707", "StudyTime": "1200-"}
    assert studies(archive, COMBINED, **other_form) == (1, 2, 3, 4), "not the same form: each alone"
    assert studies(archive, COMBINED, StudyDate="20060707-", StudyTime="2000-") == (5, 6)


def test_ps34_046_all_keys_of_an_item_match_in_the_same_item(archive: ProfileNode) -> None:
    def item(value: str, scheme: str) -> Dataset:
        made = Dataset()
        made.CodeValue, made.CodingSchemeDesignator = value, scheme
        return made

    only = {"PatientID": "P1"}
    assert studies(archive, ProcedureCodeSequence=[item("X", "99A")], **only) == (1,)
    assert studies(archive, ProcedureCodeSequence=[item("X", "99B")], **only) == ()
    (match,) = find(archive, "STUDY", ProcedureCodeSequence=[item("X", "")], **only).matches
    (held,) = match.ProcedureCodeSequence
    assert (held.CodeValue, held.CodingSchemeDesignator) == ("X", "99A")
    assert "CodeMeaning" not in held
    (match,) = find(archive, "STUDY", ProcedureCodeSequence=[], **only).matches
    assert [each.CodeMeaning for each in match.ProcedureCodeSequence] == ["X of 99A", "Y of 99B"]


def test_ps34_047_two_quotation_marks_are_the_empty_value_only_when_negotiated(
    archive: ProfileNode,
) -> None:
    assert studies(archive, EMPTY, AccessionNumber='""') == (2,)
    assert studies(archive, EMPTY, StudyTime='""') == (2,)
    assert studies(archive, AccessionNumber='""', PatientID="P1") == (), "a literal"
    assert studies(archive, EMPTY, PatientName='""') == ()


def test_ps34_048_several_values_are_all_wanted_when_negotiated(archive: ProfileNode) -> None:
    assert studies(archive, MULTIPLE, ModalitiesInStudy=["CT", "PT"]) == (1,)
    assert studies(archive, MULTIPLE, ModalitiesInStudy=["PT", "MR"]) == ()


def test_ps34_049_one_value_that_matches_brings_all_values(archive: ProfileNode) -> None:
    answer = find(archive, "STUDY", StudyInstanceUID=uid(1), ModalitiesInStudy="PT")
    assert list(answer.matches[0].ModalitiesInStudy) == ["CT", "PT"]
    answer = find(
        archive, "IMAGE", StudyInstanceUID=uid(1), SeriesInstanceUID=uid(1, 1),
        SOPInstanceUID="", ImageType="ORIGINAL",
    )  # fmt: skip
    (match,) = answer.matches
    assert list(match.ImageType) == ["ORIGINAL", "PRIMARY", "AXIAL"]


def test_ps34_050_an_unsupported_optional_key_is_left_out_and_told(archive: ProfileNode) -> None:
    answer = find(archive, "STUDY", StudyInstanceUID=uid(1), Rows=64, Modality="CT")
    assert answer.statuses == [0xFF01, 0]
    assert "Rows" not in answer.matches[0]
    assert "Modality" not in answer.matches[0]
    private = identifier("STUDY", StudyInstanceUID=uid(1))
    private.add_new(0x00090010, "LO", "SOMEBODY")
    private.add_new(0x00091001, "LO", "X")
    answer = ask(archive.ports["ARCHIVE"], "ARCHIVE", private)
    assert answer.statuses == [0xFF01, 0]


@pytest.mark.parametrize("level", ["STUDY", "SERIES", "IMAGE"])
def test_ps34_051_052_nothing_unrequested_but_where_it_is(archive: ProfileNode, level: str) -> None:
    keys = {
        "STUDY": {"StudyInstanceUID": ""},
        "SERIES": {"StudyInstanceUID": uid(1), "SeriesInstanceUID": ""},
        "IMAGE": {
            "StudyInstanceUID": uid(1),
            "SeriesInstanceUID": uid(1, 1),
            "SOPInstanceUID": "",
        },
    }[level]
    answer = find(archive, level, **keys)
    assert answer.matches
    for each in answer.matches:
        assert {element.keyword for element in each} <= {*keys, *UNREQUESTED}
        assert each.RetrieveAETitle == "ARCHIVE"
        assert each.InstanceAvailability == "ONLINE"
        assert each.QueryRetrieveLevel == level
        assert "SpecificCharacterSet" not in each


def test_ps34_053_no_match_is_one_success_without_a_data_set(archive: ProfileNode) -> None:
    answer = find(archive, "STUDY", StudyInstanceUID="1.2.3.4")
    assert answer.statuses == [0]
    done = findscu(
        archive.ports["ARCHIVE"], "QueryRetrieveLevel=STUDY", "StudyInstanceUID=1.2.3.4",
        called="ARCHIVE", options=("-S", "-d"),
    )  # fmt: skip
    assert "Find Response: 1" not in done.output
    said = done.output.rpartition("INCOMING DIMSE MESSAGE")[2]
    assert "Data Set                      : none" in said
    assert "0x0000: Success" in said


@pytest.mark.parametrize(
    ("model", "keys", "offending"),
    [
        ("study", {"level": "PATIENT", "PatientID": ""}, 0x00080052),
        ("study", {"level": "FRAME", "StudyInstanceUID": ""}, 0x00080052),
        ("patient-study-only", {"level": "SERIES", "PatientID": "P1"}, 0x00080052),
        ("study", {"level": "SERIES", "SeriesInstanceUID": ""}, 0x0020000D),
        ("study", {"level": "SERIES", "StudyInstanceUID": [uid(1), uid(2)]}, 0x0020000D),
        ("patient", {"level": "STUDY", "PatientID": "P*"}, 0x00100020),
        ("patient", {"level": "STUDY", "StudyInstanceUID": uid(1)}, 0x00100020),
        ("study", {"level": "SERIES", "StudyInstanceUID": uid(1), "PatientName": "Doe*"},
         0x00100010),
        ("study", {"level": "STUDY", "QueryRetrieveView": "ENHANCED"}, 0x00080053),
    ],
)  # fmt: skip
def test_ps34_054_057_a_query_against_the_rules_fails_with_what_is_wrong_and_no_identifier(
    archive: ProfileNode, model: str, keys: dict[str, Any], offending: int
) -> None:
    answer = find(archive, keys.pop("level"), model, **keys)
    assert answer.statuses == [0xA900]
    assert not answer.matches
    assert answer.final.OffendingElement == offending
    assert answer.final.ErrorComment


def test_ps34_057_relational_queries_only_where_they_were_agreed_on_or_are_a_peers_way(
    archive: ProfileNode,
) -> None:
    keys = {"SeriesInstanceUID": "", "Modality": "PT"}
    assert find(archive, "SERIES", **keys).status == 0xA900
    assert find(archive, "SERIES", offer=b"\0\1", **keys).status == 0xA900
    answer = find(archive, "SERIES", offer=RELATIONAL, **keys)
    assert answer.values("SeriesInstanceUID") == [uid(1, 2)]
    both = find(archive, "SERIES", offer=RELATIONAL, PatientName="Doe*", SeriesInstanceUID="")
    assert both.values("SeriesInstanceUID") == [uid(1, 1), uid(1, 2)]
    assert both.values("PatientName") == ["Doe^Jane", "Doe^Jane"]
    image = find(archive, "IMAGE", "patient", RELATIONAL, SOPInstanceUID=[uid(3, 1, 1), uid(9)])
    assert image.values("SOPInstanceUID") == [uid(3, 1, 1)]
    old = ask(archive.ports["ARCHIVE"], "ARCHIVE", identifier("SERIES", **keys), calling="OLD")
    assert old.values("SeriesInstanceUID") == [uid(1, 2)]


def test_ps34_055_cancel_ends_a_long_query_before_it_is_through(archive: ProfileNode) -> None:
    keys = identifier(
        "IMAGE", StudyInstanceUID=uid(99), SeriesInstanceUID=uid(99, 1), SOPInstanceUID=""
    )
    with Asker(archive.ports["ARCHIVE"], "ARCHIVE") as asker:
        answer = asker.ask(keys, cancel_after=20)
        assert answer.status == 0xFE00
        assert 20 <= len(answer.matches) < MANY
        again = asker.ask(identifier("STUDY", StudyInstanceUID=uid(1)))
        assert again.statuses == [0xFF00, 0], "the association goes on"


def test_ps34_055_findscu_cancels(archive: ProfileNode) -> None:
    done = findscu(
        archive.ports["ARCHIVE"], "QueryRetrieveLevel=IMAGE", f"StudyInstanceUID={uid(99)}",
        f"SeriesInstanceUID={uid(99, 1)}", "SOPInstanceUID", called="ARCHIVE",
        options=("-S", "--cancel", "3"),
    )  # fmt: skip
    assert "Cancel" in done.output
    assert done.output.count("Pending") < MANY


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        (None, None),
        (b"\0", b"\0"),
        (b"\1", b"\1"),
        (b"\1\1\1", b"\1\1\1"),
        (b"\1\0\0\0", b"\1\0\0\0"),
        (b"\1\1\1\1\1\1\1", b"\1\1\1\1\0\1\1"),
        (b"\1\1\1\1\1\1\1\1\1", b"\1\1\1\1\0\1\1"),
        (b"\2", b"\0"),
    ],
)
def test_ps34_056_extended_negotiation_is_answered_in_length_and_kind(
    archive: ProfileNode, offered: bytes | None, answered: bytes | None
) -> None:
    with Asker(archive.ports["ARCHIVE"], "ARCHIVE", "study", offered) as asker:
        assert asker.negotiated == answered


@pytest.mark.parametrize(
    ("character_set", "key", "study"),
    [
        (["", "ISO 2022 IR 87"], "*山田*", 5),
        ("ISO_IR 192", "=山田*", 5),
        ("ISO_IR 192", "Müller*", 4),
        ("ISO_IR 100", "Müller*", 4),
        ("ISO_IR 192", "*Δελτα", 6),
        ("ISO_IR 126", "*Δελτα", 6),
    ],
)
def test_ps34_058_the_character_set_of_a_request_is_honoured_and_that_of_a_response_stated(
    archive: ProfileNode, character_set: Any, key: str, study: int
) -> None:
    answer = find(
        archive, "STUDY", SpecificCharacterSet=character_set, PatientName=key, StudyInstanceUID=""
    )
    (match,) = answer.matches
    assert match.StudyInstanceUID == uid(study)
    stated = match.SpecificCharacterSet
    assert stated == {4: "ISO_IR 100", 5: ["", "ISO 2022 IR 87"], 6: "ISO_IR 192"}[study]
    names = {4: "Müller^Jörg", 5: "Yamada^Tarou=山田^太郎=やまだ^たろう", 6: "Swayne^Δελτα"}
    assert str(match.PatientName) == names[study]


def test_ps34_038_fuzzy_matching_finds_what_sounds_alike_when_negotiated(
    archive: ProfileNode,
) -> None:
    assert studies(archive, PatientName="Swain") == ()
    assert studies(archive, FUZZY, PatientName="Swain") == (6,)
    assert studies(archive, FUZZY, PatientName="jorg muller") == (4,)
    assert studies(archive, FUZZY, PatientName="Jane^Doe") == (1,)
    assert studies(archive, FUZZY, PatientName="太郎") == (5,)


def test_a_timezone_that_was_negotiated_moves_what_is_matched(archive: ProfileNode) -> None:
    here = time.localtime().tm_gmtoff // 60
    east = here + 600
    said = f"{'-' if east < 0 else '+'}{abs(east) // 60:02}{abs(east) % 60:02}"
    # Ten hours further east, 23:59:59 of July 4th is 9:59:59 of July 5th.
    keys = {"StudyDate": "20060705", "StudyTime": "095959", "TimezoneOffsetFromUTC": said}
    assert studies(archive, TIMEZONE, **keys) == (4,)
    assert studies(archive, **keys) == ()
    (match,) = find(archive, "STUDY", offer=TIMEZONE, StudyInstanceUID=uid(4), StudyTime="").matches
    assert match.StudyTime == "235959"
    assert match.TimezoneOffsetFromUTC == time.strftime("%z")


def test_counts_and_modalities_are_those_of_what_is_stored(archive: ProfileNode) -> None:
    answer = find(
        archive, "STUDY", StudyInstanceUID=uid(1), NumberOfStudyRelatedSeries="",
        NumberOfStudyRelatedInstances="", ModalitiesInStudy="", SOPClassesInStudy="",
    )  # fmt: skip
    (match,) = answer.matches
    assert (match.NumberOfStudyRelatedSeries, match.NumberOfStudyRelatedInstances) == (2, 3)
    assert len(match.SOPClassesInStudy) == 2
    series = find(
        archive, "SERIES", StudyInstanceUID=uid(1), SeriesInstanceUID=uid(1, 1),
        NumberOfSeriesRelatedInstances="",
    )  # fmt: skip
    assert series.values("NumberOfSeriesRelatedInstances") == ["2"]
    patient = find(
        archive, "PATIENT", "patient", PatientID="P2", NumberOfPatientRelatedStudies="",
        NumberOfPatientRelatedSeries="", NumberOfPatientRelatedInstances="",
    )  # fmt: skip
    assert [patient.values(f"NumberOfPatientRelated{each}") for each in
            ("Studies", "Series", "Instances")] == [["2"], ["2"], ["2"]]  # fmt: skip


def test_a_long_answer_is_whole_and_has_nothing_twice(archive: ProfileNode) -> None:
    keys = identifier(
        "IMAGE", StudyInstanceUID=uid(99), SeriesInstanceUID=uid(99, 1), SOPInstanceUID=""
    )
    with Asker(archive.ports["ARCHIVE"], "ARCHIVE") as asker:
        answer = asker.ask(keys)
    assert len(answer.matches) == MANY
    assert answer.values("SOPInstanceUID") == sorted(set(answer.values("SOPInstanceUID")))
