"""The peers as pytest fixtures: ready when the test begins, gone when it ends.

When a test fails, the end of each peer's log is part of its report.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.peers import sample_files as samples_of_pydicom
from tests.peers.certificates import Certificates, make_certificates
from tests.peers.dcmtk import DcmtkStoreScp
from tests.peers.orthanc import Orthanc
from tests.peers.process import ChildProcess
from tests.peers.pynetdicom_peer import PynetdicomScp
from tests.peers.sample_files import Sample

_Peer = TypeVar("_Peer", bound=ChildProcess)
_PEERS = pytest.StashKey[list[ChildProcess]]()

StartPeer = Callable[[_Peer], _Peer]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    if report.failed:
        for node in item.listchain():
            for peer in node.stash.get(_PEERS, []):
                report.sections.append((f"log of {type(peer).__name__}", peer.describe()))
    return report


@pytest.fixture
def start_peer(request: pytest.FixtureRequest) -> Iterator[StartPeer[Any]]:
    """`peer = start_peer(DcmtkStoreScp(tmp_path / "far"))`: started, and killed after the test."""
    yield from _starting(request)


@pytest.fixture(scope="module")
def start_shared_peer(request: pytest.FixtureRequest) -> Iterator[StartPeer[Any]]:
    """The same, for fixtures of a module: killed after its last test."""
    yield from _starting(request)


def _starting(request: pytest.FixtureRequest) -> Iterator[StartPeer[Any]]:
    peers = request.node.stash.setdefault(_PEERS, [])
    with ExitStack() as running:

        def start(peer: _Peer) -> _Peer:
            peers.append(peer)
            running.callback(peer.kill)
            peer.start()
            return peer

        yield start


@pytest.fixture
def dcmtk_storescp(start_peer: StartPeer[DcmtkStoreScp], tmp_path: Path) -> DcmtkStoreScp:
    """A well-behaved DCMTK storescp that accepts all storage classes and transfer syntaxes."""
    return start_peer(DcmtkStoreScp(tmp_path / "storescp"))


@pytest.fixture
def pynetdicom_scp(start_peer: StartPeer[PynetdicomScp], tmp_path: Path) -> PynetdicomScp:
    """A pynetdicom Storage SCP."""
    return start_peer(PynetdicomScp(tmp_path / "pynetdicom"))


@pytest.fixture
def orthanc(start_peer: StartPeer[Orthanc], tmp_path: Path) -> Orthanc:
    """An empty Orthanc that knows no other AE titles."""
    return start_peer(Orthanc(tmp_path / "orthanc"))


@pytest.fixture(scope="session")
def sample_files() -> dict[str, tuple[Sample, ...]]:
    """Transfer syntax UID -> the files of pydicom that a Storage SCU may send in it."""
    return dict(samples_of_pydicom.samples_by_transfer_syntax())


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Keys and certificates for TLS: a server, a client, and a stranger."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))
