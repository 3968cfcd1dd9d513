"""What board this is and how it fares: model, serial number, memory, heat, under-voltage.

Read from the device tree, DMI, `/proc` and `/sys`; whatever a board does not have is None or "".
Nothing here raises, blocks or needs privileges.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/")
_THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"


@dataclass(frozen=True, slots=True)
class Board:
    """What does not change while the box runs. `memory` is in bytes.

    `machine_id` is that of the operating system's installation; systemd asks to keep it to
    oneself: what leaves the box uses `application_id`.
    """

    model: str
    serial_number: str
    machine_id: str
    architecture: str
    processors: int
    memory: int | None

    def application_id(self, application: bytes) -> str:
        """32 hexadecimal digits that name this installation, and do not give away `machine_id`.

        "" without a machine id.
        """
        if not self.machine_id:
            return ""
        import hmac  # brings OpenSSL, which the resident process has no need of

        return hmac.new(self.machine_id.encode(), application, "sha256").hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Throttling:
    """What the firmware of a Raspberry Pi says of power and heat, now and since its start."""

    under_voltage: bool
    frequency_capped: bool
    throttled: bool
    soft_temperature_limit: bool
    under_voltage_occurred: bool
    frequency_capped_occurred: bool
    throttled_occurred: bool
    soft_temperature_limit_occurred: bool

    @classmethod
    def of_bits(cls, bits: int) -> Throttling:
        """From the firmware's word: bits 0 to 3 now, 16 to 19 since the start."""
        return cls(*(bool(bits >> place & 1) for place in (0, 1, 2, 3, 16, 17, 18, 19)))


def read_board(root: Path = _ROOT) -> Board:
    """Look at the board; `root` is another place that looks like `/`, for tests."""
    information = os.uname()
    return Board(
        model=_text(root / "proc/device-tree/model")
        or _text(root / "sys/class/dmi/id/product_name"),
        serial_number=_text(root / "proc/device-tree/serial-number")
        or _field(root / "proc/cpuinfo", "Serial")
        or _text(root / "sys/class/dmi/id/product_serial"),
        machine_id=_text(root / "etc/machine-id"),
        architecture=information.machine,
        processors=os.cpu_count() or 1,
        memory=_memory(root),
    )


def temperature(root: Path = _ROOT) -> float | None:
    """The hottest of the board's sensors, in degrees Celsius; None without any."""
    hottest: float | None = None
    for zone in (root / "sys/class/thermal").glob("thermal_zone*/temp"):
        number = _number(_text(zone))
        # Sensors that are switched off read as zero or far below freezing.
        if number is not None and -40_000 < number < 200_000 and number != 0:
            hottest = max(number / 1000, hottest if hottest is not None else number / 1000)
    return hottest


def throttling(root: Path = _ROOT) -> Throttling | None:
    """The state of a Raspberry Pi's supply and clocks; None on other boards."""
    word = _text(root / _THROTTLED)
    try:
        return Throttling.of_bits(int(word, 16)) if word else None
    except ValueError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_bytes().strip(b"\0 \n\t").decode("utf-8", "replace")
    except OSError:
        return ""


def _field(path: Path, name: str) -> str:
    for line in _text(path).splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _memory(root: Path) -> int | None:
    words = _field(root / "proc/meminfo", "MemTotal").split()
    kibibytes = _number(words[0]) if words else None
    return None if kibibytes is None else kibibytes * 1024
