"""PDUs and command sets written and read by hand (PS3.8 9.3, Annex D; PS3.7 6.3).

Small, and without any knowledge of the code under test: a test must not check that code against
itself. It lets a test write what no decent program would: wrong lengths, wrong types, PDVs of one
byte. All values are the test's own to get wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

VERIFICATION = "1.2.840.10008.1.1"
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
IMPLEMENTATION_CLASS_UID = "1.2.826.0.1.3680043.2.1143.99"

A_ASSOCIATE_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ = 1, 2, 3
P_DATA_TF, A_RELEASE_RQ, A_RELEASE_RP, A_ABORT = 4, 5, 6, 7

COMMAND, LAST = 1, 2
"""Bits of the message control header of a PDV (PS3.8 E.2)."""


def pdu(kind: int, body: bytes, *, length: int | None = None) -> bytes:
    """A PDU; `length` lies about the length of the body."""
    return struct.pack(">BxI", kind, len(body) if length is None else length) + body


def item(kind: int, body: bytes, *, length: int | None = None) -> bytes:
    """An item or sub-item of an A-ASSOCIATE PDU."""
    return struct.pack(">BxH", kind, len(body) if length is None else length) + body


def proposed_context(
    identifier: int, abstract_syntax: str, *transfer_syntaxes: str, more: bytes = b""
) -> bytes:
    """A presentation context item of a request (PS3.8 9.3.2.2)."""
    names = b"".join(item(0x40, uid.encode()) for uid in transfer_syntaxes)
    head = struct.pack(">Bxxx", identifier)
    return item(0x20, head + item(0x30, abstract_syntax.encode()) + names + more)


def accepted_context(identifier: int, result: int, transfer_syntax: str) -> bytes:
    """A presentation context item of an accept (PS3.8 9.3.3.2)."""
    head = struct.pack(">BxBx", identifier, result)
    return item(0x21, head + item(0x40, transfer_syntax.encode()))


def user_information(
    *sub_items: bytes,
    maximum_length: int | None = 16384,
    implementation_class_uid: str | None = IMPLEMENTATION_CLASS_UID,
) -> bytes:
    """The user information item: the two mandatory sub-items unless None, then what is given."""
    parts = []
    if maximum_length is not None:
        parts.append(item(0x51, struct.pack(">I", maximum_length)))
    if implementation_class_uid is not None:
        parts.append(item(0x52, implementation_class_uid.encode()))
    return item(0x50, b"".join([*parts, *sub_items]))


def asynchronous_window(invoked: int, performed: int) -> bytes:
    """Sub-item 53H (PS3.7 D.3.3.3)."""
    return item(0x53, struct.pack(">HH", invoked, performed))


def role_selection(sop_class_uid: str, *, scu: bool, scp: bool) -> bytes:
    """Sub-item 54H (PS3.7 D.3.3.4)."""
    uid = sop_class_uid.encode()
    return item(0x54, struct.pack(">H", len(uid)) + uid + bytes((scu, scp)))


def _titles(called: str, calling: str, protocol_version: int) -> bytes:
    names = called.encode().ljust(16), calling.encode().ljust(16)
    return struct.pack(">Hxx16s16s32x", protocol_version, *names)


def associate_request(
    *contexts: bytes,
    called: str = "GANTRY",
    calling: str = "RAWPEER",
    user: bytes | None = None,
    application_context: str = APPLICATION_CONTEXT,
    protocol_version: int = 1,
) -> bytes:
    """An A-ASSOCIATE-RQ PDU; with no contexts: Verification in implicit VR."""
    parts = contexts or (proposed_context(1, VERIFICATION, IMPLICIT_VR_LITTLE_ENDIAN),)
    return pdu(
        A_ASSOCIATE_RQ,
        _titles(called, calling, protocol_version)
        + item(0x10, application_context.encode())
        + b"".join(parts)
        + (user_information() if user is None else user),
    )


def associate_accept(
    *contexts: bytes,
    called: str = "GANTRY",
    calling: str = "RAWPEER",
    user: bytes | None = None,
) -> bytes:
    """An A-ASSOCIATE-AC PDU."""
    return pdu(
        A_ASSOCIATE_AC,
        _titles(called, calling, 1)
        + item(0x10, APPLICATION_CONTEXT.encode())
        + b"".join(contexts)
        + (user_information() if user is None else user),
    )


def associate_reject(result: int, source: int, reason: int) -> bytes:
    """An A-ASSOCIATE-RJ PDU."""
    return pdu(A_ASSOCIATE_RJ, bytes((0, result, source, reason)))


def release_request() -> bytes:
    """An A-RELEASE-RQ PDU."""
    return pdu(A_RELEASE_RQ, bytes(4))


def release_response() -> bytes:
    """An A-RELEASE-RP PDU."""
    return pdu(A_RELEASE_RP, bytes(4))


def abort(source: int = 0, reason: int = 0) -> bytes:
    """An A-ABORT PDU."""
    return pdu(A_ABORT, bytes((0, 0, source, reason)))


def value(context: int, control: int, data: bytes, *, length: int | None = None) -> bytes:
    """A presentation data value item (PS3.8 9.3.5.1); `control` is COMMAND and LAST or'ed."""
    claimed = len(data) + 2 if length is None else length
    return struct.pack(">IBB", claimed, context, control) + data


def data(*values: bytes) -> bytes:
    """A P-DATA-TF PDU of one or more `value` items."""
    return pdu(P_DATA_TF, b"".join(values))


def fragments(context: int, message_part: bytes, *, command: bool, size: int) -> Iterator[bytes]:
    """P-DATA-TF PDUs of one PDV each, with `size` bytes of the part in each.

    DCMTK 3.6.7 aborts ("Missing CommandField") when fragments of a command set are odd.
    """
    kind = COMMAND if command else 0
    starts = range(0, len(message_part), size) or range(1)
    for start in starts:
        last = LAST if start + size >= len(message_part) else 0
        yield data(value(context, kind | last, message_part[start : start + size]))


def element(tag: int, content: bytes) -> bytes:
    """A data element in implicit VR little endian."""
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(content)) + content


def _encode(content: int | str | bytes) -> bytes:
    if isinstance(content, int):
        return struct.pack("<H", content)
    if isinstance(content, str):
        return content.encode() + b"\0" * (len(content) % 2)
    return content


def command_set(elements: dict[int, int | str | bytes], *, group_length: bool = True) -> bytes:
    """A command set (PS3.7 6.3): integers as US, text as UI padded with zero, bytes as they are."""
    body = b"".join(element(tag, _encode(elements[tag])) for tag in sorted(elements))
    return element(0x00000000, struct.pack("<I", len(body))) + body if group_length else body


def c_echo_request(message_id: int = 1) -> bytes:
    """The command set of a C-ECHO-RQ (PS3.7 9.3.5.1)."""
    return command_set({0x0002: VERIFICATION, 0x0100: 0x0030, 0x0110: message_id, 0x0800: 0x0101})


def c_store_request(
    sop_class_uid: str, sop_instance_uid: str, message_id: int = 1, priority: int = 0
) -> bytes:
    """The command set of a C-STORE-RQ (PS3.7 9.3.1.1)."""
    return command_set(
        {
            0x0002: sop_class_uid,
            0x0100: 0x0001,
            0x0110: message_id,
            0x0700: priority,
            0x0800: 0x0000,
            0x1000: sop_instance_uid,
        }
    )


def response(request: dict[int, bytes], status: int, **more: int) -> bytes:
    """The command set that answers a request without a data set; `request` from `read_command`."""
    (field_of_request,) = struct.unpack("<H", request[0x0100])
    elements: dict[int, int | str | bytes] = {
        0x0100: field_of_request | 0x8000,
        0x0120: request[0x0110],
        0x0800: 0x0101,
        0x0900: status,
    }
    for tag in (0x0002, 0x1000):
        if tag in request:
            elements[tag] = request[tag]
    return command_set(elements)


def read_command(encoded: bytes) -> dict[int, bytes]:
    """Element number of group 0000 -> raw value."""
    found = {}
    position = 0
    while position < len(encoded):
        group, number, length = struct.unpack_from("<HHI", encoded, position)
        assert group == 0, f"group {group:04X} in a command set"
        found[number] = encoded[position + 8 : position + 8 + length]
        position += 8 + length
    return found


def status_of(command: dict[int, bytes]) -> int:
    """Status (0000,0900) of a response."""
    (status,) = struct.unpack("<H", command[0x0900])
    return int(status)


@dataclass(frozen=True)
class Pdu:
    """A PDU that was received: type and body."""

    kind: int
    body: bytes

    def values(self) -> list[tuple[int, int, bytes]]:
        """(context, control, data) of each PDV of a P-DATA-TF."""
        found, position = [], 0
        while position < len(self.body):
            length, context, control = struct.unpack_from(">IBB", self.body, position)
            found.append((context, control, self.body[position + 6 : position + 4 + length]))
            position += 4 + length
        return found

    def items(self) -> list[tuple[int, bytes]]:
        """(type, content) of each variable item of an A-ASSOCIATE-RQ or -AC."""
        return list(split_items(self.body[68:]))


def split_items(content: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, content) of items that stand in a row."""
    position = 0
    while position < len(content):
        kind, length = struct.unpack_from(">BxH", content, position)
        yield kind, content[position + 4 : position + 4 + length]
        position += 4 + length


def context_results(accept: Pdu) -> dict[int, tuple[int, str]]:
    """Identifier -> (result, transfer syntax) of an A-ASSOCIATE-AC."""
    found = {}
    for kind, content in accept.items():
        if kind == 0x21:
            names = dict(split_items(content[4:]))
            found[content[0]] = (content[2], names.get(0x40, b"").rstrip(b"\0").decode())
    return found


@dataclass
class Message:
    """A DIMSE message that was received."""

    context: int
    command: dict[int, bytes]
    data_set: bytes = b""
