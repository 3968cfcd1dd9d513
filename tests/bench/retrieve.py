"""The retrieve bench: C-GET and C-MOVE of one study, from our node, dcmqrscp and Orthanc.

python -m tests.bench.retrieve                   1,000 objects of 32 KiB, 200 of 512 KiB
python -m tests.bench.retrieve --scale 0.1       a tenth of them
python -m tests.bench.retrieve --only get

The same study is in all three archives, in memory (`/dev/shm`). As SCP: the same getscu gets it
from each, and has each move it to the same storescp. As SCU: `gantry get` and getscu get it from
the same dcmqrscp. What a program does before its first byte is taken off: each first retrieves a
study of one object. DCMTK's network code runs without Nagle's algorithm, as Orthanc's.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median

from tests.bench.measuring import tree_cpu
from tests.bench.objects import KIB, Load, make_objects
from tests.bench.peers_held import LONG_PDU, NO_NAGLE, PATH_OF_OURS, ROOT, QuietOrthanc
from tests.checklists.retrieving import SERVICES
from tests.node.running import NodeProcess
from tests.node.running import peer_table as delivered_peer
from tests.peers.dcmtk import DcmtkQueryRetrieveScp, DcmtkStoreScp, dcmsend, dcmtk_program

_STUDY = "1.2.826.0.1.3680043.10.1000.1"
_FIRST_STUDY = "1.2.826.0.1.3680043.10.1000.2"
LOADS = (Load("32 KiB", 32 * KIB, 1000), Load("512 KiB", 512 * KIB, 200))


class TunedQueryRetrieveScp(DcmtkQueryRetrieveScp):
    """dcmqrscp at its best: without Nagle's algorithm, with long PDUs and no log."""

    def command(self) -> Sequence[str | Path]:
        self._environment |= NO_NAGLE
        words = [word for word in super().command() if word != "-v"]
        assert self._configuration.exists()
        tuned = self._configuration.read_text().replace("16384\n", "131072\n", 1)
        self._configuration.write_text(tuned)
        return words


@dataclass(frozen=True, slots=True)
class Archive:
    """Where a study is retrieved from; `pid` is the root of its processes."""

    name: str
    port: int
    title: str
    pid: int


@dataclass(frozen=True, slots=True)
class Row:
    """What one way took for a load: seconds, and CPU seconds of the side that is compared."""

    part: str
    load: str
    who: str
    objects: int
    seconds: float
    cpu: float

    @property
    def rate(self) -> float:
        return self.objects / max(1e-3, self.seconds)


def archives(stack: ExitStack, folder: Path, far: DcmtkStoreScp) -> list[Archive]:
    """All three, running."""
    titles = dict.fromkeys(("FAR", "BENCH"), ("127.0.0.1", far.port))
    route = delivered_peer("FAR", far.port).partition("[[route]]")[0]
    node = stack.enter_context(NodeProcess(folder / "node", SERVICES + route))
    dcmqrscp = stack.enter_context(
        TunedQueryRetrieveScp(folder / "dcmqrscp", move_destinations=titles)
    )
    orthanc = stack.enter_context(QuietOrthanc(folder / "orthanc", modalities=titles))
    assert node.process is not None
    return [
        Archive("gantry run", node.port, "GANTRY", node.process.pid),
        Archive("dcmqrscp", dcmqrscp.port, dcmqrscp.ae_title, dcmqrscp.pid),
        Archive("Orthanc", orthanc.port, orthanc.ae_title, orthanc.pid),
    ]


def keys_of(study: str) -> list[str]:
    """The identifier as DCMTK's programs take it."""
    return ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}"]


def getscu(archive: Archive, study: str, into: Path) -> list[str | Path]:
    return [
        *(dcmtk_program("getscu"), "-S", *LONG_PDU, "+B", "-aet", "BENCH"),
        *("-aec", archive.title, "-od", into, *keys_of(study)),
        *("127.0.0.1", str(archive.port)),
    ]


def movescu(archive: Archive, study: str, into: Path) -> list[str | Path]:
    return [
        *(dcmtk_program("movescu"), "-S", "-aet", "BENCH", "-aec", archive.title),
        *("-aem", "FAR", *keys_of(study), "127.0.0.1", str(archive.port)),
    ]


def gantry_get(archive: Archive, study: str, into: Path) -> list[str | Path]:
    return [
        *(sys.executable, "-P", "-m", "agent.cli.main", "get", f"127.0.0.1:{archive.port}"),
        *("--calling", "BENCH", "--called", archive.title, "--no-sync", "--into", into),
        f"StudyInstanceUID={study}",
    ]


Words = Callable[[Archive, str, Path], list[str | Path]]


Took = tuple[float, float, float]
"""Seconds, CPU seconds of the client and of the archive."""


def took(words: Words, archive: Archive, study: str, folder: Path, count: int, far: Path) -> Took:
    """What one retrieval took. AssertionError when not all objects came."""
    used, there = getrusage(RUSAGE_CHILDREN), tree_cpu(archive.pid)
    into = Path(tempfile.mkdtemp(dir=folder))
    begun = time.monotonic()
    done = subprocess.run(
        words(archive, study, into),
        env={**os.environ, **PATH_OF_OURS, **NO_NAGLE},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - begun
    now = getrusage(RUSAGE_CHILDREN)
    client = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    served = tree_cpu(archive.pid) - there
    came = list((far if words is movescu else into).iterdir())
    assert len(came) == count, f"{len(came)} of {count} from {archive.name}\n{done.stderr[-800:]}"
    for path in came:
        path.unlink()
    return seconds, client, served


def measured(
    part: str, who: str, words: Words, archive: Archive, load: Load, folder: Path, far: Path, n: int
) -> Row:
    """The median of `n` retrievals, the start-up taken off."""
    first = [took(words, archive, _FIRST_STUDY, folder, 1, far) for _ in range(n)]
    whole = [took(words, archive, _STUDY, folder, load.count, far) for _ in range(n)]
    seconds, client, served = (
        max(1e-3, median(column) - median(before))
        for column, before in zip(zip(*whole, strict=True), zip(*first, strict=True), strict=True)
    )
    cpu = client if part.endswith("SCU") else served
    return Row(part, load.name, who, load.count, seconds, cpu)


def stored(folder: Path, load: Load, archive: Archive) -> None:
    """Both studies into an archive."""
    first = folder / "first"
    if not first.exists():
        make_objects(folder / "study", load)
        make_objects(first, Load("first", 32 * KIB, 1), first=10**9)
        for path in first.iterdir():
            data = path.read_bytes()
            path.write_bytes(data.replace(_STUDY.encode() + b"\0", _FIRST_STUDY.encode() + b"\0"))
    for each in ("study", "first"):
        paths = sorted((folder / each).iterdir())
        dcmsend(archive.port, *paths, called=archive.title, seconds=600).check()


def run(folder: Path, loads: Sequence[Load], parts: frozenset[str], repeat: int) -> list[Row]:
    """All rows."""
    rows: list[Row] = []
    for number, load in enumerate(loads):
        home = folder / str(number)
        home.mkdir()
        with ExitStack() as stack:
            far = stack.enter_context(
                DcmtkStoreScp(home / "far", *LONG_PDU, ae_title="FAR", environment=NO_NAGLE)
            )
            all_three = archives(stack, home, far)
            for archive in all_three:
                stored(home, load, archive)
            there = home, far.received_folder, repeat
            for archive in all_three:
                if "get" in parts:
                    rows.append(
                        measured("C-GET as SCP", archive.name, getscu, archive, load, *there)
                    )
                if "move" in parts:
                    rows.append(
                        measured("C-MOVE as SCP", archive.name, movescu, archive, load, *there)
                    )
            if "scu" in parts:
                for who, words in (("gantry get", gantry_get), ("getscu", getscu)):
                    rows.append(measured("C-GET as SCU", who, words, all_three[1], load, *there))
    return rows


def lines(rows: Sequence[Row]) -> list[str]:
    """The table: ratios are ours by the other's, in objects a second."""
    found = [f"{'':14}{'load':9}{'who':12}{'objects/s':>10}{'CPU s':>8}{'ours is':>10}"]
    for row in rows:
        ours = next(
            each
            for each in rows
            if (each.part, each.load) == (row.part, row.load) and each.who.startswith("gantry")
        )
        ratio = "" if ours is row else f"{ours.rate / row.rate:.2f} x"
        found.append(
            f"{row.part:14}{row.load:9}{row.who:12}{row.rate:10.0f}{row.cpu:8.2f}{ratio:>10}"
        )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", choices=("get", "move", "scu"), action="append")
    options = parser.parse_args()
    loads = [
        Load(each.name, each.size, max(2, round(each.count * options.scale))) for each in LOADS
    ]
    parts = frozenset(options.only or ("get", "move", "scu"))
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="gantry-retrieve-") as folder:
        rows = run(Path(folder), loads, parts, options.repeat)
    print("\n".join(lines(rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
