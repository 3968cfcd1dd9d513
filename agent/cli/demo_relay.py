"""The demo with files, or an archive, of your own: objects are relayed through the box."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from agent.cli.demo_node import ENVIRONMENT, DemoNode, data_set, say, stopped
from agent.errors import PeerError
from agent.workflow.simulated_series import make_series


class RelayDemo:
    """Objects go in, the archive is cut off and comes back, and everything arrives."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self._folder = folder
        self._options = options

    def run(self) -> int:
        started = time.monotonic()
        objects = self._objects()
        patience: float = self._options.patience
        archive = (
            None
            if self._options.to
            else DemoNode(self._folder / "archive", "ARCHIVE", patience=patience)
        )
        host, port = self._options.to or ("127.0.0.1", archive.port if archive else 0)
        box = DemoNode(
            self._folder / "box",
            "GANTRY",
            f'[[peer]]\nname = "ARCHIVE"\ntitle = "{self._options.called}"\n'
            f'addresses = ["{host}:{port}"]\n[peer.retry]\nfirst = "0.5 s"\nlongest = "1 s"\n'
            '[[route]]\nname = "everything"\ndeliver = ["ARCHIVE"]\n',
            patience=patience,
        )
        with stopped(box, archive):
            if archive is not None:
                archive.start()
                say(f"2. an archive listens on 127.0.0.1 port {archive.port}")
            box.start()
            say(f"3. the box listens on 127.0.0.1 port {box.port}")
            half = max(1, len(objects) // 2)
            self._send(box, objects[:half])
            self._wait_until_delivered(box)
            say(f"4. {half} objects sent to the box, and delivered")
            if archive is not None:
                archive.stop()
                say("5. the archive is cut off")
            self._send(box, objects[half:])
            say(f"6. {len(objects) - half} objects sent to the box; it keeps them")
            if archive is not None:
                self._show_retries(box)
                archive.start()
                say("8. the archive is back")
            self._wait_until_delivered(box)
            say("9. everything is delivered: the queue is empty")
            if archive is not None:
                self._compare(archive, objects)
        say(f"done in {time.monotonic() - started:.1f} s")
        return 0

    def _objects(self) -> list[Path]:
        if self._options.input:
            found = [each for each in sorted(self._options.input.rglob("*")) if each.is_file()]
            say(f"1. {len(found)} files from {self._options.input}")
            return found
        series = make_series(self._folder / "captured", frames=8)
        size = sum(each.stat().st_size for each in series) / 1e6
        say(f"1. the simulated ultrasound made {len(series)} objects, {size:.1f} MB")
        return series

    def _send(self, box: DemoNode, objects: list[Path]) -> None:
        command = [sys.executable, "-P", "-m", "agent.cli.main", "send"]
        done = subprocess.run(
            [*command, f"127.0.0.1:{box.port}", "--called", "GANTRY", *map(str, objects)],
            capture_output=True,
            text=True,
            check=False,
            env=ENVIRONMENT,
        )
        if done.returncode:
            raise PeerError(f"the box did not take everything: {done.stderr.strip()}")

    def _queue(self, box: DemoNode) -> dict[str, Any]:
        for each in box.status()["destinations"]:
            if each["peer"] == "ARCHIVE":
                return dict(each)
        return {}

    def _wait_until_delivered(self, box: DemoNode) -> None:
        end = time.monotonic() + box.patience
        while time.monotonic() < end:
            queue = self._queue(box).get("queue") or {}
            if not (queue.get("waiting") or queue.get("claimed")):
                if queue.get("held"):
                    raise PeerError(f"{queue['held']} objects are held: {queue['last_reason']}")
                return
            time.sleep(0.1)
        raise PeerError("not everything was delivered in time")

    def _show_retries(self, box: DemoNode) -> None:
        end = time.monotonic() + box.patience
        while time.monotonic() < end:
            row = self._queue(box)
            if row.get("failures"):
                waiting = row["queue"]["waiting"] + row["queue"]["claimed"]
                say(f"7. {waiting} wait and are tried again: {row['last_reason']}")
                return
            time.sleep(0.1)
        raise PeerError("the cut was not noticed")

    def _compare(self, archive: DemoNode, objects: list[Path]) -> None:
        arrived = dict(data_set(each) for each in archive.objects())
        sent = dict(data_set(each) for each in objects)
        if arrived != sent:
            raise PeerError(f"{len(arrived)} objects arrived, not those that were sent")
        say(f"10. {len(arrived)} objects arrived, byte for byte what was captured")
