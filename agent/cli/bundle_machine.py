"""What a support bundle says of the machine: kernel, board, disks, heat, memory, versions.

Serial numbers, host name, hardware addresses and names of disks are left out: who has the bundle
shall not be able to tell which box it is of, and a stick may be called by a patient's name.
"""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import ssl
import sys
import time
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from agent import __version__
from agent.codecs.registry import has_kernel
from agent.configuration.configuration import Configuration
from hal.board import read_board, temperature, throttling
from hal.clock import calendar
from hal.removable.mounts import mounts

_PACKAGES = ("pydicom", "numpy", "cryptography", "pyserial", "pyudev")
_RELEASE = frozenset(("ID", "VERSION_ID", "VERSION_CODENAME", "PRETTY_NAME", "BUILD_ID"))
_MEMORY = ("MemTotal", "MemFree", "MemAvailable", "Buffers", "Cached", "SwapTotal", "SwapFree")
_PRESSURE = ("cpu", "io", "memory")
_COUNTED = ("rx_bytes", "tx_bytes", "rx_errors", "tx_errors", "rx_dropped", "tx_dropped")
_INTERFACE = re.compile(r"(eth|en|wl|wlan|usb|lo|br|bond|end)[a-z0-9]{0,12}")


def versions(configuration: Configuration) -> dict[str, Any]:
    """Of the program, of what it stands on, and the profile."""
    packages = {}
    for name in _PACKAGES:
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            packages[name] = ""
    return {
        "gantry": __version__,
        "profile": configuration.profile,
        "kernels of codecs": has_kernel(),
        "python": sys.version.split()[0],
        "sqlite": sqlite3.sqlite_version,
        "openssl": ssl.OPENSSL_VERSION,
        "packages": packages,
        "system": _release(),
    }


def _release() -> dict[str, str]:
    try:
        found = platform.freedesktop_os_release()
    except OSError:
        return {}
    return {name: value for name, value in found.items() if name in _RELEASE}


def machine(folders: dict[str, Path]) -> dict[str, Any]:
    """How it is now; `folders` are those whose disks are looked at, by name."""
    system = os.uname()
    board = read_board()
    clock = calendar()
    state = throttling()
    return {
        "kernel": {"release": system.release, "version": system.version},
        "board": {
            "model": board.model,
            "architecture": board.architecture,
            "processors": board.processors,
        },
        "temperature in degrees Celsius": temperature(),
        "throttling": asdict(state) if state is not None else None,
        "up in seconds": _number(_text("/proc/uptime").partition(" ")[0]),
        "load": os.getloadavg(),
        "memory in KiB": _memory(),
        "pressure": {each: _text(f"/proc/pressure/{each}") for each in _PRESSURE},
        "clock": {
            "utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "zone": time.strftime("%z"),
            "set": clock.set,
        },
        "disks": {name: disk(folder) for name, folder in folders.items()},
        "interfaces": _interfaces(),
    }


def disk(folder: Path) -> dict[str, Any]:
    """The file system that a folder is on, or will be on."""
    place = next(each for each in (folder, *folder.parents) if each.exists())
    room = os.statvfs(place)
    device = place.stat().st_dev
    kind, options = _mounted(device)
    return {
        "file system": kind,
        "options": options,
        "bytes": room.f_blocks * room.f_frsize,
        "free bytes": room.f_bavail * room.f_frsize,
        "inodes": room.f_files,
        "free inodes": room.f_favail,
        "folder is there": place == folder,
    }


def _mounted(device: int) -> tuple[str, list[str]]:
    """Kind and flags of a mount; its source and place are left out."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for mount in mounts():
        if mount.number == wanted:
            return mount.file_system, [each for each in mount.options if "=" not in each]
    return "", []


def _memory() -> dict[str, float | None]:
    found = {}
    for line in _text("/proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        if name in _MEMORY:
            found[name] = _number(rest.split()[0])
    return found


def _interfaces() -> dict[str, dict[str, Any]]:
    found = {}
    for place in sorted(Path("/sys/class/net").glob("*")):
        if not _INTERFACE.fullmatch(place.name):
            continue
        counted = {each: _number(_text(place / "statistics" / each)) for each in _COUNTED}
        state, speed = _text(place / "operstate"), _number(_text(place / "speed"))
        found[place.name] = {"state": state, "speed": speed, **counted}
    return found


def _text(path: Path | str) -> str:
    try:
        return Path(path).read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
