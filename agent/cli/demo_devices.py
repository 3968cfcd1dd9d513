"""The devices of the demo's examination: simulated ones, or in their place those of a file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from agent.errors import ConfigurationError

_KINDS = ("capture", "serial")
_ULTRASOUND = (
    '[[capture]]\nname = "ultrasound"\nkind = "simulator"\nmodality = "US"\n'
    "[capture.settings]\nwidth = 320\nheight = 240\n"
)
_WAY_OUT = "Write [[capture]] and [[serial]] tables into it, as in gantry.toml."


@dataclass(frozen=True)
class Devices:
    """`tables` of the box; `capture` is what they capture from, for a person. Somebody has to press
    the pedals where they are of a person's own (`are_pressed`)."""

    tables: str
    capture: str
    are_pressed: bool


def devices_of(file: Path | None, operator: Path) -> Devices:
    """What the file says, and simulated ones for what it does not.

    `operator` is the pipe of a simulated reader of barcodes, with pedals, which is there always.
    Raises ConfigurationError for a file that cannot be read, or has other tables.
    """
    text = _read(file) if file else ""
    found = _tables_of(text, str(file))
    tables = text if "capture" in found else _ULTRASOUND + text
    desk = (
        '\n[[serial]]\nname = "demo-desk"\nclip = 10\n'
        'actions = { left = "still", right = "clip", middle = "finish" }\n'
        f'[serial.settings]\nfifo = "{operator}"\n'
        'patterns = ["(?P<AccessionNumber>A[0-9]+)"]\n'
    )
    capture = f"the devices of {file}" if "capture" in found else "a simulated ultrasound"
    return Devices(tables + desk, capture, "serial" in found)


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the devices in {file} cannot be read: {error}", way_out=_WAY_OUT
        ) from error


def _tables_of(text: str, name: str) -> frozenset[str]:
    """The kinds of devices that there are."""
    try:
        found = frozenset(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{name} is not TOML: {error}", way_out=_WAY_OUT) from error
    if wrong := found.difference(_KINDS):
        raise ConfigurationError(
            f"{name} has {', '.join(sorted(wrong))}, and is for devices only", way_out=_WAY_OUT
        )
    return found
