"""The commands of a TPM 2.0 that a store of keys needs, as bytes (TPM 2.0 Library, parts 2 and 3).

Sans I/O: a command is made here, carried to the chip by somebody else, and its answer read here.
Authorization is by password (part 1, 19.4): the chip is on the board, and the kernel its only way.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from hal.keys.base import KeyRefused, KeyStoreError, NoSuchKey, StoreGone, WrongStore
from hal.keys.public_key import CURVES, ec_public_key, rsa_public_key

OWNER = 0x40000001
_NULL_HIERARCHY = 0x40000007
_PASSWORD_SESSION = 0x40000009
_NO_SESSIONS, _SESSIONS = 0x8001, 0x8002
_CREATE_PRIMARY, _EVICT_CONTROL, _FLUSH_CONTEXT = 0x131, 0x120, 0x165
_READ_PUBLIC, _SIGN, _RSA_DECRYPT = 0x173, 0x15D, 0x159
_RSA, _NULL, _SHA256, _SHA384, _SHA512 = 0x0001, 0x0010, 0x000B, 0x000C, 0x000D
_ECDSA, _ECC, _HASHCHECK = 0x0018, 0x0023, 0x8024
_CURVES = {"ec-p256": 0x0003, "ec-p384": 0x0004}
_HASHES = {32: _SHA256, 48: _SHA384, 64: _SHA512}
# fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, sign.
_SIGNING_KEY = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 18
_NO_DICTIONARY, _DECRYPT = 1 << 10, 1 << 17
_EXPONENT = 65537
LONGEST_ANSWER = 4096
AGAIN = frozenset((0x922, 0x908, 0x90A))
"""Answers that ask for the same command a little later: retry, yielded, testing."""

_HEADER = struct.Struct(">HII")


@dataclass(frozen=True, slots=True)
class PublicArea:
    """What a chip tells of a key."""

    public_key: bytes
    is_rsa: bool
    length: int
    """Bytes of the modulus, or of a coordinate."""


def _sized(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


def _command(code: int, handles: tuple[int, ...], auth: bytes | None, parameters: bytes) -> bytes:
    body = struct.pack(f">{len(handles)}I", *handles)
    tag = _NO_SESSIONS
    if auth is not None:
        tag = _SESSIONS
        # No nonce; the session goes on, as that of a password always does.
        area = struct.pack(">IHB", _PASSWORD_SESSION, 0, 1) + _sized(auth)
        body += struct.pack(">I", len(area)) + area
    body += parameters
    return _HEADER.pack(tag, _HEADER.size + len(body), code) + body


def create_primary(algorithm: str, unique: bytes, owner_auth: bytes, key_auth: bytes) -> bytes:
    """A key of the owner's hierarchy, made of its seed and `unique`: 32 random bytes.

    One of a curve signs digests. One of RSA does the bare private operation, by the command that
    decrypts: the PSS of many chips has a salt of the wrong length for TLS 1.3 (RFC 8446 4.2.3).
    A password is guarded against guessing; without one there is nothing to be guessed.
    """
    attributes = _SIGNING_KEY | (0 if key_auth else _NO_DICTIONARY)
    if algorithm in _CURVES:
        kind = _ECC
        detail = struct.pack(">HHHH", _NULL, _NULL, _CURVES[algorithm], _NULL)
        detail += _sized(unique) + _sized(b"")
    elif algorithm in ("rsa-2048", "rsa-3072", "rsa-4096"):
        kind = _RSA
        attributes |= _DECRYPT
        detail = struct.pack(">HHHI", _NULL, _NULL, int(algorithm[4:]), 0) + _sized(unique)
    else:
        raise WrongStore(f"a TPM makes no {algorithm}")
    public = struct.pack(">HHIH", kind, _SHA256, attributes, 0) + detail
    sensitive = _sized(_sized(key_auth) + _sized(b""))
    parameters = sensitive + _sized(public) + _sized(b"") + struct.pack(">I", 0)
    return _command(_CREATE_PRIMARY, (OWNER,), owner_auth, parameters)


def evict_control(handle: int, persistent: int, owner_auth: bytes) -> bytes:
    """Keep an object under a persistent handle; or forget it, where both are the same."""
    place = struct.pack(">I", persistent)
    return _command(_EVICT_CONTROL, (OWNER, handle), owner_auth, place)


def flush_context(handle: int) -> bytes:
    """Take an object out of the chip's memory."""
    return _command(_FLUSH_CONTEXT, (), None, struct.pack(">I", handle))


def read_public(handle: int) -> bytes:
    """Ask for the public area."""
    return _command(_READ_PUBLIC, (handle,), None, b"")


def sign(handle: int, digest: bytes, key_auth: bytes) -> bytes:
    """ECDSA of a digest that was made elsewhere."""
    if len(digest) not in _HASHES:
        raise WrongStore(f"a TPM signs no digest of {len(digest)} bytes")
    scheme = struct.pack(">HH", _ECDSA, _HASHES[len(digest)])
    ticket = struct.pack(">HIH", _HASHCHECK, _NULL_HIERARCHY, 0)
    return _command(_SIGN, (handle,), key_auth, _sized(digest) + scheme + ticket)


def rsa_decrypt(handle: int, block: bytes, key_auth: bytes) -> bytes:
    """The bare private operation of RSA on a block as long as the modulus."""
    parameters = _sized(block) + struct.pack(">H", _NULL) + _sized(b"")
    return _command(_RSA_DECRYPT, (handle,), key_auth, parameters)


def answered(answer: bytes) -> int:
    """The response code. Raises StoreGone for what is no answer."""
    if len(answer) < _HEADER.size:
        raise StoreGone("the TPM gave no answer")
    _, size, code = _HEADER.unpack_from(answer)
    if size != len(answer):
        raise StoreGone(f"the TPM gave {len(answer)} bytes where it said {size}")
    return int(code)


def failure(code: int) -> KeyStoreError:
    """What a response code other than success means (part 2, 6.6)."""
    if code & 0x80:
        base = code & 0xBF
        if base in (0x8E, 0xA2):
            return KeyRefused("the TPM does not accept the password")
        if base == 0x8B:
            return NoSuchKey("there is no key under this handle in the TPM")
        if base in (0x82, 0x83, 0x84, 0x86):
            return WrongStore(f"the TPM does not do this (code {code:#x})")
        return StoreGone(f"the TPM refuses with code {code:#x}")
    words: dict[int, KeyStoreError] = {
        0x921: KeyRefused("the TPM is locked after too many wrong passwords"),
        0x14C: WrongStore("there is a key under this handle in the TPM already"),
        0x148: WrongStore("the TPM has no room for another key"),
        0x14B: WrongStore("the TPM has no room for another key"),
        0x902: StoreGone("the TPM's memory is full of what other programs loaded"),
        0x100: StoreGone("the TPM has not been started up"),
    }
    return words.get(code) or StoreGone(f"the TPM failed with code {code:#x}")


def handle_of(answer: bytes) -> int:
    """The handle in the answer to create_primary. Raises StoreGone for one that is cut short."""
    return _Fields(answer[_HEADER.size :]).number(4)


class _Fields:
    """Reads the parameters of an answer."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def sized(self) -> bytes:
        return self.take(self.number(2))

    def take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) != size:
            raise StoreGone("the TPM's answer is cut short")
        self._at += size
        return taken


def public_of(answer: bytes) -> PublicArea:
    """The answer to read_public. Raises WrongStore for a key of another kind."""
    fields = _Fields(answer[_HEADER.size :])
    fields.number(2)
    kind = fields.number(2)
    fields.take(6)  # the hash of the name, attributes
    fields.sized()  # the policy
    if kind not in (_RSA, _ECC) or fields.number(2) != _NULL:
        raise WrongStore("the key under this handle in the TPM is none of ours")
    if fields.number(2) != _NULL:
        fields.number(2)  # the hash of a fixed scheme
    if kind == _RSA:
        length = fields.number(2) // 8
        exponent = fields.number(4) or _EXPONENT
        modulus = int.from_bytes(fields.sized(), "big")
        return PublicArea(rsa_public_key(modulus, exponent), True, length)
    curve = {number: name for name, number in _CURVES.items()}.get(fields.number(2))
    if curve is None:
        raise WrongStore("the key under this handle in the TPM has a curve that we do not know")
    if fields.number(2) != _NULL:
        fields.number(2)
    length = {"ec-p256": 32, "ec-p384": 48}[curve]
    x, y = (fields.sized().rjust(length, b"\0") for _ in range(2))
    return PublicArea(ec_public_key(CURVES[curve], b"\4" + x + y), False, length)


def signature_of(answer: bytes) -> tuple[bytes, bytes]:
    """The answer to sign: the two numbers of ECDSA."""
    fields = _Fields(answer[_HEADER.size + 4 :])
    fields.take(4)  # the scheme and its hash
    return fields.sized(), fields.sized()


def message_of(answer: bytes) -> bytes:
    """The answer to rsa_decrypt."""
    return _Fields(answer[_HEADER.size + 4 :]).sized()
