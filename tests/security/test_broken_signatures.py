"""What becomes of signatures where an object is changed: those that it breaks go, others stay."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest

from agent.archive import rewriting
from agent.codecs.codec import EncodeSettings
from agent.dataset import tags
from agent.dataset.broken_signatures import pieces, without_broken_signatures
from agent.dataset.byte_source import FileBytes, MemoryBytes
from agent.dataset.file_meta import FileMeta, read_file_meta
from agent.dataset.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    JPEG_LS_LOSSLESS,
    RLE_LOSSLESS,
    encoding_of,
)
from agent.objects.transcoded_file import transcode_file
from agent.security.signature_profiles import PROFILES
from agent.security.signature_terms import Verdict
from tests.cli_of import gantry
from tests.security.signing import CT, SAMPLES, Signers, make_signers, signed_by_us, trust, verified

_RECORD = rewriting.ChangeRecord(rewriting.COERCE, "TEST", "PEER", "20260101120000")


@pytest.fixture(scope="module")
def signers(tmp_path_factory: pytest.TempPathFactory) -> Signers:
    return make_signers(tmp_path_factory.mktemp("signers"))


@pytest.fixture(scope="module")
def signed(signers: Signers) -> Path:
    """Signed over everything, over Rows, and by its creator, in this order."""
    folder = signers.folder
    files = [folder / f"{number}.dcm" for number in range(3)]
    signed_by_us(CT, files[0], signers.signer)
    signed_by_us(files[0], files[1], signers.signer, elements=(tags.ROWS,))
    signed_by_us(files[1], files[2], signers.signer, profile=PROFILES["creator"])
    return files[2]


@contextmanager
def opened(file: Path) -> Iterator[tuple[int, FileMeta]]:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        yield descriptor, read_file_meta(descriptor)
    finally:
        os.close(descriptor)


def transcoded(source: Path, target: Path, syntax: str) -> Path:
    with source.open("rb") as read, target.open("wb") as written:
        transcode_file(
            read.fileno(),
            written.fileno(),
            syntax,
            EncodeSettings(),
            implementation=("1.2.3", "TEST"),
        )
    return target


def verdicts(file: Path, signers: Signers) -> list[tuple[Verdict, int]]:
    """Of each signature, and over how many attributes it is."""
    return [(each.verdict, each.elements) for each in verified(file, trust(signers.root))]


def elements_of(signed: Path, signers: Signers) -> list[int]:
    return [each.elements for each in verified(signed, trust(signers.root))]


def test_a_coerced_patient_leaves_the_creator_s_signature(
    signed: Path, signers: Signers, tmp_path: Path
) -> None:
    made = tmp_path / "a.dcm"
    with opened(signed) as (descriptor, meta), made.open("wb") as out:
        out.write(os.pread(descriptor, meta.data_set_offset, 0))
        changes = {tags.PATIENT_ID: b"4711"}
        rewriting.write_changed(out.write, descriptor, meta, changes, _RECORD)  # type: ignore[arg-type]
    _, rows, creator = elements_of(signed, signers)
    assert verdicts(made, signers) == [(Verdict.VALID, rows), (Verdict.VALID, creator)]
    after = pydicom.dcmread(made)
    assert after.PatientID == "4711"
    assert [each.MACIDNumber for each in after.MACParametersSequence] == [1, 2]


def test_a_coerced_row_count_leaves_none(signed: Path, signers: Signers, tmp_path: Path) -> None:
    made = tmp_path / "a.dcm"
    with opened(signed) as (descriptor, meta), made.open("wb") as out:
        out.write(os.pread(descriptor, meta.data_set_offset, 0))
        changes = {tags.ROWS: b"\x40\0"}
        rewriting.write_changed(out.write, descriptor, meta, changes, _RECORD)  # type: ignore[arg-type]
    after = pydicom.dcmread(made)
    assert "DigitalSignaturesSequence" not in after
    assert "MACParametersSequence" not in after
    assert after.PixelData == pydicom.dcmread(signed).PixelData


@pytest.mark.parametrize("syntax", [RLE_LOSSLESS, JPEG_LS_LOSSLESS])
def test_compression_leaves_what_is_not_over_pixels(
    syntax: str, signed: Path, signers: Signers, tmp_path: Path
) -> None:
    made = transcoded(signed, tmp_path / "a.dcm", syntax)
    assert verdicts(made, signers) == [(Verdict.VALID, 1)]


def test_decompression_leaves_what_is_not_over_pixels(signers: Signers, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.dcm" for number in range(3)]
    signed_by_us(SAMPLES / "SC_rgb_rle_2frame.dcm", files[0], signers.signer)
    signed_by_us(files[0], files[1], signers.signer, elements=(tags.PATIENT_ID,))
    made = transcoded(files[1], files[2], EXPLICIT_VR_LITTLE_ENDIAN)
    assert verdicts(made, signers) == [(Verdict.VALID, 1)]


@pytest.mark.parametrize("syntax", [EXPLICIT_VR_BIG_ENDIAN, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN])
def test_native_encodings_keep_every_signature(
    syntax: str, signed: Path, signers: Signers, tmp_path: Path
) -> None:
    made = transcoded(signed, tmp_path / "a.dcm", syntax)
    assert [verdict for verdict, _ in verdicts(made, signers)] == [Verdict.VALID] * 3
    deflated = transcoded(made, tmp_path / "b.dcm", RLE_LOSSLESS)
    assert verdicts(deflated, signers) == [(Verdict.VALID, 1)]


def test_implicit_vr_keeps_what_is_over_known_attributes(
    signed: Path, signers: Signers, tmp_path: Path
) -> None:
    made = transcoded(signed, tmp_path / "a.dcm", IMPLICIT_VR_LITTLE_ENDIAN)
    assert [verdict for verdict, _ in verdicts(made, signers)] == [
        Verdict.UNKNOWN,  # Over private attributes, too.
        Verdict.VALID,
        Verdict.VALID,
    ]


@pytest.mark.parametrize("changed", [(tags.PATIENT_ID,), (tags.ROWS,), (0x00189999,), ()])
def test_the_pieces_are_the_source(changed: tuple[int, ...], signed: Path) -> None:
    with opened(signed) as (descriptor, meta):
        data = FileBytes(descriptor, meta.data_set_offset)
        source = without_broken_signatures(data, meta.encoding, changed)
        whole = _read(source, 0)
        assert (len(whole) < len(_read(data, 0))) == (changed in ((tags.PATIENT_ID,), (tags.ROWS,)))
        for position in (0, 1, 1000, len(whole) - 5, len(whole)):
            told = b""
            for piece in pieces(source, position):
                if isinstance(piece, bytes):
                    told += piece
                else:
                    start, end = piece
                    told += _read(data, start)[: None if end is None else end - start]
            assert told == whole[position:]


def _read(source: object, position: int) -> bytes:
    data = b""
    while piece := source.read(position + len(data), 4097):  # type: ignore[attr-defined]
        data += piece
    return data


def test_what_cannot_be_parsed_is_left_alone(signed: Path) -> None:
    content = signed.read_bytes()[:-7]
    source = MemoryBytes(content)
    assert without_broken_signatures(source, encoding_of(EXPLICIT_VR_LITTLE_ENDIAN), {1}) is source


def test_de_identification_leaves_nothing_of_signatures(signed: Path, tmp_path: Path) -> None:
    made = tmp_path / "a.dcm"
    gantry("deidentify", signed, made).check()
    after = pydicom.dcmread(io.BytesIO(made.read_bytes()))
    assert not {0xFFFAFFFA, 0x4FFE0001} & set(after.keys())
