"""A decision on an association that must be waited for: a worker or a program has a part in it.

The association stays in Sta3 meanwhile (PS3.8 Table 9-10): the loop goes on, and so does reading,
so that a peer who leaves ends the wait.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from agent import observation
from agent.errors import GantryError
from agent.loop import current_loop
from agent.network.admission import Admission
from agent.network.association import Association
from agent.network.pdu import AssociateReject
from agent.network.rejection import IDENTITY_NOT_VERIFIED

_AWAITING_RESPONSE = 3  # Sta3 of PS3.8 Table 9-4.


def decide_later(
    association: Association,
    decision: Coroutine[Any, Any, Admission | AssociateReject],
    answer: Callable[[Admission | AssociateReject], None],
) -> None:
    """Call `answer` when the decision is there, and send what it says. A defect rejects for now."""

    async def wait() -> None:
        found: Admission | AssociateReject
        try:
            found = await decision
        except Exception as error:
            observation.error(
                "decision failed",
                association=association.identification,
                **observation.unforeseen(error),
            )
            found = IDENTITY_NOT_VERIFIED
        association.deliberation = None
        if association.upper_layer.state != _AWAITING_RESPONSE:
            return
        answer(found)
        try:
            await association.tell()
        except GantryError:
            # The reading task meets the same fault, and says so.
            return

    task = association.deliberation = current_loop().start_background(wait(), "admission")
    # A peer may leave before the first step.
    task.when_done(lambda _: decision.close())
