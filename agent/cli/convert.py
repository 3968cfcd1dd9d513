"""`gantry convert`: files and folders into another transfer syntax (PS3.5 annex A)."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.cli.files_below import files_below
from agent.codecs.codec import EncodeSettings
from agent.dataset.transfer_syntaxes import TransferSyntax, by_name
from agent.errors import GantryError, StorageError
from agent.loop import Loop, TaskGroup
from agent.loop.template import Template
from agent.loop.workers import WorkerPool


@dataclass(frozen=True, slots=True)
class Order:
    """One file that is to be converted."""

    source: str
    target: str
    transfer_syntax_uid: str
    settings: EncodeSettings
    salvage: bool


def _syntax(text: str) -> TransferSyntax:
    try:
        return by_name(text)
    except KeyError:
        raise argparse.ArgumentTypeError(
            f"'{text}' is no transfer syntax: give its UID, its keyword, or a short name such as "
            f"explicit, implicit, deflated, rle, deflated-frame, jpeg-baseline, jpeg-lossless, "
            f"jpeg-ls"
        ) from None


def _between(lowest: int, highest: int, what: str) -> Callable[[str], int]:
    def checked(text: str) -> int:
        if not (text.isascii() and text.isdigit() and lowest <= int(text) <= highest):
            raise argparse.ArgumentTypeError(f"{what} is a number from {lowest} to {highest}")
        return int(text)

    return checked


def add_arguments(parser: argparse.ArgumentParser) -> None:
    defaults = EncodeSettings()
    parser.add_argument("source", metavar="IN", type=Path, help="a DICOM file, or a folder")
    parser.add_argument("target", metavar="OUT", type=Path, help="the new file, or folder")
    parser.add_argument(
        "--to", metavar="SYNTAX", type=_syntax, required=True, help="UID or name, such as jpeg-ls"
    )
    for name, lowest, highest, default, what in (
        ("quality", 1, 100, defaults.quality, "of JPEG"),
        ("near", 0, 255, defaults.near, "of near-lossless JPEG-LS: the largest error of a sample"),
        ("level", 1, 9, defaults.level, "of deflate"),
        ("predictor", 1, 7, defaults.predictor, "of JPEG lossless, process 14"),
    ):
        parser.add_argument(
            f"--{name}",
            metavar="N",
            type=_between(lowest, highest, name),
            default=default,
            help=f"{what}, {lowest} to {highest} (default %(default)s)",
        )
    parser.add_argument(
        "--salvage",
        action="store_true",
        help="keep what can be decoded of damaged frames, the rest black",
    )
    parser.add_argument("--force", action="store_true", help="replace files that are there")
    parser.add_argument(
        "--jobs",
        metavar="N",
        type=_between(1, 64, "jobs"),
        default=1,
        help="files at once, each in a process of its own (default %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    if not options.source.exists():
        raise StorageError(f"{options.source} is not there")
    report = _Report(options.source.is_dir())
    orders = _orders(options, report)
    if options.jobs == 1:
        for order in orders:
            report.outcome(order, convert_file(order))
    else:
        Loop().run(_at_once(orders, options.jobs, report))
    return report.end()


def _orders(options: argparse.Namespace, report: _Report) -> Iterator[Order]:
    settings = EncodeSettings(
        quality=options.quality,
        near=options.near,
        level=options.level,
        predictor=options.predictor,
    )
    source, target = options.source, options.target
    folder = source.is_dir()
    if not folder and target.is_dir():
        target = target / source.name
    inside = target.resolve()
    for path in files_below([source]):
        if folder and path.resolve().is_relative_to(inside) and inside != source.resolve():
            continue
        place = target / path.relative_to(source) if folder else target
        if place.exists() and not options.force:
            report.refused(path, f"{place} is there already; --force replaces it")
            continue
        yield Order(str(path), str(place), options.to.uid, settings, options.salvage)


async def _at_once(orders: Iterator[Order], jobs: int, report: _Report) -> None:
    template = Template.start()
    try:
        pool = WorkerPool(template, "codec", jobs, kill_abandoned=True)

        async def converter() -> None:
            for order in orders:
                try:
                    report.outcome(order, await pool.call(convert_file, order))
                except GantryError as error:
                    report.refused(Path(order.source), str(error))

        async with TaskGroup() as group:
            for _ in range(jobs):
                group.start(converter(), "converter")
        pool.close()
    finally:
        template.close()


Outcome = tuple[str, bool, tuple[str, ...]]
"""What went wrong (empty: nothing), whether it was no DICOM file, and what is to be remarked."""


def convert_file(order: Order) -> Outcome:
    """Convert one file; the new one appears under its name when it is whole and on the disk."""
    from agent.objects.transcoded_file import transcode_file
    from agent.services.storage import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

    target = Path(order.target)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with Path(order.source).open("rb") as source:
            target.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("xb") as written:
                done = transcode_file(
                    source.fileno(),
                    written.fileno(),
                    order.transfer_syntax_uid,
                    order.settings,
                    implementation=(IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME),
                    salvage=order.salvage,
                )
                os.fsync(written.fileno())
            partial.rename(target)
    except GantryError as error:
        _remove(partial)
        foreign = isinstance(error, StorageError) and error.clause.startswith("PS3.10")
        way_out = f" {error.way_out}" if error.way_out else ""
        return f"{error}{way_out}", foreign, ()
    except OSError as error:
        _remove(partial)
        return f"{error.filename or target}: {error.strerror}", False, ()
    except BaseException:
        _remove(partial)
        raise
    return "", False, done.remarks


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


class _Report:
    """Counts, and says what is worth saying."""

    def __init__(self, folder: bool) -> None:
        self._folder = folder
        self._converted = self._failed = self._passed_over = 0
        self._progress = sys.stderr.isatty()

    def outcome(self, order: Order, outcome: Outcome) -> None:
        wrong, foreign, remarks = outcome
        if foreign and self._folder:
            self._passed_over += 1
            self._say(f"{order.source}: passed over, {wrong}")
        elif wrong:
            self.refused(Path(order.source), wrong)
        else:
            self._converted += 1
            for remark in remarks:
                self._say(f"{order.target}: {remark}")
        if self._progress:
            print(f"\r{self._converted} converted, {self._failed} failed", end="", file=sys.stderr)

    def refused(self, path: Path, why: str) -> None:
        self._failed += 1
        self._say(f"{path}: {why}")

    def _say(self, text: str) -> None:
        if self._progress:
            print("\r\x1b[K", end="", file=sys.stderr)
        print(text, file=sys.stderr)

    def end(self) -> int:
        if self._progress:
            print("\r\x1b[K", end="", file=sys.stderr)
        passed = f", {self._passed_over} passed over" if self._passed_over else ""
        print(f"{self._converted} converted, {self._failed} failed{passed}")
        return 1 if self._failed or not self._converted else 0
