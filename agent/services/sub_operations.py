"""The C-STORE sub-operations of a C-MOVE or C-GET: counted, told to the peer, judged at the end.

PS3.4 C.4.2.1.4.2 to C.4.2.1.9 and C.4.2.3.1; C-GET, and annexes Y and Z, have the same rules
(C.4.3.1, Y.4.1.1.5, Z.4.2.1.5). Memory: the UIDs of failures, as many as one element takes.
"""

from __future__ import annotations

from typing import Any

from agent.dataset.attributes import Attributes
from agent.dataset.transfer_syntaxes import TRANSFER_SYNTAXES
from agent.loop import Event, Limit, now, sleep_until
from agent.network import command as c
from agent.network.association import IncomingRequest, Response
from agent.network.status import CANCEL, PENDING, SUCCESS, Category
from agent.services.data_sets import encoded

UNABLE_TO_CALCULATE_NUMBER_OF_MATCHES = 0xA701
UNABLE_TO_PERFORM_SUB_OPERATIONS = 0xA702
SUB_OPERATIONS_COMPLETE_WITH_FAILURES = 0xB000

LARGEST_COUNT = 0xFFFF
"""Counters are US (PS3.7 E.1): of more it is told that there are so many at least."""

_EACH = 100
"""Sub-operations up to which a Pending response follows each of them."""
_PACE = 0.5
"""Seconds between Pending responses where there are more."""
_LONGEST_LIST = 0xFFFE
"""Bytes of a UI element in an explicit VR (PS3.5 7.1.2)."""
_LONGEST_IMPLICIT_LIST = 1 << 20
_NONE_SENT = "No object could be sent"


class SubOperations:
    """Those of one request. Their sum never changes once `begin` has told it."""

    def __init__(self, request: IncomingRequest) -> None:
        self.cancelled = Event()
        """The peer has sent C-CANCEL: nothing more is to be begun."""
        self.under_way = 0
        """Objects that are being sent, or whose C-STORE is not answered yet."""
        self.idle = Event()
        """There are none such."""
        self.idle.set()
        self.remaining = self.completed = self.failed = self.warning = 0
        self.stopped = False
        """The rest was given up after a failure, as the configuration wants it."""
        self._request = request
        self._failed_uids: list[str] = []
        explicit = TRANSFER_SYNTAXES[request.context.transfer_syntax].explicit_vr
        self._room = _LONGEST_LIST if explicit else _LONGEST_IMPLICIT_LIST
        self._told = float("-inf")
        self._line = Limit(1)
        self._total = 0
        self.begun = False
        """Their number is known."""
        if request.cancelled:
            self.cancelled.set()
        request.on_cancel = self.cancelled.set

    @property
    def message_id(self) -> int:
        return self._request.message_id

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be begun."""
        return self.cancelled.is_set() or self.stopped

    def begin(self, total: int) -> None:
        """So many sub-operations there will be."""
        self.remaining = self._total = total
        self.begun = True

    def __enter__(self) -> None:
        """An object is under way within this block; several may be at once."""
        self.under_way += 1
        self.idle.clear()

    def __exit__(self, *_: object) -> None:
        self.under_way -= 1
        if not self.under_way:
            self.idle.set()

    def settle(self, category: Category, uid: str) -> None:
        """A sub-operation has ended."""
        if category is Category.SUCCESS:
            self.completed += 1
        elif category is Category.WARNING:
            self.warning += 1
        else:
            self.failed += 1
            self._note_failure(uid)
        self.remaining -= 1

    def fail(self, uid: str) -> None:
        """A sub-operation could not be performed."""
        self.settle(Category.FAILURE, uid)

    def fail_rest(self) -> None:
        """What remains cannot be performed, and nobody knows its UIDs (any more)."""
        self.failed += self.remaining
        self.remaining = 0

    def _note_failure(self, uid: str) -> None:
        # A list is UIDs with a backslash between, padded to an even length.
        if len(uid) + 2 <= self._room:
            self._failed_uids.append(uid)
            self._room -= len(uid) + 1

    async def tell(self) -> None:
        """Send a Pending response, if one is due: after each sub-operation of a few, now and then
        of many. Raises PeerError when the association has ended."""
        moment = now()
        if self._total > _EACH and moment < self._told + _PACE:
            return
        if not self._line.try_acquire():
            # One is on its way; what it does not tell, the next one will.
            return
        try:
            self._told = moment
            await self._request.respond(Response(PENDING, elements=self._counters(True)))
        finally:
            self._line.release()

    async def keep_telling(self, seconds: float) -> None:
        """Send a Pending response when none was sent for so long: the peer shall see that its
        request is worked on, however long one object takes. Until cancelled."""
        while True:
            await sleep_until(max(now() + _PACE, self._told + seconds))
            if self.begun and now() >= self._told + seconds:
                await self.tell()

    def final(self) -> Response:
        """The response that ends the operation."""
        if self.cancelled.is_set() and self.remaining:
            return self._response(CANCEL, "", with_remaining=True)
        if self.stopped or (self.failed and not (self.completed or self.warning)):
            comment = "The rest was not sent after a failure" if self.stopped else _NONE_SENT
            return self._response(UNABLE_TO_PERFORM_SUB_OPERATIONS, comment)
        if self.failed or self.warning:
            return self._response(SUB_OPERATIONS_COMPLETE_WITH_FAILURES, "")
        return self._response(SUCCESS, "")

    def _response(self, status: int, comment: str, *, with_remaining: bool = False) -> Response:
        response = Response(status, comment, elements=self._counters(with_remaining))
        if self._failed_uids:
            failed = Attributes(FailedSOPInstanceUIDList=self._failed_uids)
            response.data_set = encoded(failed, self._request.context)
        return response

    def _counters(self, with_remaining: bool) -> dict[int, Any]:
        counters = {
            c.NUMBER_OF_COMPLETED_SUBOPERATIONS: min(self.completed, LARGEST_COUNT),
            c.NUMBER_OF_FAILED_SUBOPERATIONS: min(self.failed, LARGEST_COUNT),
            c.NUMBER_OF_WARNING_SUBOPERATIONS: min(self.warning, LARGEST_COUNT),
        }
        if with_remaining:
            counters[c.NUMBER_OF_REMAINING_SUBOPERATIONS] = min(self.remaining, LARGEST_COUNT)
        return counters
