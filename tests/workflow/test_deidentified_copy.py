"""Copies without what identifies a patient, their pixels too: files of pydicom and of our own."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless

from agent.configuration.deidentification import Deidentify, Mask
from agent.configuration.secrets import Secret
from agent.errors import LocalError
from agent.workflow.deidentified_copy import Deidentifier, deidentify_file

SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"
US = SAMPLES / "examples_rgb_color.dcm"
"""An ultrasound image with writing above, below and beside it."""
_IMPLEMENTATION = ("1.2.3", "TEST")


def _rule(*options: str, masks: tuple[Mask, ...] = (), recognise: bool = True) -> Deidentify:
    return Deidentify(
        name="test", secret=Secret(), options=options, masks=masks, recognise=recognise
    )


def _deidentified(source: Path, target: Path, rule: Deidentify) -> Dataset:
    with source.open("rb") as given, target.open("wb") as made:
        deidentifier = Deidentifier(rule, passing=True)
        deidentify_file(given.fileno(), made.fileno(), deidentifier, _IMPLEMENTATION)
    return dcmread(target)


def _changed(source: Path, target: Path, **values: object) -> Path:
    given = dcmread(source)
    for keyword, value in values.items():
        setattr(given, keyword, value)
    given.save_as(target)
    return target


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.dcm"


# Masks.


def test_a_mask_blacks_out_its_rectangles_and_nothing_else(out: Path) -> None:
    masks = (
        Mask(modality="US", rows=240, columns=320, rectangles=((0, 0, 320, 54), (300, 60, 999, 9))),
        Mask(modality="CT", rectangles=((0, 0, 320, 240),)),
    )
    given = dcmread(US).pixel_array
    made = _deidentified(US, out, _rule("clean-pixel-data", masks=masks))
    expected = given.copy()
    expected[:54] = 0
    expected[60:69, 300:] = 0
    assert given[:54].any()
    assert np.array_equal(made.pixel_array, expected)
    assert made.BurnedInAnnotation == "NO"
    assert made.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


def test_a_mask_without_rectangles_says_that_there_is_nothing(out: Path) -> None:
    made = _deidentified(US, out, _rule("clean-pixel-data", masks=(Mask(modality="US"),)))
    assert made.PixelData == dcmread(US).PixelData
    assert made.BurnedInAnnotation == "NO"


@pytest.mark.parametrize(
    "name",
    [
        "MR_small.dcm",
        "MR_small_implicit.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_RLE.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "image_dfl.dcm",
        "SC_rgb_rle_2frame.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
        "examples_palette.dcm",
    ],
)
def test_frames_of_every_encoding_are_masked(name: str, out: Path) -> None:
    """Of a frame of samples, what is outside of the mask stays as it is."""
    source = SAMPLES / name
    masks = (Mask(rectangles=((4, 2, 8, 6),)),)
    made = _deidentified(source, out, _rule("clean-pixel-data", masks=masks))
    given = dcmread(source)
    before, after = given.pixel_array, made.pixel_array
    frames = before.ndim - (3 if given.SamplesPerPixel > 1 else 2)
    inside = np.zeros(before.shape, dtype=bool)
    where = (slice(2, 8), slice(4, 12))
    inside[(slice(None), *where) if frames else where] = True
    assert np.array_equal(before[~inside], after[~inside])
    black = after[inside]
    if given.PhotometricInterpretation.startswith("YBR"):
        assert set(np.unique(black)) <= {0, 128}
    elif given.PixelRepresentation:
        assert (black == -(1 << (given.BitsStored - 1))).all()
    else:
        assert not black.any()
    assert made.file_meta.TransferSyntaxUID == given.file_meta.TransferSyntaxUID


def test_what_would_lose_more_is_written_uncompressed(out: Path) -> None:
    source = SAMPLES / "SC_rgb_jpeg_dcmtk.dcm"
    assert dcmread(source).file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    masks = (Mask(rectangles=((0, 0, 10, 10),)),)
    made = _deidentified(source, out, _rule("clean-pixel-data", masks=masks))
    assert made.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert not made.pixel_array[:10, :10].any()
    assert made.pixel_array[12:].any()


def test_what_cannot_be_decoded_cannot_be_masked(out: Path) -> None:
    masks = (Mask(rectangles=((0, 0, 10, 10),)),)
    with pytest.raises(LocalError, match="JPEG 2000"):
        _deidentified(SAMPLES / "JPEG2000.dcm", out, _rule("clean-pixel-data", masks=masks))


# Writing that is found.


def test_writing_is_found_and_blacked_out(out: Path) -> None:
    given = dcmread(US).pixel_array
    made = _deidentified(US, out, _rule("clean-pixel-data")).pixel_array
    for what in (np.s_[8:52, 5:135], np.s_[8:52, 240:312], np.s_[180:190, 120:185], np.s_[228:238]):
        written = given[what] > 200
        assert written.any()
        assert (made[what][written] > 200).mean() < 0.02
    assert made[150:168, 100:200].any()


def test_modalities_without_writing_are_not_searched(out: Path) -> None:
    made = _deidentified(SAMPLES / "MR_small.dcm", out, _rule("clean-pixel-data"))
    assert made.PixelData == dcmread(SAMPLES / "MR_small.dcm").PixelData


def test_writing_that_must_be_there_and_is_not_found_is_no_success(
    out: Path, tmp_path: Path
) -> None:
    source = _changed(SAMPLES / "MR_small.dcm", tmp_path / "in.dcm", BurnedInAnnotation="YES")
    with pytest.raises(LocalError, match="not known where"):
        _deidentified(source, out, _rule("clean-pixel-data"))
    with pytest.raises(LocalError, match="not known where"):
        _deidentified(US, out, _rule("clean-pixel-data", recognise=False))


# What can be recognized.


def test_a_head_is_refused_until_a_mask_says_what_to_hide(out: Path, tmp_path: Path) -> None:
    source = _changed(SAMPLES / "MR_small.dcm", tmp_path / "in.dcm", BodyPartExamined="HEAD")
    rule = _rule("clean-recognizable-visual-features")
    with pytest.raises(LocalError, match="face"):
        _deidentified(source, out, rule)
    masks = (Mask(modality="MR", hides="features", rectangles=((0, 0, 64, 20),)),)
    made = _deidentified(source, out, _rule("clean-recognizable-visual-features", masks=masks))
    assert (made.pixel_array[:20] == made.pixel_array[:20].min()).all()
    assert made.RecognizableVisualFeatures == "NO"
    knee = _changed(SAMPLES / "MR_small.dcm", tmp_path / "knee.dcm", BodyPartExamined="KNEE")
    assert _deidentified(knee, out, rule).RecognizableVisualFeatures == "NO"


# Overlays in pixel cells.


def test_overlays_in_unused_bits_go_without_being_asked(out: Path, tmp_path: Path) -> None:
    given = dcmread(SAMPLES / "MR_small.dcm")
    given.BitsStored, given.HighBit, given.PixelRepresentation = 12, 11, 0
    cells = (given.pixel_array.astype(np.uint16) & 0x0FFF) | 0x8000
    given.PixelData = cells.tobytes()
    for element, value in ((0x0010, 64), (0x0011, 64), (0x0100, 16), (0x0102, 15)):
        given.add_new(0x6000_0000 | element, "US", value)
    given.add_new(0x6000_0040, "CS", "G")
    given.save_as(tmp_path / "in.dcm")
    made = _deidentified(tmp_path / "in.dcm", out, _rule())
    assert 0x6000 not in {each.tag.group for each in made}
    assert made.PixelData == (cells & 0x0FFF).tobytes()


def test_a_dicomdir_is_refused(out: Path) -> None:
    with pytest.raises(Exception, match="DICOMDIR"):
        _deidentified(SAMPLES / "dicomdirtests" / "DICOMDIR", out, _rule())


def test_rle_stays_rle_and_other_decoders_read_it(out: Path) -> None:
    masks = (Mask(rectangles=((0, 0, 10, 10),)),)
    made = _deidentified(SAMPLES / "SC_rgb_rle.dcm", out, _rule("clean-pixel-data", masks=masks))
    assert made.file_meta.TransferSyntaxUID == RLELossless
    again = dcmread(io.BytesIO(out.read_bytes()))
    assert not again.pixel_array[:10, :10].any()
