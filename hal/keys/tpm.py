"""Keys in a TPM 2.0: made in the chip, kept under persistent handles, used there.

Talks to the chip itself through the kernel's resource manager (`/dev/tpmrm0`): no daemon and no
library is between. The name of a device may also be unix:PATH or tcp:HOST:PORT, where a simulated
chip listens for bare commands.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import time

from hal.keys import tpm_commands
from hal.keys.base import Key, KeyStore, KeyStoreError, NoSuchKey, StoreGone, WrongStore
from hal.keys.public_key import ecdsa_signature
from hal.keys.tpm_commands import PublicArea

DEFAULT_DEVICE = "/dev/tpmrm0"
_TRIES, _PAUSE = 50, 0.1
_SECONDS = 300.0
"""The longest that a chip may take: for a large RSA key some take minutes."""
# Where the owner keeps keys, and not the maker of the platform (TCG registry of handles).
_LOWEST, _HIGHEST = 0x81000000, 0x817FFFFE


class _Device:
    """The character device of the kernel."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def exchange(self, command: bytes) -> bytes:
        os.write(self._descriptor, command)
        return os.read(self._descriptor, tpm_commands.LONGEST_ANSWER)

    def close(self) -> None:
        os.close(self._descriptor)


class _Socket:
    """A simulated chip."""

    def __init__(self, family: int, address: str | tuple[str, int]) -> None:
        self._end = socket.socket(family, socket.SOCK_STREAM)
        self._end.settimeout(_SECONDS)
        try:
            self._end.connect(address)
        except OSError:
            self._end.close()
            raise

    def exchange(self, command: bytes) -> bytes:
        self._end.sendall(command)
        answer = b""
        while len(answer) < 10 or len(answer) < int.from_bytes(answer[2:6], "big"):
            if not (more := self._end.recv(tpm_commands.LONGEST_ANSWER)):
                raise ConnectionResetError("it closed the connection")
            answer += more
        return answer

    def close(self) -> None:
        self._end.close()


def _opened(device: str) -> _Device | _Socket:
    kind, _, rest = device.partition(":")
    if kind == "unix":
        return _Socket(socket.AF_UNIX, rest)
    if kind == "tcp":
        host, _, port = rest.rpartition(":")
        return _Socket(socket.AF_INET, (host, int(port)))
    return _Device(device)


class ChipKey(Key):
    """A key under a persistent handle."""

    def __init__(self, store: ChipStore, handle: int, area: PublicArea) -> None:
        self._store = store
        self._handle = handle
        self._area = area

    @property
    def public_key(self) -> bytes:
        return self._area.public_key

    @property
    def is_rsa(self) -> bool:
        return self._area.is_rsa

    def sign_digest(self, digest: bytes) -> bytes:
        command = tpm_commands.sign(self._handle, digest, self._store.key_auth)
        r, s = tpm_commands.signature_of(self._store.ask(command))
        return ecdsa_signature(r, s)

    def sign_block(self, block: bytes, *, padded: bool) -> bytes:
        length = self._area.length
        if not padded:
            block = b"\0\1" + b"\xff" * (length - 3 - len(block)) + b"\0" + block
        command = tpm_commands.rsa_decrypt(self._handle, block, self._store.key_auth)
        return tpm_commands.message_of(self._store.ask(command)).rjust(length, b"\0")


class ChipStore(KeyStore):
    """Keys under `handle` and the handle after it.

    `owner_auth` is the password of the owner's hierarchy, which making and deleting a key needs;
    `key_auth` that of the keys.
    """

    def __init__(
        self,
        handle: int,
        device: str = DEFAULT_DEVICE,
        key_auth: bytes = b"",
        owner_auth: bytes = b"",
    ) -> None:
        if not _LOWEST <= handle <= _HIGHEST:
            raise WrongStore(f"{handle:#x} is no handle of an owner: {_LOWEST:#x} to {_HIGHEST:#x}")
        self.key_auth = key_auth
        self._owner_auth = owner_auth
        self._handles = {"a": handle, "b": handle + 1}
        self._device = device
        self._way: _Device | _Socket | None = None

    def open(self) -> None:
        if self._way is None:
            try:
                self._way = _opened(self._device)
            except (OSError, ValueError) as error:
                words = error.strerror if isinstance(error, OSError) else error
                raise StoreGone(f"the TPM {self._device} cannot be opened: {words}") from error

    def close(self) -> None:
        if self._way is not None:
            with contextlib.suppress(OSError):
                self._way.close()
            self._way = None

    def ask(self, command: bytes) -> bytes:
        """The answer to a command. Raises KeyStoreError for what is no success.

        The chip is let go afterwards unless it was opened before: others want to use it too.
        """
        held = self._way is not None
        try:
            self.open()
            return self._asked(command)
        finally:
            if not held:
                self.close()

    def _asked(self, command: bytes) -> bytes:
        for _ in range(_TRIES):
            assert self._way is not None
            try:
                answer = self._way.exchange(command)
            except OSError as error:
                raise StoreGone(f"the TPM {self._device} does not answer: {error}") from error
            code = tpm_commands.answered(answer)
            if not code:
                return answer
            if code not in tpm_commands.AGAIN:
                raise tpm_commands.failure(code)
            time.sleep(_PAUSE)
        raise StoreGone(f"the TPM {self._device} is busy")

    def key(self, slot: str) -> Key:
        handle = self._handles[slot]
        try:
            area = tpm_commands.public_of(self.ask(tpm_commands.read_public(handle)))
        except NoSuchKey:
            raise NoSuchKey(f"there is no key under {handle:#x} in the TPM") from None
        return ChipKey(self, handle, area)

    def create(self, slot: str, algorithm: str) -> Key:
        if self._way is None:
            # What is not persistent yet lives only as long as the way to the chip.
            with self:
                return self.create(slot, algorithm)
        persistent = self._handles[slot]
        with contextlib.suppress(NoSuchKey):
            self.key(slot)
            raise WrongStore(f"there is a key under {persistent:#x} in the TPM already")
        command = tpm_commands.create_primary(
            algorithm, secrets.token_bytes(32), self._owner_auth, self.key_auth
        )
        handle = tpm_commands.handle_of(self.ask(command))
        try:
            self.ask(tpm_commands.evict_control(handle, persistent, self._owner_auth))
        finally:
            with contextlib.suppress(KeyStoreError):
                self.ask(tpm_commands.flush_context(handle))
        return self.key(slot)

    def delete(self, slot: str) -> None:
        handle = self._handles[slot]
        try:
            self.key(slot)
        except NoSuchKey:
            return
        self.ask(tpm_commands.evict_control(handle, handle, self._owner_auth))
