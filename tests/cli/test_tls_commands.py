"""Commands with `--tls`, against DCMTK: what they take, and what they say when they do not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.data import get_testdata_file

from tests.cli_of import gantry
from tests.node.running import ENVIRONMENT, ROOT
from tests.peers.certificates import Certificates, Credentials
from tests.peers.dcmtk import DcmtkStoreScp, storescu
from tests.peers.process import ChildProcess, free_port, wait_until
from tests.peers.tls_authority import fingerprint

CT = Path(str(get_testdata_file("CT_small.dcm")))
pytestmark = pytest.mark.peer


def words_of(certificates: Certificates, own: Credentials) -> list[str]:
    return [
        *("--tls", "--ca", str(certificates.authority)),
        *("--certificate", str(own.certificate), "--key", str(own.key)),
    ]


def test_cd_48_send_and_echo_by_tls_and_what_they_say_of_a_wrong_server(
    tmp_path: Path, certificates: Certificates, start_peer: Callable[[Any], Any]
) -> None:
    far = start_peer(
        DcmtkStoreScp(tmp_path / "far", *certificates.dcmtk_options(certificates.server), "-rc")
    )
    own = words_of(certificates, certificates.client)
    gantry("send", f"127.0.0.1:{far.port}", CT, *own).check()
    assert len(far.wait_for_files(1)) == 1
    pin = fingerprint(certificates.client.certificate)
    wrong = gantry("echo", f"127.0.0.1:{far.port}", *own, "--fingerprint", pin)
    assert wrong.returncode == 1 and "none of the pinned ones" in wrong.output
    anonymous = gantry("echo", f"127.0.0.1:{far.port}", *own[:3])
    assert anonymous.returncode == 1
    assert "the peer wants a certificate of ours" in anonymous.output
    old = gantry("echo", f"127.0.0.1:{far.port}", *own, "--tls-profile", "AES")
    assert old.returncode == 1 and "nothing in common" in old.output


def test_listen_by_tls_takes_whom_it_knows_only(tmp_path: Path, certificates: Certificates) -> None:

    port, into = free_port(), tmp_path / "into"
    command = [sys.executable, "-m", "agent.cli.main", "listen", "--port", str(port)]
    command += ["--into", str(into), *words_of(certificates, certificates.server)]
    with ChildProcess(
        command, log=tmp_path / "log", folder=ROOT, environment=ENVIRONMENT
    ) as listener:
        listener.wait_until_listening(port)
        options = certificates.dcmtk_options(certificates.stranger)
        assert storescu(port, CT, options=options).returncode != 0
        wait_until(lambda: "unable to get local issuer" in listener.output, "it is told")
        options = certificates.dcmtk_options(certificates.client)
        storescu(port, CT, options=options).check()
        assert len(list(into.rglob("*.dcm"))) == 1
