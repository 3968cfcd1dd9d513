"""What `gantry doctor` finds of hardware: the names that a configuration wants."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from agent.cli.doctor_findings import BAD, GOOD, NOTE, Finding
from agent.configuration.configuration import Configuration
from hal.capture.base import CaptureDescription
from hal.capture.v4l2_enumeration import survey
from hal.panel.gpio_chips import gpio_chips
from hal.serial.keyboard import keyboards
from hal.serial.ports import serial_ports


def devices(configuration: Configuration) -> Iterator[Finding]:
    """The devices that the drivers could use, and those that are configured and not there.

    Where the configuration wants a kind of device, to have none of it is a fault.
    """
    wanted = dict(_wanted(configuration))
    for name, path in wanted.items():
        if path.startswith("/") and not Path(path).exists():
            yield BAD, f"{name}: there is no {path}"
    kinds = {name.partition(" ")[0] for name in wanted}
    yield from _capture("capture" in kinds)
    yield from _serial("serial" in kinds)
    yield from _keyboards("keyboard" in kinds)
    yield from _gpio("panel" in kinds)


def _wanted(configuration: Configuration) -> Iterator[tuple[str, str]]:
    """Kind and name of each configured device with its path, "" where it has none."""
    for device in configuration.captures:
        if device.enabled and device.kind == "v4l2":
            yield f"capture {device.name}", device.device
    for line in configuration.serials:
        if line.enabled and line.kind != "simulator":
            kind = "keyboard" if line.kind == "keyboard" else "serial"
            place = line.settings.get("device" if kind == "keyboard" else "port", "")
            yield f"{kind} {line.name}", str(place)
    if configuration.panel.kind == "gpio":
        yield "panel", str(configuration.panel.settings.get("chip", ""))


def _capture(wanted: bool) -> Iterator[Finding]:
    found = survey()
    for each in found:
        if each.description is None:
            yield _lacking(wanted), f"capture: {each.path}: {each.problem}; its group is video"
        else:
            yield GOOD, f"capture: {each.path}: {_words(each.description)}"
    if not found:
        yield _lacking(wanted), "capture: no video device"


def _words(description: CaptureDescription) -> str:
    words = f"{description.name}, {description.driver}"
    if len(description.inputs) > 1:
        words += f"; inputs {', '.join(each.name for each in description.inputs)}"
    formats = dict.fromkeys(mode.pixel_format for mode in description.modes)
    if formats:
        largest = max(description.modes, key=lambda mode: mode.width * mode.height)
        words += f"; {', '.join(formats)} up to {largest.width} x {largest.height}"
    return words


def _serial(wanted: bool) -> Iterator[Finding]:
    found = serial_ports()
    for each in found:
        text = f"serial: {each.stable_path or each.path}: {each.name}"
        if each.stable_path:
            text += f", now {each.path}"
        if each.accessible:
            yield GOOD, text
        else:
            yield _lacking(wanted), f"{text}; not for this user: its group is dialout"
    if not found:
        yield _lacking(wanted), "serial: no port"


def _keyboards(wanted: bool) -> Iterator[Finding]:
    found = keyboards()
    for path, name in found.items():
        if os.access(path, os.R_OK):
            yield GOOD, f"keyboard: {name}, now {path}"
        else:
            yield _lacking(wanted), f"keyboard: {name}; not for this user: its group is input"
    if not found:
        yield _lacking(wanted), "keyboard: none, and no reader that is one"


def _gpio(wanted: bool) -> Iterator[Finding]:
    found = gpio_chips()
    for each in found:
        if each.problem:
            yield _lacking(wanted), f"gpio: {each.path}: {each.problem}; its group is gpio"
        else:
            yield GOOD, f"gpio: {each.path}: {each.label}, {each.lines} lines"
    if not found:
        yield _lacking(wanted), "gpio: no chip"


def _lacking(wanted: bool) -> str:
    """What it is to have no device of a kind, or one that this user may not open."""
    return BAD if wanted else NOTE
