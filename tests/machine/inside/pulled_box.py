"""A node in the guest, with the hand that plugs and pulls, and what is known of its archive."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from agent.archive.layout import INDEX, object_path
from agent.errors import GantryError
from hal.removable.base import (
    Medium,
    MediumCame,
    MediumWent,
    Mounted,
    let_go,
    mount,
    open_driver,
    unmount,
)
from tests.machine.file_set_states import digest_of_data_set
from tests.machine.plugging import ask
from tests.node.running import ENVIRONMENT, NodeProcess

SHARED = Path("/tmp/results/plugging")
NAME = "STICK"
COUNT, SIZE = 12, 96
"""Images of a study, and kilobytes of each."""
_START = 180.0


def hand(act: str, **asked: Any) -> Any:
    """Have something done at the machine's sockets."""
    return ask(SHARED, act=act, **asked)


def until(holds: Callable[[], Any], what: Callable[[], object], seconds: float = 90.0) -> Any:
    """What it gives when it is true; AssertionError with `what` when that takes too long."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, what()
        time.sleep(0.25)
    return found


def moments(count: int) -> Iterator[float]:
    """Parts of a duration, a little more than 1 the last: by chance, and spread over all of it."""
    seed = int(os.environ["GANTRY_PULL_SEED"])
    chance = random.Random(seed)
    found = [1.05 * (each + chance.random()) / count for each in range(count)]
    chance.shuffle(found)
    yield from found


def lasts_now(seconds: float, moment: float, *, is_over: bool) -> float:
    """How long it lasts, by what was found at a moment: other work on the machine comes and goes,
    and pulls after the end find nothing."""
    if is_over and moment < 1:
        return seconds * max(moment, 0.7)
    if not is_over and moment > 0.9:
        return seconds * 1.3
    return seconds


def pull_count() -> int:
    return int(os.environ["GANTRY_PULLS"])


def kernel() -> str:
    """What it said last of file systems and disks."""
    done = subprocess.run(["dmesg"], capture_output=True, text=True)
    return "\n".join(done.stdout.splitlines()[-80:])


class Box(NodeProcess):
    """A node; what its archive keeps is held against what went in."""

    def __init__(self, folder: Path, more: str = "") -> None:
        super().__init__(folder, more)
        self.archive = folder / "state" / "archives" / "main"

    def wait_until_ready(self) -> Box:
        assert self.process is not None

        def is_ready() -> bool:
            assert self.process is not None and self.process.poll() is None, self.log
            try:
                self.ask("status")
            except GantryError:
                return False
            return True

        until(is_ready, lambda: self.log, _START)
        (index,) = (self.folder / "state").rglob(INDEX)
        self.archive = index.parent
        return self

    def rows(self) -> list[tuple[int, str, int]]:
        """Number, SOP Instance UID and size of every object that the index has."""
        with sqlite3.connect(f"file:{self.archive / INDEX}?mode=ro", uri=True) as index:
            return index.execute("SELECT id, sop_instance_uid, bytes FROM instance").fetchall()

    def holds(self, wanted: dict[str, str], *, above: int = 0) -> int:
        """How many objects it has above a number. AssertionError unless each is there once, as it
        was, under its row; and nothing else is."""
        rows = [each for each in self.rows() if each[0] > above]
        uids = [uid for _, uid, _ in rows]
        assert len(set(uids)) == len(uids), f"twice in the index: {sorted(uids)}"
        for number, uid, size in rows:
            path = object_path(self.archive, number)
            assert path.stat().st_size == size, f"{path} is not of {size} bytes"
            assert digest_of_data_set(path) == wanted[uid], f"{path} is not as it was"
        named = {path.name for path in self.objects() if int(path.stem) > above}
        assert named == {f"{number:09d}.dcm" for number, _, _ in rows}
        assert not list((self.archive / "incoming").iterdir())
        assert not list((self.archive / "strays").iterdir())
        return len(rows)

    @property
    def last(self) -> int:
        return max((number for number, _, _ in self.rows()), default=0)

    def of(self, what: str, number: int) -> dict[str, Any]:
        """An import or export as people see it."""
        items = self.ask(f"{what}-list", limit=20)["items"]
        return next(dict(each) for each in items if each["id"] == number)

    def doctor(self, *words: str) -> str:
        command = [sys.executable, "-m", "agent.cli.main", "doctor", "--offline", *words]
        done = subprocess.run(
            [*command, "--config", self.configuration],
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
        )
        assert done.returncode in (0, 1) and "Traceback" not in done.stderr, done
        return done.stdout + done.stderr

    def check_at_the_end(self, wanted: dict[str, str]) -> None:
        """It starts again with all it had; the doctor and an index made anew find the same."""
        assert self.holds(wanted) == len(wanted)
        assert self.stop() == 0, self.log
        assert "ok  archive" in self.doctor()
        self.doctor("--rebuild-index")
        self.start()
        assert self.holds(wanted) == len(wanted)
        with sqlite3.connect(f"file:{self.archive / INDEX}?mode=ro", uri=True) as index:
            assert index.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            told = index.execute("SELECT sum(instances) FROM study").fetchall()
            assert told == [(len(wanted),)]


class Desk:
    """A person, or a desktop, that mounts a stick for writing, always at the same place."""

    def __init__(self, at: Path) -> None:
        self.at = at
        self.mounted: Mounted | None = None
        self._media = open_driver("block-devices")
        self._media.open()

    def close(self) -> None:
        self._media.close()

    def came(self) -> Medium:
        return self._until(MediumCame).medium

    def mount(self, medium: Medium, *, read_only: bool = False) -> None:
        self.mounted = mount(medium, str(self.at), read_only=read_only)

    def unmount(self) -> None:
        """Safe to remove."""
        assert self.mounted is not None
        unmount(self.mounted)
        self.mounted = None

    def went(self) -> None:
        """It was pulled: what is left of it in the tree goes."""
        self._until(MediumWent)
        if self.mounted is not None:
            let_go(self.mounted)
            self.mounted = None

    def _until(self, kind: type[Any]) -> Any:
        seen: list[Any] = []

        def found() -> Any:
            seen.extend(self._media.events())
            while seen:
                event = seen.pop(0)
                if isinstance(event, kind) and event.medium.serial == NAME:
                    return event
            return None

        return until(found, lambda: f"no {kind.__name__}")


def report(kind: str, **line: Any) -> None:
    """A line for the figures, and for who watches."""
    hand("report", line={"kind": kind, **line})
    print(json.dumps(line), flush=True)
