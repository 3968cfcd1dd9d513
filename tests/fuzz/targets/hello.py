"""The first bytes of a TLS connection, which are described to people when it is refused."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from agent.network.client_hello import LONGEST, described, no_tls
from tests.fuzz.target import Target


def run(data: bytes) -> None:
    """Always a sentence, never an error; a message for another protocol."""
    assert described(data)
    stranger = no_tls(data)
    assert stranger is None or stranger.message


def seeds() -> Iterator[bytes]:
    """A hello of OpenSSL's, one of SSL 2.0, and other protocols."""
    sent, received = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client = context.wrap_bio(received, sent, server_hostname="box.example")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        yield sent.read()
    yield b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10" + bytes(40)
    yield b"GET / HTTP/1.0\r\n\r\n"
    yield b"\x01\x00\x00\x00\x00\xcd\x00\x01"


TARGET = Target(run, seeds, longest=LONGEST)
