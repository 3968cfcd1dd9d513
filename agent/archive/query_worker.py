"""Queries of the index, answered in a reader worker: a page at a time, each in short transactions.

A page ends when it is full or its time is over, whatever was found, so that a query of a million
rows holds up neither the writer nor other questions, and can be cancelled between pages. What a
query has come to is kept by the worker, so that the next page goes on at once; another worker
begins at the place where the page ended.
"""

from __future__ import annotations

import functools
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path as FilePath

from agent.archive import index_failure
from agent.archive.matching import all_hold
from agent.archive.query_objects import read_object
from agent.archive.query_plan import QueryPlan, plan_of
from agent.archive.query_records import Place, QueryPage, Question
from agent.archive.query_responses import Responses
from agent.archive.query_walk import Path, Walk
from agent.archive.reader_worker import forget_connection, open_connection
from agent.dataset.transfer_syntaxes import TRANSFER_SYNTAXES

_SECONDS = 0.05
_BYTES = 96 << 10
_KEPT = 4
_PLANS = 16
"""Plans of questions that were asked last: who looks for what is new asks the same again."""


class _Query:
    """A query under way; `place` is where it stands."""

    def __init__(self, folder: str, question: Question, after: Place) -> None:
        self.question = question
        self.plan: QueryPlan = _plan_of(question)
        self.place = after
        self.connection = open_connection(folder)
        self.folder = FilePath(folder)
        self._steps: Iterator[tuple[Place, Path | None]] = Walk(self.connection, self.plan).matches(
            after
        )
        self._next: tuple[Place, Path | None] | None = None
        self._responses = Responses(
            self.plan,
            TRANSFER_SYNTAXES[question.transfer_syntax_uid],
            question.retrieve_title,
            _offset(question.rules.timezone),
        )

    def page(self, most: int) -> QueryPage:
        found: list[bytes] = []
        size = 0
        complete = self.plan.identifier.complete
        end = time.monotonic() + _SECONDS
        while (step := self._step()) is not None:
            place, path = step
            # A full page is the last one if no match comes behind it.
            if path is not None and (len(found) >= most or size >= _BYTES):
                self._next = step
                return QueryPage(tuple(found), self.place, complete)
            self.place = place
            if path is not None:
                made = self._response(path)
                if made is not None:
                    found.append(made)
                    size += len(made)
            if time.monotonic() >= end:
                return QueryPage(tuple(found), place, complete)
        return QueryPage(tuple(found), None, complete)

    def _step(self) -> tuple[Place, Path | None] | None:
        """The next place, and what matches there; None at the end."""
        if self._next is not None:
            step, self._next = self._next, None
            return step
        return next(self._steps, None) if self.plan.has_keys else None

    def _response(self, path: Path) -> bytes | None:
        plan = self.plan
        if not plan.read:
            return self._responses.of(path)
        number = path[plan.table].representative
        held = None if number is None else read_object(self.folder, number, plan.read)
        if held is None:
            return None
        if not all_hold(plan.object_conditions, held):
            return None
        return self._responses.with_object(path, held)


_plan_of = functools.lru_cache(maxsize=_PLANS)(plan_of)
_under_way: dict[tuple[str, Question, Place], _Query] = {}


def query_page(folder: str, question: Question, after: Place = (), most: int = 500) -> QueryPage:
    """The matches behind a place, at most `most`, or what can be found in a twentieth of a second.

    Raises PeerError with its status for an identifier that does not keep the rules of PS3.4 C.4.1,
    and StorageError when the index cannot be read. Memory: the page, and some hundred rows for each
    table, for the four queries that were asked last.
    """
    query = _under_way.pop((folder, question, after), None)
    try:
        connection = open_connection(folder)
        if query is None or query.connection is not connection:
            query = _Query(folder, question, after)
        # One transaction for the page: SQLite would lock and unlock for each patient on its way.
        connection.execute("BEGIN")
        try:
            page = query.page(most)
        finally:
            connection.execute("COMMIT")
    except (sqlite3.Error, OSError) as error:
        forget_connection(folder)
        raise index_failure.of_any(error, "read the index") from error
    if page.next is not None:
        while len(_under_way) >= _KEPT:
            del _under_way[next(iter(_under_way))]
        _under_way[folder, question, page.next] = query
    return page


def _offset(minutes: int | None) -> str:
    if minutes is None:
        return ""
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"
