"""JPEG-LS against other codecs, the conformance images of ISO/IEC 14495-1, and real files."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from types import ModuleType

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from agent.codecs.codec import EncodeSettings
from agent.codecs.damage import FrameDamaged
from agent.codecs.frame import FrameDescription
from agent.codecs.jpeg_ls_markers import Presets
from agent.dataset.transfer_syntaxes import JPEG_LS_LOSSLESS, JPEG_LS_NEAR_LOSSLESS
from tests.codecs.frames import KINDS, decoded, description, encoded, picture
from tests.codecs.jpeg_ls_streams import LINE, NONE, SAMPLE, stream
from tests.peers.dcmtk import run_dcmtk

PEER_SIZES = ((1, 1), (2, 1), (3, 5), (33, 41), (65, 130))


@pytest.fixture
def imagecodecs() -> ModuleType:
    module: ModuleType = pytest.importorskip("imagecodecs")
    return module


@pytest.mark.peer
@pytest.mark.parametrize("samples, signed", ((1, False), (1, True), (3, False)))
def test_charls_reads_ours(samples: int, signed: bool, imagecodecs: ModuleType) -> None:
    for bits in range(2, 17):
        for rows, columns in PEER_SIZES:
            frame = description(rows, columns, samples=samples, bits_stored=bits, signed=signed)
            for kind in KINDS:
                native = picture(frame, kind)
                coded = encoded(JPEG_LS_LOSSLESS, frame, native.tobytes())
                theirs = np.asarray(imagecodecs.jpegls_decode(coded)).reshape(native.shape)
                assert np.array_equal(theirs.astype(native.dtype), native), (bits, rows, kind)


@pytest.mark.peer
@pytest.mark.parametrize("samples", (1, 3))
def test_charls_reads_our_near_lossless_as_we_do(samples: int, imagecodecs: ModuleType) -> None:
    for bits in range(2, 17):
        for near in (1, 2, 3, 20, 255):
            if near > ((1 << bits) - 1) // 2:
                continue
            frame = description(33, 41, samples=samples, bits_stored=bits)
            for kind in KINDS:
                native = picture(frame, kind)
                settings = EncodeSettings(near=near)
                coded = encoded(JPEG_LS_NEAR_LOSSLESS, frame, native.tobytes(), settings)
                ours = decoded(JPEG_LS_NEAR_LOSSLESS, frame, coded)
                theirs = np.asarray(imagecodecs.jpegls_decode(coded))
                assert theirs.astype(native.dtype).tobytes() == ours, (bits, near, kind)


@pytest.mark.peer
@pytest.mark.parametrize("samples, interleave", ((1, NONE), (3, NONE), (3, LINE), (3, SAMPLE)))
def test_we_read_all_that_charls_writes(samples: int, interleave: int) -> None:
    jpeg_ls = pytest.importorskip("jpeg_ls")
    imagecodecs = pytest.importorskip("imagecodecs")
    for bits in range(2, 17):
        for rows, columns in ((33, 41), (16, 130)):
            for near in (0, 2):
                if near > ((1 << bits) - 1) // 2:
                    continue
                frame = description(rows, columns, samples=samples, bits_stored=bits)
                for kind in KINDS[1:]:
                    native = picture(frame, kind)
                    given = native.transpose(2, 0, 1) if interleave == NONE else native
                    try:
                        coded = jpeg_ls.encode_buffer(
                            given.tobytes(),
                            rows,
                            columns,
                            samples,
                            bits,
                            lossy_error=near,
                            interleave_mode=interleave,
                        )
                    except RuntimeError as error:
                        # Its own buffer is too small for some noise.
                        assert "buffer is too small" in str(error)
                        continue
                    ours = decoded(JPEG_LS_LOSSLESS, frame, bytes(coded))
                    theirs = np.asarray(imagecodecs.jpegls_decode(bytes(coded)))
                    assert ours == theirs.astype(native.dtype).tobytes(), (bits, near, kind)
                    assert near or ours == native.tobytes()


@pytest.mark.peer
@pytest.mark.parametrize("samples, interleave", ((1, NONE), (3, NONE), (3, LINE), (3, SAMPLE)))
def test_charls_agrees_on_thresholds_and_restart_intervals(
    samples: int, interleave: int, imagecodecs: ModuleType
) -> None:
    frame = description(41, 57, samples=samples, bits_stored=12)
    for kind in KINDS:
        native = picture(frame, kind)
        for near in (0, 3):
            presets = Presets(4095, 9, 30, 100, 64)
            coded = stream(native, 12, interleave, near=near, presets=presets, restart_rows=5)
            theirs = np.asarray(imagecodecs.jpegls_decode(coded))
            assert theirs.astype("<u2").tobytes() == decoded(JPEG_LS_LOSSLESS, frame, coded)


@pytest.mark.peer
@pytest.mark.parametrize("samples, interleave", ((1, NONE), (3, NONE), (3, LINE), (3, SAMPLE)))
@pytest.mark.parametrize("restart_rows", (0, 5))
def test_libjpeg_of_thor_agrees_on_all_presets(
    samples: int, interleave: int, restart_rows: int
) -> None:
    # CharLS 2.4 goes wrong where MAXVAL is not all ones, and sample interleaved where RESET is
    # not 64.
    libjpeg = pytest.importorskip("libjpeg")
    for bits, given in (
        (7, Presets(100, 4, 9, 22, 64)),
        (8, Presets(200, 0, 0, 0, 31)),
        (12, Presets(4000, 9, 30, 100, 3)),
        (16, Presets(40000, 0, 0, 0, 255)),
    ):
        frame = description(41, 57, samples=samples, bits_stored=bits)
        for kind in KINDS:
            native = np.minimum(picture(frame, kind), given.largest)
            native = native.astype(f"<u{frame.sample_length}")
            for near in (0, 3):
                coded = stream(
                    native,
                    bits,
                    interleave,
                    near=near,
                    presets=given.complete(bits, near),
                    restart_rows=restart_rows,
                )
                theirs = np.asarray(libjpeg.decode(io.BytesIO(coded)))
                assert theirs.astype(native.dtype).tobytes() == (
                    decoded(JPEG_LS_LOSSLESS, frame, coded)
                ), (bits, kind, near)


# ---- DCMTK ----


def dicom_file(
    path: Path, frame: FrameDescription, pixels: bytes, transfer_syntax: str = ""
) -> Path:
    made = pydicom.Dataset()
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(transfer_syntax or ExplicitVRLittleEndian)
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = SecondaryCaptureImageStorage
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = generate_uid()
    made.Rows, made.Columns = frame.rows, frame.columns
    made.SamplesPerPixel = frame.samples_per_pixel
    made.PhotometricInterpretation = frame.photometric_interpretation
    if frame.samples_per_pixel > 1:
        made.PlanarConfiguration = 0
    made.BitsAllocated, made.BitsStored = frame.bits_allocated, frame.bits_stored
    made.HighBit, made.PixelRepresentation = frame.bits_stored - 1, frame.pixel_representation
    if transfer_syntax:
        made.PixelData = encapsulate([pixels])
        made["PixelData"].VR = "OB"
    else:
        made.PixelData = pixels + bytes(len(pixels) % 2)
        made["PixelData"].VR = "OW" if frame.bits_allocated == 16 else "OB"
    made.save_as(path, enforce_file_format=True)
    return path


def samples_of(path: Path, native: NDArray[np.generic]) -> NDArray[np.generic]:
    data = pydicom.dcmread(path)
    found = np.frombuffer(data.PixelData, native.dtype, count=native.size)
    if data.get("PlanarConfiguration"):
        return found.reshape(native.shape[2], *native.shape[:2]).transpose(1, 2, 0)
    return found.reshape(native.shape)


@pytest.mark.peer
@pytest.mark.parametrize("samples, bits", ((1, 8), (1, 10), (1, 12), (1, 16), (3, 8)))
def test_dcmtk_reads_ours(samples: int, bits: int, tmp_path: Path) -> None:
    for signed in (False, True) if samples == 1 else (False,):
        frame = description(33, 41, samples=samples, bits_stored=bits, signed=signed)
        native = picture(frame, "noise")
        coded = encoded(JPEG_LS_LOSSLESS, frame, native.tobytes())
        path = dicom_file(tmp_path / "ours", frame, coded, JPEG_LS_LOSSLESS)
        run_dcmtk("dcmdjpls", path, tmp_path / "native").check()
        assert np.array_equal(samples_of(tmp_path / "native", native), native), signed


@pytest.mark.peer
@pytest.mark.parametrize(
    "samples, bits, options",
    (
        (1, 8, ()),
        (1, 12, ()),
        (1, 16, ()),
        (1, 12, ("+t1", "9", "+t2", "30", "+t3", "100", "+rs", "31")),
        (3, 8, ("+il",)),
        (3, 8, ("+is",)),
        (3, 8, ("+in",)),
        (1, 12, ("+en", "+md", "3")),
    ),
)
def test_we_read_what_dcmtk_writes(
    samples: int, bits: int, options: tuple[str, ...], tmp_path: Path
) -> None:
    frame = description(33, 41, samples=samples, bits_stored=bits)
    native = picture(frame, "noise")
    path = dicom_file(tmp_path / "native", frame, native.tobytes())
    run_dcmtk("dcmcjpls", *options, path, tmp_path / "theirs").check()
    theirs = pydicom.dcmread(tmp_path / "theirs")
    coded = next(generate_frames(theirs.PixelData, number_of_frames=1))
    ours = np.frombuffer(decoded(JPEG_LS_LOSSLESS, frame, coded), native.dtype)
    near = 3 if "+en" in options else 0
    assert np.abs(ours.astype(int) - native.astype(int).ravel()).max() <= near


# ---- images of the standard, and real ones ----


def portable_map(path: Path) -> NDArray[np.generic]:
    """A binary PGM or PPM: rows, columns, samples."""
    data = path.read_bytes()
    words: list[bytes] = []
    at = 0
    while len(words) < 4:
        end = min(found for found in (data.find(b" ", at), data.find(b"\n", at)) if found >= 0)
        if data[at : at + 1] == b"#":
            end = data.index(b"\n", at)
        elif end > at:
            words.append(data[at:end])
        at = end + 1
    columns, rows, largest = (int(word) for word in words[1:])
    samples = 3 if words[0] == b"P6" else 1
    kind = ">u2" if largest > 255 else "u1"
    pixels = np.frombuffer(data, kind, count=rows * columns * samples, offset=at)
    return pixels.reshape(rows, columns, samples).astype(f"<u{pixels.itemsize}")


@pytest.mark.parametrize(
    "name, original",
    (
        ("t8c0", "test8.ppm"),
        ("t8c1", "test8.ppm"),
        ("t8c2", "test8.ppm"),
        ("t8nd", "test8bs2.pgm"),
        ("t16", "test16.pgm"),
    ),
)
@pytest.mark.parametrize("near", (0, 3))
def test_the_conformance_images_are_read(
    name: str, original: str, near: int, test_data: Path
) -> None:
    folder = test_data / "charls" / "test" / "data" / "conformance"
    native = portable_map(folder / original)
    rows, columns, samples = native.shape
    bits = 8 if native.itemsize == 1 else 12
    frame = description(rows, columns, samples=samples, bits_stored=bits)
    coded = (folder / f"{name}e{near}.jls").read_bytes()
    ours = np.frombuffer(decoded(JPEG_LS_LOSSLESS, frame, coded), native.dtype)
    assert np.abs(ours.astype(int) - native.astype(int).ravel()).max() == near
    if name == "t16" and near == 0:
        # The reference encoder's bits are ours.
        mine = encoded(JPEG_LS_LOSSLESS, frame, native.tobytes())
        assert mine[mine.index(b"\xff\xda") :] == coded[coded.index(b"\xff\xda") :]


@pytest.mark.parametrize("near", (0, 3))
def test_the_conformance_images_with_small_components_are_refused(
    near: int, test_data: Path
) -> None:
    folder = test_data / "charls" / "test" / "data" / "conformance"
    frame = description(256, 256, samples=3)
    with pytest.raises(FrameDamaged, match="differ in size"):
        decoded(JPEG_LS_LOSSLESS, frame, (folder / f"t8sse{near}.jls").read_bytes())


@pytest.mark.peer
def test_real_files_are_read_as_charls_reads_them(test_data: Path, imagecodecs: ModuleType) -> None:
    paths = [
        *(test_data / "wg04" / "data" / "WG04" / "JLSL").iterdir(),
        *(test_data / "wg04" / "data" / "WG04" / "JLSN").iterdir(),
        *(test_data / "pylibjpeg" / "ljdata" / "ds").glob("JPEGLS*/*.dcm"),
        *(test_data / "dicomparser").rglob("*jpeg_ls*.dcm"),
    ]
    seen = 0
    for path in paths:
        data = pydicom.dcmread(path)
        frame = FrameDescription(
            data.Rows,
            data.Columns,
            data.SamplesPerPixel,
            data.BitsAllocated,
            data.BitsStored,
            data.PixelRepresentation,
            data.PhotometricInterpretation,
        )
        count = int(data.get("NumberOfFrames", 1) or 1)
        coded = next(generate_frames(data.PixelData, number_of_frames=count))
        ours = decoded(JPEG_LS_LOSSLESS, frame, coded)
        theirs = np.asarray(imagecodecs.jpegls_decode(coded))
        assert theirs.astype(f"<u{frame.sample_length}").tobytes() == ours, path.name
        seen += 1
    assert seen >= 30


@pytest.mark.skipif(
    subprocess.run(["sh", "-c", "command -v zstd"], capture_output=True).returncode != 0,
    reason="the originals are compressed with zstd, which is not installed",
)
@pytest.mark.parametrize(
    "name", ("CT1", "CT2", "MR1", "MR2", "MR3", "MR4", "NM1", "RG2", "RG3", "SC1", "XA1")
)
def test_the_images_of_wg_04_are_what_they_were(name: str, test_data: Path, tmp_path: Path) -> None:
    folder = test_data / "wg04" / "data" / "WG04"
    subprocess.run(
        ["zstd", "-dqf", folder / "REF" / f"{name}_UNC.zst", "-o", tmp_path / "native"], check=True
    )
    original = pydicom.dcmread(tmp_path / "native")
    data = pydicom.dcmread(folder / "JLSL" / f"{name}_JLSL")
    frame = FrameDescription(
        data.Rows,
        data.Columns,
        1,
        data.BitsAllocated,
        data.BitsStored,
        data.PixelRepresentation,
    )
    coded = next(generate_frames(data.PixelData, number_of_frames=1))
    native = original.PixelData[: frame.length]
    assert decoded(JPEG_LS_LOSSLESS, frame, coded) == native
    assert decoded(JPEG_LS_LOSSLESS, frame, encoded(JPEG_LS_LOSSLESS, frame, native)) == native
