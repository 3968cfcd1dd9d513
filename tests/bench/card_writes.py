"""The card-writes bench: bytes written to the card for each byte stored, beside Orthanc.

python -m tests.bench.card_writes                   256 MiB of objects of 32 KiB, and of 512 KiB
python -m tests.bench.card_writes --scale 0.05

Both receive the same objects from the same storescu, forward them to the same storescp, which keeps
them in memory, and delete them. See README.md beside this file for what is measured and how.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from agent.control import ask
from tests.bench.objects import KIB, Load, make_objects
from tests.bench.peers_held import SENDERS, Node, QuietOrthanc
from tests.peers.dcmtk import DcmtkStoreScp
from tests.peers.process import process_tree, wait_until

MIB = 1 << 20
PHASES = ("received", "forwarded", "deleted")
_SECTOR = 512
_DISK = 2048 * MIB
_AT_ONCE = 500
"""Objects that are sent on one association, and kept at once."""


@dataclass(frozen=True, slots=True)
class Card:
    """A disk whose writes are counted. `device` is its block device, "" where only what processes
    write is known: then journals and metadata of the file system are missing."""

    folder: Path
    device: str

    def written(self, pid: int) -> int:
        """Bytes until now, after all that waits was written out."""
        if self.device:
            subprocess.run(["sync", "-f", self.folder], check=True)
            words = Path(f"/sys/block/{self.device}/stat").read_text().split()
            return int(words[6]) * _SECTOR
        return sum(_of_process(each) for each in process_tree(pid))


def _of_process(pid: int) -> int:
    """See proc(5): bytes that a process caused to be sent to the storage layer."""
    try:
        lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


@contextmanager
def card(folder: Path) -> Iterator[Card]:
    """An ext4 file system of its own on a loop device, where we may make one."""
    image, mounted = folder / "card.img", folder / "card"
    mounted.mkdir()
    with image.open("wb") as out:
        out.truncate(_DISK)
    device = ""
    try:
        # Nothing of the file system is left to be made later, while somebody is measured.
        whole = "lazy_itable_init=0,lazy_journal_init=0"
        subprocess.run(["mkfs.ext4", "-q", "-F", "-E", whole, image], check=True)
        made = subprocess.run(
            ["losetup", "--find", "--show", image], check=True, capture_output=True, text=True
        )
        device = made.stdout.strip()
        subprocess.run(["mount", device, mounted], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        _detach(device, mounted)
        print(f"no loop device ({error}): writes of processes are counted", file=sys.stderr)
        yield Card(mounted, "")
        return
    try:
        yield Card(mounted, Path(device).name)
    finally:
        _detach(device, mounted)


def _detach(device: str, mounted: Path) -> None:
    if os.path.ismount(mounted):
        subprocess.run(["umount", mounted], check=False)
    if device:
        subprocess.run(["losetup", "--detach", device], check=False)


class ForwardingNode(Node):
    """A gateway that forwards to PACS and deletes what is delivered when it is asked to tidy."""

    def __init__(self, folder: Path, pacs: int) -> None:
        super().__init__(folder)
        self._pacs = pacs

    def command(self) -> list[str | Path]:
        words = list(super().command())
        configuration = Path(words[-1])
        configuration.write_text(
            configuration.read_text()
            + f'[[peer]]\nname = "PACS"\naddresses = ["127.0.0.1:{self._pacs}"]\n'
            '[[route]]\nname = "all"\ndeliver = ["PACS"]\n[[archive]]\nname = "main"\n'
            '[archive.retention]\ndelete = "by-age"\nage = 0\nkeep = 0\n'
        )
        return words

    def forward(self) -> None:
        """Let it deliver what it held back."""
        ask(self._socket, "resume", destination="PACS")
        wait_until(
            lambda: not ask(self._socket, "queue", limit=1)["items"], "delivered", seconds=600
        )

    def hold(self) -> None:
        """Deliver nothing: what is received is measured for itself."""
        ask(self._socket, "pause", destination="PACS")

    def delete(self) -> None:
        def is_empty() -> bool:
            ask(self._socket, "tidy")
            counts = ask(self._socket, "status")["archives"][0]["counts"]
            return not counts["instances"]

        wait_until(is_empty, "deleted", seconds=600)

    @property
    def _socket(self) -> Path:
        assert self.control is not None
        return self.control


class ForwardingOrthanc(QuietOrthanc):
    """Orthanc, told by REST to forward and to delete."""

    def __init__(self, folder: Path, pacs: int) -> None:
        super().__init__(folder, modalities={"PACS": ("127.0.0.1", pacs)})

    def hold(self) -> None:
        """It forwards nothing by itself."""

    def forward(self) -> None:
        self.store("PACS", *self.instances())

    def delete(self) -> None:
        self.clear()


@dataclass(slots=True)
class Written:
    """Bytes of objects, and bytes written in each phase."""

    stored: int = 0
    phases: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PHASES, 0))

    def ratio(self, phase: str) -> float:
        return self.phases[phase] / self.stored

    @property
    def total(self) -> float:
        return sum(self.phases.values()) / self.stored


Box = ForwardingNode | ForwardingOrthanc
BOXES: dict[str, Callable[[Path, int], Box]] = {
    "gantry": ForwardingNode,
    "orthanc": ForwardingOrthanc,
}


def measure(name: str, disk: Card, memory: Path, load: Load) -> Written:
    """All of a load, some hundred objects at a time, through one program."""
    found = Written()
    with DcmtkStoreScp(memory / f"pacs-{name}") as pacs:
        box = BOXES[name](disk.folder / f"{name}-{load.size}", pacs.port)
        with box.start():
            box.hold()
            for first in range(0, load.count, _AT_ONCE):
                part = Load(load.name, load.size, min(_AT_ONCE, load.count - first))
                files = make_objects(memory / "files", part, first=first + 1)
                found.stored += sum(each.stat().st_size for each in files.iterdir())
                _through(box, disk, files, found)
                shutil.rmtree(files)
                for each in pacs.received():
                    each.unlink()
    return found


def _through(box: Box, disk: Card, files: Path, found: Written) -> None:
    before = disk.written(box.pid)
    for phase, act in (
        ("received", lambda: _send(box.port, files)),
        ("forwarded", box.forward),
        ("deleted", box.delete),
    ):
        act()
        now = disk.written(box.pid)
        found.phases[phase] += now - before
        before = now
    box.hold()


def _send(port: int, files: Path) -> None:
    sender = SENDERS["storescu tuned"]
    words = [str(each) for each in sender.words(port, files)]
    # An Orthanc of its own title takes all that call it otherwise too.
    subprocess.run(words, check=True, env=os.environ | sender.environment, capture_output=True)


def rows(figures: dict[str, dict[str, Written]], counted: str) -> Iterator[str]:
    """A table in Markdown: bytes written for each byte stored."""
    yield f"Counted: {counted}."
    yield ""
    yield "| objects | program | received | forwarded | deleted | in all | beside Orthanc |"
    yield "|---|---|---|---|---|---|---|"
    for load, by_name in figures.items():
        for name, found in by_name.items():
            parts = " | ".join(f"{found.ratio(phase):.2f}" for phase in PHASES)
            beside = found.total / by_name["orthanc"].total
            yield f"| {load} | {name} | {parts} | {found.total:.2f} | {beside:.2f} |"


def run(folder: Path, memory: Path, loads: list[Load]) -> tuple[dict[str, dict[str, Written]], str]:
    """Both programs with each load, one after the other on one card."""
    figures: dict[str, dict[str, Written]] = {}
    with card(folder) as disk:
        for load in loads:
            for name in BOXES:
                found = measure(name, disk, memory, load)
                figures.setdefault(load.name, {})[name] = found
                told = f"{time.strftime('%H:%M:%S')} {load.name} {name}: {found.total:.2f}"
                print(told, file=sys.stderr, flush=True)
        counted = "the block device" if disk.device else "write_bytes of all processes"
    return figures, counted


def loads_of(scale: float) -> list[Load]:
    """256 MiB of each size, scaled."""
    return [
        Load(f"{size} KiB", size * KIB, max(2, round(256 * scale * MIB / (size * KIB))))
        for size in (32, 512)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="part of the full loads")
    parser.add_argument("--disk", type=Path, help="a folder on the disk that holds the card's file")
    parser.add_argument("--memory", type=Path, default=Path("/dev/shm"))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=options.disk))
    memory = Path(tempfile.mkdtemp(prefix="bench-", dir=options.memory))
    try:
        figures, counted = run(folder, memory, loads_of(options.scale))
    finally:
        shutil.rmtree(memory, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
    print("\n".join(rows(figures, counted)))
    if options.json:
        told = {
            load: {name: {"stored": each.stored, **each.phases} for name, each in by_name.items()}
            for load, by_name in figures.items()
        }
        options.json.write_text(json.dumps(told, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
