"""What systemd hears of a node that starts: it goes on, and it is ready."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import StorageError
from agent.loop import Loop, sleep
from agent.workflow.signs_of_life import starting
from hal.watchdog import ServiceNotifier
from tests.node import running
from tests.node.running import NodeProcess

LONGER = b"EXTEND_TIMEOUT_USEC=60000000"


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(20)
        yield receiver


def heard(manager: socket.socket) -> list[bytes]:
    """All that was said so far."""
    found = []
    manager.setblocking(False)
    while True:
        try:
            found.append(manager.recv(4096))
        except BlockingIOError:
            return found


def test_a_start_that_takes_long_asks_for_time_until_it_is_over(
    manager: socket.socket, tmp_path: Path
) -> None:
    service = ServiceNotifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})

    async def start() -> None:
        async with starting(service, every=0.02):
            await sleep(0.2)
        asked = len(heard(manager))
        assert 3 <= asked <= 11
        await sleep(0.1)
        assert not heard(manager)

    Loop().run(start())


def test_what_keeps_it_from_starting_is_told_as_ever(tmp_path: Path) -> None:
    async def start() -> None:
        async with starting(ServiceNotifier({})):
            await sleep(0.01)
            raise StorageError("the disk is away")

    with pytest.raises(StorageError, match="away"):
        Loop().run(start())


def test_a_node_asks_for_time_before_it_is_ready(
    manager: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify = {**os.environ, **running.ENVIRONMENT, "NOTIFY_SOCKET": str(tmp_path / "notify")}
    monkeypatch.setattr(running, "ENVIRONMENT", notify)
    with NodeProcess(tmp_path / "node"):
        said = [manager.recv(4096)]
        while not said[-1].startswith(b"READY=1"):
            said.append(manager.recv(4096))
    assert said[0] == LONGER
