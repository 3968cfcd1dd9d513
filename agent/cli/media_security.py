"""Secure DICOM files on the command line: keys to open them, recipients to write them for."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from agent.cli.exit_status import ExitStatus
from agent.configuration.secrets import Secret
from agent.dataset.whole_write import write_whole
from agent.errors import StorageError
from agent.media.envelope import Envelope, Protection
from agent.media.file_ids import open_file
from agent.media.opening import Keys, is_secure
from agent.media.secure_file import SecureFiles
from agent.security.cms import CIPHERS, DIGESTS
from agent.security.credentials import KeyFile

_BLOCK = 1 << 18


def add_key_options(parser: argparse.ArgumentParser) -> None:
    """With what files are opened."""
    keys = parser.add_argument_group("Secure DICOM files")
    keys.add_argument(
        "--key", metavar="FILE", action="append", default=[], help="a private RSA key (PEM)"
    )
    keys.add_argument("--passphrase-file", metavar="FILE", default="", help="of the private keys")
    _add_password(keys)
    keys.add_argument(
        "--trust",
        metavar="FILE",
        action="append",
        default=[],
        help="certificates of signers, or of authorities that vouch for them",
    )
    keys.add_argument(
        "--any-signer", action="store_true", help="signatures of anybody count, if they are right"
    )


def add_protection_options(parser: argparse.ArgumentParser) -> None:
    """For whom files are secured, and how."""
    protection = parser.add_argument_group("Secure DICOM files")
    protection.add_argument(
        "--recipient",
        metavar="CERT",
        action="append",
        default=[],
        help="certificate of one who may open them; may be given again",
    )
    _add_password(protection)
    protection.add_argument(
        "--sign", nargs=2, metavar=("KEY", "CERT"), help="sign them with this key"
    )
    protection.add_argument(
        "--sign-passphrase-file", metavar="FILE", default="", help="of the key that signs"
    )
    protection.add_argument(
        "--cipher",
        choices=[each for each in CIPHERS if each != "triple-des"],
        default="aes-256",
        help="(default %(default)s)",
    )
    protection.add_argument(
        "--digest", choices=list(DIGESTS), default="sha256", help="(default %(default)s)"
    )


def _add_password(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--password-file", metavar="FILE", action="append", default=[], help="with a password"
    )


def keys_from(options: argparse.Namespace) -> Keys:
    """What `add_key_options` got."""
    passphrase = Secret(file=options.passphrase_file)
    return Keys(
        tuple(KeyFile(each, passphrase) for each in options.key),
        tuple(Secret(file=each) for each in options.password_file),
        tuple(options.trust),
        options.any_signer,
    )


def envelope_from(options: argparse.Namespace) -> Envelope | None:
    """What `add_protection_options` got; None where nothing is to be secured."""
    if not (options.recipient or options.password_file or options.sign):
        return None
    key, certificate = options.sign or ("", "")
    return Envelope(
        Protection(
            tuple(options.recipient),
            tuple(Secret(file=each) for each in options.password_file),
            KeyFile(key, Secret(file=options.sign_passphrase_file)) if key else None,
            certificate,
            options.cipher,
            options.digest,
        )
    )


def open_one(options: argparse.Namespace) -> int:
    """`gantry media open FILE OUT`. Raises StorageError."""
    source = _source(options.file)
    try:
        if not is_secure(source):
            raise StorageError(f"{options.file} is no Secure DICOM file.", clause="PS3.10 7.4")
        opened = SecureFiles(keys_from(options)).open(source)
    finally:
        os.close(source)
    try:
        _write_new(options.out, lambda out: _copy(opened.descriptor, out))
    finally:
        os.close(opened.descriptor)
    if options.json:
        print(json.dumps({"file": str(options.out), "signer": opened.signer}))
    else:
        print(f"signed by {opened.signer}" if opened.signer else "whole; nobody has signed it")
    return ExitStatus.DONE


def secure_one(options: argparse.Namespace) -> int:
    """`gantry media secure FILE OUT`. Raises StorageError, ConfigurationError."""
    envelope = envelope_from(options) or Envelope(Protection())
    source = _source(options.file)
    try:
        if os.pread(source, 132, 0)[128:] != b"DICM":
            raise StorageError(
                f"{options.file} is no DICOM file.",
                clause="PS3.10 7.4",
                way_out="Name a Part 10 file: nothing else may be in a Secure DICOM file.",
            )
        _write_new(options.out, lambda out: envelope.write(partial(write_whole, out), source))
    finally:
        os.close(source)
    if options.json:
        print(json.dumps({"file": str(options.out)}))
    return ExitStatus.DONE


def _source(path: Path) -> int:
    try:
        return open_file(path)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}.", value=error.errno) from error


def _copy(source: int, out: int) -> None:
    position = 0
    while piece := os.pread(source, _BLOCK, position):
        write_whole(out, piece)
        position += len(piece)


def _write_new(path: Path, write: Callable[[int], None]) -> None:
    """Write a file that is not there yet; of one that cannot be written whole, nothing is left."""
    try:
        out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}.", value=error.errno) from error
    try:
        write(out)
        os.fsync(out)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise StorageError(f"{path}: {error.strerror}.", value=error.errno) from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(out)
