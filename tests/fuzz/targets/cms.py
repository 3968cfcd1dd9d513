"""Cryptographic Message Syntax: Secure DICOM files, S/MIME, encrypted attributes (PS3.15 D, E)."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from agent.media.secure_file import Opened, SecureFiles
from agent.security.credentials import private_key
from agent.security.der import Reader
from agent.security.enveloped_data import opened
from tests.fuzz.target import Target, open_bytes
from tests.media.instances import instance, save
from tests.media.secure_files import Ring, envelope_around, make_ring, secured
from tests.peers.openssl import digested, signed


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="fuzz"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def _ring() -> Ring:
    return make_ring(_folder())


@cache
def _files() -> SecureFiles:
    return SecureFiles(_ring().keys(folder=str(_folder())))


def run(data: bytes) -> None:
    """The first byte chooses who reads it, and whether it is encrypted for us first."""
    if not data:
        return
    way, content = data[0] % 5, data[1:]
    if way == 4:
        _walk(content)
        return
    if way in (1, 3):
        content = envelope_around(content, _ring())
    if way == 2:
        opened(content, [private_key(each) for each in _ring().keys().private_keys], bool)
        return
    with open_bytes(content) as source:
        _let_go(_files().open_mail(source) if way == 3 else _files().open(source))


def _let_go(found: Opened) -> None:
    os.close(found.descriptor)


def _walk(content: bytes) -> None:
    """Every element of any BER, by the reader alone, cut into small pieces."""
    pieces = [content[start : start + 5] for start in range(0, len(content), 5)]
    reader = Reader(pieces, "the input")
    depth = 0
    while True:
        tag = reader.next_tag()
        if tag is None:
            if not depth:
                return
            reader.leave()
            depth -= 1
        elif tag & 0x20:
            reader.enter(tag)
            depth += 1
        elif tag == 0x02:
            reader.integer()
        elif tag == 0x06:
            reader.object_identifier()
        elif tag == 0x04:
            reader.octet_string(4096)
        else:
            reader.whole(4096)


def seeds() -> Iterator[bytes]:
    """Files that were digested and signed, by us and by OpenSSL, whole and what is in them."""
    ring, folder = _ring(), _folder()
    plain = save(instance(1), folder / "plain.dcm")
    inner = (
        digested(plain, folder / "digested").read_bytes(),
        signed(plain, folder / "signed", ring.signer).read_bytes(),
    )
    for sign in (False, True):
        whole = secured(plain, folder / "whole", ring.protection(sign=sign)).read_bytes()
        yield b"\x00" + whole
        yield b"\x02" + whole
        yield b"\x04" + whole
    for each in inner:
        yield b"\x01" + each
        yield b"\x03" + each
        yield b"\x04" + each


TARGET = Target(run, seeds, seconds=1.0, longest=1 << 14)
