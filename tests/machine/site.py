"""A box where it stands: its devices, the hospital on one network card, a modality on the other."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.machine.device import FOOT_SWITCH, HOST, READER, Device, fresh_disk
from tests.machine.device_root import DeviceRoot
from tests.machine.guest import ROOT
from tests.machine.hospital import Hospital
from tests.machine.pulling import Pulling
from tests.peers.dcmtk import echoscu
from tests.peers.key_keepers import MachineChip
from tests.peers.process import free_port, wait_until

PATIENCE = 20 * 60.0
"""For what takes seconds where nobody else wants the processors."""

_FIRST = """profile = "ultrasound-capture"\r
title = "GANTRY"\r
tls = "beside"\r
key_store = "tpm"\r
archive = "ARCHIVE@{host}:{archive}"\r
worklist = "RIS@{host}:{worklist}"\r
hostname = "us-1"\r
"""
"""gantry.conf, as an engineer writes it on another computer."""
PEDALS = {"left": ("L", "l"), "right": ("R", "r"), "middle": ("M", "m")}
"""What the foot switch says when a pedal goes down, and up."""
FOOT = f"""
[[serial]]
name = "foot"
kind = "foot-switch"
clip = 5
actions = {{ left = "still", right = "clip", middle = "finish" }}
[serial.settings]
port = "{FOOT_SWITCH}"
pressed = {{ left = "L", right = "R", middle = "M" }}
released = {{ left = "l", right = "r", middle = "m" }}
"""
CONFIGURATION = f"""
[worklist]
every = "5 s"

[[peer]]
name = "archive"
[peer.tls]
key = "box"
trust = ["/etc/gantry/hospital.pem"]
[peer.retry]
first = "1 s"
longest = "10 s"

[[entity]]
name = "GANTRY"
[entity.tls]
trust = ["/etc/gantry/hospital.pem"]
[[entity.service]]
name = "storage"
roles = ["scu", "scp"]

[[capture]]
name = "video"
kind = "v4l2"
device = "/dev/video0"
{FOOT}
[[serial]]
name = "reader"
kind = "code-reader"
[serial.settings]
port = "{READER}"
patterns = ["(?P<AccessionNumber>A[0-9]+)"]

[[media]]
name = "sticks"
import = "unchanged"
writable = true
"""
"""What the engineer adds when the box has its certificate."""


@dataclass(frozen=True)
class Site:
    """`port` and `tls_port` lead to the box's 104 and 2762 from the hospital's side,
    `modality_port` to 104 from the modality's."""

    box: Device
    hospital: Hospital
    hand: Pulling
    port: int
    tls_port: int
    modality_port: int

    # From outside.

    def echo(self) -> bool:
        words = ("-to", "60", "-ta", "60", "-td", "60")
        return echoscu(self.port, *words, seconds=200.0).returncode == 0

    def wait_for_echo(self, since: float) -> float:
        """Seconds from that moment to the first C-ECHO that is answered."""
        wait_until(self.echo, "an answer to C-ECHO", seconds=PATIENCE, every=1.0)
        return time.monotonic() - since

    def press(self, pedal: str) -> None:
        down, up = PEDALS[pedal]
        self.box.foot.say(down)
        time.sleep(0.2)
        self.box.foot.say(up)

    def study(self, number: int, count: int, size: int) -> tuple[dict[str, str], list[Path]]:
        """Images of a study of its own with the digests of their data sets, `size` in KiB."""
        digests = self.hand.study(number, count, size)
        folder = self.hand.folder / "studies" / str(number)
        files = [each for each in sorted(folder.rglob("*")) if each.is_file()]
        return digests, [each for each in files if each.name not in ("DICOMDIR", "LETTER.TXT")]

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        return wait_until(holds, what, seconds=PATIENCE, every=2.0)

    # As a person at the box sees it.

    def kept(self) -> dict[str, str]:
        """What the box has, with the digests of the data sets."""
        script = (ROOT / "tests/machine/inside/kept_objects.py").read_text()
        command = f"python3 -P - <<'END'\n{script}\nEND"
        found: dict[str, str] = json.loads(self.box.check(command, seconds=300.0))
        return found

    def media(self) -> Mapping[str, Mapping[str, Any]]:
        """What is plugged in, by name."""
        return {each["name"]: each for each in self.box.ask_node("media", "devices")["items"]}

    def exam(self) -> Mapping[str, Any]:
        """The last examination; empty where there is none."""
        items = self.box.ask_node("exam", "list")["items"]
        return items[0] if items else {}

    def node(self) -> int:
        """The number of the node's main process."""
        return int(self.box.check("systemctl show -P MainPID gantry"))

    def figures(self) -> dict[str, float]:
        """Seconds from the start of the kernel, by the kernel's clock."""
        moments = {
            "first process of systemd": "-P UserspaceTimestampMonotonic",
            "gantry.service begins": "-P ExecMainStartTimestampMonotonic gantry",
            "gantry.service ready (sd_notify)": "-P ActiveEnterTimestampMonotonic gantry",
        }
        return {
            name: int(self.box.check(f"systemctl show {words}")) / 1e6
            for name, words in moments.items()
        }


@contextmanager
def fresh_site(folder: Path, package: Path) -> Iterator[Site]:
    """A box that was never started, and is switched on now."""
    root = DeviceRoot(package)
    root.build()
    port, tls_port, modality_port = (free_port() for _ in range(3))
    ports = {"hospital": {port: 104, tls_port: 2762}, "modality": {modality_port: 104}}
    hand = Pulling(folder / "hand")
    chip = MachineChip(folder / "chip")
    with Hospital(folder / "hospital") as hospital:
        conf = _FIRST.format(
            host=HOST, archive=hospital.archive.port, worklist=hospital.worklist.port
        )
        box_folder = folder / "box"
        box_folder.mkdir()
        disk = fresh_disk(root, box_folder, {"boot/efi/gantry.conf": conf})
        try:
            with Device(root, disk, chip, hand, ports) as box:
                yield Site(box, hospital, hand, port, tls_port, modality_port)
        finally:
            hand.close()
            chip.kill()
            disk.unlink()
