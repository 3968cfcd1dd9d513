"""Signing what a capture device has made, in its worker (PS3.15 C.2)."""

from __future__ import annotations

from agent.archive import failure
from agent.security.credentials import KeyFile
from agent.security.signature_creation import SigningOrder, sign_file
from agent.security.signature_keys import FileSigner, Signer
from agent.security.signature_profiles import PROFILES
from agent.security.signature_terms import SOURCE_SIGNATURE
from agent.workflow.capture_settings import CaptureSigning


def creator_of(signing: CaptureSigning) -> Signer:
    """Who signs. Raises ConfigurationError where key and certificate cannot be used."""
    return FileSigner(KeyFile(signing.key, signing.passphrase), signing.certificate)


def sign(plain: int, signed: int, creator: Signer, mac_algorithm: str) -> None:
    """Copy the object of one open file into another, signed by its creator.

    Raises StorageError where there is no room.
    """
    order = SigningOrder(PROFILES["creator"], mac_algorithm=mac_algorithm, purpose=SOURCE_SIGNATURE)
    try:
        sign_file(plain, signed, order, creator)
    except OSError as error:
        raise failure.of_system(error, "sign the object") from error
