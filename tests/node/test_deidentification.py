"""Routes whose copies do not tell whose they are, by a running node; DCMTK is the peer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
from pydicom import dcmread
from pydicom.uid import ImplicitVRLittleEndian

from tests.node.running import NodeProcess
from tests.peers.dcmtk import DcmtkStoreScp, dcmsend
from tests.peers.sample_files import data_set_bytes

pytestmark = pytest.mark.peer

SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"
CT, US, SR = (SAMPLES / f"{name}.dcm" for name in ("CT_small", "examples_rgb_color", "reportsi"))
J2K = SAMPLES / "SC_rgb_gdcm_KY.dcm"


def _peer(name: str, port: int, more: str = "") -> str:
    return f'[[peer]]\nname = "{name}"\naddresses = ["127.0.0.1:{port}"]\n{more}'


@dataclass
class Hospital:
    """A node with two peers: one gets pseudonyms, one everything as it is."""

    node: NodeProcess
    trial: DcmtkStoreScp
    archive: DcmtkStoreScp


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("hospital")
    (folder / "secret").write_bytes(b"a secret that is long enough")
    with (
        DcmtkStoreScp(folder / "trial", transfer_syntaxes=("+xi",)) as trial,
        DcmtkStoreScp(folder / "archive") as archive,
    ):
        configuration = (
            _peer("TRIAL", trial.port)
            + _peer("ARCHIVE", archive.port)
            + '[[deidentify]]\nname = "trial"\noptions = ["clean-pixel-data"]\n'
            + f'secret = {{ file = "{folder}/secret" }}\n'
            + '[[route]]\nname = "trial"\ndeliver = ["TRIAL"]\ndeidentify = "trial"\n'
            + 'change = [{ attribute = "Manufacturer", set = "Made by Wunibald" }]\n'
            + '[[route]]\nname = "screenshots"\ndeliver = ["ARCHIVE"]\ndeidentify = "trial"\n'
            + 'match = { modality = ["OT"] }\n'
            + '[[route]]\nname = "archive"\ndeliver = ["ARCHIVE"]\n'
        )
        with NodeProcess(folder / "node", configuration) as node:
            yield Hospital(node, trial, archive)


def test_copies_of_a_route_are_deidentified_and_others_are_not(hospital: Hospital) -> None:
    for path in (CT, US, SR):
        dcmsend(hospital.node.port, path, called="GANTRY").check()
    received = [dcmread(path) for path in hospital.trial.wait_for_files(3)]
    by_modality = {each.Modality: each for each in received}
    for path in (CT, US, SR):
        given = dcmread(path)
        made = by_modality[given.Modality]
        assert made.PatientIdentityRemoved == "YES"
        assert made.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
        assert made.file_meta.MediaStorageSOPInstanceUID == made.SOPInstanceUID
        assert made.SOPInstanceUID != given.SOPInstanceUID
        assert str(made.PatientName) not in ("", str(given.PatientName))
        # The route's change is made before: it cannot bring a name back.
        assert made.Manufacturer == "Made by Wunibald"
    assert by_modality["CT"].PixelData == dcmread(CT).PixelData
    us = by_modality["US"].pixel_array
    assert (us[8:52, 5:135] > 200).mean() < 0.01 < (dcmread(US).pixel_array[8:52] > 200).mean()
    kept = {path.read_bytes() for path in hospital.node.objects()}
    unchanged = {data_set_bytes(path) for path in hospital.archive.wait_for_files(3)}
    assert unchanged == {data_set_bytes(each) for each in kept}
    assert all(dcmread(path).PatientName for path in hospital.node.objects())


def test_what_cannot_be_deidentified_is_held_with_the_reason(hospital: Hospital) -> None:
    before = len(hospital.archive.received())
    dcmsend(hospital.node.port, J2K, called="GANTRY").check()
    end = time.monotonic() + 20
    while not (held := _held(hospital.node)):
        assert time.monotonic() < end, hospital.node.log[-2000:]
        time.sleep(0.1)
    assert "JPEG 2000" in held[0]
    assert len(hospital.archive.received()) == before


def _held(node: NodeProcess) -> list[str]:
    jobs = node.ask("queue", state="held")["items"]
    return [str(each["reason"]) for each in jobs if each["destination"] == "ARCHIVE"]
