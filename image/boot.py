"""The boot partition: GRUB as UEFI's program, its counters, and the Raspberry Pi's firmware.

All machines boot in the same way: UEFI starts GRUB, GRUB chooses the slot by RAUC's counters and
starts the kernel that lies in it. A Raspberry Pi has no UEFI; there U-Boot, which Debian builds for
it, is started by the Pi's firmware and is the UEFI for GRUB.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from image.boards import Board
from image.foreign_debian import do
from image.kernel import unpack

HOST_PROGRAMS = {"grub-mkimage": "grub-common", "grub-editenv": "grub-common"}

_MODULES = (
    *("part_gpt", "fat", "squash4", "normal", "configfile", "linux", "loadenv", "test", "regexp"),
    *("echo", "sleep", "reboot", "minicmd", "gzio", "all_video", "gfxterm", "probe"),
)
_SERIAL = {"x86_64-efi": ("serial", "terminal"), "arm64-efi": ("terminal",)}

FIRST_STATE = ("ORDER=A B", "A_OK=1", "A_TRY=0", "B_OK=0", "B_TRY=0")
"""RAUC's variables (its manual, "GRUB"): slot B is empty until something is installed there."""

_HERE = Path(__file__).parent
_SETTINGS = (_HERE.parent / "systemd/gantry.conf", _HERE / "network.conf")

_PI_SETTINGS = """\
# Read by the Raspberry Pi's firmware. It starts U-Boot, which starts GRUB as UEFI does.
arm_64bit=1
enable_uart=1
upstream_kernel=1
kernel={kernel}
"""


def make_boot(board: Board, root: Path, beside: Path, work: Path) -> Path:
    """The folder with all that belongs onto the boot partition. Raises ForeignDebianError."""
    folder = work / "boot"
    ours = folder / "EFI/gantry"
    ours.mkdir(parents=True)
    programs = folder / "EFI/BOOT"
    programs.mkdir()
    modules = unpack(beside, board.beside[0], work) / "usr/lib/grub" / board.platform
    do(
        [
            *("grub-mkimage", "-O", board.platform, "-d", modules, "-p", "/EFI/gantry"),
            *("-o", programs / board.program, *_MODULES, *_SERIAL[board.platform]),
        ]
    )
    choice = (_HERE / "grub.cfg").read_text().replace("@CONSOLE@", board.console)
    (ours / "grub.cfg").write_text(choice)
    do(["grub-editenv", ours / "grubenv", "create"])
    do(["grub-editenv", ours / "grubenv", "set", *FIRST_STATE])
    # Editors of Windows want their own ends of lines.
    (folder / "gantry.conf").write_bytes(settings_template().replace("\n", "\r\n").encode())
    if board.pi:
        _put_pi(folder, root, beside, work)
    # Who distributes the image distributes their licences with it.
    for unpacked in sorted(work.glob("unpacked-*")):
        for licence in sorted(unpacked.glob("usr/share/doc/*/copyright")):
            target = root / licence.relative_to(unpacked)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(licence, target)
    return folder


def settings_template() -> str:
    """The text of gantry.conf: what the first start reads, and the network of a card."""
    return "\n".join(each.read_text() for each in _SETTINGS if each.exists())


def _put_pi(folder: Path, root: Path, beside: Path, work: Path) -> None:
    firmware = unpack(beside, "raspi-firmware_", work) / "usr/lib/raspi-firmware"
    for each in sorted(firmware.iterdir()):
        if each.is_file():
            shutil.copy(each, folder / each.name)
    loaders = unpack(beside, "u-boot-rpi_", work) / "usr/lib/u-boot"
    shutil.copy(loaders / "rpi_arm64/u-boot.bin", folder / "u-boot.bin")
    for each in sorted((root / "boot/device-trees").glob("**/bcm2*-rpi-*.dtb")):
        shutil.copy(each, folder / each.name)
    (folder / "config.txt").write_text(_PI_SETTINGS.format(kernel="u-boot.bin"))
