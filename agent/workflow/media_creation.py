"""Media that peers ask for (PS3.4 S): the requests are kept, and carried out one after the other.

Those of higher priority go first. Every change of a request is durable before anybody is told of
it: after a restart, what was initiated goes on, and what was being finished is finished.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from agent import observation
from agent.archive.archive import Archive
from agent.archive.media_requests import FailedInstance, MadeVolume, RequestState
from agent.archive.procedure_steps import pack
from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import with_character_set
from agent.errors import GantryError, StorageError
from agent.loop import Event, TimedOut, current_loop, shielded, timeout
from agent.loop.workers import Service, Template, WorkerDied, WorkerPool
from agent.network.status import NO_SUCH_SOP_INSTANCE, RESOURCE_LIMITATION, SUCCESS
from agent.services.media_creation_table import (
    ALREADY_COMPLETED,
    CANCELLATION_DENIED,
    CANNOT_BE_INTERRUPTED,
    CREATING,
    DONE,
    FAILURE,
    IDLE,
    INITIATE_ALREADY_RECEIVED,
    PENDING,
    PRIORITIES,
)
from agent.services.offer import implementation_of
from agent.workflow.export_settings import Maker
from agent.workflow.media_creation_task import (
    CreationResult,
    CreationTask,
    discard_media,
    discard_other_media,
    publish_media,
    serve_media_creation,
)

_FIRST_WAIT, _LONGEST_WAIT = 2.0, 60.0
"""Seconds until a request is tried again whose folder is away, or full."""


class MediaCreation:
    """All requests of a node, and who carries them out."""

    def __init__(
        self,
        configuration: Callable[[], Configuration],
        archives: Mapping[str, Archive],
        template: Template,
        pool: WorkerPool,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._configuration = configuration
        self._archives = archives
        self._template = template
        self._pool = pool
        self._clock = clock
        self._changed = Event()
        self._waits: dict[str, tuple[float, float]] = {}
        self._under_way: tuple[str, Service] | None = None

    def of(self, entity: Entity) -> EntityMediaRequests:
        """The requests that are made of this entity."""
        return EntityMediaRequests(entity, self._archives[entity.archive], self, self._clock)

    def hurry(self) -> None:
        """There may be something to do."""
        self._changed.set()

    async def forget(self, uid: str, entity: Entity) -> None:
        """A request was cancelled: what is done for it stops, and goes."""
        if self._under_way is not None and self._under_way[0] == uid:
            self._under_way[1].kill()
        else:
            await self._pool.call(discard_media, entity.media_creation.folder, uid)
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled: carry out what was initiated, that of a former life included."""
        await self._sweep()
        while True:
            self._changed.clear()
            going = await self._next()
            if going is None:
                rest = min((due for due, _ in self._waits.values()), default=None)
                wait = None if rest is None else max(0.1, rest - current_loop().clock.now())
                with suppress(TimedOut), timeout(wait):
                    await self._changed.wait()
                continue
            archive, state = going
            try:
                await self._carry_out(archive, state)
            except StorageError as error:
                observation.error("media request not carried out", uid=state.uid, error=error)
                self._put_off(state.uid)

    async def _sweep(self) -> None:
        """What was made of requests that are gone goes."""
        going = [
            each.uid
            for archive in tuple(self._archives.values())
            for each in await archive.media_requests(PENDING, CREATING)
        ]
        folders = {
            each.media_creation.folder
            for each in self._configuration().entities
            if each.services_of("media-creation", "scp")
        }
        for folder in folders:
            await self._pool.call(discard_other_media, folder, going)

    async def _next(self) -> tuple[Archive, RequestState] | None:
        """What is under way first, then by priority, then by time."""
        going = [
            (archive, each)
            for archive in tuple(self._archives.values())
            for each in await archive.media_requests(PENDING, CREATING)
        ]
        known = {each.uid for _, each in going}
        self._waits = {uid: wait for uid, wait in self._waits.items() if uid in known}
        now = current_loop().clock.now()
        ready = [each for each in going if self._waits.get(each[1].uid, (0.0, 0.0))[0] <= now]
        return min(ready, key=lambda each: _rank(each[1]), default=None)

    async def _carry_out(self, archive: Archive, state: RequestState) -> None:
        entity = self._configuration().entity(state.entity)
        if entity is None:
            why = f"there is no entity {state.entity} any more"
            await self._not_now(
                archive, state, CreationResult("CHECK_MCD_OP", passing=True, why=why), 0.0
            )
            return
        answers = entity.media_creation
        if state.volumes:
            # It was being finished when the node ended.
            await self._finish(archive, state, answers.folder)
            return
        going = state._replace(status=CREATING, info="NORMAL")
        if not await archive.change_media_requests(
            "change_media_request", going, (PENDING, CREATING)
        ):
            return
        result = await self._make(archive, going, entity)
        if result is None:
            # It was cancelled, or its worker died: which of both the archive knows.
            why = "its worker died"
            result = CreationResult("PROC_FAILURE", passing=True, why=why)
        if result.volumes:
            made = tuple(MadeVolume(*each) for each in result.volumes)
            ready = going._replace(volumes=made)
            if await archive.change_media_requests("change_media_request", ready, (CREATING,)):
                await self._finish(archive, ready, answers.folder)
                return
            await self._pool.call(discard_media, answers.folder, state.uid)
        elif result.passing:
            await self._not_now(archive, going, result, answers.patience)
        else:
            await self._fail(archive, going, result)

    async def _make(
        self, archive: Archive, state: RequestState, entity: Entity
    ) -> CreationResult | None:
        """What came of it; None where its worker died or was killed."""
        found = await archive.media_request(state.uid)
        if found is None:
            return None
        answers = entity.media_creation
        task = CreationTask(
            state.uid,
            str(archive.folder),
            pack(with_character_set(found[1])),
            state.copies,
            answers.folder,
            answers.kind,
            answers.volume_size,
            answers.profile,
            answers.profiles,
            *implementation_of(self._configuration()),
            Maker.of(self._configuration()),
            self._configuration().media_pages.enabled,
        )
        service = await Service.start(
            self._template, serve_media_creation, task, name="media creation"
        )
        self._under_way = (state.uid, service)
        try:
            result: CreationResult = await service.call("make")
            return result
        except WorkerDied:
            return None
        except StorageError as error:
            return CreationResult("PROC_FAILURE", passing=True, why=str(error))
        except GantryError as error:
            return CreationResult("PROC_FAILURE", why=str(error))
        finally:
            self._under_way = None
            with shielded():
                service.kill()
                await service.closed()

    async def _finish(self, archive: Archive, state: RequestState, folder: str) -> None:
        """The media are whole: they get their name, and the request is done."""
        try:
            is_there = await self._pool.call(publish_media, folder, state.uid)
        except OSError as error:
            self._put_off(state.uid)
            observation.warning("media wait", uid=state.uid, why=error)
            return
        if not is_there:
            # Somebody removed them: they are made again.
            await archive.change_media_requests(
                "change_media_request", state._replace(volumes=()), (CREATING,)
            )
            return
        found = await archive.media_request(state.uid)
        count = 0 if found is None else len(found[1].items_of("ReferencedSOPSequence"))
        await archive.note(
            "media",
            "request",
            state.uid,
            state.calling,
            count,
            {"folder": folder, "volumes": len(state.volumes), "copies": state.copies},
        )
        done = state._replace(status=DONE, info="NORMAL")
        await archive.change_media_requests("change_media_request", done, (CREATING,))
        observation.notice(
            "media created", uid=state.uid, volumes=len(state.volumes), copies=state.copies
        )

    async def _not_now(
        self, archive: Archive, state: RequestState, result: CreationResult, patience: float
    ) -> None:
        """It is tried again later, for so long as patience lasts; 0 is for ever."""
        now = self._clock()
        since = state.since or now
        if patience and now - since > patience:
            await self._fail(archive, state, result)
            return
        waiting = state._replace(status=PENDING, info=result.info, since=since)
        if await archive.change_media_requests(
            "change_media_request", waiting, (PENDING, CREATING)
        ):
            self._put_off(state.uid)
            if state.since == 0.0:
                observation.warning("media wait", uid=state.uid, why=result.why)
        folder = self._folder_of(state)
        if folder:
            await self._pool.call(discard_media, folder, state.uid)

    async def _fail(self, archive: Archive, state: RequestState, result: CreationResult) -> None:
        failed = tuple(FailedInstance(*each.reference, each.reason) for each in result.failed)
        over = state._replace(status=FAILURE, info=result.info, failed=failed)
        await archive.change_media_requests("change_media_request", over, (CREATING, PENDING))
        observation.warning(
            "media not created",
            uid=state.uid,
            info=result.info,
            failed=len(failed) or None,
            why=result.why or None,
        )

    def _folder_of(self, state: RequestState) -> str:
        entity = self._configuration().entity(state.entity)
        return "" if entity is None else entity.media_creation.folder

    def _put_off(self, uid: str) -> None:
        _, last = self._waits.get(uid, (0.0, 0.0))
        wait = min(2 * last or _FIRST_WAIT, _LONGEST_WAIT)
        self._waits[uid] = (current_loop().clock.now() + wait, wait)


class EntityMediaRequests:
    """The requests that are made of one entity; a `MediaRequests` of
    `agent.services.media_creation`."""

    def __init__(
        self,
        entity: Entity,
        archive: Archive,
        creation: MediaCreation,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._entity = entity
        self._archive = archive
        self._creation = creation
        self._clock = clock

    @property
    def most_copies(self) -> int:
        return self._entity.media_creation.copies

    async def create(self, sop_instance_uid: str, request: Attributes, calling: str) -> str:
        now = self._clock()
        state = RequestState(sop_instance_uid, IDLE, "NORMAL", calling, self._entity.name, now, now)
        before: str = await self._archive.change_media_requests(
            "add_media_request", state, pack(with_character_set(request))
        )
        return before

    async def initiate(self, sop_instance_uid: str, copies: int, priority: str) -> int:
        found = await self._archive.media_request(sop_instance_uid)
        if found is None:
            return NO_SUCH_SOP_INSTANCE
        if found[0].status != IDLE:
            return INITIATE_ALREADY_RECEIVED
        waiting = await self._archive.media_requests(PENDING, CREATING)
        if len(waiting) >= self._entity.media_creation.waiting:
            return RESOURCE_LIMITATION
        going = found[0]._replace(
            status=PENDING,
            info="QUEUED",
            initiated=self._clock(),
            copies=copies,
            priority=priority,
        )
        if not await self._archive.change_media_requests("change_media_request", going, (IDLE,)):
            return INITIATE_ALREADY_RECEIVED
        observation.info(
            "media asked for", uid=sop_instance_uid, calling=going.calling, copies=copies
        )
        self._creation.hurry()
        return SUCCESS

    async def cancel(self, sop_instance_uid: str) -> int:
        try:
            before, is_gone = await self._archive.change_media_requests(
                "remove_media_request", sop_instance_uid, (IDLE, PENDING, CREATING)
            )
        except StorageError as error:
            observation.error("media request not cancelled", uid=sop_instance_uid, error=error)
            return CANCELLATION_DENIED
        if not before:
            return NO_SUCH_SOP_INSTANCE
        if not is_gone:
            return CANNOT_BE_INTERRUPTED if before == CREATING else ALREADY_COMPLETED
        await self._creation.forget(sop_instance_uid, self._entity)
        observation.info("media request cancelled", uid=sop_instance_uid, was=before)
        return SUCCESS

    async def get(self, sop_instance_uid: str) -> Attributes | None:
        found = await self._archive.media_request(sop_instance_uid)
        return None if found is None else with_character_set(result_of(*found))


def result_of(state: RequestState, request: Attributes) -> Attributes:
    """What N-GET tells (Table S.3.2.4.1-1): the request, and what became of it."""
    told = request.copy()
    pieces = len(state.volumes) * state.copies if state.status == DONE else 0
    told.set("ExecutionStatus", state.status)
    told.set("ExecutionStatusInfo", state.info)
    told.set("TotalNumberOfPiecesOfMediaCreated", pieces)
    told.set(
        "FailedSOPSequence",
        [
            Attributes(
                ReferencedSOPClassUID=each.sop_class_uid,
                ReferencedSOPInstanceUID=each.sop_instance_uid,
                FailureReason=each.reason,
            )
            for each in state.failed
        ],
    )
    told.set(
        "ReferencedStorageMediaSequence",
        [
            Attributes(
                StorageMediaFileSetID=each.file_set_id, StorageMediaFileSetUID=each.file_set_uid
            )
            for each in (state.volumes if state.status == DONE else ())
        ],
    )
    if state.initiated:
        told.set("NumberOfCopies", str(state.copies))
    if state.priority:
        told.set("RequestPriority", state.priority)
    return told


def _rank(state: RequestState) -> tuple[bool, int, float]:
    priority = state.priority if state.priority in PRIORITIES else "MED"
    return state.status != CREATING, PRIORITIES.index(priority), state.initiated
