"""Headers of video streams (PS3.5 8.2.5 to 8.2.11), of ffmpeg's encoders and damaged."""

from __future__ import annotations

import pytest

from agent.codecs.frame import FrameDescription
from agent.codecs.video import complaint
from agent.codecs.video_container import find_header
from agent.dataset.transfer_syntaxes import Family
from tests.codecs.frames import damaged
from tests.codecs.videos import video

pytestmark = pytest.mark.peer
FRAME = FrameDescription(576, 720, 3)
SYNTAX = "1.2.840.10008.1.2.4."


@pytest.mark.parametrize("container", ["ts", "mp4", ""])
@pytest.mark.parametrize("family, profile", [("mpeg2", 4), ("h264", 100), ("hevc", 1)])
def test_a_header_is_found_in_every_container(family: str, profile: int, container: str) -> None:
    if (family, container) == ("mpeg2", "mp4"):
        pytest.skip("PS3.5 8.2.5 has MPEG-2 in no MP4")
    for rows, columns in ((576, 720), (242, 318)):
        found = find_header(video(family, container, rows=rows, columns=columns, frames=1))
        assert found is not None and found.header is not None
        header = found.header
        assert found.container == {"ts": "transport stream", "mp4": "MP4", "": ""}[container]
        assert (header.family, header.rows, header.columns) == (Family(family), rows, columns)
        assert (header.chroma_format, header.bits) == (1, 8)
        assert header.profile in (profile, 77)


@pytest.mark.parametrize(
    "syntax, family, options, words",
    [
        ("100", "mpeg2", {}, ""),
        ("101.1", "mpeg2", {}, ""),
        ("102", "h264", {}, ""),
        ("102.1", "h264", {"profile": "baseline"}, ""),
        ("103", "h264", {"container": "mp4"}, ""),
        ("104", "h264", {"level": "42"}, ""),
        ("107", "hevc", {}, ""),
        ("108", "hevc", {"pixel_format": "yuv420p10le"}, ""),
        ("100", "h264", {}, "is h264, not mpeg2"),
        ("102", "hevc", {}, "is hevc, not h264"),
        ("102", "h264", {"container": ""}, "no container"),
        ("102", "h264", {"level": "52"}, "the level 52, above 41"),
        ("102", "h264", {"pixel_format": "yuv422p"}, "the profile 122"),
        ("107", "hevc", {"pixel_format": "yuv420p10le"}, "the profile 2"),
        ("102", "h264", {"rows": 480}, "480 rows of 720 pixels, the object 576 of 720"),
        ("100", "mpeg2", {"rows": 1080, "columns": 1920}, "the level 4, above 8"),
    ],
)
def test_a_stream_is_held_against_its_object(
    syntax: str, family: str, options: dict[str, str], words: str
) -> None:
    said = complaint(video(family, **options), SYNTAX + syntax, FRAME)
    assert words in said and bool(words) == bool(said)


def test_what_is_no_video_is_told() -> None:
    for data in (b"", b"GIF89a" + bytes(100), b"\x47" + bytes(187) + b"\x47" + bytes(187)):
        assert complaint(data, SYNTAX + "102", FRAME) in (
            "this is no video stream that is known here",
            "",
        )
    # The header of an MP4 file may come at its end: nothing can be said then.
    assert complaint(b"\0\0\0\x10ftypisom\0\0\0\0\0\0\1\0mdat", SYNTAX + "102", FRAME) == ""


@pytest.mark.parametrize("family", ["mpeg2", "h264", "hevc"])
@pytest.mark.parametrize("container", ["ts", "mp4"])
def test_no_damaged_stream_does_more_than_complain(family: str, container: str) -> None:
    if (family, container) == ("mpeg2", "mp4"):
        return
    stream = video(family, container, rows=64, columns=64, frames=1)[:2000]
    for broken in damaged(stream, 7, 600):
        assert isinstance(complaint(broken, SYNTAX + "102", FRAME), str)
