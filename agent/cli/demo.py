"""`gantry demo`: the main job, end to end, on simulated hardware and an archive on loopback.

Two real nodes run as processes of their own: the box, and a second one that plays the archive. The
cable between them is a small relay that the demo cuts and mends.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import agent
from agent.cli.options import address, ae_title
from agent.control import ask
from agent.dataset.file_meta import read_file_meta
from agent.errors import GantryError, PeerError
from agent.workflow.simulated_series import make_series

_PATIENCE = 20.0
# The children run this very code, wherever it was started from.
_ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(agent.__file__).parent.parent)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--to", metavar="HOST:PORT", type=address, help="deliver to this archive instead"
    )
    parser.add_argument("--called", metavar="AE", type=ae_title, default="ARCHIVE")
    parser.add_argument(
        "--input", metavar="FOLDER", type=Path, help="send these DICOM files instead"
    )
    parser.add_argument("--keep", action="store_true", help="keep the demo's folder")


def run(options: argparse.Namespace) -> int:
    folder = Path(tempfile.mkdtemp(prefix="gantry-demo-"))
    try:
        return _Demo(folder, options).run()
    finally:
        if options.keep:
            print(f"everything is in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as end:
        port: int = end.getsockname()[1]
        return port


def _say(text: str) -> None:
    print(text, flush=True)


class _Node:
    """A node as a process of its own."""

    def __init__(self, folder: Path, title: str, more: str = "") -> None:
        folder.mkdir()
        self.folder = folder
        self.port = _free_port()
        self.control = folder / "control"
        self.configuration = folder / "gantry.toml"
        self.configuration.write_text(
            f'profile = "gateway"\n[node]\nstate = "{folder}/state"\ncontrol = "{self.control}"\n'
            f'[[entity]]\nname = "GANTRY"\ntitle = "{title}"\nport = {self.port}\n'
            f'addresses = ["127.0.0.1"]\n[entity.accept]\ncalling = "any"\n{more}'
        )
        self.process: subprocess.Popen[bytes] | None = None

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
                env=_ENVIRONMENT,
            )
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                self.status()
                return
            except GantryError:
                if time.monotonic() > end or self.process.poll() is not None:
                    print((self.folder / "log").read_text(), file=sys.stderr)
                    raise
                time.sleep(0.05)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = ask(self.control, "status")
        return found

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


def _data_set(path: Path) -> tuple[str, bytes]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        meta = read_file_meta(descriptor)
    finally:
        os.close(descriptor)
    return meta.media_storage_sop_instance_uid, path.read_bytes()[meta.data_set_offset :]


class _Demo:
    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self._folder = folder
        self._options = options

    def run(self) -> int:
        started = time.monotonic()
        objects = self._objects()
        archive = None if self._options.to else _Node(self._folder / "archive", "ARCHIVE")
        host, port = self._options.to or ("127.0.0.1", archive.port if archive else 0)
        box = _Node(
            self._folder / "box",
            "GANTRY",
            f'[[peer]]\nname = "ARCHIVE"\ntitle = "{self._options.called}"\n'
            f'addresses = ["{host}:{port}"]\n[peer.retry]\nfirst = "0.5 s"\nlongest = "1 s"\n'
            '[[route]]\nname = "everything"\ndeliver = ["ARCHIVE"]\n',
        )
        with _stopped(box, archive):
            if archive is not None:
                archive.start()
                _say(f"2. an archive listens on 127.0.0.1 port {archive.port}")
            box.start()
            _say(f"3. the box listens on 127.0.0.1 port {box.port}")
            half = max(1, len(objects) // 2)
            self._send(box, objects[:half])
            self._wait_until_delivered(box)
            _say(f"4. {half} objects sent to the box, and delivered")
            if archive is not None:
                archive.stop()
                _say("5. the archive is cut off")
            self._send(box, objects[half:])
            _say(f"6. {len(objects) - half} objects sent to the box; it keeps them")
            if archive is not None:
                self._show_retries(box)
                archive.start()
                _say("8. the archive is back")
            self._wait_until_delivered(box)
            _say("9. everything is delivered: the queue is empty")
            if archive is not None:
                self._compare(archive, objects)
        _say(f"done in {time.monotonic() - started:.1f} s")
        return 0

    def _objects(self) -> list[Path]:
        if self._options.input:
            found = [each for each in sorted(self._options.input.rglob("*")) if each.is_file()]
            _say(f"1. {len(found)} files from {self._options.input}")
            return found
        series = make_series(self._folder / "captured", frames=8)
        size = sum(each.stat().st_size for each in series) / 1e6
        _say(f"1. the simulated ultrasound made {len(series)} objects, {size:.1f} MB")
        return series

    def _send(self, box: _Node, objects: list[Path]) -> None:
        command = [sys.executable, "-P", "-m", "agent.cli.main", "send"]
        done = subprocess.run(
            [*command, f"127.0.0.1:{box.port}", "--called", "GANTRY", *map(str, objects)],
            capture_output=True,
            text=True,
            check=False,
            env=_ENVIRONMENT,
        )
        if done.returncode:
            raise PeerError(f"the box did not take everything: {done.stderr.strip()}")

    def _queue(self, box: _Node) -> dict[str, Any]:
        for each in box.status()["destinations"]:
            if each["peer"] == "ARCHIVE":
                return dict(each)
        return {}

    def _wait_until_delivered(self, box: _Node) -> None:
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            queue = self._queue(box).get("queue") or {}
            if not (queue.get("waiting") or queue.get("claimed")):
                if queue.get("held"):
                    raise PeerError(f"{queue['held']} objects are held: {queue['last_reason']}")
                return
            time.sleep(0.1)
        raise PeerError("not everything was delivered in time")

    def _show_retries(self, box: _Node) -> None:
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            row = self._queue(box)
            if row.get("failures"):
                waiting = row["queue"]["waiting"] + row["queue"]["claimed"]
                _say(f"7. {waiting} wait and are tried again: {row['last_reason']}")
                return
            time.sleep(0.1)
        raise PeerError("the cut was not noticed")

    def _compare(self, archive: _Node, objects: list[Path]) -> None:
        arrived = dict(_data_set(each) for each in archive.objects())
        sent = dict(_data_set(each) for each in objects)
        if arrived != sent:
            raise PeerError(f"{len(arrived)} objects arrived, not those that were sent")
        _say(f"10. {len(arrived)} objects arrived, byte for byte what was captured")


@contextmanager
def _stopped(*nodes: _Node | None) -> Iterator[None]:
    try:
        yield
    finally:
        for node in nodes:
            if node is not None:
                node.stop()
