"""Signatures with DCMTK's dcmsign in both directions, and time stamps with openssl (issue 7,
acceptance 5)."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from cryptography.hazmat.primitives import hashes

from agent.errors import StorageError
from agent.security.signature_place import location_of
from agent.security.signature_profiles import PROFILES
from agent.security.signature_terms import MAC_ALGORITHMS, SOUND_MAC_ALGORITHMS, Verdict
from agent.security.signature_timestamp import checked, query, token_of
from tests.cli_of import gantry
from tests.peers.dcmtk import run_dcmtk
from tests.peers.openssl import openssl
from tests.peers.programs import Completed
from tests.security.signing import (
    CT,
    DCMSIGN_MAC,
    REPORT,
    SAMPLES,
    Holder,
    Signers,
    holder,
    make_signers,
    signed_by_us,
    trust,
    verified,
)

pytestmark = pytest.mark.peer

_ENCODINGS = (
    "CT_small.dcm",
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "SC_rgb_small_odd.dcm",
    "SC_rgb_small_odd_jpeg.dcm",
    "SC_rgb_rle_2frame.dcm",
    "rtplan.dcm",
    "nested_priv_SQ.dcm",
    "examples_palette.dcm",
)


@pytest.fixture(scope="module")
def signers(tmp_path_factory: pytest.TempPathFactory) -> Signers:
    return make_signers(tmp_path_factory.mktemp("signers"))


def dcmsign(*words: str | Path) -> Completed:
    return run_dcmtk("dcmsign", "-v", *words)


def signed_by_dcmtk(source: Path, target: Path, by: Holder, *options: str | Path) -> Path:
    dcmsign("+s", by.key, by.certificate, *options, source, target).check()
    return target


def judged_by_dcmtk(file: Path, signers: Signers, *options: str) -> str:
    """What dcmsign says when it finds every signature right."""
    done = dcmsign("--verify", "+rg", *options, "+cf", signers.root.certificate, file).check()
    assert "0 corrupted" in done.output
    return done.output


@pytest.mark.parametrize("mac", MAC_ALGORITHMS)
def test_each_mac_algorithm_of_another_maker_is_verified(
    mac: str, signers: Signers, tmp_path: Path
) -> None:
    made = signed_by_dcmtk(CT, tmp_path / "a.dcm", signers.signer, DCMSIGN_MAC[mac])
    (found,) = verified(made, trust(signers.root))
    assert (found.verdict, found.reason, found.mac_algorithm) == (Verdict.VALID, "", mac)
    assert bool(found.remarks) == (mac not in SOUND_MAC_ALGORITHMS)


@pytest.mark.parametrize("mac", SOUND_MAC_ALGORITHMS)
def test_each_mac_algorithm_of_ours_is_verified_by_another_maker(
    mac: str, signers: Signers, tmp_path: Path
) -> None:
    signed_by_us(CT, tmp_path / "a.dcm", signers.signer, mac_algorithm=mac)
    assert f"MAC algorithm               : {mac}" in judged_by_dcmtk(tmp_path / "a.dcm", signers)


@pytest.mark.parametrize("name", _ENCODINGS)
def test_every_encoding_goes_both_ways(name: str, signers: Signers, tmp_path: Path) -> None:
    theirs = signed_by_dcmtk(SAMPLES / name, tmp_path / "a.dcm", signers.signer, "+m2")
    (found,) = verified(theirs, trust(signers.root))
    assert (found.verdict, found.reason) == (Verdict.VALID, "")
    signed_by_us(theirs, tmp_path / "b.dcm", signers.signer)
    assert "2 signatures verified" in judged_by_dcmtk(tmp_path / "b.dcm", signers)
    assert [each.verdict for each in verified(tmp_path / "b.dcm", trust(signers.root))] == [
        Verdict.VALID,
        Verdict.VALID,
    ]


@pytest.mark.parametrize("option", ["+pb", "+pc", "+pa", "+pr", "+pv"])
def test_each_profile_of_another_maker_is_verified(
    option: str, signers: Signers, tmp_path: Path
) -> None:
    source = REPORT if option in ("+pr", "+pv") else CT
    source = _verified_report(tmp_path) if option == "+pv" else source
    made = signed_by_dcmtk(source, tmp_path / "a.dcm", signers.signer, option, "+m2", "+sp", "1")
    (found,) = verified(made, trust(signers.root))
    assert (found.verdict, found.reason) == (Verdict.VALID, "")
    assert found.purpose == ("Verification Signature" if option == "+pv" else "Author's Signature")


@pytest.mark.parametrize(
    ("profile", "demand"),
    [("base", "+rg"), ("creator", "+rc"), ("authorization", "+ru"), ("structured-report", "+rs")],
)
def test_another_maker_finds_our_profiles_kept(
    profile: str, demand: str, signers: Signers, tmp_path: Path
) -> None:
    source = REPORT if profile == "structured-report" else CT
    made = tmp_path / "a.dcm"
    signed_by_us(source, made, signers.signer, profile=PROFILES[profile], purpose=1)
    judged_by_dcmtk(made, signers, demand)


@pytest.mark.parametrize("name", [each for each in _ENCODINGS if not each.startswith("nested")])
def test_a_creator_signs_what_another_maker_wants_signed(
    name: str, signers: Signers, tmp_path: Path
) -> None:
    made = tmp_path / "a.dcm"
    signed_by_us(SAMPLES / name, made, signers.signer, profile=PROFILES["creator"])
    judged_by_dcmtk(made, signers, "+rc")


def test_a_verified_report_is_signed_for_verification(signers: Signers, tmp_path: Path) -> None:
    made = tmp_path / "a.dcm"
    report = PROFILES["structured-report"]
    signed_by_us(_verified_report(tmp_path), made, signers.signer, profile=report, purpose=5)
    said = judged_by_dcmtk(made, signers, "+rs")
    assert "VerificationFlag" in said
    assert "SOPInstanceUID" in said


def test_items_are_signed_both_ways(signers: Signers, tmp_path: Path) -> None:
    item = "ContentSequence[1]"
    own = signers.signer
    theirs, both = tmp_path / "a.dcm", tmp_path / "b.dcm"
    dcmsign("+si", own.key, own.certificate, item, "+m2", REPORT, theirs).check()
    (found,) = verified(theirs, trust(signers.root))
    assert (found.verdict, found.location) == (Verdict.VALID, "(0040,A730)[1]")
    deeper = location_of("ContentSequence[1].ConceptNameCodeSequence[0]")
    signed_by_us(theirs, tmp_path / "c.dcm", own, location=deeper)
    signed_by_us(tmp_path / "c.dcm", both, own, location=location_of(item))
    assert "3 signatures verified" in judged_by_dcmtk(both, signers)
    locations = {each.location: each.verdict for each in verified(both, trust(signers.root))}
    assert locations == {
        "(0040,A730)[1]": Verdict.VALID,
        "(0040,A730)[1].(0040,A043)[0]": Verdict.VALID,
    }


def test_lists_of_tags_go_both_ways(signers: Signers, tmp_path: Path) -> None:
    theirs, ours = tmp_path / "a.dcm", tmp_path / "b.dcm"
    signed_by_dcmtk(CT, theirs, signers.signer, "+m2", "-t", "0010,0010", "-t", "PixelData")
    (found,) = verified(theirs, trust(signers.root))
    assert (found.verdict, found.elements, found.covers_pixel_data) == (Verdict.VALID, 2, True)
    signed_by_us(CT, ours, signers.signer, elements=(0x00100010, 0x00280010))
    said = judged_by_dcmtk(ours, signers)
    assert "PatientName" in said
    assert "PatientID" not in said


def test_a_signature_by_an_elliptic_curve_is_verified(signers: Signers, tmp_path: Path) -> None:
    made = signed_by_dcmtk(CT, tmp_path / "a.dcm", signers.curve, "+m3")
    (found,) = verified(made, trust(signers.root))
    assert (found.verdict, found.reason) == (Verdict.VALID, "")


@pytest.mark.parametrize("place", ["patient", "pixels", "signature item", "signature"])
def test_another_maker_agrees_that_a_flipped_byte_breaks_it(
    place: str, signers: Signers, tmp_path: Path
) -> None:
    made = tmp_path / "a.dcm"
    signed_by_us(CT, made, signers.signer, purpose=1)
    content = bytearray(made.read_bytes())
    content[_place(content, place)] ^= 1
    made.write_bytes(content)
    assert dcmsign("--verify", "+cf", signers.root.certificate, made).returncode != 0
    (found,) = verified(made, trust(signers.root))
    assert found.verdict is Verdict.INVALID


def _place(content: bytearray, name: str) -> int:
    if name == "patient":
        return content.index(b"CompressedSamples")
    if name == "pixels":
        return content.index(b"\xe0\x7f\x10\x00OW") + 1000
    if name == "signature item":
        return content.index(b"\x00\x04\x05\x01DT") + 12
    return content.index(b"\x00\x04\x20\x01OB") + 100


def _verified_report(folder: Path) -> Path:
    report = pydicom.dcmread(REPORT)
    observer = pydicom.Dataset()
    observer.VerifyingObserverName = "Dr^Who"
    observer.VerifyingOrganization = "Clinic"
    observer.VerificationDateTime = "20260101120000"
    report.VerificationFlag = "VERIFIED"
    report.VerifyingObserverSequence = [observer]
    made = folder / "verified.dcm"
    report.save_as(made)
    return made


# Certified time stamps.


@pytest.fixture
def authority(signers: Signers, tmp_path: Path) -> Path:
    """The configuration of `openssl ts` as an authority."""
    (tmp_path / "serial").write_text("01\n")
    made = tmp_path / "ts.cnf"
    made.write_text(
        "[tsa]\ndefault_tsa = ours\n[ours]\n"
        f"serial = {tmp_path}/serial\nsigner_cert = {signers.stamper.certificate}\n"
        f"certs = {signers.root.certificate}\nsigner_key = {signers.stamper.key}\n"
        "signer_digest = sha256\ndefault_policy = 1.2.3.4.1\ndigests = sha1, sha256, sha384\n"
        "accuracy = secs:1\nordering = no\ntsa_name = no\ness_cert_id_chain = no\n"
    )
    return made


@pytest.mark.parametrize("kind", ["sha1", "sha256", "sha512"])
def test_each_form_of_naming_the_certificate_is_read(
    kind: str, signers: Signers, authority: Path, tmp_path: Path
) -> None:
    """RFC 2634 has SHA-1 only, RFC 5816 any digest; one certificate is not taken for another."""
    query_file = tmp_path / "a.tsq"
    query_file.write_bytes(query(b"a signature"))
    text = authority.read_text() + f"ess_cert_id_alg = {kind}\n"
    authority.write_text(text)
    token = token_of(answered(query_file, authority, tmp_path / "a.tsr").read_bytes())
    anchors = [signers.root.certificate_object]
    assert checked(token, b"a signature", anchors).refusal == ""
    der = signers.stamper.certificate_object.fingerprint(
        {"sha1": hashes.SHA1(), "sha256": hashes.SHA256(), "sha512": hashes.SHA512()}[kind]
    )
    assert token.count(der) == 1
    with pytest.raises(StorageError):
        checked(token.replace(der, der[::-1]), b"a signature", anchors)
    with pytest.raises(StorageError, match="not one of this signature"):
        checked(token, b"another signature", anchors)


def answered(query: Path, authority: Path, out: Path) -> Path:
    openssl("ts", "-reply", "-config", authority, "-queryfile", query, "-out", out).check()
    return out


def test_our_query_is_answered_and_another_maker_verifies_the_stamp(
    signers: Signers, authority: Path, tmp_path: Path
) -> None:
    made, query, stamped = tmp_path / "a.dcm", tmp_path / "a.tsq", tmp_path / "b.dcm"
    signed_by_us(CT, made, signers.signer)
    gantry("signature", "query", made, query).check()
    answer = answered(query, authority, tmp_path / "a.tsr")
    gantry("signature", "stamp", made, stamped, answer).check()
    judged_by_dcmtk(stamped, signers, "+tr")
    (found,) = verified(stamped, trust(signers.root))
    assert found.verdict is Verdict.VALID
    assert found.stamped.endswith("UTC")


def test_a_stamp_that_another_maker_put_in_is_verified(
    signers: Signers, authority: Path, tmp_path: Path
) -> None:
    made, query, uid = tmp_path / "a.dcm", tmp_path / "a.tsq", tmp_path / "a.uid"
    signed_by_dcmtk(CT, made, signers.signer, "+m2", "+ts", query, uid)
    answer = answered(query, authority, tmp_path / "a.tsr")
    stamped = tmp_path / "b.dcm"
    dcmsign("+t", query, answer, uid, made, stamped).check()
    (found,) = verified(stamped, trust(signers.root))
    assert (found.verdict, bool(found.stamped)) == (Verdict.VALID, True)


def test_a_stamp_of_another_signature_is_refused_and_a_strange_one_told(
    signers: Signers, authority: Path, tmp_path: Path
) -> None:
    one, other = tmp_path / "a.dcm", tmp_path / "b.dcm"
    for each in (one, other):
        signed_by_us(CT, each, signers.signer)
    query = tmp_path / "a.tsq"
    gantry("signature", "query", one, query).check()
    answer = answered(query, authority, tmp_path / "a.tsr")
    refused = gantry("signature", "stamp", other, tmp_path / "c.dcm", answer)
    assert refused.returncode == 1
    assert "not one of this signature" in refused.output
    gantry("signature", "stamp", one, tmp_path / "c.dcm", answer).check()
    (found,) = verified(tmp_path / "c.dcm", trust(signers.signer))
    assert (found.verdict, found.stamped) == (Verdict.VALID, "")
    assert "untrustworthy" in found.remarks[0]
    content = bytearray((tmp_path / "c.dcm").read_bytes())
    content[content.index(b"\x00\x04\x10\x03OB") + 600] ^= 1
    (tmp_path / "c.dcm").write_bytes(content)
    (found,) = verified(tmp_path / "c.dcm", trust(signers.root))
    assert found.verdict is Verdict.INVALID


def test_what_expired_after_the_stamp_stays_valid(
    signers: Signers, authority: Path, tmp_path: Path
) -> None:
    short = holder(tmp_path, "short", signers.root, end=1)
    made, query, stamped = tmp_path / "a.dcm", tmp_path / "a.tsq", tmp_path / "b.dcm"
    signed_by_us(CT, made, short)
    gantry("signature", "query", made, query).check()
    gantry(
        "signature", "stamp", made, stamped, answered(query, authority, tmp_path / "r.tsr")
    ).check()
    (found,) = verified(made, trust(signers.root), days=2)
    assert found.verdict is Verdict.UNTRUSTWORTHY
    assert "has expired" in found.reason
    (found,) = verified(stamped, trust(signers.root), days=2)
    assert (found.verdict, found.reason) == (Verdict.VALID, "")
