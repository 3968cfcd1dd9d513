"""A wheel, looked at before it is unpacked: what it is, what it asks for, under which licence."""

from __future__ import annotations

import email
import hashlib
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from image.foreign_debian import ForeignDebianError

# What wheels without License-Expression (PEP 639) mean, as SPDX says it.
_LICENCES: Mapping[str, str] = {"pydicom": "MIT", "pyserial": "BSD-3-Clause"}
# The texts that wheels lack: `licences/NAME.txt`, from the project's source.
_TEXTS = Path(__file__).with_name("licences")
# Only there to compile with, to check types with, or to test the project itself.
_LEFT_OUT_SUFFIXES = frozenset((".a", ".c", ".f", ".f90", ".h", ".pxd", ".pyi", ".pyx"))
_LEFT_OUT_FOLDERS = frozenset(("tests",))
# The record is for pip, and what dpkg has installed pip must leave alone.
_LEFT_OUT_NAMES = frozenset(("RECORD",))
_NAME = re.compile(r"[A-Za-z0-9._-]+")


class Wheel(NamedTuple):
    """`licence` is an SPDX expression, `texts` its texts; `requires` are names without versions."""

    path: Path
    name: str
    version: str
    licence: str
    texts: tuple[str, ...]
    requires: tuple[str, ...]
    sha256: str
    folders: tuple[str, ...]
    """What it brings, at the top."""
    inside: tuple[Mapping[str, Any], ...]
    """The SBOMs that it brings of what was compiled into it (PEP 770), as JSON."""


def read(path: Path) -> Wheel:
    """Raises ForeignDebianError where the licence of a wheel is not known."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        (described,) = (each for each in names if re.fullmatch(r"[^/]+\.dist-info/METADATA", each))
        folder = PurePosixPath(described).parent
        fields = email.message_from_bytes(archive.read(described))
        name = str(fields["Name"]).lower()
        licence = fields["License-Expression"] or _LICENCES.get(name)
        files = [f"{folder}/licenses/{each}" for each in fields.get_all("License-File", ())]
        # Wheels from before PEP 639 have them beside METADATA.
        texts = [
            archive.read(file if file in names else f"{folder}/{PurePosixPath(file).name}").decode()
            for file in files
        ]
        if not texts and (_TEXTS / f"{name}.txt").exists():
            texts.append((_TEXTS / f"{name}.txt").read_text())
        if not licence or not texts:
            raise ForeignDebianError(
                f"{path.name} does not say its licence, or has no text of it: see wheel.py."
            )
        inside = [each for each in names if each.startswith(f"{folder}/sboms/")]
        return Wheel(
            path,
            name,
            str(fields["Version"]),
            str(licence),
            tuple(texts),
            tuple(_required(fields.get_all("Requires-Dist", ()))),
            hashlib.sha256(path.read_bytes()).hexdigest(),
            tuple(sorted({PurePosixPath(each).parts[0] for each in names})),
            tuple(json.loads(archive.read(each)) for each in inside if each.endswith(".json")),
        )


def _required(lines: list[str] | tuple[()]) -> Iterator[str]:
    for line in lines:
        name = _NAME.match(line)
        if name and "extra ==" not in line:
            yield name[0].lower()


def unpack(wheel: Wheel, packages: Path, usr: Path) -> None:
    """Put its modules below `packages` and its data files below `usr`; its scripts are left out."""
    with zipfile.ZipFile(wheel.path) as archive:
        for entry in archive.infolist():
            path = PurePosixPath(entry.filename)
            if entry.is_dir() or _is_left_out(path):
                continue
            top, *rest = path.parts
            to = packages / path
            if top.endswith(".data"):
                scheme, *below = rest
                if scheme == "scripts":
                    continue
                to = (usr if scheme == "data" else packages).joinpath(*below)
            if ".." in path.parts or path.is_absolute():
                raise ForeignDebianError(f"{wheel.path.name} leads out of its folder: {path}")
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(archive.read(entry))


def _is_left_out(path: PurePosixPath) -> bool:
    return (
        path.suffix in _LEFT_OUT_SUFFIXES
        or path.name in _LEFT_OUT_NAMES
        or not _LEFT_OUT_FOLDERS.isdisjoint(path.parts)
    )
