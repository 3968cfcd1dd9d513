"""`./gantry` in a checkout with nothing set up: makes what it needs, once, and never half.

Needs a package index, as every first set-up does, and some minutes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pydicom
import pytest

from agent import __version__

ROOT = Path(__file__).parents[1]
SOURCES = ("gantry", "pyproject.toml", "setup.py", "LICENSE", "agent", "hal", "tests")
MAKING, INSTALLING = "making ", "installing gantry"
SAMPLE = Path(pydicom.__file__).parent / "data" / "test_files" / "MR_small.dcm"

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the sources, in a folder whose name has a space."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.so")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy2(ROOT / name, folder / name)
    return folder


def gantry(checkout: Path, *, offline: bool = False, **environment: str) -> subprocess.Popen[str]:
    """`./gantry --version`, started from another folder."""
    command = ["unshare", "--net"] if offline else []
    return subprocess.Popen(
        [*command, str(checkout / "gantry"), "--version"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
        env=os.environ | environment,
        start_new_session=True,
    )


def words_of(started: subprocess.Popen[str]) -> str:
    """What it said about the set-up; the version must come out at the end."""
    out, said = started.communicate()
    assert (started.returncode, out) == (0, f"gantry {__version__}\n"), said
    return said


@pytest.fixture
def offline() -> bool:
    """Whether a network namespace without a network can be had."""
    return os.geteuid() == 0 and shutil.which("unshare") is not None


def test_what_is_set_up_stays_and_follows_the_checkout(checkout: Path, offline: bool) -> None:
    assert MAKING in words_of(gantry(checkout))
    assert words_of(gantry(checkout, offline=offline)) == ""

    (checkout / "pyproject.toml").touch()
    assert words_of(gantry(checkout, offline=offline)) == "", "a new time is no new content"

    with (checkout / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    said = words_of(gantry(checkout, offline=offline))
    assert INSTALLING in said and MAKING not in said

    moved = checkout.rename(checkout.with_name("moved"))
    said = words_of(gantry(moved, offline=offline))
    assert INSTALLING in said and MAKING not in said
    assert words_of(gantry(moved, offline=offline)) == ""


def test_a_set_up_that_was_cut_off_begins_anew(checkout: Path) -> None:
    started = gantry(checkout)
    assert started.stderr is not None
    while INSTALLING not in started.stderr.readline():
        assert started.poll() is None
    os.killpg(started.pid, 9)
    started.communicate()
    assert MAKING in words_of(gantry(checkout))
    assert words_of(gantry(checkout)) == ""


def test_of_two_at_once_one_sets_up_and_the_other_waits(checkout: Path) -> None:
    said = [words_of(started) for started in [gantry(checkout), gantry(checkout)]]
    assert sorted(MAKING in words for words in said) == [False, True]


def in_checkout(checkout: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """A command of what was installed."""
    return subprocess.run(
        [checkout / ".venv/bin/python", "-P", "-m", "agent.cli.main", *words],
        capture_output=True,
        text=True,
        cwd="/",
    )


def converted(checkout: Path, source: Path, name: str) -> Path:
    """A file in another transfer syntax."""
    made = source.with_name(f"{name}.dcm")
    done = in_checkout(checkout, "convert", source, made, "--to", name, "--force")
    assert done.returncode == 0, done.stderr
    return made


def test_kernels_are_built_where_there_is_a_compiler_and_missed_nowhere(
    checkout: Path, tmp_path: Path
) -> None:
    said = words_of(gantry(checkout, CC="/bin/false"))
    assert "the compiler in CC does not work here: /bin/false" in said
    assert "without the C kernels of the codecs" in said
    assert not list(checkout.glob("agent/codecs/*.so"))
    assert words_of(gantry(checkout, CC="/bin/false")) == "", "it is not tried again and again"
    told = in_checkout(checkout, "doctor", "--offline").stdout
    assert "the C kernels of the codecs were not built" in told
    original = tmp_path / "original.dcm"
    shutil.copy2(SAMPLE, original)
    pixels = pydicom.dcmread(SAMPLE).PixelData
    for name in ("rle", "deflated-frame", "encapsulated"):
        back = converted(checkout, converted(checkout, original, name), "explicit")
        assert pydicom.dcmread(back).PixelData == pixels

    if shutil.which("cc") is None:
        pytest.skip("no compiler here")
    said = words_of(gantry(checkout))
    assert INSTALLING in said and "without" not in said, "a compiler that has come is used"
    (kernel,) = checkout.glob("agent/codecs/kernel.*so")
    assert words_of(gantry(checkout)) == ""
    assert "the C kernels of the codecs are here" in in_checkout(checkout, "doctor").stdout
    by_kernel = converted(checkout, original, "rle").read_bytes()

    (checkout / "agent/codecs/kernels/kernels.h").open("a").write("/* changed */\n")
    words_of(gantry(checkout, CC="/bin/false"))
    assert not kernel.exists(), "one of other sources is not left behind"
    assert converted(checkout, original, "rle").read_bytes() == by_kernel
