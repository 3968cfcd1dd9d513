"""Lamps and buttons: the simulator, patterns of lamps, and the kernel's structures."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from hal.panel import gpio
from hal.panel.base import (
    ButtonPressed,
    ButtonReleased,
    PanelGone,
    Pattern,
    WrongPanel,
    open_driver,
)
from hal.panel.simulator import SimulatedPanel
from hal.serial import keyboard
from tests.hal.test_serial_ports import Clock


def test_lamps_blink_at_their_deadlines() -> None:
    clock = Clock()
    panel = SimulatedPanel(now=clock)
    panel.open()
    panel.show("ready", Pattern.SLOW)
    panel.show("busy", Pattern.ON)
    seen = []
    for _ in range(4):
        seen.append((panel.lit["ready"], panel.lit["busy"]))
        due = panel.deadline()
        assert due is not None
        assert due - clock.at == pytest.approx(1.0)
        clock.at = due
        panel.events()
    assert seen == [(True, True), (False, True), (True, True), (False, True)]
    panel.show("ready", Pattern.OFF)
    assert panel.lit["ready"] is False
    assert panel.deadline() is None
    panel.show("nowhere", Pattern.ON)
    panel.close()
    assert not any(panel.lit.values())


def test_buttons_are_pressed_and_released() -> None:
    clock = Clock()
    panel = SimulatedPanel(buttons=["start"], now=clock)
    panel.open()
    panel.press("start")
    panel.press("nowhere")
    assert panel.deadline() == clock.at
    assert panel.events() == [ButtonPressed(100.0, "start"), ButtonReleased(100.0, "start")]
    panel.close()


def test_hardware_that_cannot_be_had_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(PanelGone):
        open_driver("gpio", chip=str(tmp_path / "none"), lamps={"ready": 1}).open()
    not_a_chip = tmp_path / "file"
    not_a_chip.touch()
    with pytest.raises(PanelGone):
        open_driver("gpio", chip=str(not_a_chip), lamps={"ready": 1}).open()
    with pytest.raises(WrongPanel):
        open_driver("gpio", lamps={"a": 1, "b": 1})
    with pytest.raises(WrongPanel):
        open_driver("gpio", bias="sideways")
    with pytest.raises(WrongPanel):
        open_driver("voice")


_PROGRAM = """
#include <stdio.h>
#include <linux/gpio.h>
#include <linux/input.h>
int main(void) {
  printf("%zu %zu %zu %zu %lu %lu %lu %llu %llu %llu %llu %llu %zu\\n",
    sizeof(struct gpio_v2_line_request), sizeof(struct gpio_v2_line_config),
    sizeof(struct gpio_v2_line_event), sizeof(struct gpio_v2_line_values),
    (unsigned long)GPIO_V2_GET_LINE_IOCTL, (unsigned long)GPIO_V2_LINE_SET_VALUES_IOCTL,
    (unsigned long)EVIOCGRAB,
    (unsigned long long)GPIO_V2_LINE_FLAG_ACTIVE_LOW, (unsigned long long)GPIO_V2_LINE_FLAG_INPUT,
    (unsigned long long)GPIO_V2_LINE_FLAG_OUTPUT,
    (unsigned long long)GPIO_V2_LINE_FLAG_EDGE_RISING,
    (unsigned long long)GPIO_V2_LINE_FLAG_BIAS_PULL_UP, sizeof(struct input_event));
}
"""


@pytest.mark.skipif(
    shutil.which("cc") is None or not Path("/usr/include/linux/gpio.h").exists(),
    reason="needs a C compiler and the kernel's headers",
)
def test_structures_and_numbers_are_those_of_the_kernel(tmp_path: Path) -> None:
    source = tmp_path / "sizes.c"
    source.write_text(_PROGRAM)
    subprocess.run(["cc", "-o", str(tmp_path / "sizes"), str(source)], check=True)
    said = subprocess.run([str(tmp_path / "sizes")], capture_output=True, text=True, check=True)
    assert [int(each) for each in said.stdout.split()] == [
        gpio.REQUEST_SIZE,
        gpio.CONFIG_SIZE,
        gpio.EVENT.size,
        16,
        gpio.GET_LINE,
        gpio.SET_VALUES,
        keyboard.EVIOCGRAB,
        gpio.ACTIVE_LOW,
        gpio.INPUT,
        gpio.OUTPUT,
        gpio.EDGE_RISING,
        gpio.BIAS_PULL_UP,
        keyboard.INPUT_EVENT.size,
    ]
