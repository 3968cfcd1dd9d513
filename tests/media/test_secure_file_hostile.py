"""Secure DICOM files of those who mean us harm: an error, or the file that was signed."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.errors import StorageError
from agent.media.secure_file import SecureFiles
from tests.media.instances import instance, save
from tests.media.secure_files import PASSWORD, Ring, envelope_around, make_ring, opened
from tests.peers.openssl import digested, enveloped, signed

pytestmark = pytest.mark.peer
_TELLING = (0x00, 0x02, 0x06, 0x24, 0x30, 0x31, 0x80, 0x81, 0x84, 0xA0, 0xFF)


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Ring:
    return make_ring(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return save(instance(1), tmp_path / "plain.dcm")


def changed(data: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, taken out, put in or doubled."""
    made = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        place, length = chance.randrange(len(made)), chance.randrange(1, 20)
        what = chance.random()
        if what < 0.5:
            made[place] = chance.choice((*_TELLING, chance.randrange(256)))
        elif what < 0.7:
            del made[place : place + length]
        elif what < 0.9:
            made[place:place] = chance.randbytes(length)
        else:
            made[place:place] = made[max(0, place - 50) : place]
    return bytes(made)


@pytest.mark.parametrize("where", ["outside", "inside"])
@pytest.mark.parametrize("sign", [False, True], ids=["digested", "signed"])
def test_whatever_is_changed_there_is_an_error_or_the_file(
    ring: Ring,
    plain: Path,
    tmp_path: Path,
    count: Callable[[int, int], int],
    sign: bool,
    where: str,
) -> None:
    inner = tmp_path / "inner"
    signed(plain, inner, ring.signer) if sign else digested(plain, inner)
    content = inner.read_bytes()
    file = envelope_around(content, ring)
    files = SecureFiles(ring.keys(folder=str(tmp_path)))
    target = tmp_path / "file"
    chance = random.Random(7)
    refused = 0
    for number in range(count(400, 20000)):
        if number == 0:
            target.write_bytes(file)
        elif where == "inside":
            target.write_bytes(envelope_around(changed(content, chance), ring))
        else:
            target.write_bytes(changed(file, chance))
        with target.open("rb") as source:
            try:
                found = files.open(source.fileno())
            except StorageError as error:
                refused += 1
                assert number, error
                continue
        try:
            assert os.pread(found.descriptor, 1 << 20, 0) == plain.read_bytes()
        finally:
            os.close(found.descriptor)
    assert refused > count(200, 10000)


def test_a_file_that_is_only_encrypted_is_refused(ring: Ring, plain: Path, tmp_path: Path) -> None:
    file = enveloped(plain, tmp_path / "file", ring.first.certificate, password=PASSWORD)
    for keys in (ring.keys(), ring.password_keys()):
        with pytest.raises(StorageError, match="in which nothing is signed or digested"):
            opened(file, keys)


def test_a_file_that_is_only_signed_is_refused(ring: Ring, plain: Path, tmp_path: Path) -> None:
    file = signed(plain, tmp_path / "file", ring.signer)
    with pytest.raises(StorageError, match="it is not encrypted, as the profile wants it"):
        opened(file, ring.keys())


def test_a_signature_over_another_file_is_refused(ring: Ring, plain: Path, tmp_path: Path) -> None:
    """The content of one file with the signature of another."""
    first = signed(plain, tmp_path / "first", ring.signer).read_bytes()
    content = plain.read_bytes()
    assert first.count(content) == 1
    other = bytearray(content)
    other[-1] ^= 1
    (tmp_path / "file").write_bytes(envelope_around(first.replace(content, bytes(other)), ring))
    with pytest.raises(StorageError, match="not what its digest says"):
        opened(tmp_path / "file", ring.keys())
