"""A running node tells in time that a certificate expires, and follows files that change."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli_of import gantry
from tests.node.test_adversity import store
from tests.node.test_keys import Box
from tests.peers.certificates import Authority
from tests.peers.fixtures import StartPeer
from tests.peers.process import wait_until


@pytest.fixture(scope="module")
def box(
    tmp_path_factory: pytest.TempPathFactory, start_shared_peer: StartPeer[Any]
) -> Iterator[Box]:
    folder = tmp_path_factory.mktemp("files")
    trusted = folder / "node" / "state" / "trust" / "friends"
    table = '[panel]\nkind = "simulator"\n'
    made = Box(folder, start_shared_peer, table, "rsa-2048", trust=str(trusted))
    made.keys("create", "box")
    made.certify(days=10)
    made.keys("trust", "add", "friends", made.authority_file)
    with made.node:
        yield made


def test_a_certificate_that_expires_soon_is_told_until_it_is_renewed(box: Box) -> None:
    (own,) = _found(box, "certificate.pem")
    assert own["mood"] == "soon" and own["subject"] == "CN=box" and 9 < own["days"] <= 10
    wait_until(lambda: "certificate expires soon" in box.node.log, "the log says it")
    wait_until(lambda: _lamp(box) == "SLOW", "the lamp blinks")
    said = gantry("status", "--control", box.node.control).check().output
    assert "of CN=box expires in 9.9 days" in said or "of CN=box expires in 10 days" in said, said

    before = box.serial()
    after = box.certify("renew", days=400)
    assert box.serial() == after != before
    (own,) = _found(box, "certificate.pem")
    assert own["mood"] == "good"
    assert "CN=box expires" not in gantry("status", "--control", box.node.control).check().output


def test_what_has_expired_or_cannot_be_read_is_urgent(box: Box, tmp_path: Path) -> None:
    file = box.node.folder / "state/keys/box/certificate.pem"
    good = file.read_bytes()
    serial = box.serial()
    expired = Authority("trusted").issue(tmp_path, "box", start=-30, days=1)
    for content, words in (
        (b"rubbish", "certificate unreadable"),
        (expired.certificate.read_bytes(), "certificate expired"),
    ):
        file.write_bytes(content)
        box.node.ask("certificates")
        wait_until(lambda: _lamp(box) == "FAST", "the lamp blinks quickly")
        assert words in box.node.log
        assert box.serial() == serial, "what was good goes on"
        assert "tls.renewal failed" in box.node.log
    file.write_bytes(good)
    box.node.ask("certificates")
    wait_until(lambda: _lamp(box) != "FAST", "nothing is urgent any more")


def test_several_authorities_are_trusted_and_distrusted_without_a_restart(
    box: Box, tmp_path: Path
) -> None:
    second = Authority("second")
    file = tmp_path / "second.pem"
    file.write_bytes(second.certificate_pem)
    friend = second.issue(tmp_path, "friend")
    options = box.dcmtk(friend)
    assert store(box.node.port, *options).returncode != 0
    box.keys("trust", "add", "friends", file)
    assert not store(box.node.port, *options).returncode, box.node.log
    store(box.node.port, *box.dcmtk(box.client)).check()
    box.keys("trust", "remove", "friends", "CN=second")
    assert store(box.node.port, *options).returncode != 0
    store(box.node.port, *box.dcmtk(box.client)).check()


def test_where_nobody_is_trusted_any_more_nobody_comes_in(box: Box) -> None:
    box.keys("trust", "remove", "friends", "CN=trusted")
    try:
        with closing(socket.create_connection(("127.0.0.1", box.node.port), 20)) as end:
            with (
                pytest.raises((ssl.SSLError, ConnectionResetError)),
                box.context().wrap_socket(end, server_hostname="localhost") as secured,
            ):
                # By TLS 1.3 the refusal comes after the handshake has ended here.
                secured.recv(1)
    finally:
        box.keys("trust", "add", "friends", box.authority_file)


def _found(box: Box, name: str) -> list[dict[str, Any]]:
    return [each for each in box.node.ask("certificates") if each["file"].endswith(name)]


def _lamp(box: Box) -> str:
    return str(box.node.ask("status")["lamps"].get("certificates", ""))
