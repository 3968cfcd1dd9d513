"""What commands show of imports and exports, which go on in the node when the command is over."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Collection
from typing import Any

from agent.control import ask

_LOOK = 0.5

Line = Callable[[dict[str, Any]], str]
"""One of them in a line, for people."""


def wait(
    options: argparse.Namespace, question: str, numbers: Collection[int], line: Line
) -> list[dict[str, Any]]:
    """Until all of these are over; as they are then. What changes meanwhile is printed, unless JSON
    is wanted. `question` lists them."""
    said = ""
    while True:
        items = ask(options.control, question, limit=1000)["items"]
        mine = [each for each in items if each["id"] in numbers]
        if all(each["state"] != "IN PROGRESS" for each in mine):
            return mine
        now = "; ".join(map(line, mine))
        if now != said and not options.json:
            said = now
            print(now, flush=True)
        time.sleep(_LOOK)


def show(items: list[dict[str, Any]], as_json: bool, line: Line, named_by: str) -> None:
    """Print them; what failed is named by this key."""
    if as_json:
        print(json.dumps({"items": items}, ensure_ascii=False))
        return
    for each in items:
        print(line(each))
        for said in each.get("said", ()):
            print(f"  {said}")
        for failure in each["failures"]:
            print(f"  {failure[named_by]}: {failure['reason']}")
