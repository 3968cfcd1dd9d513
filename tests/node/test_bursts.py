"""Bursts, and clips of a time, through a running node."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from agent.errors import GantryError
from hal.capture.patterns import read_frame_number
from tests.cli_of import gantry
from tests.node.running import NodeProcess
from tests.node.test_look_back import WIDTH, capture, objects


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path_factory.mktemp("node"), capture("")) as started:
        yield started


def test_a_burst_has_its_interval(node: NodeProcess) -> None:
    def burst() -> list[int]:
        """How many frames each still is behind the first one."""
        begun = time.monotonic()
        made = node.ask("capture", stills=6, interval=0.2)
        assert time.monotonic() - begun >= 1.0
        stills = objects(node, made)
        assert [int(each.InstanceNumber) for each in stills] == [1, 2, 3, 4, 5, 6]
        found = [read_frame_number(each.PixelData, "GREY", WIDTH, WIDTH) or 0 for each in stills]
        return [each - found[0] for each in found]

    # Five frames at 25 a second. None comes early; late is what a busy machine may make it, but
    # what one is late the next is not.
    tried = [burst() for _ in range(3)]
    for found in tried:
        assert all(each >= 5 * place - 1 for place, each in enumerate(found)), tried
    on_time = [
        all(abs(each - 5 * place) <= 1 for place, each in enumerate(found)) for found in tried
    ]
    assert any(on_time) or _is_busy(), tried


def _is_busy() -> bool:
    return os.getloadavg()[0] > 2 * (os.cpu_count() or 1)


def test_a_clip_has_its_time(node: NodeProcess) -> None:
    (clip,) = node.ask("capture", stills=0, clips=1, seconds=1.4)
    assert (clip["frames"], clip["dropped"]) == (35, 0)
    with pytest.raises(GantryError, match="cannot be captured"):
        node.ask("capture", stills=0, clips=1, seconds=-1)
    with pytest.raises(GantryError, match="cannot be captured"):
        node.ask("capture", stills=0)
    with pytest.raises(GantryError, match="cannot be captured"):
        node.ask("capture", interval="soon")


def test_a_clip_that_no_object_can_hold_is_refused_before_it_begins(node: NodeProcess) -> None:
    begun = time.monotonic()
    with pytest.raises(GantryError, match="does not go into one object"):
        node.ask("capture", stills=0, clips=1, seconds=86000)
    assert time.monotonic() - begun < 5


def test_the_command_asks_for_it(node: NodeProcess) -> None:
    control = ("--control", node.control)
    done = gantry("capture", "--stills", "2", "--every", "0.1", *control)
    assert done.output.count("1 frames") == 2, done.output
    done = gantry("capture", "--stills", "0", "--clips", "1", "--seconds", "0.2", *control)
    assert "5 frames" in done.output, done.output
    assert gantry("capture", "--stills", "0", *control).returncode == 2
