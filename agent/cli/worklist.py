"""`gantry worklist`: what is scheduled, asked of a peer, of the running node, or of a folder."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from agent.archive.worklist_entry import STEP
from agent.cli.attribute_words import attributes_of, parted, print_attributes, print_json
from agent.cli.node_configuration import add_control_option
from agent.cli.options import add_one_act_options, address
from agent.cli.requestor import associate
from agent.control import ask
from agent.dataset.attributes import Attributes
from agent.dataset.json_model import from_json
from agent.errors import ConfigurationError
from agent.loop import Loop
from agent.network.negotiation import propose
from agent.network.status import SUCCESS, status_text
from agent.services.modality_worklist import (
    OF_STEP,
    find_worklist,
    worklist_extended,
    worklist_identifier,
    worklist_need,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "words",
        metavar="HOST:PORT | KEYWORD=VALUE",
        nargs="*",
        help="the peer that is asked (without one: what the running node last heard), and keys",
    )
    add_one_act_options(parser)
    parser.add_argument("--fuzzy", action="store_true", help="names that sound alike match")
    parser.add_argument("--most", metavar="N", type=int, default=0, help="cancel after so many")
    parser.add_argument("--full", action="store_true", help="all attributes, not a line an entry")
    parser.add_argument(
        "--character-set",
        metavar="TERM",
        default="ISO_IR 192",
        help="of keys beyond ASCII (default %(default)s)",
    )
    parser.add_argument(
        "--add",
        metavar="FOLDER",
        type=Path,
        help="add an entry of KEYWORD=VALUE to a folder that a node answers from",
    )
    parser.add_argument("--from", dest="file", metavar="FILE", type=Path, help="an entry as JSON")
    add_control_option(parser)


def run(options: argparse.Namespace) -> int:
    options.peer, options.keys = None, list(options.words)
    if options.keys and "=" not in options.keys[0]:
        try:
            options.peer = address(options.keys.pop(0))
        except argparse.ArgumentTypeError as error:
            raise ConfigurationError(str(error)) from None
    if options.add is not None:
        return _add(options)
    if options.peer is None:
        return _last_heard(options)
    return Loop().run(_find(options))


def _add(options: argparse.Namespace) -> int:
    from agent.archive.worklist_store import add_entry
    from agent.dataset.attributes_encoding import with_character_set

    entry = attributes_of((), options.file)
    step = entry.item_of(STEP)
    for word in options.keys:
        keyword, text = parted(word)
        (step if keyword in OF_STEP else entry).set(keyword, text)
    entry.set(STEP, [step])
    print(add_entry(str(options.add), with_character_set(entry)))
    return 0


def _last_heard(options: argparse.Namespace) -> int:
    heard = ask(options.control, "worklist")
    entries = [from_json(each) for each in heard["entries"]]
    if options.json:
        print(json.dumps(heard, ensure_ascii=False))
        return 0
    _show(entries, options.full)
    print(heard["said"])
    return 0


async def _find(options: argparse.Namespace) -> int:
    keys = dict(parted(word) for word in options.keys)
    identifier = worklist_identifier(keys, options.character_set)
    extended = worklist_extended(fuzzy=options.fuzzy)
    association = await associate(
        options,
        propose([worklist_need()])[0],
        extended=(extended,) if extended is not None else (),
    )
    found = await find_worklist(association, identifier, most=options.most)
    await association.release()
    if options.json:
        print_json(found.matches)
    else:
        _show(found.matches, options.full)
    if found.truncated:
        print(f"stopped after {len(found.matches)}; there is more")
    elif found.response.status != SUCCESS:
        print(f"{options.called}: {status_text(found.response.status)} {found.response.comment}")
        return 1
    return 0


def _show(entries: list[Attributes], full: bool) -> None:
    for entry in entries:
        if full:
            print_attributes(entry)
            print()
            continue
        step = entry.item_of(STEP)
        columns = (
            step.text("ScheduledProcedureStepStartDate"),
            step.text("ScheduledProcedureStepStartTime")[:4],
            step.text("Modality"),
            step.text("ScheduledStationAETitle"),
            entry.text("AccessionNumber"),
            entry.text("PatientID"),
            entry.text("PatientName"),
            step.text("ScheduledProcedureStepDescription")
            or entry.text("RequestedProcedureDescription"),
            step.text("ScheduledProcedureStepID"),
        )
        print("  ".join(each or "-" for each in columns))
