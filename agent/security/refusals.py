"""The one place where a refusal is counted and logged: whatever was asked, and by whom."""

from __future__ import annotations

from agent import observation
from agent.quoting import Sentence

REFUSED_TOTAL = observation.metrics.counter(
    "gantry_access_refused_total", "What callers were refused, by what was wrong", "reason"
)


def note_refusal(reason: str, number: int = 1, /, **fields: object) -> None:
    """Something was refused to somebody: a connection, an association, contexts, an operation, a
    question. `fields` say what and to whom; none of them is a secret or names a patient."""
    REFUSED_TOTAL.of(reason).add(number)
    observation.notice("access.refused", reason=Sentence(reason), **fields)
