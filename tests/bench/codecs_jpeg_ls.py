"""JPEG-LS beside CharLS (imagecodecs, pyjpegls): `python -m tests.bench.codecs_jpeg_ls`.

Each round runs all of them once, one after another in this process, and the least CPU time of the
rounds counts, so that the load of others hits all alike. Ratios above 1 say that we are faster.
Peak memory is what Python allocates, and so the kernel as well, which has only what it is given,
while rows are made, or thrown away, strip by strip: the frame is not in it.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agent.codecs import jpeg_ls
from agent.codecs.codec import EncodeSettings
from agent.codecs.frame import FrameDescription
from agent.codecs.rows import PassingRows, StoredRows, strip_height
from agent.dataset.byte_source import MemoryBytes
from agent.dataset.transfer_syntaxes import JPEG_LS_NEAR_LOSSLESS

Image = NDArray[np.generic]


class Row(NamedTuple):
    """Megabytes a second of native samples, by who did it."""

    image: str
    near: int
    what: str
    speeds: dict[str, float]

    def __str__(self) -> str:
        ours = self.speeds["gantry"]
        others = "  ".join(
            f"{name} {speed:5.0f} ({ours / speed:.2f})"
            for name, speed in self.speeds.items()
            if name != "gantry"
        )
        return f"{self.image:22} near {self.near} {self.what:6} gantry {ours:5.0f}  {others}"


def images() -> dict[str, tuple[Image, int]]:
    """Samples and their depth: shaped and noisy as such images are."""
    random = np.random.default_rng(1)
    y, x = np.mgrid[:512, :512]
    body = (x - 256) ** 2 / 4 + (y - 256) ** 2 < 180**2 / 2
    ct = np.where(body, 1050 + 60 * np.sin(x / 17) * np.cos(y / 23), 24)
    ct = ct + random.normal(0, 12, ct.shape) * body
    y, x = np.mgrid[:2048, :2048]
    cr = 2000 + 900 * np.sin(x / 90) + 700 * np.cos(y / 70) + random.normal(0, 25, x.shape)
    y, x = np.mgrid[:1080, :1920]
    rgb = np.stack([127 + 100 * np.sin(x / 50 + k) + 20 * np.cos(y / 31) for k in range(3)], -1)
    rgb += random.normal(0, 3, (1080, 1920, 1)) + random.normal(0, 1.5, rgb.shape)
    return {
        "CT 512 x 512 x 16": (ct.clip(0, 4095).astype("<u2"), 16),
        "CR 2048 x 2048 x 12": (cr.clip(0, 4095).astype("<u2"), 12),
        "RGB 1920 x 1080 x 8": (rgb.clip(0, 255).astype("u1"), 8),
    }


def described(image: Image, bits: int) -> FrameDescription:
    samples = image.shape[2] if image.ndim == 3 else 1
    colour = "RGB" if samples == 3 else "MONOCHROME2"
    return FrameDescription(
        image.shape[0], image.shape[1], samples, 8 * image.itemsize, bits, 0, colour
    )


def encode(frame: FrameDescription, native: bytes, near: int) -> bytes:
    rows = StoredRows(frame, MemoryBytes(native))
    settings = EncodeSettings(near=near)
    return b"".join(jpeg_ls.encode(JPEG_LS_NEAR_LOSSLESS, frame, rows, settings).pieces)


def decode(frame: FrameDescription, coded: bytes) -> None:
    for _ in jpeg_ls.decode(frame, MemoryBytes(coded)).strips:
        pass


def fastest(rounds: int, calls: dict[str, Callable[[], object]], size: int) -> dict[str, float]:
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.process_time()
            call()
            best[name] = min(best[name], time.process_time() - start)
    return {name: size / seconds / 1e6 for name, seconds in best.items()}


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
                yield Row(name, near, what, fastest(rounds, calls, len(native)))


def _peak(call: Callable[[], object]) -> float:
    """MiB."""
    tracemalloc.start()
    call()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / (1 << 20)


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
    return _peak(lambda: sum(map(len, compress()))), _peak(lambda: decode(frame, coded))


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
