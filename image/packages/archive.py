"""The form of a .deb file (deb(5)): `ar` with debian-binary, control.tar.xz and data.tar.xz.

Written here and not by dpkg-deb, for three reasons: owners, modes and moments are given and not
read from a disk, so that neither root nor fakeroot is needed and the same content gives the same
bytes; the compression has one thread, one level, and the same result on every machine with the
same liblzma; and the host need not be a Debian.
"""

from __future__ import annotations

import io
import lzma
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

_PIECE = 1 << 20
_LEVEL = 6
EXECUTABLE = 0o755
_PLAIN = 0o644


def write(
    package: Path,
    *,
    control: Mapping[str, bytes],
    scripts: Mapping[str, bytes],
    tree: Path,
    programs: frozenset[PurePosixPath],
    moment: int,
) -> None:
    """Write a .deb of the files below `tree`, all of them root's.

    `control` are plain members of the control archive, `scripts` its executable ones; `programs`
    are the files that may be run, by their path below `tree`. `moment` (seconds since 1970) is
    the date of everything. Raises ValueError at what is neither file nor folder, and OSError.
    """
    with tempfile.TemporaryFile() as described, tempfile.TemporaryFile() as content:
        with _tar(described, moment) as tar:
            for name, text in sorted({**control, **scripts}.items()):
                tar.add(name, io.BytesIO(text), len(text), name in scripts)
        with _tar(content, moment) as tar:
            for path in _walk(tree):
                place = PurePosixPath(path.relative_to(tree).as_posix())
                if path.is_dir():
                    tar.add_folder(str(place))
                else:
                    with path.open("rb") as file:
                        tar.add(str(place), file, path.stat().st_size, place in programs)
        with package.open("wb") as out:
            out.write(b"!<arch>\n")
            _member(out, "debian-binary", io.BytesIO(b"2.0\n"), moment)
            _member(out, "control.tar.xz", described, moment)
            _member(out, "data.tar.xz", content, moment)


def _walk(folder: Path) -> Iterator[Path]:
    """What is below a folder, each folder before its content, in the order of names."""
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ValueError(f"{path} is neither a file nor a folder")
        yield path
        if path.is_dir():
            yield from _walk(path)


@contextmanager
def _tar(into: IO[bytes], moment: int) -> Iterator[_Tar]:
    """A tar archive with an entry for its top folder, compressed while it is written."""
    with (
        lzma.open(into, "wb", preset=_LEVEL) as xz,
        tarfile.TarFile(fileobj=xz, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        found = _Tar(tar, moment)
        found.add_folder("")
        yield found


class _Tar:
    """Adds what root owns and what has one date."""

    def __init__(self, tar: tarfile.TarFile, moment: int) -> None:
        self._tar = tar
        self._moment = moment

    def add_folder(self, name: str) -> None:
        entry = self._entry(name, EXECUTABLE)
        entry.type = tarfile.DIRTYPE
        self._tar.addfile(entry)

    def add(self, name: str, file: IO[bytes], size: int, is_program: bool) -> None:
        entry = self._entry(name, EXECUTABLE if is_program else _PLAIN)
        entry.size = size
        self._tar.addfile(entry, file)

    def _entry(self, name: str, mode: int) -> tarfile.TarInfo:
        entry = tarfile.TarInfo(f"./{name}")
        entry.mode, entry.mtime = mode, self._moment
        entry.uname = entry.gname = "root"
        return entry


def _member(out: IO[bytes], name: str, content: IO[bytes], moment: int) -> None:
    size = content.seek(0, io.SEEK_END)
    content.seek(0)
    header = f"{name:<16}{moment:<12}{0:<6}{0:<6}{0o100644:<8o}{size:<10}`\n"
    out.write(header.encode())
    while piece := content.read(_PIECE):
        out.write(piece)
    # Each member begins at an even place.
    out.write(b"\n" * (size % 2))
