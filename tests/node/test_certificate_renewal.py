"""A running node renews the certificates of its keys by EST in time, wherever the keys are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli_of import gantry
from tests.node.test_keys import Box
from tests.peers.certificates import Authority
from tests.peers.est_server import PATH, EstServer, running_est_server
from tests.peers.fixtures import StartPeer
from tests.peers.key_keepers import SoftChip, SoftToken
from tests.peers.process import wait_until

pytestmark = pytest.mark.peer

SECONDS = 1 / 86400.0


@dataclass
class Renewing:
    box: Box
    server: EstServer
    first: str
    """The serial number of the certificate that ends."""

    def words_of_status(self) -> str:
        return gantry("status", "--control", self.box.node.control).check().output

    def key(self) -> dict[str, Any]:
        (row,) = self.box.keys("list", "--json").splitlines()
        return dict(json.loads(row))


@pytest.fixture(params=["files", "chip", pytest.param("token", marks=pytest.mark.long)])
def renewing(
    request: pytest.FixtureRequest, tmp_path: Path, start_peer: StartPeer[Any]
) -> Iterator[Renewing]:
    """Its certificate ends within seconds; the server is in no mood to give the first another."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        table = ""
        if request.param == "token":
            token = SoftToken(tmp_path / "keeper")
            token.lead(patch)
            table = token.table
        elif request.param == "chip":
            chip = start_peer(SoftChip(tmp_path / "keeper"))
            table = chip.table
        authority = Authority("trusted")
        server = stack.enter_context(running_est_server(tmp_path / "est", authority))
        table += (
            f'enrolment = "https://localhost:{server.server_port}{PATH}"\n'
            f'enrolment_trust = ["{server.authority.certificate}"]\n'
        )
        box = Box(tmp_path, start_peer, table, "ec-p256", authority=authority)
        box.keys("create", "box")
        first = box.certify(days=40 * SECONDS)
        server.status = 500 if request.param == "files" else 200
        with box.node:
            yield Renewing(box, server, first)


def test_a_certificate_is_renewed_before_it_ends_without_a_restart(renewing: Renewing) -> None:
    box, server = renewing.box, renewing.server
    before = renewing.first
    if server.status == 500:
        wait_until(lambda: "certificate not renewed" in box.node.log, "a try that fails")
        why = "it was not renewed: the EST server refuses with status 500"
        wait_until(lambda: why in renewing.words_of_status(), "status says it")
        assert box.serial() == before
        server.status = 200
    wait_until(lambda: "certificate renewed" in box.node.log, "a certificate", seconds=40)
    assert box.serial() != before
    assert {path for path, _ in server.asked} == {f"{PATH}simplereenroll"}
    assert {who for _, who in server.asked} == {"box"}, "by its certificate"
    row = renewing.key()
    assert row["keys"] == ["b"] and 89 < row["days"] < 91 and not row["problem"]
    wait_until(lambda: "not renewed" not in renewing.words_of_status(), "status is quiet")
    folder = box.node.folder / "state" / "keys" / "box"
    assert not (folder / "candidate.pem").exists()
