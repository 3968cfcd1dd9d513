"""JPEG baseline and extended against libjpeg-turbo, DCMTK and stored images."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames

from agent.codecs import jpeg
from agent.codecs.codec import EncodeSettings
from agent.codecs.damage import FrameDamaged
from agent.codecs.frame import FrameDescription
from agent.codecs.rows import StoredRows
from agent.dataset.byte_source import MemoryBytes
from agent.dataset.transfer_syntaxes import JPEG_BASELINE, JPEG_EXTENDED
from tests.codecs.frames import KINDS, SIZES, decoded, description, encoded, picture
from tests.peers.dcmtk import run_dcmtk

pytestmark = pytest.mark.peer
turbo = pytest.importorskip("imagecodecs")


def scene(frame: FrameDescription, noise: float) -> NDArray[Any]:
    """Something between a photograph and a phantom: waves, edges, and noise of this deviation."""
    random = np.random.default_rng(4)
    y, x = np.mgrid[0 : frame.rows, 0 : frame.columns]
    waves = np.sin(x / 37) + np.cos(y / 29) + 0.3 * np.sin((x + y) / 11)
    base = (waves + 0.6 * ((x // 60 + y // 60) % 2) + 2.5) / 6
    planes = [np.roll(base, 50 * number, axis=1) for number in range(frame.samples_per_pixel)]
    top = (1 << frame.bits_stored) - 1
    values = np.stack(planes, axis=2) * top + random.normal(0, noise, (*y.shape, len(planes)))
    return np.clip(np.rint(values), 0, top).astype(f"<u{frame.sample_length}")


def ours(frame: FrameDescription, stream: bytes, uid: str = JPEG_BASELINE) -> NDArray[Any]:
    shape = (frame.rows, frame.columns, frame.samples_per_pixel)
    return np.frombuffer(decoded(uid, frame, stream), f"<u{frame.sample_length}").reshape(shape)


def theirs(frame: FrameDescription, stream: bytes, **options: Any) -> NDArray[Any]:
    shape = (frame.rows, frame.columns, frame.samples_per_pixel)
    found: NDArray[Any] = np.asarray(turbo.jpeg8_decode(stream, **options)).reshape(shape)
    return found


def difference(first: NDArray[Any], second: NDArray[Any]) -> int:
    return int(np.abs(first.astype(np.int64) - second).max())


@pytest.mark.parametrize("sampling", ["444", "422", "420", "440", "411"])
@pytest.mark.parametrize("kind", KINDS)
def test_libjpeg_turbos_colours_are_decoded_as_it_does(sampling: str, kind: str) -> None:
    for rows, columns in (*SIZES, (7, 5), (33, 4), (250, 99)):
        frame = description(rows, columns, samples=3)
        stream = turbo.jpeg8_encode(picture(frame, kind), level=85, subsampling=sampling)
        assert difference(ours(frame, stream), theirs(frame, stream)) <= 1


@pytest.mark.parametrize("bits", [8, 12])
@pytest.mark.parametrize("quality", [30, 85, 100])
def test_libjpeg_turbos_grey_is_decoded_as_it_does(bits: int, quality: int) -> None:
    for kind in KINDS:
        for rows, columns in SIZES:
            frame = description(rows, columns, bits_stored=bits)
            native = picture(frame, kind)[..., 0]
            options = {"bitspersample": 12} if bits == 12 else {}
            stream = turbo.jpeg8_encode(native, level=quality, optimize=True, **options)
            assert difference(ours(frame, stream, JPEG_EXTENDED), theirs(frame, stream)) <= 1


@pytest.mark.parametrize("uid, samples, bits", [(JPEG_BASELINE, 3, 8), (JPEG_EXTENDED, 1, 12)])
@pytest.mark.parametrize("colour", ["YBR_FULL_422", "YBR_FULL", "RGB"])
def test_libjpeg_turbo_decodes_our_streams(uid: str, samples: int, bits: int, colour: str) -> None:
    for optimised in (False, True):
        settings = EncodeSettings(quality=92, colour=colour, optimised=optimised)
        for kind in KINDS:
            for rows, columns in SIZES:
                frame = description(rows, columns, samples=samples, bits_stored=bits)
                stream = encoded(uid, frame, picture(frame, kind).tobytes(), settings)
                assert difference(ours(frame, stream), theirs(frame, stream)) <= 1


def noise_ratio(native: NDArray[Any], out: NDArray[Any], top: int) -> float:
    error = np.mean((native.astype(np.float64) - out) ** 2)
    return float(10 * np.log10(top**2 / error))


@pytest.mark.parametrize("quality", [50, 75, 90, 97])
@pytest.mark.parametrize(
    "samples, bits, sampling", [(1, 8, ""), (3, 8, "422"), (3, 8, "444"), (1, 12, "")]
)
def test_at_equal_size_the_error_is_that_of_libjpeg_turbo(
    quality: int, samples: int, bits: int, sampling: str
) -> None:
    frame = description(400, 512, samples=samples, bits_stored=bits)
    native = scene(frame, 2 if bits == 8 else 12)
    options: dict[str, Any] = {"subsampling": sampling} if sampling else {}
    if bits == 12:
        options["bitspersample"] = 12
    peers = turbo.jpeg8_encode(
        native if samples == 3 else native[..., 0], level=quality, optimize=True, **options
    )
    colour = "YBR_FULL" if sampling == "444" else "YBR_FULL_422"
    uid = JPEG_EXTENDED if bits == 12 else JPEG_BASELINE
    stream = encoded(uid, frame, native.tobytes(), EncodeSettings(quality=quality, colour=colour))
    assert len(stream) <= 1.003 * len(peers) + 64
    top = (1 << bits) - 1
    mine = noise_ratio(native, theirs(frame, stream), top)
    assert mine >= noise_ratio(native, theirs(frame, peers), top) - 0.1


def described(data_set: pydicom.Dataset) -> FrameDescription:
    return FrameDescription(
        data_set.Rows,
        data_set.Columns,
        data_set.SamplesPerPixel,
        data_set.BitsAllocated,
        data_set.BitsStored,
        data_set.PixelRepresentation,
        data_set.PhotometricInterpretation,
    )


@pytest.mark.parametrize("options", [("+cy", "+s2"), ("+cy", "+s4"), ("+cy", "+np"), ("+cr",)])
def test_dcmtks_colours_are_decoded_as_it_does(options: tuple[str, ...], tmp_path: Path) -> None:
    native = Path(str(get_testdata_file("SC_rgb_small_odd.dcm")))
    run_dcmtk("dcmcjpeg", "+eb", *options, native, tmp_path / "jpeg").check()
    run_dcmtk("dcmdjpeg", "+px", tmp_path / "jpeg", tmp_path / "back").check()
    compressed = pydicom.dcmread(tmp_path / "jpeg")
    # As YBR_FULL it would stay what it is.
    frame = replace(described(compressed), photometric_interpretation="YBR_FULL_422")
    stream = next(generate_frames(compressed.PixelData, number_of_frames=1))
    expected = pydicom.dcmread(tmp_path / "back").pixel_array
    assert difference(ours(frame, stream), expected) <= 1


@pytest.mark.parametrize(
    "uid, samples, bits", [(JPEG_BASELINE, 3, 8), (JPEG_BASELINE, 1, 8), (JPEG_EXTENDED, 1, 12)]
)
def test_dcmtk_decodes_our_streams(uid: str, samples: int, bits: int, tmp_path: Path) -> None:
    frame = description(33, 65, samples=samples, bits_stored=bits)
    native = scene(frame, 1)
    plan = jpeg.encode(
        uid, frame, StoredRows(frame, MemoryBytes(native.tobytes())), EncodeSettings(quality=95)
    )
    stream = b"".join(plan.pieces)
    made = pydicom.dcmread(str(get_testdata_file("SC_rgb_small_odd.dcm")))
    made.Rows, made.Columns, made.SamplesPerPixel = 33, 65, samples
    made.PhotometricInterpretation = plan.frame.photometric_interpretation
    made.BitsAllocated, made.BitsStored = frame.bits_allocated, frame.bits_stored
    made.HighBit = frame.bits_stored - 1
    made.PixelData = encapsulate([stream])
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    made.file_meta.TransferSyntaxUID = pydicom.uid.UID(uid)
    made.save_as(tmp_path / "ours", enforce_file_format=True)
    run_dcmtk("dcmdjpeg", "+cl", "+px", tmp_path / "ours", tmp_path / "back").check()
    expected = pydicom.dcmread(tmp_path / "back").pixel_array.reshape(native.shape)
    assert difference(ours(plan.frame, stream, uid), expected) <= 1


@functools.cache
def _stored(folder: Path) -> list[Path]:
    wanted = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            meta = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[]).file_meta
        except Exception:
            continue
        if meta.get("TransferSyntaxUID") in wanted:
            found.append(path)
    return found


def _frames(data_set: pydicom.Dataset) -> Iterator[bytes]:
    number = int(data_set.get("NumberOfFrames", 1))
    return generate_frames(data_set.PixelData, number_of_frames=number)


@pytest.mark.parametrize("part", ["wg04", "pylibjpeg", "dicomparser"])
def test_stored_images_are_decoded_as_libjpeg_turbo_does(test_data: Path, part: str) -> None:
    paths = _stored(test_data / part)
    assert paths
    for path in paths:
        data_set = pydicom.dcmread(path)
        frame = described(data_set)
        stream = next(_frames(data_set))
        plan = jpeg.decode(frame, MemoryBytes(stream))
        options: dict[str, Any] = {}
        if plan.frame.photometric_interpretation == "YBR_FULL":
            options = {"outcolorspace": "YCBCR"}
        elif frame.photometric_interpretation == "RGB" and b"Adobe" not in stream[:200]:
            # Without a word in the stream, the object decides.
            options = {"colorspace": "RGB", "outcolorspace": "RGB"}
        assert difference(ours(frame, stream), theirs(frame, stream, **options)) <= 1, path


def test_compliance_streams_are_decoded_in_all_their_forms(test_data: Path) -> None:
    """ITU-T T.83: four components of odd samplings with restart intervals. C1 is A1 with more
    tables, C2 and E2 are C1 and E1 with a scan for each component."""
    folder = test_data / "pylibjpeg" / "ljdata" / "jpg" / "10918"
    frame = FrameDescription(257, 255, 4, 8, 8, 0, "CMYK")
    deep = replace(frame, bits_allocated=16, bits_stored=12)
    a1, c1, c2 = (
        ours(frame, (folder / name).read_bytes())
        for name in ("p1/A1.JPG", "p2/C1.JPG", "p2/C2.JPG")
    )
    assert np.array_equal(a1, c1) and np.array_equal(c1, c2)
    e1, e2 = (ours(deep, (folder / name).read_bytes()) for name in ("p4/E1.JPG", "p4/E2.JPG"))
    assert np.array_equal(e1, e2)
    # The pictures are noise of all frequencies about the middle.
    assert np.all(np.abs(a1.mean(axis=(0, 1)) - 128) < 1)
    assert np.all(np.abs(e1.mean(axis=(0, 1)) - 2048) < 16)
    with pytest.raises(FrameDamaged, match="255 components"):
        decoded(JPEG_BASELINE, frame, (folder / "p1" / "B2.JPG").read_bytes())
