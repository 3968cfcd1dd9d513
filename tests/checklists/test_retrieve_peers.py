"""Our archive retrieved from by others: movescu and getscu, pynetdicom, Orthanc."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from tests.checklists import retrieving
from tests.checklists.retrieving import (
    CT,
    MR,
    PATIENT_ROOT_MOVE,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    Made,
    peer_table,
)
from tests.node.running import NodeProcess
from tests.peers.dcmtk import DcmtkStoreScp, dcmsend, run_dcmtk
from tests.peers.orthanc import Orthanc
from tests.peers.process import wait_until
from tests.peers.pynetdicom_retrieval import pynetdicom_get, pynetdicom_move
from tests.peers.sample_files import assert_same_data_set

pytestmark = pytest.mark.peer

STUDY = "1.2.826.0.1.3680043.9.31"
COMPRESSED = [Path(str(get_testdata_file(n))) for n in ("SC_rgb_rle.dcm", "SC_rgb_jpeg_dcmtk.dcm")]
LEVELS = {
    "STUDY": [],
    "SERIES": [f"SeriesInstanceUID={STUDY}.1"],
    "IMAGE": [f"SeriesInstanceUID={STUDY}.1", f"SOPInstanceUID={STUDY}.2\\{STUDY}.3"],
}


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DcmtkStoreScp]:
    with DcmtkStoreScp(tmp_path_factory.mktemp("far"), "--fork", ae_title="FAR") as peer:
        yield peer


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DcmtkStoreScp]:
    """One that takes Explicit VR Little Endian only."""
    folder = tmp_path_factory.mktemp("plain")
    with DcmtkStoreScp(folder, ae_title="PLAIN", transfer_syntaxes=("+xe",)) as peer:
        yield peer


@pytest.fixture(scope="module")
def node(
    tmp_path_factory: pytest.TempPathFactory, far: DcmtkStoreScp, plain: DcmtkStoreScp
) -> Iterator[NodeProcess]:
    services = retrieving.SERVICES
    for number, name in ((2, "move"), (3, "get")):
        # The retired model has to be named.
        roots = [f"1.2.840.10008.5.1.4.1.2.{root}.{number}" for root in (1, 2, 3)]
        plain_service = f'name = "{name}"\n'
        services = services.replace(plain_service, f"{plain_service}sop_classes = {roots}\n")
    more = services + peer_table("FAR", far.port) + peer_table("PLAIN", plain.port)
    with NodeProcess(tmp_path_factory.mktemp("node"), more) as found:
        retrieving.store(found.port, [Made(f"{STUDY}.{n}", STUDY) for n in range(1, 5)])
        dcmsend(found.port, *COMPRESSED).check()
        yield found


def received(peer: DcmtkStoreScp) -> list[str]:
    """What came, by UID; nothing is left."""
    found = []
    for path in peer.received():
        found.append(path.name.partition(".")[2])
        path.unlink()
    return sorted(found)


@pytest.mark.parametrize(
    ("model", "level"),
    [*product(("-S", "-P"), LEVELS), ("-P", "PATIENT"), ("-O", "STUDY"), ("-O", "PATIENT")],
)
def test_cd_15_ps34_063_movescu(
    node: NodeProcess, far: DcmtkStoreScp, model: str, level: str
) -> None:
    received(far)
    keys = [f"QueryRetrieveLevel={level}"]
    if level != "PATIENT":
        keys += [f"StudyInstanceUID={STUDY}", *LEVELS[level]]
    if model != "-S":
        keys.append("PatientID=P1")
    words = [word for key in keys for word in ("-k", key)]
    done = run_dcmtk(
        *("movescu", "-v", model, "-aec", "GANTRY", "-aem", "FAR", *words),
        *("127.0.0.1", str(node.port)),
    )
    assert "Received Final Move Response (Success)" in done.check().output
    wanted = (2, 3) if level == "IMAGE" else (1, 2, 3, 4)
    assert received(far) == [f"{STUDY}.{n}" for n in wanted]


@pytest.mark.parametrize(
    ("model", "level"),
    [*product(("-S", "-P"), LEVELS), ("-P", "PATIENT"), ("-O", "STUDY"), ("-O", "PATIENT")],
)
def test_cd_16_ps34_073_getscu(node: NodeProcess, tmp_path: Path, model: str, level: str) -> None:
    keys = [f"QueryRetrieveLevel={level}"]
    if level != "PATIENT":
        keys += [f"StudyInstanceUID={STUDY}", *LEVELS[level]]
    if model != "-S":
        keys.append("PatientID=P1")
    words = [word for key in keys for word in ("-k", key)]
    done = run_dcmtk(
        *("getscu", "-v", model, "-aec", "GANTRY", "-od", tmp_path, *words),
        *("127.0.0.1", str(node.port)),
    )
    assert "Received C-GET Response (Success)" in done.check().output
    assert len(list(tmp_path.iterdir())) == (2 if level == "IMAGE" else 4)


def test_movescu_cancels_after_some(node: NodeProcess, far: DcmtkStoreScp) -> None:
    words = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}", "--cancel", "1"]
    done = run_dcmtk(
        *("movescu", "-v", "-S", "-aec", "GANTRY", "-aem", "FAR", *words),
        *("127.0.0.1", str(node.port)),
    )
    # It may be too late to cancel four small objects.
    assert "Final Move Response" in done.output
    assert len(received(far)) <= 4


def test_pynetdicom_moves_and_gets(node: NodeProcess, far: DcmtkStoreScp, tmp_path: Path) -> None:
    received(far)
    keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": STUDY}
    moved = pynetdicom_move(node.port, STUDY_ROOT_MOVE, keys, "FAR")
    assert moved[-1]["Status"] == 0 and moved[-1]["NumberOfCompletedSuboperations"] == 4
    assert len(received(far)) == 4
    patient = {"QueryRetrieveLevel": "PATIENT", "PatientID": "P1"}
    assert pynetdicom_move(node.port, PATIENT_ROOT_MOVE, patient, "FAR")[-1]["Status"] == 0
    assert received(far) == [f"{STUDY}.{n}" for n in range(1, 5)]
    brought = pynetdicom_get(node.port, STUDY_ROOT_GET, keys, tmp_path, [CT])
    assert brought[-1]["Status"] == 0 and len(list(tmp_path.iterdir())) == 4
    lacking = pynetdicom_get(node.port, STUDY_ROOT_GET, keys, tmp_path, [MR])
    assert lacking[-1]["Status"] == 0xA702
    assert list(lacking[-1]["FailedSOPInstanceUIDList"]) == [f"{STUDY}.{n}" for n in range(1, 5)]


def test_orthanc_has_a_study_moved_to_itself(node: NodeProcess, tmp_path: Path) -> None:
    """Orthanc is the SCU, and the destination as well."""
    modalities = {"GANTRY": ("127.0.0.1", node.port)}
    with Orthanc(tmp_path, modalities=modalities) as orthanc:
        configured = node.configuration.read_text()
        node.configuration.write_text(configured + peer_table("ORTHANC", orthanc.port))
        node.ask("reload")
        answer = orthanc.rest(
            "/modalities/GANTRY/move",
            method="POST",
            body={"Level": "Study", "Resources": [{"StudyInstanceUID": STUDY}]},
        )
        assert answer is not None
        wait_until(lambda: len(orthanc.instances()) == 4, "four instances in Orthanc")
        node.configuration.write_text(configured)
        node.ask("reload")


@pytest.mark.parametrize("path", COMPRESSED, ids=lambda path: path.stem)
def test_what_is_compressed_goes_as_it_is_and_decoded_where_it_must(
    node: NodeProcess, far: DcmtkStoreScp, plain: DcmtkStoreScp, path: Path
) -> None:
    source = dcmread(path)
    names = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    keys = {"QueryRetrieveLevel": "IMAGE"} | {name: source[name].value for name in names}
    for peer in (far, plain):
        for old in peer.received():
            old.unlink()
        moved = pynetdicom_move(node.port, STUDY_ROOT_MOVE, keys, peer.ae_title)
        assert moved[-1]["Status"] == 0, moved
    as_it_is, decoded = far.received(), plain.received()
    assert_same_data_set(as_it_is[0], path)
    found = dcmread(decoded[0])
    assert found.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert found.pixel_array.shape == source.pixel_array.shape
