"""A node by TLS in both directions with Orthanc and pynetdicom, certificates on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from tests.node.running import NodeProcess, peer_table
from tests.peers.certificates import Certificates, Credentials
from tests.peers.orthanc import Orthanc
from tests.peers.process import free_port, wait_until
from tests.peers.pynetdicom_peer import PynetdicomScp, pynetdicom_store, statuses
from tests.peers.sample_files import data_set_bytes

CT = Path(str(get_testdata_file("CT_small.dcm")))
MR = Path(str(get_testdata_file("MR_small.dcm")))
pytestmark = pytest.mark.peer


@dataclass(frozen=True)
class Trio:
    node: NodeProcess
    orthanc: Orthanc
    far: PynetdicomScp


def _tls(certificates: Certificates, own: Credentials) -> str:
    return (
        f'certificate = "{own.certificate}"\nprivate_key = "{own.key}"\n'
        f'trust = ["{certificates.authority}"]\n'
    )


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Trio]:
    folder, port = tmp_path_factory.mktemp("trio"), free_port()
    theirs = certificates.server
    settings: dict[str, Any] = {
        "DicomTlsEnabled": True,
        "DicomTlsPrivateKey": str(theirs.key),
        "DicomTlsCertificate": str(theirs.certificate),
        "DicomTlsTrustedCertificates": str(certificates.authority),
        "DicomTlsRemoteCertificateRequired": True,
        "DicomModalities": {
            "GANTRY": {"AET": "GANTRY", "Host": "127.0.0.1", "Port": port, "UseDicomTls": True}
        },
    }
    words = (theirs.certificate, theirs.key, certificates.authority)
    with (
        Orthanc(folder / "orthanc", settings=settings) as orthanc,
        PynetdicomScp(folder / "far", tls=words) as far,
    ):
        secured = f"[peer.tls]\n{_tls(certificates, certificates.client)}"
        more = f"[entity.tls]\n{_tls(certificates, certificates.server)}"
        more += peer_table("ORTHANC", orthanc.port, secured)
        more += peer_table("FAR", far.port, secured)
        node = NodeProcess(folder / "node")
        node.port = port
        node.write(more)
        with node:
            yield Trio(node, orthanc, far)


def test_what_pynetdicom_sends_by_tls_goes_to_orthanc_and_pynetdicom_by_tls(
    trio: Trio, certificates: Certificates
) -> None:
    own = certificates.client
    sent = pynetdicom_store(
        trio.node.port, CT, MR, tls=(own.certificate, own.key, certificates.authority)
    ).check()
    assert statuses(sent) == [0, 0]
    trio.node.wait_until_delivered("ORTHANC")
    trio.node.wait_until_delivered("FAR")
    kept = trio.node.objects()
    assert len(kept) == 2 and len(trio.orthanc.instances()) == 2
    received = trio.far.wait_for_files(2)
    assert {data_set_bytes(each) for each in received} == {data_set_bytes(each) for each in kept}


def test_what_orthanc_sends_by_tls_is_kept(trio: Trio, tmp_path: Path) -> None:
    before = len(trio.node.objects())
    sample = pydicom.dcmread(CT)
    sample.SOPInstanceUID = sample.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    sample.save_as(tmp_path / "new.dcm")
    said = trio.orthanc.upload((tmp_path / "new.dcm").read_bytes())
    trio.orthanc.rest("/modalities/GANTRY/echo", method="POST", body={})
    trio.orthanc.store("GANTRY", said["ID"])
    wait_until(lambda: len(trio.node.objects()) == before + 1, "the object is kept")


def test_a_stranger_is_refused(trio: Trio, certificates: Certificates) -> None:
    own = certificates.stranger
    sent = pynetdicom_store(
        trio.node.port, CT, tls=(own.certificate, own.key, certificates.authority)
    )
    assert sent.returncode != 0
    wait_until(lambda: "unable to get local issuer certificate" in trio.node.log, "it is logged")
