"""What goes on in the guest whose power is cut: objects stored and deleted, as fast as it goes.

    python3 -m tests.machine.inside.power_cut_writer ARCHIVE LEDGER SECONDS

The ledger lies on the host: "stored NUMBER ID" when an object was acknowledged, "deleting ID"
before a deletion is asked for.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

from agent.archive import whole_sync
from agent.archive.settings import ArchiveSettings
from tests.archive.objects import Rules, SampleObject, Worker, sample

ROOM = 40 << 20
RULES = Rules(("PACS",))
SETTINGS = ArchiveSettings(lock_patience=2.0)
SIZES = (500, 40_000, 200_000, 1_500_000)
"""Bytes of pixel data; the last is too large to be synced together with others."""


def numbered(number: int) -> SampleObject:
    """An object that can be told from all others, and made again."""
    chance = random.Random(number)
    size = chance.choices(SIZES, (4, 8, 4, 1))[0]
    return sample(
        f"1.2.3.{number}",
        study=f"1.2.{number % 7}",
        series=f"1.2.{number % 7}.0",
        pixels=chance.randbytes(size),
    )


def write(folder: Path, ledger: Path, seconds: float) -> None:
    """Until the time is over, or the power."""
    # An emulated machine is slow; what is to be seen here are objects that are synced together.
    whole_sync._PATIENCE = 3600.0
    chance = random.Random()
    end, number = time.monotonic() + seconds, 0
    kept: list[int] = []
    held = 0
    with Worker(folder, RULES, SETTINGS) as worker, ledger.open("ab", buffering=0) as told:
        while time.monotonic() < end:
            group = list(range(number, number + chance.randint(1, 4)))
            number += len(group)
            for each, verdict in zip(
                group, worker.store(*(numbered(each) for each in group)), strict=True
            ):
                assert verdict.status == 0, verdict
                told.write(b"stored %d %d\n" % (each, verdict.instance_id))
                kept.append(verdict.instance_id)
            held = worker.call("statistics")["bytes"]
            while held > ROOM:
                gone, kept = kept[:20], kept[20:]
                told.write(b"".join(b"deleting %d\n" % each for each in gone))
                worker.call("delete", gone, True)
                held = worker.call("statistics")["bytes"]
            while worker.call("sweep"):
                pass


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
