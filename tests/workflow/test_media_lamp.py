"""What the lamp for media shows."""

from __future__ import annotations

from typing import Any

import pytest

from agent.workflow.media_lamp import pattern_of
from agent.workflow.media_watch import COMING, HERE, IMPORTING, RELEASED, USELESS
from hal.panel.base import Pattern


def medium(state: str, why: str = "", *, blank: bool = False) -> dict[str, Any]:
    return {"state": state, "why": why, "blank": blank}


def work(**more: Any) -> dict[str, Any]:
    return {"going": True, "waits": "", "failed": "", "target": "/media/stick"} | more


@pytest.mark.parametrize(
    ("seen", "at_work", "pattern"),
    [
        ([], [], Pattern.OFF),
        ([medium(COMING)], [], Pattern.SLOW),
        ([medium(HERE)], [], Pattern.SLOW),
        ([medium(HERE, "it is blank", blank=True)], [], Pattern.SLOW),
        ([medium(IMPORTING)], [work()], Pattern.SLOW),
        ([medium(RELEASED)], [], Pattern.ON),
        ([medium(RELEASED)], [work(going=False)], Pattern.ON),
        ([medium(RELEASED), medium(HERE)], [], Pattern.SLOW),
        ([medium(USELESS, "no file system")], [], Pattern.FAST),
        ([medium(HERE, "no worklist entry")], [], Pattern.FAST),
        ([medium(RELEASED)], [work(going=False, failed="3 files not read")], Pattern.FAST),
        ([], [work(waits="put the medium back")], Pattern.FAST),
        ([], [work(waits="451 later", target="mailto:a@b")], Pattern.SLOW),
        ([], [work()], Pattern.SLOW),
    ],
)
def test_what_goes_wrong_comes_first_then_what_goes_on(
    seen: list[dict[str, Any]], at_work: list[dict[str, Any]], pattern: Pattern
) -> None:
    assert pattern_of(seen, at_work) is pattern
