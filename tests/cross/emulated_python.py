"""Debian's own Python of another architecture, under QEMU's emulation of its processor."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from image.foreign_debian import Architecture, ensure_host_packages, unpacked

PACKAGES = ("python3", "python3-numpy", "python3-pip")


class EmulatedPython:
    """It needs no root once the emulator is installed, and runs in folders of the host."""

    def __init__(self, architecture: Architecture) -> None:
        ensure_host_packages({architecture.emulator: "qemu-user-static"})
        self._architecture = architecture
        self._root = unpacked(architecture, PACKAGES, dependencies=True)
        libraries = self._root / "usr" / "lib" / architecture.triplet
        # Debian finds these by its alternatives, which are made when packages are configured.
        self._libraries = f"{libraries / 'blas'}:{libraries / 'lapack'}"

    def run(
        self, *arguments: str | Path, path: tuple[Path, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments, and with `path` before its own modules."""
        given = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": ":".join(map(str, path)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONNOUSERSITE": "1",
        }
        command = [
            *(self._architecture.emulator, "-L", str(self._root)),
            *("-E", f"LD_LIBRARY_PATH={self._libraries}"),
            str(self._root / "usr" / "bin" / "python3.11"),
            *map(str, arguments),
        ]
        return subprocess.run(
            command, env=given, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd="/"
        )

    def installed(self, wheel: Path, into: Path) -> Path:
        """The folder into which its own pip has installed the wheel: pip judges its name."""
        options = ("--no-deps", "--no-index", "--no-cache-dir", "--target", into)
        done = self.run("-m", "pip", "install", "--quiet", *options, wheel)
        assert done.returncode == 0, done.stderr
        return into
