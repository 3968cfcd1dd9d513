"""The peers themselves: each starts, is the program that it claims to be, and ends.

They talk to each other here, so that a failure elsewhere is not theirs.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.peers.dcmtk import DcmtkStoreScp, dcmdump, dcmsend, dcmtk_version, echoscu, storescu
from tests.peers.dicom3tools import dciodvfy
from tests.peers.memory import MIB, processor_seconds, tree_memory
from tests.peers.orthanc import Orthanc
from tests.peers.process import ChildProcess, PeerFailed, free_port, process_tree, wait_until
from tests.peers.pynetdicom_peer import (
    PynetdicomScp,
    pynetdicom_echo,
    pynetdicom_store,
    statuses,
)
from tests.peers.sample_files import Sample, assert_same_data_set, rounds, samples

pytestmark = pytest.mark.peer

CT_IMAGE = next(sample for sample in samples() if sample.path.name == "CT_small.dcm")
# DCMTK's SCUs write anew what they read, and leave out the padding at the end of CT_small.
RGB_IMAGE = next(sample for sample in samples() if sample.path.name == "SC_rgb_small_odd.dcm")


def test_dcmtk_is_dcmtk_and_not_a_namesake() -> None:
    assert dcmtk_version().startswith("3.6.")


def test_storescp_is_ready_when_started_and_keeps_what_it_was_sent(
    dcmtk_storescp: DcmtkStoreScp,
) -> None:
    echoscu(dcmtk_storescp.port).check()
    storescu(dcmtk_storescp.port, RGB_IMAGE.path).check()
    (received,) = dcmtk_storescp.wait_for_files(1)
    assert_same_data_set(received, RGB_IMAGE.path)
    assert RGB_IMAGE.sop_instance_uid in dcmdump(received)


def test_a_peer_comes_back_on_its_port(dcmtk_storescp: DcmtkStoreScp) -> None:
    port = dcmtk_storescp.port
    dcmtk_storescp.kill()
    assert echoscu(port).returncode != 0
    dcmtk_storescp.start()
    assert dcmtk_storescp.port == port
    echoscu(port).check()


def test_storescp_refuses_on_demand(start_peer: object, tmp_path: Path) -> None:
    with DcmtkStoreScp(tmp_path, "--refuse") as peer:
        assert "Association Rejected" in echoscu(peer.port).output


def test_pynetdicom_stores_to_itself(pynetdicom_scp: PynetdicomScp) -> None:
    assert statuses(pynetdicom_echo(pynetdicom_scp.port).check()) == [0]
    done = pynetdicom_store(pynetdicom_scp.port, CT_IMAGE.path).check()
    assert statuses(done) == [0]
    (received,) = pynetdicom_scp.wait_for_files(1)
    assert received.name == f"{CT_IMAGE.sop_instance_uid}.dcm"


def test_pynetdicom_answers_the_status_that_was_asked_for(tmp_path: Path) -> None:
    with PynetdicomScp(tmp_path, status=0xA700) as peer:
        assert statuses(pynetdicom_store(peer.port, CT_IMAGE.path)) == [0xA700]
        assert peer.received() == []


def test_orthanc_keeps_what_dcmtk_sends(orthanc: Orthanc) -> None:
    echoscu(orthanc.port).check()
    dcmsend(orthanc.port, CT_IMAGE.path).check()
    assert orthanc.sop_instance_uids() == {CT_IMAGE.sop_instance_uid}
    (file,) = orthanc.instance_files().values()
    assert b"DICM" in file[:132]


def test_dciodvfy_finds_what_is_missing() -> None:
    assert any("Missing attribute" in line for line in dciodvfy(RGB_IMAGE.path))


def test_samples_are_what_the_acceptance_asks_for(
    sample_files: dict[str, tuple[Sample, ...]],
) -> None:
    assert len(sample_files) == 12
    assert len(samples()) >= 140
    for group in rounds():
        assert len({sample.sop_instance_uid for sample in group}) == len(group)
    assert sum(map(len, rounds())) == len(samples())


def test_unequal_data_sets_are_told_apart(tmp_path: Path) -> None:
    changed = bytearray(CT_IMAGE.path.read_bytes())
    changed[-1] ^= 1
    with pytest.raises(AssertionError, match="part at"):
        assert_same_data_set(bytes(changed), CT_IMAGE.path)


def test_a_peer_that_ends_at_once_fails_with_its_log(tmp_path: Path) -> None:
    program = ChildProcess(["/bin/sh", "-c", "echo no such thing; exit 3"], log=tmp_path / "log")
    with program, pytest.raises(PeerFailed, match="no such thing"):
        program.wait_until_listening(free_port())


def test_the_whole_tree_of_a_peer_is_killed(tmp_path: Path) -> None:
    with ChildProcess(["/bin/sh", "-c", "sleep 60 & sleep 60"], log=tmp_path / "log") as program:
        wait_until(lambda: len(process_tree(program.pid)) == 3, "two children")
        tree = process_tree(program.pid)
    wait_until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in tree), "all gone")


def test_a_peer_dies_with_the_test_run(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from tests.peers.process import ChildProcess\n"
        "child = ChildProcess(['/bin/sleep', '60'], log=Path(sys.argv[1]) / 'log').start()\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, cwd=root
    ) as run:
        assert run.stdout is not None
        child = int(run.stdout.readline())
        os.kill(run.pid, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{child}/exe").exists(), "the child is gone")


def test_memory_of_a_tree_is_that_of_its_processes(tmp_path: Path) -> None:
    script = (
        "import time; block = bytearray(b'x') * (32 << 20); print('ready', flush=True)\n"
        "time.sleep(60)"
    )
    program = ChildProcess([sys.executable, "-c", script], log=tmp_path / "log")
    with program:
        program.wait_for_output("ready")
        assert 32 * MIB < tree_memory(program.pid) < 64 * MIB
        assert 0 < processor_seconds(program.pid) < 10
