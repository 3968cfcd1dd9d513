"""Digital signatures on receipt: verified in a worker before the object is kept (PS3.15 A.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.archive.decision import Origin
from agent.archive.reception import Reception
from agent.errors import StatusReaction
from agent.loop.workers import WorkerPool
from agent.services.keeping import Keeper, Verdict
from agent.workflow.signature_rule import SignatureRule, verify_received

if TYPE_CHECKING:
    from agent.security.signature_verification import Verified


class SignatureKeeper:
    """A keeper that looks at signatures first, then keeps."""

    def __init__(self, keeper: Keeper, rule: SignatureRule, pool: WorkerPool) -> None:
        self._keeper = keeper
        self._rule = rule
        self._pool = pool

    def refusal(self) -> StatusReaction | None:
        return self._keeper.refusal()

    def receive(self, file_meta: bytes) -> Any:
        return self._keeper.receive(file_meta)

    async def commit(self, reception: Reception, origin: Origin) -> Verdict:
        """As the keeper that it stands before, or the status for signatures. Raises
        ConfigurationError when those whom we trust cannot be read."""
        if self._rule.concerns(origin):
            found: list[Verified] | None = await self._pool.call(
                verify_received, self._rule.table, descriptors=(reception.descriptor,)
            )
            refused = self._rule.judge(found, origin)
            if refused is not None:
                reception.discard()
                return refused
        return await self._keeper.commit(reception, origin)
