"""`gantry signature`: what it makes, what it says, and its exit status by verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pydicom
import pytest

from tests.cli_of import gantry
from tests.security.signing import CT, REPORT, Signers, make_signers


@pytest.fixture(scope="module")
def signers(tmp_path_factory: pytest.TempPathFactory) -> Signers:
    return make_signers(tmp_path_factory.mktemp("signers"))


@pytest.fixture(scope="module")
def signed(signers: Signers) -> Path:
    made = signers.folder / "signed.dcm"
    own = signers.signer
    words = ("--key", own.key, "--certificate", own.certificate)
    gantry(
        *("signature", "create", CT, made, *words),
        *("--profile", "creator", "--mac", "SHA384", "--purpose", "14"),
    ).check()
    return made


def test_the_exit_status_says_the_worst_verdict(
    signed: Path, signers: Signers, tmp_path: Path
) -> None:
    trusted = ("--trust", signers.root.certificate)
    done = gantry("signature", "verify", *trusted, signed)
    assert (done.returncode, "valid, SHA384 over the data set" in done.output) == (0, True)
    assert "CN=signer" in done.output
    assert gantry("signature", "verify", signed).returncode == 4
    unknown = pydicom.dcmread(signed)
    unknown.MACParametersSequence[0].MACAlgorithm = "WHIRLPOOL"
    unknown.save_as(tmp_path / "b.dcm")
    assert gantry("signature", "verify", *trusted, tmp_path / "b.dcm").returncode == 5
    content = bytearray(signed.read_bytes())
    content[content.index(b"\xe0\x7f\x10\x00OW") + 20] ^= 1
    (tmp_path / "a.dcm").write_bytes(content)
    (tmp_path / "c.dcm").write_bytes(signed.read_bytes())
    (tmp_path / "notes.txt").write_text("nothing")
    done = gantry("signature", "verify", *trusted, tmp_path, "--json")
    assert done.returncode == 1
    found = [json.loads(line) for line in done.output.splitlines()]
    assert [each["verdict"] for each in found] == ["invalid", "unknown", "valid"]


def test_an_object_without_a_signature_is_refused_where_one_is_required(tmp_path: Path) -> None:
    assert gantry("signature", "verify", CT).returncode == 0
    done = gantry("signature", "verify", CT, "--require")
    assert (done.returncode, "no signature" in done.output) == (1, True)


def test_what_is_signed_is_listed_and_taken_out_again(signed: Path, tmp_path: Path) -> None:
    (line,) = gantry("signature", "list", "--json", signed).check().output.splitlines()
    told = json.loads(line)
    assert "Pixel Data" in told["elements"]
    assert "Patient's Name" not in told["elements"]
    assert told["purpose"] == "Source Signature"
    plain = tmp_path / "plain.dcm"
    gantry("signature", "remove", signed, plain, "--uid", told["uid"]).check()
    without = pydicom.dcmread(plain)
    assert "DigitalSignaturesSequence" not in without
    assert "MACParametersSequence" not in without
    assert gantry("signature", "remove", plain, tmp_path / "again.dcm").returncode == 1


def test_one_signature_of_several_goes(signers: Signers, signed: Path, tmp_path: Path) -> None:
    own = signers.signer
    both, one = tmp_path / "both.dcm", tmp_path / "one.dcm"
    words = ("--key", own.key, "--certificate", own.certificate, "--element", "PatientName")
    uid = gantry("signature", "create", signed, both, *words).check().output.strip()
    gantry("signature", "remove", both, one, "--uid", uid).check()
    left = pydicom.dcmread(one)
    assert len(left.DigitalSignaturesSequence) == len(left.MACParametersSequence) == 1
    trusted = ("--trust", signers.root.certificate)
    assert gantry("signature", "verify", *trusted, one).check().output.count("valid") == 1
    assert "more than one" in gantry("signature", "query", both, tmp_path / "q").output


def test_an_item_is_signed(signers: Signers, tmp_path: Path) -> None:
    own = signers.signer
    made = tmp_path / "a.dcm"
    words = ("--key", own.key, "--certificate", own.certificate)
    gantry("signature", "create", REPORT, made, *words, "--item", "ContentSequence[1]").check()
    assert "(0040,A730)[1]" in gantry("signature", "list", made).check().output
    wrong = gantry("signature", "create", REPORT, tmp_path / "b.dcm", *words, "--item", "Content")
    assert (wrong.returncode, "is no item" in wrong.output) == (2, True)
    assert not (tmp_path / "b.dcm").exists()


def test_a_file_that_is_there_is_not_replaced(signers: Signers, signed: Path) -> None:
    own = signers.signer
    words = ("--key", own.key, "--certificate", own.certificate)
    again = gantry("signature", "create", CT, signed, *words)
    assert (again.returncode, "is there already" in again.output) == (2, True)


def test_the_configuration_says_who_signs_and_who_is_trusted(
    signers: Signers, tmp_path: Path
) -> None:
    own = signers.signer
    configuration, made = tmp_path / "gantry.toml", tmp_path / "a.dcm"
    configuration.write_text(
        f'[signatures]\nsigning_key = "{own.key}"\nsigning_certificate = "{own.certificate}"\n'
        f'trust = ["{signers.root.certificate}"]\n'
    )
    nobody = gantry("signature", "create", CT, made)
    assert (nobody.returncode, "nobody signs" in nobody.output) == (2, True)
    gantry("signature", "create", CT, made, "--config", configuration).check()
    said = gantry("signature", "verify", made, "--config", configuration).check().output
    assert "attributes, pixel data among them" in said
