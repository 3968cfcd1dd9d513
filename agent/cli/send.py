"""`gantry send`: files and folders to a peer, as they are (PS3.4 B)."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.cli.options import add_peer_options
from agent.cli.requestor import associate
from agent.dataset.file_meta import read_file_meta
from agent.errors import GantryError, PeerError, StorageError
from agent.loop import Loop, TaskGroup
from agent.network.association import Association
from agent.network.data_set import FileSource
from agent.network.negotiation import ContextNeed, propose
from agent.network.status import Category, category, status_text
from agent.services.storage import c_store


@dataclass(slots=True)
class Found:
    """A Part 10 file that is to be sent."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set_offset: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_peer_options(parser)
    parser.add_argument("path", metavar="PATH", type=Path, nargs="+", help="files and folders")
    parser.add_argument(
        "--window",
        metavar="N",
        type=int,
        default=1,
        help="operations outstanding at once, if the peer agrees (default %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    return Loop().run(_send(options))


def _files(paths: list[Path]) -> Iterator[Path]:
    """Every file below, in the order of names; links inside folders are not followed."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for folder, folders, names in os.walk(path):
            folders.sort()
            for name in sorted(names):
                found = Path(folder, name)
                if not found.is_symlink() and found.is_file():
                    yield found


def look_into(path: Path) -> Found:
    """What a file is. Raises StorageError when it is no DICOM file or cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error
    try:
        meta = read_file_meta(descriptor)
    finally:
        os.close(descriptor)
    sop_class, instance = meta.media_storage_sop_class_uid, meta.media_storage_sop_instance_uid
    if not (sop_class and instance):
        raise StorageError(f"{path} does not say what it is: its file meta information lacks UIDs")
    return Found(path, sop_class, instance, meta.transfer_syntax_uid, meta.data_set_offset)


class _Report:
    """Counts, and says what is worth saying."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.sent = self.warnings = self.failed = self.passed_over = 0
        self._progress = sys.stderr.isatty() and not as_json

    def outcome(self, found: Found, status: int | None, comment: str) -> None:
        if status is not None and category(status) is Category.SUCCESS:
            self.sent += 1
        elif status is not None and category(status) is Category.WARNING:
            self.sent += 1
            self.warnings += 1
        else:
            self.failed += 1
        if self.as_json:
            line = {
                "path": str(found.path),
                "sop_instance_uid": found.sop_instance_uid,
                "status": status,
                "comment": comment,
            }
            print(json.dumps(line))
        elif status != 0:
            said = comment if status is None else f"{status_text(status)} {comment}".strip()
            print(f"{found.path}: {said}", file=sys.stderr)
        if self._progress:
            print(f"\r{self.sent} sent, {self.failed} failed", end="", file=sys.stderr)

    def end(self) -> int:
        if self._progress:
            print("\r", end="", file=sys.stderr)
        if not self.as_json:
            passed = f", {self.passed_over} passed over" if self.passed_over else ""
            warned = f" ({self.warnings} with a warning)" if self.warnings else ""
            print(f"{self.sent} sent{warned}, {self.failed} failed{passed}")
        return 1 if self.failed or not self.sent else 0


async def _send(options: argparse.Namespace) -> int:
    report = _Report(options.json)
    single = {path for path in options.path if not path.is_dir()}
    objects: list[Found] = []
    for path in _files(options.path):
        try:
            objects.append(look_into(path))
        except StorageError as error:
            if path in single:
                raise
            report.passed_over += 1
            print(f"{path}: passed over, {error}", file=sys.stderr)
    needs = [ContextNeed(each.sop_class_uid, (each.transfer_syntax_uid,)) for each in objects]
    for proposals in propose(needs):
        wanted = {(each.abstract_syntax, each.transfer_syntaxes[0]) for each in proposals}
        batch = [
            each for each in objects if (each.sop_class_uid, each.transfer_syntax_uid) in wanted
        ]
        association = await associate(options, proposals, window=options.window)
        await _send_batch(association, batch, report, options.window)
        await association.release()
    return report.end()


async def _send_batch(
    association: Association, batch: list[Found], report: _Report, window: int
) -> None:
    waiting = iter(batch)

    async def sender() -> None:
        for found in waiting:
            await _send_one(association, found, report)

    async with TaskGroup() as group:
        for _ in range(max(1, window)):
            group.start(sender(), "sender")


async def _send_one(association: Association, found: Found, report: _Report) -> None:
    context = association.contexts.find(found.sop_class_uid, found.transfer_syntax_uid, scu=True)
    if context is None:
        report.outcome(found, None, "the peer does not take this SOP class in this transfer syntax")
        return
    if not association.is_open:
        raise association.error or PeerError("the association has ended")
    descriptor = os.open(found.path, os.O_RDONLY)
    try:
        response = await c_store(
            association,
            context,
            found.sop_class_uid,
            found.sop_instance_uid,
            FileSource(descriptor, found.data_set_offset),
        )
        report.outcome(found, response.status, response.comment)
    except GantryError as error:
        report.outcome(found, None, str(error))
        if not association.is_open:
            raise
    finally:
        os.close(descriptor)
