"""Which packages of Debian the compiled modules need: what dpkg-shlibdeps does, by a table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from image.foreign_debian import ForeignDebianError, do
from image.packages.targets import DEBIAN_GLIBC

_C = "libc6"
_PACKAGES: Mapping[str, str] = {
    "libc.so.6": _C,
    "libdl.so.2": _C,
    "libm.so.6": _C,
    "libpthread.so.0": _C,
    "librt.so.1": _C,
    "libgcc_s.so.1": "libgcc-s1",
    "libstdc++.so.6": "libstdc++6",
    "libz.so.1": "zlib1g",
}
_LOADER = re.compile(r"ld-linux.*\.so\.\d")


def needed(folder: Path) -> tuple[str, ...]:
    """The dependencies of all that is compiled below a folder, libc6 with its version.

    Raises ForeignDebianError at a library that is neither below the folder nor in the table, and
    where a newer C library is asked for than Debian 12 has.
    """
    modules = sorted(each for each in folder.rglob("*.so*") if each.is_file())
    said = do(["readelf", "--wide", "--dynamic", "--version-info", *modules])
    libraries = set(re.findall(r"\(NEEDED\).*\[(.*)\]", said)) - {each.name for each in modules}
    packages = set()
    for library in libraries:
        package = _C if _LOADER.fullmatch(library) else _PACKAGES.get(library)
        if package is None:
            raise ForeignDebianError(f"{library} is needed, and is in no package that is known.")
        packages.add(package)
    versions = re.findall(r"GLIBC_(\d+)\.(\d+)", said)
    major, minor = max((int(major), int(minor)) for major, minor in versions)
    if (major, minor) > DEBIAN_GLIBC:
        raise ForeignDebianError(f"Something needs GLIBC {major}.{minor}, newer than Debian 12's.")
    return (f"{_C} (>= {major}.{minor})", *sorted(packages - {_C}))
