"""Secure DICOM files: ours opened by openssl, those of openssl opened by us, and damaged ones."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from agent.configuration.secrets import Secret
from agent.errors import ConfigurationError, StorageError
from agent.media.envelope import Envelope
from agent.media.opening import NO_KEYS, Keys, Opener, is_secure
from agent.security.cms import CIPHERS, DIGESTS
from agent.security.credentials import KeyFile
from tests.media.instances import instance, save
from tests.media.secure_files import PASSWORD, Ring, make_ring, opened, secured
from tests.peers.certificates import Authority, Credentials
from tests.peers.openssl import (
    DIGESTED,
    SIGNED,
    as_content_info,
    decrypted,
    digest_verified,
    digested,
    enveloped,
    openssl,
    signed,
    structure,
    verified,
)

pytestmark = pytest.mark.peer
OURS = [name for name in CIPHERS if name != "triple-des"]


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Ring:
    return make_ring(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return save(instance(1), tmp_path / "plain.dcm")


@pytest.mark.parametrize("digest", DIGESTS)
@pytest.mark.parametrize("cipher", OURS)
@pytest.mark.parametrize("sign", [False, True], ids=["digested", "signed"])
def test_openssl_opens_what_we_write(
    ring: Ring, plain: Path, tmp_path: Path, sign: bool, cipher: str, digest: str
) -> None:
    protection = ring.protection(sign=sign, cipher=cipher, digest=digest)
    file = secured(plain, tmp_path / "ours", protection)
    kind = SIGNED if sign else DIGESTED
    for own in (ring.first, ring.second):
        inner = as_content_info(decrypted(file, tmp_path / "inner", own), kind)
        if sign:
            found = verified(inner, tmp_path / "out", ring.authority)
        else:
            found = digest_verified(inner, tmp_path / "out")
        assert found.read_bytes() == plain.read_bytes()
    assert opened(file, ring.keys())[0] == plain.read_bytes()


@pytest.mark.parametrize("cipher", OURS)
def test_openssl_opens_what_we_write_with_a_password(
    ring: Ring, plain: Path, tmp_path: Path, cipher: str
) -> None:
    protection = ring.protection(passwords=(Secret(file=str(ring.password)),), cipher=cipher)
    file = secured(plain, tmp_path / "ours", protection)
    inner = decrypted(file, tmp_path / "inner", password=PASSWORD)
    found = digest_verified(as_content_info(inner, DIGESTED), tmp_path / "out")
    assert found.read_bytes() == plain.read_bytes()
    assert opened(file, ring.password_keys())[0] == plain.read_bytes()


def test_content_types_and_algorithms_are_named_as_the_standards_name_them(
    ring: Ring, plain: Path, tmp_path: Path
) -> None:
    protection = ring.protection(passwords=(Secret(file=str(ring.password)),))
    file = secured(plain, tmp_path / "a", protection)
    seen = structure(file)
    for name in (
        "pkcs7-envelopedData",
        "pkcs7-digestData",
        "rsaEncryption",
        "PBKDF2",
        "id-alg-PWRI-KEK",
        "aes-256-cbc",
    ):
        assert f":{name}" in seen, name
    assert ":pkcs7-data" not in seen
    assert ":pkcs7-signedData" in structure(
        secured(plain, tmp_path / "b", ring.protection(sign=True))
    )


@pytest.mark.parametrize("size", [0, 1, 131, 132, 1 << 18, (1 << 18) + 7, 1 << 20])
@pytest.mark.parametrize("sign", [False, True], ids=["digested", "signed"])
def test_any_length_fits(ring: Ring, tmp_path: Path, size: int, sign: bool) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(size))
    file = secured(source, tmp_path / "ours", ring.protection(sign=sign))
    assert opened(file, ring.keys())[0] == source.read_bytes()
    inner = decrypted(file, tmp_path / "inner", ring.first)
    inner = as_content_info(inner, SIGNED if sign else DIGESTED)
    out = tmp_path / "out"
    found = verified(inner, out, ring.authority) if sign else digest_verified(inner, out)
    assert found.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("more", [(), ("-stream",)], ids=["definite", "indefinite"])
@pytest.mark.parametrize("digest", DIGESTS)
@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("sign", [False, True], ids=["digested", "signed"])
def test_we_open_what_openssl_writes(
    ring: Ring,
    plain: Path,
    tmp_path: Path,
    sign: bool,
    cipher: str,
    digest: str,
    more: tuple[str, ...],
) -> None:
    inner = tmp_path / "inner"
    if sign:
        signed(plain, inner, ring.signer, digest, *more)
    else:
        digested(plain, inner, digest)
    file = enveloped(inner, tmp_path / "theirs", ring.first.certificate, cipher=cipher, more=more)
    content, signer = opened(file, ring.keys())
    assert content == plain.read_bytes()
    assert signer == ("CN=signer" if sign else "")


@pytest.mark.parametrize("cipher", CIPHERS)
def test_we_open_what_openssl_writes_with_a_password(
    ring: Ring, plain: Path, tmp_path: Path, cipher: str
) -> None:
    inner = digested(plain, tmp_path / "inner")
    file = enveloped(inner, tmp_path / "theirs", password=PASSWORD, cipher=cipher)
    assert opened(file, ring.password_keys())[0] == plain.read_bytes()


def test_a_signature_without_attributes(ring: Ring, plain: Path, tmp_path: Path) -> None:
    inner = signed(plain, tmp_path / "inner", ring.signer, "sha256", "-noattr")
    file = enveloped(inner, tmp_path / "theirs", ring.first.certificate)
    assert opened(file, ring.keys()) == (plain.read_bytes(), "CN=signer")


def test_a_signer_who_is_named_by_the_identifier_of_his_key(
    ring: Ring, plain: Path, tmp_path: Path
) -> None:
    own = Credentials(tmp_path / "own.key", tmp_path / "own.pem")
    words = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=own", "-days", "2")
    openssl(*words, "-keyout", own.key, "-out", own.certificate).check()
    inner = signed(plain, tmp_path / "inner", own, "sha512", "-keyid")
    file = enveloped(inner, tmp_path / "theirs", own.certificate, ring.first.certificate)
    keys = Keys((KeyFile(str(ring.first.key)),), trust=(str(own.certificate),))
    assert opened(file, keys) == (plain.read_bytes(), "CN=own")


def test_two_who_sign(ring: Ring, plain: Path, tmp_path: Path) -> None:
    """One of them is trusted; the signature of the other must be right all the same."""
    other = ("-signer", ring.stranger.certificate, "-inkey", ring.stranger.key)
    inner = signed(plain, tmp_path / "inner", ring.signer, "sha256", *other)
    file = enveloped(inner, tmp_path / "theirs", ring.first.certificate)
    assert opened(file, ring.keys()) == (plain.read_bytes(), "CN=signer")


def test_without_a_key_it_is_said_so(ring: Ring, plain: Path, tmp_path: Path) -> None:
    file = secured(plain, tmp_path / "ours", ring.protection())
    with pytest.raises(StorageError, match="it is a Secure DICOM file and there is no key for it"):
        Opener().open(file)
    with pytest.raises(StorageError, match="none of our keys opens"):
        opened(file, ring.keys(ring.stranger))
    with pytest.raises(StorageError, match="none of our keys opens"):
        opened(file, ring.password_keys())


def test_a_wrong_password_is_no_key(ring: Ring, plain: Path, tmp_path: Path) -> None:
    protection = ring.protection(passwords=(Secret(file=str(ring.password)),))
    file = secured(plain, tmp_path / "ours", protection)
    other = tmp_path / "other"
    other.write_text("shut, Sesame")
    with pytest.raises(StorageError, match="none of our keys opens"):
        opened(file, Keys(passwords=(Secret(file=str(other)),)))


@pytest.mark.parametrize("text", ["", "Bücher", "a\tb", "\x7f"])
def test_passwords_are_of_iso_ir_6(ring: Ring, tmp_path: Path, text: str) -> None:
    (tmp_path / "password").write_text(text)
    secret = Secret(file=str(tmp_path / "password"))
    with pytest.raises(ConfigurationError, match="characters that a Secure DICOM file may not"):
        Envelope(ring.protection(passwords=(secret,)))


def test_a_signer_whom_nobody_trusts(ring: Ring, plain: Path, tmp_path: Path) -> None:
    inner = signed(plain, tmp_path / "inner", ring.stranger)
    file = enveloped(inner, tmp_path / "theirs", ring.first.certificate)
    with pytest.raises(StorageError, match=r"signer is unknown: CN=stranger: nobody whom we trust"):
        opened(file, ring.keys())
    assert opened(file, ring.keys(any_signer=True)) == (plain.read_bytes(), "CN=stranger")
    direct = Keys((KeyFile(str(ring.first.key)),), trust=(str(ring.stranger.certificate),))
    assert opened(file, direct)[1] == "CN=stranger"


def test_a_signer_whose_certificate_has_expired(ring: Ring, plain: Path, tmp_path: Path) -> None:
    authority = Authority("old")
    expired = authority.issue(tmp_path, "expired", start=-30, days=1)
    trusted = tmp_path / "old.pem"
    trusted.write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    inner = signed(plain, tmp_path / "inner", expired)
    file = enveloped(inner, tmp_path / "theirs", ring.first.certificate)
    keys = Keys((KeyFile(str(ring.first.key)),), trust=(str(trusted),))
    with pytest.raises(StorageError, match="CN=expired has expired on"):
        opened(file, keys)


def test_one_who_may_not_issue_certificates_vouches_for_nobody(
    ring: Ring, plain: Path, tmp_path: Path
) -> None:
    """A certificate of a device, trusted for what it signs, is no authority."""
    signer = x509.load_pem_x509_certificate(ring.signer.certificate.read_bytes())
    key = load_pem_private_key(ring.signer.key.read_bytes(), None)
    own = load_pem_private_key(ring.stranger.key.read_bytes(), None)
    now = datetime.datetime.now(datetime.UTC)
    forged = (
        x509.CertificateBuilder()
        .subject_name(x509.Name.from_rfc4514_string("CN=forged"))
        .issuer_name(signer.subject)
        .public_key(own.public_key())  # type: ignore[arg-type]
        .serial_number(7)
        .not_valid_before(now - datetime.timedelta(1))
        .not_valid_after(now + datetime.timedelta(1))
        .sign(key, hashes.SHA256())  # type: ignore[arg-type]
    )
    certificate = tmp_path / "forged.pem"
    certificate.write_bytes(
        forged.public_bytes(Encoding.PEM) + ring.signer.certificate.read_bytes()
    )
    protection = ring.protection(
        signing_key=KeyFile(str(ring.stranger.key)), signing_certificate=str(certificate)
    )
    file = secured(plain, tmp_path / "ours", protection)
    with pytest.raises(StorageError, match="signer is unknown: CN=forged"):
        opened(file, ring.keys())


@pytest.mark.parametrize("sign", [False, True], ids=["digested", "signed"])
def test_no_flipped_bit_gives_another_file(
    ring: Ring, plain: Path, tmp_path: Path, sign: bool
) -> None:
    data = secured(plain, tmp_path / "ours", ring.protection(sign=sign)).read_bytes()
    damaged = tmp_path / "damaged"
    refused = 0
    for place in range(0, len(data), 13):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        damaged.write_bytes(changed)
        try:
            content, _ = opened(damaged, ring.keys())
        except StorageError as error:
            refused += 1
            assert error.message
        else:
            # It was in what only another recipient needs.
            assert content == plain.read_bytes()
    assert refused > len(data) // 13 // 2


@pytest.mark.parametrize("sign", [False, True], ids=["digested", "signed"])
def test_what_is_cut_off_is_refused(ring: Ring, plain: Path, tmp_path: Path, sign: bool) -> None:
    data = secured(plain, tmp_path / "ours", ring.protection(sign=sign)).read_bytes()
    cut = tmp_path / "cut"
    for end in (*range(20, len(data), 97), len(data) - 1):
        cut.write_bytes(data[:end])
        with pytest.raises(StorageError):
            opened(cut, ring.keys())


def test_a_flipped_byte_of_the_pixels_is_seen_by_the_digest(
    ring: Ring, plain: Path, tmp_path: Path
) -> None:
    data = bytearray(secured(plain, tmp_path / "ours", ring.protection()).read_bytes())
    data[-200] ^= 1
    (tmp_path / "damaged").write_bytes(data)
    with pytest.raises(StorageError, match="not what its digest says: it was changed"):
        opened(tmp_path / "damaged", ring.keys())


def test_nothing_of_a_refused_file_is_left(ring: Ring, plain: Path, tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    file = secured(plain, tmp_path / "ours", ring.protection())
    data = bytearray(file.read_bytes())
    data[-200] ^= 1
    file.write_bytes(data)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(StorageError):
        opened(file, ring.keys(folder=str(folder)))
    assert not list(folder.iterdir())
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_last_file_is_not_decrypted_twice(
    ring: Ring, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agent.media.secure_file import SecureFiles

    decryptions = []
    real = SecureFiles.open
    monkeypatch.setattr(
        SecureFiles, "open", lambda self, source: decryptions.append(source) or real(self, source)
    )
    file = secured(plain, tmp_path / "ours", ring.protection())
    with Opener(ring.keys()) as opener:
        first, second = opener.open(file), opener.open(file)
        assert os.read(first, 1 << 20) == os.read(second, 1 << 20) == plain.read_bytes()
        assert len(decryptions) == 1
        secured(plain, file, ring.protection())
        os.close(opener.open(file))
        assert len(decryptions) == 2
        os.close(first)
        os.close(second)


def test_a_file_that_is_none_is_opened_as_it_is(ring: Ring, plain: Path) -> None:
    descriptor = Opener(NO_KEYS).open(plain)
    try:
        assert not is_secure(descriptor)
        assert os.pread(descriptor, 1 << 20, 0) == plain.read_bytes()
    finally:
        os.close(descriptor)


def test_iterations_without_end_are_refused(ring: Ring, plain: Path, tmp_path: Path) -> None:
    protection = ring.protection(
        recipients=(), passwords=(Secret(file=str(ring.password)),), iterations=0x010203
    )
    data = secured(plain, tmp_path / "ours", protection).read_bytes()
    assert data.count(bytes.fromhex("0203010203")) == 1
    huge = tmp_path / "huge"
    huge.write_bytes(data.replace(bytes.fromhex("0203010203"), bytes.fromhex("02037FFFFF")))
    with pytest.raises(StorageError, match="wants 8388607 iterations"):
        opened(huge, ring.password_keys())


def test_a_passphrase_protects_a_key(ring: Ring, plain: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked.key"
    words = ("rsa", "-aes256", "-passout", f"file:{ring.password}")
    openssl(*words, "-in", ring.first.key, "-out", locked).check()
    file = secured(plain, tmp_path / "ours", ring.protection())
    with pytest.raises(ConfigurationError, match="holds no private key that can be read"):
        opened(file, Keys((KeyFile(str(locked)),)))
    keys = Keys((KeyFile(str(locked), Secret(file=str(ring.password))),))
    assert opened(file, keys)[0] == plain.read_bytes()
