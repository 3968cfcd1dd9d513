"""Scripted peers over plain sockets: what they send is written by hand with `raw_pdu`.

A scripted peer blocks, with a time limit on every wait. Against a node in another process a test
calls it directly; against code on a loop in the same process it runs by `child_script.in_child`.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from tests.peers.raw_pdu import (
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RQ,
    A_RELEASE_RP,
    COMMAND,
    LAST,
    P_DATA_TF,
    Message,
    Pdu,
    accepted_context,
    associate_accept,
    associate_request,
    c_echo_request,
    fragments,
    read_command,
    release_request,
    split_items,
    status_of,
)

_LIMIT = 10.0


class PeerClosed(ConnectionError):
    """The other side closed or reset the connection where bytes were awaited."""


@dataclass
class RawPeer:
    """One transport connection, driven by hand. Every wait has an end (`limit` seconds)."""

    socket: socket.socket
    limit: float = _LIMIT
    _received: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.socket.settimeout(self.limit)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    def connect(cls, port: int, host: str = "127.0.0.1", *, source: str | None = None) -> Self:
        """Connect, from another loopback address (127.x.y.z) if `source` says so."""
        return cls(
            socket.create_connection(
                (host, port), _LIMIT, source_address=(source, 0) if source else None
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close in order (FIN)."""
        self.socket.close()

    def reset(self) -> None:
        """Close by reset (RST)."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, *parts: bytes) -> None:
        """Send bytes, in one segment where they fit."""
        self.socket.sendall(b"".join(parts))

    def drip(self, content: bytes, *, size: int = 1, pause: float = 0.0) -> None:
        """Send in segments of `size` bytes, `pause` seconds apart."""
        for start in range(0, len(content), size):
            self.socket.sendall(content[start : start + size])
            if pause:
                time.sleep(pause)

    def receive_exactly(self, number: int) -> bytes:
        """So many bytes; PeerClosed when the connection ends before."""
        while len(self._received) < number:
            self._receive_more()
        taken = bytes(self._received[:number])
        del self._received[:number]
        return taken

    def _receive_more(self) -> None:
        try:
            chunk = self.socket.recv(65536)
        except ConnectionError as error:
            raise PeerClosed(str(error)) from error
        if not chunk:
            raise PeerClosed(f"closed, with {len(self._received)} bytes of a PDU received")
        self._received += chunk

    def receive_pdu(self, expected: int | None = None) -> Pdu:
        """The next PDU; AssertionError when it is not of the expected type."""
        kind, length = struct.unpack(">BxI", self.receive_exactly(6))
        received = Pdu(kind, self.receive_exactly(length))
        assert expected in (None, kind), f"PDU {kind} {received.body.hex(' ')}, not {expected}"
        return received

    def receive_message(self) -> Message:
        """The next DIMSE message, its PDVs put together."""
        command = bytearray()
        message: Message | None = None
        parts = bytearray()
        while True:
            for context, control, content in self.receive_pdu(P_DATA_TF).values():
                if control & COMMAND:
                    command += content
                    if control & LAST:
                        message = Message(context, read_command(bytes(command)))
                else:
                    parts += content
                    if control & LAST:
                        assert message is not None, "a data set without a command"
                        message.data_set = bytes(parts)
                        return message
            if message is not None and message.command[0x0800] == b"\x01\x01":
                return message

    def send_message(
        self, context: int, command: bytes, data_set: bytes | None = None, *, size: int = 16000
    ) -> None:
        """A DIMSE message, with PDVs of at most `size` bytes of it, one in each PDU."""
        for encoded in fragments(context, command, command=True, size=size):
            self.send(encoded)
        if data_set is not None:
            for encoded in fragments(context, data_set, command=False, size=size):
                self.send(encoded)

    def associate(self, *contexts: bytes, **request: Any) -> Pdu:
        """Send an A-ASSOCIATE-RQ; the A-ASSOCIATE-AC that must come."""
        self.send(associate_request(*contexts, **request))
        return self.receive_pdu(A_ASSOCIATE_AC)

    def echo(self, context: int = 1, message_id: int = 1) -> int:
        """C-ECHO; the status."""
        self.send_message(context, c_echo_request(message_id))
        return status_of(self.receive_message().command)

    def release(self) -> None:
        """A-RELEASE in order: request, response, and the connection closed by the other side."""
        self.send(release_request())
        self.receive_pdu(A_RELEASE_RP)
        self.close()

    def is_closed_by_peer(self) -> bool:
        """Wait (up to the limit) for the end of the connection; False when bytes come instead."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True

    def accept_association(self, *results: bytes, **accept: Any) -> Pdu:
        """As acceptor: read the request and accept; without results, all contexts as proposed."""
        request = self.receive_pdu(A_ASSOCIATE_RQ)
        answers: Iterable[bytes] = results or [
            accepted_context(content[0], 0, self._first_syntax(content))
            for kind, content in request.items()
            if kind == 0x20
        ]
        self.send(associate_accept(*answers, **accept))
        return request

    @staticmethod
    def _first_syntax(context: bytes) -> str:
        names = [content for kind, content in split_items(context[4:]) if kind == 0x40]
        return names[0].decode()


class RawServer:
    """A listening socket of a scripted peer on loopback; `backlog` 0 makes a full queue easy."""

    def __init__(self, host: str = "127.0.0.1", *, backlog: int = 16) -> None:
        self.socket = socket.create_server((host, 0), backlog=backlog)
        self.socket.settimeout(_LIMIT)
        self.port: int = self.socket.getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def accept(self) -> RawPeer:
        """The next connection."""
        connection, _ = self.socket.accept()
        return RawPeer(connection)
