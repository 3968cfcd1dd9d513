"""A keyboard wedge on the kernel's event interface, made with uinput; runs inside the guest."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import time
from collections.abc import Iterator

import pytest

from hal.serial.base import CodeRead, PortBusy, PortReturned, PortVanished, SerialEvent
from hal.serial.keyboard import EVIOCGRAB, INPUT_EVENT, KeyboardReader, devices

UI_SET_EVBIT, UI_SET_KEYBIT = 0x40045564, 0x40045565
UI_DEV_CREATE, UI_DEV_DESTROY, UI_DEV_SETUP = 0x5501, 0x5502, 0x405C5503


class Wedge:
    """A virtual keyboard that types."""

    def __init__(self, name: str = "Test Barcode Reader") -> None:
        self.descriptor = os.open("/dev/uinput", os.O_WRONLY | os.O_NONBLOCK)
        fcntl.ioctl(self.descriptor, UI_SET_EVBIT, 1)
        for code in range(1, 100):
            fcntl.ioctl(self.descriptor, UI_SET_KEYBIT, code)
        setup = struct.pack("HHHH80sI", 3, 1, 1, 1, name.encode(), 0)
        fcntl.ioctl(self.descriptor, UI_DEV_SETUP, setup)
        fcntl.ioctl(self.descriptor, UI_DEV_CREATE)
        time.sleep(1)

    def type(self, *codes: int) -> None:
        for code in codes:
            for value in (1, 0):
                os.write(self.descriptor, INPUT_EVENT.pack(0, 0, 1, code, value))
                os.write(self.descriptor, INPUT_EVENT.pack(0, 0, 0, 0, 0))

    def unplug(self) -> None:
        if self.descriptor >= 0:
            fcntl.ioctl(self.descriptor, UI_DEV_DESTROY)
            os.close(self.descriptor)
            self.descriptor = -1


@pytest.fixture
def wedge() -> Iterator[Wedge]:
    made = Wedge()
    yield made
    made.unplug()


def gather(reader: KeyboardReader, wanted: type, seconds: float = 5.0) -> list[SerialEvent]:
    found: list[SerialEvent] = []
    end = time.monotonic() + seconds
    while not any(isinstance(each, wanted) for each in found):
        assert time.monotonic() < end, found
        descriptor = reader.descriptor
        if descriptor is not None:
            select.select([descriptor], [], [], 0.1)
        else:
            time.sleep(0.05)
        found += reader.events()
    return found


def test_a_reader_is_found_by_its_name_and_read(wedge: Wedge) -> None:
    assert "Test Barcode Reader" in devices().values()
    reader = KeyboardReader("barcode", patterns=["(?P<PatientID>p[0-9]+)"])
    reader.open()
    gather(reader, PortReturned)
    wedge.type(25, 5, 8, 2, 2, 28)
    (read,) = [e for e in gather(reader, CodeRead) if isinstance(e, CodeRead)]
    assert (read.text, dict(read.values)) == ("p4711", {"PatientID": "p4711"})
    reader.close()


def test_it_is_grabbed_and_a_second_reader_is_refused(wedge: Wedge) -> None:
    first = KeyboardReader("barcode")
    first.open()
    gather(first, PortReturned)
    second = KeyboardReader("barcode")
    with pytest.raises(PortBusy):
        second.open()
    first.close()
    # And let go of again.
    second.open()
    gather(second, PortReturned)
    second.close()
    assert EVIOCGRAB


def test_it_may_be_unplugged_and_come_back() -> None:
    wedge = Wedge()
    reader = KeyboardReader("barcode")
    reader.open()
    gather(reader, PortReturned)
    wedge.unplug()
    gather(reader, PortVanished)
    again = Wedge()
    gather(reader, PortReturned)
    again.type(2, 28)
    (read,) = [e for e in gather(reader, CodeRead) if isinstance(e, CodeRead)]
    assert read.text == "1"
    reader.close()
    again.unplug()
