"""The hand that pulls sticks at a moment that it was told before, and looks at what is left.

The sticks are slow as real ones are, so that a moment of chance finds something under way. Some
fail instead of being pulled: from a certain read or write on, they answer with an error.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.hal.torn_fat import tear
from tests.machine.file_set_states import (
    LETTER,
    Expected,
    digests_of_files,
    made_study,
    state_of,
)
from tests.machine.plugging import Plugging
from tests.peers.programs import program, run

SPEED = 3 << 20
"""Bytes per second that a stick reads and writes."""
SIZE = {"vfat": 64 << 20, "exfat": 64 << 20, "ext4": 64 << 20}
_EIO = 5
_HARMLESS = (
    *("fsck", "There are differences", "This is mostly", "65:01", "Not automatically", "Dirty bit"),
    *("Automatically", "Auto-correcting", "Leaving", "Free cluster summary", "exfatprogs"),
)
"""What fsck.vfat says of every FAT that was not let go properly, and of what it would do."""


class Pulling(Plugging):
    """What the guest asks for besides: see the methods with a text."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._due: dict[str, float] = {}
        self._is_throttled = False

    def close(self) -> None:
        super().close()
        self._is_throttled = False

    def attend(self) -> None:
        super().attend()
        for name, moment in tuple(self._due.items()):
            if time.monotonic() >= moment:
                del self._due[name]
                self.pull(name)

    def study(self, number: int, count: int, size: int) -> dict[str, str]:
        """Make a study in `studies/NUMBER`; the digests of its data sets."""
        folder = self.folder / "studies" / str(number)
        folder.parent.mkdir(exist_ok=True)
        made = made_study(folder, number, count, size)
        (folder / LETTER).write_text(LETTER)
        return made

    def make_stick(self, name: str, file_system: str, files: str = "") -> dict[str, str]:
        """A new image with a letter, and the files of a folder; digests of those."""
        source = self.folder / files if files else self.folder / "letter"
        source.mkdir(exist_ok=True)
        (source / LETTER).write_text(LETTER)
        image = self.images / f"{name}.img"
        image.unlink(missing_ok=True)
        image.touch()
        os.truncate(image, SIZE[file_system])
        if file_system == "vfat":
            run([program("dosfstools", "mkfs.vfat"), "-F", "32", "-n", name, image]).check()
            words = ["-s", "-m", "-i", image, *sorted(source.iterdir()), "::"]
            run([program("mtools", "mtools"), "-c", "mcopy", *words]).check()
        else:
            self._make(image, name, source, file_system, partition=False)
        found = digests_of_files(source)
        del found[LETTER]
        return found

    def keep(self, name: str) -> None:
        """A copy of the image, for `changed` and `restore`."""
        shutil.copyfile(self.images / f"{name}.img", self._kept(name))

    def changed(self, name: str) -> str:
        """Where the image is not as it was kept: "" nowhere, else "table" or "data" of a FAT32."""
        now, before = (self.images / f"{name}.img").read_bytes(), self._kept(name).read_bytes()
        if now == before:
            return ""
        (reserved,), (length,) = (
            struct.unpack_from("<H", before, 14),
            struct.unpack_from("<I", before, 36),
        )
        table = slice(reserved * 512, (reserved + before[16] * length) * 512)
        rest = slice(table.stop, None)
        is_table = now[: table.start] == before[: table.start] and now[rest] == before[rest]
        return "table" if is_table else "data"

    def restore(self, name: str) -> None:
        shutil.copyfile(self._kept(name), self.images / f"{name}.img")

    def _kept(self, name: str) -> Path:
        return self.images / f"{name}.kept"

    def tear(self, name: str, file: str) -> None:
        tear(self.images / f"{name}.img", file)

    def plug_in(self, name: str, fails: str = "", after: int = 0) -> None:
        """Plug a stick in whose image is there; `fails` is "read" or "write": each one does,
        `after` as many as that."""
        if not self._is_throttled:
            limits = {"bps-total": SPEED}
            words = {"qom-type": "throttle-group", "id": "slow", "limits": limits}
            self.qmp("object-add", **words)
            self._is_throttled = True
        self._count += 1
        node = f"node{self._count}"
        file: dict[str, Any] = {"driver": "file", "filename": str(self.images / f"{name}.img")}
        if fails:
            file = _failing(file, fails, after)
        raw = {"driver": "raw", "file": file}
        slow = {"driver": "throttle", "throttle-group": "slow", "node-name": node, "file": raw}
        self.qmp("blockdev-add", **slow)
        words = {"drive": node, "id": f"stick-{node}", "serial": name, "removable": True}
        self.qmp("device_add", driver="usb-storage", bus="xhci.0", **words)
        self._plugged[name] = node

    def operations(self) -> dict[str, int]:
        """Reads and writes of the stick that is plugged in, since it was."""
        for each in self.qmp("query-blockstats"):
            if "stick-" in each.get("qdev", ""):
                stats = each["stats"]
                return {"read": stats["rd_operations"], "write": stats["wr_operations"]}
        return {"read": 0, "write": 0}

    def pull_after(self, name: str, seconds: float) -> None:
        """Pull it so many seconds from now."""
        self._due[name] = time.monotonic() + seconds

    def is_pulled(self, name: str) -> bool:
        return name not in self._plugged

    def judge(self, name: str, file_system: str, expected: dict[str, Any]) -> dict[str, str]:
        """What a stick that is pulled holds, as programs find it that are no kernel."""
        image, out = self.images / f"{name}.img", self.folder / "outside"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        if file_system == "vfat":
            said = _said([program("dosfstools", "fsck.vfat"), "-n", image])
            _copy_fat(image, out)
        elif file_system == "ext4":
            copy = self.folder / "copy.img"
            shutil.copyfile(image, copy)
            said = _said([program("e2fsprogs", "e2fsck"), "-f", "-p", copy])
            run([program("e2fsprogs", "debugfs"), "-R", f"rdump / {out}", copy])
        else:
            said = _said([program("exfatprogs", "fsck.exfat"), "-n", image])
            return {"checked": said, "state": ""}
        return {"checked": said, "state": state_of(out, Expected(**expected))}

    def report(self, line: dict[str, Any]) -> None:
        """Keep a line for the figures of the run."""
        with (self.folder / "figures").open("a") as file:
            file.write(json.dumps(line) + "\n")


def _failing(file: dict[str, Any], fails: str, after: int) -> dict[str, Any]:
    """A chain of states, one for each operation that still succeeds."""
    event = f"{fails}_aio"
    steps = [{"event": event, "state": each, "new_state": each + 1} for each in range(1, after + 1)]
    error = {"event": event, "state": after + 1, "iotype": fails, "errno": _EIO, "once": False}
    return {"driver": "blkdebug", "image": file, "set-state": steps, "inject-error": [error]}


def _said(command: list[Any]) -> str:
    """The lines of a check that tell of something."""
    done = subprocess.run(
        list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    lines = [each.strip() for each in (done.stdout + done.stderr).splitlines()]
    told = [each for each in lines if each and not each.startswith(_HARMLESS)]
    return f"{done.returncode}: " + "; ".join(told[:-1])[:600]


def _copy_fat(image: Path, out: Path) -> None:
    """All files that mtools can read; of a damaged one there is none, and nothing of a folder that
    cannot be read. Folder by folder: `mdir -/` ends at the first that is damaged."""
    mtools = program("mtools", "mtools")
    environment = {"MTOOLS_SKIP_CHECK": "1"}
    pending = [""]
    while pending:
        folder = pending.pop()
        words = ["-a", "-b", "-i", image, f"::/{folder}"]
        listed = run([mtools, "-c", "mdir", *words], environment=environment)
        for line in listed.output.splitlines():
            name = line.strip().removeprefix("::/")
            if not line.startswith("::/") or name.rstrip("/") == folder.rstrip("/"):
                continue
            if name.endswith("/"):
                (out / name).mkdir(parents=True, exist_ok=True)
                pending.append(name)
                continue
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            words = ["-n", "-i", image, f"::/{name}", out / name]
            run([mtools, "-c", "mcopy", *words], environment=environment)
