"""Steps and commitments from the node's side; all raise StorageError when the index fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from agent.archive.commitments import FailedItem, Item
from agent.archive.correction_client import CorrectionClient
from agent.archive.decision import JobPlan
from agent.archive.examinations import ExaminationRow
from agent.archive.forgetting import Period
from agent.archive.media_requests import RequestState
from agent.archive.procedure_steps import pack, unpack
from agent.archive.worker_entries import add_administration, answer, change_media_requests
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import with_character_set
from agent.errors import LocalError
from agent.loop.workers import WorkerPool


class ProcedureClient(CorrectionClient):
    """What the services of procedures keep in an archive."""

    pool: WorkerPool | None = None

    async def create_step(self, uid: str, calling: str, attributes: Attributes) -> bool:
        """Keep a step that was reported; False where there is one of this UID."""
        made: bool = await self._call("create_step", uid, calling, pack(attributes))
        return made

    async def change_step(self, uid: str, modification: Attributes) -> str:
        """Change a step in progress; the status before, "" where there is none."""
        before: str = await self._call("change_step", uid, pack(modification))
        return before

    async def forget_steps(self, period: Period, after: str, limit: int) -> tuple[int, str]:
        """Delete steps that are over, see `agent.archive.forgetting.forget_steps`."""
        return cast("tuple[int, str]", await self._call("forget_steps", period, after, limit))

    async def ended_examinations(
        self, period: Period, after: int, limit: int
    ) -> list[ExaminationRow]:
        """Examinations that are over, last changed in this time, from this number on."""
        found = await self._look("ended_examinations", period, after, limit)
        return cast("list[ExaminationRow]", found)

    async def forget_examinations(
        self, ended: Sequence[tuple[int, tuple[int, ...]]], period: Period
    ) -> int:
        """Delete those of them about which nothing waits; each with the orders of its steps."""
        count: int = await self._call("forget_examinations", tuple(ended), period)
        return count

    async def forget_commitments(self, period: Period, limit: int) -> int:
        """Delete transactions of this time that nothing waits for; returns how many."""
        stale = await self._look("stale_commitments", period, limit)
        if stale:
            await self._call("forget_commitments", stale)
        return len(stale)

    async def step(self, uid: str) -> Attributes | None:
        """A step, or None."""
        found = cast("bytes | None", await self._look("step", uid))
        return None if found is None else unpack(found)

    async def steps(self, limit: int = 1000) -> list[tuple[str, str, str, float]]:
        """UID, status, calling AE title and time of the last change, the last first."""
        return cast("list[tuple[str, str, str, float]]", await self._look("steps", limit))

    async def begin_commitment(
        self, transaction_uid: str, peer: str, items: Sequence[Item], wait: float
    ) -> None:
        """We are about to ask a peer to commit."""
        await self._call("begin_commitment", transaction_uid, peer, tuple(items), wait)

    async def retire_commitment(self, transaction_uid: str) -> None:
        """The request failed."""
        await self._call("retire_commitment", transaction_uid)

    async def commitment_answered(
        self, transaction_uid: str, committed: Sequence[str], failed: Sequence[FailedItem]
    ) -> str:
        """The result of a transaction; the peer's name, "" where there is none such."""
        peer: str = await self._call(
            "commitment_answered", transaction_uid, tuple(committed), tuple(failed)
        )
        return peer

    async def commitment_asked(self, transaction_uid: str, plan: JobPlan) -> bool:
        """A peer asks us to commit; False where it did before."""
        new: bool = await self._call("commitment_asked", transaction_uid, plan)
        return new

    async def presence(self, uids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """SOP Class UID and transfer syntax of those that are here."""
        return cast("dict[str, tuple[str, str]]", await self._look("presence", tuple(uids)))

    async def save_examination(
        self, row: ExaminationRow, messages: Sequence[tuple[JobPlan, int]] = ()
    ) -> ExaminationRow:
        """Keep an examination as it is now, with the messages that follow from the change."""
        saved: ExaminationRow = await self._call("save_examination", row, tuple(messages))
        return saved

    async def reconcile(
        self,
        row: ExaminationRow,
        series: Sequence[str],
        changes: Attributes,
        *,
        who: str,
        detail: Mapping[str, object],
    ) -> tuple[int, Mapping[str, int]]:
        """Give the objects of these series other values, and keep the examination, all at once.

        Returns how many objects, and how many are sent again to each destination. Raises
        LocalError for values that an object's character set cannot hold: nothing has changed then.
        """
        packed = pack(with_character_set(changes))
        staged: list[tuple[int, int]] = []
        try:
            for uid in series:
                for number in await self._numbers("series", uid):
                    new: int = await self._call("restage", number, packed, who)
                    staged.append((number, new))
            done = await self._call("reconcile", tuple(staged), row, who, detail)
            staged.clear()
        finally:
            if staged:
                await self._call("abandon", tuple(new for _, new in staged))
        await self._sweep()
        return done.objects, done.again

    async def add_administration(self, record: dict[str, Any]) -> bool:
        """Record that a substance was administered; False where it was recorded just before."""
        if self.pool is None:
            raise LocalError("This archive was opened without a pool of workers.")
        new: bool = await self.pool.call(add_administration, str(self.folder), record)
        return new

    async def administrations(self, limit: int = 100, patient_id: str = "") -> list[dict[str, Any]]:
        """The last substances that were administered, the last first."""
        found = await self._look("administrations", limit, patient_id)
        return cast("list[dict[str, Any]]", found)

    async def change_media_requests(self, change: str, *arguments: Any) -> Any:
        """A change of `agent.archive.media_requests`, by its name; durable when it returns."""
        if self.pool is None:
            raise LocalError("This archive was opened without a pool of workers.")
        return await self.pool.call(change_media_requests, str(self.folder), change, *arguments)

    async def media_requests(self, *statuses: str) -> list[RequestState]:
        """Media creation requests in one of these statuses, or all; the oldest first."""
        return cast("list[RequestState]", await self._look("media_requests", statuses))

    async def media_request(self, uid: str) -> tuple[RequestState, Attributes] | None:
        """One of them with its attributes, or None."""
        found = await self._look("media_request", uid)
        return None if found is None else (found[0], unpack(found[1]))

    async def release_of_study(self, study_instance_uid: str, uids: Sequence[str]) -> int:
        """Objects of a study were reviewed: what was held for that goes out."""
        count: int = await self._call("release_of_study", study_instance_uid, tuple(uids))
        return count

    async def examinations(
        self, state: str = "", limit: int = 100, *, kind: str = ""
    ) -> list[ExaminationRow]:
        """The last examinations, or those of a `kind` (IMPORT, EXPORT, FETCH)."""
        found = await self._look("examinations", state, limit, kind)
        return cast("list[ExaminationRow]", found)

    async def examination(self, number: int) -> ExaminationRow | None:
        """One of them, or None."""
        return cast("ExaminationRow | None", await self._look("examination", number))

    async def _look(self, question: str, *arguments: Any) -> Any:
        if self.pool is None:
            raise LocalError("This archive was opened without a pool of workers for questions.")
        return await self.pool.call(answer, str(self.folder), question, arguments, {})
