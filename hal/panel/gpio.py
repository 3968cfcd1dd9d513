"""Lamps and buttons at the GPIO character device (linux/gpio.h, version 2 of its interface).

All structures are the same on 32 and 64 bits: the interface was made so. Lamps and edges of a
button are proven at the PL061 of the machine tests; bouncing contacts on hardware only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import time
from collections.abc import Callable, Mapping

from hal.panel.base import (
    ButtonPressed,
    ButtonReleased,
    Panel,
    PanelEvent,
    PanelGone,
    Pattern,
    WrongPanel,
)
from hal.panel.lamps import Lamps

MOST_LINES = 64
_NAME = 32
_MOST_ATTRIBUTES = 10

# struct gpio_v2_line_attribute: id, padding, and a union of 64 bits.
_ATTRIBUTE = struct.Struct("=IIQ")
# struct gpio_v2_line_config_attribute: an attribute and a mask.
_CONFIG_ATTRIBUTE = struct.Struct("=IIQQ")
# struct gpio_v2_line_config: flags, number of attributes, five words of padding, attributes.
CONFIG_SIZE = 8 + 4 + 5 * 4 + _MOST_ATTRIBUTES * _CONFIG_ATTRIBUTE.size
# struct gpio_v2_line_request: offsets, consumer, config, number, buffer size, padding, descriptor.
REQUEST_SIZE = MOST_LINES * 4 + _NAME + CONFIG_SIZE + 4 + 4 + 5 * 4 + 4
# struct gpio_v2_line_values: bits, mask.
_VALUES = struct.Struct("=QQ")
# struct gpio_v2_line_event: time, id, offset, two numbers, six words of padding.
EVENT = struct.Struct("=QIIII24x")


def _iowr(number: int, size: int) -> int:
    return 3 << 30 | size << 16 | 0xB4 << 8 | number


GET_LINE = _iowr(0x07, REQUEST_SIZE)
SET_VALUES = _iowr(0x0F, _VALUES.size)

ACTIVE_LOW, INPUT, OUTPUT = 1 << 1, 1 << 2, 1 << 3
EDGE_RISING, EDGE_FALLING = 1 << 4, 1 << 5
BIAS_PULL_UP, BIAS_PULL_DOWN = 1 << 8, 1 << 9
_DEBOUNCE = 3
_RISING = 1
_BIAS = {"": 0, "up": BIAS_PULL_UP, "down": BIAS_PULL_DOWN}


class GpioPanel(Panel):
    """Lamps and buttons by name at the lines of one chip.

    `lamps` and `buttons` map a name to a line number. With `active_low` a lamp is lit, and a button
    pressed, at low level (buttons to ground want `bias` "up"). `debounce` in seconds.
    """

    def __init__(
        self,
        *,
        chip: str = "/dev/gpiochip0",
        lamps: Mapping[str, int] | None = None,
        buttons: Mapping[str, int] | None = None,
        active_low: bool = False,
        bias: str = "",
        debounce: float = 0.02,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._chip = chip
        self._lamp_lines = dict(lamps or {})
        self._button_lines = dict(buttons or {})
        lines = [*self._lamp_lines.values(), *self._button_lines.values()]
        if len(set(lines)) < len(lines) or len(lines) > MOST_LINES:
            raise WrongPanel("each line has one name")
        if not all(isinstance(line, int) and 0 <= line < 1 << 32 for line in lines):
            raise WrongPanel("a line is a number from 0")
        if bias not in _BIAS:
            raise WrongPanel(f"{bias!r} is no bias: up, down")
        if not 0 <= debounce <= 60:
            raise WrongPanel(f"{debounce} seconds are no time in which a contact comes to rest")
        self._flags = ACTIVE_LOW if active_low else 0
        self._bias = _BIAS[bias]
        self._debounce = debounce
        self.now = now
        self._outputs: int | None = None
        self._inputs: int | None = None
        self._is_open = False
        self._lamps = Lamps(self._switch, now)

    def open(self) -> None:
        if self._is_open:
            return
        try:
            chip = os.open(self._chip, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise PanelGone(f"{self._chip}: {error.strerror}") from error
        try:
            if self._lamp_lines:
                lines = list(self._lamp_lines.values())
                self._outputs = _request(chip, lines, OUTPUT | self._flags, 0.0)
            if self._button_lines:
                lines = list(self._button_lines.values())
                edges = INPUT | EDGE_RISING | EDGE_FALLING | self._bias | self._flags
                self._inputs = _request(chip, lines, edges, self._debounce)
                os.set_blocking(self._inputs, False)
        except OSError as error:
            self.close()
            raise PanelGone(f"lines of {self._chip}: {error.strerror}") from error
        finally:
            os.close(chip)
        self._is_open = True

    def close(self) -> None:
        for lamp in self._lamp_lines:
            self._switch(lamp, False)
        self._lamps.forget()
        self._is_open = False
        if self._outputs is not None:
            os.close(self._outputs)
            self._outputs = None
        self._let_go_of_buttons()

    def show(self, lamp: str, pattern: Pattern) -> None:
        if self._is_open and lamp in self._lamp_lines:
            self._lamps.show(lamp, pattern)

    @property
    def descriptor(self) -> int | None:
        return self._inputs

    def deadline(self) -> float | None:
        return self._lamps.deadline()

    def events(self) -> list[PanelEvent]:
        self._lamps.move()
        if self._inputs is None:
            return []
        try:
            data = os.read(self._inputs, EVENT.size * 16)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            # The chip was pulled out; its descriptor would be readable for ever.
            self._let_go_of_buttons()
            return []
        at = self.now()
        names = {line: name for name, line in self._button_lines.items()}
        return [
            (ButtonPressed if kind == _RISING else ButtonReleased)(at, names[line])
            for _, kind, line, _, _ in EVENT.iter_unpack(data[: len(data) - len(data) % EVENT.size])
            if line in names
        ]

    def _let_go_of_buttons(self) -> None:
        if self._inputs is not None:
            os.close(self._inputs)
            self._inputs = None

    def _switch(self, lamp: str, lit: bool) -> None:
        if self._outputs is None:
            return
        bit = 1 << list(self._lamp_lines).index(lamp)
        # A lamp that cannot be switched must not stop anything.
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._outputs, SET_VALUES, _VALUES.pack(bit if lit else 0, bit))


def _request(chip: int, lines: list[int], flags: int, debounce: float) -> int:
    """A descriptor for some lines. Raises OSError."""
    request = request_of(lines, flags, debounce)
    fcntl.ioctl(chip, GET_LINE, request)
    descriptor: int = struct.unpack_from("=i", request, REQUEST_SIZE - 4)[0]
    return descriptor


def request_of(lines: list[int], flags: int, debounce: float) -> bytearray:
    """A struct gpio_v2_line_request for some lines, `debounce` in seconds (0: none)."""
    attributes = b""
    if debounce:
        mask = (1 << len(lines)) - 1
        attributes = _CONFIG_ATTRIBUTE.pack(_DEBOUNCE, 0, round(debounce * 1e6), mask)
    count = 1 if attributes else 0
    config = struct.pack("=QI20x", flags, count) + attributes.ljust(CONFIG_SIZE - 32, b"\0")
    return bytearray(
        struct.pack("=64I", *lines, *[0] * (MOST_LINES - len(lines)))
        + b"gantry".ljust(_NAME, b"\0")
        + config
        + struct.pack("=II20xi", len(lines), 0, 0)
    )
