"""What the log of a node does to the node, and what it says whoever writes it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from tests.node.running import ENVIRONMENT, NodeProcess
from tests.peers.dcmtk import echoscu, storescu
from tests.peers.process import wait_until

CT = Path(str(get_testdata_file("CT_small.dcm")))
# An A-ASSOCIATE-RQ of four bytes: the connection is ended, with a line in the log.
_SHORT_REQUEST = b"\x01\0\0\0\0\4abcd"


class UnreadNode(NodeProcess):
    """A node whose log goes to a descriptor that nobody reads until `read` is called."""

    def __init__(self, folder: Path, written: int, reading: int, journal: bool) -> None:
        super().__init__(folder)
        self._written, self._reading = written, reading
        self._environment = {**ENVIRONMENT, **({"JOURNAL_STREAM": "8:1"} if journal else {})}
        os.set_blocking(reading, False)

    def launch(self) -> None:
        self.process = subprocess.Popen(
            [*self.command, "run", "--config", str(self.configuration)],
            stdout=subprocess.DEVNULL,
            stderr=self._written,
            env=self._environment,
            cwd=self.folder,
            start_new_session=True,
        )
        os.close(self._written)

    @property
    def log(self) -> str:
        """What is there to read now."""
        found = b""
        with suppress(BlockingIOError):
            while part := os.read(self._reading, 1 << 16):
                found += part
        return found.decode()


def _be_aborted(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(_SHORT_REQUEST)
        assert connection.recv(1 << 10)[:1] == b"\x07"


def _pipe(folder: Path) -> UnreadNode:
    reading, written = os.pipe()
    return UnreadNode(folder, written, reading, journal=False)


def _journal(folder: Path) -> UnreadNode:
    written, reading = socket.socketpair()
    # As small as the kernel makes it; that of systemd's journal is larger.
    written.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    return UnreadNode(folder, written.detach(), reading.detach(), journal=True)


@pytest.fixture(params=[_pipe, _journal])
def unread(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[UnreadNode]:
    make: Callable[[Path], UnreadNode] = request.param
    with make(tmp_path / "node") as node:
        yield node


def test_a_node_whose_log_nobody_reads_goes_on_and_says_what_is_missing(
    unread: UnreadNode,
) -> None:
    for _ in range(2_000):
        _be_aborted(unread.port)
    storescu(unread.port, CT).check()
    assert unread.ask("status")["archives"][0]["counts"]["instances"] == 1
    seen = unread.log
    assert seen.count("connection failed") > 1

    def told() -> bool:
        nonlocal seen
        assert echoscu(unread.port).returncode == 0
        seen += unread.log
        return "log lost lines=" in seen

    wait_until(told, "how many lines are missing")
    lines = seen.splitlines()
    at = next(number for number, line in enumerate(lines) if "log lost lines=" in line)
    lost = int(lines[at].rpartition("=")[2])
    assert 500 < lost < 4_100
    assert any("calling=ECHOSCU" in line for line in lines[at:]), "and what comes after is there"
    if lines[0].startswith("<"):
        assert lines[at].startswith("<4>log lost")
        assert all(line[0] == "<" and line[2] == ">" for line in lines)


def test_a_node_says_at_its_end_what_the_reader_had_no_room_for(tmp_path: Path) -> None:
    reading, written = os.pipe()
    node = UnreadNode(tmp_path / "node", written, reading, journal=False)
    with node:
        for _ in range(1_000):
            _be_aborted(node.port)
        assert node.process is not None
        node.process.terminate()
        os.set_blocking(reading, True)
        seen = b""
        while part := os.read(reading, 1 << 16):
            seen += part
        assert node.process.wait(20) == 0
    assert b"draining" in seen or b"log lost" in seen
    assert seen.endswith(b"\n")


def test_what_workers_say_has_the_form_and_the_level_of_the_node(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node", '[log]\nformat = "json"\n')
    with node:
        storescu(node.port, CT).check()
        (kept,) = node.objects()
    # Two that the storage worker puts aside when it starts, and says so.
    for level, number in (("info", 7), ("error", 8)):
        node.write(f'[log]\nformat = "json"\nlevel = "{level}"\n')
        (kept.parent / kept.name.replace("1.dcm", f"{number}.dcm")).write_text("no object")
        (node.folder / "log").write_text("")
        with node:
            assert node.objects() == [kept]
            lines = [json.loads(line) for line in node.log.splitlines()]
        told = [line for line in lines if line["event"] == "file is no object"]
        assert [line["level"] for line in told] == (["warning"] if level == "info" else [])
