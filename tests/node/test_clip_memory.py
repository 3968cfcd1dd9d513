"""A minute of video, captured by a running node, in memory that does not grow with it: acceptance 6
of the modality. Against the node itself: PSS of all its processes, worker included."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hal.capture.patterns import read_frame_number
from tests.node.running import NodeProcess
from tests.node.test_memory import IDLE, memory_of, pid_of, settle, until, watched
from tests.peers.memory import MIB, describe_tree

WIDTH, HEIGHT, RATE = 1280, 720, 25
ABOVE_IDLE = 32 * MIB


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    made = NodeProcess(
        tmp_path / "node",
        '[[capture]]\nname = "us"\nkind = "simulator"\nmodality = "US"\n[capture.settings]\n'
        f'pixel_format = "GREY"\nwidth = {WIDTH}\nheight = {HEIGHT}\nrate = {RATE}\n'
        "buffers = 5\n",  # those that are never needed are never touched
    )
    made.launch()
    try:
        until(lambda: "ready" in made.log, made)
        yield made
    finally:
        made.kill()


def check(node: NodeProcess, seconds: int) -> None:
    """Capture a clip of so many seconds, and look at memory, frames and their numbers."""
    idle = settle(node, IDLE, 45)
    with watched(node) as most:
        begun = time.monotonic()
        (made,) = node.ask("capture", stills=0, clips=1, seconds=seconds)
        took = time.monotonic() - begun
    print(
        f"{seconds} s: {(most.used - idle) / MIB:+.1f} MiB above {idle / MIB:.1f} MiB, "
        f"{took:.1f} s\n{most.who}"
    )
    assert (made["frames"], made["dropped"]) == (seconds * RATE, 0)
    assert most.used - idle <= ABOVE_IDLE, f"{most.who}\nidle:\n{describe_tree(pid_of(node))}"
    (path,) = node.objects()
    length = WIDTH * HEIGHT
    with path.open("rb") as file:
        # The pixel data are last in the file, of an even length.
        first = os.fstat(file.fileno()).st_size - seconds * RATE * length
        heads = [
            os.pread(file.fileno(), 16 * WIDTH, first + number * length)
            for number in range(seconds * RATE)
        ]
    numbers = [read_frame_number(each, "GREY", WIDTH, WIDTH) for each in heads]
    assert numbers[0] is not None
    assert numbers == list(range(numbers[0], numbers[0] + seconds * RATE))
    assert path.stat().st_size - seconds * RATE * length < 10_000
    # With the worker its memory goes: what is more is what the node learned meanwhile.
    assert memory_of(node) - idle <= ABOVE_IDLE / 2


def test_some_seconds_of_video_stay_within_32_mib_and_lose_no_frame(node: NodeProcess) -> None:
    check(node, 4)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_minute_of_video_stays_within_32_mib_and_loses_no_frame(node: NodeProcess) -> None:
    check(node, 60)
