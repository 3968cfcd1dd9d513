"""`gantry fetch`: have the running node retrieve studies from a peer into its archive.

The node goes on with it when this command is over, tries again what failed, and remembers it when
it is started anew.
"""

from __future__ import annotations

import argparse
from typing import Any

from agent.cli.node_configuration import add_control_option
from agent.cli.options import add_json_option
from agent.cli.undertakings import show, wait
from agent.control import ask
from agent.errors import ConfigurationError

_ACTS = ("stop", "hold", "retry")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("peer", metavar="PEER", nargs="?", help="a peer of the configuration")
    add_study_options(parser)
    add_list_options(parser)


def add_study_options(parser: argparse.ArgumentParser) -> None:
    """What is wanted, by UID."""
    parser.add_argument(
        "--study", metavar="UID", action="append", default=[], help="this study; may be repeated"
    )
    parser.add_argument("--series", metavar="UID", default="", help="of one study this series")
    parser.add_argument(
        "--instance",
        metavar="UID",
        action="append",
        default=[],
        help="of one series this instance; may be repeated",
    )
    parser.add_argument("--wait", action="store_true", help="until it is over")


def add_list_options(parser: argparse.ArgumentParser) -> None:
    """What becomes of those that were asked for."""
    parser.add_argument("--list", action="store_true", help="the last ones")
    parser.add_argument("--stop", metavar="NUMBER", type=int, help="give one up")
    parser.add_argument("--hold", metavar="NUMBER", type=int, help="leave one until it is retried")
    parser.add_argument("--retry", metavar="NUMBER", type=int, help="try one now")
    parser.add_argument("--limit", type=int, default=50, help="with --list: at most so many")
    add_control_option(parser)
    add_json_option(parser)


def run(options: argparse.Namespace) -> int:
    if settled(options):
        return 0
    return begun(options, options.peer, "", direct=False)


def settled(options: argparse.Namespace) -> bool:
    """Whether something else was asked for than to begin; it is done then."""
    for act in _ACTS:
        if getattr(options, act) is not None:
            ask(options.control, f"fetch-{act}", id=getattr(options, act))
            return True
    return False


def begun(options: argparse.Namespace, source: str | None, target: str, *, direct: bool) -> int:
    """Begin, or list; the exit status."""
    if options.list:
        items = ask(options.control, "fetch-list", limit=options.limit)["items"]
        _show(items, options.json)
        return 0
    if not source or not options.study:
        raise ConfigurationError(
            "it is not said what is to be retrieved",
            way_out="Name the peer that has it, and --study UID.",
        )
    if options.series and len(options.study) > 1:
        raise ConfigurationError("a series is of one study", way_out="Give one --study.")
    items = ask(
        options.control,
        "fetch-begin",
        peer=source,
        studies=options.study,
        series=options.series,
        instances=options.instance,
        target=target,
        direct=direct,
    )["items"]
    if options.wait:
        items = wait(options, "fetch-list", {each["id"] for each in items}, line)
    _show(items, options.json)
    return int(any(each["failed"] for each in items))


def _show(items: list[dict[str, Any]], as_json: bool) -> None:
    show([{**each, "failures": []} for each in items], as_json, line, "")


def line(each: dict[str, Any]) -> str:
    """One of them, for people."""
    state = each["stage"] or each["state"].lower()
    target = f" to {each['target']}" if each["target"] else ""
    why = each["failed"] or each["waits"]
    return (
        f"{each['id']:>5}  {state}: {each['done']} of {each['expected'] or '?'} objects of"
        f" {each['study_instance_uid']} from {each['source']}{target}, for {each['reason']}"
        f"{f'; {why}' if why else ''}"
    )
