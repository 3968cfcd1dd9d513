"""A line on the control socket as a request: what it may be is checked once, for all questions.

Who may write there may do much, but may not make the node fail: a field of the wrong kind, a number
that nothing can hold, or JSON without end is answered as what cannot be asked.
"""

from __future__ import annotations

import json
import math
from typing import Any

LONGEST_REQUEST = 1 << 16
"""Bytes of a line."""

_LARGEST = 1 << 63
# Fields whose value is used as it comes; of others each question makes what it needs.
_KINDS: dict[str, tuple[type, ...]] = {
    "do": (str,),
    "archive": (str,),
    "changes": (dict,),
    "destination": (str,),
    "device": (str,),
    "discontinue": (str,),
    "entry": (dict,),
    "jobs": (list,),
    "keys": (dict,),
    "level": (str,),
    "limit": (int,),
    "operator": (str,),
    "patient": (dict,),
    "query": (dict,),
    "state": (str,),
    "studies": (list,),
    "uid": (str,),
}


def request_of(line: bytes) -> dict[str, Any]:
    """Raises ValueError for what is no request. A field of null is as one that is not there."""
    try:
        found = json.loads(line, parse_int=_integer, parse_float=_fraction, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")
    request = {name: value for name, value in found.items() if value is not None}
    for name, kinds in _KINDS.items():
        if name in request and not isinstance(request[name], kinds):
            raise ValueError(f"{name} is a {type(request[name]).__name__}")
    return request


def _integer(text: str) -> int:
    # The index holds 64 bits; Python itself refuses to read thousands of digits.
    value = int(text)
    if not -_LARGEST <= value < _LARGEST:
        raise ValueError("a number is too large")
    return value


def _fraction(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number is too large")
    return value


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")
