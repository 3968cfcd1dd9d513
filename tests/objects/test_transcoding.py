"""Stored objects in another transfer syntax: the pixels, the attributes, and everything else."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from agent.codecs.codec import EncodeSettings
from agent.codecs.registry import available
from agent.dataset.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    DEFLATED_IMAGE_FRAME,
    ENCAPSULATED_UNCOMPRESSED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    JPEG_BASELINE,
    RLE_LOSSLESS,
)
from agent.errors import GantryError, LocalError, PeerError
from agent.objects.transcoded_file import TranscodedFile, transcode_file

SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"
NATIVE = (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
)
ENCAPSULATED = (
    RLE_LOSSLESS,
    DEFLATED_IMAGE_FRAME,
    ENCAPSULATED_UNCOMPRESSED_EXPLICIT_VR_LITTLE_ENDIAN,
)
PICTURES = (
    "CT_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
    "SC_rgb_small_odd.dcm",
    "SC_rgb_small_odd_big_endian.dcm",
    "SC_rgb_rle_16bit_2frame.dcm",
    "SC_rgb_rle_32bit_2frame.dcm",
    "SC_ybr_full_422_uncompressed.dcm",
    "examples_palette.dcm",
    "examples_overlay.dcm",
    "rtdose.dcm",
    "image_dfl.dcm",
)


def transcoded(
    path: Path, target: Path, uid: str, *, salvage: bool = False, **settings: int
) -> TranscodedFile:
    with path.open("rb") as source, target.open("wb") as written:
        return transcode_file(
            source.fileno(),
            written.fileno(),
            uid,
            EncodeSettings(**settings),
            implementation=("2.25.1", "TEST"),
            salvage=salvage,
        )


def others(data_set: Dataset) -> Dataset:
    """All that has nothing to do with how pixels are encoded, and whose VR survives implicit VR."""
    data_set.remove_private_tags()
    kept = Dataset()
    for element in data_set:
        if (
            element.keyword
            not in (
                "PixelData",
                "PlanarConfiguration",
                "PhotometricInterpretation",
                "IconImageSequence",
            )
            and element.tag.element != 0
            and element.keyword != "DataSetTrailingPadding"
        ):
            kept.add(element)
    return kept


def icons(data_set: Dataset) -> list[Dataset]:
    return list(data_set.get("IconImageSequence", []))


@pytest.mark.parametrize("name", PICTURES)
def test_through_every_transfer_syntax_and_back_nothing_is_lost(name: str, tmp_path: Path) -> None:
    original = pydicom.dcmread(SAMPLES / name)
    pixels = original.pixel_array
    before = SAMPLES / name
    for number, uid in enumerate((*ENCAPSULATED, *NATIVE[:2], RLE_LOSSLESS, NATIVE[3], NATIVE[0])):
        after = tmp_path / f"{number}.dcm"
        done = transcoded(before, after, uid)
        assert done.sop_instance_uid == original.SOPInstanceUID
        before = after
        assert pydicom.filereader.read_file_meta_info(after).TransferSyntaxUID == uid
        if uid in (RLE_LOSSLESS, *NATIVE):
            assert np.array_equal(pydicom.dcmread(after).pixel_array, pixels), uid
    last = pydicom.dcmread(before)
    assert others(last) == others(original)
    for icon, as_it_was in zip(icons(last), icons(original), strict=True):
        assert icon.PixelData == as_it_was.PixelData
    expanded = original.PhotometricInterpretation == "YBR_FULL_422"
    assert last.PhotometricInterpretation == (
        "YBR_FULL" if expanded else original.PhotometricInterpretation
    )


@pytest.mark.parametrize("name", ["rtplan.dcm", "waveform_ecg.dcm", "test-SR.dcm", "reportsi.dcm"])
def test_objects_without_pixels_go_through_unchanged(name: str, tmp_path: Path) -> None:
    original = pydicom.dcmread(SAMPLES / name)
    transcoded(SAMPLES / name, tmp_path / "rle", RLE_LOSSLESS)
    transcoded(tmp_path / "rle", tmp_path / "back", IMPLICIT_VR_LITTLE_ENDIAN)
    assert others(pydicom.dcmread(tmp_path / "back")) == others(original)


def test_a_file_that_is_so_already_is_copied_byte_for_byte(tmp_path: Path) -> None:
    done = transcoded(SAMPLES / "MR_small_RLE.dcm", tmp_path / "same", RLE_LOSSLESS)
    assert not done.changed
    assert (tmp_path / "same").read_bytes() == (SAMPLES / "MR_small_RLE.dcm").read_bytes()


def test_a_data_set_that_is_not_encoded_as_its_file_says_is_put_right(tmp_path: Path) -> None:
    """JPEG frames in Implicit VR: the frames are kept as they are, or decoded."""
    source = SAMPLES / "SC_rgb_jpeg.dcm"
    original = pydicom.dcmread(source)
    done = transcoded(source, tmp_path / "jpeg", original.file_meta.TransferSyntaxUID)
    assert done.changed and done.remarks != ()
    again = pydicom.dcmread(tmp_path / "jpeg")
    assert again.SOPInstanceUID == original.SOPInstanceUID
    frames = [
        list(pydicom.encaps.generate_frames(each.PixelData, number_of_frames=1))
        for each in (again, original)
    ]
    assert frames[0] == frames[1]
    transcoded(source, tmp_path / "native", EXPLICIT_VR_LITTLE_ENDIAN)
    transcoded(tmp_path / "jpeg", tmp_path / "native-too", EXPLICIT_VR_LITTLE_ENDIAN)
    native, too = (pydicom.dcmread(tmp_path / each) for each in ("native", "native-too"))
    assert native.PixelData == too.PixelData and native.PhotometricInterpretation == "RGB"


def image(**values: object) -> Dataset:
    made = pydicom.dcmread(SAMPLES / "CT_small.dcm")
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def saved(data_set: Dataset, path: Path) -> Path:
    data_set.save_as(path, enforce_file_format=True)
    return path


def test_an_overlay_in_the_unused_bits_comes_along(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    cells = random.integers(0, 1 << 16, (128, 128), dtype=np.uint16)
    made = image(BitsStored=12, HighBit=11, PixelRepresentation=0, PixelData=cells.tobytes())
    made.add_new(0x60000010, "US", 128)
    made.add_new(0x60000011, "US", 128)
    made.add_new(0x60000100, "US", 16)
    made.add_new(0x60000102, "US", 12)
    source = saved(made, tmp_path / "overlay.dcm")
    lossless = [uid for uid in available() if not pydicom.uid.UID(uid).name.endswith("Lossy)")]
    for uid in lossless:
        if uid.endswith((".50", ".51", ".81")):
            with pytest.raises(LocalError, match="overlay"):
                transcoded(source, tmp_path / "there", uid)
            continue
        transcoded(source, tmp_path / "there", uid)
        transcoded(tmp_path / "there", tmp_path / "back", EXPLICIT_VR_LITTLE_ENDIAN)
        back = pydicom.dcmread(tmp_path / "back")
        assert back.PixelData == made.PixelData and back.BitsStored == 12


def test_a_damaged_frame_is_told_by_number_and_what_is_whole_can_be_salvaged(
    tmp_path: Path,
) -> None:
    original = pydicom.dcmread(SAMPLES / "SC_rgb_rle_2frame.dcm")
    frames = list(pydicom.encaps.generate_frames(original.PixelData, number_of_frames=2))
    original.PixelData = pydicom.encaps.encapsulate([frames[0], frames[1][: len(frames[1]) // 2]])
    source = saved(original, tmp_path / "damaged.dcm")
    with pytest.raises(PeerError, match=r"RLE segment \d ends in row .* at frame 2, byte \d+"):
        transcoded(source, tmp_path / "out", EXPLICIT_VR_LITTLE_ENDIAN)
    done = transcoded(source, tmp_path / "out", EXPLICIT_VR_LITTLE_ENDIAN, salvage=True)
    assert len(done.remarks) == 1 and "frame 2" in done.remarks[0]
    whole = pydicom.dcmread(SAMPLES / "SC_rgb_rle_2frame.dcm").pixel_array
    assert np.array_equal(pydicom.dcmread(tmp_path / "out").pixel_array[0], whole[0])


@pytest.mark.parametrize(
    "changes, complaint",
    [
        ({"Rows": 0}, "no Rows"),
        ({"Rows": 60000}, "shorter than the frames"),
        ({"BitsAllocated": 12}, "neither 1 nor a whole number of bytes"),
        ({"BitsStored": 17}, "does not fit Bits Allocated"),
        ({"SamplesPerPixel": 9}, "not from 1 to 4"),
    ],
)
def test_attributes_that_are_no_image_are_refused(
    changes: dict[str, int], complaint: str, tmp_path: Path
) -> None:
    source = saved(image(**changes), tmp_path / "odd.dcm")
    with pytest.raises(GantryError, match=complaint):
        transcoded(source, tmp_path / "out", RLE_LOSSLESS)


def test_frames_that_claim_to_be_far_more_than_their_bytes_are_refused(tmp_path: Path) -> None:
    """A few lines of zeros can say that they are gigabytes."""
    made = pydicom.dcmread(SAMPLES / "SC_rgb_rle_2frame.dcm")
    made.Rows = made.Columns = 60_000
    source = saved(made, tmp_path / "bomb.dcm")
    with pytest.raises(PeerError, match="claim to be 21600000000 when they are decoded"):
        transcoded(source, tmp_path / "out", EXPLICIT_VR_LITTLE_ENDIAN)
    assert not (tmp_path / "out").exists() or not (tmp_path / "out").stat().st_size


def test_videos_are_not_made_and_not_taken_apart(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="cannot be made here"):
        transcoded(SAMPLES / "CT_small.dcm", tmp_path / "out", "1.2.840.10008.1.2.4.102")


def test_a_compressed_icon_is_left_out_and_told(tmp_path: Path) -> None:
    made = pydicom.dcmread(SAMPLES / "MR_small_RLE.dcm")
    icon = Dataset()
    icon.Rows = icon.Columns = 64
    icon.PixelData = made.PixelData
    icon["PixelData"].VR = "OB"
    icon["PixelData"].is_undefined_length = True
    made.IconImageSequence = [icon]
    source = saved(made, tmp_path / "icon.dcm")
    done = transcoded(source, tmp_path / "out", EXPLICIT_VR_LITTLE_ENDIAN)
    assert "Icon Image Sequence is left out" in done.remarks[0]
    back = pydicom.dcmread(tmp_path / "out")
    assert "IconImageSequence" not in back
    assert np.array_equal(
        back.pixel_array, pydicom.dcmread(SAMPLES / "MR_small_RLE.dcm").pixel_array
    )


@pytest.mark.peer
@pytest.mark.skipif(shutil.which("dcmdrle") is None, reason="DCMTK is not installed")
@pytest.mark.parametrize("name", ["CT_small.dcm", "SC_rgb_small_odd.dcm", "rtdose.dcm"])
def test_dcmtk_reads_what_we_compress_and_we_read_what_it_compresses(
    name: str, tmp_path: Path
) -> None:
    transcoded(SAMPLES / name, tmp_path / "ours", RLE_LOSSLESS)
    subprocess.run(["dcmdrle", tmp_path / "ours", tmp_path / "theirs"], check=True)
    expected = pydicom.dcmread(SAMPLES / name).pixel_array
    assert np.array_equal(pydicom.dcmread(tmp_path / "theirs").pixel_array, expected)
    subprocess.run(["dcmcrle", SAMPLES / name, tmp_path / "rle"], check=True)
    transcoded(tmp_path / "rle", tmp_path / "back", EXPLICIT_VR_LITTLE_ENDIAN)
    assert np.array_equal(pydicom.dcmread(tmp_path / "back").pixel_array, expected)


def large(path: Path, rows: int, columns: int, *, bits: int = 12) -> None:
    """A native image of grey of 8 bits, or with more stored in 16, written in pieces."""
    cell = 1 if bits == 8 else 2
    made = image(
        Rows=rows,
        Columns=columns,
        BitsAllocated=8 * cell,
        BitsStored=bits,
        HighBit=bits - 1,
        PixelRepresentation=0,
        PixelData=b"",
    )
    made.PixelData = b"\0\0"
    buffer = io.BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    data = buffer.getvalue()
    at = data.rindex(b"\xe0\x7f\x10\x00OW")
    line = np.arange(columns) * 7
    with path.open("wb") as target:
        target.write(data[: at + 8] + (rows * columns * cell).to_bytes(4, "little"))
        for row in range(rows):
            target.write(((line + row * 3) % (1 << bits)).astype(f"<u{cell}").tobytes())


_MEASURED = """
import os, sys
from agent.codecs.codec import EncodeSettings
from agent.codecs.registry import CODECS, codec_of
from agent.objects.transcoded_file import transcode_file
uid = sys.argv[3]
if uid in CODECS: codec_of(uid)
import pydicom.datadict
pydicom.datadict.dictionary_VR(0x00100010)
def resident(what):
    for line in open('/proc/self/status'):
        if line.startswith(what): return int(line.split()[1])
source = os.open(sys.argv[1], os.O_RDONLY)
target = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT | os.O_TRUNC)
before = resident('VmRSS')
transcode_file(source, target, uid, EncodeSettings(), implementation=('2.25.1', 'X'))
print(resident('VmHWM') - before)
"""


@pytest.mark.parametrize("uid", available())
def test_a_large_image_is_compressed_in_at_most_16_mib(
    uid: str, tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    """Of 10,000 columns by 1,500 rows, as the working set does not depend on the rows; `--long`
    takes 10,000 of them."""
    bits = 8 if uid == JPEG_BASELINE else 12
    large(tmp_path / "large.dcm", count(1500, 10000), 10000, bits=bits)
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, tmp_path / "large.dcm", tmp_path / "out.dcm", uid],
        capture_output=True,
        text=True,
        env=environment,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) <= 16 << 10
