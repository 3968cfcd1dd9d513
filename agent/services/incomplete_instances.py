"""Storage SCP for instances without their bulk data (PS3.4 Z.4.2.2.1): read, never stored.

What is missing is missing on purpose: no status of A9xxH or B007H follows from it.
"""

from __future__ import annotations

from collections.abc import Callable

from agent.dataset.attributes import Attributes
from agent.errors import PeerError, StatusReaction
from agent.network.association import IncomingRequest, Response
from agent.network.commands import C_STORE_RQ
from agent.network.data_set import MemorySink
from agent.network.status import CANNOT_UNDERSTAND, SUCCESS, UNRECOGNIZED_OPERATION
from agent.services.data_sets import data_set_of

LARGEST_INSTANCE = 4 << 20
"""Bytes of an instance that are read; longer ones are refused (0213H)."""


class IncompleteInstanceProvider:
    """Gives each instance that a Retrieve Without Bulk Data brings to `take`. Memory: one at a
    time, some ten times its length."""

    def __init__(self, take: Callable[[Attributes], None]) -> None:
        self._take = take

    def begin(self, request: IncomingRequest) -> MemorySink:
        if request.command.field != C_STORE_RQ:
            comment = "Storage knows C-STORE only"
            raise PeerError(
                comment,
                clause="PS3.4 B.1.2",
                reaction=StatusReaction(UNRECOGNIZED_OPERATION, comment),
            )
        return MemorySink(LARGEST_INSTANCE)

    async def perform(self, request: IncomingRequest) -> Response:
        try:
            instance = data_set_of(request)
        except PeerError as error:
            comment = "Data set cannot be read"
            raise PeerError(
                comment, clause="PS3.5 7", reaction=StatusReaction(CANNOT_UNDERSTAND, comment)
            ) from error
        self._take(instance)
        return Response(SUCCESS)
