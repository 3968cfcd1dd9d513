"""The objects of a retrieval in their order: rows in pages from the index, the next object opened
while the last one is under way.

So between a response and the next C-STORE nothing is read and nothing is opened. Memory: two pages
of rows, and one open file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress

from agent.archive.archive import Archive
from agent.archive.records import Instance
from agent.archive.selection import Place, Selected
from agent.errors import StorageError
from agent.loop import Event, Limit
from agent.network.accepted_contexts import PresentationContext
from agent.workflow.outgoing import Outgoing

Pair = tuple[str, str]
"""SOP Class UID and transfer syntax UID of an object."""
Opened = tuple[PresentationContext, Outgoing]
"""An object as it goes out, and on which context."""

_FIRST_PAGE, _PAGE, _FEW = 50, 500, 100
"""Rows of the first page, which shall be there soon, and of others; and how many of a page are
left when the next one is asked for."""


class Instances:
    """The instances of a selection; only those of `wanted` pairs where it is given.

    Several senders may take of it at once.
    """

    def __init__(
        self, archive: Archive, selected: Selected, wanted: frozenset[Pair] | None = None
    ) -> None:
        self._archive = archive
        self._selected = selected
        self._wanted = wanted
        self._place: Place | None = Place()
        self._size = _FIRST_PAGE
        self._waiting: deque[Instance] = deque()
        self._line = Limit(1)

    async def next(self) -> Instance | None:
        """The next one; None at the end. Raises StorageError."""
        while not self._waiting and self._place is not None:
            await self._more(0)
        return self._waiting.popleft() if self._waiting else None

    async def read_ahead(self) -> None:
        """Ask for the next page where few are left. Raises StorageError."""
        if len(self._waiting) <= _FEW and self._place is not None:
            await self._more(_FEW)

    def give_back(self, instance: Instance) -> None:
        """It was not sent: it is the next one again."""
        self._waiting.appendleft(instance)

    async def _more(self, few: int) -> None:
        await self._line.acquire()
        try:
            if len(self._waiting) > few or self._place is None:
                return
            page = await self._archive.selected_page(self._selected, self._place, self._size)
            self._place, self._size = page.next, _PAGE
            self._waiting += [each for each in page.instances if self._wants(each)]
        finally:
            self._line.release()

    def _wants(self, instance: Instance) -> bool:
        pair = instance.sop_class_uid, instance.transfer_syntax_uid
        return self._wanted is None or pair in self._wanted


class Ahead:
    """Opens the next object of `instances`; `opened` says how, or None for one that has to wait
    until it is sent."""

    def __init__(self, instances: Instances, opened: Callable[[Instance], Opened | None]) -> None:
        self._instances = instances
        self._open = opened
        self._held: tuple[Instance, Opened | None] | None = None
        self._taken = Event()
        self._taken.set()

    async def fill(self) -> None:
        """Have one object ready, until there is none left or this is cancelled."""
        # Where the index cannot be read, whoever asks for the next one finds the same; what is
        # being sent meanwhile must not be interrupted.
        with suppress(StorageError):
            while True:
                await self._taken.wait()
                self._taken.clear()
                instance = await self._instances.next()
                if instance is None:
                    return
                self._held = instance, self._open(instance)
                await self._instances.read_ahead()

    async def next(self) -> tuple[Instance, Opened | None] | None:
        """The next object, opened if there was time for it; who takes it closes it."""
        if self._held is None:
            instance = await self._instances.next()
            if self._held is None:
                return None if instance is None else (instance, None)
            # The one before it was made ready meanwhile.
            if instance is not None:
                self._instances.give_back(instance)
        held, self._held = self._held, None
        self._taken.set()
        return held

    def close(self) -> None:
        """What is ready will not be sent now."""
        if self._held is not None:
            instance, opened = self._held
            self._held = None
            if opened is not None:
                opened[1].close()
            self._instances.give_back(instance)
