"""The serial ports of this machine, as the kernel lists them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

_TERMINALS = Path("/sys/class/tty")
_BY_ID = Path("/dev/serial/by-id")
_UNKNOWN = "0"


class SerialPort(NamedTuple):
    """A port. `stable_path` stays the same when it is plugged elsewhere ("" where there is none).

    `name`: what a USB adapter calls itself, else the kernel's name of its hardware.
    """

    path: str
    stable_path: str
    name: str
    accessible: bool
    """Whether this user may open it."""


def serial_ports() -> list[SerialPort]:
    """All ports with hardware behind them, in the order of their names."""
    stable = {str(each.resolve()): str(each) for each in sorted(_BY_ID.glob("*"))}
    found = []
    for terminal in sorted(_TERMINALS.glob("tty*")):
        # Virtual terminals have no device. The 8250 driver lists four ports that may not exist:
        # those are of type unknown.
        if not (terminal / "device").exists() or _text(terminal / "type") == _UNKNOWN:
            continue
        path = f"/dev/{terminal.name}"
        if not Path(path).exists():
            continue
        accessible = os.access(path, os.R_OK | os.W_OK)
        found.append(SerialPort(path, stable.get(path, ""), _name(terminal), accessible))
    return found


def _name(terminal: Path) -> str:
    device = (terminal / "device").resolve()
    for folder in (device, *device.parents):
        if (folder / "idVendor").exists():
            maker, product = _text(folder / "manufacturer"), _text(folder / "product")
            words = product if product.startswith(maker) else f"{maker} {product}"
            return words.strip() or "a USB device"
    for folder in (device, *device.parents):
        if (folder / "driver").exists():
            driver = (folder / "driver").resolve().name
            # Since Linux 6.5 the kernel's own layer lies between a port and its hardware.
            if driver not in ("port", "ctrl"):
                return driver
    return device.name


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
