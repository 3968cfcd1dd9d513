"""The JPEG bench: baseline and extended beside libjpeg-turbo with and without its vector code.

    python -m tests.bench.codecs_jpeg

For each image and direction: megabytes of native pixels a second, the ratio to the peer, and how
much memory ours takes at most above what it has before. Acceptance: as fast as libjpeg-turbo
without vector code (`JSIMD_FORCENONE=1`), 2 MiB.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from agent.codecs import jpeg
from agent.codecs.codec import EncodeSettings
from agent.codecs.frame import FrameDescription
from agent.codecs.rows import StoredRows
from agent.dataset.byte_source import MemoryBytes
from agent.dataset.transfer_syntaxes import JPEG_BASELINE, JPEG_EXTENDED

AIM = 1.0
MOST_MEMORY = 2 << 20
_WITHOUT = "JSIMD_FORCENONE"


@dataclass(frozen=True, slots=True)
class Image:
    """An image of the bench; `noise` is the deviation of what is added to it."""

    name: str
    frame: FrameDescription
    noise: float

    @property
    def uid(self) -> str:
        return JPEG_BASELINE if self.frame.bits_allocated == 8 else JPEG_EXTENDED

    def pixels(self) -> NDArray[Any]:
        random = np.random.default_rng(1)
        frame = self.frame
        y, x = np.mgrid[0 : frame.rows, 0 : frame.columns]
        waves = np.sin(x / 37) + np.cos(y / 29) + 0.3 * np.sin((x + y) / 11)
        base = (waves + 0.6 * ((x // 60 + y // 60) % 2) + 2.5) / 6
        planes = [np.roll(base, 50 * number, axis=1) for number in range(frame.samples_per_pixel)]
        top = (1 << frame.bits_stored) - 1
        values = np.stack(planes, axis=2) * top
        values += random.normal(0, self.noise, values.shape)
        return np.clip(values, 0, top).astype(f"<u{frame.sample_length}").squeeze()


IMAGES = (
    Image("CT 512 x 512, 12 bits", FrameDescription(512, 512, 1, 16, 12), 12),
    Image("CR 2048 x 2048, 12 bits", FrameDescription(2048, 2048, 1, 16, 12), 20),
    Image("CR 2048 x 2048, 8 bits", FrameDescription(2048, 2048), 2),
    Image("RGB 1920 x 1080", FrameDescription(1080, 1920, 3, 8, 8, 0, "RGB"), 2),
)
_WIDE = (
    Image("4096 columns, 12 bits", FrameDescription(1024, 4096, 1, 16, 12), 20),
    Image("4096 columns, RGB", FrameDescription(1024, 4096, 3, 8, 8, 0, "RGB"), 2),
)


def encode(image: Image, native: bytes, settings: EncodeSettings) -> Iterator[bytes]:
    rows = StoredRows(image.frame, MemoryBytes(native))
    return jpeg.encode(image.uid, image.frame, rows, settings).pieces


def _encode_all(image: Image, native: bytes, settings: EncodeSettings) -> None:
    for _ in encode(image, native, settings):
        pass


def _decode_all(image: Image, stream: bytes) -> None:
    for _ in jpeg.decode(image.frame, MemoryBytes(stream)).strips:
        pass


def seconds(acts: tuple[Callable[[], object], ...], rounds: int) -> list[float]:
    """The best of so many rounds, in which all acts take turns."""
    best = [float("inf")] * len(acts)
    for _ in range(rounds):
        for number, act in enumerate(acts):
            begun = time.perf_counter()
            act()
            best[number] = min(best[number], time.perf_counter() - begun)
    return best


def compare(image: Image, rounds: int) -> Iterator[tuple[str, float, float]]:
    """What is done, and the megabytes a second of ours and of libjpeg-turbo."""
    pixels = image.pixels()
    native = pixels.tobytes()
    options: dict[str, Any] = {"level": 90}
    if image.frame.samples_per_pixel == 3:
        options["subsampling"] = "422"
    if image.frame.bits_stored == 12:
        options["bitspersample"] = 12
    megabytes = len(native) / 1e6
    for optimised in (False, True):
        settings = EncodeSettings(quality=90, optimised=optimised)
        ours, theirs = seconds(
            (
                partial(_encode_all, image, native, settings),
                partial(imagecodecs.jpeg8_encode, pixels, optimize=optimised, **options),
            ),
            rounds,
        )
        what = "encode, tables of its own" if optimised else "encode, typical tables"
        yield what, megabytes / ours, megabytes / theirs
    stream = imagecodecs.jpeg8_encode(pixels, **options)
    ours, theirs = seconds(
        (partial(_decode_all, image, stream), partial(imagecodecs.jpeg8_decode, stream)), rounds
    )
    yield "decode", megabytes / ours, megabytes / theirs


def peak(act: Callable[[], object]) -> int:
    """How far the resident memory of a child grows during an act, in bytes."""
    reader, writer = os.pipe()
    if child := os.fork():
        os.close(writer)
        with os.fdopen(reader, "rb") as told:
            found = int(told.read())
        os.waitpid(child, 0)
        return found
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident("VmRSS")
    act()
    os.write(writer, str(_resident("VmHWM") - before).encode())
    os._exit(0)


def _resident(what: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(what))


def _memory() -> None:
    print(f"\n{'memory':<50}{'MiB':>8}{'limit':>8}")
    for image in _WIDE:
        native = image.pixels().tobytes()
        settings = EncodeSettings()
        stream = b"".join(encode(image, native, settings))
        _decode_all(image, stream)
        acts = (
            ("encode", partial(_encode_all, image, native, settings)),
            ("decode", partial(_decode_all, image, stream)),
        )
        for what, act in acts:
            taken = peak(act)
            met = "met" if taken <= MOST_MEMORY else "NOT MET"
            name = f"{image.name}, {what}"
            print(f"{name:<50}{taken / (1 << 20):8.2f}{MOST_MEMORY >> 20:8}  {met}")


def _speed(rounds: int) -> None:
    without = os.environ.get(_WITHOUT) == "1"
    print(f"\nlibjpeg-turbo {'without' if without else 'with'} vector code")
    print(f"{'megabytes a second':<50}{'ours':>8}{'turbo':>8}{'ratio':>8}")
    for image in IMAGES:
        for what, ours, theirs in compare(image, rounds):
            aim = ("  met" if ours >= AIM * theirs else "  NOT MET") if without else ""
            name = f"{image.name}, {what}"
            print(f"{name:<50}{ours:8.0f}{theirs:8.0f}{ours / theirs:8.2f}{aim}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--part", choices=("speed", "memory"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.part:
        _memory() if options.part == "memory" else _speed(options.rounds)
        return 0
    # libjpeg-turbo and malloc read their environment once, at the start of a process.
    parts = (
        ("speed", {_WITHOUT: "1"}),
        ("speed", {}),
        ("memory", {"MALLOC_MMAP_THRESHOLD_": "65536"}),
    )
    for part, environment in parts:
        words = [sys.executable, "-m", "tests.bench.codecs_jpeg", "--part", part]
        words += ["--rounds", str(options.rounds)]
        subprocess.run(words, check=True, env=os.environ | environment)
    return 0


if __name__ == "__main__":
    sys.exit(main())
