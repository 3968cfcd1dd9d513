"""Signed updates: a bundle for RAUC, and the authority whose signature a card accepts.

A card trusts the certificates in its own keyring, which is part of the root: who wants to hand on
the right to sign puts the next certificate into an update. A test authority is made on the spot;
a product's key is made elsewhere, kept offline, and given by name.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from image.boards import Board
from image.foreign_debian import ForeignDebianError, do

HOST_PROGRAMS = {"rauc": "rauc", "openssl": "openssl"}

_EXTENSIONS = """\
[req]
distinguished_name = name
x509_extensions = signer
prompt = no
[name]
CN = {name}
[signer]
basicConstraints = critical, CA:true
keyUsage = critical, digitalSignature, keyCertSign
extendedKeyUsage = codeSigning
subjectKeyIdentifier = hash
"""


class Signer(NamedTuple):
    """Who signs: files in PEM; the certificate is also what cards trust."""

    key: Path
    certificate: Path


def test_authority(folder: Path, name: str = "Gantry test builds") -> Signer:
    """A key and its own certificate (P-256, ten years) in `folder`; those that are there stay.

    For tests and trials: who has this folder can install anything on the cards made with it.
    """
    signer = Signer(folder / "signing.key", folder / "signing.pem")
    if signer.key.exists() and signer.certificate.exists():
        return signer
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "signing.cnf"
    settings.write_text(_EXTENSIONS.format(name=name))
    do(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "3650", "-config", settings),
            *("-keyout", signer.key, "-out", signer.certificate),
        ]
    )
    signer.key.chmod(0o600)
    return signer


def write_bundle(
    board: Board, root: Path, signer: Signer, version: str, work: Path, target: Path
) -> None:
    """The squashfs `root` as a bundle of format "verity", signed. Raises ForeignDebianError.

    "verity": the box checks each block as it reads it, and needs no copy of the bundle.
    """
    for each in signer:
        if not each.is_file():
            raise ForeignDebianError(f"There is no {each} to sign the update with")
    content = work / "bundle"
    shutil.rmtree(content, ignore_errors=True)
    content.mkdir()
    (content / "root.squashfs").hardlink_to(root)
    (content / "manifest.raucm").write_text(
        f"[update]\ncompatible={compatible(board)}\nversion={version}\n\n"
        "[bundle]\nformat=verity\n\n"
        "[image.root]\nfilename=root.squashfs\n"
    )
    target.unlink(missing_ok=True)
    do(
        [
            *("rauc", "bundle", f"--key={signer.key}", f"--cert={signer.certificate}"),
            *(content, target),
        ]
    )


def compatible(board: Board) -> str:
    """The name by which RAUC refuses the bundle of another machine."""
    return f"gantry-{board.debian}"
