"""What a client offers in the first bytes of a TLS connection, so that a refusal can name it.

It only describes: OpenSSL reads the same bytes anew. Whatever they are, nothing is raised.
"""

from __future__ import annotations

from agent.network.other_protocols import named
from agent.network.stream import HandshakeFailed

LONGEST = 2048
"""Bytes that are looked at: hellos of today have 200 to 1800."""

_VERSIONS = {
    0x0002: "SSL 2.0",
    0x0300: "SSL 3.0",
    0x0301: "TLS 1.0",
    0x0302: "TLS 1.1",
    0x0303: "TLS 1.2",
    0x0304: "TLS 1.3",
}
# The registry's numbers of cipher suites that old devices offer; RFC 5246 A.5, RFC 4492, RFC 3268.
_OLD_CIPHER_SUITES = {
    0x0001: "NULL-MD5",
    0x0002: "NULL-SHA",
    0x0004: "RC4-MD5",
    0x0005: "RC4-SHA",
    0x0009: "DES-CBC-SHA",
    0x000A: "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    0x0015: "DHE-RSA-DES-CBC-SHA",
    0x0016: "DHE-RSA-3DES-EDE-CBC-SHA",
    0x002F: "TLS_RSA_WITH_AES_128_CBC_SHA",
    0x0033: "DHE-RSA-AES128-SHA",
    0x0035: "AES256-SHA",
    0x0039: "DHE-RSA-AES256-SHA",
    0x003B: "NULL-SHA256",
    0x003C: "AES128-SHA256",
    0x003D: "AES256-SHA256",
    0x0067: "DHE-RSA-AES128-SHA256",
    0x006B: "DHE-RSA-AES256-SHA256",
    0x009C: "AES128-GCM-SHA256",
    0x009D: "AES256-GCM-SHA384",
    0x009E: "DHE-RSA-AES128-GCM-SHA256",
    0x009F: "DHE-RSA-AES256-GCM-SHA384",
    0xC011: "ECDHE-RSA-RC4-SHA",
    0xC012: "ECDHE-RSA-3DES-EDE-CBC-SHA",
    0xC013: "ECDHE-RSA-AES128-SHA",
    0xC014: "ECDHE-RSA-AES256-SHA",
    0xC027: "ECDHE-RSA-AES128-SHA256",
    0xC028: "ECDHE-RSA-AES256-SHA384",
}
_SIGNALLING = frozenset((0x00FF, 0x5600))  # no suites: RFC 5746 3.3, RFC 7507
_SHOWN = 6
_SUPPORTED_VERSIONS = 43


class _Short(Exception):
    """The bytes end before the field."""


class _Fields:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        found = self._data[self._at : self._at + count]
        if len(found) < count:
            raise _Short
        self._at += count
        return found

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count))

    def vector(self, length_bytes: int) -> bytes:
        return self.take(self.number(length_bytes))

    def __bool__(self) -> bool:
        return self._at < len(self._data)


def described(hello: bytes) -> str:
    """In words: the versions and old cipher suites of a TLS hello, or which protocol it is."""
    try:
        if hello[:1] == b"\x16":
            return _tls(_Fields(hello))
        if len(hello) > 4 and hello[0] & 0x80 and hello[2] == 1:
            return f"a hello in the form of SSL 2.0 for {_version(hello[3] << 8 | hello[4])}"
    except _Short:
        return "a TLS hello that is cut off"
    return named(hello) or "bytes of another protocol"


def no_tls(hello: bytes) -> HandshakeFailed | None:
    """For what is no TLS at all: the error that says so; None for what may be TLS."""
    if not hello or hello[0] == 0x16 or hello[0] & 0x80:
        return None
    return HandshakeFailed(
        f"the peer does not speak TLS on this port: it sent {described(hello)}",
        clause="PS3.15 B",
        value=hello[:16],
        way_out="Switch TLS on in the peer, or send it to the port without TLS.",
    )


def _version(number: int) -> str:
    return _VERSIONS.get(number, f"version {number:04X}H")


def _tls(record: _Fields) -> str:
    record.take(3)
    handshake = _Fields(record.vector(2))
    if handshake.number(1) != 1:
        return "a TLS message that is no hello"
    body = _Fields(handshake.vector(3))
    versions = [body.number(2)]
    body.take(32)
    body.vector(1)
    offered = body.vector(2)
    suites = [int.from_bytes(offered[at : at + 2]) for at in range(0, len(offered) - 1, 2)]
    if body:
        body.vector(1)
    if body:
        versions = _supported(_Fields(body.vector(2))) or versions
    words = f"a hello for {', '.join(_version(each) for each in sorted(versions))}"
    suites = [each for each in suites if each not in _SIGNALLING]
    names = [_OLD_CIPHER_SUITES.get(each, "") for each in suites]
    if suites and all(names):
        shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
        words += f" with old cipher suites only ({shown})"
    return words


def _supported(extensions: _Fields) -> list[int]:
    while extensions:
        kind, data = extensions.number(2), _Fields(extensions.vector(2))
        if kind == _SUPPORTED_VERSIONS:
            found = data.vector(1)
            numbers = [int.from_bytes(found[at : at + 2]) for at in range(0, len(found) - 1, 2)]
            return [each for each in numbers if each in _VERSIONS]
    return []
