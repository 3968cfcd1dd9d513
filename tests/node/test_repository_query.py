"""Repository queries: in pieces that go on from one another, both roles (PS3.4 C.6.4)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

from tests.archive.filled_archive import fill
from tests.cli_of import gantry
from tests.node.running import NodeProcess
from tests.peers.process import free_port

REPOSITORY = "1.2.840.10008.5.1.4.1.1.201.6"
STUDIES, SERIES, IMAGES = 23, 3, 2
SERVES = (
    '[[entity.service]]\nname = "repository-query"\nroles = ["scp"]\n'
    '[entity.queries]\nfile_access = "https://box.example/files"\n'
)
UID = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}


def images() -> Iterator[Dataset]:
    """Series by series over all studies, so that no order of rows is that of UIDs."""
    for series in range(SERIES):
        for study in range(STUDIES):
            for number in range(IMAGES):
                image = Dataset()
                image.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
                image.PatientID, image.PatientName = f"P{study % 4}", f"Doe^{study % 4}"
                image.StudyInstanceUID = f"1.2.9.{STUDIES - study}"
                image.StudyDate = f"202607{study % 5 + 1:02}"
                image.SeriesInstanceUID = f"1.2.9.{STUDIES - study}.{series}"
                image.Modality = "CT" if series else "MR"
                image.SOPInstanceUID = f"{image.SeriesInstanceUID}.{number}"
                yield image


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    made = NodeProcess(tmp_path_factory.mktemp("repository") / "node", SERVES)
    fill(made.folder / "state" / "archive" / "main", images())
    with made:
        yield made


class Asker:
    """Repository queries of pynetdicom, each on an association of its own: after the warning B001H
    it waits for more, and has to be left."""

    def __init__(
        self,
        port: int,
        *,
        relational: bool = True,
        implicit: bool = False,
        information: bytes = b"\1",
    ) -> None:
        self._port = port
        self.strange = Dataset()
        self._entity = AE(ae_title="ASKER")
        syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        self._entity.add_requested_context(REPOSITORY, syntax)
        self._items = []
        if relational:
            item = SOPClassExtendedNegotiation()
            item.sop_class_uid = REPOSITORY
            item.service_class_application_information = information
            self._items.append(item)

    def ask(self, level: str, **keys: Any) -> tuple[int, list[Dataset]]:
        """The final status, and the matches."""
        identifier = Dataset()
        identifier.QueryRetrieveLevel = level
        identifier.update(self.strange)
        for keyword, value in keys.items():
            setattr(identifier, keyword, value)
        association = self._entity.associate(
            "127.0.0.1", self._port, ae_title="GANTRY", ext_neg=list(self._items)
        )
        assert association.is_established
        matches = []
        for status, match in association.send_c_find(identifier, REPOSITORY):
            if status.Status not in (0xFF00, 0xFF01):
                break
            matches.append(match)
        association.abort()
        return status.Status, matches


@pytest.mark.parametrize("level", ["STUDY", "SERIES", "IMAGE"])
@pytest.mark.parametrize("piece", [1, 7, 23, 1000])
def test_ps34_059_pieces_repeat_nothing_and_lose_nothing(
    node: NodeProcess, level: str, piece: int
) -> None:
    if piece == 1 and level != "STUDY":
        piece = 17
    keys: dict[str, Any] = {UID[level]: "", "PatientID": "P1"}
    asker = Asker(node.port)
    status, whole = asker.ask(level, **keys, RecordKey=None)
    assert status == 0
    gathered: list[Dataset] = []
    prior: dict[str, Any] = {}
    while True:
        status, found = asker.ask(
            level, **keys, RecordKey=None, MaximumNumberOfRecords=piece, **prior
        )
        assert len(found) <= piece
        gathered += found
        if status == 0:
            break
        assert status == 0xB001
        assert len(found) == piece
        prior = {"PriorRecordKey": found[-1].RecordKey}
    wanted = sorted(str(each[UID[level]].value) for each in whole)
    assert len(wanted) == {"STUDY": 6, "SERIES": 18, "IMAGE": 36}[level]
    assert [str(each[UID[level]].value) for each in gathered] == [
        str(each[UID[level]].value) for each in whole
    ]


def test_ps34_060_record_keys_are_there_and_order_the_responses(node: NodeProcess) -> None:
    asker = Asker(node.port, implicit=True)
    for level in UID:
        _, found = asker.ask(level, **{UID[level]: ""}, RecordKey=None)
        keys = [each.RecordKey for each in found]
        assert all(keys)
        assert len(set(keys)) == len(keys)
        # From any of them on, whatever follows comes again in the same order.
        for first, _ in list(pairwise(range(len(found))))[:: len(found) // 3]:
            _, rest = asker.ask(
                level, **{UID[level]: ""}, RecordKey=None, PriorRecordKey=keys[first]
            )
            assert [each.RecordKey for each in rest] == keys[first + 1 :]
    _, found = asker.ask("STUDY", StudyInstanceUID="")
    assert all("RecordKey" not in each for each in found)


def test_each_extended_mechanism_is_agreed_on_here_too(node: NodeProcess) -> None:
    """C.6.4.6.2: each by its byte, and none without."""
    rows: tuple[tuple[bytes, str, dict[str, Any], int, int], ...] = (
        (b"\1", "SERIES", {"Modality": "MR"}, -1, STUDIES),
        (b"\0\0\1", "STUDY", {"PatientName": "Do^1"}, 0, 6),
        (b"\0\0\0\0\0\0\1", "STUDY", {"ModalitiesInStudy": ["CT", "PT"]}, STUDIES, 0),
        (b"\0\0\0\0\0\1", "STUDY", {"PatientName": '""'}, 0, 0),
    )
    for information, level, keys, without, with_it in rows:
        for asker, count in (
            (Asker(node.port, relational=False), without),
            (Asker(node.port, information=information), with_it),
        ):
            status, found = asker.ask(level, **{UID[level]: ""}, **keys, RecordKey=None)
            assert (status, len(found)) == ((0xA900, 0) if count < 0 else (0, count)), keys
            assert all(each.RecordKey for each in found)


def test_a_hierarchical_query_goes_on_below_one_study(node: NodeProcess) -> None:
    asker = Asker(node.port, relational=False)
    status, found = asker.ask(
        "SERIES", StudyInstanceUID="1.2.9.5", SeriesInstanceUID="", RecordKey=None
    )
    assert (status, len(found)) == (0, SERIES)
    status, rest = asker.ask(
        "SERIES",
        StudyInstanceUID="1.2.9.5",
        SeriesInstanceUID="",
        RecordKey=None,
        PriorRecordKey=found[0].RecordKey,
        MaximumNumberOfRecords=1,
    )
    assert status == 0xB001
    assert rest[0].SeriesInstanceUID == found[1].SeriesInstanceUID
    status, _ = asker.ask("SERIES", SeriesInstanceUID="", RecordKey=None)
    assert status == 0xA900, "not widened"


@pytest.mark.parametrize("key", [b"no", b"1:9.9.9\0", b"999999:1.2.9.5", b"\xff" * 200, b"-1:1 "])
def test_an_invalid_prior_record_key_is_refused(node: NodeProcess, key: bytes) -> None:
    asker = Asker(node.port)
    status, found = asker.ask("STUDY", StudyInstanceUID="", RecordKey=None, PriorRecordKey=key)
    assert (status, found) == (0xA710, [])
    _, series = asker.ask("SERIES", SeriesInstanceUID="", RecordKey=None)
    status, _ = asker.ask("STUDY", StudyInstanceUID="", PriorRecordKey=series[-1].RecordKey)
    assert status == 0xA710, "a key of another level"


def test_text_that_says_it_is_a_sequence_is_no_key_of_ours(node: NodeProcess) -> None:
    item = Dataset()
    item.PatientID = "P1"
    strange = Dataset()
    strange.add_new(0x00100010, "SQ", [item])
    asker = Asker(node.port)
    asker.strange = strange
    status, found = asker.ask("STUDY", StudyInstanceUID="", RecordKey=None)
    assert (status, len(found)) == (0, STUDIES)
    assert all("PatientName" not in each for each in found)


def test_no_record_is_asked_for(node: NodeProcess) -> None:
    asker = Asker(node.port)
    assert asker.ask("STUDY", RecordKey=None, MaximumNumberOfRecords=0) == (0xB001, [])
    status, _ = asker.ask("STUDY", StudyInstanceUID="9.9", MaximumNumberOfRecords=0)
    assert status == 0


def test_file_access_comes_with_metadata_that_do_not_differ(node: NodeProcess) -> None:
    asker = Asker(node.port)
    _, found = asker.ask(
        "IMAGE", SOPInstanceUID="1.2.9.5.0.1", FileAccessSequence=[], UpdatedMetadataSequence=[]
    )
    (item,) = found[0].FileAccessSequence
    assert item.ContainerFileType == "DICM"
    assert item.StoredInstanceTransferSyntaxUID == ExplicitVRLittleEndian
    relative = item.FileAccessURI.removeprefix("https://box.example/files/")
    (file,) = node.folder.rglob(Path(relative).name)
    assert file.as_posix().endswith(relative)
    assert len(found[0].UpdatedMetadataSequence) == 0
    assert "RecordKey" not in found[0]
    _, found = asker.ask("STUDY", StudyInstanceUID="1.2.9.5", FileSetAccessSequence=[])
    (item,) = found[0].FileSetAccessSequence
    assert item.StoredInstanceBaseURI == "https://box.example/files/"
    _, found = asker.ask("STUDY", StudyInstanceUID="1.2.9.5", MetadataSequence=[])
    assert "MetadataSequence" not in found[0], "not supported"


def test_gantry_goes_on_by_itself(node: NodeProcess) -> None:
    done = gantry(
        "find",
        f"127.0.0.1:{node.port}",
        "--called",
        "GANTRY",
        "--model",
        "repository",
        "--piece",
        "5",
        "StudyInstanceUID",
        "--json",
    ).check()
    found = [each for each in done.output.splitlines() if each.startswith("{")]
    assert len(set(found)) == STUDIES
    assert "0008041B" not in done.output


def test_gantry_does_not_ask_for_ever() -> None:
    """A peer that always says that there is more, and gives nothing to go on from."""
    asked: list[Dataset] = []

    def found(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        asked.append(event.identifier)
        match = Dataset()
        match.StudyInstanceUID = "1.2.3"
        match.RecordKey = b"same"
        yield 0xFF00, match
        yield 0xB001, None

    entity = AE(ae_title="PEER")
    entity.add_supported_context(REPOSITORY)
    port = free_port()
    server = entity.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_FIND, found)]
    )
    assert server is not None
    done = gantry("find", f"127.0.0.1:{port}", "--called", "PEER", "--model", "repository")
    server.shutdown()
    assert done.returncode != 0
    assert "to go on from" in done.output
    assert len(asked) == 2
    assert asked[1].PriorRecordKey == b"same"
    assert asked[0].MaximumNumberOfRecords == 10_000
