"""The storage worker: the permanent process that alone writes the spool and the index.

`entry` runs in the child. It takes all calls that wait as one group (group commit): receptions and
changes of many associations share their syncs and one transaction. It ends when the node does, for
then its socket ends, and lets the lock go with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from agent.archive import corrections, examinations, index_failure, recovery
from agent.archive.arrival import Arrival
from agent.archive.change import Change
from agent.archive.confirmation import confirm
from agent.archive.decision import Receiver
from agent.archive.settings import ArchiveSettings
from agent.archive.store import Store
from agent.archive.worker_answers import Opened, Recovery, Stored
from agent.errors import LocalError
from agent.loop.memory import give_back

_GROUP = 64
_LARGE = 1 << 20

_ALONE = frozenset(
    ("open", "set_receiver", "statistics", "sweep", "stage", "restage", "abandon", "check")
)
"""Calls that are no part of a transaction of others."""


class Call(Protocol):
    """A call from the node, as `agent.loop.workers` hands it to a worker."""

    name: str
    arguments: tuple[Any, ...]
    descriptors: Sequence[int]

    def reply(self, value: object) -> None: ...

    def fail(self, error: BaseException) -> None: ...


class Calls(Protocol):
    """Where calls come from; `receive` blocks, and gives [] when the node is gone."""

    def receive(self, limit: int = ...) -> Sequence[Call]: ...


def entry(calls: Calls, folder: str, settings: ArchiveSettings, receiver: Receiver) -> None:
    """Serve calls until the node is gone.

    The archive is opened by the first call; where that fails, every call fails so, and the next
    group tries again: a volume that comes back is taken up.
    """
    worker = StorageWorker(Path(folder), settings, receiver)
    try:
        while group := calls.receive(limit=_GROUP):
            worker.serve(group)
    finally:
        worker.close()


class StorageWorker:
    """The calls by name, and the store that carries them out."""

    def __init__(self, folder: Path, settings: ArchiveSettings, receiver: Receiver) -> None:
        self._folder = folder
        self._settings = settings
        self._receiver = receiver
        self._store: Store | None = None
        self._recovery = Recovery()

    def close(self) -> None:
        """Close the store."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def serve(self, group: Sequence[Call]) -> None:
        """Carry out a group of calls and answer each."""
        try:
            store = self._opened()
            if store.whole_sync.doubt is not None:
                self._confirm(store)
        except Exception as error:
            for call in group:
                call.fail(error)
            return
        large: list[Call] = []
        small: list[Call] = []
        for call in group:
            (large if _is_large(call) else small).append(call)
        if small:
            _serve_together(store, [call for call in small if call.name not in _ALONE])
        for call in small:
            if call.name in _ALONE:
                self._serve_alone(store, call)
        # What may have to be copied whole does not make the others wait.
        for call in large:
            _serve_together(store, [call])

    def _confirm(self, store: Store) -> None:
        try:
            confirm(store)
        except Exception as error:
            step = "see what is on the disk"
            raise index_failure.of_any(error, step, self._settings.statuses) from error

    def _serve_alone(self, store: Store, call: Call) -> None:
        try:
            if call.name == "open":
                unfinished = examinations.unfinished_media(store)
                call.reply(Opened(store.spool.identity, store.bytes, self._recovery, unfinished))
            elif call.name == "set_receiver":
                (self._receiver,) = call.arguments
                store.receiver = self._receiver
                call.reply(None)
            elif call.name == "statistics":
                sweep = store.sweeping.seconds
                call.reply({**store.statistics, "sweep": sweep, "bytes": store.bytes})
            elif call.name == "sweep":
                call.reply(store.sweeping.run())
            elif call.name == "stage":
                call.reply(corrections.stage(store, *call.arguments))
            elif call.name == "restage":
                reconciliation = import_module("agent.archive.reconciliation")
                call.reply(reconciliation.stage(store, *call.arguments))
            elif call.name == "abandon":
                store.sweeping.abandon(*call.arguments)
                call.reply(None)
            else:
                store.index.check()
                call.reply(None)
        except Exception as error:
            call.fail(error)

    def _opened(self) -> Store:
        if self._store is None:
            store = Store.open(self._folder, self._receiver, self._settings)
            try:
                self._recovery = recovery.recover(store)
            except Exception as error:
                store.close()
                step = "put right what a crash left"
                raise index_failure.of_any(error, step, self._settings.statuses) from error
            self._store = store
            give_back()
        return self._store


def _is_large(call: Call) -> bool:
    return call.name == "commit" and os.fstat(call.descriptors[0]).st_size >= _LARGE


def _serve_together(store: Store, calls: Sequence[Call]) -> None:
    """Receptions and changes that share their syncs and a transaction."""
    arrivals: list[tuple[Call, Arrival]] = []
    changes: list[tuple[Call, Change]] = []
    for call in calls:
        if call.name == "commit":
            origin, hidden_name, compared = call.arguments
            arrival = Arrival(call.descriptors[0], hidden_name, origin, compared=compared)
            arrivals.append((call, arrival))
        elif call.name in CHANGES:
            changes.append((call, Change(CHANGES[call.name], (store, *call.arguments))))
        else:
            call.fail(LocalError(f"The storage worker knows no {call.name!r}.", value=call.name))
    if arrivals or changes:
        store.process([each for _, each in arrivals], [each for _, each in changes])
    for call, arrival in arrivals:
        if arrival.to_compare is not None:
            call.reply(arrival.to_compare)
        elif arrival.verdict is not None:
            call.reply(Stored(arrival.verdict, store.bytes))
        else:
            call.fail(arrival.error or LocalError("The object was not looked at."))
    for call, change in changes:
        if change.error is not None:
            call.fail(change.error)
        else:
            call.reply(change.result)


def _of_queue(name: str) -> Callable[..., Any]:
    """A method of the queue, called with positional arguments and a mapping of the others."""

    def run(store: Store, arguments: Sequence[Any], fields: Mapping[str, Any]) -> Any:
        return getattr(store.queue, name)(*arguments, **fields)

    return run


def _later(module: str, name: str) -> Callable[..., Any]:
    """A function of a module that only some archives need: it takes memory in those only."""

    def run(store: Store, *arguments: Any) -> Any:
        return getattr(import_module(f"agent.archive.{module}"), name)(store, *arguments)

    return run


def _touch(store: Store, studies: Sequence[int], now: float) -> None:
    store.rows.touch(studies, now)


CHANGES: dict[str, Callable[..., Any]] = {
    **{
        name: _of_queue(name)
        for name in (
            "add",
            "again",
            "claim",
            "drop",
            "finish",
            "hold",
            "mark_committed",
            "next_due",
            "pause",
            "release",
            "retry",
        )
    },
    "create_step": _later("procedure_steps", "create"),
    "change_step": _later("procedure_steps", "change"),
    "forget_steps": _later("forgetting", "forget_steps"),
    "forget_examinations": _later("forgetting", "forget_examinations"),
    "forget_commitments": _later("forgetting", "forget_commitments"),
    "begin_commitment": _later("commitments", "begin"),
    "retire_commitment": _later("commitments", "retire"),
    "commitment_answered": _later("commitments", "answered"),
    "commitment_asked": _later("commitments", "asked_of_us"),
    "save_examination": _later("examinations", "save"),
    "reconcile": _later("reconciliation", "reconcile"),
    "release_of_study": _later("examinations", "release_of_study"),
    "mark_handed_over": _later("originals", "mark_handed_over"),
    "handed_over": _later("originals", "handed_over"),
    "exchange_status": _later("originals", "exchange_status"),
    "confirm_originals": _later("originals", "confirm"),
    "delete": corrections.delete,
    "numbers_of": corrections.numbers_of,
    "record": corrections.record,
    "send_again": corrections.send_again,
    "swap": corrections.exchange,
    "touch": _touch,
}
"""What may share a transaction with receptions: called with the store and the call's arguments."""
