"""A box with its devices: a machine on which Gantry is installed, and the hands that drive it.

Two video plugs (vivid), a foot switch on a serial port and a barcode reader on an adapter, a TPM,
sockets for sticks and a drive for discs (`pulling.py`), a watchdog, and two network cards: one
towards the hospital, one towards the modality. A test drives it through these, and looks inside by
a shell.
"""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.machine.card import Running, forwards
from tests.machine.device_root import DeviceRoot
from tests.machine.guest import SYSTEMD
from tests.machine.pulling import Pulling
from tests.peers.key_keepers import MachineChip
from tests.peers.process import wait_until

HOST = "10.0.2.2"
"""Where the box finds the hospital."""
CARDS = {"hospital": "52:54:00:00:00:01", "modality": "52:54:00:00:00:02"}
FOOT_SWITCH, READER = "/dev/ttyS1", "/dev/ttyUSB0"


class Line:
    """The far end of a serial port; `port` is what QEMU calls the near one, if it is there from
    the start."""

    def __init__(self, path: Path, port: str = "") -> None:
        self.name = path.name
        self._path = path
        self._socket: socket.socket | None = None
        chardev = ("-chardev", f"socket,id={path.name},path={path},server=on,wait=off")
        device = ("-device", f"{port},chardev={path.name}") if port else ()
        self.words_for_qemu = (*chardev, *device)

    def say(self, text: str) -> None:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.connect(str(self._path))
        self._socket.sendall(text.encode())

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class Device(Running):
    """The machine, switched on; all its starts have the same disk and chip."""

    def __init__(
        self,
        root: DeviceRoot,
        disk: Path,
        chip: MachineChip,
        hand: Pulling,
        ports: Mapping[str, Mapping[int, int]],
    ) -> None:
        """`ports` are, for each network card, ports of the host that lead to ports of the box."""
        folder = disk.parent
        self.hand = hand
        self._chip = chip
        self.foot = Line(folder / "foot", "isa-serial,index=1")
        self.reader = Line(folder / "reader")
        # A kernel that panics stays where it is: only the watchdog helps.
        kernel = f"console=ttyS0 quiet panic=0 rdinit=/init {SYSTEMD}"
        modality = f"user,id=modality,net=10.0.3.0/24,restrict=on{forwards(ports['modality'])}"
        super().__init__(
            [
                *(*root.words_for_qemu, "-append", kernel),
                *("-drive", f"file={disk},if=virtio,format=raw"),
                *("-netdev", f"user,id=hospital{forwards(ports['hospital'])}"),
                *("-netdev", modality, *_card("hospital"), *_card("modality")),
                *("-device", "i6300esb", "-watchdog-action", "reset"),
                *(*chip.words_for_qemu, *hand.devices),
                *(*self.foot.words_for_qemu, *self.reader.words_for_qemu),
            ],
            folder,
        )

    def say(self, script: str) -> None:
        """Have the shell do what may well be its last act."""
        self._connected().sendall(f"{script}\n".encode())

    def ask_node(self, *words: str) -> Any:
        """What a command of Gantry's says with --json."""
        return json.loads(self.check(f"gantry {shlex.join(words)} --json", seconds=300.0))

    def plug_in_reader(self) -> None:
        """The barcode reader on its adapter; after each start it is unplugged."""
        words = {"id": "adapter", "chardev": self.reader.name, "always-plugged": True}
        self.hand.qmp("device_add", driver="usb-serial", bus="xhci.0", **words)

    def pull_cable(self, card: str) -> None:
        self.hand.qmp("set_link", name=card, up=False)

    def plug_cable(self, card: str) -> None:
        self.hand.qmp("set_link", name=card, up=True)

    def until_reset(self, script: str = "", *, seconds: float) -> list[str]:
        """Run a script, and wait until the machine is reset; it is on again then. What happened to
        it, by QEMU's names: WATCHDOG, SHUTDOWN, ..."""
        if script:
            self.hand.connect()
            self.say(script)
        wait_until(lambda: not self.is_on, "it is reset", seconds=seconds, every=0.5)
        events = self.hand.connect().rest()
        self._switch_on()
        return events

    def _switch_on(self) -> None:
        for each in (self.hand, self.foot, self.reader):
            each.close()
        self._chip.kill()
        self._chip.start()
        self.switched_on = time.monotonic()
        super()._switch_on()


def _card(name: str) -> tuple[str, ...]:
    return ("-device", f"virtio-net-pci,netdev={name},id={name},mac={CARDS[name]}")


def fresh_disk(root: DeviceRoot, folder: Path, files: Mapping[str, str]) -> Path:
    """A disk that was never started, with more files."""
    disk = folder / "disk.img"
    subprocess.run(["cp", "--sparse=always", root.root, disk], check=True)
    commands = []
    for number, (name, text) in enumerate(files.items()):
        (folder / f"put-{number}").write_text(text)
        commands.append(f"write {folder / f'put-{number}'} {name}\n")
    (folder / "put").write_text("".join(commands))
    # debugfs says 0 whatever happened: what it says is looked at.
    done = subprocess.run(
        ["debugfs", "-w", "-f", folder / "put", disk], capture_output=True, text=True, check=True
    )
    said = [line for line in done.stderr.splitlines() if not line.startswith("debugfs 1.")]
    assert not said, said
    return disk
