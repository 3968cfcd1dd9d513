"""Objects with digital signatures, verified by nobody's trust (PS3.15 C, PS3.3 C.12.1.1.3)."""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Iterator
from pathlib import Path

from agent.configuration.signatures import Signatures
from agent.dataset.byte_source import FileBytes
from agent.dataset.file_meta import read_file_meta
from agent.security.signature_replacement import replacement
from agent.security.signature_verification import Trust, Verdict, verify
from agent.security.signed_evidence import unproved
from tests.fuzz.target import Target, dicom_files, hostile_files, open_bytes
from tests.security.signing import REPORT, holder, signed_by_us

_LONGEST_SEED = 1 << 14
_TRUST = Trust()
_MOMENT = datetime.datetime(2030, 1, 1)


def run(data: bytes) -> None:
    """Nobody is trusted, so nothing can be valid."""
    with open_bytes(data) as descriptor:
        meta = read_file_meta(descriptor)
        source = FileBytes(descriptor, meta.data_set_offset)
        for each in verify(source, meta.transfer_syntax_uid, _TRUST, _MOMENT):
            assert each.verdict is not Verdict.VALID
        unproved(source, meta.encoding_uid)
        assert not replacement(
            source, meta.encoding_uid, source, meta.encoding_uid, (), Signatures(replace=True)
        )


def seeds() -> Iterator[bytes]:
    """A report signed by us, and what has no signature."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        signed_by_us(REPORT, folder / "signed", holder(folder, "signer"))
        yield (folder / "signed").read_bytes()
    yield from dicom_files(_LONGEST_SEED)
    yield from hostile_files(_LONGEST_SEED)


TARGET = Target(run, seeds, seconds=2.0)
