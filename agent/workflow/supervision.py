"""Supervision: work that goes on for the life of the node, whatever happens to it once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from agent import observation
from agent.errors import GantryError
from agent.loop import now, sleep

FAULTS = observation.metrics.counter("gantry_faults_total", "Work that was started again", "work")

_PAUSE = 5.0
_SAID_AGAIN = 3600.0


async def supervised(
    run: Callable[[], Awaitable[None]],
    work: str,
    *,
    told: Callable[[Exception], None] | None = None,
    pause: float = _PAUSE,
    **fields: object,
) -> None:
    """Run it for ever: after an error it is logged, and runs again when `pause` seconds have gone.

    An archive whose volume is away may come back; a defect of ours must cost no more than the work
    in which it is. `told` learns of the error as well, `fields` go into the log, once an hour for
    as long as the words are the same.
    """
    said, again = "", 0.0
    while True:
        try:
            await run()
        except GantryError as error:
            if str(error) != said or now() >= again:
                said, again = str(error), now() + _SAID_AGAIN
                observation.error(f"{work} stopped", **fields, error=error)
            if told is not None:
                told(error)
        except Exception as error:
            observation.error(f"{work} failed", **fields, **observation.unforeseen(error))
            if told is not None:
                told(error)
        FAULTS.of(work).add()
        await sleep(pause)
