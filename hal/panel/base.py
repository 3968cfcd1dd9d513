"""The interface of a panel: lamps that show how things are, buttons that are pressed.

No thread, no loop: the owner waits for `descriptor` and `deadline()` and calls `events()`, which
also moves the lamps that blink.

    PanelError
    ├── PanelGone       example: the line is held by another program, or there is no such chip
    └── WrongPanel      example: two names for one line
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any

from hal.drivers import made_by_driver

DRIVERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "gpio": ("hal.panel.gpio", "GpioPanel"),
        "simulator": ("hal.panel.simulator", "SimulatedPanel"),
    }
)
"""Driver name to (module, class)."""

_EARLY = 1e-6


class PanelError(Exception):
    """The root of what a panel can raise; never raised itself."""


class PanelGone(PanelError):
    """The hardware cannot be had."""


class WrongPanel(PanelError):
    """The panel cannot be set up as it was told."""


class Pattern(Enum):
    """What a lamp does: seconds on, seconds off; 0 off is a steady light.

    A change is due a microsecond early: the clock at a deadline is a sum that may fall just short.
    """

    OFF = (0.0, 1.0)
    ON = (1.0, 0.0)
    SLOW = (1.0, 1.0)
    FAST = (0.125, 0.125)
    FLASH = (0.1, 1.9)

    def is_lit(self, since: float) -> bool:
        """Whether it is lit, so many seconds after it was set."""
        on, off = self.value
        return bool(on) and (not off or (since + _EARLY) % (on + off) < on)

    def next_change(self, since: float) -> float | None:
        """Seconds until it changes; None for a steady one."""
        on, off = self.value
        if not on or not off:
            return None
        phase = (since + _EARLY) % (on + off)
        return float((on if phase < on else on + off) - phase + _EARLY)


@dataclass(frozen=True, slots=True)
class ButtonPressed:
    """A button went down, `at` seconds of the clock."""

    at: float
    button: str


@dataclass(frozen=True, slots=True)
class ButtonReleased:
    """It came up again."""

    at: float
    button: str


PanelEvent = ButtonPressed | ButtonReleased


class Panel(ABC):
    """Lamps and buttons by name. `open` of one that is open, and `close` of one that is closed, do
    nothing; a closed one shows nothing, and remembers nothing of what it was to show."""

    @abstractmethod
    def open(self) -> None:
        """Take the lines; all lamps are off. Raises PanelGone, WrongPanel."""

    @abstractmethod
    def close(self) -> None:
        """Put the lamps out and let go. Never raises."""

    @abstractmethod
    def show(self, lamp: str, pattern: Pattern) -> None:
        """From now on. A lamp that is not there is no error: boxes differ."""

    @property
    @abstractmethod
    def descriptor(self) -> int | None:
        """Readable when a button moved; None: no buttons, or a chip that was pulled out."""

    @abstractmethod
    def deadline(self) -> float | None:
        """When a lamp has to be switched, or an event waits; None: never."""

    @abstractmethod
    def events(self) -> list[PanelEvent]:
        """What happened since the last call. Never blocks, never raises."""


def open_driver(name: str, **options: Any) -> Panel:
    """Make the panel of a driver by name.

    Raises WrongPanel for one that is not in DRIVERS and for settings that it cannot use.
    """
    misuse = (TypeError, ValueError, LookupError, AttributeError)
    made = made_by_driver(DRIVERS, name, options, "panel driver", WrongPanel, misuse)
    assert isinstance(made, Panel)
    return made
