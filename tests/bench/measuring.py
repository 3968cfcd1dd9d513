"""One measurement: a receiver is started, senders run to their end, and what it took is noted.

What a sender does before its first byte (start-up, imports) is no part of a rate: each measurement
first sends one small object, and the report takes the time and CPU of that off. CPU seconds of a
receiver are those of all its processes between the start and the end of the senders.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.bench.peers_held import RECEIVERS, SENDERS, Sender
from tests.peers.memory import proportional_set_size
from tests.peers.process import PeerFailed, process_tree

_numbers = itertools.count(1)
_SAMPLE_SECONDS = 0.01
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Pair:
    """A sender and a receiver by their names, and how many senders there are at once.

    `stalls`: each object takes tens of milliseconds of waiting (Nagle's algorithm against delayed
    acknowledgements), so that fewer objects are enough to know the rate. `on_disk`: the receiver
    stores on a disk and not in memory.
    """

    sender: str
    receiver: str
    senders: int = 1
    stalls: bool = False
    on_disk: bool = False

    def __str__(self) -> str:
        times = f"{self.senders} x " if self.senders > 1 else ""
        where = " on disk" if self.on_disk else ""
        return f"{times}{self.sender} > {self.receiver}{where}"


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds and CPU seconds of the senders, in all and of the start-up alone; CPU seconds of the
    receiver; peak PSS in bytes of both sides, where it was sampled."""

    objects: int
    seconds: float
    start_up: float
    sender_cpu: float
    start_up_cpu: float
    receiver_cpu: float
    sender_memory: int = 0
    receiver_memory: int = 0


def tree_cpu(pid: int) -> float:
    """CPU seconds of a process with all its threads and descendants, ended ones included."""
    total = 0.0
    for member in process_tree(pid):
        with suppress(OSError):
            # The clock of another process (clock_getcpuclockid(3)): nanoseconds, not ticks.
            total += time.clock_gettime((~member << 3) | 2)
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[13]) + int(fields[14])) / _TICK
    return total


class MemoryWatch:
    """Samples the PSS of process trees from a thread, and keeps the greatest sum of each."""

    def __init__(self, *roots: Sequence[int]) -> None:
        self._roots = roots
        self._ended = threading.Event()
        self.peaks = [0] * len(roots)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS):
            for index, roots in enumerate(self._roots):
                members = [member for root in roots for member in process_tree(root)]
                self.peaks[index] = max(self.peaks[index], proportional_set_size(members))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


class Running:
    """Senders that have been started together."""

    def __init__(self, sender: Sender, port: int, folders: Sequence[Path], log: Path) -> None:
        self._log = log
        self.started = time.monotonic()
        with log.open("ab") as output:
            self._processes = [
                subprocess.Popen(
                    [str(word) for word in sender.words(port, folder)],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=os.environ | sender.environment,
                )
                for folder in folders
            ]

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    def wait(self) -> tuple[float, float]:
        """Seconds until all have ended, and their CPU seconds; PeerFailed when one failed."""
        cpu = 0.0
        for process in self._processes:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            cpu += usage.ru_utime + usage.ru_stime
        seconds = time.monotonic() - self.started
        for process in self._processes:
            if process.returncode:
                raise PeerFailed(f"{process.args!r}: {self._log.read_text()[-2000:]}")
        return seconds, cpu


def measure(
    pair: Pair, files: Sequence[Path], first: Sequence[Path], room: Path, *, memory: bool = False
) -> Measured:
    """Send the folders `files`, one by each sender; `first` has one small object for each.

    With `memory` the peaks are sampled, which costs time: such a run is not for its seconds. What
    was stored on a disk stays: for some seconds after many files were deleted, ext4 looks for
    places that were not freed just now, and makes a new file ten times as slowly.
    """
    folder = room / f"receiver-{next(_numbers)}"
    receiver = RECEIVERS[pair.receiver](folder)
    sender = SENDERS[pair.sender]
    log = room / "senders.log"
    try:
        os.sync()
        with receiver.start():
            start_up, start_up_cpu = Running(sender, receiver.port, first, log).wait()
            before = tree_cpu(receiver.pid)
            running = Running(sender, receiver.port, files, log)
            if memory:
                with MemoryWatch(running.pids, [receiver.pid]) as watch:
                    seconds, cpu = running.wait()
                peaks = watch.peaks
            else:
                seconds, cpu = running.wait()
                peaks = [0, 0]
            spent = tree_cpu(receiver.pid) - before
    except PeerFailed as error:
        said = receiver.output.strip().splitlines()[-5:]
        raise PeerFailed("\n".join([str(error), "the receiver said:", *said])) from None
    finally:
        if not pair.on_disk:
            shutil.rmtree(folder, ignore_errors=True)
        log.unlink(missing_ok=True)
    objects = sum(len(list(each.iterdir())) for each in files)
    return Measured(objects, seconds, start_up, cpu, start_up_cpu, spent, *peaks)
