"""Run the tests of this checkout: those without a peer, and those against programs of others.

Everything that this command does not know goes to pytest: folders, files, -k, -x, -q and the like.
Where nothing is said, and there are two processors, two halves run side by side.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import agent
from agent.errors import ConfigurationError

_LONGEST_FUZZING = 24 * 60
_SECOND_HALF = ("node", "objects", "peers", "security", "services", "workflow")
"""Folders of tests that take about as long as all others."""


def _minutes(text: str) -> int:
    minutes = int(text)
    if not 1 <= minutes <= _LONGEST_FUZZING:
        raise argparse.ArgumentTypeError(f"{text} is not from 1 to {_LONGEST_FUZZING} minutes")
    return minutes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `gantry test`; the rest is pytest's own."""
    parser.add_argument("--long", action="store_true", help="full counts (hours)")
    parser.add_argument("--machine", action="store_true", help="tests in virtual machines too")
    parser.add_argument("--cross", action="store_true", help="wheels for ARM, under emulation, too")
    parser.add_argument(
        "--fuzz", metavar="MINUTES", type=_minutes, help="search for hostile input that long"
    )


def tests_folder() -> Path:
    """The folder `tests` of the checkout.

    Raises ConfigurationError where only the program is installed.
    """
    folder = Path(agent.__file__).resolve().parents[1] / "tests"
    if not (folder / "conftest.py").is_file():
        raise ConfigurationError(
            "the tests are part of a checkout, and this is an installed gantry",
            value=str(folder),
            way_out="Run './gantry test' in a checkout of the sources.",
        )
    return folder


def _names_a_test(word: str) -> bool:
    return Path(word.partition("::")[0]).exists()


def run(options: argparse.Namespace) -> int:
    """Become pytest: its exit status is ours."""
    folder = tests_folder()
    root = folder.parent
    command = [sys.executable, "-P", "-m", "pytest", "-c", str(root / "pyproject.toml")]
    command += ["--rootdir", str(root)]
    command += ["--long"] * options.long + ["--machine"] * options.machine
    command += ["--cross"] * options.cross
    if options.fuzz:
        command += ["--fuzz", str(options.fuzz)]
    command += options.passed_on
    wants_all = not options.passed_on and not (options.machine or options.cross or options.fuzz)
    if wants_all and (os.cpu_count() or 1) > 1:
        return _side_by_side(command, folder)
    # From elsewhere pytest would look for tests there; a path that was given stands.
    if Path.cwd() != root and not any(_names_a_test(word) for word in options.passed_on):
        command.append(str(folder))
    sys.stdout.flush()
    os.execv(command[0], command)


def _side_by_side(command: list[str], folder: Path) -> int:
    """The second half writes into a file meanwhile, which is shown when the first is through."""
    second = [str(folder / name) for name in _SECOND_HALF]
    rest = [f"--ignore={name}" for name in second]
    sys.stdout.flush()
    with tempfile.TemporaryFile() as said:
        beside = subprocess.Popen([*command, *second], stdout=said, stderr=subprocess.STDOUT)
        try:
            statuses = [subprocess.call([*command, *rest, str(folder)])]
            statuses.append(beside.wait())
        except BaseException:
            beside.terminate()
            beside.wait()
            raise
        said.seek(0)
        sys.stdout.buffer.write(said.read())
        sys.stdout.flush()
    return max(map(abs, statuses))
