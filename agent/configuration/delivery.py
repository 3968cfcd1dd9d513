"""Delivery: how jobs are tried, and what the peer's answers lead to."""

from __future__ import annotations

from agent.configuration.connection import Retry
from agent.configuration.key import key, section
from agent.configuration.kinds import Choice, Flag, Table, count, duration


@section
class Delivery:
    """The queue of jobs that send objects."""

    associations: int = key(
        count(1, 1024), "associations that deliveries hold at once, over all peers", default=16
    )
    batch: int = key(
        count(1, 100000), "jobs that are taken from the queue for one association", default=256
    )
    gather: float = key(
        duration(0, 600),
        "wait this long for more objects of the same study before an association is opened",
        default=0.0,
    )
    on_warning: str = key(
        Choice("done", "hold"), "what a warning status of the peer leads to", default="done"
    )
    on_failure: str = key(
        Choice("continue", "stop"),
        "after a failure status for one object, go on with the others on this association or not",
        default="continue",
    )
    retry_after_reload: bool = key(
        Flag(),
        "after a reload, try again what was held because the peer did not take its SOP class or "
        "transfer syntax",
        default=True,
    )
    retry: Retry = key(Table(Retry), "when to try again", default=Retry())
