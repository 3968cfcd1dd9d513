"""Real images in every transfer syntax that is decoded here, held against what is known of them.

The WG04 set of NEMA (its uncompressed originals beside it), the multi-frame and fragmented images
of dicomParser, those of pylibjpeg and pydicom.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from agent.codecs.registry import CODECS, is_available
from agent.dataset.byte_source import FileBytes
from agent.dataset.file_meta import read_file_meta
from agent.dataset.transfer_syntaxes import encoding_of
from agent.errors import PeerError
from agent.objects.stored_image import StoredImage

SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"
FOLDERS = {
    "JPLL": "lossless",
    "JLSL": "lossless",
    "RLE": "lossless",
    "JLSN": "near",
    "JPLY": "lossy",
}


def frames_of(path: Path) -> list[NDArray[np.generic]]:
    """Every frame, as Gantry decodes it, of shape (rows, columns, samples)."""
    with path.open("rb") as file:
        meta = read_file_meta(file.fileno())
        source = FileBytes(file.fileno(), meta.data_set_offset)
        image = StoredImage(source, meta.encoding, meta.transfer_syntax_uid)
        found = image.described()
        kind = f"<{'i' if found.pixel_representation else 'u'}{found.sample_length}"
        shape = (found.rows, found.columns, found.samples_per_pixel)
        return [
            np.frombuffer(b"".join(bytes(s) for s in image.rows_of(n).strips()), kind).reshape(
                shape
            )
            for n in range(image.frames)
        ]


def significant(values: NDArray[np.generic], bits_stored: int) -> NDArray[np.int64]:
    """The samples without what stands above them in their cells."""
    return values.astype(np.int64) & ((1 << bits_stored) - 1)


def wg04_reference(data: Path, name: str) -> pydicom.Dataset:
    packed = data / "wg04" / "data" / "WG04" / "REF" / f"{name}_UNC.zst"
    if not packed.exists():
        pytest.skip(f"there is no original of {name}")
    imagecodecs = pytest.importorskip("imagecodecs")
    return pydicom.dcmread(
        pydicom.filebase.DicomBytesIO(imagecodecs.zstd_decode(packed.read_bytes()))
    )


WG04 = [
    (folder, name)
    for folder, names in {
        "JPLL": "CT1 CT2 MR1 MR2 MR3 MR4 NM1 RG2 RG3 SC1 XA1",
        "JLSL": "CT1 CT2 MR1 MR2 MR3 MR4 NM1 RG2 RG3 SC1 XA1",
        "JLSN": "CT1 CT2 MR1 MR2 MR3 MR4 NM1 RG2 RG3 SC1 XA1",
        "RLE": "CT1 CT2 MR1 MR2 MR3 MR4 NM1 RG2 RG3 SC1 US1 VL1 VL2 VL3 VL6 XA1",
        "JPLY": "MR1 MR2 MR3 MR4 NM1 RG2 RG3 SC1 XA1",
    }.items()
    for name in names.split()
]


@pytest.mark.parametrize("folder, name", WG04)
def test_the_images_of_working_group_4(folder: str, name: str, test_data: Path) -> None:
    path = test_data / "wg04" / "data" / "WG04" / folder / f"{name}_{folder}"
    if not path.exists():
        pytest.skip(f"there is no {path.name}")
    uid = pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID
    if not is_available(uid):
        pytest.skip("not decoded here")
    original = wg04_reference(test_data, name)
    (frame,) = frames_of(path)
    array = original.pixel_array.reshape(frame.shape)
    ours = significant(frame, original.BitsStored)
    theirs = significant(array, original.BitsStored)
    if FOLDERS[folder] == "lossless":
        assert np.array_equal(ours, theirs)
    else:
        # Near-lossless by at most 2; JPEG at a quality at which none of these is far off.
        signed = ours - theirs
        if original.PixelRepresentation:
            half = 1 << (original.BitsStored - 1)
            signed = ((ours ^ half) - half) - ((theirs ^ half) - half)
        most = int(abs(signed).max())
        assert most <= (4 if FOLDERS[folder] == "near" else 1 << (original.BitsStored - 3)), most


def test_fragmented_and_multi_frame_images_are_the_same_in_every_syntax(test_data: Path) -> None:
    folder = test_data / "dicomparser" / "testImages" / "encapsulated"
    seen = 0
    for name in ("single-frame/CT1_UNC", "multi-frame/CT0012", "multi-frame/IM00001"):
        parent, stem = name.split("/")
        native = next((folder / parent).glob(f"{stem}.*_little_endian.dcm"))
        expected = frames_of(native)
        bits = pydicom.dcmread(native, stop_before_pixels=True).BitsStored
        for path in sorted((folder / parent).glob(f"{stem}.*fragmented*.dcm")):
            uid = pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID
            if not is_available(uid):
                continue
            found = frames_of(path)
            assert len(found) == len(expected), path.name
            seen += 1
            if encoding_of(uid).lossy:
                continue
            for ours, theirs in zip(found, expected, strict=True):
                assert np.array_equal(significant(ours, bits), significant(theirs, bits)), path.name
    assert seen >= 5


def decodable(folder: Path) -> list[Path]:
    found = []
    for path in sorted(folder.rglob("*.dcm")):
        try:
            read = pydicom.dcmread(path, force=True)
            uid = str(read.file_meta.TransferSyntaxUID) if "PixelData" in read else ""
        except Exception:
            continue
        if uid in CODECS and is_available(uid):
            found.append(path)
    return found


def same_as_pydicom(path: Path) -> bool:
    """Whether ours and pydicom's decoders agree; False where pydicom's can do nothing with it."""
    read = pydicom.dcmread(path)
    try:
        ours = np.stack(frames_of(path))
    except PeerError as error:
        raise AssertionError(f"{path.name}: {error}") from error
    # JPEG of YBR comes out as RGB, unless the object says YBR_FULL.
    raw = read.PhotometricInterpretation not in ("YBR_FULL_422", "YBR_PARTIAL_422")
    try:
        theirs = pydicom.pixels.pixel_array(read, raw=raw)
    except Exception:
        return False
    array = np.asarray(theirs).reshape(ours.shape)
    bits = read.BitsStored
    difference = np.abs(significant(ours, bits) - significant(array, bits))
    lossy = encoding_of(
        read.file_meta.TransferSyntaxUID
    ).lossy and not read.file_meta.TransferSyntaxUID.endswith(".81")
    # Decoders of JPEG differ by one level, and by more where they widen chroma in other ways.
    limit = 0 if not lossy else 1 if read.SamplesPerPixel == 1 else 12
    assert difference.max() <= limit, f"{path.name}: {difference.max()}"
    return True


@pytest.mark.peer
def test_pydicoms_own_images_decode_as_its_decoders_do() -> None:
    pytest.importorskip("libjpeg")
    agreed = sum(same_as_pydicom(path) for path in decodable(SAMPLES))
    assert agreed >= 10


@pytest.mark.peer
def test_the_images_of_pylibjpeg_decode_as_its_decoders_do(test_data: Path) -> None:
    pytest.importorskip("libjpeg")
    agreed = sum(same_as_pydicom(path) for path in decodable(test_data / "pylibjpeg"))
    assert agreed >= 5
