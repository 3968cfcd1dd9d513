"""Waiting for a device whose driver has a descriptor, or a deadline, or both."""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

from agent.loop import Event, TimedOut, current_loop, now, readable, timeout


class WaitedFor(Protocol):
    """What the drivers of `hal` have in common."""

    @property
    def descriptor(self) -> int | None: ...

    def deadline(self) -> float | None: ...

    def close(self) -> None: ...


async def until_due(device: WaitedFor) -> None:
    """Until its descriptor is readable, or its deadline has come."""
    due = device.deadline()
    descriptor = device.descriptor
    wait = None if due is None else max(0.0, due - now())
    with suppress(TimedOut), timeout(wait):
        if descriptor is None:
            await Event().wait()
        else:
            try:
                await readable(descriptor)
            finally:
                # The driver may close it behind our back when its port goes.
                current_loop().forget(descriptor)


def let_go(device: WaitedFor) -> None:
    """Close it; the loop forgets it first."""
    descriptor = device.descriptor
    if descriptor is not None:
        current_loop().forget(descriptor)
    device.close()
