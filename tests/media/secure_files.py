"""Keys, a DICOM file and short ways to secure and to open, for the tests of Secure DICOM files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from agent.configuration.secrets import Secret
from agent.media.envelope import Envelope, Protection
from agent.media.opening import Keys
from agent.media.secure_file import SecureFiles
from agent.security.cms import CIPHERS
from agent.security.credentials import KeyFile, recipient_certificate
from agent.security.enveloped_data import enveloped
from agent.security.recipients import CertificateRecipient
from tests.peers.certificates import Authority, Credentials

PASSWORD = "open, Sesame 7!"


@dataclass(frozen=True)
class Ring:
    """An authority with a signer and two who receive; another authority with its signer; and the
    file of a password."""

    authority: Path
    signer: Credentials
    first: Credentials
    second: Credentials
    stranger: Credentials
    password: Path

    def keys(self, own: Credentials | None = None, **more: object) -> Keys:
        """Those of one who receives, trusting the authority."""
        mine = (KeyFile(str((own or self.first).key)),)
        return Keys(mine, trust=(str(self.authority),), **more)  # type: ignore[arg-type]

    def password_keys(self) -> Keys:
        """Those of one who knows the password, trusting the authority."""
        return Keys((), (Secret(file=str(self.password)),), (str(self.authority),))

    def protection(self, *, sign: bool = False, **more: object) -> Protection:
        """For both who receive; a quick derivation where there is a password too."""
        fields: dict[str, object] = {
            "recipients": (str(self.first.certificate), str(self.second.certificate)),
            "iterations": 1000,
        }
        if sign:
            fields["signing_key"] = KeyFile(str(self.signer.key))
            fields["signing_certificate"] = str(self.signer.certificate)
        return Protection(**(fields | more))  # type: ignore[arg-type]


def make_ring(folder: Path) -> Ring:
    """All of them, in `folder`."""
    authority, other = Authority("radiology"), Authority("elsewhere")
    file = folder / "authority.pem"
    file.write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    password = folder / "password"
    password.write_text(f"{PASSWORD}\n")
    return Ring(
        file,
        authority.issue(folder, "signer"),
        authority.issue(folder, "first"),
        authority.issue(folder, "second"),
        other.issue(folder, "stranger"),
        password,
    )


def secured(source: Path, out: Path, protection: Protection) -> Path:
    """A file, secured by us."""
    descriptor = os.open(source, os.O_RDONLY)
    try:
        with out.open("wb") as file:
            Envelope(protection).write(lambda piece: file.write(piece) and None, descriptor)
    finally:
        os.close(descriptor)
    return out


def opened(file: Path, keys: Keys) -> tuple[bytes, str]:
    """The plain file as we open it, and its signer. Raises StorageError."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        found = SecureFiles(keys).open(descriptor)
    finally:
        os.close(descriptor)
    try:
        return os.pread(found.descriptor, 1 << 26, 0), found.signer
    finally:
        os.close(found.descriptor)


def envelope_around(content: bytes, ring: Ring) -> bytes:
    """Whatever it is, encrypted as it should be: as one who has our certificate can do it."""
    recipient = CertificateRecipient(recipient_certificate(str(ring.first.certificate)))
    return enveloped(content, [recipient], CIPHERS["aes-128"])
