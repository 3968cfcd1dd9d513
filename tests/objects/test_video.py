"""Video streams wrapped: one fragment or several, byte for byte, judged by dciodvfy."""

import os
import tracemalloc

import pydicom
import pytest

from agent.dataset.file_meta import encode_file_meta
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, JPEG_BASELINE
from agent.dataset.uid import new_uid
from agent.errors import LocalError
from agent.objects.description import Cine, InstanceDescription
from agent.objects.ultrasound import ULTRASOUND_MULTI_FRAME_IMAGE
from agent.objects.video import begin_video, video_pixels
from agent.objects.visible_light import (
    VIDEO_ENDOSCOPIC_IMAGE,
    VIDEO_MICROSCOPIC_IMAGE,
    VIDEO_PHOTOGRAPHIC_IMAGE,
)
from tests.codecs.videos import video
from tests.objects.examples import MOMENT, device, examination
from tests.objects.judging import dump, errors_of

MPEG2, H264 = "1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.102"
H264_FRAGMENTABLE = "1.2.840.10008.1.2.4.102.1"
SYNTAXES = [f"1.2.840.10008.1.2.4.{number}" for number in range(100, 108)]


class VideoFile:
    def __init__(self, folder, sop_class_uid, syntax, **options):
        self.path = folder / "video.dcm"
        self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        uid = new_uid()
        self.writer = begin_video(
            self.descriptor,
            sop_class_uid,
            examination(),
            video_pixels(576, 720),
            device(),
            InstanceDescription(uid, 1, MOMENT, MOMENT),
            cine=Cine.at_rate(25),
            transfer_syntax_uid=syntax,
            file_meta=encode_file_meta(
                sop_class_uid=sop_class_uid,
                sop_instance_uid=uid,
                transfer_syntax_uid=syntax,
                implementation_class_uid="1.2.826.0.1.3680043.10.999",
            ),
            **options,
        )

    def finish(self, *arguments, **options):
        finished = self.writer.finish(*arguments, **options)
        os.close(self.descriptor)
        return finished


def video_of(syntax):
    """A real stream for a transfer syntax."""
    number = int(syntax.removesuffix(".1").rpartition(".")[2])
    family = "mpeg2" if number < 102 else "h264" if number < 107 else "hevc"
    return video(family)


def stream_of(read):
    """What is in the fragments, the first of which is the Basic Offset Table."""
    return list(pydicom.encaps.generate_fragments(read.PixelData))[1:]


@pytest.mark.peer
@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize(
    ("sop_class_uid", "modality"),
    [
        (VIDEO_ENDOSCOPIC_IMAGE, "ES"),
        (VIDEO_MICROSCOPIC_IMAGE, "GM"),
        (VIDEO_PHOTOGRAPHIC_IMAGE, "XC"),
    ],
)
def test_a_stream_is_one_fragment_of_a_valid_object(tmp_path, sop_class_uid, modality, syntax):
    stream = video_of(syntax)
    stream += b"" if len(stream) % 2 else b"x"
    file = VideoFile(tmp_path, sop_class_uid, syntax)
    for start in range(0, len(stream), 1000):
        file.writer.write(stream[start : start + 1000])
    finished = file.finish(50)
    assert errors_of(file.path) == []
    read = pydicom.dcmread(file.path)
    assert stream_of(read) == [stream + b"\0"]
    assert (read.Modality, read.NumberOfFrames, read.FrameTime) == (modality, 50, 40)
    assert read.PhotometricInterpretation == "YBR_PARTIAL_420"
    assert (read.LossyImageCompression, read.CineRate) == ("01", 25)
    assert read.LossyImageCompressionMethod in ("ISO_13818_2", "ISO_14496_10", "ISO_23008_2")
    assert float(read.LossyImageCompressionRatio) == round(720 * 576 * 1.5 * 50 / len(stream), 2)
    assert ("StereoPairsPresent" in read) is syntax.endswith("106")
    assert "PixelSequence" in dump(file.path)
    assert finished.length == file.path.stat().st_size


def test_a_fragmentable_syntax_cuts_the_stream_and_loses_nothing(tmp_path):
    stream = video_of(H264)[:3263]
    file = VideoFile(tmp_path, VIDEO_ENDOSCOPIC_IMAGE, H264_FRAGMENTABLE, longest_fragment=1001)
    for start in range(0, len(stream), 777):
        file.writer.write(memoryview(stream)[start : start + 777])
    assert file.writer.length == len(stream)
    file.finish(3, frame_time=33.3)
    read = pydicom.dcmread(file.path)
    fragments = stream_of(read)
    assert [len(each) for each in fragments] == [1000, 1000, 1000, 264]
    assert b"".join(fragments) == stream + b"\0"
    assert read.FrameTime == 33.3


def test_a_stream_too_long_for_one_fragment_is_refused_where_there_may_be_no_second(tmp_path):
    file = VideoFile(tmp_path, VIDEO_ENDOSCOPIC_IMAGE, MPEG2, longest_fragment=100)
    file.writer.write(video_of(MPEG2)[:100])
    with pytest.raises(LocalError, match="one fragment"):
        file.writer.write(b"x")
    file.writer.discard()
    file.writer.discard()
    assert file.path.stat().st_size == 0
    with pytest.raises(LocalError):
        file.writer.write(b"x")


@pytest.mark.parametrize("syntax", [EXPLICIT_VR_LITTLE_ENDIAN, JPEG_BASELINE])
def test_a_syntax_that_is_none_of_video_is_refused(tmp_path, syntax):
    with pytest.raises(LocalError, match="none of video"):
        VideoFile(tmp_path, VIDEO_ENDOSCOPIC_IMAGE, syntax)


def test_ultrasound_takes_no_video(tmp_path):
    with pytest.raises(LocalError, match="not allowed"):
        VideoFile(tmp_path, ULTRASOUND_MULTI_FRAME_IMAGE, H264)


def test_an_empty_stream_is_no_video(tmp_path):
    file = VideoFile(tmp_path, VIDEO_ENDOSCOPIC_IMAGE, H264)
    with pytest.raises(LocalError, match="at least one frame"):
        file.writer.finish(1)
    file.writer.write(b"x")
    with pytest.raises(LocalError, match="at least one frame"):
        file.writer.finish(0)


def test_a_stream_of_64_megabytes_takes_no_memory(tmp_path):
    file = VideoFile(tmp_path, VIDEO_ENDOSCOPIC_IMAGE, H264)
    stream = video_of(H264)
    file.writer.write(stream)
    file.writer.write(bytes((1 << 20) - len(stream)))
    piece = bytes(1 << 16)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(1024):
        file.writer.write(piece)
    finished = file.finish(1500)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - before < 16_384 and finished.length > 64 << 20
    file.path.unlink()


def test_an_hevc_object_has_the_attributes_of_the_others(tmp_path):
    """The checker does not know HEVC: what it says of H.264 must hold."""
    heads = []
    for syntax in (H264, "1.2.840.10008.1.2.4.107"):
        file = VideoFile(tmp_path, VIDEO_ENDOSCOPIC_IMAGE, syntax)
        file.writer.write(video_of(syntax))
        file.finish(1)
        read = pydicom.dcmread(file.path)
        heads.append({element.tag: element.value for element in read})
    differing = {tag for tag in heads[0].keys() | heads[1].keys() if heads[0][tag] != heads[1][tag]}
    # Its UIDs, name and ratio of the compression, and the stream.
    allowed = {0x00080018, 0x0020000D, 0x0020000E, 0x00282112, 0x00282114, 0x7FE00010}
    assert differing <= allowed


def test_a_stream_that_is_not_what_the_object_says_is_refused(tmp_path):
    for syntax, stream, words in (
        (H264, video("hevc"), "hevc, not h264"),
        (H264, video("h264", rows=480), "480 rows of 720"),
        (H264, b"no video at all" * 99, "no video stream"),
    ):
        file = VideoFile(tmp_path, VIDEO_ENDOSCOPIC_IMAGE, syntax)
        file.writer.write(stream)
        with pytest.raises(LocalError, match=words):
            file.writer.finish(3)
        file.writer.discard()
