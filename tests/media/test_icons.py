"""Icons in the DICOMDIR, beside those that dcmmkdir makes of the same images."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.fileset import FileSet

from agent.dataset.file_meta import read_file_meta
from agent.errors import GantryError, StorageError
from agent.media.application_profiles import profile_of
from agent.media.directory_writer import Creator
from agent.media.file_set import FileSetWriter
from agent.media.icons import icon_of
from tests.media.instances import CT, ECG, EXPLICIT, GRAYSCALE_STATE, SC, instance, save
from tests.media.test_writing import judged, uids_by_pydicom, uids_read_by_us
from tests.peers.dcmtk import dcmtk_program
from tests.peers.programs import run

CREATOR = Creator("1.2.826.0.1.3680043.9.9.100", "TEST", "WRITER")
ANGIOGRAPHIC = "1.2.840.10008.5.1.4.1.1.12.1"
Pixels = numpy.ndarray[Any, Any]


def image(number: int, pixels: Pixels, sop_class: str = CT, **values: object) -> Dataset:
    """An image of these samples: frames, rows, columns, colours, as far as it has them."""
    made = instance(number, sop_class if sop_class in (CT, SC) else CT)
    made.SOPClassUID = sop_class
    if pixels.ndim == 4 or (pixels.ndim == 3 and pixels.shape[-1] != 3):
        made.NumberOfFrames = len(pixels)
        pixels = pixels.reshape(-1, *pixels.shape[2:])
        made.Rows = len(pixels) // made.NumberOfFrames
    else:
        made.Rows = len(pixels)
    made.Columns = pixels.shape[1]
    made.BitsAllocated = made.BitsStored = 8 * pixels.itemsize
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    if pixels.ndim == 3:
        made.SamplesPerPixel, made.PhotometricInterpretation = 3, "RGB"
        made.PlanarConfiguration = 0
    made.PixelData = pixels.tobytes()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    made["PixelData"].VR = "OW" if pixels.itemsize > 1 else "OB"
    return made


def angiogram(number: int, side: int = 512, frames: int = 1, **values: object) -> Dataset:
    """A slope to the right, with something on it, brighter from frame to frame."""
    slope = numpy.arange(side) * 200 // side
    pixels = numpy.broadcast_to(slope, (frames, side, side)).astype("u1")
    pixels[:, side // 4 : side // 2, side // 4 : side // 2] = 230
    pixels += numpy.arange(frames, dtype="u1")[:, None, None]
    made = image(number, pixels if frames > 1 else pixels[0], ANGIOGRAPHIC, Modality="XA")
    made.ImageType = ["ORIGINAL", "PRIMARY", "SINGLE PLANE"]
    made.PixelIntensityRelationship = "LIN"
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def compressed(made: Dataset, path: Path) -> Path:
    """Lossless JPEG by DCMTK, with the same SOP Instance UID."""
    plain = save(made, path.with_suffix(".plain"))
    run([dcmtk_program("dcmcjpeg"), "+un", plain, path]).check()
    plain.unlink()
    return path


def icon(made: Dataset, folder: Path, side: int = 64) -> Pixels:
    with save(made, folder / "IMAGE").open("rb") as file:
        item = icon_of(file.fileno(), read_file_meta(file.fileno()), side)
    (pixels,) = item["PixelData"].values
    assert isinstance(pixels, bytes)
    return numpy.frombuffer(pixels, "u1").reshape(side, side)


def icon_in(record: Dataset) -> Pixels:
    (item,) = record.IconImageSequence
    assert (item.BitsAllocated, item.BitsStored, item.HighBit) == (8, 8, 7)
    assert (item.SamplesPerPixel, item.PhotometricInterpretation) == (1, "MONOCHROME2")
    return numpy.frombuffer(item.PixelData, "u1").reshape(item.Rows, item.Columns)


def images_of(directory: Path) -> list[Dataset]:
    records = pydicom.dcmread(directory).DirectoryRecordSequence
    return [each for each in records if each.DirectoryRecordType == "IMAGE"]


def written(folder: Path, profile: str, *files: Path, **more: Any) -> list[Dataset]:
    with FileSetWriter(folder, profile_of(profile), CREATOR, **more) as writer:
        for path in files:
            writer.add(path)
        writer.finish()
    return images_of(folder / "DICOMDIR")


@pytest.mark.parametrize(
    ("profile", "option"),
    [("STD-XABC-CD", "-Pbc"), ("STD-XA1K-CD", "-Pxa"), ("STD-XA1K-DVD", "-Pxd")],
)
def test_a_file_set_of_angiograms_has_the_icons_of_dcmmkdir(
    tmp_path: Path, profile: str, option: str
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    files = [compressed(angiogram(number), source / f"IM{number}") for number in (1, 2)]
    ours = written(tmp_path / "set", profile, *files)
    judged(tmp_path / "set")
    assert len(FileSet(tmp_path / "set" / "DICOMDIR")) == 2
    assert uids_by_pydicom(tmp_path / "set") == uids_read_by_us(tmp_path / "set")
    run([dcmtk_program("dcmmkdir"), option, "+D", tmp_path / "THEIRS", "IM1", "IM2"], folder=source)
    for mine, other in zip(ours, images_of(tmp_path / "THEIRS"), strict=True):
        assert {each.tag for each in other} <= {each.tag for each in mine}
        assert icon_in(mine).shape == (128, 128)
        difference = icon_in(mine).astype(int) - icon_in(other)
        assert numpy.abs(difference).mean() < 3


def test_what_a_profile_wants_of_images_is_held_against_them(tmp_path: Path) -> None:
    """PS3.11 A.3.4.1 and B.3.4.1: 512 or 1024 rows, 8 bits or 12; a state needs no icon."""
    files = {
        "large": compressed(angiogram(1, 1024), tmp_path / "LARGE"),
        "deep": compressed(
            image(2, numpy.zeros((64, 64), "u2"), ANGIOGRAPHIC, Modality="XA", BitsStored=12,
                  HighBit=11),
            tmp_path / "DEEP",
        ),
        "native": save(angiogram(3, 64), tmp_path / "NATIVE"),
        "state": save(instance(4, GRAYSCALE_STATE), tmp_path / "STATE"),
    }  # fmt: skip
    for profile, refused in (
        ("STD-XABC-CD", {"large": "Rows of at most 512, not 1024", "deep": "BitsAllocated 8",
                         "native": "JPEG Lossless", "state": "no room"}),
        ("STD-XA1K-CD", {"native": "JPEG Lossless"}),
    ):  # fmt: skip
        with FileSetWriter(tmp_path / profile, profile_of(profile), CREATOR) as writer:
            for name, path in files.items():
                if name in refused:
                    with pytest.raises(StorageError, match=refused[name]):
                        writer.add(path)
                else:
                    assert writer.add(path)


def test_an_image_of_which_no_icon_can_be_made_is_refused_where_each_must_have_one(
    tmp_path: Path,
) -> None:
    broken = compressed(angiogram(1, 64), tmp_path / "IM1")
    whole = broken.read_bytes()
    start = whole.index(b"\xff\xd8\xff")
    broken.write_bytes(whole[:start] + b"\xff\xd8\xff\xd9" + whole[start + 4 :])
    with (
        FileSetWriter(tmp_path / "set", profile_of("STD-XABC-CD"), CREATOR) as writer,
        pytest.raises(StorageError, match="STD-XABC-CD wants an icon of each image"),
    ):
        writer.add(broken)
    (record,) = written(tmp_path / "other", "STD-GEN-DVD-JPEG", broken, icons=True)
    assert "IconImageSequence" not in record


def test_icons_are_there_when_they_are_asked_for_and_stay_in_an_update(tmp_path: Path) -> None:
    gradient = numpy.tile(numpy.arange(256, dtype="u2") * 16, (256, 1))
    files = [save(image(1, gradient), tmp_path / "IM1"), save(instance(2, ECG), tmp_path / "IM2")]
    (plain,) = written(tmp_path / "plain", "STD-GEN-CD", *files)
    assert "IconImageSequence" not in plain
    (record,) = written(tmp_path / "set", "STD-CTMR-CD", files[0], icons=True)
    assert icon_in(record).shape == (64, 64)
    (record,) = written(tmp_path / "all", "STD-GEN-CD", *files, icons=True)
    before = icon_in(record)
    more = save(image(3, gradient[::-1]), tmp_path / "IM3")
    first, second = written(tmp_path / "all", "STD-GEN-CD", more, update=True)
    assert (icon_in(first) == before).all()
    assert "IconImageSequence" not in second
    judged(tmp_path / "all")


def test_of_several_frames_it_is_the_representative_one_or_one_after_a_third(
    tmp_path: Path,
) -> None:
    """PS3.11 A.3.3.2, note 2."""
    frames = numpy.zeros((9, 16, 16), "u1")
    frames[3, :, :8] = 255
    frames[6, :8] = 255
    third = icon(image(1, frames), tmp_path, 16)
    assert (third == frames[3]).all()
    named = icon(image(1, frames, RepresentativeFrameNumber=7), tmp_path, 16)
    assert (named == frames[6]).all()
    beyond = icon(image(1, frames, RepresentativeFrameNumber=70), tmp_path, 16)
    assert (beyond == third).all()


def test_grey_is_shown_as_the_object_says(tmp_path: Path) -> None:
    """PS3.3 C.11.1, C.11.2: rescaled, through the window, inverted where it is MONOCHROME1."""
    values = numpy.array([[-1000, -100], [40, 1000]], "<i2")
    ct = image(1, values, RescaleSlope=1, RescaleIntercept=0, WindowCenter=50, WindowWidth=401)
    black, low, middle, white = icon(ct, tmp_path, 2).ravel().tolist()
    assert (black, white) == (0, 255)
    assert low == round(127.5 + (-100 - 49.5) * 255 / 400)
    assert middle == round(127.5 + (40 - 49.5) * 255 / 400)
    ct.RescaleSlope, ct.RescaleIntercept = 2, 100
    assert icon(ct, tmp_path, 2).ravel().tolist() == [0, 32, 211, 255]
    ct.PhotometricInterpretation = "MONOCHROME1"
    assert icon(ct, tmp_path, 2).ravel().tolist() == [255, 223, 44, 0]
    del ct.WindowCenter, ct.PhotometricInterpretation
    assert icon(ct, tmp_path, 2).ravel().tolist() == [0, 115, 133, 255]
    # What lies above the sample is none of it.
    ct = image(1, numpy.array([[0xF000, 0xF00F], [0x0007, 0x0008]], "<u2"), BitsStored=4, HighBit=3)
    assert icon(ct, tmp_path, 2).ravel().tolist() == [0, 255, 119, 136]


def test_colours_are_shown_as_their_luminance(tmp_path: Path) -> None:
    pixels = numpy.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], "u1")
    assert icon(image(1, pixels, SC), tmp_path, 2).ravel().tolist() == [76, 150, 29, 255]
    grey = numpy.array([[[76, 85, 255], [150, 44, 21]], [[29, 255, 107], [255, 128, 128]]], "u1")
    ybr = image(1, grey, SC, PhotometricInterpretation="YBR_FULL")
    assert icon(ybr, tmp_path, 2).ravel().tolist() == pytest.approx([76, 150, 29, 255], abs=1)
    planes = image(1, pixels, SC, PlanarConfiguration=1)
    planes.PixelData = numpy.moveaxis(pixels, -1, 0).tobytes()
    assert icon(planes, tmp_path, 2).ravel().tolist() == [76, 150, 29, 255]
    shared = image(1, pixels[:, :1], SC, PhotometricInterpretation="YBR_FULL_422", Columns=2)
    shared.PixelData = bytes((10, 20, 128, 128, 30, 40, 128, 128))
    assert icon(shared, tmp_path, 2).ravel().tolist() == [10, 20, 30, 40]


@pytest.mark.parametrize("bits", [8, 16])
def test_the_colours_of_a_palette_are_mixed_and_never_its_numbers(
    tmp_path: Path, bits: int
) -> None:
    numbers = numpy.tile(numpy.array([[10, 12]], "u1"), (64, 32))
    made = image(1, numbers, SC, PhotometricInterpretation="PALETTE COLOR")
    colours = numpy.array([255, 0, 100], "u1" if bits == 8 else "<u2")
    if bits == 16:
        colours = colours * 257
    for name in ("Red", "Green", "Blue"):
        setattr(made, f"{name}PaletteColorLookupTableDescriptor", [3, 10, bits])
        setattr(made, f"{name}PaletteColorLookupTableData", colours.tobytes())
    assert set(icon(made, tmp_path, 4).ravel().tolist()) == {178}
    assert icon(made, tmp_path, 64)[0, :4].tolist() == [255, 100, 255, 100]


def test_an_image_that_is_not_square_has_black_beside_it(tmp_path: Path) -> None:
    wide = icon(image(1, numpy.full((100, 200), 9, "u1"), WindowCenter=5, WindowWidth=2), tmp_path)
    assert (wide[16:48] == 255).all()
    assert not wide[:16].any() and not wide[48:].any()
    tall = image(1, numpy.full((100, 100), 9, "u1"), WindowCenter=5, WindowWidth=2)
    tall.PixelAspectRatio = [2, 1]
    assert (icon(tall, tmp_path)[:, 16:48] == 255).all()


def test_a_small_image_is_made_larger(tmp_path: Path) -> None:
    found = icon(image(1, numpy.array([[0, 255], [128, 64]], "u1")), tmp_path, 8)
    assert (found == numpy.kron([[0, 255], [128, 64]], numpy.ones((4, 4)))).all()


def test_pixels_that_nobody_can_decode_have_no_icon(tmp_path: Path) -> None:
    single = image(1, numpy.zeros((8, 8), "u1"), BitsAllocated=1, BitsStored=1, HighBit=0)
    with pytest.raises(GantryError, match="No icon"):
        icon(single, tmp_path)
    with pytest.raises(GantryError, match="no Pixel Data"):
        icon(instance(1, ECG), tmp_path)


def test_an_icon_of_a_large_image_takes_little_memory(tmp_path: Path) -> None:
    path = save(image(1, numpy.zeros((3000, 4000), "u2")), tmp_path / "IMAGE", EXPLICIT)
    icon(image(1, numpy.zeros((2, 2), "u2")), tmp_path / "first")
    with path.open("rb") as file:
        tracemalloc.start()
        icon_of(file.fileno(), read_file_meta(file.fileno()), 128)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 3 << 20
