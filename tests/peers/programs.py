"""Finds the programs of Debian's packages, and skips or fails a test that wants for one."""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest


def is_continuous_integration() -> bool:
    """Whether a missing peer is a failure (CI is set) or a reason to skip."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


def missing(what: str, way_out: str) -> NoReturn:
    """Fail the test where all peers must be there, skip it elsewhere; never returns."""
    message = f"{what} is not installed: {way_out}"
    if is_continuous_integration():
        pytest.fail(message)
    pytest.skip(message)


@functools.cache
def _files_of(package: str) -> tuple[Path, ...]:
    try:
        listing = subprocess.run(
            ["dpkg", "-L", package], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return ()
    return tuple(path for path in map(Path, listing.splitlines()) if path.is_file())


def _way_out(package: str) -> str:
    return f"apt-get install {package}, or './gantry test' as root"


def program(package: str, name: str) -> Path:
    """The program's path by the package's own list of files.

    PATH is not asked: pynetdicom puts programs named like DCMTK's into the virtual environment.
    """
    for path in _files_of(package):
        if path.name == name and path.parent.name in ("bin", "sbin"):
            return path
    missing(f"{name} of {package}", _way_out(package))


def plugin(package: str, name: str) -> Path:
    """The path of a library of the package that one of its programs loads when told to."""
    for path in _files_of(package):
        if path.name == name:
            return path
    missing(f"{name} of {package}", _way_out(package))


@dataclass(frozen=True)
class Completed:
    """What a program that has ended has said; `output` is both of its outputs."""

    arguments: tuple[str, ...]
    returncode: int
    output: str

    def check(self) -> Completed:
        """Itself when the status is 0; AssertionError with all that was printed when not."""
        assert self.returncode == 0, (
            f"{' '.join(self.arguments)}: status {self.returncode}\n{self.output}"
        )
        return self


def run(
    arguments: Sequence[str | Path],
    *,
    seconds: float = 60.0,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Completed:
    """Run a program to its end; it is killed, and the test fails, when it takes too long."""
    words = tuple(str(argument) for argument in arguments)
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            cwd=folder,
            env=dict(os.environ) | dict(environment or {}),
        )
    except subprocess.TimeoutExpired as error:
        printed = (error.stdout or b"").decode(errors="replace")
        raise AssertionError(f"{' '.join(words)}: not done in {seconds:g} s\n{printed}") from None
    return Completed(words, done.returncode, done.stdout.decode(errors="replace"))
