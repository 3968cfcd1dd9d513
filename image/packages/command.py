"""`image/build packages`: gantry_VERSION_ARCHITECTURE.deb, and beside it its bill of materials.

Built again from the same commit, it has the same bytes: all moments are that of the commit, or
of SOURCE_DATE_EPOCH where that is set.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from image import build_wheels
from image.foreign_debian import ForeignDebianError, do, ensure_host_packages
from image.packages import archive, bytecode, control, libraries, lock, tree, wheel
from image.packages.bill_of_materials import bill_of_materials
from image.packages.licences import copyright_file
from image.packages.targets import NAME, TARGETS, Target

ROOT = Path(__file__).parents[2]


class Recipe(NamedTuple):
    """What a package is made of, besides this checkout. `own` is the wheel with our kernels."""

    target: Target
    own: Path
    others: Sequence[Path]
    compiler: Sequence[str | Path]
    version: str
    moment: int


def recipe(target: Target, work: Path) -> Recipe:
    """Build and fetch what is needed, into `work`. Raises ForeignDebianError."""
    ensure_host_packages({"readelf": "binutils"})
    fetched = work / "fetched"
    fetched.mkdir()
    return Recipe(
        target,
        build_wheels.build(target.architecture, work / "own"),
        lock.download(target, fetched),
        bytecode.debian_python(),
        version_of_project(),
        moment_of_sources(),
    )


def make(what: Recipe, into: Path) -> Path:
    """Write the package and its bill; the package's path. Raises ForeignDebianError."""
    others = [wheel.read(each) for each in what.others]
    with tempfile.TemporaryDirectory() as work:
        top = Path(work) / "tree"
        tree.assemble(
            top,
            [wheel.read(what.own), *others],
            compiler=what.compiler,
            version=what.version,
            moment=what.moment,
        )
        packages = top / tree.PACKAGES
        related = control.relations(what.target, libraries.needed(packages))
        bill = bill_of_materials(
            version=what.version,
            architecture=what.target.debian,
            wheels=others,
            packages=packages,
            relations=related,
            moment=what.moment,
        )
        documents = top / tree.DOCUMENTS
        (documents / f"{NAME}.cdx.json").write_text(bill)
        licences = copyright_file(ROOT / "LICENSE", str(tree.PACKAGES), others)
        (documents / "copyright").write_text(licences)
        into.mkdir(parents=True, exist_ok=True)
        package = into / f"{NAME}_{what.version}_{what.target.debian}.deb"
        archive.write(
            package,
            control=control.members(top, version=what.version, target=what.target, related=related),
            scripts=control.scripts(),
            tree=top,
            programs=tree.PROGRAMS,
            moment=what.moment,
        )
        package.with_suffix(".cdx.json").write_text(bill)
    return package


def version_of_project() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def moment_of_sources() -> int:
    """The date of all that is made, in seconds since 1970. Raises ForeignDebianError."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        if not given.isdecimal():
            raise ForeignDebianError(f"SOURCE_DATE_EPOCH is no number of seconds: {given}")
        return int(given)
    try:
        return int(do(["git", "log", "-1", "--format=%ct"], folder=ROOT))
    except ForeignDebianError:
        raise ForeignDebianError(
            "This is no checkout of git: set SOURCE_DATE_EPOCH to the date of the sources."
        ) from None


def main(arguments: Sequence[str]) -> int:
    """Make the packages, and print their paths and sizes."""
    parser = argparse.ArgumentParser(
        prog="image/build packages", description="Make the Debian packages, for Debian 12."
    )
    parser.add_argument("--into", type=Path, default=ROOT / "dist", help="folder (default: dist)")
    parser.add_argument(
        "architectures",
        nargs="*",
        metavar="ARCHITECTURE",
        help=f"of {', '.join(TARGETS)}; all if none",
    )
    options = parser.parse_args(arguments)
    if unknown := [each for each in options.architectures if each not in TARGETS]:
        parser.error(f"{unknown[0]} is none of {', '.join(TARGETS)}")
    for each in options.architectures or TARGETS:
        with tempfile.TemporaryDirectory() as work:
            package = make(recipe(TARGETS[each], Path(work)), options.into)
        print(f"{package}  {package.stat().st_size / 1e6:.1f} MB", flush=True)
    return 0
