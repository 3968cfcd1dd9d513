"""The worker's side of a service: calls come in groups, answers go back in any order."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any

from agent.errors import LocalError
from agent.loop.messages import Incoming, encode

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
        self._answer(True, value)

    def fail(self, error: BaseException) -> None:
        """The caller gets this error raised."""
        self._answer(False, error)

    def _answer(self, good: bool, value: object) -> None:
        try:
            frame = encode((self._number, good, value))
        except Exception as error:
            text = f"the answer to {self.name} cannot be sent: {error!r} in {value!r}"
            frame = encode((self._number, False, LocalError(text)))
        self._calls.send(frame)
        for descriptor in self.descriptors:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self.descriptors = []


class Calls:
    """What the node asks of this worker."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._incoming = Incoming()
        self._out = bytearray()

    def receive(self, limit: int = 64) -> list[Call]:
        """At least one call, with all that wait behind it up to `limit`; [] when the node is gone.

        Answers that wait are sent first: a group is answered as a group.
        """
        if not self.flush():
            return []
        found: list[Call] = []
        while len(found) < limit:
            message = self._incoming.take()
            if message is not None:
                (number, name, arguments), descriptors = message
                found.append(Call(self, number, name, arguments, descriptors))
                continue
            try:
                if not self._incoming.receive(self._end, socket.MSG_DONTWAIT if found else 0):
                    break
            except BlockingIOError:
                break
            except OSError:
                break
        return found

    def send(self, frame: bytes) -> None:
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
