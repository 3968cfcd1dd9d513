"""What tests of retrieval have in common: objects, requests by hand, a scripted destination."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from tests.node.running import NodeProcess
from tests.peers.raw_pdu import (
    A_RELEASE_RQ,
    P_DATA_TF,
    Message,
    accepted_context,
    associate_accept,
    asynchronous_window,
    c_store_request,
    command_set,
    proposed_context,
    read_command,
    release_response,
    response,
    role_selection,
    split_items,
    user_information,
)
from tests.peers.raw_peer import PeerClosed, RawPeer, RawServer

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
STUDY_ROOT_MOVE, STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.2", "1.2.840.10008.5.1.4.1.2.2.3"
PATIENT_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.1.2"
INSTANCE_MOVE, INSTANCE_GET = "1.2.840.10008.5.1.4.1.2.4.2", "1.2.840.10008.5.1.4.1.2.4.3"
WITHOUT_BULK_DATA = "1.2.840.10008.5.1.4.1.2.5.3"
SERVICES = "".join(
    f'[[entity.service]]\nname = "{name}"\n'
    for name in ("move", "get", "instance-move", "instance-get", "get-without-bulk-data")
)

FAILED_LIST = 0x0008_0058
REMAINING, COMPLETED, FAILED, WARNING = 0x1020, 0x1021, 0x1022, 0x1023
PENDING, CANCELLED = 0xFF00, 0xFE00


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    """An element in explicit VR little endian, padded."""
    value += (b"\0" if vr in (b"UI", b"OB", b"OW") else b" ") * (len(value) % 2)
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
    if vr in (b"OB", b"OW", b"SQ", b"UN", b"OF", b"OD", b"UT"):
        return head + bytes(2) + struct.pack("<I", len(value)) + value
    return head + struct.pack("<H", len(value)) + value


@dataclass(frozen=True)
class Made:
    """An object in explicit VR little endian."""

    uid: str
    study: str
    sop_class: str = CT
    size: int = 200
    more: Mapping[int, tuple[bytes, bytes]] = field(default_factory=dict)
    patient_id: str = "P1"

    @property
    def series(self) -> str:
        return f"{self.study}.1"

    def data_set(self) -> bytes:
        values = {
            0x00080016: (b"UI", self.sop_class.encode()),
            0x00080018: (b"UI", self.uid.encode()),
            0x00080060: (b"CS", b"CT"),
            0x00100020: (b"LO", self.patient_id.encode()),
            0x0020000D: (b"UI", self.study.encode()),
            0x0020000E: (b"UI", self.series.encode()),
            0x00091001: (b"LO", b"private"),
            0x7FE00010: (b"OW", bytes(self.size)),
            **self.more,
        }
        return b"".join(element(tag, *values[tag]) for tag in sorted(values))


def store(
    port: int,
    objects: Sequence[Made],
    syntax: str = EXPLICIT,
    *,
    window: int = 8,
    called: str = "GANTRY",
) -> None:
    """Have somebody store objects, some at once so that they are synced together."""
    classes = list(dict.fromkeys(each.sop_class for each in objects))
    for start in range(0, len(classes), 100):
        some = classes[start : start + 100]
        contexts = {uid: 2 * n + 1 for n, uid in enumerate(some)}
        with RawPeer.connect(port) as peer:
            peer.associate(
                *(proposed_context(n, uid, syntax) for uid, n in contexts.items()),
                user=user_information(*([asynchronous_window(window, 1)] if window > 1 else [])),
                called=called,
            )
            wanted = [each for each in objects if each.sop_class in contexts]
            for first in range(0, len(wanted), window):
                some_of_them = wanted[first : first + window]
                for number, each in enumerate(some_of_them, first + 1):
                    request = c_store_request(each.sop_class, each.uid, number)
                    peer.send_message(contexts[each.sop_class], request, each.data_set())
                for _ in some_of_them:
                    answer = peer.receive_message()
                    assert answer.command[0x0900] == b"\0\0", answer
            peer.release()


def identifier(level: str, **keys: str) -> bytes:
    """The identifier of a retrieval in implicit VR little endian."""
    tags = {
        "patient": 0x00100020,
        "study": 0x0020000D,
        "series": 0x0020000E,
        "image": 0x00080018,
    }
    elements = {0x00080052: level.encode()} if level else {}
    elements |= {tags[name]: value.encode() for name, value in keys.items()}
    return encoded(elements)


def encoded(elements: Mapping[int, bytes]) -> bytes:
    """A data set in implicit VR little endian."""
    found = b""
    for tag in sorted(elements):
        value = elements[tag]
        value += b" " * (len(value) % 2)
        found += struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value
    return found


def move_request(
    destination: str, *, sop_class: str = STUDY_ROOT_MOVE, message_id: int = 1, priority: int = 0
) -> bytes:
    """The command set of a C-MOVE-RQ (PS3.7 9.3.4.1)."""
    return command_set(
        {
            0x0002: sop_class,
            0x0100: 0x0021,
            0x0110: message_id,
            0x0600: (destination + " " * (len(destination) % 2)).encode(),
            0x0700: priority,
            0x0800: 1,
        }
    )


def get_request(sop_class: str = STUDY_ROOT_GET, message_id: int = 1, priority: int = 0) -> bytes:
    """The command set of a C-GET-RQ (PS3.7 9.3.3.1)."""
    return command_set(
        {
            0x0002: sop_class,
            0x0100: 0x0010,
            0x0110: message_id,
            0x0700: priority,
            0x0800: 1,
        }
    )


def cancel_request(message_id: int = 1) -> bytes:
    """The command set of a C-CANCEL-RQ (PS3.7 9.3.4.3)."""
    return command_set({0x0100: 0x0FFF, 0x0120: message_id, 0x0800: 0x0101})


def number(message: Message, which: int) -> int | None:
    """A counter or the status of a response."""
    value = message.command.get(which)
    return None if value is None else int(struct.unpack("<H", value)[0])


def status(message: Message) -> int:
    found = number(message, 0x0900)
    assert found is not None
    return found


def failed_uids(message: Message) -> list[str]:
    """The Failed SOP Instance UID List, which must be all that the data set has."""
    tag, length = struct.unpack("<HH", message.data_set[:4]), message.data_set[4:8]
    assert tag == (FAILED_LIST >> 16, FAILED_LIST & 0xFFFF), message.data_set
    assert len(message.data_set) == 8 + struct.unpack("<I", length)[0]
    return message.data_set[8:].decode().rstrip("\0").split("\\")


@dataclass
class Answers:
    """All responses to a retrieval; `stored` are the objects that a C-GET brought."""

    responses: list[Message]
    stored: list[Message] = field(default_factory=list)

    @property
    def final(self) -> Message:
        return self.responses[-1]

    @property
    def status(self) -> int:
        return status(self.final)

    def counts(self) -> tuple[int | None, int | None, int | None, int | None]:
        """Remaining, Completed, Failed and Warning of the final response."""
        final = self.final
        return (
            number(final, REMAINING),
            number(final, COMPLETED),
            number(final, FAILED),
            number(final, WARNING),
        )


def answers_of(peer: RawPeer, store_status: Callable[[int], int] = lambda count: 0) -> Answers:
    """Read on until the final response; C-STORE requests that come are answered."""
    found = Answers([])
    while True:
        message = peer.receive_message()
        if number(message, 0x0100) == 0x0001:
            found.stored.append(message)
            answer = response(message.command, store_status(len(found.stored)))
            peer.send_message(message.context, answer)
            continue
        found.responses.append(message)
        if status(message) not in (PENDING, 0xFF01):
            return found


def move(
    port: int,
    destination: str,
    keys: bytes,
    *,
    sop_class: str = STUDY_ROOT_MOVE,
    priority: int = 0,
    message_id: int = 1,
    calling: str = "MOVER",
) -> Answers:
    """One C-MOVE over an association of its own."""
    with RawPeer.connect(port) as peer:
        peer.associate(proposed_context(1, sop_class, IMPLICIT), calling=calling)
        request = move_request(
            destination, sop_class=sop_class, priority=priority, message_id=message_id
        )
        peer.send_message(1, request, keys)
        found = answers_of(peer)
        peer.release()
        return found


def associate_for_get(
    peer: RawPeer,
    sop_class: str = STUDY_ROOT_GET,
    classes: Sequence[str] = (CT, MR),
    with_role: Sequence[str] | None = None,
    syntaxes: Sequence[str] = (EXPLICIT,),
) -> dict[str, bytes]:
    """Contexts for a C-GET: number 1, and one for each Storage class, with the role of an SCP for
    those `with_role` (all of them, where it is None). The roles that were answered, by class."""
    roles = classes if with_role is None else with_role
    accepted = peer.associate(
        proposed_context(1, sop_class, IMPLICIT),
        *(proposed_context(2 * n + 3, uid, *syntaxes) for n, uid in enumerate(classes)),
        user=user_information(*(role_selection(uid, scu=False, scp=True) for uid in roles)),
        calling="GETTER",
    )
    answered = {}
    for kind, content in accepted.items():
        if kind != 0x50:
            continue
        for sub_kind, value in split_items(content):
            if sub_kind == 0x54:
                (length,) = struct.unpack(">H", value[:2])
                answered[value[2 : 2 + length].decode().rstrip("\0")] = value[2 + length :]
    return answered


def get(
    port: int,
    keys: bytes,
    *,
    sop_class: str = STUDY_ROOT_GET,
    classes: Sequence[str] = (CT, MR),
    with_role: Sequence[str] | None = None,
    priority: int = 0,
    store_status: Callable[[int], int] = lambda count: 0,
    syntaxes: Sequence[str] = (EXPLICIT,),
) -> Answers:
    """One C-GET over an association of its own."""
    with RawPeer.connect(port) as peer:
        associate_for_get(peer, sop_class, classes, with_role, syntaxes)
        peer.send_message(1, get_request(sop_class, priority=priority), keys)
        found = answers_of(peer, store_status)
        peer.release()
        return found


class Destination:
    """A Storage SCP that is scripted, in a thread: what it got is in `requests`.

    `refuses` are SOP classes without a context, `statuses` what it answers to each object, the
    last for ever; `before` is called before each answer.
    """

    def __init__(
        self,
        *,
        refuses: Sequence[str] = (),
        statuses: Sequence[int] = (0,),
        before: Callable[[int], None] = lambda count: None,
    ) -> None:
        self.refuses = tuple(refuses)
        self.statuses = list(statuses)
        self.before = before
        self.requests: list[Message] = []
        self.associations: list[bytes] = []
        self._server = RawServer()
        self._server.socket.settimeout(None)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.port = self._server.port

    def __enter__(self) -> Destination:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.socket.close()

    def clear(self) -> None:
        self.requests.clear()
        self.associations.clear()
        self.refuses, self.statuses, self.before = (), [0], lambda count: None

    @property
    def uids(self) -> list[str]:
        return [each.command[0x1000].decode().rstrip("\0") for each in self.requests]

    def _serve(self) -> None:
        with suppress(OSError, ValueError):
            while True:
                connection, _ = self._server.socket.accept()
                threading.Thread(
                    target=self._answer, args=(RawPeer(connection),), daemon=True
                ).start()

    def _answer(self, peer: RawPeer) -> None:
        with peer, suppress(PeerClosed, OSError):
            results = []
            request = peer.receive_pdu()
            self.associations.append(request.body)
            for kind, content in request.items():
                if kind != 0x20:
                    continue
                names = list(split_items(content[4:]))
                syntax = next(value for sub_kind, value in names if sub_kind == 0x40)
                abstract = next(value for sub_kind, value in names if sub_kind == 0x30)
                refused = abstract.decode().rstrip("\0") in self.refuses
                results.append(accepted_context(content[0], 3 if refused else 0, syntax.decode()))
            peer.send(associate_accept(*results))
            for message in self._messages(peer):
                self.requests.append(message)
                self.before(len(self.requests))
                chosen = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
                peer.send_message(message.context, response(message.command, chosen))

    @staticmethod
    def _messages(peer: RawPeer) -> Iterator[Message]:
        command, parts = bytearray(), bytearray()
        while True:
            pdu = peer.receive_pdu()
            if pdu.kind == A_RELEASE_RQ:
                peer.send(release_response())
                return
            if pdu.kind != P_DATA_TF:
                return
            for context, control, content in pdu.values():
                (command if control & 1 else parts).extend(content)
                if control == 2:
                    yield Message(context, read_command(bytes(command)), bytes(parts))
                    command, parts = bytearray(), bytearray()


def peer_table(name: str, port: int, more: str = "") -> str:
    """A peer of a node's configuration."""
    return f'[[peer]]\nname = "{name}"\naddresses = ["127.0.0.1:{port}"]\n{more}'


def wait_until_calm(node: NodeProcess, seconds: float = 5.0) -> None:
    """Until nobody has an association with the node, and it has none with anybody."""
    end = time.monotonic() + seconds
    while node.ask("status")["associations"]:
        assert time.monotonic() < end, node.log[-2000:]
        time.sleep(0.02)
