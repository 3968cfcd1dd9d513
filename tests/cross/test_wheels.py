"""Wheels for ARM: cross-built, installed by a Python of that architecture, and put to work there.

`gantry test --cross`; needs a Debian mirror, and root the first time.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from agent.codecs.registry import CODECS, has_kernel
from agent.dataset.transfer_syntaxes import DEFLATED_IMAGE_FRAME
from image import build_wheels
from image.foreign_debian import ARCHITECTURES, Architecture, ForeignDebianError
from tests.cross.emulated_python import EmulatedPython
from tests.cross.inside.round_trips import report

ROOT = Path(__file__).parents[2]
# Their streams are zlib's, and differ from one zlib to the next.
OF_ZLIB = (DEFLATED_IMAGE_FRAME,)


def wheel_of(folder: Path, architecture: Architecture, members: dict[str, bytes]) -> Path:
    """A wheel by its name, with these files in it."""
    tag = build_wheels.platform_tag(architecture)
    path = folder / f"gantry-0.1.0-cp311-abi3-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_a_wheel_without_its_kernel_is_not_kept(tmp_path: Path) -> None:
    architecture = ARCHITECTURES["aarch64"]
    wheel = wheel_of(tmp_path, architecture, {"agent/__init__.py": b""})
    with pytest.raises(ForeignDebianError, match="holds no kernel"):
        build_wheels.check(wheel, architecture)


@pytest.mark.skipif(shutil.which("readelf") is None, reason="needs readelf (binutils)")
def test_a_kernel_for_another_processor_is_not_kept(tmp_path: Path) -> None:
    architecture = ARCHITECTURES["armv7l"]
    program = Path(sys.executable).resolve().read_bytes()
    wheel = wheel_of(tmp_path, architecture, {build_wheels.KERNEL: program})
    with pytest.raises(ForeignDebianError, match="is for"):
        build_wheels.check(wheel, architecture)


def test_an_unknown_machine_is_wrong_usage() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "image.build_wheels", "pdp11"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "pdp11 is none of x86_64, aarch64, armv7l" in done.stderr


@pytest.fixture(scope="module")
def ours() -> dict[str, Any]:
    """What the codecs do on this machine."""
    if not has_kernel():
        pytest.skip("the kernels were not built here")
    found: dict[str, Any] = json.loads(json.dumps(report()))
    return found


@pytest.mark.cross
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_a_wheel_does_on_its_processor_what_we_do_here(
    machine: str, ours: dict[str, Any], tmp_path: Path
) -> None:
    architecture = ARCHITECTURES[machine]
    wheel = build_wheels.build(architecture, tmp_path)
    python = EmulatedPython(architecture)
    package = python.installed(wheel, tmp_path / "installed")
    done = python.run(ROOT / "tests/cross/inside/round_trips.py", path=(package, ROOT))
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout)
    assert (theirs["machine"], theirs["kernel"]) == (machine, True)
    assert Path(theirs["package"]).is_relative_to(package)
    assert list(theirs["syntaxes"]) == list(CODECS)
    for uid, found in theirs["syntaxes"].items():
        expected = ours["syntaxes"][uid]
        assert found["round_trips"], uid
        for case, results in found["round_trips"].items():
            assert results["same"] or found["lossy"], (uid, case)
            assert results["native"] == expected["round_trips"][case]["native"], "another picture"
        if uid not in OF_ZLIB:
            assert found == expected, uid


@pytest.mark.cross
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_a_kernel_that_needs_a_newer_c_library_than_promised_is_not_kept(
    machine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_wheels, "GLIBC", (2, 3))
    with pytest.raises(ForeignDebianError, match="needs GLIBC_2"):
        build_wheels.build(ARCHITECTURES[machine], tmp_path)
    assert not list(tmp_path.iterdir())
