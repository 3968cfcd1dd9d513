"""Which packages there are: one row an architecture of Debian."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from image.foreign_debian import ARCHITECTURES, Architecture

NAME = "gantry"
DEBIAN_GLIBC = (2, 36)
"""The C library of Debian 12: a wheel that asks for a newer one cannot be used."""


class Target(NamedTuple):
    """`left_to_debian`: what is not taken from PyPI, and the Debian package in its place."""

    architecture: Architecture
    left_to_debian: Mapping[str, str]

    @property
    def debian(self) -> str:
        return self.architecture.debian


# PyPI has no wheels of numpy, cryptography and cffi for armv7l; pycparser is only there for cffi.
_FOR_ARMV7L = {
    "numpy": "python3-numpy (>= 1:1.24)",
    "cryptography": "python3-cryptography (>= 38)",
    "cffi": "",
    "pycparser": "",
}
TARGETS: Mapping[str, Target] = {
    each.debian: each
    for each in (
        Target(ARCHITECTURES["x86_64"], {}),
        Target(ARCHITECTURES["aarch64"], {}),
        Target(ARCHITECTURES["armv7l"], _FOR_ARMV7L),
    )
}
