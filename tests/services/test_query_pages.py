"""How the SCP of queries goes through pages: one goes out while the next is looked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.archive.information_model import STUDY_ROOT
from agent.archive.query_records import Place, QueryPage, Question
from agent.configuration.entity import Entity
from agent.errors import StatusReaction, StorageError
from agent.loop import Loop, current_loop, sleep, turn
from agent.network.association import IncomingRequest, Response
from agent.network.status import CANCEL, SUCCESS
from agent.services.query import QueryProvider
from agent.services.service import Support


class Archive:
    """Pages of two matches; the page behind `fails` fails."""

    def __init__(self, pages: int, fails: int = 1 << 30) -> None:
        self.pages, self.fails = pages, fails
        self.asked: list[int] = []

    def queries_of(self, entity: Entity) -> Archive:
        return self

    def allows_relational(self, peer: str) -> bool:
        return False

    @property
    def timezone(self) -> int:
        return 0

    async def page(self, question: Question, after: Place, most: int) -> QueryPage:
        number = after[0] if after else 0
        self.asked.append(number)
        if number >= self.fails:
            raise StorageError("the index cannot be read")
        await sleep(0.001)
        place = (number + 1,) if number + 1 < self.pages else None
        return QueryPage((b"%d" % number, b"%d" % number), place)


class Request:
    """A C-FIND; a response takes its time, and whatever interrupts it shows."""

    def __init__(self, on_response: Callable[[Request], None] = lambda request: None) -> None:
        self.association = SimpleNamespace(
            peer="", contexts=None, associate_request=None, associate_accept=None, requestor=False
        )
        self.context = SimpleNamespace(abstract_syntax=STUDY_ROOT.find, transfer_syntax="1.2")
        self.sink = None
        self.cancelled = False
        self.sent: list[bytes] = []
        self.interrupted = False
        self._on_response = on_response

    async def respond_each(self, status: int, data_sets: Sequence[bytes]) -> None:
        try:
            await sleep(0.01)
        except BaseException:
            self.interrupted = True
            raise
        self.sent += data_sets
        self._on_response(self)


def perform(
    archive: Archive,
    request: Request,
    monkeypatch: pytest.MonkeyPatch,
    loop: Loop | None = None,
) -> Response:
    monkeypatch.setattr("agent.services.query.extended_information", lambda *_: b"")
    entity = SimpleNamespace(queries=SimpleNamespace(retrieve_title="BOX"), title="BOX")
    provider = QueryProvider(cast(Entity, entity), cast(Support, archive))
    found: list[Response] = []

    async def main() -> None:
        found.append(await provider.perform(cast(IncomingRequest, request)))

    (loop or Loop()).run(main())
    return found[0]


def test_all_pages_go_out_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    archive, request = Archive(4), Request()
    assert perform(archive, request, monkeypatch).status == SUCCESS
    assert request.sent == [b"%d" % (each // 2) for each in range(8)]
    assert archive.asked == [0, 1, 2, 3]


def test_a_page_that_fails_lets_the_one_before_it_go_out(monkeypatch: pytest.MonkeyPatch) -> None:
    archive, request = Archive(4, fails=2), Request()
    with pytest.raises(StorageError) as caught:
        perform(archive, request, monkeypatch)
    reaction: Any = caught.value.reaction
    assert isinstance(reaction, StatusReaction) and reaction.status == 0xA700
    assert request.sent == [b"0", b"0", b"1", b"1"] and not request.interrupted


def test_a_cancel_ends_it_with_at_most_one_page_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def cancel(request: Request) -> None:
        request.cancelled = len(request.sent) >= 4

    archive, request = Archive(100), Request(cancel)
    assert perform(archive, request, monkeypatch).status == CANCEL
    assert request.sent == [b"0", b"0", b"1", b"1"] and len(archive.asked) <= 3


class ManyMatches(Archive):
    """Pages of a thousand."""

    async def page(self, question: Question, after: Place, most: int) -> QueryPage:
        page = await super().page(question, after, most)
        return QueryPage(page.matches[:1] * 1000, page.next)


class Quick(Request):
    """The peer takes responses as fast as they come."""

    async def respond_each(self, status: int, data_sets: Sequence[bytes]) -> None:
        self.sent += data_sets


def test_whoever_waits_has_a_turn_of_the_loop_after_each_fifty_responses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request, seen = Quick(), [0]

    async def other() -> None:
        while len(request.sent) < 100_000:
            seen.append(len(request.sent))
            await turn()

    class Watched(ManyMatches):
        """Somebody else is there from the first page on."""

        async def page(self, question: Question, after: Place, most: int) -> QueryPage:
            if not self.asked:
                current_loop().start_background(other(), "other")
            return await super().page(question, after, most)

    # Without a budget every turn that is offered is taken.
    loop = Loop(turn_budget=0.0)
    assert perform(Watched(100), request, monkeypatch, loop).status == SUCCESS
    assert len(request.sent) == 100_000
    assert max(later - earlier for earlier, later in pairwise(seen)) <= 50
    assert len(seen) > 2_000
