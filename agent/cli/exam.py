"""`gantry exam`: examinations on a capture device of the running node, from entry to end."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from agent.cli.attribute_words import parted
from agent.cli.node_configuration import add_control_option
from agent.cli.options import add_json_option
from agent.cli.wanted import add_wanted_options, wanted_of
from agent.control import ask
from agent.errors import ConfigurationError

_ACTS = (
    ("start", "begin for a worklist entry: ScheduledProcedureStepID=..., AccessionNumber=..."),
    ("capture", "capture images and clips for it"),
    ("series", "begin another series"),
    ("accept", "let an object out that waits for review"),
    ("reject", "delete an object"),
    ("finish", "complete or discontinue it"),
    ("append", "go on with one that is over, as a new step"),
    ("reconcile", "give an emergency its entry: NUMBER AccessionNumber=..., or --entry"),
    ("list", "the last examinations"),
    ("show", "one of them, whole"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "act",
        choices=[name for name, _ in _ACTS],
        help="; ".join(f"{name}: {what}" for name, what in _ACTS),
    )
    parser.add_argument("words", metavar="WORD", nargs="*", help="KEYWORD=VALUE, a UID or a number")
    parser.add_argument("--device", default="", help="capture device (default: the first)")
    parser.add_argument("--operator", default="", help="Operators' Name, as Family^Given")
    parser.add_argument(
        "--emergency",
        action="store_true",
        help="without a worklist entry; the words say what is known of the patient",
    )
    parser.add_argument(
        "--entry",
        metavar="ID",
        default="",
        help="with reconcile: the Scheduled Procedure Step ID of the worklist entry",
    )
    add_wanted_options(parser)
    parser.add_argument(
        "--last",
        metavar="SECONDS",
        nargs="?",
        const="all",
        help="a clip of what was before, where `keep` is set (default: all that is kept)",
    )
    parser.add_argument(
        "--discontinue",
        metavar="REASON",
        nargs="?",
        const="110513",
        default="",
        help="a code of CID 9300 (default 110513, unspecified)",
    )
    parser.add_argument("--limit", type=int, default=50, help="at most so many")
    add_control_option(parser)
    add_json_option(parser)


def run(options: argparse.Namespace) -> int:
    act, words = options.act, options.words
    more: dict[str, Any] = {"device": options.device}
    if act == "start":
        more["keys"] = dict(parted(word) for word in words)
        more.update(operator=options.operator, emergency=options.emergency)
    elif act == "capture":
        more.update(wanted_of(options))
        if options.last is not None:
            more["last"] = options.last
    elif act == "series":
        more["description"] = " ".join(words)
    elif act in ("accept", "reject"):
        more.update(uid=_the_word(words, act, "UID"), accept=act == "accept")
        act = "review"
    elif act == "finish":
        more["discontinue"] = options.discontinue
    elif act == "reconcile":
        more["id"] = int(_the_word(words[:1], act, "NUMBER"))
        more["keys"] = dict(parted(word) for word in words[1:])
        if options.entry:
            more["keys"]["ScheduledProcedureStepID"] = options.entry
    elif act in ("append", "show"):
        more["id"] = int(_the_word(words, act, "NUMBER"))
    else:
        more["limit"] = options.limit
    said = ask(options.control, f"exam-{act}", **more)
    if options.json:
        print(json.dumps(said, ensure_ascii=False))
        return 0
    _print(act, said)
    return 0


def _the_word(words: list[str], act: str, what: str) -> str:
    if len(words) != 1 or (what == "NUMBER" and not words[0].isdigit()):
        raise ConfigurationError(
            f"exam {act} takes one {what}", way_out=f"Write 'gantry exam {act} {what}'."
        )
    return words[0]


def _print(act: str, said: Any) -> None:
    if act == "list":
        for each in said["items"]:
            print(_line(each))
    elif act == "capture":
        for each in said:
            dropped = f", {each['dropped']} dropped" if each["dropped"] else ""
            print(f"{each['sop_instance_uid']}  {each['frames']} frames{dropped}")
    elif act == "show":
        print(_line(said))
        for number, step in enumerate(said["steps"], 1):
            print(f"step {number}  {step['status']}  {step['identifier']}  {step['uid']}")
            for series in step["series"]:
                mine = [
                    each for each in said["objects"] if each["series_instance_uid"] == series["uid"]
                ]
                print(f"  series {series['number']}  {series['description']}  {series['protocol']}")
                for each in mine:
                    waits = f"  {each['jobs']} jobs wait" if each["jobs"] else ""
                    print(f"    {each['sop_instance_uid']}{waits}")
    elif act != "review":
        print(_line(said))
    if act == "reconcile":
        _print_reconciled(said)


def _print_reconciled(said: dict[str, Any]) -> None:
    print(f"{said['objects']} objects changed")
    if not said["objects"]:
        print("none is here any more: have what was delivered corrected where it is")
    former = said["former_patient_name"] or said["former_patient_id"] or "an unknown patient"
    for peer, count in said["again"].items():
        print(
            f"{count} sent again to {peer}, which has them as {former}, study"
            f" {said['replaced_study_instance_uid']}: have that removed or corrected there"
        )
    print("the performed steps stay as they were reported; the RIS reconciles them")


def _line(each: dict[str, Any]) -> str:
    at = time.strftime("%Y-%m-%d %H:%M", time.localtime(each["begun"]))
    how = "" if each["scheduled"] else "  unscheduled"
    how = "  reconciled" if each["reconciled"] else how
    return (
        f"{each['id']}  {each['state']}  {at}  {each['device']}  {each['patient_id'] or '-'}"
        f"  {each['patient_name'] or '-'}  {each['accession_number'] or '-'}"
        f"  {each['description'] or '-'}{how}"
    )
