"""The hand at a virtual machine's sockets: plugs and pulls sticks, and puts discs into its drive.

What it is to do a test in the guest writes into a shared folder, as `N.request`; what came of it
goes back as `N.answer`. Sticks and discs are files, made with the programs of other people.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.peers.programs import program, run

SIZE = 8 << 20
LARGER = {"exfat": 16 << 20, "ntfs": 16 << 20}
START = 1 << 20
"""Where the partition of a stick with partitions begins, in bytes."""


class Qmp:
    """QEMU's machine protocol: commands, and the events that come in between."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(30)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("r")
        self.events: list[str] = []
        """The names of those that came before the last answer."""
        self._lines.readline()
        self("qmp_capabilities")

    def __call__(
        self, command: str, *, event: str = "", may_fail: bool = False, **arguments: Any
    ) -> Any:
        """Do it, and give its answer; wait for the event too, where one is named."""
        words = {"execute": command, "arguments": arguments}
        self._socket.sendall(json.dumps(words).encode() + b"\n")
        is_done, is_seen, answer = False, not event, None
        while not (is_done and is_seen):
            said = json.loads(self._lines.readline())
            assert may_fail or "error" not in said, (command, arguments, said)
            self.events += [said["event"]] if "event" in said else []
            is_done = is_done or "return" in said or "error" in said
            answer = said.get("return", answer)
            is_seen = is_seen or said.get("event") == event
        return answer

    def rest(self) -> list[str]:
        """The names of all events up to the end of the machine, which has come."""
        for line in self._lines:
            said = json.loads(line)
            self.events += [said["event"]] if "event" in said else []
        return self.events

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


class Plugging:
    """Does what the guest asks for; `attend` is called again and again while it runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images = folder / "images"
        self.images.mkdir(parents=True)
        self.path = folder / "qmp"
        self._qmp: Qmp | None = None
        self._next = 0
        self._plugged: dict[str, str] = {}
        self._count = 0

    @property
    def devices(self) -> tuple[str, ...]:
        """Words for QEMU: a socket for USB, a drive without a disc, and the way to reach both."""
        return (
            *("-qmp", f"unix:{self.path},server=on,wait=off", "-device", "qemu-xhci,id=xhci"),
            *("-device", "ide-cd,bus=ide.0,id=cd"),
        )

    def connect(self) -> Qmp:
        """To the machine, which must be there by now."""
        if self._qmp is None:
            self._qmp = Qmp(self.path)
        return self._qmp

    def attend(self) -> None:
        request = self.folder / f"{self._next}.request"
        if not request.exists():
            return
        self.connect()
        asked = json.loads(request.read_text())
        act: Callable[..., Any] = getattr(self, asked.pop("act"))
        answer = act(**asked)
        unfinished = self.folder / f"{self._next}.unfinished"
        unfinished.write_text(json.dumps(answer))
        unfinished.rename(self.folder / f"{self._next}.answer")
        self._next += 1

    def close(self) -> None:
        if self._qmp is not None:
            self._qmp.close()
            self._qmp = None
        self._plugged.clear()

    # What a guest may ask for.

    def clear(self) -> None:
        for name in list(self._plugged):
            self.pull(name)
        self.take_out()
        for path in self.images.iterdir():
            path.unlink()

    def plug(
        self,
        name: str,
        files: str,
        *,
        protected: bool = False,
        file_system: str = "vfat",
        partition: bool = False,
    ) -> None:
        """`files` is a folder within the shared one; a stick that exists is kept as it is."""
        image = self.images / f"{name}.img"
        if not image.exists():
            self._make(image, name, self.folder / files, file_system, partition)
        self._count += 1
        node = f"node{self._count}"
        opened = {"driver": "file", "filename": str(image), "read-only": protected}
        self.qmp(
            "blockdev-add",
            **{"driver": "raw", "node-name": node, "file": opened},
            **{"read-only": protected},
        )
        words = {"drive": node, "id": f"stick-{node}", "serial": name, "removable": True}
        self.qmp("device_add", driver="usb-storage", bus="xhci.0", **words)
        self._plugged[name] = node

    def pull(self, name: str) -> None:
        if name in self._plugged:
            node = self._plugged.pop(name)
            self.qmp("device_del", event="DEVICE_DELETED", id=f"stick-{node}")
            self.qmp("blockdev-del", **{"node-name": node})

    def insert(self, label: str, files: str, *, words: list[str] = []) -> None:  # noqa: B006
        image = self.images / f"{label}.iso"
        if not image.exists():
            options = ["-quiet", "-iso-level", "1", "-V", label, *words, "-o", image]
            run([program("genisoimage", "genisoimage"), *options, self.folder / files]).check()
        self._into_the_drive(image)

    def insert_udf(self, label: str) -> None:
        image = self.images / f"{label}.udf"
        image.touch()
        os.truncate(image, SIZE)
        words = ["--media-type=hd", "--blocksize=2048", f"--label={label}", image]
        run([program("udftools", "mkudffs"), *words]).check()
        self._into_the_drive(image)

    def take_out(self) -> None:
        self.qmp("eject", id="cd", force=True)

    def press_the_button(self) -> None:
        """As a person does: a drive whose door is locked only tells of it, which is no error."""
        self.qmp("eject", may_fail=True, id="cd")

    def digest(self, name: str) -> str:
        return hashlib.sha256((self.images / f"{name}.img").read_bytes()).hexdigest()

    def listing(self, name: str) -> str:
        """What mtools, which is no kernel, finds on a stick."""
        words = ["-a", "-/", "-i", self.images / f"{name}.img", "::"]
        return run([program("mtools", "mtools"), "-c", "mdir", *words]).check().output

    # How it is done.

    def qmp(self, command: str, **words: Any) -> Any:
        return self.connect()(command, **words)

    def _into_the_drive(self, image: Path) -> None:
        words = {"read-only-mode": "read-only", "filename": str(image), "format": "raw"}
        self.qmp("blockdev-change-medium", id="cd", force=True, **words)

    def _make(self, image: Path, name: str, files: Path, file_system: str, partition: bool) -> None:
        image.touch()
        os.truncate(image, LARGER.get(file_system, SIZE))
        if file_system == "vfat":
            self._make_fat(image, name, files, START if partition else 0)
        elif file_system == "ext4":
            words = ["-q", "-t", "ext4", "-L", name, "-d", files, image]
            run([program("e2fsprogs", "mke2fs"), *words]).check()
        elif file_system == "exfat":
            run([program("exfatprogs", "mkfs.exfat"), "-L", name, image]).check()
        elif file_system == "ntfs":
            words = ["-q", "-F", "-f", "-L", name, image]
            run([program("ntfs-3g", "mkntfs"), *words]).check()
            for path in files.iterdir():
                run([program("ntfs-3g", "ntfscp"), "-f", image, path, path.name]).check()

    def _make_fat(self, image: Path, name: str, files: Path, start: int) -> None:
        if start:
            run(["sh", "-c", f"echo 'start={start // 512}, type=c' | sfdisk -q {image}"]).check()
        words = ["-n", name, "--offset", str(start // 512), image, str((SIZE - start) // 1024)]
        run([program("dosfstools", "mkfs.vfat"), *words]).check()
        found = sorted(files.iterdir()) if files.is_dir() else []
        if found:
            words = ["-s", "-m", "-i", f"{image}@@{start}", *map(str, found), "::"]
            run([program("mtools", "mtools"), "-c", "mcopy", *words]).check()


def ask(folder: Path, **asked: Any) -> Any:
    """In the guest: have something done, and give what came of it."""
    number = len(list(folder.glob("*.answer")))
    unfinished = folder / f"{number}.asking"
    unfinished.write_text(json.dumps(asked))
    unfinished.rename(folder / f"{number}.request")
    answer = folder / f"{number}.answer"
    end = time.monotonic() + 60
    while not answer.exists():
        assert time.monotonic() < end, f"nobody answers {asked}"
        time.sleep(0.05)
    return json.loads(answer.read_text())


def lay_out(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files below a folder that is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder
