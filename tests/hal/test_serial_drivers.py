"""The contract of devices on serial lines, over every driver that needs no hardware of its own.

Pseudo-terminals stand for ports, pyserial's `loop://` for one with modem lines. The keyboard wedge
keeps the same contract in test_keyboard_machine.py.
"""

from __future__ import annotations

import os
import socket

from hal.serial.base import (
    CodeRead,
    LineReceived,
    PedalPressed,
    PedalReleased,
    SerialDevice,
    SerialEvent,
    open_driver,
)
from hal.serial.foot_switch import FootSwitch
from hal.serial.simulator import SimulatedSerial
from tests.hal.serial_contract import SerialContract
from tests.hal.serial_line import Line


class OnALine(SerialContract):
    """A driver at a pseudo-terminal."""

    def prepare(self) -> None:
        self.line = Line(self.folder)

    def clean_up(self) -> None:
        self.line.pull()

    def vanish(self) -> None:
        self.line.pull()

    def come_back(self) -> None:
        self.line.plug()


class TestCodeReader(OnALine):
    def make(self) -> SerialDevice:
        patterns = ["P(?P<PatientID>[0-9]+)"]
        return open_driver("code-reader", port=str(self.line.path), patterns=patterns)

    def act(self, device: SerialDevice, number: int) -> list[SerialEvent]:
        self.line.say(b"P%d\r\nother\r" % number)
        return [CodeRead(0, f"P{number}", {"PatientID": str(number)}), CodeRead(0, "other", {})]

    def begin_to_act(self, device: SerialDevice) -> None:
        self.line.say(b"HALF")


class TestCodeReaderWithoutSuffix(OnALine):
    def make(self) -> SerialDevice:
        return open_driver("code-reader", port=str(self.line.path), suffix="", pause=0.08)

    def act(self, device: SerialDevice, number: int) -> list[SerialEvent]:
        self.line.say(b"CARD%d" % number)
        return [CodeRead(0, f"CARD{number}", {})]

    def begin_to_act(self, device: SerialDevice) -> None:
        self.line.say(b"HALF")


class TestFootSwitchThatSpeaks(OnALine):
    def make(self) -> SerialDevice:
        return open_driver(
            "foot-switch",
            port=str(self.line.path),
            pressed={"left": "L1", "right": "R1"},
            released={"left": "L0"},
        )

    def act(self, device: SerialDevice, number: int) -> list[SerialEvent]:
        self.line.say(b"L1R1L0")
        return [
            PedalPressed(0, "left"),
            PedalPressed(0, "right"),
            PedalReleased(0, "right"),
            PedalReleased(0, "left"),
        ]

    def begin_to_act(self, device: SerialDevice) -> None:
        self.line.say(b"L")


class TestLineProtocol(OnALine):
    def make(self) -> SerialDevice:
        rules = [{"pattern": "START (?P<PatientID>.+)", "action": "start", "reply": "OK"}]
        return open_driver("line-protocol", port=str(self.line.path), rules=rules)

    def act(self, device: SerialDevice, number: int) -> list[SerialEvent]:
        self.line.say(b"START %d\r\n" % number)
        return [LineReceived(0, f"START {number}", "start", {"PatientID": str(number)})]

    def begin_to_act(self, device: SerialDevice) -> None:
        self.line.say(b"STA")


class TestFramedProtocol(OnALine):
    def make(self) -> SerialDevice:
        return open_driver(
            "line-protocol",
            port=str(self.line.path),
            framing="stx-etx",
            checksum="xor",
            polls=[{"send": "STATUS", "every": 0.1}],
        )

    def act(self, device: SerialDevice, number: int) -> list[SerialEvent]:
        # Exclusive or of D, O, S, E, the digit and ETX.
        check = 0
        for each in b"DOSE%d\x03" % number:
            check ^= each
        self.line.say(b"\x02DOSE%d\x03%c" % (number, check))
        return [LineReceived(0, f"DOSE{number}")]

    def begin_to_act(self, device: SerialDevice) -> None:
        self.line.say(b"\x02DO")


class TestReaderAtATerminalServer(SerialContract):
    """A port of pyserial that is a URL with a descriptor."""

    def prepare(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = self.server.getsockname()
        self.server.settimeout(5)
        self.far: socket.socket | None = None

    def clean_up(self) -> None:
        self.server.close()
        if self.far is not None:
            self.far.close()

    def make(self) -> SerialDevice:
        return open_driver("code-reader", port="socket://{}:{}".format(*self.address))

    def connection(self) -> socket.socket:
        # The newest: those of devices that were closed wait in the same queue.
        self.server.settimeout(5 if self.far is None else 0)
        try:
            while True:
                self.far = self.server.accept()[0]
                self.server.settimeout(0)
        except (BlockingIOError, TimeoutError):
            assert self.far is not None
            return self.far

    def act(self, device: SerialDevice, number: int) -> list[SerialEvent]:
        self.connection().sendall(b"P%d\n" % number)
        return [CodeRead(0, f"P{number}", {})]

    def begin_to_act(self, device: SerialDevice) -> None:
        self.connection().sendall(b"HALF")

    def vanish(self) -> None:
        self.server.close()
        if self.far is not None:
            self.far.close()
            self.far = None

    def come_back(self) -> None:
        self.server = socket.create_server(self.address)


class TestPedalsOnModemLines(SerialContract):
    """`loop://` gives RTS back as CTS; it has no descriptor and cannot go."""

    can_vanish = False

    def make(self) -> SerialDevice:
        return open_driver("foot-switch", port="loop://", lines={"left": "cts"}, inverted=["left"])

    def act(self, device: SerialDevice, number: int) -> list[SerialEvent]:
        assert isinstance(device, FootSwitch)
        is_down = number % 2 == 0
        if is_down == device._down.get("left", False):
            return self.act(device, number + 1)
        device._serial.rts = not is_down
        return [(PedalPressed if is_down else PedalReleased)(0, "left")]


class TestSimulator(SerialContract):
    can_vanish = False

    def make(self) -> SerialDevice:
        return open_driver("simulator", patterns=["P(?P<PatientID>[0-9]+)"])

    def act(self, device: SerialDevice, number: int) -> list[SerialEvent]:
        assert isinstance(device, SimulatedSerial)
        device.press("left")
        device.read(f"P{number}")
        return [
            PedalPressed(0, "left"),
            PedalReleased(0, "left"),
            CodeRead(0, f"P{number}", {"PatientID": str(number)}),
        ]


class TestSimulatorPlayedByAShell(TestSimulator):
    def make(self) -> SerialDevice:
        return open_driver("simulator", fifo=str(self.folder / "operator"))

    def act(self, device: SerialDevice, number: int) -> list[SerialEvent]:
        self.write(b"read P%d\n" % number)
        return [CodeRead(0, f"P{number}", {})]

    def begin_to_act(self, device: SerialDevice) -> None:
        self.write(b"read HAL")

    def write(self, data: bytes) -> None:
        descriptor = os.open(self.folder / "operator", os.O_WRONLY)
        os.write(descriptor, data)
        os.close(descriptor)
