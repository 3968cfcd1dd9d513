"""What every device on a serial line owes its owner: subclassed per driver, with the far end.

`until` does what a loop would: it waits for the descriptor or the deadline, whichever comes first,
and nothing else. What comes out only because somebody looked too often does not count.
"""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hal.serial.base import (
    Garbage,
    PortReturned,
    PortVanished,
    SerialDevice,
    SerialEvent,
)

LONGEST_CALL = 0.25
"""Seconds that a call which never blocks may take on a busy machine."""


class SerialContract:
    can_vanish = True

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> Iterator[None]:
        self.folder = tmp_path
        self.prepare()
        yield
        self.clean_up()

    # What a driver's suite brings.

    def prepare(self) -> None:
        """The far end is there."""

    def clean_up(self) -> None:
        """It may go."""

    def make(self) -> SerialDevice:
        raise NotImplementedError

    def act(self, device: SerialDevice, number: int) -> list[SerialEvent]:
        """Do what leads to events; these events, `at` 0."""
        raise NotImplementedError

    def begin_to_act(self, device: SerialDevice) -> None:
        """Do half of it."""

    def vanish(self) -> None:
        raise NotImplementedError

    def come_back(self) -> None:
        raise NotImplementedError

    # The owner.

    @pytest.fixture
    def device(self) -> Iterator[SerialDevice]:
        made = self.make()
        made.open()
        self.until(made, PortReturned)
        yield made
        made.close()

    @staticmethod
    def turn(device: SerialDevice, most: float = 0.1) -> list[SerialEvent]:
        """Wait as the device says, `most` seconds at most, and take what there is."""
        due, descriptor = device.deadline(), device.descriptor
        wait = most if due is None else min(most, max(0.0, due - time.monotonic()))
        waited_for = [] if descriptor is None else [descriptor]
        is_readable = select.select(waited_for, [], [], wait)[0]
        if not is_readable and (due is None or due > time.monotonic()):
            return []
        begun = time.monotonic()
        found = device.events()
        assert time.monotonic() - begun < LONGEST_CALL, "events() blocked"
        return found

    def until(
        self, device: SerialDevice, wanted: type[SerialEvent], count: int = 1, seconds: float = 8.0
    ) -> list[SerialEvent]:
        found: list[SerialEvent] = []
        end = time.monotonic() + seconds
        while sum(isinstance(each, wanted) for each in found) < count:
            assert time.monotonic() < end, f"no {wanted.__name__}: {found}"
            found += self.turn(device)
        return found

    def acted(self, device: SerialDevice, number: int = 1) -> None:
        """Act, and see that exactly that comes of it."""
        wanted = self.act(device, number)
        found: list[SerialEvent] = []
        begun = time.monotonic()
        while len(found) < len(wanted):
            assert time.monotonic() < begun + 8.0, found
            found += self.turn(device)
        assert [_timeless(each) for each in found] == [_timeless(each) for each in wanted]
        times = [each.at for each in found]
        assert times == sorted(times)
        assert begun - 1.0 <= times[0]
        assert times[-1] <= time.monotonic()

    # The contract.

    def test_a_device_that_was_not_opened_is_silent(self) -> None:
        device = self.make()
        assert (device.descriptor, device.deadline(), device.events()) == (None, None, [])
        device.close()

    def test_opening_tells_that_the_port_is_there(self) -> None:
        device = self.make()
        device.open()
        found = self.until(device, PortReturned)
        assert [type(each) for each in found] == [PortReturned]
        device.close()

    def test_what_happens_is_told_once_and_in_order(self, device: SerialDevice) -> None:
        for number in range(3):
            self.acted(device, number)

    def test_a_device_on_which_nothing_happens_lets_its_owner_sleep(
        self, device: SerialDevice
    ) -> None:
        self.acted(device)
        end, looks = time.monotonic() + 0.2, 0
        while time.monotonic() < end:
            assert self.turn(device, most=0.05) == []
            looks += 1
            due = device.deadline()
            assert due is None or due > time.monotonic() - 0.05
        assert looks < 40, "the owner is woken for nothing"

    def test_a_deadline_stays_until_it_is_kept(self, device: SerialDevice) -> None:
        self.acted(device)
        due = device.deadline()
        time.sleep(0.02)
        assert device.deadline() == due

    def test_opening_and_closing_twice_does_nothing(self, device: SerialDevice) -> None:
        device.open()
        self.acted(device)
        device.close()
        device.close()
        assert (device.descriptor, device.deadline(), device.events()) == (None, None, [])

    def test_a_closed_device_can_be_opened_again_and_has_forgotten_the_half_of_before(
        self, device: SerialDevice
    ) -> None:
        self.begin_to_act(device)
        end = time.monotonic() + 0.05
        while time.monotonic() < end:
            self.turn(device, most=0.01)
        device.close()
        device.open()
        self.until(device, PortReturned)
        self.acted(device)

    def test_a_port_that_goes_is_told_of_once_and_found_again(self, device: SerialDevice) -> None:
        if not self.can_vanish:
            pytest.skip("this one cannot go")
        self.begin_to_act(device)
        self.vanish()
        away = self.until(device, PortVanished)
        assert device.descriptor is None
        due = device.deadline()
        assert due is not None, "nobody looks for it"
        end = time.monotonic() + 0.4
        while time.monotonic() < end:
            away += self.turn(device)
        assert [type(each) for each in away].count(PortVanished) == 1
        self.come_back()
        found = self.until(device, PortReturned)
        assert not any(isinstance(each, PortVanished | Garbage) for each in found)
        self.acted(device)

    def test_a_port_that_is_not_there_is_waited_for(self) -> None:
        if not self.can_vanish:
            pytest.skip("this one cannot be away")
        self.vanish()
        device = self.make()
        device.open()
        found = self.until(device, PortVanished)
        assert [type(each) for each in found] == [PortVanished]
        self.come_back()
        self.until(device, PortReturned)
        self.acted(device)
        device.close()


def _timeless(event: SerialEvent) -> tuple[object, ...]:
    others = [getattr(event, name) for name in event.__dataclass_fields__ if name != "at"]
    return (type(event), *others)
