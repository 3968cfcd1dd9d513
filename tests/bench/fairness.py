"""Eight senders of mixed sizes at once into a node: does each get its share, and what of the loop?

The fair share of a sender is an eighth of the rate that it has alone: a sender of small objects
waits for a round trip each time, and would not carry as many bytes as one of large objects on an
idle node either.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.control import ask
from tests.bench.objects import KIB, Load, make_objects
from tests.bench.peers_held import NO_NAGLE, RECEIVERS, Node, storescu

SIZES = (32 * KIB, 32 * KIB, 32 * KIB, 128 * KIB, 128 * KIB, 512 * KIB, 512 * KIB, 4096 * KIB)
_ANSWER = b"Received Store Response (Success)"


@dataclass(frozen=True, slots=True)
class Fairness:
    """For each sender: its size, its rate alone and together (objects per second), its share."""

    sizes: tuple[int, ...]
    alone: tuple[float, ...]
    together: tuple[float, ...]
    loop: dict[str, Any]

    @property
    def shares(self) -> list[float]:
        """The part of its fair share that each got."""
        number = len(self.sizes)
        return [got * number / alone for got, alone in zip(self.together, self.alone, strict=True)]


def _count(port: int, folders: Sequence[Path], seconds: float) -> list[float]:
    """Objects per second that each of the senders got acknowledged, between its first answer and
    the end of the time (or of its files)."""
    sender = storescu("-v", environment=NO_NAGLE)
    processes = [
        subprocess.Popen(
            [str(word) for word in sender.words(port, folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | sender.environment,
        )
        for folder in folders
    ]
    number = len(processes)
    counts, first, last, rest = [0] * number, [0.0] * number, [0.0] * number, [b""] * number
    waiting = selectors.DefaultSelector()
    for index, process in enumerate(processes):
        assert process.stdout is not None
        waiting.register(process.stdout, selectors.EVENT_READ, index)
    end = None
    try:
        while waiting.get_map() and (end is None or time.monotonic() < end):
            for key, _ in waiting.select(0.05):
                index = key.data
                data = os.read(key.fd, 65536)
                if not data:
                    waiting.unregister(key.fileobj)
                    continue
                lines = (rest[index] + data).split(b"\n")
                rest[index] = lines.pop()
                found = sum(_ANSWER in line for line in lines)
                if found:
                    counts[index] += found
                    last[index] = time.monotonic()
                    first[index] = first[index] or last[index]
            if end is None and all(first):
                # From here on all send.
                end = time.monotonic() + seconds
                counts, first = [0] * number, [time.monotonic()] * number
    finally:
        for process in processes:
            process.kill()
            process.communicate()
        waiting.close()
    return [
        count / max(1e-3, until - since)
        for count, since, until in zip(counts, first, last, strict=True)
    ]


def measure_fairness(room: Path, seconds: float, rate: float) -> Fairness:
    """`rate`: the most objects of 32 KiB a second that a lone sender may reach; it says how many
    files are made, so that none ends before the time. What is made in `room` stays there."""
    files = []
    for index, size in enumerate(SIZES):
        count = max(3, int(seconds * rate * min(1.0, 64 * KIB / size)))
        load = Load(str(size), size, count)
        files.append(make_objects(room / "mixed" / str(index), load, first=10**6 * (index + 1)))
    alone: dict[int, float] = {}
    for index, size in enumerate(SIZES):
        if size not in alone:
            with RECEIVERS["gantry run"](room / f"alone-{size}").start() as node:
                (alone[size],) = _count(node.port, [files[index]], seconds / 2)
    with RECEIVERS["gantry run"](room / "together").start() as node:
        assert isinstance(node, Node) and node.control is not None
        together = _count(node.port, files, seconds)
        loop = ask(node.control, "status").get("loop", {})
    return Fairness(SIZES, tuple(alone[size] for size in SIZES), tuple(together), loop)
