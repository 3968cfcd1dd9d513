"""Messages out of fragments, sans-I/O (PS3.7 6.3, PS3.8 Annex E).

The command set of a message is gathered (it is bounded), its data set is passed on as it comes, to
the sink that the handler chose when it had seen the command.
"""

from __future__ import annotations

from typing import Protocol

from agent.errors import GantryError, PeerError
from agent.network.command import Command
from agent.network.commands import check
from agent.network.data_set import DataSetSink
from agent.network.events import DataFragment


class MessageHandler(Protocol):
    def begin(self, context: int, command: Command) -> DataSetSink | None:
        """A command is there: where its data set shall go (None: nowhere). Raises GantryError to
        have the data set drained and handed to `complete`."""

    def complete(
        self, context: int, command: Command, sink: DataSetSink | None, error: GantryError | None
    ) -> None:
        """The message is whole; `error` says why its data set was not taken."""


class MessageAssembler:
    """Takes the fragments of one association in order."""

    def __init__(self, handler: MessageHandler, *, limit: int = 65536) -> None:
        self._handler = handler
        self._limit = limit
        self._gathered = bytearray()
        self._command: Command | None = None
        self._context = 0
        self._sink: DataSetSink | None = None
        self._error: GantryError | None = None

    @property
    def under_way(self) -> bool:
        """Whether a message has begun and is not whole."""
        return self._command is not None or bool(self._gathered)

    def take(self, fragment: DataFragment) -> None:
        """Raises PeerError when the peer broke the protocol: the association is to be aborted."""
        if fragment.command:
            self._take_command(fragment)
            return
        command = self._command
        if command is None or fragment.context != self._context:
            raise PeerError(
                "a fragment of a data set came without its command",
                clause="PS3.7 6.3.1",
                value=fragment.context,
            )
        if self._sink is not None and self._error is None:
            try:
                self._sink.write(fragment.data)
            except GantryError as error:
                self._error = error
        if fragment.last:
            self._end(command)

    def _take_command(self, fragment: DataFragment) -> None:
        if self._command is not None:
            raise PeerError("a command came in the middle of a data set", clause="PS3.7 6.3.1")
        if self._gathered and fragment.context != self._context:
            raise PeerError("a command is spread over two contexts", clause="PS3.8 E.1")
        self._context = fragment.context
        if len(self._gathered) + len(fragment.data) > self._limit:
            raise PeerError(
                "the command set is longer than allowed", limit=self._limit, clause="PS3.7 6.3"
            )
        self._gathered += fragment.data
        if not fragment.last:
            return
        command = Command.decode(self._gathered)
        self._gathered = bytearray()
        check(command)
        self._command = command
        self._error = None
        self._sink = None
        try:
            self._sink = self._handler.begin(self._context, command)
        except GantryError as error:
            if isinstance(error, PeerError) and error.reaction is None:
                raise
            self._error = error
        if not command.data_set_present:
            self._end(command)

    def _end(self, command: Command) -> None:
        sink, error = self._sink, self._error
        self._command = self._sink = self._error = None
        if sink is not None:
            if error is None:
                sink.complete()
            else:
                sink.discard()
        self._handler.complete(self._context, command, sink, error)

    def discard(self) -> None:
        """The association is gone: what was under way will not come."""
        sink, self._sink = self._sink, None
        self._command = None
        self._gathered = bytearray()
        if sink is not None:
            sink.discard()
