"""Video streams made by ffmpeg's encoders, in the containers that PS3.5 allows."""

from __future__ import annotations

import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

ENCODERS = {"mpeg2": "mpeg2video", "h264": "libx264", "hevc": "libx265"}
CONTAINERS = {"ts": "mpegts", "mp4": "mp4", "": ""}


def video(
    family: str,
    container: str = "ts",
    *,
    rows: int = 576,
    columns: int = 720,
    frames: int = 3,
    pixel_format: str = "yuv420p",
    **options: str,
) -> bytes:
    """A stream of at least three frames; `options` are those of the encoder. MP4 has its header in
    front."""
    av = pytest.importorskip("av")
    kind = CONTAINERS[container] or {"mpeg2": "mpeg2video"}.get(family, family)
    muxer = {"movflags": "faststart"} if kind == "mp4" else {}
    quiet = {"x265-params": "log-level=none:pools=none:frame-threads=1"} if family == "hevc" else {}
    # In a file: to put the header in front, it is read again.
    with tempfile.NamedTemporaryFile() as target:
        with av.open(target.name, "w", format=kind, options=muxer) as output:
            stream = output.add_stream(
                ENCODERS[family], rate=Fraction(25), options={**quiet, **options}
            )
            stream.height, stream.width, stream.pix_fmt = rows, columns, pixel_format
            y, x = np.mgrid[0:rows, 0:columns]
            for number in range(max(3, frames)):
                picture = np.stack([(x + y * each + 9 * number) % 256 for each in (1, 2, 3)], -1)
                frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8), format="rgb24")
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        return Path(target.name).read_bytes()
