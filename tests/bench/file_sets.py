"""The bench of file-sets: a DICOMDIR for many instances, made and read, beside others.

python -m tests.bench.file_sets                    20,000 instances, three rounds
python -m tests.bench.file_sets --instances 2000

What is compared does the same work: `gantry media create` copies its files, as pydicom's FileSet
does; dcmmkdir only writes the directory of files that lie there, and is timed with a `cp -r`.
Ours syncs each file before it counts on it, which the others do not. Memory is the peak of the
process, sampled, which for ours includes the interpreter.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.measuring import MemoryWatch
from tests.cli_of import ROOT
from tests.media.instances import instance, save
from tests.peers.dcmtk import dcmtk_program

_SERIES = 200
_BY_PYDICOM = """
import sys
from pathlib import Path
from pydicom.fileset import FileSet
made = FileSet()
for path in sorted(Path(sys.argv[1]).rglob("I*")):
    made.add(path)
made.write(Path(sys.argv[2]))
"""
_READ_BY_PYDICOM = """
import sys
from pydicom.fileset import FileSet
print(len(list(FileSet(sys.argv[1]))))
"""


def make_files(folder: Path, count: int) -> None:
    """`count` small CT images, `_SERIES` to a series, as PS3.10 8.2 names files."""
    for number in range(count):
        series = number // _SERIES + 1
        made = instance(number + 1, patient=f"P{series // 10}", series=series)
        place = folder / f"S{series:07}"
        save(made, place / f"I{number % _SERIES:07}")


def timed(arguments: list[str | Path], folder: Path | None = None) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak MiB of a program that must end well."""
    begun = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(
        [str(each) for each in arguments], cwd=folder, env=environment, stdout=subprocess.DEVNULL
    )
    with MemoryWatch((child.pid,)) as memory:
        _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{arguments[0]} ended with {child.returncode}")
    return time.monotonic() - begun, used.ru_utime + used.ru_stime, memory.peaks[0] / (1 << 20)


def rounds_of(count: int, act: Callable[[], tuple[float, float, float]]) -> tuple[float, ...]:
    """The medians."""
    return tuple(
        statistics.median(column) for column in zip(*(act() for _ in range(count)), strict=True)
    )


class Bench:
    """All ways to make and to read one file-set."""

    def __init__(self, folder: Path) -> None:
        self._files = folder / "files"
        self._folder = folder

    def _fresh(self, name: str) -> Path:
        place = self._folder / name
        shutil.rmtree(place, ignore_errors=True)
        return place

    def ours(self) -> tuple[float, float, float]:
        words = ["media", "create", self._fresh("ours"), self._files]
        return timed([sys.executable, "-m", "agent.cli.main", *words])

    def pydicom(self) -> tuple[float, float, float]:
        return timed([sys.executable, "-c", _BY_PYDICOM, self._files, self._fresh("pydicom")])

    def dcmmkdir(self) -> tuple[float, float, float]:
        place = self._fresh("dcmtk")
        copied = timed(["cp", "-r", self._files, place])
        words = ["-W", "-Nec", "-Nrc", "+r", "+id", place, "+D", place / "DICOMDIR"]
        made = timed([dcmtk_program("dcmmkdir"), *words], place)
        return copied[0] + made[0], copied[1] + made[1], made[2]

    def read_ours(self) -> tuple[float, float, float]:
        words = ["media", "list", self._folder / "ours", "--json"]
        return timed([sys.executable, "-m", "agent.cli.main", *words])

    def read_pydicom(self) -> tuple[float, float, float]:
        return timed([sys.executable, "-c", _READ_BY_PYDICOM, self._folder / "ours" / "DICOMDIR"])

    def read_dcmtk(self) -> tuple[float, float, float]:
        return timed([dcmtk_program("dcmdump"), "-q", self._folder / "ours" / "DICOMDIR"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--instances", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gantry-bench-") as name:
        folder = Path(name)
        make_files(folder / "files", options.instances)
        bench = Bench(folder)
        for what, ways in (
            ("made", (bench.ours, bench.dcmmkdir, bench.pydicom)),
            ("read", (bench.read_ours, bench.read_dcmtk, bench.read_pydicom)),
        ):
            first = None
            for way in ways:
                wall, processor, peak = rounds_of(options.rounds, way)
                first = first or wall
                print(
                    f"{what} {way.__name__:<14} {wall:7.2f} s  CPU {processor:7.2f} s "
                    f"{peak:7.1f} MiB  ratio {wall / first:5.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
