"""Keys of our own: opened in their store, and used by TLS where they are.

A key in a file is loaded by OpenSSL. One on a token or in a chip stays there: OpenSSL gets the
public key with methods of ours (RSA_METHOD, EC_KEY_METHOD) that have the store sign. So one way
serves every store and every version of TLS, and needs neither an engine nor a provider. A signature
takes as long as the hardware does, hundreds of milliseconds in a TPM, and blocks its process: the
node has it done by a process that ends TLS (`agent.network.tls_ending`).

Python's `ssl` has no way to hand in such a key (`agent.network.openssl_library`).
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from agent import observation
from agent.configuration.keys import NamedKey as Table
from agent.configuration.keys import certificate_file
from agent.errors import ConfigurationError, DeviceError
from agent.network.openssl_library import PRIVATE_ENCRYPT, SIGN, address_of, openssl
from hal.keys.base import SLOTS, Key, KeyRefused, KeyStore, KeyStoreError, NoSuchKey, open_driver
from hal.keys.named_key import NamedKey

if TYPE_CHECKING:
    import ssl

_RSA_PKCS1_PADDING, _RSA_NO_PADDING = 1, 3

_kept: list[object] = []
"""What OpenSSL calls must live as long as the process."""


def store_of(table: Table) -> KeyStore:
    """The store of a key, not opened yet. Raises DeviceError, ConfigurationError."""
    secret = table.secret.read() if table.secret else b""
    options: dict[str, Any]
    if table.store == "pkcs11":
        options = {"label": table.name, "module": table.module, "token": table.token, "pin": secret}
    elif table.store == "tpm":
        owner = table.owner_secret.read() if table.owner_secret else b""
        options = {"handle": table.handle, "device": table.device, "key_auth": secret}
        options["owner_auth"] = owner
    else:
        options = {"folder": table.folder, "passphrase": secret}
    try:
        return open_driver(table.store, **options)
    except KeyStoreError as error:
        raise unusable(table, error) from error


def named_key(table: Table) -> NamedKey:
    """The key with its certificate, for commands and workers. Raises as `store_of`."""
    return NamedKey(table.folder, store_of(table))


def unusable(table: Table, error: KeyStoreError) -> DeviceError:
    """The error of a store as one of ours."""
    return DeviceError(
        f"the key {table.name} cannot be used: {error}",
        value=table.name,
        way_out=f"'gantry keys list' shows keys; [[key]] {table.name} says where it is kept.",
    )


class OwnKey:
    """One key for TLS; the store of a token stays open while this lives.

    `failure` is why the last signature could not be made.
    """

    def __init__(self, table: Table, certificate: str = "") -> None:
        """`certificate` is a file with another certificate of the key than the one in use."""
        self._table = table
        self._certificate = certificate
        self._store: KeyStore | None = None
        self._refused: tuple[bytes, KeyStoreError] | None = None
        self.failure: KeyStoreError | None = None

    @property
    def certificate_file(self) -> str:
        return self._certificate or certificate_file(self._table)

    def load(self, context: ssl.SSLContext) -> None:
        """Certificate, chain and key into a context. Raises DeviceError, ConfigurationError."""
        secret = self._table.secret.read() if self._table.secret else b""
        if self._refused is not None and self._refused[0] == secret:
            # Not tried again: some wrong PINs lock a token for good.
            raise unusable(self._table, self._refused[1])
        self._refused = None
        if self._store is None:
            self._store = store_of(self._table)
        try:
            self._store.open()
            if not any(self._loaded(context, slot) for slot in SLOTS):
                raise ConfigurationError(
                    f"the key {self._table.name} has no certificate that can be used",
                    value=self.certificate_file,
                    way_out=f"Make one: gantry keys csr {self._table.name}; then install it.",
                )
        except KeyStoreError as error:
            if isinstance(error, KeyRefused):
                self._refused = secret, error
            self.close()
            raise unusable(self._table, error) from error
        finally:
            if self._table.store == "tpm":
                self.close()  # Others want to use the chip, and it needs no session.

    def close(self) -> None:
        """Let go of the token; it is opened again when it is wanted."""
        if self._store is not None:
            self._store.close()
            if self._table.store != "tpm":
                self._store = None

    def _loaded(self, context: ssl.SSLContext, slot: str) -> bool:
        """Whether the certificate is for the key in this slot; then both are in the context."""
        import ssl

        assert self._store is not None
        try:
            key = self._store.key(slot)
        except NoSuchKey:
            return False
        if not key.file:
            return self._attach(context, key)
        secret = self._table.secret.read() if self._table.secret else b""
        try:
            context.load_cert_chain(self.certificate_file, key.file, secret)
        except ssl.SSLError:
            return False
        except OSError:
            return False  # No certificate yet.
        return True

    def _attach(self, context: ssl.SSLContext, key: Key) -> bool:
        library = openssl()
        address = address_of(context, library)
        wrapped = self._wrap(library, key)
        try:
            file = self.certificate_file.encode()
            return bool(
                library.SSL_CTX_use_certificate_chain_file(address, file) == 1
                and library.SSL_CTX_use_PrivateKey(address, wrapped) == 1
            )
        finally:
            library.EVP_PKEY_free(wrapped)
            library.ERR_clear_error()

    def _wrap(self, library: Any, key: Key) -> int:
        """An EVP_PKEY with the public key, whose private operations are those of the store."""
        data = ctypes.c_char_p(key.public_key)
        public = library.d2i_PUBKEY(None, ctypes.byref(data), len(key.public_key))
        made: int = library.EVP_PKEY_new()
        callback: object
        if key.is_rsa:
            inner = library.EVP_PKEY_get1_RSA(public)
            method = library.RSA_meth_dup(library.RSA_get_default_method())
            callback = PRIVATE_ENCRYPT(self._rsa_operation(key))
            library.RSA_meth_set_priv_enc(method, callback)
            library.RSA_set_method(inner, method)
            library.EVP_PKEY_set1_RSA(made, inner)
            library.RSA_free(inner)
        else:
            inner = library.EVP_PKEY_get1_EC_KEY(public)
            method = library.EC_KEY_METHOD_new(library.EC_KEY_OpenSSL())
            callback = SIGN(self._curve_operation(key))
            library.EC_KEY_METHOD_set_sign(method, callback, None, None)
            library.EC_KEY_set_method(inner, method)
            library.EVP_PKEY_set1_EC_KEY(made, inner)
            library.EC_KEY_free(inner)
        library.EVP_PKEY_free(public)
        _kept.append(callback)
        return made

    def _rsa_operation(self, key: Key) -> Any:
        def operate(length: int, source: int, target: int, rsa: int, padding: int) -> int:
            if padding not in (_RSA_PKCS1_PADDING, _RSA_NO_PADDING):
                return -1
            block = ctypes.string_at(source, length)
            return self._put(target, lambda: key.sign_block(block, padded=padding != 1))

        return operate

    def _curve_operation(self, key: Key) -> Any:
        def operate(kind: int, digest: int, length: int, target: int, size: Any, *_: object) -> int:
            data = ctypes.string_at(digest, length)
            written = self._put(target, lambda: key.sign_digest(data))
            size[0] = max(0, written)
            return int(written > 0)

        return operate

    def _put(self, target: int, sign: Any) -> int:
        """Sign into memory of OpenSSL's, which has room for a signature; its length, or -1."""
        self.failure = None
        try:
            made: bytes = sign()
        except KeyStoreError as error:
            self.failure = error
            return -1
        except Exception as error:
            # Nothing may be raised through the frames of OpenSSL.
            observation.error(
                "signing failed", key=self._table.name, **observation.unforeseen(error)
            )
            return -1
        ctypes.memmove(target, made, len(made))
        return len(made)


_own: dict[Table, OwnKey] = {}


def own_key(table: Table) -> OwnKey:
    """The one of this process."""
    return _own.setdefault(table, OwnKey(table))
