"""Making and verifying signatures: by pydicom and cryptography alone, damaged, and not trusted."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from agent.codecs.codec import EncodeSettings
from agent.dataset.byte_source import MemoryBytes
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from agent.errors import ConfigurationError, LocalError, PeerError
from agent.objects.transcoded_file import transcode_file
from agent.security.credentials import KeyFile
from agent.security.signature_keys import FileSigner
from agent.security.signature_place import location_of
from agent.security.signature_profiles import PROFILES
from agent.security.signature_reading import MOST_SIGNATURES, stored_signatures
from agent.security.signature_terms import Verdict
from agent.security.signature_verification import Trust, verify
from tests.dataset.sources import Counting, element
from tests.security.signing import (
    CT,
    REPORT,
    SAMPLES,
    Holder,
    Signers,
    by_pydicom,
    holder,
    make_signers,
    revocation_list,
    signed_by_us,
    trust,
    verified,
)

_HASHES = {"SHA256": hashes.SHA256(), "SHA384": hashes.SHA384(), "SHA512": hashes.SHA512()}


@pytest.fixture(scope="module")
def signers(tmp_path_factory: pytest.TempPathFactory) -> Signers:
    return make_signers(tmp_path_factory.mktemp("signers"))


@pytest.fixture(scope="module")
def signed(signers: Signers) -> Path:
    """A CT image, signed by its creator."""
    made = signers.folder / "signed.dcm"
    signed_by_us(CT, made, signers.signer, profile=PROFILES["creator"], purpose=14)
    return made


def check_with_pydicom(data_set: pydicom.Dataset, mac: str, number: int = 0) -> None:
    stream, signature, certificate = by_pydicom(data_set, number)
    certificate.public_key().verify(signature, stream, PKCS1v15(), _HASHES[mac])  # type: ignore[union-attr,call-arg,arg-type]


@pytest.mark.parametrize("mac", _HASHES)
@pytest.mark.parametrize("name", ["CT_small.dcm", "reportsi.dcm", "SC_rgb_rle_2frame.dcm"])
def test_pydicom_and_cryptography_find_it_right(
    name: str, mac: str, signers: Signers, tmp_path: Path
) -> None:
    made = tmp_path / "a.dcm"
    signed_by_us(SAMPLES / name, made, signers.signer, mac_algorithm=mac, purpose=2)
    check_with_pydicom(pydicom.dcmread(made), mac)


def test_pydicom_finds_the_signature_of_an_item_right(signers: Signers, tmp_path: Path) -> None:
    made = tmp_path / "a.dcm"
    signed_by_us(REPORT, made, signers.signer, location=location_of("ContentSequence[0]"))
    check_with_pydicom(pydicom.dcmread(made).ContentSequence[0], "SHA256")


def test_nothing_but_the_signature_is_new(signed: Path) -> None:
    before, after = pydicom.dcmread(CT), pydicom.dcmread(signed)
    del after[0x4FFE0001], after[0xFFFAFFFA]
    assert before.file_meta == after.file_meta
    assert [each for each in before if each.tag.elem] == list(after)


def test_a_creator_leaves_to_others_what_they_may_correct(signed: Path, signers: Signers) -> None:
    content = signed.read_bytes()
    corrected = content.replace(b"CompressedSamples^CT1", b"CompressedSamples^CT2")
    assert corrected != content
    other = signed.with_name("corrected.dcm")
    other.write_bytes(corrected)
    (found,) = verified(other, trust(signers.root))
    assert found.verdict is Verdict.VALID


# What is damaged.


def _in_value(tag: bytes, offset: int = 0) -> Callable[[bytes], int]:
    def place(content: bytes) -> int:
        at = content.rindex(tag)
        return at + (12 if content[at + 4 : at + 6] in (b"OB", b"OW", b"SQ") else 8) + offset

    return place


_REGIONS: dict[str, Callable[[bytes], int]] = {
    "SOP Instance UID": _in_value(b"\x08\x00\x18\x00UI", 10),
    "a VR": lambda content: content.index(b"\x28\x00\x10\x00US") + 5,
    "a length": lambda content: content.index(b"\x08\x00\x70\x00LO") + 6,
    "a tag": lambda content: content.index(b"\x28\x00\x10\x00US") + 2,
    "the first pixel": _in_value(b"\xe0\x7f\x10\x00OW"),
    "the last pixel": _in_value(b"\xe0\x7f\x10\x00OW", 32767),
    "MAC algorithm": _in_value(b"\x00\x04\x15\x00CS", 3),
    "the syntax of the MAC": _in_value(b"\x00\x04\x10\x00UI", 18),
    "data elements signed": _in_value(b"\x00\x04\x20\x00AT", 40),
    "signature UID": _in_value(b"\x00\x04\x00\x01UI", 10),
    "time of the signature": _in_value(b"\x00\x04\x05\x01DT", 5),
    "the certificate": _in_value(b"\x00\x04\x15\x01OB", 300),
    "the signature": _in_value(b"\x00\x04\x20\x01OB", 5),
    "the purpose": _in_value(b"\x08\x00\x00\x01SH"),
    "its MAC ID": _in_value(b"\x00\x04\x05\x00US"),
}


@pytest.mark.parametrize("region", _REGIONS)
def test_a_flipped_byte_is_found(
    region: str, signed: Path, signers: Signers, tmp_path: Path
) -> None:
    content = bytearray(signed.read_bytes())
    content[_REGIONS[region](content)] ^= 1
    damaged = tmp_path / "a.dcm"
    damaged.write_bytes(content)
    try:
        found = verified(damaged, trust(signers.root))
    except PeerError:
        return  # No data set at all any more.
    assert [each.verdict for each in found] in ([Verdict.INVALID], [Verdict.UNKNOWN])
    assert found[0].reason


def test_every_signed_byte_counts(signers: Signers, tmp_path: Path) -> None:
    """Bytes from one end of a small object to the other, each flipped alone: only the lengths of
    delimiters are not signed, and no reader sees them."""
    made = tmp_path / "a.dcm"
    source = SAMPLES / "SC_rgb_small_odd.dcm"
    signed_by_us(source, made, signers.signer)
    content = made.read_bytes()
    start = content.index(b"\x08\x00\x05\x00CS")
    end = content.index(b"\xfe\x4f\x01\x00SQ")
    trusted = trust(signers.root)
    assert [each.verdict for each in verified(made, trusted)] == [Verdict.VALID]
    for position in range(start, end, 7):
        damaged = bytearray(content[start:])
        damaged[position - start] ^= 0x10
        try:
            found = verify(MemoryBytes(damaged), EXPLICIT_VR_LITTLE_ENDIAN, trusted)
        except PeerError:
            continue
        if Verdict.VALID in [each.verdict for each in found]:
            seen = pydicom.dcmread(io.BytesIO(content[:start] + damaged))
            assert seen == pydicom.dcmread(made), hex(position)


# Who is trusted.


def test_an_incomplete_chain_is_untrustworthy_and_not_invalid(
    signers: Signers, tmp_path: Path
) -> None:
    made = tmp_path / "a.dcm"
    signed_by_us(CT, made, signers.below)
    (found,) = verified(made, trust(signers.root))
    assert found.verdict is Verdict.UNTRUSTWORTHY
    assert found.reason == "nobody whom we trust vouches for its certificate"
    (found,) = verified(made, trust(signers.root, others=(signers.middle,)))
    assert (found.verdict, found.signer) == (Verdict.VALID, "CN=below")
    (found,) = verified(made, trust())
    assert found.verdict is Verdict.UNTRUSTWORTHY


def test_an_expired_certificate_and_a_future_one_are_untrustworthy(
    signers: Signers, signed: Path, tmp_path: Path
) -> None:
    made = tmp_path / "a.dcm"
    signed_by_us(CT, made, signers.expired)
    (found,) = verified(made, trust(signers.root))
    assert (found.verdict, "has expired" in found.reason) == (Verdict.UNTRUSTWORTHY, True)
    (found,) = verified(signed, trust(signers.root), days=-10)
    assert (found.verdict, "not valid before" in found.reason) == (Verdict.UNTRUSTWORTHY, True)


def test_what_is_revoked_is_untrustworthy(signed: Path, signers: Signers) -> None:
    folder = signers.folder
    for lists, reason in (
        ((revocation_list(folder, signers.root),), ""),
        ((revocation_list(folder, signers.root, signers.signer),), "was revoked"),
        ((revocation_list(folder, signers.middle),), "no current revocation list"),
        ((revocation_list(folder, signers.root, end=0),), "no current revocation list"),
    ):
        (found,) = verified(signed, trust(signers.root, lists=lists))
        wanted = Verdict.UNTRUSTWORTHY if reason else Verdict.VALID
        assert (found.verdict, reason in found.reason) == (wanted, True), found


def test_a_forged_revocation_list_counts_for_nothing(signed: Path, signers: Signers) -> None:
    impostor = holder(signers.folder, "impostor", authority=True)
    named = Holder(
        signers.root.key,
        signers.root.certificate,
        impostor.key_object,
        signers.root.certificate_object,
    )
    forged = revocation_list(signers.folder, named, end=3)
    (found,) = verified(signed, trust(signers.root, lists=(forged,)))
    assert "no current revocation list" in found.reason


# What cannot be told.


def _changed(signed: Path, tmp_path: Path, change: Callable[[pydicom.Dataset], None]) -> Path:
    data_set = pydicom.dcmread(signed)
    change(data_set)
    made = tmp_path / "changed.dcm"
    data_set.save_as(made)
    return made


@pytest.mark.parametrize(
    ("keyword", "value", "verdict", "reason"),
    [
        ("MACAlgorithm", "WHIRLPOOL", Verdict.UNKNOWN, "'WHIRLPOOL' is not known"),
        ("MACCalculationTransferSyntaxUID", "1.2.840.10008.1.2", Verdict.UNKNOWN, "transfer"),
        ("MACCalculationTransferSyntaxUID", "1.2.3", Verdict.UNKNOWN, "'1.2.3' is not known"),
        ("DataElementsSigned", [], Verdict.INVALID, "names no data element"),
        ("MACIDNumber", 77, Verdict.INVALID, "has no MAC parameters"),
    ],
)
def test_parameters_that_say_something_else(
    keyword: str,
    value: object,
    verdict: Verdict,
    reason: str,
    signed: Path,
    signers: Signers,
    tmp_path: Path,
) -> None:
    def change(data_set: pydicom.Dataset) -> None:
        setattr(data_set.MACParametersSequence[0], keyword, value)

    (found,) = verified(_changed(signed, tmp_path, change), trust(signers.root))
    assert (found.verdict, reason in found.reason) == (verdict, True), found.reason


def test_a_certificate_of_another_type_is_unknown(
    signed: Path, signers: Signers, tmp_path: Path
) -> None:
    def change(data_set: pydicom.Dataset) -> None:
        data_set.DigitalSignaturesSequence[0].CertificateType = "PGP"

    (found,) = verified(_changed(signed, tmp_path, change), trust(signers.root))
    assert found.verdict is Verdict.UNKNOWN


def test_private_attributes_are_unknown_after_implicit_vr(signers: Signers, tmp_path: Path) -> None:
    made = tmp_path / "a.dcm"
    signed_by_us(CT, made, signers.signer)
    with made.open("rb") as source, (tmp_path / "b.dcm").open("wb") as target:
        transcode_file(
            source.fileno(),
            target.fileno(),
            IMPLICIT_VR_LITTLE_ENDIAN,
            EncodeSettings(),
            implementation=("1.2.3", "TEST"),
        )
    (found,) = verified(tmp_path / "b.dcm", trust(signers.root))
    assert (found.verdict, "value representation" in found.reason) == (Verdict.UNKNOWN, True)


def test_public_attributes_survive_implicit_vr(
    signed: Path, signers: Signers, tmp_path: Path
) -> None:
    with signed.open("rb") as source, (tmp_path / "b.dcm").open("wb") as target:
        transcode_file(
            source.fileno(),
            target.fileno(),
            IMPLICIT_VR_LITTLE_ENDIAN,
            EncodeSettings(),
            implementation=("1.2.3", "TEST"),
        )
    (found,) = verified(tmp_path / "b.dcm", trust(signers.root))
    assert (found.verdict, found.reason) == (Verdict.VALID, "")


# Orders that are not carried out.


@pytest.mark.parametrize("mac", ["MD5", "SHA1", "RIPEMD160", "CRC32"])
def test_nothing_is_signed_by_a_weak_mac(mac: str, signers: Signers, tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="not made with"):
        signed_by_us(CT, tmp_path / "a.dcm", signers.signer, mac_algorithm=mac)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ({"purpose": 99}, "none of the codes"),
        ({"elements": (0x00080001,)}, "is not there"),
        ({"elements": (0xFFFCFFFC,)}, "cannot be signed"),
        ({"location": ((0x0040A730, 9),)}, "no item"),
        ({"profile": PROFILES["creator"], "location": ((0x00101002, 1),)}, "not of items"),
        ({"profile": PROFILES["structured-report"], "purpose": 1}, "is missing"),
    ],
)
def test_an_order_that_cannot_be_carried_out_says_why(
    order: dict[str, object], message: str, signers: Signers, tmp_path: Path
) -> None:
    with pytest.raises(LocalError, match=message):
        signed_by_us(CT, tmp_path / "a.dcm", signers.signer, **order)


def test_a_report_is_signed_for_a_purpose(signers: Signers, tmp_path: Path) -> None:
    report = PROFILES["structured-report"]
    with pytest.raises(LocalError, match="has a purpose"):
        signed_by_us(REPORT, tmp_path / "a.dcm", signers.signer, profile=report)


def test_a_key_must_fit_its_certificate(signers: Signers) -> None:
    with pytest.raises(ConfigurationError, match="is not the key"):
        FileSigner(KeyFile(str(signers.root.key)), str(signers.signer.certificate))


# Objects that are made to hurt.


def _sequence(tag: int, items: bytes) -> bytes:
    return element(tag, "SQ", items)


def _item(content: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + struct.pack("<I", len(content)) + content


def test_more_signatures_than_are_looked_at_are_refused() -> None:
    items = _item(element(0x04000005, "US", b"\0\0")) * (MOST_SIGNATURES + 1)
    data_set = _sequence(0xFFFAFFFA, items)
    with pytest.raises(PeerError, match="more signatures"):
        stored_signatures(MemoryBytes(data_set), EXPLICIT_VR_LITTLE_ENDIAN)


def test_empty_and_odd_items_are_invalid_and_hurt_nobody() -> None:
    parameters = _sequence(0x4FFE0001, _item(b"") + _item(element(0x04000005, "US", b"\1\0")))
    signatures = _sequence(
        0xFFFAFFFA,
        _item(b"")
        + _item(element(0x04000005, "US", b"\1\0"))
        + _item(element(0x04000005, "US", b""))
        + _item(element(0x04000120, "OB", b"\x30\x84")),
    )
    found = verify(MemoryBytes(parameters + signatures), EXPLICIT_VR_LITTLE_ENDIAN, Trust())
    assert [each.verdict for each in found] == [Verdict.INVALID] * 4


def test_gigabytes_are_hashed_in_one_pass_and_little_memory(signers: Signers) -> None:
    """A data set of 300 MB that is nowhere: it is read once, and never held."""
    import tracemalloc

    from agent.security.signature_creation import Signing, SigningOrder

    size = 300_000_000
    head = element(0x00080018, "UI", b"1.2.3\0")
    head += b"\xe0\x7f\x10\x00OW\0\0" + struct.pack("<I", size)
    source = Counting(head, len(head) + size)
    signer = FileSigner(KeyFile(str(signers.signer.key)), str(signers.signer.certificate))
    tracemalloc.start()
    try:
        signing = Signing(source, EXPLICIT_VR_LITTLE_ENDIAN, SigningOrder(), signer)
        signing.items()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size <= source.read_bytes < size + 1_000_000
    assert peak < 2_000_000


def test_a_short_key_is_untrustworthy() -> None:
    """Keys this short are not even made any more, so only the judgement is tested."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    from agent.security.signature_keys import short_key

    modulus = (1 << 767) + 1235
    assert "768 bits" in short_key(rsa.RSAPublicNumbers(65537, modulus).public_key())
    assert short_key(rsa.RSAPublicNumbers(65537, (1 << 1023) + 1155).public_key()) == ""


def test_no_damage_of_a_certificate_is_more_than_a_verdict(
    signers: Signers, tmp_path: Path
) -> None:
    made = tmp_path / "a.dcm"
    signed_by_us(SAMPLES / "SC_rgb_small_odd.dcm", made, signers.signer)
    content = made.read_bytes()
    content = content[content.index(b"\x08\x00\x05\x00CS") :]
    start = content.index(b"\x00\x04\x15\x01OB") + 12
    trusted = trust(signers.root)
    for position in range(start, start + 600, 5):
        damaged = bytearray(content)
        damaged[position] ^= 0x21
        (found,) = verify(MemoryBytes(damaged), EXPLICIT_VR_LITTLE_ENDIAN, trusted)
        assert found.verdict in (Verdict.INVALID, Verdict.UNTRUSTWORTHY), position
