"""The node's side of worker processes: permanent services, and pools that come and go.

A call is sent at once without waiting, many may be outstanding, and answers come in any order. The
loop never blocks on a worker: what does not fit into the socket waits here.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from agent.errors import LocalError
from agent.loop.calls import Call, Calls
from agent.loop.loop import current_loop
from agent.loop.messages import Incoming, encode, rights
from agent.loop.synchronization import Event, Promise
from agent.loop.template import Template
from agent.loop.waiting import readable, writable

__all__ = ["Call", "Calls", "Service", "Template", "WorkerDied", "WorkerPool"]


class WorkerDied(LocalError):
    """The worker process ended with calls unanswered: out of memory, killed, or a bug."""


class Service:
    """A permanent worker process; made by `Service.start`."""

    def __init__(self, end: socket.socket, name: str) -> None:
        self.name = name
        self._end = end
        self._number = 0
        self._answers: dict[int, Promise[Any]] = {}
        self._incoming = Incoming()
        self._out: deque[tuple[memoryview, list[int]]] = deque()
        self._flushing = False
        self._gone = Event()
        end.setblocking(False)
        current_loop().start_background(self._read(), f"answers of {name}")

    @classmethod
    async def start(
        cls,
        template: Template,
        entry: Callable[..., None],
        *arguments: Any,
        name: str = "service",
    ) -> Service:
        """Start a worker that runs `entry(calls, *arguments)` until its calls end."""
        service = cls(template.new_worker(), name)
        service._send(encode((entry, arguments)), ())
        return service

    @property
    def outstanding(self) -> int:
        """Calls that have no answer yet."""
        return len(self._answers)

    @property
    def gone(self) -> bool:
        return self._gone.is_set()

    async def call(self, name: str, *arguments: Any, descriptors: Sequence[int] = ()) -> Any:
        """Ask the worker; its answer, or the error that it failed the call with.

        The descriptors stay the caller's; the worker gets copies. Raises WorkerDied when the worker
        is gone. A call that is cancelled is still carried out.
        """
        if self._gone.is_set():
            raise WorkerDied(f"the worker {self.name} is gone", value=self.name)
        self._number += 1
        number = self._number
        frame = encode((number, name, arguments), descriptors)
        promise: Promise[Any] = Promise()
        self._answers[number] = promise
        self._send(frame, descriptors)
        return await promise.wait()

    def _send(self, frame: bytes, descriptors: Sequence[int]) -> None:
        view = memoryview(frame)
        if not self._out:
            view = self._try(view, descriptors)
            if not view:
                return
            if len(view) < len(frame):
                descriptors = ()
        # Copies, since the caller may close its own before they are sent.
        self._out.append((view, [os.dup(each) for each in descriptors]))
        if not self._flushing:
            self._flushing = True
            current_loop().start_background(self._flush(), f"calls of {self.name}")

    def _try(self, view: memoryview, descriptors: Sequence[int]) -> memoryview:
        try:
            return view[self._end.sendmsg([view], rights(descriptors)) :]
        except BlockingIOError:
            return view
        except OSError:
            # The reader finds the end and fails every call.
            return memoryview(b"")

    async def _flush(self) -> None:
        try:
            while self._out and not self._gone.is_set():
                await writable(self._end)
                while self._out:
                    view, descriptors = self._out[0]
                    rest = self._try(view, descriptors)
                    if len(rest) < len(view):
                        _close(descriptors)
                    if rest:
                        self._out[0] = (rest, descriptors if len(rest) == len(view) else [])
                        break
                    self._out.popleft()
        finally:
            self._flushing = False

    async def _read(self) -> None:
        try:
            while True:
                try:
                    if not self._incoming.receive(self._end):
                        return
                except BlockingIOError:
                    await readable(self._end)
                    continue
                except OSError:
                    return
                while (message := self._incoming.take()) is not None:
                    (number, good, value), _ = message
                    promise = self._answers.pop(number, None)
                    if promise is None:
                        continue
                    if good:
                        promise.keep(value)
                    else:
                        promise.fail(value)
        finally:
            self._end_all()

    def _end_all(self) -> None:
        current_loop().forget(self._end)
        self._end.close()
        self._incoming.close()
        while self._out:
            _close(self._out.popleft()[1])
        self._gone.set()
        answers, self._answers = self._answers, {}
        for promise in answers.values():
            promise.fail(WorkerDied(f"the worker {self.name} died", value=self.name))

    def close(self) -> None:
        """Tell the worker to end when it has answered what it was asked."""
        if not self._gone.is_set():
            with contextlib.suppress(OSError):
                self._end.shutdown(socket.SHUT_WR)

    async def closed(self) -> None:
        """Wait until the worker has ended."""
        await self._gone.wait()


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
    descriptors.clear()


def _serve_functions(calls: Calls) -> None:
    while group := calls.receive(limit=1):
        for call in group:
            function, arguments = call.arguments
            try:
                if call.descriptors:
                    call.reply(function(*arguments, descriptors=list(call.descriptors)))
                else:
                    call.reply(function(*arguments))
            except Exception as error:
                call.fail(error)


class WorkerPool:
    """Workers that run functions, started when needed, at most `limit`, ended when idle."""

    def __init__(
        self,
        template: Template,
        kind: str = "general",
        limit: int = 2,
        idle_seconds: float = 30.0,
    ) -> None:
        self.kind = kind
        self.limit = limit
        self.idle_seconds = idle_seconds
        self._template = template
        self._idle: list[Service] = []
        self._busy = 0
        self._waiting: deque[Promise[None]] = deque()

    async def call(
        self, function: Callable[..., Any], *arguments: Any, descriptors: Sequence[int] = ()
    ) -> Any:
        """Run `function(*arguments)` in a worker, with `descriptors=[...]` where some are given.

        The function must be importable by name. What it raises is raised here; WorkerDied when the
        process ended instead.
        """
        while self._busy >= self.limit:
            promise: Promise[None] = Promise()
            self._waiting.append(promise)
            try:
                await promise.wait()
            except BaseException:
                if promise.kept:
                    self._next()
                else:
                    self._waiting.remove(promise)
                raise
        self._busy += 1
        try:
            worker = await self._worker()
            answer = await worker.call("run", function, arguments, descriptors=descriptors)
        except WorkerDied:
            raise
        except BaseException:
            self._put_back(worker)
            raise
        else:
            self._put_back(worker)
            return answer
        finally:
            self._busy -= 1
            self._next()

    def _next(self) -> None:
        if self._waiting:
            self._waiting.popleft().keep(None)

    async def _worker(self) -> Service:
        while self._idle:
            worker = self._idle.pop()
            if not worker.gone:
                return worker
        return await Service.start(self._template, _serve_functions, name=f"{self.kind} worker")

    def _put_back(self, worker: Service) -> None:
        if worker.gone or worker.outstanding:
            # Still at work for a caller who left: it ends when that is done.
            worker.close()
            return
        self._idle.append(worker)
        loop = current_loop()
        loop.at(loop.clock.now() + self.idle_seconds, lambda: self._end_idle(worker))

    def _end_idle(self, worker: Service) -> None:
        if worker in self._idle:
            self._idle.remove(worker)
            worker.close()

    def close(self) -> None:
        """End all idle workers now."""
        while self._idle:
            self._idle.pop().close()
