"""Debian 12 of any architecture, unpacked into a folder: its headers, its Python.

apt works with a state of its own, so that nothing of the system changes and no root is needed;
it checks signatures as always. Packages are unpacked and not configured. What is unpacked is kept
in the user's cache under a hash of its recipe.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gantry-foreign-debian"

_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# Headers to compile with and a Python to test with: they want no security updates.
_SOURCES = f"deb [signed-by={_KEYRING}] http://deb.debian.org/debian bookworm main\n"
_SETTINGS = """
APT::Architecture "{debian}";
APT::Architectures {{ "{debian}"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Dir::State "{state}";
Dir::State::Lists "{state}/lists";
Dir::State::status "{state}/status";
Dir::Cache "{state}";
Dir::Cache::Archives "{state}/archives";
Dir::Etc::SourceList "{state}/sources.list";
Dir::Etc::SourceParts "/dev/null";
"""


class ForeignDebianError(Exception):
    """What is missing, or what apt said; a sentence for a person."""


class Architecture(NamedTuple):
    """One architecture by its names: of Linux, of Debian, of the compilers, of QEMU."""

    machine: str
    debian: str
    triplet: str
    emulator: str
    readelf: str
    """How readelf calls it."""


ARCHITECTURES: Mapping[str, Architecture] = {
    each.machine: each
    for each in (
        Architecture(
            *("x86_64", "amd64", "x86_64-linux-gnu", "qemu-x86_64-static"),
            "Advanced Micro Devices X86-64",
        ),
        Architecture("aarch64", "arm64", "aarch64-linux-gnu", "qemu-aarch64-static", "AArch64"),
        Architecture("armv7l", "armhf", "arm-linux-gnueabihf", "qemu-arm-static", "ARM"),
    )
}


def do(
    command: Sequence[str | Path],
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """What a program prints. Raises ForeignDebianError with what it complained of."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | (environment or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise ForeignDebianError(f"{command[0]}: {error.strerror}") from None
    if done.returncode:
        said = (done.stdout[-2000:] + done.stderr[-4000:]).strip()
        raise ForeignDebianError(f"{' '.join(map(str, command))} failed:\n{said}")
    return done.stdout


def ensure_host_packages(programs: Mapping[str, str]) -> None:
    """Install what is missing of `programs` (program or file to Debian package), as root.

    Raises ForeignDebianError that says what to install where this is no Debian, or we are not root.
    """
    missing = [
        package
        for program, package in programs.items()
        if shutil.which(program) is None and not Path(program).exists()
    ]
    if not missing:
        return
    if os.geteuid() or shutil.which("apt-get") is None:
        raise ForeignDebianError(f"Missing here: sudo apt-get install {' '.join(missing)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    wait = "DPkg::Lock::Timeout=300"
    do(["apt-get", "-q", "-o", wait, "update"], environment=quiet)
    do(
        ["apt-get", "-q", "-y", "-o", wait, "install", "--no-install-recommends", *missing],
        environment=quiet,
    )


def ensure_emulation(debian: str) -> None:
    """See to it that the kernel starts programs of this architecture, by QEMU where need be.

    As root; for the whole machine, until it starts anew. Raises ForeignDebianError.
    """
    emulated = next(each for each in ARCHITECTURES.values() if each.debian == debian)
    if emulated.machine == platform.machine():
        return
    ensure_host_packages(
        {emulated.emulator: "qemu-user-static", "update-binfmts": "binfmt-support"}
    )
    if not (_BINFMT / "register").exists():
        do(["mount", "-t", "binfmt_misc", "binfmt_misc", _BINFMT])
    name = emulated.emulator.removesuffix("-static")
    if not (_BINFMT / name).exists():
        do(["update-binfmts", "--enable", name])


def unpacked(
    architecture: Architecture, packages: Sequence[str], *, dependencies: bool = False
) -> Path:
    """The folder that holds these packages, and with `dependencies` all that they depend on.

    Made at the first call (a few seconds, a Debian mirror). Raises ForeignDebianError.
    """
    recipe = "\n".join((_SOURCES, architecture.debian, *packages, str(dependencies)))
    folder = CACHE / f"{architecture.debian}-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}"
    if folder.is_dir():
        return folder
    ensure_host_packages({str(_KEYRING): "debian-archive-keyring"})
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as work:
        root = Path(work) / "root"
        root.mkdir()
        for package in _downloaded(architecture, packages, dependencies, Path(work) / "state"):
            do(["dpkg-deb", "--extract", package, root])
        # Whole or not at all; of two at once the first one stands.
        try:
            root.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    return folder


def _downloaded(
    architecture: Architecture, packages: Sequence[str], dependencies: bool, state: Path
) -> list[Path]:
    archives = state / "archives"
    for each in (state / "lists" / "partial", archives / "partial"):
        each.mkdir(parents=True)
    (state / "status").touch()
    (state / "sources.list").write_text(_SOURCES)
    settings = state / "apt.conf"
    settings.write_text(_SETTINGS.format(debian=architecture.debian, state=state))
    environment = {"APT_CONFIG": str(settings)}
    do(["apt-get", "-q", "update"], environment=environment)
    if dependencies:
        install = ["apt-get", "-q", "-y", "--download-only", "install", *packages]
        do(install, environment=environment)
    else:
        do(["apt-get", "-q", "download", *packages], folder=archives, environment=environment)
    return sorted(archives.glob("*.deb"))
