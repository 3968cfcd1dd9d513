"""The worker's side of a service: calls come in groups, answers go back in any order."""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import socket
import traceback
from typing import Any

from agent.errors import LocalError
from agent.loop.messages import Incoming, Kind, encode
from agent.quoting import quoted

# Answers are sent together, but not later than when so many bytes wait.
_FLUSH = 1 << 16


class Call:
    """One call; answer it once. Its descriptors are closed with the answer."""

    __slots__ = ("_calls", "_number", "arguments", "descriptors", "name")

    def __init__(
        self,
        calls: Calls,
        number: int,
        name: str,
        arguments: tuple[Any, ...],
        descriptors: list[int],
    ) -> None:
        self._calls = calls
        self._number = number
        self.name = name
        self.arguments = arguments
        self.descriptors = descriptors

    def reply(self, value: object) -> None:
        """The caller gets this value; LocalError when it cannot be pickled."""
        try:
            frame = encode(Kind.ANSWER, self._number, value)
        except Exception as error:
            self.fail(
                LocalError(f"the answer to {self.name} cannot be sent: {quoted(repr(error))}")
            )
        else:
            self._answer(frame)

    def fail(self, error: BaseException) -> None:
        """The caller gets this error raised, with a note that says where it was raised here."""
        self._answer(encode_error(self._number, error))

    def _answer(self, frame: bytes) -> None:
        self._calls.send(frame)
        for descriptor in self.descriptors:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self.descriptors = []


def encode_error(number: int, error: BaseException) -> bytes:
    """A frame with an error; one that cannot be pickled becomes a LocalError that quotes it."""
    where = traceback.extract_tb(error.__traceback__)
    if where:
        last = where[-1]
        error.add_note(f"in a worker, {last.filename}:{last.lineno} in {last.name}")
    try:
        frame = encode(Kind.ERROR, number, error)
        # An error whose class takes other arguments than it stores can be written, not read.
        pickle.loads(pickle.dumps(error, protocol=5))
        return frame
    except Exception:
        return encode(
            Kind.ERROR, number, LocalError(f"{type(error).__name__}: {quoted(str(error))}")
        )


class Calls:
    """What the node asks of this worker."""

    def __init__(self, end: socket.socket, incoming: Incoming | None = None) -> None:
        self._end = end
        self._incoming = incoming if incoming is not None else Incoming()
        self._out = bytearray()

    @property
    def descriptor(self) -> int:
        """Readable when there is a call, or the node is gone; for workers that wait for more."""
        return self._end.fileno()

    def receive(self, limit: int = 64) -> list[Call]:
        """At least one call, with all that wait behind it up to `limit`; [] when the node is gone.

        Answers that wait are sent first: a group is answered as a group.
        """
        if not self.flush():
            return []
        found: list[Call] = []
        while len(found) < limit:
            message = self._incoming.take()
            if message is None:
                if not self._receive(wait=not found):
                    break
            elif message.error is not None:
                problem = LocalError(f"the call cannot be read: {quoted(repr(message.error))}")
                Call(self, message.number, "?", (), message.descriptors).fail(problem)
                if not found:
                    self.flush()
            else:
                name, arguments = message.value
                found.append(Call(self, message.number, name, arguments, message.descriptors))
        return found

    def wait(self, descriptor: int | None, seconds: float | None) -> bool:
        """Until a call may be waiting (True), or this descriptor is readable or the time is over
        (False). For workers that have more to do than what they are asked.

        Answers that wait are sent first. True when the node is gone as well: `receive` says so.
        """
        if not self.flush() or self._incoming.whole:
            return True
        mine = self._end.fileno()
        others = [] if descriptor is None else [descriptor]
        found, _, _ = select.select([mine, *others], [], [], seconds)
        return mine in found

    def _receive(self, *, wait: bool) -> bool:
        try:
            return self._incoming.receive(self._end, 0 if wait else socket.MSG_DONTWAIT)
        except OSError:
            # Nothing more for now, or for ever: then the next call that waits finds the same.
            return False

    def send(self, frame: bytes) -> None:
        """Send with the next group of answers; for `Call`."""
        self._out += frame
        if len(self._out) >= _FLUSH:
            self.flush()

    def flush(self) -> bool:
        """Send the answers that wait; False when the node is gone."""
        out, self._out = self._out, bytearray()
        try:
            if out:
                self._end.sendall(out)
        except OSError:
            return False
        return True
