"""Compiled modules inside the package, so that no start has to compile.

The service may write nowhere below /usr, and the root of an image is read-only: without them each
start would compile all it imports. They are made here and not when the package is configured,
which takes minutes on a small box and leaves files that dpkg does not know. They are not checked
against their sources (PEP 552, unchecked-hash): both come from one package.

Debian 12's own Python compiles, whatever Python runs this: that which will read them.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

from image.foreign_debian import ARCHITECTURES, ForeignDebianError, do, unpacked


def debian_python() -> list[str | Path]:
    """The command that starts Debian 12's Python on this machine, without it being installed.

    Raises ForeignDebianError.
    """
    architecture = ARCHITECTURES.get(platform.machine())
    if architecture is None:
        raise ForeignDebianError(f"Debian's Python does not run on a {platform.machine()} as this.")
    root = unpacked(architecture, ("python3.11",), dependencies=True)
    libraries = root / "lib" / architecture.triplet
    (loader,) = libraries.glob("ld-linux*.so.*")
    path = f"{libraries}:{root / 'usr' / 'lib' / architecture.triplet}"
    return [loader, "--library-path", path, root / "usr" / "bin" / "python3.11"]


def compile_below(folder: Path, installed: str, python: Sequence[str | Path]) -> None:
    """Compile what is below `folder`, which will be at `installed`. Raises ForeignDebianError."""
    how = ("--invalidation-mode", "unchecked-hash", "-s", folder, "-p", installed)
    # The order of sets of texts, and so of constants, depends on the seed.
    do(
        [*python, "-sP", "-m", "compileall", "-q", "-j", "1", *how, folder],
        environment={"PYTHONHASHSEED": "0"},
    )
