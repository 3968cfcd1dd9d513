"""JPEG-LS beside CharLS (imagecodecs, pyjpegls): `python -m tests.bench.codecs_jpeg_ls`.

Ratios above 1 say that we are faster; how it is measured, `codec_rows` says.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np

from agent.codecs import jpeg_ls
from agent.codecs.codec import EncodeSettings
from agent.codecs.frame import FrameDescription
from agent.codecs.rows import PassingRows, StoredRows, strip_height
from agent.dataset.byte_source import MemoryBytes
from agent.dataset.transfer_syntaxes import JPEG_LS_NEAR_LOSSLESS
from tests.bench.codec_rows import Image, Row, described, fastest, images, peak


def encode(frame: FrameDescription, native: bytes, near: int) -> bytes:
    rows = StoredRows(frame, MemoryBytes(native))
    settings = EncodeSettings(near=near)
    return b"".join(jpeg_ls.encode(JPEG_LS_NEAR_LOSSLESS, frame, rows, settings).pieces)


def decode(frame: FrameDescription, coded: bytes) -> None:
    for _ in jpeg_ls.decode(frame, MemoryBytes(coded)).strips:
        pass


def encoders(image: Image, bits: int, near: int) -> dict[str, Callable[[], object]]:
    import imagecodecs
    import jpeg_ls as pyjpegls

    frame, native = described(image, bits), image.tobytes()
    shape = (*image.shape[:2], frame.samples_per_pixel, bits)
    mode = 2 if image.ndim == 3 else 0
    return {
        "gantry": lambda: encode(frame, native, near),
        "imagecodecs": lambda: imagecodecs.jpegls_encode(image, near),
        "pyjpegls": lambda: pyjpegls.encode_buffer(
            native, *shape, lossy_error=near, interleave_mode=mode
        ),
    }


def decoders(frame: FrameDescription, coded: bytes) -> dict[str, Callable[[], object]]:
    import imagecodecs
    import jpeg_ls as pyjpegls

    return {
        "gantry": lambda: decode(frame, coded),
        "imagecodecs": lambda: imagecodecs.jpegls_decode(coded),
        "pyjpegls": lambda: pyjpegls.decode_pixel_data(coded),
    }


def rows(rounds: int) -> Iterator[Row]:
    """All comparisons; all decode the stream that CharLS wrote, and then the one that we did."""
    import imagecodecs

    for name, (image, bits) in images().items():
        frame, native = described(image, bits), image.tobytes()
        for near in (0, 2):
            theirs = bytes(imagecodecs.jpegls_encode(image, near))
            for what, calls in (
                ("encode", encoders(image, bits, near)),
                ("decode", decoders(frame, theirs)),
                ("d.ours", decoders(frame, encode(frame, native, near))),
            ):
                yield Row(f"{name} near {near}", what, fastest(rounds, calls, len(native)))


def memory(columns: int, height: int) -> tuple[float, float]:
    """MiB to encode and to decode a grey frame of 16 bits, strip by strip."""
    frame = FrameDescription(height, columns, 1, 16, 16)
    line = np.random.default_rng(1).integers(0, 65536, columns, "<u2").tobytes()
    count = strip_height(frame)

    def strips() -> Iterator[bytes]:
        for row in range(0, height, count):
            yield line * min(count, height - row)

    def compress() -> Iterator[bytes]:
        settings = EncodeSettings(near=0)
        source = PassingRows(strips())
        return jpeg_ls.encode(JPEG_LS_NEAR_LOSSLESS, frame, source, settings).pieces

    coded = b"".join(compress())
    return peak(lambda: sum(map(len, compress()))), peak(lambda: decode(frame, coded))


def main() -> None:
    """Print all rows, then peak memory."""
    parser = argparse.ArgumentParser(description="JPEG-LS beside CharLS")
    parser.add_argument("--rounds", type=int, default=9)
    for row in rows(parser.parse_args().rounds):
        print(row, flush=True)
    for columns, height in ((4096, 4096), (4096, 512)):
        grown = memory(columns, height)
        print(f"{columns} x {height} x 16: {grown[0]:.2f} MiB to encode, {grown[1]:.2f} to decode")


if __name__ == "__main__":
    main()
