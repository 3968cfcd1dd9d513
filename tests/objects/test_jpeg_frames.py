"""JPEG frames into objects as they are: what is said of them, and what others decode."""

import dataclasses

import numpy
import pydicom
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom.encaps import generate_frames

from agent.dataset.transfer_syntaxes import JPEG_BASELINE
from agent.errors import LocalError
from agent.objects.iods import (
    SECONDARY_CAPTURE_IMAGE,
    ULTRASOUND_IMAGE,
    ULTRASOUND_MULTI_FRAME_IMAGE,
)
from agent.objects.jpeg_frames import KeptFrames, jpeg_pixels
from agent.objects.pixels import colour, grey
from agent.objects.visible_light import VL_ENDOSCOPIC_IMAGE
from tests.objects.examples import ObjectFile
from tests.objects.judging import by_dcmtk, errors_of, pixels_by_dcmtk


@pytest.fixture(scope="module")
def streams(tmp_path_factory):
    """JPEG baseline streams as DCMTK makes them, of grey and of colour, by samples per pixel."""
    folder = tmp_path_factory.mktemp("jpeg")
    made = {}
    for pixels in (grey(32, 48), colour(32, 48)):
        file = ObjectFile(folder, SECONDARY_CAPTURE_IMAGE, pixels)
        ramp = numpy.linspace(0, 255, pixels.frame_length).astype("u1")
        file.writer.write_frame(ramp.tobytes())
        file.finish()
        target = folder / "compressed.dcm"
        by_dcmtk("dcmcjpeg", "+eb", file.path, target)
        read = pydicom.dcmread(target)
        (frame,) = generate_frames(read.PixelData, number_of_frames=1)
        made[pixels.samples_per_pixel] = (bytes(frame), pixels_by_dcmtk(target))
    return made


@pytest.mark.peer
@pytest.mark.parametrize(
    ("sop_class_uid", "samples", "frames"),
    [
        (ULTRASOUND_IMAGE, 1, 1),
        (ULTRASOUND_IMAGE, 3, 1),
        (ULTRASOUND_MULTI_FRAME_IMAGE, 3, 3),
        (VL_ENDOSCOPIC_IMAGE, 3, 1),
        (SECONDARY_CAPTURE_IMAGE, 3, 1),
    ],
)
def test_a_stream_is_kept_and_decoded_to_what_it_held(
    tmp_path, streams, sop_class_uid, samples, frames
):
    stream, shown = streams[samples]
    pixels = jpeg_pixels(stream)
    assert (pixels.rows, pixels.columns, pixels.samples_per_pixel) == (32, 48, samples)
    file = ObjectFile(tmp_path, sop_class_uid, pixels, transfer_syntax_uid=JPEG_BASELINE)
    for _ in range(frames):
        write_kept(file.writer, pixels, stream)
    file.finish(frames)
    assert errors_of(file.path) == []
    read = pydicom.dcmread(file.path)
    found = list(generate_frames(read.PixelData, number_of_frames=frames))
    assert [each[: len(stream)] for each in found] == [stream] * frames
    assert read.LossyImageCompressionMethod == "ISO_10918_1"
    assert numpy.array_equal(pixels_by_dcmtk(file.path), shown)


def write_kept(writer, pixels, stream):
    """As `record` does."""
    writer.begin_frame()
    for strip in KeptFrames(pixels).strips(memoryview(stream), 0):
        writer.write(strip)
    writer.end_frame()


@pytest.mark.peer
def test_streams_that_nobody_can_decode_are_refused(streams):
    stream, _ = streams[3]
    without = stream
    while b"\xff\xc4" in without:
        start = without.index(b"\xff\xc4")
        length = int.from_bytes(without[start + 2 : start + 4], "big") + 2
        without = without[:start] + without[start + length :]
    with pytest.raises(LocalError, match="Huffman"):
        jpeg_pixels(without)
    with pytest.raises(LocalError, match="not baseline"):
        jpeg_pixels(stream.replace(b"\xff\xc0", b"\xff\xc2", 1))
    with pytest.raises(LocalError, match="no JPEG stream"):
        jpeg_pixels(b"BM" + stream)
    with pytest.raises(LocalError, match="ends before"):
        jpeg_pixels(stream[:40])


@pytest.mark.peer
def test_colours_without_a_transform_are_rgb(streams):
    stream, _ = streams[3]
    adobe = b"\xff\xee\x00\x0eAdobe\0\x64\0\0\0\0"
    assert jpeg_pixels(stream[:2] + adobe + b"\0" + stream[2:]).photometric_interpretation == "RGB"
    with_transform = stream[:2] + adobe + b"\1" + stream[2:]
    assert jpeg_pixels(with_transform).photometric_interpretation == "YBR_FULL_422"


@given(st.binary(max_size=200), st.booleans())
@example(b"\xff\xff\xff\xc0\x00\x02\xff\xda\x00\x00", True)
def test_any_bytes_are_described_or_refused(data, with_start):
    try:
        jpeg_pixels(b"\xff\xd8" + data if with_start else data)
    except LocalError as error:
        assert error.clause == "PS3.5 8.2.1"


def test_pixels_that_were_lossy_once_say_so_and_no_ratio_is_made_up(tmp_path):
    for ratio, said in ((None, False), (12.5, True)):
        pixels = dataclasses.replace(
            grey(2, 2), lossy="01", compression_method="ISO_10918_1", compression_ratio=ratio
        )
        file = ObjectFile(tmp_path, ULTRASOUND_IMAGE, pixels)
        file.writer.write_frame(b"1234")
        file.finish()
        read = pydicom.dcmread(file.path)
        assert read.LossyImageCompression == "01"
        assert ("LossyImageCompressionRatio" in read) is said
