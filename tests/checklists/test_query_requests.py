"""PS3.4 C.4.1 as SCU, and what the statements of other products say of queries: `gantry find`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydicom import Dataset

from agent.dataset.attributes import Attributes
from agent.errors import LocalError
from agent.services.post_filter import PostFilter, Verdict
from agent.services.query import Options
from agent.services.query_request import query_identifier
from tests.checklists.query_archive import uid, write_all
from tests.cli_of import gantry
from tests.peers.dcmtk import DcmtkQueryRetrieveScp, storescu
from tests.peers.querying import MODELS, ScriptedArchive, identifier

HIGHER = {
    "patient": ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"),
    "study": ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"),
}
pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR", "ignore:The value length")


def response(**values: Any) -> Dataset:
    return identifier("STUDY", **values)


def find(scripted: ScriptedArchive, *words: str) -> Any:
    return gantry("find", f"127.0.0.1:{scripted.port}", "--called", "SCRIPTED", *words)


@pytest.mark.parametrize(
    ("model", "level", "words"),
    [
        ("patient", "PATIENT", ()),
        ("patient", "STUDY", ("PatientID=P1",)),
        ("patient", "SERIES", ("PatientID=P1", "StudyInstanceUID=1.2")),
        ("patient", "IMAGE", ("PatientID=P1", "StudyInstanceUID=1.2", "SeriesInstanceUID=1.3")),
        ("study", "STUDY", ("PatientName=A*",)),
        ("study", "SERIES", ("StudyInstanceUID=1.2",)),
        ("study", "IMAGE", ("StudyInstanceUID=1.2", "SeriesInstanceUID=1.3")),
    ],
)
def test_ps34_033_035_a_baseline_request_keeps_the_rules(
    model: str, level: str, words: tuple[str, ...]
) -> None:
    with ScriptedArchive() as scripted:
        find(scripted, "--model", model, "--level", level, *words).check()
    (asked,) = scripted.asked
    assert scripted.offered == [{}], "no extended negotiation that nobody asked for"
    assert asked.QueryRetrieveLevel == level
    names = HIGHER[model]
    own = {"PATIENT": "PatientID", "STUDY": "StudyInstanceUID"}.get(
        level, "SeriesInstanceUID" if level == "SERIES" else "SOPInstanceUID"
    )
    assert own in asked
    for keyword in names[: names.index(own)]:
        assert asked[keyword].VM == 1, keyword
        assert asked[keyword].value
    if model == "patient" and level != "PATIENT":
        assert not {"PatientName", "PatientSex", "PatientBirthDate"} & set(asked.dir())
    if level in ("SERIES", "IMAGE"):
        assert not {"StudyDate", "AccessionNumber", "PatientName"} & set(asked.dir())
    assert not {"InstanceAvailability", "RetrieveAETitle"} & set(asked.dir())


@pytest.mark.parametrize(
    "words",
    [
        ("--level", "SERIES"),
        ("--level", "SERIES", "StudyInstanceUID=1.2\\1.3"),
        ("--level", "SERIES", "StudyInstanceUID=1.2", "PatientName=Doe*"),
        ("--model", "patient", "--level", "STUDY", "PatientID=P*"),
        ("--model", "patient-study-only", "--level", "SERIES", "StudyInstanceUID=1.2"),
        ("NoSuchKeyword=1",),
    ],
)
def test_ps34_033_what_would_break_the_rules_is_not_sent(words: tuple[str, ...]) -> None:
    with ScriptedArchive() as scripted:
        done = find(scripted, *words)
    assert done.returncode == 2, done.output
    assert scripted.asked == []


def test_ps34_034_ic_24_a_relational_request_waits_for_byte_1() -> None:
    with ScriptedArchive() as silent:
        done = find(silent, "--level", "SERIES", "--relational", "Modality=CT")
        assert done.returncode == 1
        assert "does not agree to relational queries" in done.output
        assert silent.asked == []
        assert list(silent.offered[0].values()) == [b"\1"]
        as_it_likes = ("--level", "SERIES", "--relational-unnegotiated", "Modality=CT")
        find(silent, *as_it_likes).check()
        assert silent.asked[0].StudyInstanceUID == "", "sent, with zero length"
    with ScriptedArchive(agrees=b"\0") as refusing:
        assert find(refusing, "--level", "SERIES", "--relational").returncode == 1
        assert refusing.asked == []
    with ScriptedArchive(agrees=b"\1") as agreeing:
        find(agreeing, "--level", "SERIES", "--relational", "Modality=CT").check()
        assert agreeing.asked[0].Modality == "CT"


def test_ps34_036_ic_26_pending_of_both_kinds_brings_matches_and_we_filter() -> None:
    answers = [
        (0xFF00, response(StudyInstanceUID="1.1", PatientName="Doe^Jane", StudyID="1")),
        (0xFF01, response(StudyInstanceUID="1.2", PatientName="DOE^John", StudyID="1")),
        (0xFF01, response(StudyInstanceUID="1.3", PatientName="Roe^Ann", StudyID="1")),
        (0xFF01, response(StudyInstanceUID="1.4", StudyID="1")),
        (0xFF01, response(StudyInstanceUID="1.5", PatientName="Doe^X", StudyID="2")),
    ]
    with ScriptedArchive(answers) as scripted:
        done = find(scripted, "PatientName=doe*", "StudyID=1", "--json")
        assert done.returncode == 0, done.output
        lines = [each for each in done.output.splitlines() if each.startswith("{")]
        found = [json.loads(each)["0020000D"]["Value"][0] for each in lines]
        assert found == ["1.1", "1.2", "1.4"], "one without the key's value is kept"
        assert "2 answers did not match" in done.output
        assert "does not support all of these keys" in done.output
        everything = find(scripted, "PatientName=doe*", "--json", "--unfiltered")
        assert everything.output.count("0020000D") == 5


def test_ps34_037_what_comes_after_the_cancel_is_consumed_until_the_end() -> None:
    answers = [(0xFF00, response(StudyInstanceUID=f"1.{each}")) for each in range(200)]
    with ScriptedArchive(answers, pause=0.02, more_after_cancel=3) as scripted:
        done = find(scripted, "--most", "2", "--json")
        assert done.returncode == 0, done.output
        assert done.output.count("0020000D") == 2
        assert "stopped after 2; there is more" in done.output
        assert scripted.cancelled == 1


def test_ps34_038_with_fuzzy_matching_nothing_is_dropped_for_its_name() -> None:
    answers = [(0xFF00, response(StudyInstanceUID="1.1", PatientName="Swayne^Δ"))]
    with ScriptedArchive(answers, agrees=b"\0\0\1") as scripted:
        done = find(scripted, "PatientName=Swain", "--fuzzy", "--json")
        assert "Swayne" in done.output
        assert list(scripted.offered[0].values()) == [b"\0\0\1"]
    with ScriptedArchive(answers) as literal:
        done = find(literal, "PatientName=Swain", "--fuzzy", "--json")
        assert "does not agree to --fuzzy" in done.output
        assert "Swayne" not in done.output


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (0xA700, "A700H"),
        (0xA900, "A900H"),
        (0xC000, "C000H"),
        (0xC123, "C123H"),
        (0x0110, "0110H"),
        (0x0122, "0122H"),
        (0xFE00, "FE00H"),
    ],
)
def test_cd_13_failures_are_told_apart(status: int, text: str) -> None:
    with ScriptedArchive([(status, None)]) as scripted:
        done = find(scripted)
    assert done.returncode == 1
    assert text in done.output


def test_rv_15_a_study_query_has_the_seven_keys_and_the_users_wild_cards_unchanged() -> None:
    with ScriptedArchive() as scripted:
        find(
            scripted, "PatientName=D?e*", "StudyDate=20060101-20061231", "PatientSex",
            "StudyDescription", "AccessionNumber",
        ).check()  # fmt: skip
    (asked,) = scripted.asked
    assert asked.PatientName == "D?e*"
    assert asked["StudyDate"].value == "20060101-20061231"
    assert {
        "PatientID", "PatientName", "PatientSex", "StudyID", "StudyDate", "AccessionNumber",
        "StudyDescription", "StudyInstanceUID", "StudyTime", "NumberOfStudyRelatedInstances",
        "ModalitiesInStudy",
    } <= set(asked.dir())  # fmt: skip


def test_keys_within_sequences_share_one_item_and_text_has_its_character_set() -> None:
    with ScriptedArchive() as scripted:
        find(
            scripted, "ProcedureCodeSequence.CodeValue=X",
            "ProcedureCodeSequence.CodingSchemeDesignator=99A", "PatientName=*山田*",
        ).check()  # fmt: skip
        find(scripted, "PatientName=Doe*").check()
    first, second = scripted.asked
    (item,) = first.ProcedureCodeSequence
    assert (item.CodeValue, item.CodingSchemeDesignator) == ("X", "99A")
    assert first.SpecificCharacterSet == "ISO_IR 192"
    first.decode()
    assert first.PatientName == "*山田*"
    assert "SpecificCharacterSet" not in second


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("far")
    peer = DcmtkQueryRetrieveScp(folder / "qr")
    peer.start()
    storescu(peer.port, *write_all(folder / "files"), called=peer.ae_title).check()
    yield peer
    peer.kill()


def test_ic_22_results_are_those_of_findscu(far: DcmtkQueryRetrieveScp) -> None:
    from tests.peers.dcmtk import findscu

    for words in (
        ("StudyDate=20060705-20060706", "StudyTime=1000-1800"),
        ("PatientName=Roe*",),
        ("AccessionNumber=abc1",),
        (f"StudyInstanceUID={uid(1)}\\{uid(3)}",),
    ):
        ours = gantry(
            "find", f"127.0.0.1:{far.port}", "--called", far.ae_title, "--unfiltered", "--json",
            *words,
        )  # fmt: skip
        theirs = findscu(
            far.port, "QueryRetrieveLevel=STUDY", *words,
            *(() if "StudyInstanceUID" in words[0] else ("StudyInstanceUID",)),
            called=far.ae_title,
        )  # fmt: skip
        assert ours.output.count("0020000D") == theirs.output.count("(Pending)") > 0, words


def test_ic_25_a_peer_that_returns_keys_without_matching_them_is_filtered(
    far: DcmtkQueryRetrieveScp,
) -> None:
    words = (
        "--level", "SERIES", "--relational-unnegotiated", "PatientName=Doe*", "Modality=CT",
        "StudyInstanceUID", "--json",
    )  # fmt: skip
    address = (f"127.0.0.1:{far.port}", "--called", far.ae_title)
    done = gantry("find", *address, *words)
    names = [json.loads(each) for each in done.output.splitlines() if each.startswith("{")]
    assert {each["00100010"]["Value"][0]["Alphabetic"] for each in names} == {"Doe^Jane"}
    assert "answers did not match" in done.output
    raw = gantry("find", *address, *words, "--unfiltered")
    assert "Roe^Ann" in raw.output, "the peer does what this test is about"


def test_ic_25_a_character_set_that_cannot_say_the_key_keeps_the_hit_and_flags_it() -> None:
    keys = Attributes(PatientName="*山田*", StudyDescription="Schädel")
    check = PostFilter(keys, Options())
    lossy = Attributes(SpecificCharacterSet="ISO_IR 100", PatientName="Yamada^Tarou=??^??")
    assert check.verdict(lossy) is Verdict.UNCERTAIN
    full = Attributes(SpecificCharacterSet="ISO_IR 192", PatientName="Suzuki=鈴木")
    assert check.verdict(full) is Verdict.DIFFERS
    right = Attributes(SpecificCharacterSet="ISO_IR 192", PatientName="Yamada=山田^太郎")
    assert check.verdict(right) is Verdict.MATCHES
    accents = PostFilter(Attributes(PatientName="muller*"), Options())
    assert accents.verdict(Attributes(PatientName="Müller^Jörg")) is Verdict.MATCHES
    nothing = Attributes(StudyInstanceUID="1.2")
    assert check.verdict(nothing) is Verdict.MATCHES


def test_after_timezone_adjustment_times_are_not_filtered() -> None:
    keys = Attributes(StudyDate="20060705", StudyTime="1000")
    moved = Attributes(StudyDate="20060704", StudyTime="2300")
    assert PostFilter(keys, Options()).verdict(moved) is Verdict.DIFFERS
    assert PostFilter(keys, Options(timezone=True)).verdict(moved) is Verdict.MATCHES


def test_relational_identifiers_have_every_unique_key_and_none_of_the_responses_own() -> None:
    keys = Attributes(
        PatientName="Doe*", RetrieveAETitle="X", InstanceAvailability="ONLINE", StudyDate=""
    )
    made = query_identifier(MODELS["patient"], "IMAGE", keys, relational=True)
    for keyword in HIGHER["patient"]:
        assert keyword in made
        assert not made.has(keyword)
    assert "RetrieveAETitle" not in made
    assert "InstanceAvailability" not in made
    with pytest.raises(LocalError, match="has no level"):
        query_identifier(MODELS["study"], "PATIENT", keys)
