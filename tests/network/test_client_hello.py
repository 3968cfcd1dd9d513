"""What the first bytes of a TLS client are described as, whatever they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.network.client_hello import LONGEST, described, no_tls
from tests.peers.tls_scan import SSL_3_0, TLS_1_2, TLS_1_3, hello


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (hello(TLS_1_3, [0x1301]), "a hello for TLS 1.3"),
        (hello(TLS_1_2, [0xC02F, 0x002F]), "a hello for TLS 1.2"),
        (
            hello(TLS_1_2, [0x002F, 0x00FF]),
            "a hello for TLS 1.2 with old cipher suites only (TLS_RSA_WITH_AES_128_CBC_SHA)",
        ),
        (hello(SSL_3_0, [0x0004]), "a hello for SSL 3.0 with old cipher suites only (RC4-MD5)"),
        (hello(TLS_1_2, [0xC02F])[:60], "a TLS hello that is cut off"),
        (bytes.fromhex("160301000502000001ff"), "a TLS message that is no hello"),
        (bytes.fromhex("802b010002"), "a hello in the form of SSL 2.0 for SSL 2.0"),
        (b"\x01\x00\x00\x00\x00\xcd\x00\x01", "an A-ASSOCIATE-RQ in plain"),
        (b"GET / HTTP/1.1\r\n", "an HTTP request"),
        (b"\x00\x01\x02", "bytes of another protocol"),
    ],
)
def test_hellos_and_others_are_named(sent: bytes, words: str) -> None:
    assert described(sent) == words


def test_more_than_six_old_suites_are_cut_short() -> None:
    assert described(hello(TLS_1_2, [1, 2, 4, 5, 9, 10, 0x15])).endswith("EDE_CBC_SHA, ...)")


def test_only_what_is_no_tls_is_refused_before_the_handshake() -> None:
    assert no_tls(hello(TLS_1_2, [0xC02F])) is None
    assert no_tls(bytes.fromhex("802b010002")) is None
    assert no_tls(b"") is None
    error = no_tls(b"\x01\x00\x00\x00\x00\xcd\x00\x01")
    assert error is not None and error.way_out and "A-ASSOCIATE-RQ" in str(error)


@given(st.binary(max_size=LONGEST))
def test_whatever_comes_is_described_in_a_line(sent: bytes) -> None:
    for start in (sent, b"\x16\x03\x01" + sent, hello(TLS_1_3, [0x1301])[:60] + sent):
        assert 0 < len(described(start)) < 300
