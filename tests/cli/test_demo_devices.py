"""`gantry demo --devices FILE`: the devices of a person in place of the simulated ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli.demo_devices import devices_of
from agent.errors import ConfigurationError
from tests.cli_of import ROOT, gantry
from tests.peers.process import wait_until

CAMERA = """[[capture]]
name = "video"
kind = "simulator"
modality = "US"
[capture.settings]
width = 96
height = 64
"""
FOOT = """[[serial]]
name = "foot"
clip = 5
actions = { toe = "still", heel = "clip", both = "finish" }
[serial.settings]
fifo = "%s"
"""
PEDALS = {"an image and a clip": ("toe", "heel"), "two more": ("toe", "toe"), "end": ("both",)}


def test_without_a_file_all_devices_are_simulated(tmp_path: Path) -> None:
    found = devices_of(None, tmp_path / "operator")
    assert found.capture == "a simulated ultrasound" and not found.are_pressed
    assert 'name = "ultrasound"' in found.tables


def test_what_the_file_does_not_have_is_simulated(tmp_path: Path) -> None:
    file = tmp_path / "devices.toml"
    file.write_text(CAMERA)
    found = devices_of(file, tmp_path / "operator")
    assert str(file) in found.capture and not found.are_pressed
    file.write_text(FOOT % (tmp_path / "foot"))
    found = devices_of(file, tmp_path / "operator")
    assert found.capture == "a simulated ultrasound" and found.are_pressed


@pytest.mark.parametrize(
    ("text", "said"), [("[[peer]]\n", "peer, and is for"), ("nonsense", "no"), (None, "be read")]
)
def test_a_file_that_is_no_list_of_devices_is_told(
    tmp_path: Path, text: str | None, said: str
) -> None:
    file = tmp_path / "devices.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        devices_of(file, tmp_path / "operator")


def test_devices_are_for_the_examination_only(tmp_path: Path) -> None:
    done = gantry("demo", "--media", "--devices", tmp_path / "devices.toml")
    assert done.returncode == 2 and "--devices is for the demo of an examination" in done.output


@pytest.mark.long
def test_a_person_captures_with_pedals_of_their_own(tmp_path: Path) -> None:
    file, foot, said = tmp_path / "devices.toml", tmp_path / "foot", tmp_path / "said"
    file.write_text(CAMERA + FOOT % foot)
    with said.open("w") as output:
        demo = subprocess.Popen(
            [sys.executable, "-m", "agent.cli.main", "demo", "--devices", file, "--patience", "60"],
            stdout=output,
            stderr=output,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    try:
        for asked, pedals in PEDALS.items():
            wait_until(lambda asked=asked: asked in said.read_text(), asked, seconds=60.0)
            with foot.open("w") as pipe:
                pipe.writelines(f"press {each}\n" for each in pedals)
        assert demo.wait(60) == 0, said.read_text()
    finally:
        demo.wait(120)
    assert "4 objects arrived, byte for byte" in said.read_text()
