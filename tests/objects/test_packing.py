import subprocess
import sys

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import LocalError
from agent.objects.iods import (
    MULTI_FRAME_GRAYSCALE_BYTE_SECONDARY_CAPTURE_IMAGE,
    SECONDARY_CAPTURE_IMAGE,
    ULTRASOUND_IMAGE,
)
from agent.objects.packing import packing
from hal.capture.pixel_formats import PIXEL_FORMATS


def packed(pixel_format, width, height, data, stride, sop_class_uid=SECONDARY_CAPTURE_IMAGE, **how):
    made = packing(pixel_format, width, height, sop_class_uid, **how)
    with memoryview(data) as view:
        result = b"".join(bytes(strip) for strip in made.strips(view, stride))
    assert len(result) == made.pixels.frame_length
    return result


@settings(max_examples=60, deadline=None)
@given(
    pixel_format=st.sampled_from(["GREY", "Y10", "Y16", "RGB24", "BGR24", "YUYV", "UYVY"]),
    width=st.integers(1, 40).map(lambda half: 2 * half),
    height=st.integers(1, 12),
    padding=st.integers(0, 9),
    seed=st.integers(0, 1000),
)
def test_samples_keep_their_values_and_only_change_their_places(
    pixel_format, width, height, padding, seed
):
    row = PIXEL_FORMATS[pixel_format].row_length(width)
    random = numpy.random.default_rng(seed)
    data = random.integers(0, 256, (height, row + padding), dtype=numpy.uint8)
    result = packed(pixel_format, width, height, data.tobytes(), row + padding)
    kept = data[:, :row]
    if pixel_format == "BGR24":
        kept = kept.reshape(height, width, 3)[:, :, ::-1]
    elif pixel_format == "YUYV":
        kept = kept.reshape(height, width // 2, 4)[:, :, [0, 2, 1, 3]]
    elif pixel_format == "UYVY":
        kept = kept.reshape(height, width // 2, 4)[:, :, [1, 3, 0, 2]]
    assert result == kept.tobytes()


def test_frames_of_several_strips_are_whole():
    width, height = 1280, 300
    data = numpy.random.default_rng(1).integers(0, 256, (height, width * 2), dtype=numpy.uint8)
    result = packed("YUYV", width, height, data.tobytes(), width * 2)
    quads = data.reshape(height, width // 2, 4)[:, :, [0, 2, 1, 3]]
    assert result == quads.tobytes()


@pytest.mark.parametrize("full_range", [True, False])
def test_ycbcr_becomes_rgb_as_the_equations_say(full_range):
    values = numpy.stack(numpy.meshgrid(*[numpy.arange(0, 256, 15)] * 3, indexing="ij"), -1)
    luma, blueness, redness = (values.reshape(-1, 3)[:, plane] for plane in range(3))
    data = numpy.stack((luma, blueness, luma, redness), 1).astype(numpy.uint8)
    result = packed(
        "YUYV", 2, len(data), data.tobytes(), 4, ULTRASOUND_IMAGE, full_range=full_range
    )
    shown = numpy.frombuffer(result, dtype=numpy.uint8).reshape(-1, 2, 3)
    y, b, r = (plane.astype(float) for plane in (luma, blueness - 128.0, redness - 128.0))
    if not full_range:
        y = numpy.clip((y - 16) * 255 / 219, 0, 255)
        b, r = (numpy.clip(c * 255 / 224, -128, 127) for c in (b, r))
    meant = numpy.stack((y + 1.402 * r, y - 0.344136 * b - 0.714136 * r, y + 1.772 * b), 1)
    meant = numpy.clip(meant, 0, 255)
    assert numpy.abs(shown[:, 0] - meant).max() <= (0.51 if full_range else 2)
    assert numpy.array_equal(shown[:, 0], shown[:, 1])


def test_a_limited_range_is_stretched_to_the_full_one():
    data = bytes([16, 128, 235, 128, 235, 16, 16, 240, 0, 0, 255, 255])
    result = packed("YUYV", 2, 3, data, 4, full_range=False)
    assert list(result) == [0, 255, 128, 128, 255, 0, 0, 255, 0, 255, 0, 255]


@pytest.mark.parametrize("pixel_format", ["MJPEG", "no such format"])
def test_formats_that_cannot_be_packed_are_refused(pixel_format):
    with pytest.raises(LocalError, match="cannot be packed"):
        packing(pixel_format, 4, 4, ULTRASOUND_IMAGE)


@pytest.mark.parametrize(
    ("pixel_format", "sop_class_uid"),
    [
        ("Y16", ULTRASOUND_IMAGE),
        ("RGB24", MULTI_FRAME_GRAYSCALE_BYTE_SECONDARY_CAPTURE_IMAGE),
    ],
)
def test_a_format_that_the_object_cannot_hold_is_refused(pixel_format, sop_class_uid):
    with pytest.raises(LocalError, match="not allowed"):
        packing(pixel_format, 4, 4, sop_class_uid)


def test_a_buffer_that_is_too_short_is_refused():
    made = packing("GREY", 4, 4, ULTRASOUND_IMAGE)
    with pytest.raises(LocalError, match="shorter"):
        list(made.strips(memoryview(bytes(15)), 4))


def test_no_strip_outlives_the_frame():
    made = packing("GREY", 4, 4, ULTRASOUND_IMAGE)
    with memoryview(bytes(16)) as view:
        for strip in made.strips(view, 4):
            last = strip
        with pytest.raises(ValueError, match="released"):
            last[0]


def test_packing_and_writing_need_no_numpy_until_colours_are_converted():
    program = (
        "import sys\n"
        "from agent.objects.packing import packing\n"
        "import agent.objects.composite\n"
        "made = packing('YUYV', 2, 1, '1.2.840.10008.5.1.4.1.1.7')\n"
        "list(made.strips(memoryview(bytes(4)), 4))\n"
        "assert not {'numpy', 'pydicom', 'ssl', 'sqlite3'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
