"""What the benches of codecs share: images, rounds, memory.

Each round runs all contenders once, one after another in this process, and the least CPU time of
the rounds counts, so that the load of others hits all alike. Peak memory is what Python allocates,
and so the kernel as well, which has only what it is given, while rows are made, or thrown away,
strip by strip: the frame is not in it.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agent.codecs.frame import FrameDescription

Image = NDArray[np.generic]


class Row(NamedTuple):
    """Megabytes a second of native samples, by who did it."""

    image: str
    what: str
    speeds: dict[str, float]

    def __str__(self) -> str:
        ours = self.speeds["gantry"]
        others = "  ".join(
            f"{name} {speed:5.0f} ({ours / speed:.2f})"
            for name, speed in self.speeds.items()
            if name != "gantry"
        )
        return f"{self.image:29} {self.what:6} gantry {ours:5.0f}  {others}"


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


def fastest(rounds: int, calls: dict[str, Callable[[], object]], size: int) -> dict[str, float]:
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.process_time()
            call()
            best[name] = min(best[name], time.process_time() - start)
    return {name: size / seconds / 1e6 for name, seconds in best.items()}


def peak(call: Callable[[], object]) -> float:
    """MiB."""
    tracemalloc.start()
    call()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / (1 << 20)
