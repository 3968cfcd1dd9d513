"""What differs between the machines that an image is made for; all else is one description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Board(NamedTuple):
    """One kind of machine, by the names that Debian, GRUB, GPT and the kernel have for it."""

    debian: str
    kernel: str
    """The package that depends on the newest kernel."""
    beside: tuple[str, ...]
    """Packages that are wanted for the boot partition: the first has GRUB's modules."""
    platform: str
    """How GRUB calls the firmware; also the folder of its modules."""
    program: str
    """What UEFI starts from a removable disk (UEFI 2.10, 3.5.1.1)."""
    root_type: str
    """The type of a root partition (Discoverable Partitions Specification)."""
    console: str
    """Consoles of the kernel, where its own choice is not enough."""
    modules: tuple[str, ...]
    """Modules of the first file system, beside those that all have."""
    components: tuple[str, ...] = ("main",)
    """Of Debian's archive."""
    pi: bool = False
    """Whether the boot partition carries the Raspberry Pi's firmware, and U-Boot as its UEFI."""


EVERYWHERE = (
    *("squashfs", "ext4", "crc32c_generic", "overlay", "virtio_pci", "virtio_blk", "virtio_scsi"),
    *("sd_mod", "usb_storage", "uas", "xhci_pci", "ehci_pci", "nvme", "ahci", "mmc_block"),
    *("sdhci_pci", "sdhci_acpi"),
)
"""To find the disk and to mount what is on it."""

BOARDS: Mapping[str, Board] = {
    each.debian: each
    for each in (
        Board(
            debian="amd64",
            kernel="linux-image-amd64",
            beside=("grub-efi-amd64-bin",),
            platform="x86_64-efi",
            program="BOOTX64.EFI",
            root_type="4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
            console="console=tty0 console=ttyS0,115200",
            modules=("crc32c_intel", "ata_piix"),
        ),
        Board(
            debian="arm64",
            kernel="linux-image-arm64",
            beside=("grub-efi-arm64-bin", "raspi-firmware", "u-boot-rpi"),
            # The Raspberry Pi's firmware is not free.
            components=("main", "non-free-firmware"),
            platform="arm64-efi",
            program="BOOTAA64.EFI",
            root_type="b921b045-1df0-41c3-af44-4c6f280d3fae",
            # The screen, and the line that the device tree (stdout-path) or ACPI (SPCR) names: it
            # has another name on a Raspberry Pi than on a machine with UEFI.
            console="",
            # The card and USB of a Raspberry Pi 3 and 4; virtio over memory of QEMU's machine.
            modules=(
                *("virtio_mmio", "sdhci_iproc", "bcm2835", "pcie_brcmstb", "clk_raspberrypi"),
                *("gpio_regulator", "fixed", "reset_raspberrypi", "dwc2"),
            ),
            pi=True,
        ),
    )
}
