"""What the world around a running node can do to it: a full disk, a service manager that watches,
TLS with certificates that are right and wrong."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from tests.bench.objects import Load, make_objects
from tests.node.running import NodeProcess, peer_table
from tests.peers.certificates import Certificates, Credentials
from tests.peers.dcmtk import DcmtkStoreScp
from tests.peers.process import Server
from tests.peers.programs import Completed, program, run
from tests.peers.sample_files import data_set_bytes

CT = Path(str(get_testdata_file("CT_small.dcm")))


def store(port: int, *more: str | Path, file: Path = CT) -> Completed:
    return run(
        [
            program("dcmtk", "storescu"),
            "-v",
            "-to",
            "5",
            "-aec",
            "GANTRY",
            *more,
            "127.0.0.1",
            str(port),
            file,
        ]
    )


def until(holds: Callable[[], bool], why: Callable[[], str], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, why()
        time.sleep(0.05)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "gantry-test", folder], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_answers_a700_keeps_what_was_promised_and_recovers_by_itself(
    tmp_path: Path, small_disk: Path
) -> None:
    files = sorted(make_objects(tmp_path / "objects", Load("x", 512 << 10, 40)).iterdir())
    more = (
        f'[[archive]]\nname = "main"\nfolder = "{small_disk}/archive"\nreserve = "2 MiB"\n'
        "high_watermark = 1.0\n"
    )
    with NodeProcess(tmp_path / "node", more) as node:
        promised = []
        refused = 0
        for each in files:
            said = store(node.port, "-d", file=each)
            if said.returncode == 0 and "0x0000: Success" in said.output:
                promised.append(each)
            else:
                assert "0xa700" in said.output.lower(), said.output[-2000:]
                refused += 1
        assert len(promised) > 5
        assert refused > 5
        node.kill()
        node.start()
        kept = {data_set_bytes(each) for each in (small_disk / "archive").rglob("*.dcm")}
        assert kept == {data_set_bytes(each) for each in promised}
        studies = node.ask("studies")["items"]
        for study in studies:
            node.ask("delete", level="study", uid=study["study_instance_uid"])
        again = store(node.port, "-d", file=files[-1])
        assert "0x0000: Success" in again.output


class Manager:
    """The service manager's end of sd_notify(3)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._end.bind(str(path))
        self._end.settimeout(10)

    def said(self) -> dict[str, str]:
        lines = self._end.recv(4096).decode().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def wait_for(self, name: str) -> None:
        while name not in self.said():
            pass


def test_the_service_manager_is_told_of_start_beats_reload_and_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.node import running

    manager = Manager(tmp_path / "notify")
    told = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "400000"}
    monkeypatch.setattr(running, "ENVIRONMENT", {**running.ENVIRONMENT, **told})
    node = NodeProcess(tmp_path / "node")
    node.launch()
    try:
        manager.wait_for("READY")
        store(node.port).check()
        for _ in range(3):
            manager.wait_for("WATCHDOG")
        assert node.process is not None
        node.process.send_signal(signal.SIGHUP)
        manager.wait_for("RELOADING")
        manager.wait_for("READY")
        node.process.send_signal(signal.SIGTERM)
        manager.wait_for("STOPPING")
        assert node.process.wait(20) == 0
    finally:
        node.kill()


def test_a_node_that_hangs_stops_beating(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.node import running

    manager = Manager(tmp_path / "notify")
    told = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "400000"}
    monkeypatch.setattr(running, "ENVIRONMENT", {**running.ENVIRONMENT, **told})
    with NodeProcess(tmp_path / "node") as node:
        manager.wait_for("WATCHDOG")
        assert node.process is not None
        os.kill(node.process.pid, signal.SIGSTOP)
        manager._end.settimeout(1.0)
        with pytest.raises(TimeoutError):
            while True:
                manager.said()


def _tls(authority: Path, own: Credentials) -> str:
    return (
        f'certificate = "{own.certificate}"\nprivate_key = "{own.key}"\ntrust = ["{authority}"]\n'
    )


def test_tls_in_both_directions_with_certificates_on_both_sides(
    tmp_path: Path, certificates: Certificates, start_peer: Callable[[Server], DcmtkStoreScp]
) -> None:
    far = start_peer(
        DcmtkStoreScp(tmp_path / "far", *certificates.dcmtk_options(certificates.server))
    )
    more = f"[entity.tls]\n{_tls(certificates.authority, certificates.server)}" + peer_table(
        "PACS", far.port
    ).replace(
        "[[route]]", f"[peer.tls]\n{_tls(certificates.authority, certificates.client)}[[route]]"
    )
    with NodeProcess(tmp_path / "node", more) as node:
        plain = store(node.port)
        assert plain.returncode != 0
        stranger = store(node.port, *certificates.dcmtk_options(certificates.stranger))
        assert stranger.returncode != 0
        store(node.port, *certificates.dcmtk_options(certificates.client)).check()
        node.wait_until_delivered("PACS")
        (received,) = far.wait_for_files(1)
        (kept,) = node.objects()
        assert data_set_bytes(received) == data_set_bytes(kept)
