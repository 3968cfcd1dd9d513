"""What lies where on the installed system: the tables, and the tree that is made by them."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator, Sequence
from email.utils import formatdate
from pathlib import Path, PurePosixPath

from image.foreign_debian import ForeignDebianError
from image.packages import bytecode
from image.packages.targets import NAME
from image.packages.wheel import Wheel, unpack

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
SYSTEMD = ROOT / "systemd"
PACKAGES = PurePosixPath("usr/lib/gantry/packages")
DOCUMENTS = PurePosixPath("usr/share/doc/gantry")
UNITS = PurePosixPath("usr/lib/systemd/system")
LAUNCHER = PurePosixPath("usr/bin/gantry")
PROGRAMS = frozenset((LAUNCHER,))
MAINTAINER = "The Gantry authors <gantry@packages.invalid>"


# Where the files of `systemd/` go, by their path there; the first row that fits is taken.
PLACES: Sequence[tuple[str, PurePosixPath]] = (
    *((f"*.{kind}", UNITS) for kind in ("service", "socket", "timer", "path", "target")),
    ("*-media.rules", PurePosixPath("usr/share/polkit-1/rules.d")),
    ("*.rules", PurePosixPath("usr/lib/udev/rules.d")),
    ("sysusers.d/*.conf", PurePosixPath("usr/lib/sysusers.d")),
    ("tmpfiles.d/*.conf", PurePosixPath("usr/lib/tmpfiles.d")),
    # Limits for a machine that is a Gantry only: of others the journal is not ours to limit.
    ("journald.conf.d/*.conf", DOCUMENTS / "examples" / "journald.conf.d"),
    # What a first start reads from the boot partition.
    ("gantry.conf", DOCUMENTS / "examples"),
    ("README.md", DOCUMENTS / "systemd"),
)

DOCUMENT_FILES = ("README.md", "CHANGELOG.md")


def place(file: str) -> PurePosixPath:
    """Where a file of `systemd/` is installed. Raises ForeignDebianError where no row fits."""
    path = PurePosixPath(file)
    for pattern, folder in PLACES:
        if path.match(pattern):
            return folder / path.name
    raise ForeignDebianError(f"systemd/{file}: no row of PLACES says where it is installed.")


def units() -> Iterator[Path]:
    """The unit files among those of `systemd/`."""
    for file in sorted(SYSTEMD.iterdir()):
        if file.is_file() and place(file.name).is_relative_to(UNITS):
            yield file


def assemble(
    tree: Path,
    wheels: Sequence[Wheel],
    *,
    compiler: Sequence[str | Path],
    version: str,
    moment: int,
) -> None:
    """Make the tree, but for licences and bill of materials. Raises ForeignDebianError."""
    packages = tree / PACKAGES
    for wheel in wheels:
        unpack(wheel, packages, tree / "usr")
    for file in sorted(SYSTEMD.rglob("*")):
        if file.is_file():
            _copy(file, tree / place(file.relative_to(SYSTEMD).as_posix()))
    _copy(HERE / "launcher", tree / LAUNCHER)
    _copy(HERE / "lintian-overrides", tree / "usr" / "share" / "lintian" / "overrides" / NAME)
    for name in DOCUMENT_FILES:
        _copy(ROOT / name, tree / DOCUMENTS / name)
    # Without the moment that gzip puts into its head.
    changes = gzip.compress(_changelog(version, moment).encode(), mtime=0)
    (tree / DOCUMENTS / "changelog.gz").write_bytes(changes)
    bytecode.compile_below(packages, f"/{PACKAGES}", compiler)


def _changelog(version: str, moment: int) -> str:
    """In Debian's form, which says no more than where ours is."""
    date = formatdate(moment, usegmt=True).replace("GMT", "+0000")
    return (
        f"{NAME} ({version}) bookworm; urgency=medium\n\n"
        f"  * /{DOCUMENTS}/CHANGELOG.md says what changed.\n\n -- {MAINTAINER}  {date}\n"
    )


def _copy(file: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, to)
