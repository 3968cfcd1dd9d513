"""RLE and JPEG lossless beside libjpeg-turbo, libjpeg, pylibjpeg-rle and pydicom:
`python -m tests.bench.codecs_lossless`."""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Iterator

import numpy as np

from agent.codecs.codec import EncodeSettings
from agent.codecs.frame import FrameDescription
from agent.codecs.registry import codec_of
from agent.codecs.rows import PassingRows, StoredRows, strip_height
from agent.dataset.byte_source import MemoryBytes
from agent.dataset.transfer_syntaxes import JPEG_LOSSLESS_FIRST_ORDER, RLE_LOSSLESS
from tests.bench.codec_rows import Image, Row, described, fastest, images, peak

Calls = dict[str, Callable[[], object]]


def encode(uid: str, frame: FrameDescription, native: bytes) -> bytes:
    rows = StoredRows(frame, MemoryBytes(native))
    return b"".join(codec_of(uid).encode(uid, frame, rows, EncodeSettings()).pieces)


def decode(uid: str, frame: FrameDescription, coded: bytes) -> None:
    for _ in codec_of(uid).decode(frame, MemoryBytes(coded)).strips:
        pass


def jpeg_lossless(image: Image, bits: int) -> tuple[Calls, Calls]:
    import imagecodecs
    import libjpeg

    uid, frame, native = JPEG_LOSSLESS_FIRST_ORDER, described(image, bits), image.tobytes()
    coded = encode(uid, frame, native)
    encoders: Calls = {
        "gantry": lambda: encode(uid, frame, native),
        "turbo": lambda: imagecodecs.jpeg_encode(
            image, lossless=True, bitspersample=bits, predictor=1
        ),
    }
    decoders: Calls = {
        "gantry": lambda: decode(uid, frame, coded),
        "turbo": lambda: imagecodecs.jpeg_decode(coded),
        "libjpeg": lambda: libjpeg.decode(io.BytesIO(coded)),
    }
    if image.ndim == 2:
        encoders["lj92"] = lambda: imagecodecs.ljpeg_encode(image, bitspersample=bits)
    return encoders, decoders


def rle(image: Image, bits: int) -> tuple[Calls, Calls]:
    from pydicom.pixels.decoders.rle import _rle_decode_frame
    from rle.utils import decode_frame, encode_array

    uid, frame, native = RLE_LOSSLESS, described(image, bits), image.tobytes()
    coded = encode(uid, frame, native)
    shape = (frame.rows, frame.columns, frame.samples_per_pixel, frame.bits_allocated)
    options = {
        "number_of_frames": 1,
        "byteorder": "<",
        "rows": frame.rows,
        "columns": frame.columns,
        "samples_per_pixel": frame.samples_per_pixel,
        "bits_allocated": frame.bits_allocated,
    }
    encoders: Calls = {
        "gantry": lambda: encode(uid, frame, native),
        "pylibjpeg-rle": lambda: list(encode_array(image, **options)),
    }
    decoders: Calls = {
        "gantry": lambda: decode(uid, frame, coded),
        "pylibjpeg-rle": lambda: decode_frame(coded, frame.rows * frame.columns, shape[3], "<"),
        "pydicom": lambda: _rle_decode_frame(coded, *shape),
    }
    return encoders, decoders


def rows(rounds: int) -> Iterator[Row]:
    for family, make in (("RLE", rle), ("JPEG lossless", jpeg_lossless)):
        for name, (image, bits) in images().items():
            # As the scanner has them: twelve bits in sixteen.
            for what, calls in zip(("encode", "decode"), make(image, min(bits, 12)), strict=True):
                yield Row(f"{family}, {name}", what, fastest(rounds, calls, image.nbytes))


def memory(uid: str, columns: int, height: int) -> tuple[float, float]:
    """MiB to encode and to decode a grey frame of 16 bits, strip by strip."""
    frame = FrameDescription(height, columns, 1, 16, 16)
    line = np.random.default_rng(1).integers(0, 65536, columns, "<u2").tobytes()
    count = strip_height(frame)

    def compress() -> Iterator[bytes]:
        strips = (line * min(count, height - row) for row in range(0, height, count))
        return codec_of(uid).encode(uid, frame, PassingRows(strips), EncodeSettings()).pieces

    coded = b"".join(compress())
    return peak(lambda: sum(map(len, compress()))), peak(lambda: decode(uid, frame, coded))


def main() -> None:
    """Print all rows, then peak memory."""
    parser = argparse.ArgumentParser(description="RLE and JPEG lossless beside others")
    parser.add_argument("--rounds", type=int, default=9)
    for row in rows(parser.parse_args().rounds):
        print(row, flush=True)
    for name, uid in (("RLE", RLE_LOSSLESS), ("JPEG lossless", JPEG_LOSSLESS_FIRST_ORDER)):
        grown = memory(uid, 4096, 2048)
        print(f"{name}, 4096 wide: {grown[0]:.2f} MiB to encode, {grown[1]:.2f} to decode")


if __name__ == "__main__":
    main()
