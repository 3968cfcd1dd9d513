"""What was before the command, through a running node."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from agent.errors import GantryError
from hal.capture.patterns import read_frame_number
from tests.cli_of import gantry
from tests.node.running import NodeProcess
from tests.peers.process import process_tree

WIDTH, HEIGHT = 96, 64


def capture(more: str = 'keep = "2 s"\n', settings: str = "") -> str:
    return (
        f'[[capture]]\nname = "us"\nkind = "simulator"\nmodality = "US"\n{more}'
        f"[capture.settings]\nwidth = {WIDTH}\nheight = {HEIGHT}\nrate = 25\n{settings}"
    )


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., NodeProcess]]:
    nodes = []

    def started(text: str) -> NodeProcess:
        nodes.append(NodeProcess(tmp_path / "node", text))
        return nodes[-1].start()

    yield started
    for each in nodes:
        each.kill()


def until(holds: Callable[[], bool], node: NodeProcess, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, node.log[-3000:]
        time.sleep(0.05)


def begin(node: NodeProcess, patient: str = "One") -> None:
    before = node.log.count("keeping what is shown")
    node.ask("exam-start", emergency=True, keys={"PatientName": patient})
    until(lambda: node.log.count("keeping what is shown") > before, node)


def objects(node: NodeProcess, made: list[dict[str, Any]]) -> list[Dataset]:
    read = {str(each.SOPInstanceUID): each for each in map(dcmread, node.objects())}
    return [read[each["sop_instance_uid"]] for each in made]


def numbers(clip: Dataset) -> list[int | None]:
    length = len(clip.PixelData) // int(clip.NumberOfFrames)
    return [
        read_frame_number(clip.PixelData[n * length :], "GREY", WIDTH, WIDTH)
        for n in range(int(clip.NumberOfFrames))
    ]


def worker(node: NodeProcess) -> int:
    assert node.process is not None
    for pid in process_tree(node.process.pid):
        if Path(f"/proc/{pid}/comm").read_text().startswith("capture us"):
            return pid
    raise AssertionError("there is no capture worker")


def test_a_clip_of_what_was_before_is_whole_and_in_order(
    start: Callable[..., NodeProcess],
) -> None:
    node = start(capture())
    begin(node)
    time.sleep(1)
    (first,) = node.ask("exam-capture", last=0.4)
    (whole,) = node.ask("exam-capture", last="all")
    time.sleep(1.8)
    (later,) = node.ask("exam-capture", last="all")
    one, two, three = (numbers(each) for each in objects(node, [first, whole, later]))
    assert 9 <= len(one) <= 11
    assert 20 <= len(two) < 45
    assert 45 <= len(three) <= 51, "two seconds are kept"
    for each in (one, two, three):
        assert each[0] is not None
        assert each == list(range(each[0], each[0] + len(each)))
    # The newest frame of the clip is that of the command.
    assert one[-1] is not None and two[-1] is not None and 0 <= two[-1] - one[-1] < 25
    (clip,) = objects(node, [later])
    assert float(clip.FrameTime) == pytest.approx(40, abs=0.1)
    assert later["dropped"] == 0


def test_stills_and_clips_go_on_while_frames_are_kept(
    start: Callable[..., NodeProcess],
) -> None:
    node = start(capture())
    begin(node)
    still, clip = node.ask("exam-capture", stills=1, clips=1, seconds=1)
    (before,) = node.ask("exam-capture", last="all")
    _, shot, all_of_it = objects(node, [still, clip, before])
    assert (still["frames"], clip["frames"], clip["dropped"]) == (1, 25, 0)
    found, seen = numbers(shot), numbers(all_of_it)
    assert found[0] is not None and found == list(range(found[0], found[0] + 25))
    assert set(found) <= set(seen), "the clip is in what was before, too"
    assert seen == list(range(seen[0] or 0, (seen[0] or 0) + len(seen)))


def test_nothing_of_one_patient_comes_into_a_clip_of_another(
    start: Callable[..., NodeProcess],
) -> None:
    node = start(capture())
    with pytest.raises(GantryError, match="in progress"):
        node.ask("exam-capture", last="all")
    begin(node)
    time.sleep(1)
    node.ask("exam-finish")
    ended = time.monotonic()
    begin(node, "Two")
    time.sleep(0.3)
    (clip,) = node.ask("exam-capture", last="all")
    since = time.monotonic() - ended
    assert clip["frames"] <= since * 25 + 1
    # The device was started anew: its frames count from 0.
    (read,) = objects(node, [clip])
    assert (numbers(read)[0] or 0) < 5 and str(read.PatientName) == "Two"
    with pytest.raises(GantryError, match="nothing is kept"):
        node.ask("capture", last=1)


def test_after_a_power_cut_it_begins_again_and_nothing_is_left_on_the_disk(
    start: Callable[..., NodeProcess],
) -> None:
    node = start(capture())
    begin(node)
    state = node.folder / "state"
    assert not list(state.rglob("incoming/*")), "the file has no name"
    node.kill()
    node.start()
    until(lambda: node.log.count("keeping what is shown") == 2, node)
    time.sleep(0.6)
    (clip,) = node.ask("exam-capture", last="all")
    assert 10 < clip["frames"] < 60


def test_a_worker_that_dies_is_replaced(start: Callable[..., NodeProcess]) -> None:
    node = start(capture())
    begin(node)
    os.kill(worker(node), signal.SIGKILL)
    until(lambda: node.log.count("keeping what is shown") == 2, node)
    assert "capture worker died" in node.log
    time.sleep(0.5)
    assert node.ask("exam-capture", last=0.2)[0]["frames"] >= 4


def test_what_is_kept_is_compressed_and_masked_as_the_clip_is(
    start: Callable[..., NodeProcess],
) -> None:
    node = start(
        capture('keep = "2 s"\ncompression = { to = ["rle"] }\n', "masks = [[0, 32, 96, 32]]\n")
    )
    begin(node)
    time.sleep(0.5)
    (made,) = node.ask("exam-capture", last="all")
    (clip,) = objects(node, [made])
    assert clip.file_meta.TransferSyntaxUID.name == "RLE Lossless"
    pixels = clip.pixel_array
    assert len(pixels) == made["frames"] and not pixels[:, 32:].any() and pixels[:, :32].any()
    found = [read_frame_number(each.tobytes(), "GREY", WIDTH, WIDTH) for each in pixels]
    assert found == list(range(found[0] or 0, (found[0] or 0) + len(found)))


def test_a_pedal_asks_for_what_was_before_and_for_a_burst(
    start: Callable[..., NodeProcess], tmp_path: Path
) -> None:
    fifo = tmp_path / "operator"
    node = start(
        capture() + '[[serial]]\nname = "foot"\nkind = "simulator"\nlast = "1 s"\n'
        'burst = 3\nevery = "0.1 s"\nclip_time = "0.4 s"\n'
        'actions = { left = "last", middle = "burst", right = "clip", up = "dance" }\n'
        f'[serial.settings]\nfifo = "{fifo}"\n'
    )
    until(fifo.exists, node)
    begin(node)
    time.sleep(1.2)

    def do(word: str, count: int) -> list[int]:
        fifo.write_text(f"{word}\n")
        until(lambda: len(node.objects()) == count, node)
        return sorted(int(dcmread(each).get("NumberOfFrames", 1)) for each in node.objects())

    (last,) = do("press left", 1)
    assert 23 <= last <= 26
    assert do("press middle", 4) == [1, 1, 1, last]
    assert do("press right", 5) == [1, 1, 1, 10, last]
    fifo.write_text("press up\n")
    until(lambda: "there is no act dance" in node.log, node)
    control = ("--control", node.control)
    done = gantry("exam", "capture", "--stills", "2", "--every", "0.1", "--last", *control)
    lines = done.output.splitlines()
    assert len(lines) == 3 and lines[1].endswith(" 1 frames"), done.output
    assert int(lines[0].split()[1]) > 25
