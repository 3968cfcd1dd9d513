"""Build the wheels for PCs and for 64-bit and 32-bit ARM, C kernels included.

    .venv/bin/python -m image.build_wheels [--into FOLDER] [x86_64] [aarch64] [armv7l]

The kernels use the limited API, so that one wheel of an architecture serves every Python from 3.11
on. They are compiled with Debian's (cross) compilers and with the headers of Debian's Python of
that architecture (pyconfig.h differs). What was built is then looked at: a wheel without its
kernel, one for another processor, or one that asks for a newer C library than its name says is not
kept.
"""

from __future__ import annotations

import argparse
import platform
import re
import shlex
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from image.foreign_debian import (
    ARCHITECTURES,
    Architecture,
    ForeignDebianError,
    do,
    ensure_host_packages,
    unpacked,
)

ROOT = Path(__file__).parents[1]
KERNEL = "agent/codecs/kernel.abi3.so"
HEADERS = ("libpython3.11-dev",)

# PEP 600: the oldest GNU C library that the wheel promises to run with; 2.17 is manylinux2014.
GLIBC = (2, 17)
_MAY_NEED = re.compile(r"lib(c|m|gcc_s)\.so\.\d+|ld-linux-.*\.so\.\d+")
_SOURCES = (
    *("pyproject.toml", "setup.py", "README.md", "LICENSE"),
    *("agent", "hal", "profiles"),
)


def platform_tag(architecture: Architecture) -> str:
    """The last part of a wheel's name."""
    return f"manylinux_{GLIBC[0]}_{GLIBC[1]}_{architecture.machine}"


def build(architecture: Architecture, into: Path) -> Path:
    """The path of the new wheel. Raises ForeignDebianError."""
    compiler = f"{architecture.triplet}-gcc"
    ensure_host_packages(_compiler_packages(architecture))
    headers = unpacked(architecture, HEADERS) / "usr" / "include"
    folders = (headers / "python3.11", headers)
    environment = {
        "CC": compiler,
        "LDSHARED": f"{compiler} -shared -Wl,-s",
        # Before the headers of the Python that runs this, which setuptools adds.
        "CPPFLAGS": " ".join(f"-I{shlex.quote(str(each))}" for each in folders),
    }
    with tempfile.TemporaryDirectory() as work:
        # From a copy: what earlier builds left in the checkout must not get into a wheel.
        sources, made = Path(work) / "sources", Path(work) / "made"
        _copy_sources(sources)
        do(
            [
                *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"),
                *("--no-build-isolation", "--no-index", "--wheel-dir", made),
                f"--config-settings=--build-option=--plat-name={platform_tag(architecture)}",
                sources,
            ],
            environment=environment,
        )
        (wheel,) = made.glob("*.whl")
        check(wheel, architecture)
        into.mkdir(parents=True, exist_ok=True)
        return Path(shutil.move(wheel, into / wheel.name))


def _compiler_packages(architecture: Architecture) -> dict[str, str]:
    """What must be here to compile for it: program or file, and its Debian package."""
    triplet = architecture.triplet
    if architecture.machine == platform.machine():
        return {f"{triplet}-gcc": "gcc", "/usr/include/stdio.h": "libc6-dev"}
    return {
        f"{triplet}-gcc": f"gcc-{triplet.replace('_', '-')}",
        f"/usr/{triplet}/include/stdio.h": f"libc6-dev-{architecture.debian}-cross",
    }


def _copy_sources(to: Path) -> None:
    to.mkdir()
    for name in _SOURCES:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.so")
            shutil.copytree(ROOT / name, to / name, ignore=ignored)
        else:
            shutil.copy2(ROOT / name, to / name)


def check(wheel: Path, architecture: Architecture) -> None:
    """Hold a wheel against its name. Raises ForeignDebianError with what does not fit."""
    if not wheel.name.endswith(f"-cp311-abi3-{platform_tag(architecture)}.whl"):
        raise ForeignDebianError(f"{wheel.name} does not have the name that was asked for.")
    with tempfile.TemporaryDirectory() as work, zipfile.ZipFile(wheel) as archive:
        compiled = [each for each in archive.namelist() if each.endswith(".so")]
        if compiled != [KERNEL]:
            raise ForeignDebianError(
                f"{wheel.name} holds {compiled or 'no kernel'} where {KERNEL} belongs;"
                f" its sources may not compile with {architecture.triplet}-gcc."
            )
        extracted = archive.extract(KERNEL, work)
        said = do(["readelf", "--wide", "--file-header", "--dynamic", "--version-info", extracted])
    machine = re.search(r"Machine:\s+(.*)", said)
    if machine is None or machine[1].strip() != architecture.readelf:
        raise ForeignDebianError(f"{KERNEL} is for {machine and machine[1]}.")
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", said)
    foreign = [each for each in needed if not _MAY_NEED.fullmatch(each)]
    versions = {
        (int(major), int(minor)) for major, minor in re.findall(r"GLIBC_(\d+)\.(\d+)", said)
    }
    newer = sorted(each for each in versions if each > GLIBC)
    if foreign or newer:
        wants = [*foreign, *(f"GLIBC_{major}.{minor}" for major, minor in newer)]
        raise ForeignDebianError(f"{KERNEL} needs {', '.join(wants)}, which {wheel.name} denies.")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="image.build_wheels", description="Build the wheels, kernels included."
    )
    parser.add_argument("--into", type=Path, default=ROOT / "dist", help="folder (default: dist)")
    parser.add_argument(
        "machines", nargs="*", metavar="MACHINE", help=f"of {', '.join(ARCHITECTURES)}; all if none"
    )
    options = parser.parse_args(arguments)
    if unknown := [each for each in options.machines if each not in ARCHITECTURES]:
        parser.error(f"{unknown[0]} is none of {', '.join(ARCHITECTURES)}")
    for machine in options.machines or ARCHITECTURES:
        try:
            print(build(ARCHITECTURES[machine], options.into))
        except ForeignDebianError as error:
            print(f"build_wheels: {machine}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
