"""What the statements of MxView and C-DAC's toolkit, and our own, say of queries as SCP."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file

from agent.configuration.load import load
from agent.conformance import statement
from agent.vocabulary import vocabulary
from tests.archive.filled_archive import write
from tests.checklists.query_archive import instance, uid
from tests.cli_of import gantry
from tests.node.running import NodeProcess, free_port
from tests.peers.querying import Answer, Asker, ask, identifier

MXVIEW_KEYS = (
    "ImageType", "InstanceCreationDate", "InstanceCreationTime", "SOPClassUID", "SeriesDate",
    "ContentDate", "SeriesTime", "ContentTime", "ContrastBolusAgent", "ScanOptions",
    "SliceThickness", "GantryDetectorTilt", "AcquisitionNumber", "ImagePositionPatient",
    "InstanceNumber", "ImageOrientationPatient", "FrameOfReferenceUID", "SliceLocation", "Rows",
    "Columns", "SamplesPerPixel", "PixelSpacing", "BitsAllocated",
)  # fmt: skip
OF_SERIES = {"SeriesDate", "SeriesTime", "FrameOfReferenceUID"}
NAMES = {
    "11": "Müller^Jörg", "12": "Παπαδόπουλος^Δ", "13": "山田^太郎", "14": "शर्मा^अनिल",
}  # fmt: skip
QUERY = '[[entity.service]]\nname = "query"\nroles = ["scp"]\n'

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR", "ignore:The value length")


@pytest.fixture(scope="module")
def sample() -> Dataset:
    made = dcmread(str(get_testdata_file("CT_small.dcm")))
    made.remove_private_tags()
    made.ContrastBolusAgent = "AGENT"
    return made


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, sample: Dataset) -> Iterator[NodeProcess]:
    """Two entities with an archive each; the second negotiates nothing extended."""
    folder = tmp_path_factory.mktemp("statements")
    made = NodeProcess(folder / "node")
    made.other = free_port()  # type: ignore[attr-defined]
    state = folder / "node" / "state"
    made.write(
        f'{QUERY}[[archive]]\nname = "main"\nfolder = "{state}/one"\n'
        f'[[archive]]\nname = "second"\nfolder = "{state}/two"\n'
        f'[[entity]]\nname = "PLAIN"\nport = {made.other}\n'  # type: ignore[attr-defined]
        'archive = "second"\nextended_negotiation = false\naddresses = ["127.0.0.1"]\n'
        f'[entity.accept]\ncalling = "any"\n[[entity.service]]\nname = "storage"\n{QUERY}'
    )
    held = folder / "files"
    held.mkdir()
    write(held / "sample.dcm", sample)
    for number, name in NAMES.items():
        person = instance(
            int(number), 1, 1, SpecificCharacterSet="ISO_IR 192", PatientName=name, PatientID=number
        )
        write(held / f"{number}.dcm", person)
    with made:
        gantry("send", f"127.0.0.1:{made.port}", held, "--called", "GANTRY").check()
        other = held / "other"
        other.mkdir()
        write(other / "other.dcm", instance(21, 1, 1))
        gantry("send", f"127.0.0.1:{made.other}", other, "--called", "PLAIN").check()  # type: ignore[attr-defined]
        yield made


def image(node: NodeProcess, sample: Dataset, **keys: Any) -> Answer:
    asked = identifier(
        "IMAGE",
        StudyInstanceUID=sample.StudyInstanceUID,
        SeriesInstanceUID=sample.SeriesInstanceUID,
        SOPInstanceUID="",
        **keys,
    )
    return ask(node.port, "GANTRY", asked)


def test_mx_22_two_titles_are_two_databases(node: NodeProcess) -> None:
    everything = identifier("STUDY", StudyInstanceUID="")
    first = ask(node.port, "GANTRY", everything)
    second = ask(node.other, "PLAIN", everything)  # type: ignore[attr-defined]
    assert second.values("StudyInstanceUID") == [uid(21)]
    assert uid(21) not in first.values("StudyInstanceUID")
    assert len(first.matches) == 1 + len(NAMES)
    assert second.values("RetrieveAETitle") == ["PLAIN"]


def test_mx_22_with_the_volume_away_the_answer_is_a_failure_and_no_emptiness(
    node: NodeProcess,
) -> None:
    place = node.folder / "state" / "two"
    away = place.with_name("away")
    everything = identifier("STUDY", StudyInstanceUID="")
    place.rename(away)
    try:
        answer = ask(node.other, "PLAIN", everything)  # type: ignore[attr-defined]
        assert answer.statuses == [0xA700]
        assert answer.final.ErrorComment
    finally:
        away.rename(place)
    assert ask(node.other, "PLAIN", everything).status == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("keyword", MXVIEW_KEYS)
def test_mx_23_each_optional_key_is_returned_and_matched(
    node: NodeProcess, sample: Dataset, keyword: str
) -> None:
    held = sample[keyword].value if keyword in sample else None
    if keyword in OF_SERIES:
        asked = identifier(
            "SERIES", StudyInstanceUID=sample.StudyInstanceUID, SeriesInstanceUID="",
            **{keyword: ""},
        )  # fmt: skip
        answer = ask(node.port, "GANTRY", asked)
    else:
        answer = image(node, sample, **{keyword: None})
    (match,) = answer.matches
    assert answer.statuses == [0xFF00, 0]
    assert keyword in match
    assert (match[keyword].value or None) == (held or None)
    if not held or keyword in OF_SERIES:
        return
    one = held if isinstance(held, str | int | float) else held[0]
    assert len(image(node, sample, **{keyword: one}).matches) == 1
    other = (
        "1.2.3" if keyword == "SOPClassUID" else 7 if isinstance(one, int | float) else "19000101"
    )
    if "Time" in keyword:
        other = "010101"
    assert len(image(node, sample, **{keyword: other}).matches) == 0


def test_mx_24_a_key_that_is_not_supported_is_absent_and_relational_ones_are_refused(
    node: NodeProcess,
) -> None:
    answer = ask(node.port, "GANTRY", identifier("STUDY", StudyInstanceUID="", SliceLocation=""))
    assert set(answer.statuses) == {0xFF01, 0}
    assert all("SliceLocation" not in each for each in answer.matches)
    relational = identifier("SERIES", SeriesInstanceUID="", PatientName="*")
    assert ask(node.port, "GANTRY", relational).statuses == [0xA900]


def test_cd_10_without_extended_negotiation_none_is_answered(node: NodeProcess) -> None:
    other: int = node.other  # type: ignore[attr-defined]
    with Asker(other, "PLAIN", "study", b"\1\1\1\1\1\1\1") as asker:
        assert asker.negotiated is None
        assert asker.ask(identifier("SERIES", SeriesInstanceUID="")).statuses == [0xA900]


@pytest.mark.parametrize("model", ["patient", "study"])
@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientID", "12"),
        ("StudyDate", "20060705"),
        ("ModalitiesInStudy", "CT"),
        ("StudyTime", "120000"),
        ("AccessionNumber", "A12C1"),
        ("NumberOfStudyRelatedSeries", "1"),
        ("NumberOfStudyRelatedInstances", "1"),
    ],
)
def test_cd_11_each_of_the_seven_keys_matches_and_is_returned(
    node: NodeProcess, model: str, keyword: str, value: str
) -> None:
    keys = {"StudyInstanceUID": uid(12), "PatientID": "12", keyword: value}
    (match,) = ask(node.port, "GANTRY", identifier("STUDY", **keys), model).matches
    assert str(match[keyword].value) == value
    keys[keyword] = {"StudyDate": "19000101", "StudyTime": "0101"}.get(keyword, "99")
    if keyword == "PatientID" and model == "patient":
        keys["StudyInstanceUID"] = ""
    assert ask(node.port, "GANTRY", identifier("STUDY", **keys), model).matches == []


def test_cd_12_an_identifier_that_cannot_be_read_is_c000(node: NodeProcess) -> None:
    from tests.peers.raw_pdu import command_set, data, proposed_context, value
    from tests.peers.raw_peer import RawPeer

    study_root = "1.2.840.10008.5.1.4.1.2.2.1"
    with RawPeer.connect(node.port) as peer:
        peer.associate(proposed_context(1, study_root, "1.2.840.10008.1.2"), called="GANTRY")
        command = command_set({0x0002: study_root, 0x0100: 0x0020, 0x0110: 1, 0x0700: 0, 0x0800: 0})
        peer.send(data(value(1, 3, command)), data(value(1, 2, b"\x08\0\x52\0\xff\0\0\0ST")))
        message = peer.receive_message()
        assert int.from_bytes(message.command[0x0900], "little") == 0xC000
        assert message.command[0x0800] == b"\1\1"


@pytest.mark.parametrize("number", NAMES)
def test_cd_52_names_of_every_script_are_found_by_wild_cards_and_returned_unchanged(
    node: NodeProcess, number: str
) -> None:
    name = NAMES[number]
    asked = identifier("STUDY", StudyInstanceUID="", PatientName=f"*{name[1:4]}*")
    (match,) = ask(node.port, "GANTRY", asked).matches
    assert match.SpecificCharacterSet == "ISO_IR 192"
    assert str(match.PatientName) == name
    done = gantry("find", f"127.0.0.1:{node.port}", "--called", "GANTRY", f"PatientName={name}")
    assert name in done.output


def test_mx_17_text_goes_out_as_the_bytes_that_came_in(node: NodeProcess, tmp_path: Path) -> None:
    write(
        tmp_path / "l.dcm",
        instance(31, 1, 1, SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg",
                 PatientID="31"),
    )  # fmt: skip
    gantry("send", f"127.0.0.1:{node.port}", tmp_path, "--called", "GANTRY").check()
    done = subprocess.run(
        ["findscu", "-S", "-aec", "GANTRY", "127.0.0.1", str(node.port), "-od", str(tmp_path), "-X",
         "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientID=31", "-k", "PatientName"],
        check=True, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0
    answer = (tmp_path / "rsp0001.dcm").read_bytes()
    assert "Müller^Jörg".encode("latin-1") in answer
    assert b"ISO_IR 100" in answer


def test_ps34_150_the_statement_says_what_c_6_1_2_2_wants_said() -> None:
    configuration = load(profile="mini-archive", files=(), vocabulary=vocabulary())
    said = statement(configuration)
    for word in (
        "C-FIND as SCP", "C-FIND as SCU", "relational queries | supported",
        "combined date-time matching | supported", "timezone query adjustment | supported",
        "Image Conversion) | not supported", "Empty Value Matching | supported",
        "Multiple Value Matching | supported", "PN, fuzzy", "DS and IS", "Specific Character Set",
        "Timezone Offset From UTC", "NumberOfStudyRelatedInstances", "ModalitiesInStudy",
        "Priority",
    ):  # fmt: skip
        assert word in said, word
    fewer = load(
        profile="mini-archive", files=(), overrides=['entity.ARCHIVE.queries.options=["fuzzy"]'],
        vocabulary=vocabulary(),
    )  # fmt: skip
    assert "relational queries | not supported" in statement(fewer)
    assert "matching of person names | supported" in statement(fewer)
