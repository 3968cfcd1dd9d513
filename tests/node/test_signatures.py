"""Digital signatures at a running node: of what comes in, and of what it captures."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest

from agent.security.signature_terms import Verdict
from tests.cli_of import gantry
from tests.node.running import NodeProcess
from tests.peers.dcmtk import run_dcmtk, storescu
from tests.peers.process import free_port, wait_until
from tests.peers.sample_files import data_set_bytes
from tests.security.signing import CT, Signers, make_signers, signed_by_us, trust, verified

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def signers(tmp_path_factory: pytest.TempPathFactory) -> Signers:
    return make_signers(tmp_path_factory.mktemp("signers"))


def entity(name: str, port: int, signatures: str) -> str:
    return (
        f'[[entity]]\nname = "{name}"\nport = {port}\naddresses = ["127.0.0.1"]\n'
        f'[entity.accept]\ncalling = "any"\n[entity.storage]\nsignatures = "{signatures}"\n'
        '[[entity.service]]\nname = "storage"\n'
    )


class Box:
    """A node with an entity for each way to look at signatures, and a device that signs."""

    def __init__(self, folder: Path, signers: Signers) -> None:
        self.ports = {name: free_port() for name in ("note", "refuse", "require")}
        more = "".join(entity(name.upper(), port, name) for name, port in self.ports.items())
        own = signers.signer
        more += (
            f'[signatures]\nsigning_key = "{own.key}"\nsigning_certificate = "{own.certificate}"\n'
            f'mac = "SHA384"\ntrust = ["{signers.root.certificate}"]\n'
            '[[capture]]\nname = "scope"\nsign = true\n'
            "[capture.settings]\nwidth = 96\nheight = 64\n"
        )
        self.node = NodeProcess(folder, more)

    def send(self, name: str, file: Path) -> bool:
        """Whether the entity took it."""
        return storescu(self.ports[name], file, called=name.upper()).returncode == 0


@pytest.fixture(scope="module")
def box(signers: Signers, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    made = Box(tmp_path_factory.mktemp("box"), signers)
    with made.node:
        yield made


def test_what_is_valid_is_kept_bit_by_bit(box: Box, signers: Signers, tmp_path: Path) -> None:
    made = tmp_path / "a.dcm"
    run_dcmtk("dcmsign", "+s", signers.signer.key, signers.signer.certificate, CT, made).check()
    assert box.send("require", made)
    uid = pydicom.dcmread(made).SOPInstanceUID
    wait_until(lambda: "signature.verified" in box.node.log, "a verdict")
    (kept,) = [each for each in box.node.objects() if pydicom.dcmread(each).SOPInstanceUID == uid]
    # storescu leaves Data Set Trailing Padding out.
    assert data_set_bytes(made).startswith(data_set_bytes(kept))
    (found,) = verified(kept, trust(signers.root))
    assert found.verdict is Verdict.VALID


def test_what_is_invalid_is_refused_or_noted(box: Box, signers: Signers, tmp_path: Path) -> None:
    made = tmp_path / "a.dcm"
    signed_by_us(CT, made, signers.signer)
    content = bytearray(made.read_bytes())
    content[content.index(b"\xe0\x7f\x10\x00OW") + 20] ^= 1
    made.write_bytes(content)
    for name in ("refuse", "require"):
        done = storescu(box.ports[name], made, "-d", called=name.upper())
        assert "0xc005" in done.output.lower(), done.output
        assert "Digital signature is invalid" in done.output
    assert box.send("note", made)
    assert "what was signed was changed" in box.node.log


def test_what_is_untrustworthy_or_unsigned_is_refused_where_trust_is_required(
    box: Box, signers: Signers, tmp_path: Path
) -> None:
    made = tmp_path / "a.dcm"
    signed_by_us(CT, made, signers.below)
    assert not box.send("require", made)
    assert box.send("refuse", made)
    assert not box.send("require", CT)
    assert box.send("refuse", CT)


def test_what_is_captured_is_signed(box: Box, signers: Signers) -> None:
    before = set(box.node.objects())
    gantry("capture", "--control", box.node.control).check()
    (made,) = set(box.node.objects()) - before
    (found,) = verified(made, trust(signers.root))
    assert (found.verdict, found.reason) == (Verdict.VALID, "")
    assert (found.mac_algorithm, found.purpose) == ("SHA384", "Source Signature")
    assert found.covers_pixel_data
    judged = run_dcmtk(
        "dcmsign", "-v", "--verify", "+rc", "+cf", signers.root.certificate, made
    ).check()
    assert "0 corrupted" in judged.output
