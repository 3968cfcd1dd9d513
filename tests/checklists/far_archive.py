"""A scripted Storage SCP that says what it was told to, and keeps what was said to it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from tests.peers.raw_pdu import (
    A_ASSOCIATE_RQ,
    A_RELEASE_RQ,
    COMMAND,
    LAST,
    P_DATA_TF,
    Message,
    Pdu,
    accepted_context,
    associate_accept,
    command_set,
    read_command,
    release_response,
    split_items,
)
from tests.peers.raw_peer import PeerClosed, RawPeer, RawServer

EXTENDED, COMMON_EXTENDED = 0x56, 0x57
"""Types of the sub-items of extended negotiation (PS3.7 D.3.3.5, D.3.3.6)."""


C_STORE = 0x0001
NO_DATA_SET = b"\x01\x01"


@dataclass(frozen=True)
class Context:
    """A presentation context as it was proposed (PS3.8 9.3.2.2)."""

    identifier: int
    abstract_syntaxes: tuple[str, ...]
    transfer_syntaxes: tuple[str, ...]

    @property
    def abstract_syntax(self) -> str:
        return self.abstract_syntaxes[0]


def contexts_of(request: Pdu) -> list[Context]:
    """The presentation contexts of an A-ASSOCIATE-RQ."""
    found = []
    for kind, content in request.items():
        if kind == 0x20:
            names = [(each, uid.decode()) for each, uid in split_items(content[4:])]
            found.append(
                Context(
                    content[0],
                    tuple(uid for each, uid in names if each == 0x30),
                    tuple(uid for each, uid in names if each == 0x40),
                )
            )
    return found


def user_items(pdu: Pdu) -> list[tuple[int, bytes]]:
    """(type, content) of each sub-item of the user information, in order."""
    (information,) = [content for kind, content in pdu.items() if kind == 0x50]
    return list(split_items(information))


def _counted(content: bytes) -> tuple[str, bytes]:
    """A UID behind its length of two bytes, and the rest."""
    end = 2 + int.from_bytes(content[:2], "big")
    return content[2:end].decode(), content[end:]


def extended_items_of(pdu: Pdu) -> list[tuple[str, bytes]]:
    """(SOP Class UID, service class application information) of each sub-item 56H."""
    return [_counted(content) for kind, content in user_items(pdu) if kind == EXTENDED]


def common_extended_items_of(pdu: Pdu) -> dict[str, tuple[str, tuple[str, ...]]]:
    """SOP Class UID -> (Service Class UID, Related General SOP Class UIDs) of sub-items 57H."""
    found = {}
    for kind, content in user_items(pdu):
        if kind == COMMON_EXTENDED:
            sop_class, rest = _counted(content)
            service_class, rest = _counted(rest)
            length, rest = int.from_bytes(rest[:2], "big"), rest[2:]
            related, rest = rest[:length], rest[length:]
            general = []
            while related:
                uid, related = _counted(related)
                general.append(uid)
            assert sop_class not in found
            assert not rest, "reserved, and never sent"
            found[sop_class] = (service_class, tuple(general))
    return found


@dataclass
class Stored:
    """A C-STORE that arrived."""

    abstract_syntax: str
    transfer_syntax: str
    sop_class_uid: str
    sop_instance_uid: str
    data_set: bytes
    status: int


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode()


@dataclass
class FarArchive:
    """Runs until the block ends; one association after the other.

    `takes` decides on each context; `status` gives the answer to a SOP Instance UID; `more` are
    further elements of each response, such as Error Comment.
    """

    takes: Callable[[Context], bool] = lambda context: True
    status: Callable[[str], int] = lambda uid: 0
    more: dict[int, int | str | bytes] = field(default_factory=dict)
    requests: list[Pdu] = field(default_factory=list)
    stored: list[Stored] = field(default_factory=list)
    faults: list[BaseException] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._server = RawServer()
        self._ending = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._ending = True
        self._server.socket.close()
        self._thread.join(10)
        if kind is None and self.faults:
            raise self.faults[0]

    @property
    def port(self) -> int:
        return self._server.port

    def contexts(self) -> list[Context]:
        """Of all requests."""
        return [each for request in self.requests for each in contexts_of(request)]

    def _run(self) -> None:
        self._server.socket.settimeout(0.1)
        while not self._ending:
            try:
                connection, _ = self._server.socket.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            try:
                self._serve(connection)
            except (PeerClosed, ConnectionError):
                continue
            except BaseException as error:
                if not self._ending:
                    self.faults.append(error)

    def _serve(self, connection: socket.socket) -> None:
        with RawPeer(connection, limit=0.1) as peer:
            request = self._next(peer)
            assert request.kind == A_ASSOCIATE_RQ
            self.requests.append(request)
            chosen = {}
            answers = []
            for each in contexts_of(request):
                taken = self.takes(each)
                chosen[each.identifier] = (each.abstract_syntax, each.transfer_syntaxes[0])
                result = 0 if taken else 3
                answers.append(accepted_context(each.identifier, result, each.transfer_syntaxes[0]))
            peer.send(associate_accept(*answers))
            while True:
                message = self._message(peer)
                if message is None:
                    peer.send(release_response())
                    return
                self._answer(peer, message, chosen[message.context])

    def _next(self, peer: RawPeer) -> Pdu:
        """The next PDU, however long it takes, until the block ends."""
        while True:
            try:
                return peer.receive_pdu()
            except TimeoutError:
                if self._ending:
                    raise

    def _message(self, peer: RawPeer) -> Message | None:
        """The next message; None when a release is asked for."""
        command, data = b"", b""
        message: Message | None = None
        while True:
            pdu = self._next(peer)
            if pdu.kind == A_RELEASE_RQ:
                return None
            if pdu.kind != P_DATA_TF:
                raise PeerClosed(f"PDU {pdu.kind}")
            for context, control, content in pdu.values():
                if control & COMMAND:
                    command += content
                    if control & LAST:
                        message = Message(context, read_command(command))
                        if message.command[0x0800] == NO_DATA_SET:
                            return message
                else:
                    data += content
                    if control & LAST:
                        assert message is not None
                        message.data_set = data
                        return message

    def _answer(self, peer: RawPeer, message: Message, context: tuple[str, str]) -> None:
        command = message.command
        sop_class = _text(command[0x0002])
        field_of_request = int.from_bytes(command[0x0100], "little")
        answer: dict[int, int | str | bytes] = {
            0x0002: sop_class,
            0x0100: field_of_request | 0x8000,
            0x0120: command[0x0110],
            0x0800: 0x0101,
            0x0900: 0,
        }
        if field_of_request == C_STORE:
            instance = _text(command[0x1000])
            status = self.status(instance)
            self.stored.append(Stored(*context, sop_class, instance, message.data_set, status))
            answer |= {0x0900: status, 0x1000: instance, **self.more}
        peer.send_message(message.context, command_set(answer))
