"""A worker process as the node sees it: calls go out without waiting, answers come in any order.

The loop never blocks on a worker: what does not fit into the socket waits here, and answers are
read while it does, so that neither end can wait for the other for ever. What waits here is bounded
by its callers, each of whom waits for its answer.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from agent import observation
from agent.errors import LocalError
from agent.loop.loop import current_loop
from agent.loop.messages import Incoming, Kind, Message, encode, rights
from agent.loop.synchronization import Event, Promise
from agent.loop.template import Template
from agent.loop.waiting import readable, sleep, turn, writable
from agent.loop.worker import Start
from agent.quoting import quoted

_GONE = frozenset((errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.ESHUTDOWN))
# The kernel has too many descriptors under way, or no memory, for now.
_LATER = frozenset((errno.ETOOMANYREFS, errno.ENOBUFS, errno.ENOMEM))
_LATER_SECONDS = 0.01
_living: weakref.WeakSet[Service] = weakref.WeakSet()
# Numbers of calls are four bytes; 0 is the worker itself.
_LAST_NUMBER = (1 << 32) - 1


def processes() -> list[int]:
    """The pids of all workers of this process that have said hello."""
    return [each.pid for each in _living if each.pid is not None and not each.ended]


class WorkerDied(LocalError):
    """The worker process ended with calls unanswered: out of memory, killed, or a bug."""


class _Outgoing:
    """A frame that waits, or the rest of it."""

    __slots__ = ("begun", "descriptors", "number", "view", "withdrawn")

    def __init__(self, number: int, frame: bytes, descriptors: Sequence[int]) -> None:
        self.number = number
        self.view = memoryview(frame)
        self.descriptors = descriptors
        self.begun = False
        self.withdrawn = False


class Service:
    """A worker process; made by `Service.start`. `pid` is None until it has said hello."""

    def __init__(self, end: socket.socket, name: str) -> None:
        self.name = name
        self.pid: int | None = None
        self._end = end
        self._process: int | None = None
        self._number = 0
        self._answers: dict[int, Promise[Any]] = {}
        self._incoming = Incoming()
        self._out: deque[_Outgoing] = deque()
        self._flushing = False
        self._closing = False
        self._killing = False
        self._dead = False
        self._reason: BaseException | None = None
        self._ended = Event()
        self._loop = current_loop()
        # For a pool: called when the last call is answered, and when the process has ended.
        self.when_quiet: Callable[[Service], None] | None = None
        self.when_ended: Callable[[Service], None] | None = None
        _living.add(self)
        end.setblocking(False)
        self._loop.start_background(self._read(), f"answers of {name}")

    @classmethod
    async def start(
        cls,
        template: Template,
        entry: Callable[..., Any],
        *arguments: Any,
        name: str = "service",
        address_space: int | None = None,
    ) -> Service:
        """Start a worker that runs `entry(calls, *arguments)` until its calls end.

        `entry` is importable by name, the arguments can be pickled. Does not wait for the process:
        when it cannot start, calls raise WorkerDied, which says why. `address_space` limits its
        memory in bytes (RLIMIT_AS): beyond that it gets MemoryError.
        """
        service = cls(template.new_worker(), name)
        start = Start(name, entry, arguments, address_space, observation.log.settings)
        try:
            service._send(0, encode(Kind.START, 0, start), ())
        except BaseException:
            service.close()
            raise
        return service

    @property
    def outstanding(self) -> int:
        """Calls that have no answer yet, those of callers who were cancelled included."""
        return len(self._answers)

    @property
    def ended(self) -> bool:
        """Whether its process has ended."""
        return self._ended.is_set()

    @property
    def gone(self) -> bool:
        """Whether the worker can no longer be asked: it has ended, or was told to."""
        return self._dead or self._closing

    async def call(self, name: str, *arguments: Any, descriptors: Sequence[int] = ()) -> Any:
        """Ask the worker; its answer, or the error that it failed the call with.

        The descriptors stay the caller's, who keeps them open meanwhile; the worker gets copies.
        Raises WorkerDied when the worker is gone. A call that is cancelled is still carried out
        when any of it has been sent, and not at all otherwise.
        """
        if self.gone:
            raise self._died()
        number = self._number = self._number % _LAST_NUMBER + 1
        frame = encode(Kind.CALL, number, (name, arguments), descriptors)
        promise: Promise[Any] = Promise()
        self._answers[number] = promise
        self._loop.outside += 1
        try:
            outgoing = self._send(number, frame, descriptors)
        except BaseException:
            self._take_promise(number)
            raise
        try:
            return await promise.wait()
        except BaseException:
            if outgoing is not None and not outgoing.begun and not promise.kept:
                outgoing.withdrawn = True
                self._take_promise(number)
            raise

    def close(self) -> None:
        """Tell the worker to end when it has answered what it was asked. May be called again."""
        self._closing = True
        if not self._out:
            self._shut()

    def kill(self) -> None:
        """End the worker now, in the middle of whatever it does; its calls raise WorkerDied."""
        self._killing = self._closing = True
        if self._process is not None and not self._dead:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._process, signal.SIGKILL)

    async def closed(self) -> None:
        """Wait until the process has ended: its locks are free, its memory is given back."""
        await self._ended.wait()

    def _shut(self) -> None:
        if not self._dead:
            with contextlib.suppress(OSError):
                self._end.shutdown(socket.SHUT_WR)

    def _died(self) -> WorkerDied:
        if self._reason is not None:
            died = WorkerDied(
                f"the worker {self.name} died: {quoted(self._reason)}", value=self.name
            )
            died.__cause__ = self._reason
            return died
        if self._closing and not self._killing:
            return WorkerDied(f"the worker {self.name} was told to end", value=self.name)
        return WorkerDied(f"the worker {self.name} died", value=self.name)

    def _take_promise(self, number: int) -> Promise[Any] | None:
        promise = self._answers.pop(number, None)
        if promise is not None:
            self._loop.outside -= 1
            if not self._answers and self.when_quiet is not None:
                self.when_quiet(self)
        return promise

    def _send(self, number: int, frame: bytes, descriptors: Sequence[int]) -> _Outgoing | None:
        outgoing = _Outgoing(number, frame, descriptors)
        if not self._out and self._write(outgoing):
            return None
        self._out.append(outgoing)
        if not self._flushing:
            self._flushing = True
            self._loop.start_background(self._flush(), f"calls of {self.name}")
        return outgoing

    def _write(self, outgoing: _Outgoing) -> bool:
        """Write what fits; whether that was all. Raises OSError for descriptors that are none."""
        try:
            sent = self._end.sendmsg([outgoing.view], rights(outgoing.descriptors))
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _LATER:
                return False
            if error.errno in _GONE:
                # The reader finds the end, and fails every call.
                return True
            raise
        outgoing.begun = True
        outgoing.descriptors = ()
        outgoing.view = outgoing.view[sent:]
        return not outgoing.view

    async def _flush(self) -> None:
        try:
            while self._out and not self._dead:
                await writable(self._end)
                if not self._write_some():
                    # Room, and yet no progress: not for want of room.
                    await sleep(_LATER_SECONDS)
                await turn()
        finally:
            self._flushing = False
        if self._closing:
            self._shut()

    def _write_some(self) -> bool:
        """Write the frames that wait until the socket is full; whether anything went."""
        progress = False
        while self._out:
            outgoing = self._out[0]
            if not outgoing.withdrawn or outgoing.begun:
                before = len(outgoing.view)
                try:
                    if not self._write(outgoing):
                        return progress or len(outgoing.view) < before
                except OSError as error:
                    promise = self._take_promise(outgoing.number)
                    if promise is not None:
                        promise.fail(error)
            progress = True
            self._out.popleft()
        return True

    async def _read(self) -> None:
        try:
            while True:
                try:
                    if not self._incoming.receive(self._end):
                        break
                except BlockingIOError:
                    await readable(self._end)
                    continue
                except OSError as error:
                    if error.errno not in _GONE:
                        self._reason = error
                    break
                while (message := self._incoming.take()) is not None:
                    self._answered(message)
                if self._incoming.begun:
                    await turn()
                else:
                    # Nothing is known to come: a read would nearly always be in vain.
                    await readable(self._end)
            self._fail_all()
            if self._process is not None:
                await readable(self._process)
        finally:
            self._fail_all()
            self._end_all()

    def _answered(self, message: Message) -> None:
        if message.kind == Kind.HELLO:
            self.pid = message.value
            if message.descriptors:
                self._process = message.descriptors[0]
            if self._killing:
                self.kill()
            return
        value = message.value if message.error is None else _unreadable(message.error)
        if not message.number:
            self._reason = value
            return
        promise = self._take_promise(message.number)
        if promise is None:
            return
        if message.kind == Kind.ANSWER and message.error is None:
            promise.keep(value)
        else:
            promise.fail(value)

    def _fail_all(self) -> None:
        """The worker can be asked no more."""
        if self._dead:
            return
        self._dead = True
        self._loop.forget(self._end)
        self._end.close()
        self._incoming.close()
        self._out.clear()
        for number in tuple(self._answers):
            promise = self._answers.pop(number)
            self._loop.outside -= 1
            promise.fail(self._died())

    def _end_all(self) -> None:
        if self._process is not None:
            self._loop.forget(self._process)
            os.close(self._process)
            self._process = None
        self._ended.set()
        if self.when_ended is not None:
            self.when_ended(self)


def _unreadable(error: Exception) -> LocalError:
    return LocalError(f"the answer of a worker cannot be read: {quoted(repr(error))}")
