"""Digital signatures of what comes in by other ways than C-STORE, and of what a node changes
(PS3.15 A.2; PS3.4 B.4.1.4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest

from agent.security.signature_terms import Verdict
from agent.security.signature_verification import Verified
from tests.cli_of import gantry
from tests.node.running import NodeProcess
from tests.node.test_fetch import fetch, source
from tests.peers.dcmtk import DcmtkQueryRetrieveScp, DcmtkStoreScp, run_dcmtk, storescu
from tests.peers.fixtures import StartPeer
from tests.peers.process import wait_until
from tests.security.signing import CT, Signers, make_signers, signed_by_us, trust, verified

pytestmark = pytest.mark.peer

ROOT = "1.2.826.0.1.3680043.9.77"


@pytest.fixture(scope="module")
def signers(tmp_path_factory: pytest.TempPathFactory) -> Signers:
    return make_signers(tmp_path_factory.mktemp("signers"))


def made(signers: Signers, folder: Path, number: int, *, broken: bool = False) -> tuple[str, Path]:
    """A study of one signed image, in a file of its own; its SOP Instance UID."""
    image = pydicom.dcmread(CT)
    image.StudyInstanceUID = f"{ROOT}.{number}"
    image.SeriesInstanceUID = f"{ROOT}.{number}.0"
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"{ROOT}.{number}.0.1"
    folder.mkdir(parents=True, exist_ok=True)
    plain, signed = folder / "plain", folder / "signed.dcm"
    image.save_as(plain)
    signed_by_us(plain, signed, signers.signer)
    plain.unlink()
    if broken:
        content = bytearray(signed.read_bytes())
        content[content.index(b"\xe0\x7f\x10\x00OW") + 20] ^= 1
        signed.write_bytes(content)
    return f"{ROOT}.{number}.0.1", signed


def kept(node: NodeProcess, uid: str) -> list[Path]:
    return [each for each in node.objects() if pydicom.dcmread(each).SOPInstanceUID == uid]


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DcmtkQueryRetrieveScp]:
    with DcmtkQueryRetrieveScp(tmp_path_factory.mktemp("far")) as peer:
        yield peer


@pytest.fixture(scope="module")
def node(
    tmp_path_factory: pytest.TempPathFactory, signers: Signers, far: DcmtkQueryRetrieveScp
) -> Iterator[NodeProcess]:
    """Refuses what is invalid, by whatever way it comes."""
    folder = tmp_path_factory.mktemp("near")
    (folder / "drop").mkdir()
    node = NodeProcess(folder)
    node.write(
        '[entity.storage]\nsignatures = "refuse"\n'
        f'[signatures]\ntrust = ["{signers.root.certificate}"]\n'
        f'[[folder]]\nname = "drop"\npath = "{folder / "drop"}"\nsettle = "0.2 s"\n'
        + source("FAR", far.port, '"query", "get"', title=far.ae_title)
    )
    with node:
        yield node


def test_what_is_retrieved_is_looked_at(
    node: NodeProcess, far: DcmtkQueryRetrieveScp, signers: Signers, tmp_path: Path
) -> None:
    right, one = made(signers, tmp_path / "a", 1)
    wrong, other = made(signers, tmp_path / "b", 2, broken=True)
    for each in (one, other):
        storescu(far.port, each, called=far.ae_title).check()
    assert fetch(node, "FAR", f"{ROOT}.1")["state"] == "COMPLETED"
    (begun,) = node.ask("fetch-begin", peer="FAR", studies=[f"{ROOT}.2"])["items"]
    wait_until(lambda: "signature.refused peer=FAR" in node.log, "a refusal")
    node.ask("fetch-stop", id=begun["id"])
    assert kept(node, right) and not kept(node, wrong)
    assert node.log.count("signature.verified") >= 2
    assert f"object={wrong}" in node.log


def test_what_is_dropped_into_a_folder_is_looked_at(
    node: NodeProcess, signers: Signers, tmp_path: Path
) -> None:
    right, one = made(signers, tmp_path / "a", 3)
    wrong, other = made(signers, tmp_path / "b", 4, broken=True)
    drop = node.folder / "drop"
    one.rename(drop / "right.dcm")
    other.rename(drop / "wrong.dcm")
    wait_until(lambda: not list(drop.glob("*.dcm")), "taken, or put away")
    assert kept(node, right) and not kept(node, wrong)
    assert (drop / ".failed" / "wrong.dcm").exists()
    reason = (drop / ".failed" / "wrong.dcm.reason").read_text()
    assert "Digital signature is invalid" in reason


def test_what_is_imported_from_media_is_looked_at(
    node: NodeProcess, signers: Signers, tmp_path: Path
) -> None:
    right, _ = made(signers, tmp_path / "right", 5)
    wrong, _ = made(signers, tmp_path / "wrong", 6, broken=True)
    for name in ("right", "wrong"):
        gantry("import", tmp_path / name, "--unchanged", "--control", node.control)

    def are_over() -> bool:
        return all(each["state"] != "IN PROGRESS" for each in node.ask("import-list")["items"])

    wait_until(are_over, "both imports")
    assert kept(node, right) and not kept(node, wrong)
    (refused,) = [each for each in node.ask("import-list")["items"] if each["failed"]]
    assert "Digital signature is invalid" in str(refused)


@dataclass(frozen=True)
class Changing:
    """A node of Signature Level 2. It coerces what it gets, compresses what comes from SQUEEZE, and
    sends that on to `plain`, who takes it uncompressed only, and all else to `far`, with another
    change."""

    node: NodeProcess
    far: DcmtkStoreScp
    plain: DcmtkStoreScp

    def through(self, file: Path, uid: str, *, calling: str = "OTHER") -> tuple[Path, Path]:
        """What it keeps of an object, and what it sends on."""
        sent = storescu(self.node.port, file, "-d", called="GANTRY", calling=calling).check()
        assert "0xb000" in sent.output.lower(), sent.output
        peer = self.plain if calling == "SQUEEZE" else self.far
        (received,) = wait_until(
            lambda: [each for each in peer.received() if each.name.endswith(uid)], "an object"
        )
        self.node.wait_until_delivered("PLAIN" if calling == "SQUEEZE" else "FAR")
        (stored,) = kept(self.node, uid)
        return stored, received


@pytest.fixture(scope="module")
def changing(
    tmp_path_factory: pytest.TempPathFactory,
    signers: Signers,
    start_shared_peer: StartPeer[DcmtkStoreScp],
) -> Iterator[Changing]:
    folder = tmp_path_factory.mktemp("changing")
    far = start_shared_peer(DcmtkStoreScp(folder / "far"))
    plain = start_shared_peer(DcmtkStoreScp(folder / "plain", transfer_syntaxes=("+xi",)))
    own = signers.signer
    node = NodeProcess(folder / "node")
    node.write(
        '[entity.storage]\nsignatures = "note"\nsignature_level = 2\ncoercion = 1\n'
        f'[signatures]\nsigning_key = "{own.key}"\nsigning_certificate = "{own.certificate}"\n'
        f'trust = ["{signers.root.certificate}"]\nreplace = true\n'
        f'[[peer]]\nname = "FAR"\naddresses = ["127.0.0.1:{far.port}"]\n'
        f'[[peer]]\nname = "PLAIN"\naddresses = ["127.0.0.1:{plain.port}"]\nconvert = true\n'
        '[[compress]]\nname = "small"\nto = ["jpeg-ls"]\ncalling = ["SQUEEZE"]\n'
        '[[route]]\nname = "coerce"\n'
        'on_receipt = [{ attribute = "PatientID", set = "4711" }]\n'
        '[[route]]\nname = "plain"\nmatch = { calling = ["SQUEEZE"] }\ndeliver = ["PLAIN"]\n'
        '[[route]]\nname = "far"\nmatch = { calling = ["OTHER"] }\ndeliver = ["FAR"]\n'
        'change = [{ attribute = "InstitutionName", set = "Elsewhere" }]\n'
    )
    with node:
        yield Changing(node, far, plain)


def replaced(file: Path, signers: Signers) -> tuple[Verified, set[str]]:
    """The one signature of a file, which is right for us and for DCMTK, and what it is over."""
    (found,) = verified(file, trust(signers.root))
    assert (found.verdict, found.reason) == (Verdict.VALID, "")
    assert found.purpose == "Modification Signature"
    judged = run_dcmtk("dcmsign", "-v", "--verify", "+rg", "+cf", signers.root.certificate, file)
    assert "0 corrupted" in judged.check().output
    (parameters,) = pydicom.dcmread(file).MACParametersSequence
    return found, {pydicom.datadict.keyword_for_tag(tag) for tag in parameters.DataElementsSigned}


def test_what_is_changed_is_signed_anew(
    changing: Changing, signers: Signers, tmp_path: Path
) -> None:
    uid, file = made(signers, tmp_path / "a", 7)
    (before,) = verified(file, trust(signers.root))
    stored, received = changing.through(file, uid)
    for each, gone in ((stored, {"PatientID"}), (received, {"PatientID", "InstitutionName"})):
        found, signed = replaced(each, signers)
        assert found.uid != before.uid and found.covers_pixel_data
        assert not signed & gone and before.elements - found.elements == len(gone)
    assert pydicom.dcmread(received).InstitutionName == "Elsewhere"


def test_what_was_not_right_before_gets_no_signature(
    changing: Changing, signers: Signers, tmp_path: Path
) -> None:
    uid, wrong = made(signers, tmp_path / "a", 8, broken=True)
    for each in changing.through(wrong, uid):
        assert verified(each, trust(signers.root)) == []


def test_what_is_compressed_and_converted_is_signed_anew(
    changing: Changing, signers: Signers, tmp_path: Path
) -> None:
    uid, file = made(signers, tmp_path / "a", 9)
    stored, received = changing.through(file, uid, calling="SQUEEZE")
    assert pydicom.dcmread(stored).file_meta.TransferSyntaxUID.is_compressed
    for each in (stored, received):
        found, signed = replaced(each, signers)
        assert found.covers_pixel_data and "PatientID" not in signed
