"""Keys in files: PKCS#8 in PEM (RFC 5958, RFC 7468), for the eyes of their owner only."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from hal.keys.base import Key, KeyRefused, KeyStore, NoSuchKey, StoreGone, WrongStore
from hal.keys.folders import make_folder, sync_folder
from hal.keys.names import ALGORITHMS

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa


def check_file(path: str) -> None:
    """Whether a key file is ours alone. Raises NoSuchKey, KeyRefused, StoreGone.

    Asked of an open file: a link is not followed, and nobody waits for a pipe.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise NoSuchKey(f"there is no key in {path}") from None
    except PermissionError:
        raise KeyRefused(f"the key in {path} may not be read by us") from None
    except OSError as error:
        raise StoreGone(f"the key in {path} cannot be read: {error.strerror}") from error
    try:
        found = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise KeyRefused(f"{path} is no file")
    if found.st_uid not in (0, os.geteuid()):
        raise KeyRefused(
            f"the key in {path} belongs to user {found.st_uid}, who is neither us nor root"
        )
    if found.st_mode & 0o077:
        raise KeyRefused(
            f"the key in {path} can be read by others (mode {found.st_mode & 0o777:o});"
            f" its mode must be 600"
        )


class FileKey(Key):
    """A key in a file. It is read when something is signed: TLS reads the file itself."""

    def __init__(self, path: str, passphrase: bytes) -> None:
        self._path = path
        self._passphrase = passphrase
        self._loaded: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | None = None

    @property
    def file(self) -> str:
        return self._path

    @property
    def _private(self) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
        if self._loaded is None:
            from cryptography.hazmat.primitives.asymmetric import ec, rsa
            from cryptography.hazmat.primitives.serialization import load_pem_private_key

            try:
                data = Path(self._path).read_bytes()
                made = load_pem_private_key(data, self._passphrase or None)
            except OSError as error:
                raise StoreGone(f"{self._path} cannot be read: {error.strerror}") from error
            except (ValueError, TypeError) as error:
                raise KeyRefused(
                    f"the key in {self._path} cannot be read: no PKCS#8, or another passphrase"
                ) from error
            if not isinstance(made, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
                raise KeyRefused(f"the key in {self._path} is neither RSA nor ECDSA")
            self._loaded = made
        return self._loaded

    @property
    def public_key(self) -> bytes:
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        public = self._private.public_key()
        return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def is_rsa(self) -> bool:
        from cryptography.hazmat.primitives.asymmetric import rsa

        return isinstance(self._private, rsa.RSAPrivateKey)

    def sign_digest(self, digest: bytes) -> bytes:
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
        from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

        private = self._private
        kinds: dict[int, HashAlgorithm] = {32: SHA256(), 48: SHA384(), 64: SHA512()}
        if not isinstance(private, ec.EllipticCurvePrivateKey) or len(digest) not in kinds:
            raise WrongStore("the key in the file signs no such digest")
        return private.sign(digest, ec.ECDSA(Prehashed(kinds[len(digest)])))

    def sign(self, message: bytes, hash_name: str = "sha256") -> bytes:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding, rsa

        private = self._private
        kinds = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
        if isinstance(private, rsa.RSAPrivateKey) and hash_name in kinds:
            # Blinded, as the bare operation below is not.
            return private.sign(message, padding.PKCS1v15(), kinds[hash_name])
        return super().sign(message, hash_name)

    def sign_block(self, block: bytes, *, padded: bool) -> bytes:
        from cryptography.hazmat.primitives.asymmetric import rsa

        private = self._private
        if not isinstance(private, rsa.RSAPrivateKey):
            raise WrongStore("the key in the file is not RSA")
        numbers = private.private_numbers()
        modulus = numbers.public_numbers.n
        length = (modulus.bit_length() + 7) // 8
        if not padded:
            if len(block) > length - 11:
                raise WrongStore("the block is too long for the key")
            block = b"\0\1" + b"\xff" * (length - 3 - len(block)) + b"\0" + block
        value = pow(int.from_bytes(block, "big"), numbers.d, modulus)
        return value.to_bytes(length, "big")


class FileStore(KeyStore):
    """Keys in `folder`, one file for each slot, as `a.key`; with a passphrase they are encrypted.

    The folder is made when the first key is. Where root creates a key, it belongs to the owner of
    the folder.
    """

    def __init__(self, folder: str, passphrase: bytes = b"") -> None:
        self._folder = folder
        self._passphrase = passphrase

    def open(self) -> None:
        """Nothing to be done: files are opened when they are read."""

    def close(self) -> None:
        """Nothing is held."""

    def _path(self, slot: str) -> str:
        return f"{self._folder}/{slot}.key"

    def key(self, slot: str) -> Key:
        check_file(self._path(slot))
        return FileKey(self._path(slot), self._passphrase)

    def create(self, slot: str, algorithm: str) -> Key:
        if algorithm not in ALGORITHMS:
            raise WrongStore(f"{algorithm} is none of {', '.join(ALGORITHMS)}")
        path = self._path(slot)
        try:
            make_folder(Path(self._folder))
            owner = os.stat(self._folder)  # noqa: PTH116
            data = _new_key(algorithm, self._passphrase)
            # Born with mode 600: there is no moment in which others could open it. It has no name
            # before it is whole: a power cut leaves neither half a key nor a copy.
            flags = os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC
            with os.fdopen(os.open(self._folder, flags, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                if os.geteuid() == 0:
                    os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
                os.fsync(file.fileno())
                number = file.fileno()
                # With a descriptor Python calls linkat(2), which can give a nameless file its name.
                place = f"/proc/self/fd/{number}"
                os.link(place, path, src_dir_fd=number, follow_symlinks=True)
            sync_folder(Path(self._folder))
        except FileExistsError:
            raise WrongStore(f"there is a key in {path} already") from None
        except OSError as error:
            raise StoreGone(f"no key can be written to {path}: {error.strerror}") from error
        return FileKey(path, self._passphrase)

    def delete(self, slot: str) -> None:
        try:
            Path(self._path(slot)).unlink(missing_ok=True)
        except OSError as error:
            raise StoreGone(f"{self._path(slot)} cannot be deleted: {error.strerror}") from error


def _new_key(algorithm: str, passphrase: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    family, _, size = algorithm.partition("-")
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if family == "rsa":
        private = rsa.generate_private_key(65537, int(size))
    else:
        private = ec.generate_private_key(ec.SECP256R1() if size == "p256" else ec.SECP384R1())
    shield = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, shield)
