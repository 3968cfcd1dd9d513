"""The GPIO panel on a real kernel: lamps at the lines of its testing chip, gpio-sim.

Needs root and a kernel that has the module; Debian's has not. Lines of a real board are left alone:
nobody knows what hangs on them. tests/machine/test_panel_on_arm.py has a chip that is always there.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from hal.panel.base import PanelGone, Pattern
from hal.panel.gpio import GpioPanel
from hal.panel.gpio_chips import gpio_chips

pytestmark = pytest.mark.machine

_PLACE = Path("/sys/kernel/config/gpio-sim")


class Chip(NamedTuple):
    """`path` of the device, and the folder in which the kernel shows its lines."""

    path: str
    lines: Path

    def is_high(self, line: int) -> bool:
        return (self.lines / f"sim_gpio{line}" / "value").read_text().strip() == "1"


@pytest.fixture
def chip() -> Iterator[Chip]:
    if os.geteuid() != 0:
        pytest.skip("needs root, to make a GPIO chip with gpio-sim")
    subprocess.run(["modprobe", "gpio-sim"], check=False, capture_output=True)
    if not _PLACE.exists():
        pytest.skip("needs a kernel with the module gpio-sim, and configfs mounted")
    device = _PLACE / "gantry"
    bank = device / "bank"
    bank.mkdir(parents=True)
    try:
        (bank / "num_lines").write_text("4")
        (device / "live").write_text("1")
        name = (bank / "chip_name").read_text().strip()
        platform = (device / "dev_name").read_text().strip()
        yield Chip(f"/dev/{name}", Path("/sys/devices/platform") / platform / name)
    finally:
        (device / "live").write_text("0")
        bank.rmdir()
        device.rmdir()


@pytest.mark.parametrize("active_low", [False, True])
def test_lamps_are_lit_at_their_level_and_dark_when_closed(chip: Chip, active_low: bool) -> None:
    panel = GpioPanel(chip=chip.path, lamps={"ready": 0, "failed": 3}, active_low=active_low)
    panel.open()
    assert [chip.is_high(each) for each in (0, 3)] == [active_low, active_low]
    panel.show("failed", Pattern.ON)
    assert [chip.is_high(each) for each in (0, 3)] == [active_low, not active_low]
    panel.show("failed", Pattern.OFF)
    panel.show("ready", Pattern.ON)
    assert [chip.is_high(each) for each in (0, 3)] == [not active_low, active_low]
    panel.close()
    assert chip.is_high(0) == active_low


def test_lines_that_another_holds_are_told_of_in_words(chip: Chip) -> None:
    first = GpioPanel(chip=chip.path, lamps={"ready": 1}, buttons={"start": 2}, bias="up")
    first.open()
    with pytest.raises(PanelGone, match="busy"):
        GpioPanel(chip=chip.path, lamps={"failed": 1}).open()
    first.close()


def test_the_chip_is_found_with_its_lines(chip: Chip) -> None:
    (found,) = (each for each in gpio_chips() if each.path == chip.path)
    assert (found.lines, found.problem) == (4, "")
    assert found.label
