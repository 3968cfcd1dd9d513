"""What a task can wait for by itself: a moment, its next turn, a descriptor."""

from __future__ import annotations

import types
from collections.abc import Generator

from agent.loop.descriptors import HasDescriptor
from agent.loop.loop import current_loop
from agent.loop.task import current_task, suspend


def now() -> float:
    """The time of the loop's clock in seconds."""
    return current_loop().clock.now()


async def sleep_until(at: float) -> None:
    """Wait until the loop's clock reaches `at`; a moment that is past still gives others a turn."""
    timer = current_loop().at(at, current_task().wake)
    await suspend(timer.cancel)


async def sleep(seconds: float) -> None:
    """Wait for so many seconds of the loop's clock."""
    await sleep_until(now() + seconds)


async def turn() -> None:
    """Give way if this turn has used up its CPU time; cheap enough for each round of a hot loop."""
    if current_loop().turn_used:
        await give_way()


@types.coroutine
def give_way() -> Generator[None, None, None]:
    """Let everything else that is ready have its turn first."""
    task = current_task()
    task.wait(None)
    task.wake()
    yield


@types.coroutine
def readable(thing: int | HasDescriptor) -> Generator[None, None, None]:
    """Wait until there is something to read, or the other end is gone.

    Try to read first: this is for when there was nothing. One task may wait for each descriptor and
    direction, else LocalError. `Loop.forget` the descriptor before you close it.
    """
    current_loop().descriptors.wait_to_read(thing, current_task())
    yield


@types.coroutine
def writable(thing: int | HasDescriptor) -> Generator[None, None, None]:
    """Wait until something can be written, or the other end is gone; else like `readable`."""
    current_loop().descriptors.wait_to_write(thing, current_task())
    yield
