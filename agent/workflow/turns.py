"""Peers that hold one association only: what wants to call them waits for the one before."""

from __future__ import annotations

from agent.configuration.peer import Peer
from agent.loop import Limit
from agent.network.association import Association


class Turns:
    """Who may call which peer now, of all that this node sends and asks.

    Handed to every `Opening` of a node, so that deliveries, messages and queries to a peer with
    `single_association` take turns. Other peers know no turns.
    """

    def __init__(self) -> None:
        self._limits: dict[str, Limit] = {}

    def of(self, peer: Peer) -> Limit | None:
        """To be held while there is an association with this peer; None: there is no limit."""
        if not peer.quirks.single_association:
            return None
        return self._limits.setdefault(peer.name, Limit(1))


async def until_closed(association: Association, turn: Limit) -> None:
    """Hold the turn as long as the association lives."""
    try:
        await association.closed()
    finally:
        turn.release()
