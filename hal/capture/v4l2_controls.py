"""Controls of a V4L2 device by name: brightness, gain, exposure, and what a driver has besides."""

from __future__ import annotations

from dataclasses import dataclass

from hal.capture import v4l2_kernel as kernel

_KINDS = {1: "number", 2: "switch", 3: "menu", 4: "button", 9: "number menu", 8: "bits"}


@dataclass(frozen=True, slots=True)
class Control:
    """One control. `choices` are those of a menu, by value."""

    name: str
    identifier: int
    kind: str
    minimum: int
    maximum: int
    step: int
    default: int
    choices: dict[int, str]


def controls(descriptor: int) -> dict[str, Control]:
    """All that can be set, by name. Raises nothing: a device without controls has none."""
    found: dict[str, Control] = {}
    identifier = kernel.CTRL_NEXT
    while True:
        data = kernel.QUERYCTRL.pack(identifier, 0, b"", 0, 0, 0, 0, 0)
        try:
            row = kernel.QUERYCTRL.unpack(kernel.call(descriptor, kernel.QUERYCTRL_NUMBER, data))
        except OSError:
            return found
        identifier = row[0] | kernel.CTRL_NEXT
        kind = _KINDS.get(row[1])
        if kind is None or row[7] & kernel.CTRL_DISABLED:
            continue
        name = kernel.text(row[2])
        choices = _choices(descriptor, row[0], row[3], row[4]) if "menu" in kind else {}
        found[name] = Control(name, row[0], kind, row[3], row[4], row[5], row[6], choices)


def _choices(descriptor: int, identifier: int, first: int, last: int) -> dict[int, str]:
    found = {}
    for index in range(first, min(last, first + 255) + 1):
        try:
            raw = kernel.call(
                descriptor, kernel.QUERYMENU_NUMBER, kernel.QUERYMENU.pack(identifier, index, b"")
            )
        except OSError:
            continue  # Menus have gaps.
        found[index] = kernel.text(kernel.QUERYMENU.unpack(raw)[2])
    return found


def get(descriptor: int, control: Control) -> int:
    """Its value. Raises OSError."""
    raw = kernel.call(descriptor, kernel.G_CTRL, kernel.CONTROL.pack(control.identifier, 0))
    return int(kernel.CONTROL.unpack(raw)[1])


def put(descriptor: int, control: Control, value: int | str) -> None:
    """Set it: a number, or the name of a choice. Raises OSError, ValueError for no such choice."""
    if isinstance(value, str):
        numbers = [number for number, name in control.choices.items() if name == value]
        if not numbers:
            known = ", ".join(control.choices.values())
            raise ValueError(f"{control.name} has no choice {value!r}; there are: {known}")
        value = numbers[0]
    kernel.call(descriptor, kernel.S_CTRL, kernel.CONTROL.pack(control.identifier, int(value)))
