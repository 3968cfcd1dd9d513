"""How a first start went, where it can be seen: beside gantry.conf, and by the board's lamp."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from agent.dataset.whole_write import replace_file
from hal.panel import board_lamp

REPORT = "gantry-report.txt"


def write(folder: Path, lines: Iterable[str]) -> None:
    """A text that the simplest editor of any computer shows, in place of an earlier one."""
    put(folder / REPORT, "".join(f"{each}\r\n" for each in lines).encode())


def put(file: Path, data: bytes) -> bool:
    """Write a file on the boot partition; whether it could be. One that cannot is no reason not to
    go on: the partition may be read-only."""
    try:
        replace_file(file, data)
    except OSError as error:
        print(f"{file} cannot be written: {error.strerror}")
        return False
    return True


def show_failure(root: Path) -> None:
    """The board's own lamp blinks quickly: there is no panel before there is a configuration."""
    board_lamp.blink(root)


def show_success(root: Path) -> None:
    """The lamp is the board's again."""
    board_lamp.give_back(root)
