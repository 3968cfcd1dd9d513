"""Keys that stay where they are, in an SSLContext of Python's; and a PIN that is wrong."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from agent.configuration.connection import Tls
from agent.configuration.keys import NamedKey as Table
from agent.configuration.secrets import Secret
from agent.errors import ConfigurationError, DeviceError
from agent.network.own_keys import OwnKey, named_key, own_key
from agent.network.tls import context_here
from hal.keys.base import Key, StoreGone
from tests.peers.certificates import Authority
from tests.peers.key_keepers import TOKEN, SoftToken


class Counted:
    """A handshake in memory, and how often a key signed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from hal.keys.pkcs11 import TokenKey

        self.signatures = 0
        self.fails = False

        def counting(sign: Any) -> Any:
            def counted(key: Key, *words: Any, **more: Any) -> bytes:
                self.signatures += 1
                if self.fails:
                    raise StoreGone("the token was pulled out")
                made: bytes = sign(key, *words, **more)
                return made

            return counted

        for name in ("sign_digest", "sign_block"):
            monkeypatch.setattr(TokenKey, name, counting(getattr(TokenKey, name)))


def shake(client: ssl.SSLContext, server: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    calls = client.wrap_bio(back, there, server_hostname="localhost")
    answers = server.wrap_bio(there, back, server_side=True)
    waiting = [calls, answers]
    for _ in range(8):
        for each in tuple(waiting):
            try:
                each.do_handshake()
                waiting.remove(each)
            except ssl.SSLWantReadError:
                continue
    assert not waiting
    return calls, answers


def key_on_a_token(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Table:
    """The table of a key on a new token, to which the environment leads from now on."""
    token = SoftToken(folder / "token")
    token.lead(monkeypatch)
    return Table(
        name="box",
        store="pkcs11",
        module=str(token.module),
        token=TOKEN,
        secret=Secret(file=str(token.pin_file)),
        folder=str(folder / "box"),
    )


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    made = key_on_a_token(tmp_path, monkeypatch)
    yield made
    own_key(made).close()


@pytest.mark.parametrize("algorithm", ["ec-p256", "ec-p384"])
def test_both_sides_use_the_token_and_the_node_learns_who_is_there(
    table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: str
) -> None:
    authority = Authority("trusted")
    (tmp_path / "authority.pem").write_bytes(authority.certificate_pem)
    key = named_key(table)
    with key.store:
        key.create(algorithm)
        request = x509.load_pem_x509_csr(key.request("CN=box", ["localhost"]))
        key.install(authority.sign(request))
    counted = Counted(monkeypatch)
    tls = Tls(key_name="box", stored=table, trust=(str(tmp_path / "authority.pem"),))
    client, server = (context_here(tls, server_side=each) for each in (False, True))
    calls, answers = shake(client, server)
    assert counted.signatures == 2
    for each in (calls, answers):
        shown = each.getpeercert()
        assert shown is not None and (("commonName", "box"),) in shown["subject"]

    counted.fails = True
    with pytest.raises(ssl.SSLError):
        shake(client, server)
    counted.fails = False
    shake(client, server)


def test_without_a_certificate_the_way_out_is_told(table: Table) -> None:
    with named_key(table).store as store:
        store.create("a", "ec-p256")
    with pytest.raises(ConfigurationError, match="has no certificate") as caught:
        own_key(table).load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    assert "gantry keys csr box" in caught.value.way_out


def test_a_wrong_pin_is_tried_once_until_there_is_another(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hal.keys import cryptoki

    tried: list[bytes] = []
    log_in = cryptoki.Cryptoki._log_in

    def counted(session: cryptoki.Cryptoki, slot: int, pin: bytes) -> None:
        tried.append(pin)
        log_in(session, slot, pin)

    monkeypatch.setattr(cryptoki.Cryptoki, "_log_in", counted)
    file = Path(table.secret.file)
    file.write_text("0000\n")
    own = OwnKey(table)
    for _ in range(3):
        with pytest.raises(DeviceError, match="the PIN is wrong"):
            own.load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    assert tried == [b"0000"]
    file.write_text("471147\n")
    with pytest.raises(ConfigurationError, match="no certificate"):
        own.load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    assert tried == [b"0000", b"471147"]
    own.close()
