"""Keys, certificates and passwords for Secure DICOM files, from files (PEM or DER).

Nothing here is kept: a secret is read when it is needed, in the process that needs it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.configuration.secrets import Secret
from agent.errors import ConfigurationError
from agent.security.cms import CLAUSE

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_PEM_LIST = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)
_LARGEST = 4 << 20


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A private key, and the passphrase it may have."""

    path: str
    passphrase: Secret = Secret()  # noqa: RUF009 (it is frozen)


def private_key(file: KeyFile) -> Any:
    """The RSA key of a file. Raises ConfigurationError."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import (
        load_der_private_key,
        load_pem_private_key,
    )

    data = _contents(file.path)
    load = load_pem_private_key if b"-----BEGIN" in data else load_der_private_key
    try:
        key = load(data, file.passphrase.read() or None)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{file.path} holds no private key that can be read",
            value=file.path,
            way_out="Use a PEM file with an RSA key, and give its passphrase if it has one.",
        ) from error
    if not isinstance(key, RSAPrivateKey):
        raise _not_rsa(file.path)
    return key


def certificates(path: str) -> list[Any]:
    """The certificates of a file, or of all files in a folder. Raises ConfigurationError."""
    if Path(path).is_dir():
        return [found for file in _files_in(path) for found in _certificates_of(file)]
    found = _certificates_of(path)
    if not found:
        raise ConfigurationError(
            f"{path} holds no certificate", value=path, way_out="Use a PEM or DER file."
        )
    return found


def revocation_lists(path: str) -> list[Any]:
    """The certificate revocation lists of a file, or of all files in a folder.

    Raises ConfigurationError.
    """
    from cryptography.x509 import load_der_x509_crl, load_pem_x509_crl

    files = list(_files_in(path)) if Path(path).is_dir() else [path]
    found: list[Any] = []
    for each in files:
        data = _contents(each)
        try:
            if b"-----BEGIN" in data:
                found += [load_pem_x509_crl(list_) for list_ in _PEM_LIST.findall(data)]
            else:
                found.append(load_der_x509_crl(data))
        except ValueError as error:
            raise ConfigurationError(
                f"{each} holds no certificate revocation list that can be read",
                value=each,
                way_out="Use a PEM or DER file.",
            ) from error
    return found


def recipient_certificate(path: str) -> Any:
    """The first certificate of a file, which must have an RSA key. Raises ConfigurationError."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    certificate = certificates(path)[0]
    if not isinstance(certificate.public_key(), RSAPublicKey):
        raise _not_rsa(path)
    return certificate


def password_of(secret: Secret) -> bytes:
    """The password. Raises ConfigurationError for one outside of ISO IR 6 (PS3.15 D.1.1)."""
    password = secret.read()
    if not password or any(not 0x20 <= octet <= 0x7E for octet in password):
        raise ConfigurationError(
            "the password has characters that a Secure DICOM file may not have, or none at all",
            clause=CLAUSE,
            way_out="Use letters, digits and signs of ASCII only.",
        )
    return password


def _files_in(folder: str) -> Iterator[str]:
    for each in sorted(Path(folder).iterdir()):
        if each.is_file():
            yield str(each)


def _certificates_of(path: str) -> list[Any]:
    from cryptography.x509 import load_der_x509_certificate, load_pem_x509_certificate

    data = _contents(path)
    try:
        if b"-----BEGIN" in data:
            return [load_pem_x509_certificate(each) for each in _PEM.findall(data)]
        return [load_der_x509_certificate(data)]
    except ValueError as error:
        raise ConfigurationError(
            f"{path} holds no certificate that can be read",
            value=path,
            way_out="Use a PEM or DER file.",
        ) from error


def _contents(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(_LARGEST)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}",
            value=path,
            way_out="Check that the file is there and that it may be read.",
        ) from error


def _not_rsa(path: str) -> ConfigurationError:
    return ConfigurationError(
        f"the key of {path} is no RSA key",
        clause=CLAUSE,
        value=path,
        way_out="Use an RSA key.",
    )
