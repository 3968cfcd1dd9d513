"""The panel at GPIO lines: what is asked of the kernel, byte by byte, and blinking by deadlines.

There is no GPIO chip here. Lamps are switched, and a button pressed, in
tests/machine/test_panel_on_arm.py; never on contacts that bounce.
"""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.panel import gpio
from hal.panel.base import ButtonPressed, ButtonReleased, Pattern, WrongPanel, open_driver
from hal.panel.gpio import EVENT, GpioPanel
from hal.panel.gpio_chips import CHIP_INFO, GET_CHIP_INFO
from hal.panel.simulator import SimulatedPanel
from tests.hal.clocks import StoppedClock

_PROGRAM = """
#include <stdio.h>
#include <string.h>
#include <linux/gpio.h>
static void put(const void *at, size_t size) { fwrite(at, 1, size, stdout); }
int main(void) {
  struct gpio_v2_line_request request;
  memset(&request, 0, sizeof request);
  request.offsets[0] = 17; request.offsets[1] = 4000000000u;
  strcpy(request.consumer, "gantry");
  request.config.flags = GPIO_V2_LINE_FLAG_OUTPUT | GPIO_V2_LINE_FLAG_ACTIVE_LOW;
  request.num_lines = 2;
  put(&request, sizeof request);
  request.config.flags = GPIO_V2_LINE_FLAG_INPUT | GPIO_V2_LINE_FLAG_EDGE_RISING
    | GPIO_V2_LINE_FLAG_EDGE_FALLING | GPIO_V2_LINE_FLAG_BIAS_PULL_UP;
  request.config.num_attrs = 1;
  request.config.attrs[0].attr.id = GPIO_V2_LINE_ATTR_ID_DEBOUNCE;
  request.config.attrs[0].attr.debounce_period_us = 20000;
  request.config.attrs[0].mask = 3;
  put(&request, sizeof request);
  struct gpio_v2_line_event event;
  memset(&event, 0, sizeof event);
  event.timestamp_ns = 1; event.id = GPIO_V2_LINE_EVENT_RISING_EDGE; event.offset = 17;
  put(&event, sizeof event);
  event.id = GPIO_V2_LINE_EVENT_FALLING_EDGE; event.seqno = 2; event.line_seqno = 2;
  put(&event, sizeof event);
  struct gpiochip_info chip;
  memset(&chip, 0, sizeof chip);
  strcpy(chip.name, "gpiochip0"); strcpy(chip.label, "pinctrl-bcm2711"); chip.lines = 58;
  put(&chip, sizeof chip);
  unsigned long number = GPIO_GET_CHIPINFO_IOCTL;
  put(&number, sizeof number);
}
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What a program made with the kernel's own header says."""
    if shutil.which("cc") is None or not Path("/usr/include/linux/gpio.h").exists():
        pytest.skip("needs a C compiler and the kernel's headers")
    folder = tmp_path_factory.mktemp("gpio")
    (folder / "gpio.c").write_text(_PROGRAM)
    subprocess.run(["cc", "-o", str(folder / "gpio"), str(folder / "gpio.c")], check=True)
    return subprocess.run([str(folder / "gpio")], capture_output=True, check=True).stdout


def test_lines_are_asked_for_as_the_kernel_has_it(kernel: bytes) -> None:
    size = gpio.REQUEST_SIZE
    outputs = gpio.request_of([17, 4_000_000_000], gpio.OUTPUT | gpio.ACTIVE_LOW, 0.0)
    assert outputs == kernel[:size]
    edges = gpio.INPUT | gpio.EDGE_RISING | gpio.EDGE_FALLING | gpio.BIAS_PULL_UP
    assert gpio.request_of([17, 4_000_000_000], edges, 0.02) == kernel[size : 2 * size]


class Buttons:
    """A panel whose line descriptor is the near end of something that the test holds."""

    def __init__(self, descriptor: int) -> None:
        self.panel = GpioPanel(buttons={"start": 17})
        os.set_blocking(descriptor, False)
        self.panel._inputs = descriptor


def test_events_are_read_as_the_kernel_writes_them(kernel: bytes) -> None:
    near, far = os.pipe()
    panel = Buttons(near).panel
    assert panel.events() == []
    start = 2 * gpio.REQUEST_SIZE
    os.write(far, kernel[start : start + 2 * EVENT.size])
    found = panel.events()
    assert [(type(each), each.button) for each in found] == [
        (ButtonPressed, "start"),
        (ButtonReleased, "start"),
    ]
    os.close(far)
    panel.close()


def test_chips_are_asked_for_as_the_kernel_has_it(kernel: bytes) -> None:
    answer = kernel[2 * gpio.REQUEST_SIZE + 2 * EVENT.size :]
    name, label, lines = CHIP_INFO.unpack_from(answer)
    assert (name.rstrip(b"\0"), label.rstrip(b"\0"), lines) == (
        b"gpiochip0",
        b"pinctrl-bcm2711",
        58,
    )
    assert int.from_bytes(answer[CHIP_INFO.size :], sys.byteorder) == GET_CHIP_INFO


def test_lines_that_are_not_ours_and_kinds_that_are_unknown_do_no_harm() -> None:
    near, far = os.pipe()
    panel = Buttons(near).panel
    os.write(far, EVENT.pack(1, 1, 99, 1, 1) + EVENT.pack(1, 1, 17, 2, 1)[:-8])
    assert panel.events() == []
    os.close(far)
    panel.close()


def test_a_chip_that_is_pulled_out_does_not_wake_its_owner_for_ever() -> None:
    # A terminal whose far end is gone fails as the lines of an unbound chip do.
    far, near = pty.openpty()
    panel = Buttons(near).panel
    os.close(far)
    os.set_blocking(near, False)
    panel.events()
    assert panel.descriptor is None
    assert panel.events() == []
    panel.close()


@pytest.mark.parametrize(
    "options",
    [
        {"lamps": {"a": -1}},
        {"lamps": {"a": "1"}},
        {"lamps": {"a": 1.5}},
        {"lamps": {"a": 1 << 32}},
        {"buttons": {str(each): each for each in range(65)}},
        {"lamps": {"a": 1}, "buttons": {"b": 1}},
        {"debounce": -0.1},
        {"debounce": 5000},
        {"lamps": 7},
    ],
)
def test_settings_that_would_fail_later_are_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(WrongPanel):
        open_driver("gpio", **options)


def test_a_closed_panel_shows_nothing_and_remembers_nothing() -> None:
    for panel in (GpioPanel(lamps={"ready": 1}), SimulatedPanel(buttons=["start"])):
        panel.show("ready", Pattern.FAST)
        if isinstance(panel, SimulatedPanel):
            panel.press("start")
        assert (panel.deadline(), panel.descriptor, panel.events()) == (None, None, [])
        panel.close()


@given(
    pattern=st.sampled_from(Pattern),
    start=st.floats(0, 1e8),
    later=st.floats(0, 1e4),
)
def test_lamps_change_at_each_deadline_and_never_stand_still(
    pattern: Pattern, start: float, later: float
) -> None:
    clock = StoppedClock(start)
    panel = SimulatedPanel(now=clock.now)
    panel.open()
    panel.show("ready", pattern)
    clock.pass_by(later)
    panel.events()
    for _ in range(20):
        due, lit = panel.deadline(), panel.lit["ready"]
        if due is None:
            assert pattern in (Pattern.ON, Pattern.OFF)
            assert lit == (pattern is Pattern.ON)
            return
        assert due > clock.time
        clock.time = due
        panel.events()
        assert panel.lit["ready"] != lit
