"""`gantry media request`: have another system make media, and see how far it is (PS3.4 S).

The system must have the instances already: `gantry send` comes first.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.cli.files_below import files_below
from agent.cli.node_configuration import add_control_option
from agent.cli.options import add_peer_options, seconds
from agent.cli.requestor import associate
from agent.control import ask
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import with_character_set
from agent.dataset.file_meta import read_file_meta
from agent.dataset.uid import new_uid
from agent.errors import ConfigurationError, PeerError
from agent.loop import Loop, sleep
from agent.network.association import Association, Response
from agent.network.negotiation import propose
from agent.network.status import Category
from agent.services.media_creation import (
    Progress,
    Wanted,
    cancel_creation,
    create_request,
    creation_need,
    get_creation,
    initiate_creation,
    progress_of,
)
from agent.services.media_creation_table import (
    DONE,
    EXECUTION_STATUS_INFO,
    FAILURE,
    OVER,
    PRIORITIES,
    RESULT,
    reason_words,
    status_words,
)
from agent.services.storage_commitment import Reference

_NO_YES = ("NO", "YES")
_ASKED_FOR = tuple(row.keyword for row in RESULT)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_peer_options(parser)
    parser.add_argument(
        "--files",
        metavar="PATH",
        nargs="+",
        type=Path,
        default=[],
        help="the instances: DICOM files, and folders of them",
    )
    parser.add_argument(
        "--file-list", metavar="FILE", type=Path, help="a text with such a path in each line"
    )
    parser.add_argument(
        "--study",
        metavar="UID",
        action="append",
        default=[],
        help="the instances of a study of the running node; may be given again",
    )
    parser.add_argument("--profile", metavar="NAME", default="", help="of PS3.11, as STD-GEN-CD")
    parser.add_argument("--copies", metavar="N", type=int, default=1, help="(default %(default)s)")
    parser.add_argument("--priority", choices=PRIORITIES, default="", help="of the request")
    parser.add_argument("--id", metavar="TEXT", default="", help="File-set ID")
    parser.add_argument("--label", metavar="TEXT", default="", help="text for the label")
    parser.add_argument("--split", choices=_NO_YES, default="", help="over several media or not")
    parser.add_argument("--lossy", choices=_NO_YES, default="", help="may be compressed or not")
    parser.add_argument("--watch", action="store_true", help="ask until it is over")
    parser.add_argument(
        "--every", metavar="S", type=seconds, default=2.0, help="how often (default %(default)s)"
    )
    parser.add_argument("--status", metavar="UID", default="", help="how far a request is")
    parser.add_argument("--cancel", metavar="UID", default="", help="give up a request")
    add_control_option(parser)


def run(options: argparse.Namespace) -> int:
    """Exit status 1 where the peer refuses, or the media could not be made."""
    if options.status or options.cancel:
        act = _cancel(options) if options.cancel else _watch(options, options.status)
        return Loop().run(act)
    wanted = [Wanted(each, options.profile) for each in _references(options)]
    if not wanted:
        raise ConfigurationError(
            "it is not said what goes on the media",
            way_out="Name --files, a --file-list, or a --study of the node.",
        )
    return Loop().run(_request(options, wanted))


def _references(options: argparse.Namespace) -> Iterator[Reference]:
    paths = list(options.files)
    if options.file_list is not None:
        try:
            lines = options.file_list.read_text().splitlines()
        except OSError as error:
            raise ConfigurationError(f"{options.file_list}: {error.strerror}") from error
        paths += [Path(line) for line in lines if line.strip()]
    for path in files_below(paths):
        found = _reference_of(path, is_named=path in paths)
        if found is not None:
            yield found
    for uid in options.study:
        after = 0
        while after is not None:
            page = ask(options.control, "instances", study_instance_uid=uid, after=after)
            yield from (Reference(*each) for each in page["items"])
            after = page["next"]


def _reference_of(path: Path, *, is_named: bool) -> Reference | None:
    """What a file is; None for one that is no DICOM file and lies among others in a folder."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}", value=str(path)) from error
    try:
        meta = read_file_meta(descriptor, tolerate=True)
    except PeerError:
        if is_named:
            raise
        return None
    finally:
        os.close(descriptor)
    uid = meta.media_storage_sop_instance_uid
    return Reference(meta.media_storage_sop_class_uid, uid) if uid else None


def _more(options: argparse.Namespace) -> Attributes:
    more = Attributes()
    for keyword, value in (
        ("StorageMediaFileSetID", options.id),
        ("LabelText", options.label),
        ("AllowMediaSplitting", options.split),
        ("AllowLossyCompression", options.lossy),
    ):
        if value:
            more.set(keyword, value)
    return with_character_set(more)


async def _request(options: argparse.Namespace, wanted: list[Wanted]) -> int:
    uid = new_uid()
    association = await _associate(options)
    response = await create_request(association, uid, wanted, _more(options))
    if response.category is Category.SUCCESS:
        response = await initiate_creation(association, uid, options.copies, options.priority)
    await association.release()
    if response.category is not Category.SUCCESS or not options.watch:
        return _say(options, uid, response)
    return await _watch(options, uid)


async def _associate(options: argparse.Namespace) -> Association:
    return await associate(options, propose([creation_need()])[0])


async def _cancel(options: argparse.Namespace) -> int:
    association = await _associate(options)
    response = await cancel_creation(association, options.cancel)
    await association.release()
    return _say(options, options.cancel, response)


async def _watch(options: argparse.Namespace, uid: str) -> int:
    """Ask, each time on an association of its own, as it may take hours."""
    said: Progress | None = None
    while True:
        association = await _associate(options)
        response, result = await get_creation(association, uid, _ASKED_FOR)
        await association.release()
        if response.category not in (Category.SUCCESS, Category.WARNING):
            return _say(options, uid, response)
        progress = progress_of(result)
        if progress.status in OVER or not options.watch:
            _show(options, uid, progress)
            return int(progress.status == FAILURE)
        if progress != said and not options.json:
            said = progress
            _show(options, uid, progress)
        await sleep(options.every)


def _say(options: argparse.Namespace, uid: str, response: Response) -> int:
    if options.json:
        told: dict[str, Any] = {
            "uid": uid,
            "status": f"{response.status:04X}",
            "meaning": status_words(response.status),
            "comment": response.comment,
        }
        print(json.dumps(told))
    else:
        words = filter(None, (status_words(response.status), response.comment))
        print(f"{options.called}: {', '.join(words)}, {uid}")
    return int(response.category not in (Category.SUCCESS, Category.WARNING))


def _show(options: argparse.Namespace, uid: str, progress: Progress) -> None:
    failed = {
        each.reference.sop_instance_uid: reason_words(each.reason) for each in progress.failed
    }
    if options.json:
        print(
            json.dumps(
                {
                    "uid": uid,
                    "status": progress.status,
                    "info": progress.info,
                    "pieces": progress.pieces,
                    "failed": failed,
                    "volumes": [each._asdict() for each in progress.volumes],
                }
            )
        )
        return
    meaning = EXECUTION_STATUS_INFO.get(progress.info, "")
    why = f" ({progress.info}: {meaning})" if progress.info not in ("", "NORMAL") else ""
    pieces = f", {progress.pieces} media" if progress.status == DONE else ""
    print(f"{options.called}: {progress.status}{why}{pieces}, {uid}", flush=True)
    for each in progress.volumes:
        print(f"  {each.file_set_id}  {each.file_set_uid}")
    for failed_uid, reason in failed.items():
        print(f"  {failed_uid}  {reason}")
