"""The network bench: our sender and receiver beside those of DCMTK, pynetdicom and Orthanc.

python -m tests.bench.network                       everything, about ten minutes
python -m tests.bench.network --scale 0.1           a tenth of the objects, 100 MiB for 1 GiB
python -m tests.bench.network --only send --load "32 KiB"

See README.md beside this file for what is measured and how.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.fairness import measure_fairness
from tests.bench.measuring import Measured, Pair, measure
from tests.bench.objects import GIB, KIB, Load, make_objects
from tests.bench.report import Results, as_json, conditions_of, text
from tests.bench.rows import LARGE, MEDIUM, SMALL, pairs_of
from tests.peers.process import PeerFailed

PARTS = ("receive", "send", "durable")
_MIB = 1 << 20
_SHARED = Path("/dev/shm")
# A pair that stalls for 40 ms with each object shows its rate with fewer of them.
_MOST_WHEN_STALLING = 50


def loads_of(scale: float) -> dict[str, Load]:
    """The three loads, scaled: numbers of small objects, and the size of the large one."""
    return {
        SMALL: Load(SMALL, 32 * KIB, max(2, round(1000 * scale))),
        MEDIUM: Load(MEDIUM, 512 * KIB, max(2, round(200 * scale))),
        LARGE: Load(LARGE, max(1, round(GIB * min(1.0, scale) / _MIB)) * _MIB, 1),
    }


class Files:
    """The folders of objects for each load and number of senders, made when first asked for."""

    def __init__(self, folder: Path, loads: dict[str, Load]) -> None:
        self._folder = folder
        self._loads = loads
        self._made: dict[tuple[str, int, int], list[Path]] = {}

    def of(self, load: str, pair: Pair) -> list[Path]:
        """One folder for each sender. Eight senders send twice the objects of one."""
        wanted = self._loads[load]
        count = wanted.count
        if pair.stalls:
            count = min(count, _MOST_WHEN_STALLING)
        if pair.senders > 1:
            count = max(2, count * 2 // pair.senders)
        return self._folders(Load(load, wanted.size, count), pair.senders)

    def first(self, pair: Pair) -> list[Path]:
        """One small object for each sender."""
        return self._folders(Load("first", 32 * KIB, 1), pair.senders)

    def _folders(self, load: Load, senders: int) -> list[Path]:
        key = (load.name, load.count, senders)
        if key not in self._made:
            base = 10**9 if load.name == "first" else 1
            name = f"{load.name.replace(' ', '-')}-{load.count}-{senders}"
            self._made[key] = [
                make_objects(self._folder / name / str(index), load, first=base + 10**6 * index)
                for index in range(senders)
            ]
        return self._made[key]


@dataclass(frozen=True, slots=True)
class Rooms:
    """Where files are: on the disk that is measured, and in memory (tmpfs), where the source files
    are and what is stored by receivers whose disk is not to be measured."""

    disk: Path
    memory: Path


def run(
    rooms: Rooms, loads: dict[str, Load], parts: Iterable[str], repeat: int, *, memory: bool = True
) -> Results:
    """Measure all pairs of the wanted parts and loads, `repeat` times each, in turns.

    With `memory` each pair runs once more for its peak of memory.
    """
    wanted = frozenset(parts)
    results = Results(loads, wanted, conditions=conditions_of(rooms.disk, rooms.memory))
    files = Files(rooms.memory / "files", loads)
    for load in loads:
        pairs = pairs_of(load, wanted)
        for turn in range(repeat + memory):
            for pair in pairs:
                of_memory = turn == repeat
                found = _measure(results, load, pair, files, rooms, of_memory)
                if found is None:
                    continue
                if of_memory:
                    results.memory[load, pair] = found
                else:
                    results.timed.setdefault((load, pair), []).append(found)
    return results


def _measure(
    results: Results, load: str, pair: Pair, files: Files, rooms: Rooms, memory: bool
) -> Measured | None:
    room = rooms.disk if pair.on_disk else rooms.memory
    try:
        found = measure(pair, files.of(load, pair), files.first(pair), room, memory=memory)
    except PeerFailed as error:
        results.failures.setdefault((load, pair), []).append(str(error))
        print(f"{load}: {pair}: FAILED {error}", file=sys.stderr)
        return None
    taken = max(1e-3, found.seconds - found.start_up)
    what = "memory" if memory else f"{found.objects / taken:.1f} objects/s"
    print(f"{time.strftime('%H:%M:%S')} {load}: {pair}: {what}", file=sys.stderr, flush=True)
    return found


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="part of the full loads")
    parser.add_argument("--repeat", type=int, default=5, help="repetitions (default %(default)s)")
    parser.add_argument("--only", action="append", choices=(*PARTS, "fairness"), help="these parts")
    parser.add_argument("--load", action="append", choices=(SMALL, MEDIUM, LARGE), help="these")
    parser.add_argument("--disk", type=Path, help="a folder on the disk that is to be measured")
    parser.add_argument("--memory", type=Path, default=_SHARED, help="(default %(default)s)")
    parser.add_argument("--seconds", type=float, default=6.0, help="for the eight mixed senders")
    parser.add_argument("--no-memory", action="store_true", help="leave the memory runs out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    return parser.parse_args()


def main() -> int:
    options = _parse()
    parts = options.only or [*PARTS, "fairness"]
    loads = loads_of(options.scale)
    if options.load:
        loads = {name: load for name, load in loads.items() if name in options.load}
    rooms = Rooms(
        Path(tempfile.mkdtemp(prefix="bench-", dir=options.disk)),
        Path(tempfile.mkdtemp(prefix="bench-", dir=options.memory)),
    )
    try:
        results = run(rooms, loads, parts, options.repeat, memory=not options.no_memory)
        if "fairness" in parts:
            results.fairness = measure_fairness(rooms.disk, options.seconds, 1500.0)
    finally:
        shutil.rmtree(rooms.disk, ignore_errors=True)
        shutil.rmtree(rooms.memory, ignore_errors=True)
    results.conditions["load after"] = os.getloadavg()[0]
    print(text(results))
    if options.json:
        options.json.write_text(json.dumps(as_json(results), indent=1) + "\n")
    return 1 if set(results.failures) - set(results.timed) else 0


if __name__ == "__main__":
    sys.exit(main())
