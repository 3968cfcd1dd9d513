"""The GPIO chips of this machine (linux/gpio.h)."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path
from typing import NamedTuple

# struct gpiochip_info: name, label, number of lines.
CHIP_INFO = struct.Struct("=32s32sI")
GET_CHIP_INFO = 2 << 30 | CHIP_INFO.size << 16 | 0xB4 << 8 | 0x01


class GpioChip(NamedTuple):
    """A chip; `problem` says why it could not be looked into."""

    path: str
    label: str
    lines: int
    problem: str


def gpio_chips() -> list[GpioChip]:
    """The chips in the order of their numbers."""
    nodes = (each for each in Path("/dev").glob("gpiochip*") if each.name[8:].isdigit())
    return [_chip(path) for path in sorted(nodes, key=lambda each: int(each.name[8:]))]


def _chip(path: Path) -> GpioChip:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            raw = fcntl.ioctl(descriptor, GET_CHIP_INFO, bytes(CHIP_INFO.size))
        finally:
            os.close(descriptor)
    except OSError as error:
        return GpioChip(str(path), "", 0, error.strerror or str(error))
    _, label, lines = CHIP_INFO.unpack(raw)
    return GpioChip(str(path), label.rstrip(b"\0").decode("utf-8", "replace"), lines, "")
