"""`gantry test`: what reaches pytest, and what is said about tests that were left out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def gantry_test(
    *arguments: str, folder: Path = ROOT, data: str | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {name: text for name, text in os.environ.items() if name != "GANTRY_TEST_DATA"}
    if data is not None:
        environment["GANTRY_TEST_DATA"] = data
    return subprocess.run(
        [sys.executable, "-m", "agent.cli.main", "test", "-p", "no:cacheprovider", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment | {"PYTHONPATH": str(ROOT)},
    )


@pytest.fixture
def tests_of_options(tmp_path: Path) -> Path:
    """Tests outside the checkout: they need `-p tests.conftest`."""
    file = tmp_path / "test_options.py"
    file.write_text(
        "import pytest\n"
        "def test_count(count): print('count is', count(20, 200))\n"
        "@pytest.mark.long\n"
        "def test_long(): pass\n"
        "@pytest.mark.machine\n"
        "def test_machine(): pass\n"
        "@pytest.mark.cross\n"
        "def test_cross(): pass\n"
        "@pytest.mark.fuzz\n"
        "def test_fuzz(fuzz_minutes): print('minutes are', fuzz_minutes)\n"
        "def test_data(test_data): pass\n"
    )
    return file


def test_the_arguments_of_pytest_reach_it_from_any_folder(tmp_path: Path) -> None:
    done = gantry_test("--collect-only", "-q", "-k", "test_a_slip_of_the_finger", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_main.py::test_a_slip_of_the_finger" in done.stdout


def test_the_exit_status_is_that_of_pytest(tmp_path: Path) -> None:
    failing = tmp_path / "test_failing.py"
    failing.write_text("def test_it(): assert False\n")
    assert gantry_test(str(failing)).returncode == 1


def test_it_says_how_many_wanted_the_reference_data(tests_of_options: Path) -> None:
    done = gantry_test("-p", "tests.conftest", str(tests_of_options))
    assert "1 tests were skipped for want of GANTRY_TEST_DATA" in done.stdout
    done = gantry_test("-p", "tests.conftest", str(tests_of_options), data=str(ROOT))
    assert "GANTRY_TEST_DATA" not in done.stdout
    assert "2 passed, 4 skipped" in done.stdout


def test_options_open_what_is_left_out_otherwise(tests_of_options: Path) -> None:
    done = gantry_test(
        *("-s", "--long", "--machine", "--cross", "--fuzz", "2", "-p", "tests.conftest"),
        str(tests_of_options),
        data=str(ROOT),
    )
    assert "count is 200" in done.stdout
    assert "minutes are 2" in done.stdout
    assert "6 passed" in done.stdout


@pytest.mark.parametrize("minutes", ["0", "-1", "soon", "100000"])
def test_minutes_of_fuzzing_are_checked(minutes: str) -> None:
    done = gantry_test("--fuzz", minutes)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
