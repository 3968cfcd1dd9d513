"""`gantry send`: files and folders to a peer, as they are (PS3.4 B)."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from agent import observation
from agent.cli.files_below import files_below
from agent.cli.options import add_peer_options
from agent.cli.requestor import associate
from agent.dataset.file_meta import read_file_meta
from agent.errors import GantryError, PeerError, StorageError
from agent.loop import Channel, ChannelClosed, Loop, TaskGroup, turn
from agent.network.association import Association
from agent.network.data_set import FileSource
from agent.network.negotiation import ContextNeed, propose
from agent.network.status import Category, category, status_text
from agent.services.storage import c_store

# Objects that are looked into before the first is sent, and then ahead of the one being sent.
_AHEAD = 256


@dataclass(slots=True)
class Found:
    """A Part 10 file that is to be sent."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set_offset: int

    @property
    def context(self) -> tuple[str, str]:
        """What the presentation context must be for."""
        return self.sop_class_uid, self.transfer_syntax_uid


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

    def __init__(self, options: argparse.Namespace) -> None:
        self.as_json = options.json
        self.to = {"title": options.called, "address": options.peer[0]}
        self.sent = self.warnings = self.failed = self.passed_over = 0
        self._progress = sys.stderr.isatty() and not options.json

    def outcome(self, found: Found, status: int | None, comment: str) -> None:
        if status is not None and category(status) is Category.SUCCESS:
            self.sent += 1
        elif status is not None and category(status) is Category.WARNING:
            self.sent += 1
            self.warnings += 1
        else:
            self.failed += 1
        said = comment if status is None else f"{status_text(status)} {comment}".strip()
        if observation.log.is_audited:
            is_sent = status is not None and category(status) is not Category.FAILURE
            observation.occasion(
                "file", act="sent", file=found.path, reason="" if is_sent else said, **self.to
            )
        if self.as_json:
            line = {
                "path": str(found.path),
                "sop_instance_uid": found.sop_instance_uid,
                "status": status,
                "comment": comment,
            }
            print(json.dumps(line))
        elif status != 0:
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


class _Scan:
    """Looks into files while others are on their way; what waits to be sent is bounded."""

    def __init__(self, paths: list[Path], report: _Report) -> None:
        self._paths = paths
        self._report = report
        self._found: Channel[Found] = Channel(_AHEAD)
        self._put_back: list[Found] = []

    async def run(self) -> None:
        named = {path for path in self._paths if not path.is_dir()}
        try:
            for path in files_below(self._paths):
                try:
                    await self._found.put(look_into(path))
                except StorageError as error:
                    if path in named:
                        raise
                    self._report.passed_over += 1
                    print(f"{path}: passed over, {error}", file=sys.stderr)
                await turn()
        finally:
            self._found.close()

    async def next(self, proposed: set[tuple[str, str]] | None = None) -> Found | None:
        """The next object; None at the end, or before one that needs another context."""
        try:
            found = self._put_back.pop() if self._put_back else await self._found.get()
        except ChannelClosed:
            return None
        if proposed is not None and found.context not in proposed:
            self._put_back.append(found)
            return None
        return found

    async def next_batch(self) -> list[Found]:
        """The next objects, for which contexts are to be proposed."""
        batch: list[Found] = []
        while len(batch) < _AHEAD and (found := await self.next()) is not None:
            batch.append(found)
        return batch


async def _send(options: argparse.Namespace) -> int:
    report = _Report(options)
    scan = _Scan(options.path, report)
    async with TaskGroup() as group:
        group.start(scan.run(), "scan")
        while batch := await scan.next_batch():
            split = propose(
                ContextNeed(each.sop_class_uid, (each.transfer_syntax_uid,)) for each in batch
            )
            for number, proposals in enumerate(split, 1):
                proposed = {(each.abstract_syntax, each.transfer_syntaxes[0]) for each in proposals}
                association = await associate(options, proposals, window=options.window)
                await _send_over(
                    association,
                    [each for each in batch if each.context in proposed],
                    # Over the last one goes all that comes behind and needs no other context.
                    partial(scan.next, proposed) if number == len(split) else None,
                    report,
                    options.window,
                )
                await association.release()
    return report.end()


async def _send_over(
    association: Association,
    batch: list[Found],
    more: Callable[[], Awaitable[Found | None]] | None,
    report: _Report,
    window: int,
) -> None:
    waiting = iter(batch)

    async def sender() -> None:
        for found in waiting:
            await _send_one(association, found, report)
        while more is not None and (another := await more()) is not None:
            await _send_one(association, another, report)

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
