"""The objects of a retrieval, read ahead: their order, and what is left when they are not sent."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from agent.archive.archive import Archive
from agent.archive.records import Flag, Instance
from agent.archive.selection import Kind, Place, Selected, SelectedPage
from agent.errors import StorageError
from agent.loop import Loop, TaskGroup, sleep
from agent.network.accepted_contexts import PresentationContext
from agent.network.data_set import BytesSource
from agent.workflow.outgoing import Outgoing
from agent.workflow.retrieval_instances import Ahead, Instances, Opened

CONTEXT = PresentationContext(1, "1.2.3", "1.2.840.10008.1.2.1", scu_role=True, scp_role=False)


def instance(number: int) -> Instance:
    return Instance(number, f"1.{number}", "1.2.3", "1.2.4", "", "", "", "", 0, 0, 0.0, "", Flag(0))


class Pages:
    """As much of an archive as is asked: `count` instances; the page from `fails` on fails."""

    def __init__(self, count: int, fails: int = 1 << 30) -> None:
        self.count, self.fails = count, fails
        self.asked: list[tuple[int, int]] = []

    async def selected_page(self, selected: Selected, place: Place, limit: int) -> SelectedPage:
        await sleep(0.001)
        self.asked.append((place.after, limit))
        end = min(self.count, place.after + limit)
        if end > self.fails:
            raise StorageError("the index cannot be read")
        found = tuple(instance(each) for each in range(place.after + 1, end + 1))
        return SelectedPage(found, None if end == self.count else Place(0, end))


def of(pages: Pages) -> Instances:
    selected = Selected(
        "study", array("q", (1,)), 1, (Kind("1.2.3", "1.2.4", pages.count),), array("q")
    )
    return Instances(cast(Archive, pages), selected)


class Files:
    """What was opened ahead, and is not closed."""

    def __init__(self) -> None:
        self.open: set[int] = set()
        self.all = 0

    def opened(self, each: Instance) -> Opened:
        self.all += 1
        self.open.add(each.id)
        closing = Outgoing(BytesSource(b""), "", "", lambda: self.open.discard(each.id))
        return CONTEXT, closing


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    Loop().run(test())


@pytest.mark.parametrize("senders", [1, 5])
def test_each_object_comes_once_in_its_order_and_mostly_opened(senders: int) -> None:
    pages, files, taken = Pages(1300), Files(), list[int]()

    async def main() -> None:
        ahead = Ahead(of(pages), files.opened)

        async def sender() -> None:
            while (found := await ahead.next()) is not None:
                each, opened = found
                taken.append(each.id)
                await sleep(0.0001)
                if opened is not None:
                    opened[1].close()

        async with TaskGroup() as group:
            filling = group.start(ahead.fill())
            async with TaskGroup() as sending:
                for _ in range(senders):
                    sending.start(sender())
            filling.cancel()
        ahead.close()

    run(main)
    assert taken == list(range(1, 1301))
    assert not files.open and files.all > (1200 if senders == 1 else 0)
    # A short page first, then others; each asked for once.
    assert pages.asked == [(0, 50), (50, 500), (550, 500), (1050, 500)]


def test_what_was_ready_and_is_not_sent_is_the_next_one_again() -> None:
    files = Files()

    async def main() -> None:
        instances = of(Pages(60))
        ahead = Ahead(instances, files.opened)
        async with TaskGroup() as group:
            group.start(ahead.fill())
            first = await ahead.next()
            assert first is not None and first[0].id == 1
            while not files.open - {1}:
                await sleep(0.001)
            group.cancel()
        ahead.close()
        assert files.open <= {1}
        rest = []
        while (each := await instances.next()) is not None:
            rest.append(each.id)
        assert rest == list(range(2, 61))

    run(main)


def test_an_index_that_fails_interrupts_nobody_and_is_told_to_who_asks_next() -> None:
    taken = []

    async def main() -> None:
        ahead = Ahead(of(Pages(1000, fails=50)), Files().opened)
        async with TaskGroup() as group:
            filling = group.start(ahead.fill())
            with pytest.raises(StorageError):
                while (found := await ahead.next()) is not None:
                    taken.append(found[0].id)
                    # Sending takes longer than finding out that there is no more.
                    await sleep(0.005)
            filling.cancel()

    run(main)
    assert taken == list(range(1, 51))
