"""The nodes of the demo: processes of their own, in folders of their own, on loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import agent
from agent.control import ask
from agent.dataset.file_meta import read_file_meta
from agent.errors import GantryError, PeerError

PATIENCE = 20.0
"""Seconds within which each step of a story happens, where nothing else is said."""
# The children run this very code, wherever it was started from.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(agent.__file__).parent.parent)}


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as end:
        port: int = end.getsockname()[1]
        return port


def say(text: str) -> None:
    """A line of the story."""
    print(text, flush=True)


class DemoNode:
    """A node as a process of its own."""

    def __init__(
        self,
        folder: Path,
        title: str,
        more: str = "",
        head: str = "",
        *,
        patience: float = PATIENCE,
    ) -> None:
        """`head` are tables of the whole node, `more` what follows the tables of its entity;
        `patience` is how long it may take for what it does, in seconds."""
        folder.mkdir()
        self.folder = folder
        self.patience = patience
        self.port = free_port()
        self.control = folder / "control"
        self.configuration = folder / "gantry.toml"
        self.configuration.write_text(
            f'profile = "gateway"\n[node]\nstate = "{folder}/state"\ncontrol = "{self.control}"\n'
            f'{head}[[entity]]\nname = "GANTRY"\ntitle = "{title}"\nport = {self.port}\n'
            f'addresses = ["127.0.0.1"]\n[entity.accept]\ncalling = "any"\n{more}'
        )
        self.process: subprocess.Popen[bytes] | None = None

    def more(self, text: str) -> None:
        """Add tables to its configuration, before it is started."""
        self.configuration.write_text(self.configuration.read_text() + text)

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "agent.cli.main",
                    "run",
                    "--config",
                    str(self.configuration),
                ],
                stderr=log,
                stdout=log,
                env=ENVIRONMENT,
            )
        end = time.monotonic() + self.patience
        while True:
            try:
                self.status()
                return
            except GantryError:
                if time.monotonic() > end or self.process.poll() is not None:
                    print((self.folder / "log").read_text(), file=sys.stderr)
                    raise
                time.sleep(0.05)

    def ask(self, do: str, **fields: Any) -> Any:
        """A question to its control socket."""
        return ask(self.control, do, **fields)

    def status(self) -> dict[str, Any]:
        """What `gantry status` shows."""
        found: dict[str, Any] = self.ask("status")
        return found

    def queue(self, peer: str) -> dict[str, Any]:
        """The queue of a peer, and what its last failure said."""
        rows = [each for each in self.status()["destinations"] if each["peer"] == peer]
        return {key: value for row in rows for key, value in row.items() if value}

    def wait(self, what: str, holds: Callable[[], object]) -> None:
        """Until it holds; raises PeerError when that takes too long."""
        end = time.monotonic() + self.patience
        while not holds():
            if time.monotonic() > end:
                raise PeerError(f"{what}: not in time")
            time.sleep(0.05)

    def instances(self) -> int:
        return int(self.status()["archives"][0]["counts"]["instances"])

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()

    def objects(self) -> Iterator[Path]:
        yield from sorted((self.folder / "state").rglob("*.dcm"))


def data_set(path: Path) -> tuple[str, bytes]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        meta = read_file_meta(descriptor)
    finally:
        os.close(descriptor)
    return meta.media_storage_sop_instance_uid, path.read_bytes()[meta.data_set_offset :]


@contextmanager
def stopped(*nodes: DemoNode | None) -> Iterator[None]:
    try:
        yield
    finally:
        for node in nodes:
            if node is not None:
                node.stop()
