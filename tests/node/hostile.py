"""What hostile, broken or very old peers send: bytes by name, for a node that must bear them all.

`BEFORE` comes instead of an association request, `WITHIN` on an association that was accepted with
Verification on context 1 and CT storage on context 3, both in implicit VR.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType

from tests.peers.raw_pdu import (
    A_ABORT,
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RQ,
    A_RELEASE_RP,
    A_RELEASE_RQ,
    COMMAND,
    LAST,
    P_DATA_TF,
    abort,
    associate_request,
    c_echo_request,
    c_store_request,
    command_set,
    data,
    element,
    item,
    pdu,
    proposed_context,
    release_request,
    release_response,
    user_information,
    value,
)

CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT = "1.2.840.10008.1.2"
_REQUEST = associate_request()
_WHOLE = COMMAND | LAST


def _nested(kind: int, depth: int) -> bytes:
    found = b""
    for _ in range(depth):
        found = item(kind, found[:60000])
    return found


BEFORE: Mapping[str, bytes] = MappingProxyType(
    {
        "nothing but zeros": bytes(4096),
        "all ones": b"\xff" * 4096,
        "http": b"GET / HTTP/1.1\r\nHost: box\r\n\r\n",
        "tls client hello": bytes.fromhex("16030100c8010000c40303") + bytes(190),
        "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
        "telnet": b"\xff\xfb\x01\xff\xfb\x03root\r\n",
        "hl7": b"\x0bMSH|^~\\&|A|B|C|D|20200101||ADT^A01|1|P|2.3\r\x1c\r",
        "an unknown pdu": pdu(0x08, bytes(16)),
        "pdu type zero": pdu(0x00, bytes(16)),
        "a release first": release_request(),
        "a release answer first": release_response(),
        "an abort first": abort(),
        "data first": data(value(1, _WHOLE, c_echo_request())),
        "an accept instead of a request": pdu(A_ASSOCIATE_AC, _REQUEST[6:]),
        "a request of four gigabytes": pdu(A_ASSOCIATE_RQ, bytes(64), length=0xFFFFFFFF),
        "a request just over the limit": pdu(A_ASSOCIATE_RQ, bytes(64), length=(1 << 20) + 1),
        "an empty request": pdu(A_ASSOCIATE_RQ, b""),
        "a request that ends in its titles": pdu(A_ASSOCIATE_RQ, bytes(40)),
        "a request without items": pdu(A_ASSOCIATE_RQ, _REQUEST[6:74]),
        "a request cut off": _REQUEST[:-7],
        "a request that claims less": _REQUEST[:2] + struct.pack(">I", 80) + _REQUEST[6:],
        "a request that claims more, then a release": (
            _REQUEST[:2] + struct.pack(">I", len(_REQUEST)) + _REQUEST[6:] + release_request()
        ),
        "two requests": _REQUEST + _REQUEST,
        "protocol version zero": associate_request(protocol_version=0),
        "protocol version of another world": associate_request(protocol_version=0x8000),
        "another application context": associate_request(application_context="1.2.3"),
        "an application context of nulls": associate_request(application_context="\0" * 64),
        "an application context of garbage": associate_request(application_context="\x01é" * 30),
        "no user information": associate_request(user=b""),
        "empty user information": associate_request(user=item(0x50, b"")),
        "user information that lies": associate_request(user=item(0x50, b"\x51\0", length=9000)),
        "user information twice": associate_request(user=user_information() * 2),
        "a maximum length of one byte": associate_request(user=user_information(maximum_length=1)),
        "a maximum length of seven bytes": associate_request(
            user=user_information(maximum_length=7)
        ),
        "a maximum length item of two bytes": associate_request(
            user=user_information(item(0x51, b"\0\1"), maximum_length=None)
        ),
        "a window item of one byte": associate_request(user=user_information(item(0x53, b"\0"))),
        "a role item that lies": associate_request(
            user=user_information(item(0x54, b"\xff\xff1.2"))
        ),
        "an extended item that lies": associate_request(
            user=user_information(item(0x56, b"\0\x701.2"))
        ),
        "a common extended item that lies": associate_request(
            user=user_information(item(0x57, b"\0\x051.2.3\0\x40"))
        ),
        "a user identity that lies": associate_request(
            user=user_information(item(0x58, b"\x02\x01\xff\xffjoe"))
        ),
        "a user identity of kind 99": associate_request(
            user=user_information(item(0x58, b"\x63\x01\0\1a\0\0"))
        ),
        "ten thousand roles": associate_request(
            user=user_information(*(item(0x54, b"\0\x031.2\1\1") for _ in range(5000)))
        ),
        "items within items": associate_request(user=_nested(0x50, 400)),
        "a context with an even identifier": associate_request(
            proposed_context(2, VERIFICATION, IMPLICIT)
        ),
        "a context with identifier zero": associate_request(
            proposed_context(0, VERIFICATION, IMPLICIT)
        ),
        "one identifier for all": associate_request(
            *(proposed_context(1, f"1.2.{n}", IMPLICIT) for n in range(128))
        ),
        "300 contexts": associate_request(
            *(proposed_context(n * 2 % 256 | 1, f"1.2.{n}", IMPLICIT) for n in range(300))
        ),
        "a context without a syntax": associate_request(item(0x20, b"\1\0\0\0")),
        "a context without transfer syntaxes": associate_request(proposed_context(1, VERIFICATION)),
        "a context with 5000 transfer syntaxes": associate_request(
            proposed_context(1, VERIFICATION, *(f"1.2.{n}" for n in range(5000)))
        ),
        "an abstract syntax of 60000 characters": associate_request(
            proposed_context(1, "1." * 30000, IMPLICIT)
        ),
        "an abstract syntax that is no text": associate_request(
            item(0x20, b"\1\0\0\0" + item(0x30, b"\xff\xfe\0\x80") + item(0x40, IMPLICIT.encode()))
        ),
        "two abstract syntaxes": associate_request(
            item(
                0x20,
                b"\1\0\0\0" + item(0x30, VERIFICATION.encode()) * 2 + item(0x40, IMPLICIT.encode()),
            )
        ),
        "titles of control characters": associate_request(
            called="\x00\x01\x1b[31m", calling="\n\r"
        ),
        "titles of spaces": associate_request(called=" " * 16, calling=" " * 16),
        "titles that want to be a path": associate_request(calling="../../etc/passwd"),
        "titles that want to be a log line": associate_request(calling="x\nready y=1"),
    }
)


def _store(command: bytes, content: bytes) -> bytes:
    return data(value(3, _WHOLE, command)) + data(value(3, LAST, content))


_UID = "1.2.3.4.5"
_HEAD = element(0x0008_0016, CT.encode() + b"\0") + element(0x0008_0018, _UID.encode() + b"\0")
_STORE = c_store_request(CT, _UID)

WITHIN: Mapping[str, bytes] = MappingProxyType(
    {
        "a second request": associate_request(),
        "an accept": pdu(A_ASSOCIATE_AC, _REQUEST[6:]),
        "an unknown pdu": pdu(0x77, bytes(100)),
        "a release answer to nothing": release_response(),
        "a release of wrong length": pdu(A_RELEASE_RQ, bytes(9)),
        "an abort of wrong length": pdu(A_ABORT, bytes(1)),
        "data of no length": pdu(P_DATA_TF, b""),
        "data of four gigabytes": pdu(P_DATA_TF, value(1, COMMAND, bytes(50)), length=0xFFFFFFF0),
        "data longer than we allow": pdu(P_DATA_TF, value(1, COMMAND, bytes(200_000))),
        "a value of no length": pdu(P_DATA_TF, struct.pack(">I", 0)),
        "a value of one byte": pdu(P_DATA_TF, struct.pack(">IB", 1, 1)),
        "a value longer than its pdu": data(value(1, _WHOLE, b"abc", length=5000)),
        "a value of four gigabytes": data(value(1, _WHOLE, b"abc", length=0xFFFFFFFF)),
        "a context that nobody proposed": data(value(9, _WHOLE, c_echo_request())),
        "context zero": data(value(0, _WHOLE, c_echo_request())),
        "a data set without a command": data(value(3, LAST, _HEAD)),
        "a command within a data set": (
            data(value(3, _WHOLE, _STORE)) + data(value(3, _WHOLE, c_echo_request()))
        ),
        "a command over two contexts": (
            data(value(1, COMMAND, c_echo_request()[:20]))
            + data(value(3, _WHOLE, c_echo_request()[20:]))
        ),
        "a command without an end": data(value(1, COMMAND, bytes(12000))) * 12,
        "an empty command": data(value(1, _WHOLE, b"")),
        "a command of garbage": data(value(1, _WHOLE, b"\xfe" * 200)),
        "a command that lies about lengths": data(
            value(1, _WHOLE, struct.pack("<HHI", 0, 0x100, 0xFFFFFFFF) + b"12")
        ),
        "a command of another group": data(value(1, _WHOLE, element(0x0010_0010, b"A^B "))),
        "a command without a field": data(value(1, _WHOLE, command_set({0x0110: 1}))),
        "a command of a field that is none": data(
            value(1, _WHOLE, command_set({0x0100: 0x0999, 0x0110: 1, 0x0800: 0x0101}))
        ),
        "a response to nothing": data(
            value(
                1,
                _WHOLE,
                command_set({0x0100: 0x8030, 0x0120: 77, 0x0800: 0x0101, 0x0900: 0}),
            )
        ),
        "a cancel of nothing": data(
            value(1, _WHOLE, command_set({0x0100: 0x0FFF, 0x0120: 5, 0x0800: 0x0101}))
        ),
        "a store on the context of echo": (
            data(value(1, _WHOLE, _STORE)) + data(value(1, LAST, _HEAD))
        ),
        "a store of another class": _store(c_store_request("1.2.3", _UID), _HEAD),
        "a store without an instance": _store(
            command_set({0x0002: CT, 0x0100: 1, 0x0110: 1, 0x0700: 0, 0x0800: 0}), _HEAD
        ),
        "a store to a path": _store(c_store_request(CT, "../../../tmp/x"), _HEAD),
        "a store of an instance of 64000 digits": _store(c_store_request(CT, "1" * 64000), _HEAD),
        "a store of nothing": _store(_STORE, b""),
        "a store of garbage": _store(_STORE, b"\xde\xad\xbe\xef" * 900),
        "a store of another instance": _store(
            _STORE, element(0x0008_0016, CT.encode() + b"\0") + element(0x0008_0018, b"1.2.99")
        ),
        "a store whose element claims four gigabytes": _store(
            _STORE, _HEAD + struct.pack("<HHI", 0x0010, 0x0010, 0xFFFFFFFE) + b"x" * 100
        ),
        "a store of sequences within each other": _store(
            _STORE,
            _HEAD
            + (struct.pack("<HHI", 0x0008, 0x1140, 0xFFFFFFFF) + bytes.fromhex("feff00e0ffffffff"))
            * 900,
        ),
        "a store whose sequence never ends": _store(
            _STORE,
            _HEAD
            + struct.pack("<HHI", 0x0008, 0x1140, 0xFFFFFFFF)
            + bytes.fromhex("feff00e000000000") * 1500,
        ),
        "a store that stops in the middle": (
            data(value(3, _WHOLE, _STORE)) + data(value(3, 0, _HEAD))
        ),
        "a release in the middle of a store": (
            data(value(3, _WHOLE, _STORE)) + data(value(3, 0, _HEAD)) + release_request()
        ),
        "an abort in the middle of a store": (
            data(value(3, _WHOLE, _STORE)) + data(value(3, 0, _HEAD)) + abort(2, 6)
        ),
        "a thousand echoes at once": data(value(1, _WHOLE, c_echo_request())) * 1000,
        "a thousand stores at once": _store(_STORE, _HEAD + element(0x0010_0020, b"1 ")) * 1000,
        "values of one byte": b"".join(
            data(
                value(1, COMMAND | (LAST if n == len(c_echo_request()) - 1 else 0), bytes((byte,)))
            )
            for n, byte in enumerate(c_echo_request())
        ),
        "a release answered before it is asked": pdu(A_RELEASE_RP, bytes(4)) + release_request(),
    }
)
