"""`gantry search`: one query put by the running node to its peers, answers merged (PS3.4 C.4.1)."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from agent.cli.attribute_words import put_key
from agent.cli.find import COLUMNS, columns_of
from agent.cli.finding import print_table
from agent.cli.node_configuration import add_control_option
from agent.cli.options import add_json_option
from agent.control import ask
from agent.dataset.attributes import Attributes
from agent.dataset.json_model import from_json, to_json
from agent.dataset.sop_classes import STUDY_ROOT_FIND
from agent.services.query_request import RETURN_KEYS

_LEVELS = ("STUDY", "SERIES", "IMAGE")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "keys", metavar="KEYWORD[=VALUE]", nargs="*", help="what to match, or only to return"
    )
    parser.add_argument(
        "--from",
        dest="peers",
        metavar="PEER",
        action="append",
        default=[],
        help="a peer of the configuration; may be repeated (default: all that offer queries)",
    )
    parser.add_argument(
        "--level",
        choices=_LEVELS,
        type=str.upper,
        default="STUDY",
        help="what is looked for (default %(default)s)",
    )
    parser.add_argument(
        "--most", metavar="N", type=int, default=500, help="answers of one peer (default 500)"
    )
    add_control_option(parser)
    add_json_option(parser)


def run(options: argparse.Namespace) -> int:
    keys = Attributes()
    for word in options.keys:
        put_key(keys, word)
    said: dict[str, Any] = ask(
        options.control,
        "search",
        peers=options.peers,
        level=options.level,
        keys=to_json(keys),
        most=options.most,
    )
    if options.json:
        print(json.dumps(said, ensure_ascii=False))
        return int(bool(said["faults"]))
    for keyword in RETURN_KEYS[options.level]:
        if keyword not in keys:
            keys.set(keyword)
    answers = [from_json(each["values"]) for each in said["answers"]]
    sources = [", ".join(each["sources"]) for each in said["answers"]]
    columns = columns_of(COLUMNS[options.level], keys, STUDY_ROOT_FIND)
    print_table(answers, columns, sources)
    for peer in said["truncated"]:
        print(f"{peer}: stopped after {options.most}; there is more", file=sys.stderr)
    for peer, why in said["faults"].items():
        print(f"incomplete: {peer}: {why}", file=sys.stderr)
    return int(bool(said["faults"]))
