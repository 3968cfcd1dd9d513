"""What a capture device shows is kept while an examination is in progress on it, for `last`.

It begins and ends with the examination, so that nothing of one patient comes into an object of
another. Whether one is in progress is asked of the archive: what was cut off goes on with the node.
The frames lie in a file without a name, of fixed size, in the file system of the archive; it goes
with the worker, whatever ends it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from agent import observation
from agent.archive.archive import Archive
from agent.configuration.intake import Capture
from agent.errors import GantryError, LocalError
from agent.loop import Event, Limit, shielded, sleep
from agent.loop.workers import Service
from agent.quoting import Sentence
from agent.workflow.capture_settings import Kept
from agent.workflow.examination_record import IN_PROGRESS

_PAUSE = 1.0
"""Seconds after which a worker that died is started again."""


class Keeping:
    """Of one device: its worker lives as long as the examination."""

    def __init__(
        self,
        table: Capture,
        archive: Archive,
        start: Callable[[], Awaitable[Service]],
        device: Limit,
    ) -> None:
        """`start` starts a capture worker; who holds `device` has the device to itself."""
        self._table = table
        self._archive = archive
        self._start = start
        self._device = device
        self._changed = Event()
        self._service: Service | None = None
        self._examination = 0
        self._trouble: GantryError | None = None

    def look_again(self) -> None:
        """An examination has begun or ended."""
        self._changed.set()

    @property
    def service(self) -> Service | None:
        """The worker that has the device, where there is one."""
        if self._service is None or self._service.gone:
            return None
        return self._service

    def check(self, examination: int) -> None:
        """Raises LocalError, or what went wrong, where nothing is kept of this examination."""
        if self.service is not None and examination and examination == self._examination:
            return
        if self._trouble is not None and examination:
            raise self._trouble
        raise LocalError(
            f"nothing is kept of what {self._table.name} showed",
            way_out="Set `keep` for the device; it begins with an examination."
            if not self._table.keep
            else "Try again in a second."
            if examination
            else "Begin an examination.",
        )

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                self._changed.clear()
                await self._follow()
                await self._changed.wait()
        finally:
            with shielded():
                await self._end()

    async def _follow(self) -> None:
        number = 0
        for row in await self._archive.examinations(IN_PROGRESS):
            if row.device == self._table.name:
                number = row.id
        if self._service is not None and self._service.gone:
            observation.warning("capture worker died", device=self._table.name)
            await self._end()
            await sleep(_PAUSE)
        if number != self._examination:
            await self._end()
        if number and self._service is None:
            await self._begin(number)

    async def _begin(self, number: int) -> None:
        await self._device.acquire()
        try:
            service = await self._start()
            try:
                kept = await self._keep(service)
            except BaseException as error:
                service.close()
                with shielded():
                    await service.closed()
                if not isinstance(error, GantryError):
                    raise
                self._trouble = error
                observation.warning("nothing is kept", device=self._table.name, error=error)
                return
            self._service, self._examination, self._trouble = service, number, None
            service.when_ended = lambda _: self._changed.set()
        finally:
            self._device.release()
        observation.info(
            "keeping what is shown",
            device=self._table.name,
            seconds=round(kept.seconds, 1),
            bytes=kept.size,
            trouble=Sentence(kept.trouble) if kept.trouble else None,
        )

    async def _keep(self, service: Service) -> Kept:
        # At most half of what is free: the other half is for the objects.
        most = self._archive.space.spare() // 2
        with self._archive.receive(b"") as file:
            kept: Kept = await service.call(
                "keep", self._table.keep, most, descriptors=(file.descriptor,)
            )
        self._archive.space.look_again()
        return kept

    async def _end(self) -> None:
        """Whoever captures now has it first."""
        await self._device.acquire()
        try:
            service, self._service, self._examination = self._service, None, 0
            if service is not None:
                service.when_ended = None
                service.close()
                await service.closed()
        finally:
            self._device.release()
        self._archive.space.look_again()
