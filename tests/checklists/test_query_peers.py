"""The same identifiers put to Gantry, dcmqrscp, Orthanc and brute force (PS3.4 C.2.2.2, C.4.1.3).

Gantry answers each as brute force does. What the others answer otherwise is in a table, with the
clause that explains it; a difference that is gone is a failure too, so that the table stays true.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from tests.archive.query_reference import UNIQUE, Archive, Negotiated, Refused
from tests.checklists.query_archive import CT, uid, write_all
from tests.checklists.test_profiles import ProfileNode
from tests.cli_of import gantry
from tests.peers.dcmtk import DcmtkQueryRetrieveScp, findscu, storescu
from tests.peers.orthanc import Orthanc
from tests.peers.querying import ask, identifier

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR", "ignore:The value length")

REFUSED, NOT_OFFERED = frozenset({"refused"}), frozenset({"not offered"})
EXPLICIT_AND_IMPLICIT = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")


@dataclass(frozen=True)
class Peers:
    """Ports and titles of who is asked, and the archive as data sets."""

    where: dict[str, tuple[int, str]]
    reference: Archive


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    folder = tmp_path_factory.mktemp("peers")
    files = write_all(folder / "files")
    node = ProfileNode(
        folder / "node", "mini-archive", ["ARCHIVE"], '[entity.accept]\ncalling = "any"\n'
    )
    dcmqrscp = DcmtkQueryRetrieveScp(folder / "dcmqrscp")
    orthanc = Orthanc(folder / "orthanc", modalities={"ASKER": ("127.0.0.1", 1)})
    try:
        dcmqrscp.start()
        orthanc.start()
        with node:
            port = node.ports["ARCHIVE"]
            gantry("send", f"127.0.0.1:{port}", *files, "--called", "ARCHIVE").check()
            for peer in (dcmqrscp, orthanc):
                storescu(peer.port, *files, called=peer.ae_title).check()
            held = [dcmread(each) for each in files]
            for each in held:
                each.decode()
            yield Peers(
                {
                    "gantry": (port, "ARCHIVE"),
                    "dcmqrscp": (dcmqrscp.port, dcmqrscp.ae_title),
                    "orthanc": (orthanc.port, orthanc.ae_title),
                },
                Archive(held),
            )
    finally:
        dcmqrscp.kill()
        orthanc.kill()


def _item(**keys: str) -> list[Dataset]:
    made = Dataset()
    for keyword, value in keys.items():
        setattr(made, keyword, value)
    return [made]


ONE = {"StudyInstanceUID": uid(1)}
SERIES = {**ONE, "SeriesInstanceUID": uid(1, 1)}
NULL = "C.2.2.1.2: a required key that the archive does not know matches"
OPTIONAL = "C.2.2.1.3: an optional key need not be supported"
CASE = "C.2.2.2.1.1: names may be matched with or without regard to case"
HIERARCHY = "C.4.1.2.1: a single value in each higher unique key; C.4.1.3.1.1 c has no matches"
CHARACTERS = "C.2.2.2: a character set that is not supported leaves matching undefined"
MEANING = "C.2.2.2.1.3: how times are matched is the implementation's to say"
GROUPS = "C.2.2.2.1.1: matching on component groups is the implementation's to say"
UNDEFINED = "C.2.2.2.8 note 4: several values without negotiation mean nothing"
RETIRED = "C.6.3: retired, so that few still have it"
SEVERAL = "C.2.2.3: one of several values that matches is enough"
NOT_A_LEVEL = "C.6.2.1: the Study Root has no such level"

Row = tuple[str, str, dict[str, Any], dict[str, str]]
IDENTIFIERS: dict[str, Row] = {}


def _row(name: str, model: str, level: str, keys: dict[str, Any], **others: str) -> None:
    IDENTIFIERS[name] = (model, level, keys, others)


_row("all patients", "patient", "PATIENT", {})
_row("patient by ID", "patient", "PATIENT", {"PatientID": "P2"})
_row("patient by wild card", "patient", "PATIENT", {"PatientID": "P?"})
_row("patient by name", "patient", "PATIENT", {"PatientName": "Roe^Ann"})
_row("patient by other case", "patient", "PATIENT", {"PatientName": "roe*"}, dcmqrscp=CASE)
_row("studies of a patient", "patient", "STUDY", {"PatientID": "P2"})
_row("series of a patient", "patient", "SERIES", {"PatientID": "P1", **ONE})
_row("images of a patient", "patient", "IMAGE", {"PatientID": "P1", **SERIES})
_row("contradicting patient", "patient", "SERIES", {"PatientID": "P2", **ONE})
_row("patients only", "patient-study-only", "PATIENT", {"PatientName": "Doe*"}, orthanc=RETIRED)
_row("studies only", "patient-study-only", "STUDY", {"PatientID": "P2"}, orthanc=RETIRED)
_row("all studies", "study", "STUDY", {})
_row("study by UID", "study", "STUDY", ONE)
_row("studies by UIDs", "study", "STUDY", {"StudyInstanceUID": [uid(1), uid(3)]})
_row("study by patient ID", "study", "STUDY", {"PatientID": "P2"})
_row(
    "study by accession", "study", "STUDY", {"AccessionNumber": "ABC1"}, dcmqrscp=NULL, orthanc=NULL
)
_row("accession wild", "study", "STUDY", {"AccessionNumber": "A?C*"}, dcmqrscp=NULL, orthanc=NULL)
_row("study date", "study", "STUDY", {"StudyDate": "20060705"})
_row("date range", "study", "STUDY", {"StudyDate": "20060705-20060706"})
_row("dates until", "study", "STUDY", {"StudyDate": "-20060705"})
_row("dates from", "study", "STUDY", {"StudyDate": "20060708-"})
_row("time range", "study", "STUDY", {"StudyTime": "190000-235959"}, dcmqrscp=NULL, orthanc=NULL)
_row(
    "windows of each day", "study", "STUDY",
    {"StudyDate": "20060704-20060707", "StudyTime": "120000-180000"},
    dcmqrscp=NULL, orthanc=NULL,
)  # fmt: skip
_row("hour only", "study", "STUDY", {"StudyTime": "19"}, dcmqrscp=MEANING, orthanc=MEANING)
_row("umlaut", "study", "STUDY", {"PatientName": "Müller*"})
_row("kanji", "study", "STUDY", {"PatientName": "*山田*"}, dcmqrscp=CHARACTERS)
_row(
    "ideographic group",
    "study",
    "STUDY",
    {"PatientName": "=山田*"},
    dcmqrscp=GROUPS,
    orthanc=GROUPS,
)
_row("modalities", "study", "STUDY", {"ModalitiesInStudy": "PT"}, dcmqrscp=OPTIONAL)
_row("two modalities", "study", "STUDY", {"ModalitiesInStudy": ["MR", "PT"]}, dcmqrscp=UNDEFINED)
_row(
    "code in a sequence", "study", "STUDY",
    {"PatientID": "P1", "ProcedureCodeSequence": _item(CodeValue="X", CodingSchemeDesignator="Z")},
    dcmqrscp=OPTIONAL, orthanc=OPTIONAL,
)  # fmt: skip
_row("series by modality", "study", "SERIES", {**ONE, "Modality": "PT"})
_row("series by number", "study", "SERIES", {**ONE, "SeriesNumber": "1"})
_row("images by number", "study", "IMAGE", {**SERIES, "InstanceNumber": "2"})
_row("images by class", "study", "IMAGE", {**SERIES, "SOPClassUID": CT})
_row("images by UIDs", "study", "IMAGE", {**SERIES, "SOPInstanceUID": [uid(1, 1, 1), uid(9)]})
_row("images by size", "study", "IMAGE", {**SERIES, "Rows": 64}, dcmqrscp=OPTIONAL)
_row(
    "images by kind",
    "study",
    "IMAGE",
    {**SERIES, "ImageType": "DERIVED"},
    dcmqrscp=OPTIONAL,
    orthanc=SEVERAL,
)
_row("series without study", "study", "SERIES", {"Modality": "PT"}, orthanc=HIERARCHY)
_row(
    "key of a higher level", "study", "SERIES", {**ONE, "PatientName": "Roe*"},
    dcmqrscp=HIERARCHY, orthanc=HIERARCHY,
)  # fmt: skip
_row(
    "list in a higher key", "study", "SERIES", {"StudyInstanceUID": [uid(1), uid(3)]},
    dcmqrscp=HIERARCHY, orthanc=HIERARCHY,
)  # fmt: skip
_row("patients of the Study Root", "study", "PATIENT", {"PatientID": "P1"}, orthanc=NOT_A_LEVEL)


@pytest.mark.parametrize("name", IDENTIFIERS)
def test_the_same_identifier_is_answered_the_same_or_a_clause_says_why_not(
    peers: Peers, name: str
) -> None:
    model, level, keys, others = IDENTIFIERS[name]
    unique = UNIQUE[level]
    asked = identifier(level, **{unique: "", **keys})
    try:
        root = "study" if model == "study" else "patient"
        found = peers.reference.find(root, level, asked, Negotiated())
        expected = frozenset(each[unique][0] for each in found)
    except (Refused, ValueError):
        expected = REFUSED
    answers = {}
    for peer, (port, title) in peers.where.items():
        if others.get(peer) == RETIRED:
            answers[peer] = NOT_OFFERED
            with pytest.raises(AssertionError):
                ask(port, title, asked, model)
            continue
        answer = ask(port, title, asked, model)
        matches = frozenset(str(each[unique].value) for each in answer.matches)
        assert answer.statuses[:-1] == [answer.statuses[0]] * len(answer.matches)
        answers[peer] = matches if answer.status == 0 else REFUSED
    assert answers["gantry"] == expected
    differs = {peer for peer, answer in answers.items() if answer != expected}
    assert differs == set(others), {peer: sorted(each) for peer, each in answers.items()}


@pytest.mark.parametrize("syntax", EXPLICIT_AND_IMPLICIT)
@pytest.mark.parametrize("model", ["patient", "study"])
def test_our_command_gets_from_each_what_pynetdicom_gets(
    peers: Peers, model: str, syntax: str
) -> None:
    for peer, (port, title) in peers.where.items():
        level = "PATIENT" if model == "patient" else "STUDY"
        asked = identifier(level, **{UNIQUE[level]: "", "PatientName": "Roe*"})
        theirs = ask(port, title, asked, model, syntax=syntax)
        ours = gantry(
            "find", f"127.0.0.1:{port}", "--called", title, "--calling", "ASKER", "--model", model,
            "--level", level, "PatientName=Roe*", "--json",
        )  # fmt: skip
        assert ours.returncode == 0, ours.output
        assert ours.output.count('"00080052"') == len(theirs.matches) > 0, peer


@pytest.mark.parametrize("options", [("-S",), ("-P",), ("-O",)])
@pytest.mark.parametrize("syntax", ["-xi", "-xe", "-xb", "-xd"])
def test_findscu_asks_gantry_in_each_model_and_transfer_syntax(
    peers: Peers, options: tuple[str, ...], syntax: str
) -> None:
    port, title = peers.where["gantry"]
    done = findscu(
        port, "QueryRetrieveLevel=STUDY", "PatientID=P2", "StudyInstanceUID", "StudyDate",
        called=title, options=(*options, syntax),
    )  # fmt: skip
    done.check()
    assert done.output.count("(Pending)") == 2, done.output
    assert uid(3) in done.output
