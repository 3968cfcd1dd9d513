"""`gantry doctor`: what it finds of this machine, and gantry without its kernels."""

from __future__ import annotations

import os
import pty
import shutil
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest

from agent.codecs.registry import CODECS, has_kernel
from agent.dataset.transfer_syntaxes import TRANSFER_SYNTAXES
from hal.serial.ports import serial_ports
from tests.cli_of import ROOT, gantry
from tests.peers.programs import Completed, run

SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"
CONFIGURATION = """
[[capture]]
name = "video"
kind = "v4l2"
device = "/dev/video77"

[[serial]]
name = "reader"
kind = "code-reader"
[serial.settings]
port = "{port}"
patterns = ["(?P<AccessionNumber>A[0-9]+)"]

[panel]
kind = "gpio"
[panel.settings]
chip = "/dev/gpiochip77"
lamps = {{ ready = 17 }}
"""


@pytest.fixture
def without_kernel(tmp_path: Path) -> Path:
    """The program where its extension module could not be built."""
    folder = tmp_path / "without"
    for name in ("agent", "hal", "profiles"):
        ignored = shutil.ignore_patterns("__pycache__", "*.so")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    return folder


def gantry_in(folder: Path, *words: str | Path) -> Completed:
    return run(
        [sys.executable, "-P", "-m", "agent.cli.main", *words],
        seconds=60,
        environment={"PYTHONPATH": str(folder)},
    )


def lines_of(done: Completed) -> list[str]:
    return done.output.splitlines()


@pytest.mark.skipif(not has_kernel(), reason="the kernels were not built here")
def test_with_the_kernels_every_codec_is_named() -> None:
    said = lines_of(gantry("doctor", "--offline"))
    assert "ok  the C kernels of the codecs are here" in said
    names = ", ".join(TRANSFER_SYNTAXES[uid].short_name for uid in CODECS)
    assert f"ok  can compress and decompress: {names}" in said


def test_without_the_kernels_it_says_so_and_what_is_left(without_kernel: Path) -> None:
    said = lines_of(gantry_in(without_kernel, "doctor", "--offline"))
    assert any(line.startswith("--  the C kernels of the codecs were not built") for line in said)
    (able,) = (line for line in said if line.startswith("ok  can compress and decompress: "))
    assert {"rle", "deflated-frame", "encapsulated"} <= set(able.partition(": ")[2].split(", "))
    wanting = [TRANSFER_SYNTAXES[uid].short_name for uid, row in CODECS.items() if row.kernel]
    missing = [line for line in said if line.startswith("--  cannot without the C kernels: ")]
    assert len(missing) == bool(wanting)
    assert all(name in missing[0] for name in wanting)


def test_a_kernel_that_does_not_load_is_a_fault(without_kernel: Path) -> None:
    (without_kernel / "agent" / "codecs" / "kernel.abi3.so").write_bytes(b"\x7fELF")
    done = gantry_in(without_kernel, "doctor", "--offline")
    assert done.returncode == 1
    assert "!!  the C kernels of the codecs are here and cannot be loaded: " in done.output


@pytest.mark.parametrize("name", ["rle", "deflated-frame", "encapsulated"])
def test_without_the_kernels_these_go_both_ways(
    without_kernel: Path, tmp_path: Path, name: str
) -> None:
    source = SAMPLES / "MR_small.dcm"
    compressed, back = tmp_path / "compressed.dcm", tmp_path / "back.dcm"
    assert gantry_in(without_kernel, "convert", source, compressed, "--to", name).returncode == 0
    made = pydicom.dcmread(compressed)
    assert TRANSFER_SYNTAXES[made.file_meta.TransferSyntaxUID].short_name == name
    done = gantry_in(without_kernel, "convert", compressed, back, "--to", "explicit")
    assert done.returncode == 0, done.output
    assert np.array_equal(pydicom.dcmread(back).pixel_array, pydicom.dcmread(source).pixel_array)


def test_devices_that_are_configured_and_not_there_are_faults(tmp_path: Path) -> None:
    near, far = pty.openpty()
    try:
        file = tmp_path / "gantry.toml"
        file.write_text(CONFIGURATION.format(port=os.ttyname(far)))
        done = gantry("doctor", "--offline", "--config", file)
    finally:
        os.close(near)
        os.close(far)
    said = lines_of(done)
    assert done.returncode == 1
    assert "!!  capture video: there is no /dev/video77" in said
    assert "!!  panel: there is no /dev/gpiochip77" in said
    assert not any("serial reader" in line for line in said)


def test_kinds_of_device_that_nothing_wants_are_no_faults() -> None:
    said = lines_of(gantry("doctor", "--offline"))
    for kind in ("capture", "serial", "keyboard", "gpio"):
        found = [line for line in said if f"  {kind}: " in line]
        assert found and not any(line.startswith("!!") for line in found)


def test_serial_ports_have_hardware_behind_them() -> None:
    for port in serial_ports():
        assert Path(port.path).is_char_device()
        assert port.name and port.name != "port"
        assert (Path("/sys/class/tty") / Path(port.path).name / "device").exists()
        assert not port.stable_path or Path(port.stable_path).resolve() == Path(port.path)
