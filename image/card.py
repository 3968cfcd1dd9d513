"""An image for a card, and the update that leads to the same system.

    python -m image.card --packages FOLDER --output FOLDER [--architecture amd64]

makes, as root on Debian 12 and from nothing but its mirror and the .deb files in `--packages`:

    gantry-VERSION-ARCHITECTURE.img     to be written onto a card or disk of 2 GB or more
    gantry-VERSION-ARCHITECTURE.raucb   to be installed on a running card by `rauc install`
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from image import boot, partitions, root, update
from image.boards import BOARDS, Board
from image.foreign_debian import ForeignDebianError, do, ensure_host_packages

_PROJECT = Path(__file__).parents[1]
_DEFAULT_MOMENT = 1_735_689_600
"""2025-01-01: the time of a build that no time was given for, by SOURCE_DATE_EPOCH or git."""


class Made(NamedTuple):
    """The files of one build."""

    card: Path
    bundle: Path


def make(
    board: Board, packages: Sequence[Path], output: Path, signer: update.Signer, version: str
) -> Made:
    """Both files in `output`. Needs root, some minutes, 3 GiB. Raises ForeignDebianError."""
    programs = root.HOST_PROGRAMS | boot.HOST_PROGRAMS | partitions.HOST_PROGRAMS
    ensure_host_packages(programs | update.HOST_PROGRAMS)
    if os.geteuid():
        raise ForeignDebianError("Only root can make a root file system: try sudo")
    if not signer.certificate.is_file():
        raise ForeignDebianError(f"There is no {signer.certificate} for cards to trust")
    output.mkdir(parents=True, exist_ok=True)
    moment = build_moment()
    name = f"gantry-{version}-{board.debian}"
    made = Made(output / f"{name}.img", output / f"{name}.raucb")
    with tempfile.TemporaryDirectory(dir=output, prefix="work-") as folder:
        # Some programs are run elsewhere.
        work = Path(folder).resolve()
        tree, beside = root.make_root(board, packages, work, version, signer.certificate)
        packed = work / "root.squashfs"
        boot_folder = boot.make_boot(board, tree, beside, work)
        root.pack(tree, packed, moment)
        partitions.write_card(board, boot_folder, packed, work, made.card, moment)
        update.write_bundle(board, packed, signer, version, work, made.bundle)
    return made


def build_moment() -> int:
    """The time that is written into the image: SOURCE_DATE_EPOCH, else that of the last commit."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if re.fullmatch("[0-9]+", given):
        return int(given)
    try:
        return int(do(["git", "-C", _PROJECT, "log", "-1", "--format=%ct"]))
    except (ForeignDebianError, ValueError):
        return _DEFAULT_MOMENT


def project_version() -> str:
    """The version of the checkout."""
    with (_PROJECT / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--architecture", choices=sorted(BOARDS), default="arm64", help="(default %(default)s)"
    )
    parser.add_argument(
        "--packages", metavar="FOLDER", type=Path, required=True, help="our .deb files"
    )
    parser.add_argument("--output", metavar="FOLDER", type=Path, default=Path("build"))
    parser.add_argument("--version", default="", help="(default: that of the checkout)")
    parser.add_argument("--signing-key", metavar="PEM", type=Path, help="signs the update")
    parser.add_argument(
        "--certificate", metavar="PEM", type=Path, help="its certificate; cards trust it"
    )


def run(options: argparse.Namespace) -> int:
    board = BOARDS[options.architecture]
    if bool(options.signing_key) != bool(options.certificate):
        raise ForeignDebianError("--signing-key and --certificate belong together")
    packages = fitting(options.packages, board)
    if options.signing_key:
        signer = update.Signer(options.signing_key, options.certificate)
    else:
        signer = update.test_authority(options.output / "test-authority")
        print(f"signed by a test authority: {signer.key.parent}", file=sys.stderr)
    made = make(board, packages, options.output, signer, options.version or project_version())
    for each in made:
        print(f"{each}  {each.stat().st_blocks * 512 / 2**20:.0f} MiB")
    return 0


def fitting(folder: Path, board: Board) -> list[Path]:
    """The packages in `folder` for this board. Raises ForeignDebianError when there is none."""
    found = sorted(
        each
        for each in folder.glob("*.deb")
        if each.stem.rpartition("_")[2] in (board.debian, "all")
    )
    if not found:
        raise ForeignDebianError(f"There is no package for {board.debian} in {folder}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="image/build card", description=__doc__)
    add_arguments(parser)
    try:
        return run(parser.parse_args(arguments))
    except ForeignDebianError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
