"""TLS ended by a process of its own: whom it found is told here, and what went wrong."""

from __future__ import annotations

import socket
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from agent.configuration.connection import Tls
from agent.configuration.keys import NamedKey as Table
from agent.errors import DeviceError
from agent.loop import Loop
from agent.loop.workers import Template
from agent.network import tls_ending
from agent.network.own_keys import named_key
from agent.network.stream import ConnectionLost, EndedStream
from agent.network.tls import server_context
from agent.network.tls_ending import TlsEndings
from agent.network.tls_stream import accept_tls
from tests.network.test_own_keys import key_on_a_token
from tests.peers.certificates import Authority, Credentials
from tests.peers.process import ChildProcess
from tests.peers.programs import program

Then = Callable[[EndedStream], Coroutine[Any, Any, Any]]


class World:
    def __init__(self, folder: Path, table: Table, template: Template) -> None:
        self.folder = folder
        self.template = template
        self.authority = Authority("trusted")
        self.file = folder / "authority.pem"
        self.file.write_bytes(self.authority.certificate_pem)
        key = named_key(table)
        with key.store:
            key.create("ec-p256")
            key.install(
                self.authority.sign(x509.load_pem_x509_csr(key.request("CN=box", ["localhost"])))
            )
        self.tls = Tls(key_name="box", stored=table, trust=(str(self.file),))

    def accept(self, caller: Credentials, then: Then) -> Any:
        """What `then` gives of a stream that `openssl s_client` has opened."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            words = ("-connect", f"127.0.0.1:{listener.getsockname()[1]}", "-quiet", "-ign_eof")
            own = ("-cert", caller.certificate, "-key", caller.key, "-CAfile", self.file)
            openssl = program("openssl", "openssl")
            client = ChildProcess([openssl, "s_client", *words, *own], log=self.folder / "log")
            with client:
                end, _ = listener.accept()
                end.setblocking(False)
                return Loop().run(self._serve(end, then))

    async def _serve(self, end: socket.socket, then: Then) -> Any:
        endings = TlsEndings(self.template)
        tls_ending.use(endings)
        try:
            context = server_context(self.tls)
            assert context is not None
            stream = await accept_tls(end, context, 10.0)
            assert isinstance(stream, EndedStream)
            return await then(stream)
        finally:
            tls_ending.use(None)
            endings.close()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    table = key_on_a_token(tmp_path, monkeypatch)
    template = Template.start()
    try:
        yield World(tmp_path, table, template)
    finally:
        template.close()


def test_the_callers_certificate_and_its_chain_are_told(world: World) -> None:
    caller = world.authority.issue(world.folder, "modality")

    async def look(stream: EndedStream) -> tuple[Any, Any, Any]:
        found = stream.certificate, stream.chain, stream.address[0]
        stream.close()
        return found

    certificate, chain, address = world.accept(caller, look)
    assert certificate.subject == (("CN", "modality"),)
    assert address == "127.0.0.1"
    names = [x509.load_der_x509_certificate(e).subject.rfc4514_string() for e in chain]
    assert names == ["CN=modality", "CN=trusted"]


def test_a_stranger_is_refused_with_the_reason(world: World) -> None:
    stranger = Authority("unknown").issue(world.folder, "stranger")

    async def never(stream: EndedStream) -> None:
        raise AssertionError("a stranger came in")

    with pytest.raises(ConnectionLost, match="certificate is not accepted: unable to get"):
        world.accept(stranger, never)


def test_a_key_that_cannot_be_used_is_told_as_such(world: World) -> None:
    caller = world.authority.issue(world.folder, "modality")
    assert world.tls.stored is not None
    Path(world.tls.stored.secret.file).write_text("0000\n")

    async def never(stream: EndedStream) -> None:
        raise AssertionError("there was no key")

    with pytest.raises(DeviceError, match="the key box cannot be used: the PIN is wrong"):
        world.accept(caller, never)
