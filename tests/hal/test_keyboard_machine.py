"""A keyboard wedge made with uinput keeps the contract of devices on serial lines.

What is particular to wedges (the grab, finding one by its name) is in tests/machine/inside.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from hal.serial.base import CodeRead, Garbage, SerialDevice, SerialEvent, open_driver
from hal.serial.keyboard import INPUT_EVENT
from tests.hal.serial_contract import SerialContract
from tests.machine.inside.keyboard_checks import Wedge

pytestmark = pytest.mark.machine

_ENTER, _SHIFT, _A, _DIGITS = 28, 42, 30, (11, 2, 3, 4)


@pytest.fixture(autouse=True, scope="module")
def _kernel() -> Iterator[None]:
    if not os.access("/dev/uinput", os.W_OK):
        pytest.skip("needs /dev/uinput to write to, which is root's in a machine that has it")
    yield


class TestKeyboardReader(SerialContract):
    def prepare(self) -> None:
        self.wedge = Wedge()

    def clean_up(self) -> None:
        self.wedge.unplug()

    def make(self) -> SerialDevice:
        return open_driver("keyboard", device="test barcode", pause=0.3)

    def act(self, device: SerialDevice, number: int) -> list[SerialEvent]:
        self.wedge.type(_DIGITS[number], _ENTER)
        return [CodeRead(0, str(number), {})]

    def begin_to_act(self, device: SerialDevice) -> None:
        self.wedge.type(_DIGITS[3])

    def vanish(self) -> None:
        self.wedge.unplug()

    def come_back(self) -> None:
        self.wedge = Wedge()

    def press(self, *steps: tuple[int, int]) -> None:
        for code, value in steps:
            os.write(self.wedge.descriptor, INPUT_EVENT.pack(0, 0, 1, code, value))
            os.write(self.wedge.descriptor, INPUT_EVENT.pack(0, 0, 0, 0, 0))

    def test_a_code_of_which_the_kernel_lost_keys_is_no_code(self, device: SerialDevice) -> None:
        for number in range(3):
            # More than the kernel keeps for one who does not read.
            self.wedge.type(*[_DIGITS[number]] * 400)
            self.until(device, Garbage)
            self.acted(device, number)

    def test_shift_that_is_held_while_keys_are_lost_is_held_afterwards(
        self, device: SerialDevice
    ) -> None:
        self.press((_SHIFT, 1))
        self.wedge.type(*[_A] * 400)
        self.until(device, Garbage)
        self.wedge.type(_A, _ENTER)
        self.press((_SHIFT, 0))
        self.wedge.type(_A, _ENTER)
        found = self.until(device, CodeRead, count=2)
        assert [each.text for each in found if isinstance(each, CodeRead)] == ["A", "a"]
