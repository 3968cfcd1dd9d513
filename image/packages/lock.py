"""The wheels that go into the packages: pinned, with their hashes, in wheels.lock.

`image/build lock` chooses anew: the newest that fit pyproject.toml, Debian 12's Python and its C
library. The file has the form of pip's requirements, so that other tools (audits, update services)
read it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import tomllib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from image.foreign_debian import ForeignDebianError, do
from image.packages.targets import DEBIAN_GLIBC, TARGETS, Target

ROOT = Path(__file__).parents[2]
LOCK = Path(__file__).with_name("wheels.lock")
_HEAD = """\
# The wheels inside the Debian packages, for Debian 12's Python 3.11 on amd64 and arm64.
# Made by `image/build lock`; pip refuses what has another hash.
"""
_PYTHON = ("--python-version=3.11", "--implementation=cp", "--abi=cp311", "--abi=abi3")


class Locked(NamedTuple):
    """A project of PyPI, and the SHA-256 of each of its wheels that may be taken."""

    name: str
    version: str
    hashes: tuple[str, ...]

    def __str__(self) -> str:
        return " \\\n    ".join(
            (f"{self.name}=={self.version}", *(f"--hash=sha256:{each}" for each in self.hashes))
        )


def locked(text: str | None = None) -> tuple[Locked, ...]:
    """What the lock file says. Raises ForeignDebianError at a line that it should not have."""
    found = []
    joined = re.sub(r"\\\n\s*", "", LOCK.read_text() if text is None else text)
    for line in joined.splitlines():
        if not line or line.startswith("#"):
            continue
        pin, *hashes = line.split("--hash=sha256:")
        name, equals, version = pin.partition("==")
        if not (
            equals and hashes and all(re.fullmatch(r"[0-9a-f]{64} ?", each) for each in hashes)
        ):
            raise ForeignDebianError(f"{LOCK.name}: not a pinned project with hashes: {line}")
        found.append(Locked(name, version.strip(), tuple(each.strip() for each in hashes)))
    return tuple(found)


def download(target: Target, into: Path) -> list[Path]:
    """Fetch the wheels for a target, held against the lock by pip. Raises ForeignDebianError."""
    wanted = [each for each in locked() if each.name not in target.left_to_debian]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
        requirements.write("\n".join(map(str, wanted)))
        requirements.flush()
        options = ("--no-deps", "--require-hashes", "--requirement", requirements.name)
        do([*_pip("download", target), *options, "--dest", into])
    wheels = sorted(into.glob("*.whl"))
    if len(wheels) != len(wanted):
        raise ForeignDebianError(f"{len(wheels)} wheels came where {len(wanted)} are locked.")
    return wheels


def _pip(verb: str, target: Target) -> Iterator[str | Path]:
    yield from (sys.executable, "-P", "-m", "pip", verb, "--quiet", "--no-input")
    yield from ("--disable-pip-version-check", "--only-binary=:all:", *_PYTHON)
    # Each by itself: pip does not know that a newer C library runs what was made for an older one.
    major, newest = DEBIAN_GLIBC
    for minor in range(newest, 16, -1):
        yield f"--platform=manylinux_{major}_{minor}_{target.architecture.machine}"
    yield f"--platform=manylinux2014_{target.architecture.machine}"


def resolved(targets: Collection[Target]) -> tuple[Locked, ...]:
    """What pip would choose for all of these. Raises ForeignDebianError where they differ."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    versions: dict[str, str] = {}
    hashes: dict[str, set[str]] = {}
    for target in targets:
        with tempfile.TemporaryDirectory() as work:
            report = Path(work) / "report"
            options = ("--dry-run", "--ignore-installed", "--target", work, "--report", report)
            do([*_pip("install", target), *options, *project["dependencies"]])
            chosen = json.loads(report.read_text())["install"]
        for each in chosen:
            name = str(each["metadata"]["name"]).lower()
            version = each["metadata"]["version"]
            if versions.setdefault(name, version) != version:
                raise ForeignDebianError(
                    f"{name} is {versions[name]} for one architecture and {version} for"
                    f" {target.debian}: wait for its wheels, or limit it in pyproject.toml."
                )
            hashes.setdefault(name, set()).add(
                each["download_info"]["archive_info"]["hashes"]["sha256"]
            )
    return tuple(
        Locked(name, version, tuple(sorted(hashes[name])))
        for name, version in sorted(versions.items())
    )


def main(arguments: Sequence[str]) -> int:
    """Write the lock file anew, and tell what changed."""
    parser = argparse.ArgumentParser(
        prog="image/build lock", description="Choose anew the wheels that go into the packages."
    )
    parser.parse_args(arguments)
    before = set(locked()) if LOCK.exists() else set()
    after = resolved([each for each in TARGETS.values() if not each.left_to_debian])
    LOCK.write_text(_HEAD + "".join(f"{each}\n" for each in after))
    for each in after:
        print(f"{each.name} {each.version}{'' if each in before else '  (new)'}")
    return 0
