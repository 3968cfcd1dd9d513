"""Finds out by hellos of its own what a TLS server accepts: versions, cipher suites, groups.

It uses no TLS library, so nothing that a library leaves out is left out here: every number that a
hello can name is offered, many at a time, and the one that the server takes is asked for no more.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Sequence

SSL_3_0, TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3 = range(0x0300, 0x0305)
VERSIONS = (SSL_3_0, TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3)
X25519 = 0x001D
# Those that are no names of suites: the renegotiation and the fall-back signals, and GREASE.
_NO_SUITES = {0x00FF, 0x5600} | {each << 8 | each for each in range(0x0A, 0x100, 0x10)}
ALL_SUITES = tuple(each for each in range(0x10000) if each not in _NO_SUITES)
_AT_ONCE = 8000
# ECDSA and RSA with SHA-256, 384, 512; PSS; and SHA-1 too, so that old suites are not refused
# for want of a signature.
SIGNATURES = (
    0x0403,
    0x0503,
    0x0603,
    0x0804,
    0x0805,
    0x0806,
    0x0401,
    0x0501,
    0x0601,
    0x0203,
    0x0201,
)
GROUPS = (X25519, 0x0017, 0x0018, 0x0019, 0x001E)
_HELLO_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


def _vector(length_bytes: int, content: bytes) -> bytes:
    return len(content).to_bytes(length_bytes) + content


def _numbers(values: Iterable[int]) -> bytes:
    return b"".join(each.to_bytes(2) for each in values)


def hello(
    version: int,
    suites: Sequence[int],
    *,
    groups: Sequence[int] = GROUPS,
    signatures: Sequence[int] = SIGNATURES,
) -> bytes:
    """The records of a ClientHello."""
    extensions = _numbers([10]) + _vector(2, _vector(2, _numbers(groups)))
    extensions += _numbers([11]) + _vector(2, b"\x01\x00")
    extensions += _numbers([13]) + _vector(2, _vector(2, _numbers(signatures)))
    if version == TLS_1_3:
        extensions += _numbers([43]) + _vector(2, _vector(1, _numbers([TLS_1_3])))
        share = _numbers([X25519]) + _vector(2, os.urandom(32))
        extensions += _numbers([51]) + _vector(2, _vector(2, share))
    body = min(version, TLS_1_2).to_bytes(2) + os.urandom(32) + b"\x00"
    body += _vector(2, _numbers(suites)) + b"\x01\x00"
    if version != SSL_3_0:
        body += _vector(2, extensions)
    message = b"\x01" + _vector(3, body)
    return b"".join(
        b"\x16\x03\x01" + _vector(2, message[at : at + 16384])
        for at in range(0, len(message), 16384)
    )


def _read(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        piece = connection.recv(count - len(found))
        if not piece:
            raise ConnectionError("closed")
        found += piece
    return found


def accepted(port: int, sent: bytes) -> tuple[int, int] | None:
    """The version and cipher suite that the server takes; None when it refuses."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        try:
            connection.sendall(sent)
            kind, _, length = (head := _read(connection, 5))[0], head[1:3], head[3:5]
            record = _read(connection, int.from_bytes(length))
        except ConnectionError:
            return None
    if kind == 0x15:
        return None
    assert kind == 0x16 and record[0] == 2, f"neither alert nor ServerHello: {record[:8].hex()}"
    version = int.from_bytes(record[4:6])
    at = 38 + 1 + record[38]
    suite = int.from_bytes(record[at : at + 2])
    if b"\x00\x2b\x00\x02\x03\x04" in record[at:]:
        version = TLS_1_3
    return version, suite


def suites_of(port: int, version: int) -> set[int]:
    """All cipher suites that the server takes with exactly this version."""
    found: set[int] = set()
    for start in range(0, len(ALL_SUITES), _AT_ONCE):
        offer = list(ALL_SUITES[start : start + _AT_ONCE])
        while answer := accepted(port, hello(version, offer)):
            assert answer[0] == version, f"asked for {version:04X}, got {answer[0]:04X}"
            found.add(answer[1])
            offer.remove(answer[1])
    return found
