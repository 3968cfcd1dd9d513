"""Ways to an audit repository: syslog over TLS (RFC 5425), over UDP (RFC 5426), and the journal.

Each says what can be known of the arrival of a message. Memory: the messages that are handed in.
"""

from __future__ import annotations

import errno
import socket
from abc import ABC, abstractmethod
from collections.abc import Sequence

from agent.configuration.connection import Socket, Timers
from agent.configuration.syslog import SyslogReceiver
from agent.errors import UnreachableError
from agent.loop import current_loop, readable, sleep, writable
from agent.network.connection import open_stream
from agent.network.resolution import Resolve, look_up
from agent.network.stream import ConnectionLost, Stream
from agent.network.tls import client_context
from agent.security.audit_syslog import Recorded, Sender, framed, journal_entry, syslog_message

_POLLS, _LONGEST_POLL = 0.002, 0.1


class Connection(ABC):
    """An open way to a repository."""

    @abstractmethod
    async def send(self, batch: Sequence[Recorded]) -> None:
        """Raises GantryError when the repository is away."""

    @abstractmethod
    async def acknowledged(self) -> None:
        """Waits until all that was sent has arrived, as far as can be known."""

    @abstractmethod
    async def ended(self) -> str:
        """Waits until the other side has ended the connection; why."""

    @abstractmethod
    def close(self) -> None: ...


class TlsConnection(Connection):
    """Syslog over TLS (RFC 5425)."""

    def __init__(self, stream: Stream, sender: Sender) -> None:
        self._stream = stream
        self._sender = sender

    @classmethod
    async def open(
        cls, table: SyslogReceiver, sender: Sender, resolve: Resolve | None, confirm: float
    ) -> TlsConnection:
        """Raises UnreachableError, ConnectionLost when TLS fails, ConfigurationError."""
        assert table.address is not None
        # A machine that is gone is noticed before its messages count as delivered.
        probes = max(1.0, confirm / 4)
        stream = await open_stream(
            [(table.address.host, table.address.port)],
            Timers(),
            Socket(keep_alive=probes, user_timeout=max(1.0, confirm / 2)),
            client_context(table.tls),
            table.tls.server_name,
            resolve,
        )
        return cls(stream, sender)

    async def send(self, batch: Sequence[Recorded]) -> None:
        await self._stream.send([framed(syslog_message(each, self._sender)) for each in batch])

    async def acknowledged(self) -> None:
        wait = _POLLS
        # Where TLS ends in a process of its own, it has taken it then; beyond it time alone counts.
        while self._stream.unacknowledged:
            await sleep(wait)
            wait = min(wait * 2, _LONGEST_POLL)

    async def ended(self) -> str:
        try:
            # A receiver says nothing (RFC 5425 4.3); what it says all the same is passed over.
            while await self._stream.receive():
                pass
        except ConnectionLost as error:
            return error.message
        return "the repository closed the connection"

    def close(self) -> None:
        self._stream.close()


class DatagramConnection(Connection):
    """Syslog over UDP (RFC 5426), and the journal: one datagram a message."""

    def __init__(self, end: socket.socket, sender: Sender, *, journal: bool) -> None:
        self._end = end
        self._sender = sender
        self._journal = journal

    @classmethod
    async def open(
        cls, table: SyslogReceiver, sender: Sender, resolve: Resolve | None
    ) -> DatagramConnection:
        """Raises UnreachableError where there is no such host, or no journal."""
        if table.transport == "journal":
            family, address = socket.AF_UNIX, table.socket
            where = table.socket
        else:
            assert table.address is not None
            where = str(table.address)
            host, port = table.address.host, table.address.port
            try:
                found = await resolve(host, port) if resolve else look_up(host, port)
            except OSError as error:
                raise UnreachableError(f"there is no host named {host}", value=host) from error
            family, address = found[0]  # type: ignore[assignment]
        end = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        end.setblocking(False)
        try:
            end.connect(address)
        except OSError as error:
            end.close()
            raise UnreachableError(f"{where} cannot be reached: {error.strerror}") from error
        return cls(end, sender, journal=table.transport == "journal")

    async def send(self, batch: Sequence[Recorded]) -> None:
        for each in batch:
            data = (
                journal_entry(each, self._sender)
                if self._journal
                else syslog_message(each, self._sender)
            )
            while True:
                try:
                    self._end.send(data)
                    break
                except BlockingIOError:
                    await writable(self._end)
                except OSError as error:
                    if error.errno == errno.EMSGSIZE:
                        break
                    raise UnreachableError(f"nobody takes datagrams: {error.strerror}") from error

    async def acknowledged(self) -> None:
        if not self._journal:
            # So long an answer "port unreachable" takes in a local network; and a receiver's
            # buffer is not run over.
            await sleep(0.05)
        failed = self._end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            raise UnreachableError(f"nobody takes datagrams: {errno.errorcode.get(failed, failed)}")

    async def ended(self) -> str:
        while True:
            await readable(self._end)
            try:
                self._end.recv(1)
            except BlockingIOError:
                continue
            except OSError as error:
                return f"nobody takes datagrams: {error.strerror}"

    def close(self) -> None:
        current_loop().forget(self._end)
        self._end.close()


async def open_connection(
    table: SyslogReceiver, sender: Sender, resolve: Resolve | None, confirm: float
) -> Connection:
    """Over TLS a machine that is gone is noticed within `confirm` seconds, those after which a
    message counts as delivered.

    Raises UnreachableError, ConnectionLost when TLS fails, ConfigurationError for its files.
    """
    if table.transport == "tls":
        return await TlsConnection.open(table, sender, resolve, confirm)
    return await DatagramConnection.open(table, sender, resolve)
