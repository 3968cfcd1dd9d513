"""`./gantry` in a checkout with nothing set up: makes what it needs, once, and never half.

Needs a package index, as every first set-up does, and some minutes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from agent import __version__

ROOT = Path(__file__).parents[1]
SOURCES = ("gantry", "pyproject.toml", "setup.py", "LICENSE", "agent", "hal", "tests")
MAKING, INSTALLING = "making ", "installing gantry"
KERNEL = """
#include <Python.h>
static PyObject *answer(PyObject *self, PyObject *unused) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "trial", 0, -1, methods};
__attribute__((visibility("default"))) PyMODINIT_FUNC PyInit_trial(void)
{ return PyModule_Create(&module); }
"""

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


def test_kernels_are_built_where_there_is_a_compiler_and_missed_nowhere(checkout: Path) -> None:
    kernels = checkout / "agent" / "codecs" / "kernels"
    kernels.mkdir(parents=True, exist_ok=True)
    for folder in (kernels.parent, kernels):
        (folder / "__init__.py").touch()
    (kernels / "trial.c").write_text(KERNEL)
    words_of(gantry(checkout, CC="/nonexistent"))
    assert not list(kernels.glob("trial*.so"))
    if shutil.which("cc") is None:
        pytest.skip("no compiler here")
    (kernels / "trial.c").write_text(KERNEL + "\n")
    words_of(gantry(checkout))
    script = "from agent.codecs.kernels import trial; print(trial.answer())"
    python = checkout / ".venv" / "bin" / "python"
    done = subprocess.run([python, "-P", "-c", script], capture_output=True, text=True, cwd="/")
    assert done.stdout == "42\n", done.stderr
