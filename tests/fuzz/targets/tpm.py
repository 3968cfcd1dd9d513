"""What a chip answers, or somebody on the wires to it (TPM 2.0 Library, part 3)."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator

from hal.keys import tpm_commands
from hal.keys.base import KeyStoreError
from tests.fuzz.target import Target


def run(data: bytes) -> None:
    """Every answer read as each of those that we ask for; only errors of keys come out."""
    with contextlib.suppress(KeyStoreError):
        code = tpm_commands.answered(data)
        if code:
            raise tpm_commands.failure(code)
    for read in (tpm_commands.public_of, tpm_commands.handle_of, tpm_commands.signature_of):
        with contextlib.suppress(KeyStoreError):
            read(data)


def seeds() -> Iterator[bytes]:
    """The public areas of an RSA key and of one on a curve, a handle, and failures."""
    rsa = struct.pack(">HHIHHHHIH", 1, 0x0B, 0x40072, 0, 0x10, 0x10, 2048, 0, 256) + b"\xff" * 256
    curve = struct.pack(">HHIHHHHHH", 0x23, 0x0B, 0x40072, 0, 0x10, 0x10, 3, 0x10, 32)
    curve += bytes(32) + struct.pack(">H", 32) + bytes(32)
    for area in (rsa, curve):
        body = struct.pack(">H", len(area)) + area
        yield struct.pack(">HII", 0x8001, 10 + len(body), 0) + body
    yield struct.pack(">HIII", 0x8001, 14, 0, 0x80000001)
    for code in (0x98E, 0x921, 0x18B, 0x922, 0x100):
        yield struct.pack(">HII", 0x8001, 10, code)


TARGET = Target(run, seeds, longest=tpm_commands.LONGEST_ANSWER)
