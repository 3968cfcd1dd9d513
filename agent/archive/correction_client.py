"""Corrections and deletion from the node's side, in steps that let others in between."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from agent.archive.decision import JobPlan
from agent.archive.queue_client import QueueClient
from agent.dataset import tags

_DELETED_AT_ONCE = 200
_SWAPPED_AT_ONCE = 100


class CorrectionClient(QueueClient):
    """What a person, or retention, does to stored objects; levels are study, series, instance.

    All raise StorageError when the disk or the index fails; what was done by then stays done, and
    the log of corrections says so.
    """

    async def delete(
        self, level: str, uid: str, *, who: str, force: bool = False, originals: bool = False
    ) -> tuple[int, int]:
        """Delete a study, series or instance; returns how many were deleted, and how many stay
        because their jobs are not finished (none with `force`, which drops the jobs), or because
        they are originals (PS3.15 A.1.1 c; none with `originals`)."""
        numbers = await self._numbers(level, uid)
        deleted, kept, freed = await self._delete(numbers, force, originals)
        await self.note("delete", level, uid, who, deleted, {"kept": kept, "bytes": freed})
        return deleted, kept

    async def delete_objects(
        self, numbers: Sequence[int], *, who: str, reason: str, force: bool = False
    ) -> tuple[int, int, int]:
        """Delete objects by number, for retention; returns how many, how many stay, and bytes."""
        deleted, kept, freed = await self._delete(numbers, force)
        await self.note("delete", "archive", reason, who, deleted, {"bytes": freed})
        return deleted, kept, freed

    async def reidentify(
        self, level: str, uid: str, changes: Mapping[int, str], *, who: str
    ) -> int:
        """Change values (texts, by tag of the top level) of stored objects; returns how many.

        The objects are written anew, with the old values in their Original Attributes Sequence;
        jobs that wait are about the new ones. Nothing is sent by itself: `send_again` does.
        """
        numbers = await self._numbers(level, uid)
        staged: list[tuple[int, int]] = []
        done = 0
        try:
            for number in numbers:
                new_number: int = await self._call("stage", number, dict(changes), who)
                staged.append((number, new_number))
            while staged:
                group = tuple(staged[:_SWAPPED_AT_ONCE])
                done += await self._call("swap", group)
                del staged[: len(group)]
        finally:
            if staged:
                await self._call("abandon", tuple(new for _, new in staged))
        names = {f"{tag:08X}": text for tag, text in changes.items()}
        await self.note("re-identify", level, uid, who, done, {"changes": names})
        await self._sweep()
        return done

    async def send_again(self, level: str, uid: str, plan: JobPlan, *, who: str) -> int:
        """Make a job for each object that has none such; returns how many."""
        numbers = await self._numbers(level, uid)
        made = 0
        for start in range(0, len(numbers), _DELETED_AT_ONCE):
            made += await self._call("send_again", numbers[start : start + _DELETED_AT_ONCE], plan)
        await self.note("send again", level, uid, who, made, {"destination": plan.destination})
        return made

    async def hand_over(self, peer: str = "", uids: Sequence[str] = ()) -> int:
        """The peer has committed to these: what are originals here are copies from now on, AC where
        they were authorized and NS else (PS3.15 A.1.1 d 5); returns how many. Without arguments,
        what a crash left undone."""
        if uids:
            await self._call("mark_handed_over", peer, tuple(uids))
        changed = 0
        while found := await self._call("handed_over", _SWAPPED_AT_ONCE):
            for number, is_authorized in found:
                status = {tags.SOP_INSTANCE_STATUS: "AC" if is_authorized else "NS"}
                new: int = await self._call("stage", number, status, "secure use")
                await self._call("exchange_status", number, new)
                changed += 1
        if changed:
            await self._sweep()
        return changed

    async def confirm_originals(self, uids: Sequence[str]) -> int:
        """Their sender knows that these are kept here: they may go out from now on."""
        released: int = await self._call("confirm_originals", tuple(uids))
        return released

    async def touch(self, studies: Sequence[int]) -> None:
        """Somebody used these studies (by `id`): they are deleted later than others."""
        await self._call("touch", tuple(studies), time.time())

    async def _numbers(self, level: str, uid: str) -> list[int]:
        numbers: list[int] = await self._call("numbers_of", level, uid)
        return numbers

    async def _delete(
        self, numbers: Sequence[int], force: bool, originals: bool = False
    ) -> tuple[int, int, int]:
        deleted = kept = freed = 0
        for start in range(0, len(numbers), _DELETED_AT_ONCE):
            some = numbers[start : start + _DELETED_AT_ONCE]
            result = await self._call("delete", some, force, originals)
            deleted += len(result.deleted)
            kept += len(result.kept)
            freed += result.bytes
        await self._sweep()
        self.space.held = max(0, self.space.held - freed)
        self.space.look_again()
        return deleted, kept, freed

    async def _sweep(self) -> None:
        while await self._call("sweep"):
            pass

    async def note(
        self, action: str, level: str, uid: str, who: str, count: int, detail: Mapping[str, object]
    ) -> None:
        """Write a line of the log of corrections: what was done by whom, to how many objects."""
        await self._call("record", action, level, uid, who, count, detail)
