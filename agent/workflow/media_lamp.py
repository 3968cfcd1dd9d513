"""What the lamp for media shows, and what `gantry status` says of media at work.

The lamp `media` is dark where there is no medium; it blinks slowly while one is there that must not
be pulled, or an import or export goes on; it is lit when what is there is safe to remove; it blinks
quickly when something went wrong, which `gantry status` tells.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agent.loop import TimedOut, sleep, timeout
from agent.workflow.export_addresses import SCHEME
from agent.workflow.media_desk import MediaDesk
from hal.panel.base import Pattern

if TYPE_CHECKING:
    from agent.workflow.media_watch import MediaWatch

LAMP = "media"

_LOOK = 0.5
"""Seconds between looks while there is something to be seen."""

SAFE = "safe to remove"
"""The state of a medium that may be pulled (agent.workflow.media_watch has more of them)."""


async def follow(
    desk: MediaDesk, watch: Callable[[], MediaWatch | None], show: Callable[[Pattern], None]
) -> None:
    """Until cancelled: show how it is with media. Nothing is done while there is nothing."""
    while True:
        desk.woken.clear()
        seen = media_at_hand(watch())
        work = desk.work()
        show(pattern_of(seen, work))
        if not seen and not any(each["going"] for each in work):
            await desk.woken.wait()
        else:
            await _a_while(desk)


async def _a_while(desk: MediaDesk) -> None:
    try:
        with timeout(_LOOK):
            await desk.woken.wait()
    except TimedOut:
        return
    await sleep(0)


def media_at_hand(watch: MediaWatch | None) -> list[dict[str, Any]]:
    """The media that are there, as people see them."""
    return watch.listing() if watch is not None else []


def pattern_of(seen: list[dict[str, Any]], work: list[dict[str, Any]]) -> Pattern:
    """What goes wrong is more than what goes on, and that more than what is over."""
    is_wrong = any(each["why"] and each["state"] != SAFE and not each["blank"] for each in seen)
    # A mail server that is away is nothing that somebody at the box could help.
    lacks = any(each["waits"] and not each["target"].startswith(SCHEME) for each in work)
    if is_wrong or lacks or any(each["failed"] for each in work):
        return Pattern.FAST
    if any(each["going"] for each in work) or any(each["state"] != SAFE for each in seen):
        return Pattern.SLOW
    return Pattern.ON if seen else Pattern.OFF
