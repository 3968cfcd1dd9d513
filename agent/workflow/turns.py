"""Who may call whom now: peers that hold one association only, and entities that open so many.

What wants to call one of those waits for what came before.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.configuration.entity import Entity
from agent.configuration.peer import Peer
from agent.loop import Limit
from agent.network.association import Association


class Turns:
    """Who may call which peer now, of all that this node sends and asks.

    Handed to every `Opening` of a node, so that deliveries, messages, queries and retrievals take
    turns at a peer with `single_association`, and in the name of an entity whose limits name
    `associations_opened`. Others know no turns.
    """

    def __init__(self) -> None:
        self._limits: dict[tuple[str, int], Limit] = {}

    def of(self, peer: Peer, entity: Entity | None) -> Sequence[Limit]:
        """To be held, taken in this order, while there is an association with this peer in the name
        of this entity."""
        found = []
        if peer.quirks.single_association:
            found.append(self._limits.setdefault((f"peer {peer.name}", 1), Limit(1)))
        most = 0 if entity is None else entity.limits.associations_opened
        if entity is not None and most:
            found.append(self._limits.setdefault((f"entity {entity.name}", most), Limit(most)))
        return found


async def until_closed(association: Association, turns: Sequence[Limit]) -> None:
    """Hold these turns as long as the association lives."""
    try:
        await association.closed()
    finally:
        for each in turns:
            each.release()
