"""The interface of a device on a serial line: pedals, readers, devices that speak in lines.

A driver has no thread and no loop. Its owner waits for `descriptor` to be readable, or for the
clock to reach `deadline()`, and then calls `events()`. Both change when a port vanishes or comes
back: ask for them anew after each call. `open` and `close` may block for as long as a USB transfer
takes. `open` of a device that is open, and `close` of one that is closed, do nothing.

A port that is not there, or goes, is no error of `open` or `events` but an event: the driver tries
again by itself until it is closed.

    SerialError
    ├── PortBusy        example: another program holds /dev/ttyUSB0
    └── WrongSettings   example: a pattern that is no regular expression, a rate of 0

The drivers are named in `DRIVERS`; importing this module imports none of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from hal.drivers import made_by_driver

DRIVERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "code-reader": ("hal.serial.code_reader", "CodeReader"),
        "foot-switch": ("hal.serial.foot_switch", "FootSwitch"),
        "line-protocol": ("hal.serial.line_protocol", "LineProtocol"),
        "keyboard": ("hal.serial.keyboard", "KeyboardReader"),
        "simulator": ("hal.serial.simulator", "SimulatedSerial"),
    }
)
"""Driver name to (module, class); the class is made with the keyword options of the driver."""


class SerialError(Exception):
    """The root of what a serial device can raise; never raised itself."""


class PortBusy(SerialError):
    """The port is there but somebody else holds it."""


class WrongSettings(SerialError):
    """The device cannot be set up as it was told."""


@dataclass(frozen=True, slots=True)
class SerialEvent:
    """Something that happened, `at` seconds of the clock."""

    at: float


@dataclass(frozen=True, slots=True)
class PedalPressed(SerialEvent):
    """A pedal, or a button, went down."""

    pedal: str


@dataclass(frozen=True, slots=True)
class PedalReleased(SerialEvent):
    """It came up again."""

    pedal: str


@dataclass(frozen=True, slots=True)
class CodeRead(SerialEvent):
    """A code or card was read; `values` is what the patterns found in it, by name."""

    text: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LineReceived(SerialEvent):
    """A device said something; `action` and `values` are those of the first pattern that fits."""

    text: str
    action: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Silence(SerialEvent):
    """A device that should speak has been silent for too long."""


@dataclass(frozen=True, slots=True)
class Garbage(SerialEvent):
    """Bytes that mean nothing, or that a device does not take, were thrown away; `why` in words.

    Told once for each run of them, however long, and however it comes in.
    """

    why: str


@dataclass(frozen=True, slots=True)
class PortVanished(SerialEvent):
    """The port is gone: a plug was pulled. The driver looks for it."""

    why: str


@dataclass(frozen=True, slots=True)
class PortReturned(SerialEvent):
    """The port is there, for the first time or again."""


class SerialDevice(ABC):
    """A device on a serial line. Memory: one frame, bounded by the driver's settings."""

    @abstractmethod
    def open(self) -> None:
        """Begin. Blocks. Raises PortBusy and WrongSettings; a port that is away is an event."""

    @abstractmethod
    def close(self) -> None:
        """End. Never raises; a closed device can be opened again."""

    @property
    @abstractmethod
    def descriptor(self) -> int | None:
        """Readable when something waits; None while the port is away, or where there is none."""

    @abstractmethod
    def deadline(self) -> float | None:
        """When to call `events()` even if the descriptor is silent; None: never.

        It stays where it is until `events()` is called.
        """

    @abstractmethod
    def events(self) -> list[SerialEvent]:
        """What happened since the last call, oldest first. Never blocks, never raises."""


def open_driver(name: str, **options: Any) -> SerialDevice:
    """Make the device of a driver by name; imports the driver's module now.

    Raises WrongSettings for a name that is not in DRIVERS and for options that it does not know
    or cannot use; what the options are says each driver.
    """
    misuse = (TypeError, ValueError, LookupError, AttributeError)
    made = made_by_driver(DRIVERS, name, options, "serial driver", WrongSettings, misuse)
    assert isinstance(made, SerialDevice)
    return made
