"""From the simulator's frames to objects that others read and judge."""

import numpy
import pydicom
import pytest

from agent.dataset.uid import new_uid
from agent.objects.cross_sectional import (
    CT_IMAGE,
    MR_IMAGE,
    POSITRON_EMISSION_TOMOGRAPHY_IMAGE,
)
from agent.objects.description import SeriesIdentity
from agent.objects.iods import (
    MULTI_FRAME_GRAYSCALE_BYTE_SECONDARY_CAPTURE_IMAGE,
    MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE,
    MULTI_FRAME_SINGLE_BIT_SECONDARY_CAPTURE_IMAGE,
    MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE,
    SECONDARY_CAPTURE_IMAGE,
    ULTRASOUND_IMAGE,
    ULTRASOUND_MULTI_FRAME_IMAGE,
)
from agent.objects.ophthalmic import (
    OPHTHALMIC_PHOTOGRAPHY_8_BIT_IMAGE,
    OPHTHALMIC_PHOTOGRAPHY_16_BIT_IMAGE,
)
from agent.objects.packing import packing
from agent.objects.projection import (
    COMPUTED_RADIOGRAPHY_IMAGE,
    DIGITAL_X_RAY_IMAGE_FOR_PRESENTATION,
    DIGITAL_X_RAY_IMAGE_FOR_PROCESSING,
    X_RAY_ANGIOGRAPHIC_IMAGE,
    X_RAY_RADIOFLUOROSCOPIC_IMAGE,
)
from agent.objects.visible_light import (
    VIDEO_ENDOSCOPIC_IMAGE,
    VL_ENDOSCOPIC_IMAGE,
    VL_MICROSCOPIC_IMAGE,
    VL_PHOTOGRAPHIC_IMAGE,
)
from hal.capture.base import CaptureFormat, FrameRate
from hal.capture.patterns import read_frame_number
from hal.capture.simulator import SimulatedCapture
from tests.hal.clocks import StoppedClock
from tests.objects.examples import ObjectFile, examination, takes_clips
from tests.objects.wrong_errors import is_wrong
from tests.peers.dicom3tools import dciodvfy

CASES = [
    (ULTRASOUND_IMAGE, "GREY", "MONOCHROME2"),
    (ULTRASOUND_IMAGE, "RGB24", "RGB"),
    (ULTRASOUND_MULTI_FRAME_IMAGE, "GREY", "MONOCHROME2"),
    (ULTRASOUND_MULTI_FRAME_IMAGE, "RGB24", "RGB"),
    (ULTRASOUND_MULTI_FRAME_IMAGE, "YUYV", "RGB"),
    (SECONDARY_CAPTURE_IMAGE, "GREY", "MONOCHROME2"),
    (SECONDARY_CAPTURE_IMAGE, "Y16", "MONOCHROME2"),
    (SECONDARY_CAPTURE_IMAGE, "BGR24", "RGB"),
    (SECONDARY_CAPTURE_IMAGE, "YUYV", "YBR_FULL_422"),
    (SECONDARY_CAPTURE_IMAGE, "UYVY", "YBR_FULL_422"),
    (SECONDARY_CAPTURE_IMAGE, "NV12", "YBR_FULL_422"),
    (SECONDARY_CAPTURE_IMAGE, "Y10", "MONOCHROME2"),
    (ULTRASOUND_MULTI_FRAME_IMAGE, "NV12", "RGB"),
    (MULTI_FRAME_GRAYSCALE_BYTE_SECONDARY_CAPTURE_IMAGE, "GREY", "MONOCHROME2"),
    (MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE, "Y10", "MONOCHROME2"),
    (MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE, "Y12", "MONOCHROME2"),
    (MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE, "Y16", "MONOCHROME2"),
    (MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE, "RGB24", "RGB"),
    (MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE, "UYVY", "RGB"),
    (MULTI_FRAME_SINGLE_BIT_SECONDARY_CAPTURE_IMAGE, "GREY", "MONOCHROME2"),
    (CT_IMAGE, "Y12", "MONOCHROME2"),
    (MR_IMAGE, "Y16", "MONOCHROME2"),
    (POSITRON_EMISSION_TOMOGRAPHY_IMAGE, "Y16", "MONOCHROME2"),
    (VL_ENDOSCOPIC_IMAGE, "RGB24", "RGB"),
    (VL_ENDOSCOPIC_IMAGE, "YUYV", "RGB"),
    (VL_MICROSCOPIC_IMAGE, "BGR24", "RGB"),
    (VL_PHOTOGRAPHIC_IMAGE, "GREY", "MONOCHROME2"),
    (VIDEO_ENDOSCOPIC_IMAGE, "RGB24", "RGB"),
    (X_RAY_ANGIOGRAPHIC_IMAGE, "GREY", "MONOCHROME2"),
    (X_RAY_RADIOFLUOROSCOPIC_IMAGE, "Y12", "MONOCHROME2"),
    (COMPUTED_RADIOGRAPHY_IMAGE, "Y12", "MONOCHROME2"),
    (DIGITAL_X_RAY_IMAGE_FOR_PRESENTATION, "Y12", "MONOCHROME2"),
    (DIGITAL_X_RAY_IMAGE_FOR_PROCESSING, "Y16", "MONOCHROME2"),
    (OPHTHALMIC_PHOTOGRAPHY_8_BIT_IMAGE, "RGB24", "RGB"),
    (OPHTHALMIC_PHOTOGRAPHY_16_BIT_IMAGE, "Y16", "MONOCHROME2"),
]
# What some kinds cannot do without.
PROJECTION = {"patient_orientation": ("L", "F"), "pixel_spacing": (0.15, 0.15)}
NEEDED = {
    DIGITAL_X_RAY_IMAGE_FOR_PRESENTATION: PROJECTION,
    DIGITAL_X_RAY_IMAGE_FOR_PROCESSING: PROJECTION,
}
EYES = (OPHTHALMIC_PHOTOGRAPHY_8_BIT_IMAGE, OPHTHALMIC_PHOTOGRAPHY_16_BIT_IMAGE)

WIDTH, HEIGHT = 162, 90


def capture(folder, sop_class_uid, pixel_format, frames, **instance):
    """An object of captured frames; the captured bytes without padding of rows beside it."""
    clock = StoppedClock()
    device = SimulatedCapture(clock=clock, pattern="ultrasound", stride_alignment=64)
    device.open()
    given = device.configure(CaptureFormat(pixel_format, WIDTH, HEIGHT, FrameRate(25)))
    device.start()
    packed = packing(pixel_format, WIDTH, HEIGHT, sop_class_uid, full_range=given.full_range)
    file = ObjectFile(folder, sop_class_uid, packed.pixels, **instance)
    captured = []
    for _ in range(frames):
        with device.dequeue() as frame:
            rows = numpy.frombuffer(frame.view, dtype=numpy.uint8).reshape(-1, frame.stride)
            width = {"GREY": 1, "NV12": 1, "RGB24": 3, "BGR24": 3}.get(pixel_format, 2) * WIDTH
            captured.append(rows[:, :width].copy())
            del rows
            file.writer.begin_frame()
            for strip in packed.strips(frame.view, frame.stride):
                file.writer.write(strip)
            file.writer.end_frame()
        clock.time = device.deadline()
    file.finish(frames)
    device.close()
    return file.path, captured


def expected(pixel_format, rows):
    """What the captured bytes mean, by another way than the code's."""
    if pixel_format in ("Y10", "Y12", "Y16"):
        return rows.copy().view("<u2")
    if pixel_format == "GREY":
        return rows
    if pixel_format == "RGB24":
        return rows.reshape(HEIGHT, WIDTH, 3)
    if pixel_format == "BGR24":
        return rows.reshape(HEIGHT, WIDTH, 3)[:, :, ::-1]
    if pixel_format == "NV12":
        shared = rows[HEIGHT:].reshape(HEIGHT // 2, WIDTH // 2, 2)
        return numpy.dstack((rows[:HEIGHT], shared.repeat(2, axis=0).repeat(2, axis=1)))
    quads = rows.reshape(HEIGHT, WIDTH // 2, 4)
    luma, chroma = (quads[:, :, 0::2], quads[:, :, 1::2])
    if pixel_format == "UYVY":
        luma, chroma = chroma, luma
    luma = luma.reshape(HEIGHT, WIDTH)
    chroma = chroma.repeat(2, axis=1)
    return numpy.dstack((luma, chroma))


@pytest.mark.peer
@pytest.mark.parametrize(("sop_class_uid", "pixel_format", "photometric"), CASES)
def test_objects_hold_what_was_captured_and_dciodvfy_finds_no_error(
    tmp_path, sop_class_uid, pixel_format, photometric
):
    multi_frame = takes_clips(sop_class_uid)
    instance = dict(NEEDED.get(sop_class_uid, {}))
    if sop_class_uid in EYES:
        instance["identity"] = examination(series=SeriesIdentity(new_uid(), 1, laterality="L"))
    count = 3 if multi_frame else 1
    path, captured = capture(tmp_path, sop_class_uid, pixel_format, count, **instance)
    errors = [line for line in dciodvfy(path) if not is_wrong(line, sop_class_uid, photometric)]
    assert errors == []
    read = pydicom.dcmread(path)
    assert read.PhotometricInterpretation == photometric
    assert read.get("NumberOfFrames", 1) == len(captured)
    pixels = read.pixel_array if photometric != "YBR_FULL_422" else raw_422(read)
    if not multi_frame:
        pixels = pixels[numpy.newaxis]
    for shown, rows in zip(pixels, captured, strict=True):
        meant = expected(pixel_format, rows)
        if read.BitsAllocated == 1:
            meant = meant >= 128
        if photometric == "RGB" and pixel_format in ("YUYV", "UYVY", "NV12"):
            meant = in_rgb(meant)
            assert numpy.abs(shown.astype(int) - meant.astype(int)).max() <= 1
        else:
            assert numpy.array_equal(shown, meant)


def raw_422(read):
    """The samples as stored: two of luma, then Cb and Cr for both pixels."""
    quads = numpy.frombuffer(read.PixelData, dtype=numpy.uint8).reshape(HEIGHT, WIDTH // 2, 4)
    luma = quads[:, :, :2].reshape(HEIGHT, WIDTH)
    return numpy.dstack((luma, quads[:, :, 2:].repeat(2, axis=1)))


def in_rgb(image):
    luma, blueness, redness = (image[:, :, plane].astype(float) for plane in range(3))
    blueness, redness = blueness - 128, redness - 128
    planes = (
        luma + 1.402 * redness,
        luma - 0.344136 * blueness - 0.714136 * redness,
        luma + 1.772 * blueness,
    )
    return numpy.clip(numpy.rint(numpy.dstack(planes)), 0, 255)


@pytest.mark.peer
def test_the_laterality_that_the_checker_asks_for_is_all_that_it_misses(tmp_path):
    path, _ = capture(
        tmp_path,
        ULTRASOUND_IMAGE,
        "GREY",
        1,
        identity=examination(
            series=SeriesIdentity(new_uid(), 1, laterality="L", body_part_examined="BREAST")
        ),
    )
    assert dciodvfy(path) == ()


def test_frame_numbers_in_the_pixels_of_a_clip_prove_order_and_completeness(tmp_path):
    path, _ = capture(tmp_path, ULTRASOUND_MULTI_FRAME_IMAGE, "GREY", 40)
    read = pydicom.dcmread(path)
    length = WIDTH * HEIGHT
    numbers = [
        read_frame_number(read.PixelData[n * length : (n + 1) * length], "GREY", WIDTH, WIDTH)
        for n in range(40)
    ]
    assert numbers == list(range(40))
