"""A device on a serial line, in a worker process of its own: whatever blocks there, blocks only it.

Opening a USB adapter, setting its rate and closing it are transfers that the kernel waits for, for
seconds where the adapter is broken; a terminal server has a name to be found and a host that may be
dead. All of that happens again whenever the port comes back. So the whole driver lives here, and
the node asks it what happened.
"""

from __future__ import annotations

import select
import time
from collections.abc import Mapping
from typing import Any

from agent.errors import DeviceError
from agent.loop.calls import Calls
from hal.serial.base import SerialDevice, SerialError, SerialEvent, open_driver


def serve_serial(calls: Calls, kind: str, settings: Mapping[str, Any]) -> None:
    """Serve "open", then "events" again and again, each answered with what happened since.

    Of "events" the answer comes when there is something to tell. Memory: a few events; as the
    driver.
    """
    device: SerialDevice | None = None
    try:
        while group := calls.receive(limit=1):
            (call,) = group
            try:
                if device is None:
                    device = _opened(kind, settings)
                call.reply([] if call.name == "open" else _events(device, calls))
            except DeviceError as error:
                call.fail(error)
    finally:
        if device is not None:
            device.close()


def _opened(kind: str, settings: Mapping[str, Any]) -> SerialDevice:
    try:
        device = open_driver(kind, **settings)
        device.open()
    except (SerialError, OSError) as error:
        raise DeviceError(
            f"the device cannot be used: {error}",
            way_out="Correct [serial.settings], or free the port.",
        ) from error
    return device


def _events(device: SerialDevice, calls: Calls) -> list[SerialEvent]:
    """What happened, once anything has; nothing when the node says something meanwhile."""
    while not (found := device.events()):
        poll = select.poll()
        poll.register(calls.descriptor, select.POLLIN)
        if device.descriptor is not None:
            poll.register(device.descriptor, select.POLLIN)
        due = device.deadline()
        wait = None if due is None else max(0.0, due - time.monotonic()) * 1000 + 1
        if any(descriptor == calls.descriptor for descriptor, _ in poll.poll(wait)):
            return []
    return found
