"""Worker processes: pools that come and go, and the names of all that belongs to workers.

`Service` is a permanent worker (`agent.loop.service`), `Template` makes the processes
(`agent.loop.template`), `Calls` is what a worker sees (`agent.loop.calls`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from agent.errors import LocalError
from agent.loop.calls import Call, Calls
from agent.loop.loop import current_loop
from agent.loop.service import Service, WorkerDied
from agent.loop.synchronization import Promise
from agent.loop.template import Template
from agent.loop.timers import Timer
from agent.loop.worker import serve_functions

__all__ = ["Call", "Calls", "Service", "Template", "WorkerDied", "WorkerPool"]


class WorkerPool:
    """Workers that run functions: started when needed, at most `limit`, ended when idle.

    `kind` names them in logs and process lists. `address_space` limits the memory of each in bytes.
    A call whose caller was cancelled, or timed out, keeps its worker until it is done; with
    `kill_abandoned` the worker is killed instead (for functions that may be stopped anywhere, and
    may never end: a codec on hostile input).
    """

    def __init__(
        self,
        template: Template,
        kind: str = "general",
        limit: int = 2,
        idle_seconds: float = 30.0,
        *,
        address_space: int | None = None,
        kill_abandoned: bool = False,
    ) -> None:
        self.kind = kind
        self.limit = limit
        self.idle_seconds = idle_seconds
        self._template = template
        self._address_space = address_space
        self._kill_abandoned = kill_abandoned
        self._closed = False
        self._workers: set[Service] = set()
        self._starting = 0
        # Since when each is idle, the longest first.
        self._idle: dict[Service, float] = {}
        # Who waits gets a worker, or None: the room for a new one.
        self._waiting: deque[Promise[Service | None]] = deque()
        self._timer: Timer | None = None

    def __len__(self) -> int:
        """The workers that are alive."""
        return len(self._workers)

    async def call(
        self, function: Callable[..., Any], *arguments: Any, descriptors: Sequence[int] = ()
    ) -> Any:
        """Run `function(*arguments)` in a worker, with `descriptors=[...]` where some are given.

        The function must be importable by name. What it raises is raised here; WorkerDied when the
        process ended instead, which the function may have begun to do its work in. Callers get
        workers in the order in which they came.
        """
        worker = await self._take()
        try:
            return await worker.call("run", function, arguments, descriptors=descriptors)
        finally:
            self._release(worker)

    def close(self) -> None:
        """End the idle workers now, and the others when they have answered. May be called again."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for worker in self._workers:
            worker.close()
        self._idle.clear()
        while self._waiting:
            self._waiting.popleft().fail(self._closed_error())

    async def closed(self) -> None:
        """Wait until every process of the pool has ended."""
        while self._workers:
            await next(iter(self._workers)).closed()

    def _closed_error(self) -> LocalError:
        return LocalError(f"the pool of {self.kind} workers is closed", value=self.kind)

    async def _take(self) -> Service:
        if self._closed:
            raise self._closed_error()
        while self._idle:
            worker = self._idle.popitem()[0]
            if not worker.gone:
                return worker
        if len(self._workers) + self._starting < self.limit and not self._waiting:
            return await self._start()
        promise: Promise[Service | None] = Promise()
        self._waiting.append(promise)
        try:
            given = await promise.wait()
        except BaseException:
            if not promise.kept:
                self._waiting.remove(promise)
            elif not self._closed:
                # Given and cancelled at once: what it was given is the next one's.
                self._pass_on(await promise.wait())
            raise
        if given is not None:
            return given
        self._starting -= 1
        return await self._start()

    def _pass_on(self, given: Service | None) -> None:
        if given is not None:
            self._give(given)
        else:
            self._starting -= 1
            self._give_room()

    async def _start(self) -> Service:
        worker = await Service.start(
            self._template,
            serve_functions,
            name=f"{self.kind} worker",
            address_space=self._address_space,
        )
        self._workers.add(worker)
        worker.when_ended = self._worker_ended
        return worker

    def _release(self, worker: Service) -> None:
        """The caller is done with its worker, but perhaps the worker is not done with the call."""
        if not worker.outstanding:
            self._give(worker)
        elif self._kill_abandoned:
            worker.kill()
        else:
            worker.when_quiet = self._give

    def _give(self, worker: Service) -> None:
        """A worker is free: for the next in line, or idle."""
        worker.when_quiet = None
        if worker.gone:
            # There is room for another when its process has ended.
            return
        if self._waiting:
            self._waiting.popleft().keep(worker)
            return
        self._idle[worker] = current_loop().clock.now()
        self._set_timer()

    def _give_room(self) -> None:
        while self._waiting and len(self._workers) + self._starting < self.limit:
            self._starting += 1
            self._waiting.popleft().keep(None)

    def _worker_ended(self, worker: Service) -> None:
        self._workers.discard(worker)
        self._idle.pop(worker, None)
        self._give_room()

    def _set_timer(self) -> None:
        # One for the pool, which rings at most once in `idle_seconds`.
        if self._timer is None and self._idle:
            longest = next(iter(self._idle.values()))
            self._timer = current_loop().at(longest + self.idle_seconds, self._end_idle)

    def _end_idle(self) -> None:
        self._timer = None
        now = current_loop().clock.now()
        for worker, since in tuple(self._idle.items()):
            if since + self.idle_seconds <= now:
                del self._idle[worker]
                worker.close()
        self._set_timer()
