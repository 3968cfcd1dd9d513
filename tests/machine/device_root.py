"""The root of a device: a Debian with systemd on which Gantry's package is installed, as on a box.

Beside that it has what makes the virtual machine a device: modules of its virtual hardware, the
watchdog and the network as the image of a card has them, and a shell for the test.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from tests.machine.card import SHELL
from tests.machine.guest import CACHE, ROOT, Guest
from tests.machine.test_packages import Chroot

PACKAGES = (
    *("systemd-sysv", "udev", "dbus", "kmod", "python3", "libudev1", "zlib1g", "libstdc++6"),
    # What our package recommends.
    *("udisks2", "polkitd", "dosfstools", "exfatprogs", "xorriso"),
    # For faults of the network.
    "iproute2",
)
_OF_A_CARD = (
    "usr/lib/systemd/system.conf.d/50-gantry-card.conf",
    "usr/lib/systemd/network/20-hospital.network",
)
"""What `image/files` has, and the package has not: it is for the whole machine."""
_FILES = {
    # A video plug for the service, and one for whoever else wants to capture.
    "etc/modprobe.d/rig.conf": "options vivid n_devs=2 node_types=0x1,0x1\n",
    "etc/modules-load.d/rig.conf": "vivid\n",
    "etc/systemd/system/rig.service": SHELL,
    # Emulated beside other work, a start takes longer than on any board.
    "etc/systemd/system/gantry.service.d/rig.conf": "[Service]\nTimeoutStartSec=15min\n",
    "etc/hostname": "gantry\n",
    # Empty, not absent: systemd fills it in.
    "etc/machine-id": "",
}


class DeviceRoot(Guest):
    """The root, and the kernel that starts it; made anew when the package is another."""

    packages = PACKAGES

    def __init__(self, package: Path) -> None:
        self._package = package
        super().__init__()
        self._folder = CACHE / f"device-{self._folder.name}"

    def recipe(self) -> tuple[str, ...]:
        given = hashlib.sha256(self._package.read_bytes()).hexdigest()
        ours = (*(_text_of(name) for name in _OF_A_CARD), *_FILES.values())
        return (*super().recipe(), given, *ours)

    def build(self) -> None:
        for each in CACHE.glob("device-*"):
            if each != self._folder:
                shutil.rmtree(each)
        super().build()

    def equip(self, root: Path) -> None:
        super().equip(root)
        units = root / "etc/systemd/system"
        (units / "multi-user.target.wants/gantry-job.service").unlink()
        for name, text in (*_FILES.items(), *((name, _text_of(name)) for name in _OF_A_CARD)):
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        (units / "sysinit.target.wants").mkdir(exist_ok=True)
        (units / "sysinit.target.wants/rig.service").symlink_to("../rig.service")
        (root / "boot/efi").mkdir(parents=True, exist_ok=True)
        shutil.copy(self._package, root / "tmp")
        inside = Chroot(root)
        inside.run("dpkg", "--install", f"/tmp/{self._package.name}")
        (root / "tmp" / self._package.name).unlink()
        # A fresh box is set up by gantry.conf, where there is no configuration.
        (root / "etc/gantry/gantry.toml").unlink()
        inside.run("systemctl", "enable", "systemd-networkd")
        inside.run("systemctl", "mask", "systemd-networkd-wait-online")


def _text_of(name: str) -> str:
    return (ROOT / "image/files" / name).read_text()
