"""One archive from the node's side: receptions, the queue, questions and corrections on the loop.

Everything that may block is a call to a worker: the storage worker, which alone writes and is
permanent, or the reader workers of the node's pool. The storage worker is started again when it
died; what was not answered by then was not promised.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from agent import observation
from agent.archive.decision import KeepAll, Origin, Receiver, Verdict
from agent.archive.procedure_client import ProcedureClient
from agent.archive.questions import Questions
from agent.archive.reception import Reception
from agent.archive.settings import ArchiveSettings
from agent.archive.space import Usage
from agent.archive.worker_answers import Comparison, Stored
from agent.archive.worker_entries import compare, sync
from agent.errors import GantryError, StatusReaction, StorageError
from agent.loop.synchronization import Limit
from agent.loop.workers import Template, WorkerPool
from agent.quoting import Sentence, quoted

_LARGE = 1 << 20
"""Bytes from which an object is synced by itself first: small ones need not wait for it."""
_SLOW = 32 << 20
"""Bytes from which that may take seconds: one at a time, for the pool has other work, too."""


class Archive(ProcedureClient, Questions):
    """An open archive: receptions here, all else from its bases."""

    def __init__(
        self,
        folder: Path,
        template: Template,
        receiver: Receiver,
        settings: ArchiveSettings,
        pool: WorkerPool | None,
        name: str,
    ) -> None:
        ProcedureClient.__init__(self, folder, template, receiver, settings, name)
        Questions.__init__(self, folder, pool)
        self.pool = pool
        self.open_receptions = 0
        self._slow = Limit(1)
        self.before_deletion: Callable[[Sequence[int]], Awaitable[None]] | None = None
        """Awaited with their numbers before objects go, where there is an audit trail."""

    @classmethod
    async def open(
        cls,
        folder: Path | str,
        template: Template,
        receiver: Receiver | None = None,
        *,
        settings: ArchiveSettings | None = None,
        pool: WorkerPool | None = None,
        name: str = "archive",
        wait_for_disk: bool = False,
    ) -> Archive:
        """Start the storage worker, and put right what a crash left.

        `receiver` decides about objects; it is pickled. `pool` answers questions and syncs large
        objects; without it large ones are synced in the storage worker, and questions are refused.
        With `wait_for_disk` it need not be open: where the disk is away (`away` says why), `start`
        opens it later.
        Raises StorageError: volume away, another writer, index damaged or newer, disk fails.
        """
        archive = cls(
            Path(folder), template, receiver or KeepAll(), settings or ArchiveSettings(), pool, name
        )
        try:
            await archive.start()
        except BaseException:
            if not wait_for_disk or archive.away is None:
                await archive.close()
                raise
        return archive

    def refusal(self) -> StatusReaction | None:
        """Why no object can be taken now (disk or quota above its mark, volume away), or None."""
        return self.space.refusal()

    def usage(self) -> Usage:
        """How full it is. Raises StorageError when the volume cannot be asked."""
        return self.space.usage()

    def receive(self, file_meta: bytes) -> Reception:
        """A nameless file to receive an object into, with its file meta information written.

        `file_meta` is what `agent.dataset.file_meta.encode_file_meta` gives; its AE titles are all
        that is left of an object's origin after a crash. Raises StorageError, with the status for
        the sender, when there is no room or the disk fails.
        """
        refusal = self.space.refusal()
        if refusal is not None:
            raise StorageError(
                f"The archive takes no objects now: {quoted(refusal.comment)}.",
                value=self.name,
                reaction=refusal,
                way_out="Free some space, or let retention delete what is delivered.",
            )
        reception = Reception(self.folder, file_meta, self.settings.statuses, self._one_less)
        self.open_receptions += 1
        return reception

    def _one_less(self) -> None:
        self.open_receptions -= 1

    async def commit(self, reception: Reception, origin: Origin) -> Verdict:
        """Make it safe; the reception is closed in any case. Raises nothing but cancellation.

        A verdict with `is_stored` is the promise of DESIGN's rule 4: the object, its rows and its
        jobs survive the plug.
        """
        try:
            if reception.size() >= _LARGE and self._pool is not None:
                await self._beside(reception, sync)
            stored = await self._stored(reception, origin)
        except GantryError as error:
            self.space.look_again()
            observation.error(
                "object not stored", archive=self.name, association=origin.association, error=error
            )
            reaction = error.reaction
            if not isinstance(reaction, StatusReaction):
                reaction = StatusReaction(self.settings.statuses.storage_failure, "Storage failure")
            return Verdict(
                reaction.status,
                Sentence(f"{quoted(reaction.comment)}"),
                reaction.offending_elements,
            )
        finally:
            reception.discard()
        self.space.held = stored.bytes
        verdict: Verdict = stored.verdict
        return verdict

    async def _stored(self, reception: Reception, origin: Origin) -> Stored:
        """The storage worker's answer, with the comparisons that it wants before."""
        compared: dict[int, bool] = {}
        while True:
            answer: Stored | Comparison = await self._call(
                "commit",
                origin,
                reception.hidden_name,
                compared if self._pool is not None else None,
                descriptors=(reception.descriptor,),
            )
            if isinstance(answer, Stored):
                return answer
            compared[answer.number] = await self._beside(
                reception, compare, str(self.folder), answer
            )

    async def _beside(
        self, reception: Reception, function: Callable[..., Any], *arguments: Any
    ) -> Any:
        """A worker of the pool does something with what was received."""
        assert self._pool is not None
        is_slow = reception.size() >= _SLOW
        if is_slow:
            await self._slow.acquire()
        try:
            return await self._pool.call(function, *arguments, descriptors=(reception.descriptor,))
        finally:
            if is_slow:
                self._slow.release()

    async def _ask(self, question: str, *arguments: Any, **fields: Any) -> Any:
        self.space.check()
        return await super()._ask(question, *arguments, **fields)

    async def _delete(
        self, numbers: Sequence[int], force: bool, originals: bool = False
    ) -> tuple[int, int, int]:
        if not observation.log.is_audited or not numbers or self._pool is None:
            return await super()._delete(numbers, force, originals)
        from agent.archive.audit_records import NumberRanges

        # Whose they were can only be asked before.
        if self.before_deletion is not None:
            await self.before_deletion(numbers)
        ranges = NumberRanges(numbers).ranges
        before = await self.audited_studies(ranges)
        result = await super()._delete(numbers, force, originals)
        left = await self.audited_studies(ranges) if result[1] else []
        observation.occasion("objects deleted", archive=self, before=before, left=left)
        return result

    async def note(
        self, action: str, level: str, uid: str, who: str, count: int, detail: Mapping[str, object]
    ) -> None:
        await super().note(action, level, uid, who, count, detail)
        if observation.log.is_audited:
            observation.occasion(
                "correction", archive=self, action=action, level=level, uid=uid, who=who
            )

    def adopt(self, settings: ArchiveSettings) -> None:
        """Go by other limits from now on; statuses and retries of the worker change with its next
        start."""
        self.settings = settings
        self.space.adopt(settings)

    async def set_receiver(self, receiver: Receiver) -> None:
        """From now on other rules decide."""
        self._receiver = receiver
        if self.away is None:
            await self._call("set_receiver", receiver)
