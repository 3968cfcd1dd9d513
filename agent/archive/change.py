"""A change of rows that shares a transaction with others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Change:
    """What to call within the transaction; afterwards its `result`, or its `error`."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    result: Any = None
    error: Exception | None = None
