"""Modalities outside a box, DCMTK's storescu again and again, and a ledger of what was promised."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

from tests.archive.objects import SampleObject, sample
from tests.peers.dcmtk import dcmtk_program
from tests.peers.sample_files import data_set_bytes

SIZES = (500, 40_000, 200_000, 1_500_000, 8_000_000)
"""Bytes of pixel data; the last two are too large to be synced together with others."""
_SHARES = (8, 16, 8, 2, 1)
_AT_A_TIME = 6
_ROOT = "1.2.826.0.1.3680043.9.8.7"


def numbered(number: int) -> SampleObject:
    """An object that can be told from all others, and made again."""
    chance = random.Random(number)
    size = chance.choices(SIZES, _SHARES)[0]
    study = f"{_ROOT}.1.{number % 7}"
    return sample(
        f"{_ROOT}.2.{number}", study=study, series=f"{study}.0", pixels=chance.randbytes(size)
    )


def number_of(uid: str) -> int:
    """Of an object of ours, by its SOP Instance UID."""
    return int(uid.rpartition(".")[2])


def difference(number: int, content: bytes) -> str:
    """ "" where a Part 10 file holds the very data set that was sent; else what it holds."""
    wanted = numbered(number).data_set
    try:
        found = data_set_bytes(content)
    except (ValueError, struct.error) as error:
        return f"object {number}: {len(content)} bytes, {error}"
    return "" if found == wanted else f"object {number}: {len(found)} bytes, not {len(wanted)}"


class Ledger:
    """Numbers of the objects for which 0000H was received; senders add to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: set[int] = set()

    def add(self, number: int) -> None:
        with self._lock:
            self._numbers.add(number)

    def numbers(self) -> frozenset[int]:
        """Those by now."""
        with self._lock:
            return frozenset(self._numbers)


class Modality(threading.Thread):
    """Sends some objects in an association, then others in the next, whatever becomes of them."""

    def __init__(self, name: str, port: int, first: int, folder: Path, ledger: Ledger) -> None:
        super().__init__(daemon=True)
        self.name = name
        self._words = [
            *("-v", "-R", "-to", "30", "-ta", "60", "-td", "120"),
            *("-aet", name, "-aec", "GANTRY", "127.0.0.1", str(port)),
        ]
        self._next = first
        self._folder = folder / name
        self._ledger = ledger
        self._is_over = threading.Event()
        self.failed = 0
        """Associations that did not end well."""

    def run(self) -> None:
        chance = random.Random(self._next)
        while not self._is_over.is_set():
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(parents=True)
            files = {}
            for _ in range(chance.randint(1, _AT_A_TIME)):
                path = self._folder / f"{self._next}.dcm"
                made = numbered(self._next)
                path.write_bytes(made.meta + made.data_set)
                files[str(path)] = self._next
                self._next += 1
            if not self._send(files):
                self.failed += 1
                self._is_over.wait(2.0)

    def stop(self) -> None:
        """Return when the association is over."""
        self._is_over.set()
        self.join(300.0)
        assert not self.is_alive(), f"{self.name} still sends"

    def _send(self, files: Mapping[str, int]) -> bool:
        command = [str(dcmtk_program("storescu")), *self._words, *files]
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as sender:
            assert sender.stdout is not None
            current = None
            for line in sender.stdout:
                text = line.decode(errors="replace").strip()
                if text.startswith("I: Sending file: "):
                    current = files[text.removeprefix("I: Sending file: ")]
                elif text == "I: Received Store Response (Success)" and current is not None:
                    self._ledger.add(current)
                    current = None
            return sender.wait() == 0
