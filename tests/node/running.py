"""A node of ours as a process, for tests that talk to it from outside."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.control import ask
from agent.errors import GantryError
from tests.peers.process import free_port, wait_until

ROOT = Path(__file__).parent.parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


@contextmanager
def folder_for_all() -> Iterator[Path]:
    """A folder whose nodes other accounts may ask, for tests that become those: root's alone.

    pytest's own folders are closed to all others.
    """
    if os.geteuid() != 0:
        pytest.skip("only root may become somebody else")
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        # Workers of a killed node may still take files away.
        shutil.rmtree(folder, ignore_errors=True)


class NodeProcess:
    """`gantry run` with the gateway profile, one entity, and whatever `more` says."""

    def __init__(self, folder: Path, more: str = "", *, accept: str = 'calling = "any"') -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.control = folder / "control"
        self.configuration = folder / "gantry.toml"
        self._accept = accept
        self.program: tuple[str, ...] = ("-m", "agent.cli.main")
        self.write(more)
        self.process: subprocess.Popen[bytes] | None = None

    def write(self, more: str) -> None:
        self.configuration.write_text(
            f'profile = "gateway"\n[node]\nstate = "{self.folder}/state"\n'
            f'control = "{self.control}"\n[[entity]]\nname = "GANTRY"\nport = {self.port}\n'
            f'addresses = ["127.0.0.1"]\n[entity.accept]\n{self._accept}\n{more}'
        )

    def start(self) -> NodeProcess:
        self.launch()
        return self.wait_until_ready()

    def launch(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command, "run", "--config", str(self.configuration)],
                stdout=log,
                stderr=log,
                env=ENVIRONMENT,
                cwd=self.folder,
                start_new_session=True,
            )

    @property
    def command(self) -> tuple[str, ...]:
        """What stands for `gantry`."""
        return sys.executable, *self.program

    def wait_until_ready(self) -> NodeProcess:
        assert self.process is not None
        end = time.monotonic() + 20
        while True:
            try:
                self.ask("status")
                return self
            except GantryError:
                assert self.process.poll() is None, self.log
                assert time.monotonic() < end, self.log
                time.sleep(0.02)

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def __enter__(self) -> NodeProcess:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        if self.process is not None and self.is_running:
            self.process.kill()
            self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def reload(self) -> None:
        """SIGHUP; returns when the configuration is followed."""
        assert self.process is not None
        count = self.log.count("configuration reloaded")
        self.process.send_signal(signal.SIGHUP)
        wait_until(
            lambda: self.log.count("configuration reloaded") > count, "configuration reloaded"
        )

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def ask(self, do: str, **fields: Any) -> Any:
        return ask(self.control, do, **fields)

    def queue(self, peer: str) -> dict[str, Any]:
        for each in self.ask("status")["destinations"]:
            if each["peer"] == peer:
                return dict(each.get("queue") or {})
        return {}

    def wait_until_delivered(self, peer: str, seconds: float = 30.0) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            queue = self.queue(peer)
            if not (queue.get("waiting") or queue.get("claimed")):
                return
            time.sleep(0.1)
        raise AssertionError(f"not delivered: {self.queue(peer)}\n{self.log[-3000:]}")

    def objects(self) -> list[Path]:
        return sorted((self.folder / "state").rglob("*.dcm"))


def peer_table(name: str, port: int, more: str = "") -> str:
    """A peer with quick retries, and a route of everything to it."""
    return (
        f'[[peer]]\nname = "{name}"\naddresses = ["127.0.0.1:{port}"]\n{more}[peer.retry]\n'
        f'first = "0.2 s"\nlongest = "0.5 s"\n[[route]]\nname = "to-{name}"\n'
        f'deliver = ["{name}"]\n'
    )
