"""`gantry audit`: the audit trail of the running node, and files with audit messages.

To read the messages is an event of the audit trail itself (PS3.15 A.5.3.2).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.cli.node_configuration import add_control_option
from agent.cli.options import add_json_option
from agent.control import ask
from agent.errors import GantryError
from agent.security.audit_message import AuditMessage
from agent.security.audit_reading import LARGEST, faults_of, read_message

_OUTCOMES = {0: "", 4: "minor failure", 8: "serious failure", 12: "major failure"}
_LOOKS = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_control_option(parser)
    add_json_option(parser)
    parser.add_argument(
        "act",
        nargs="?",
        default="status",
        choices=("status", "list", "tail", "check"),
        help="what waits for whom; the last messages; those that come; hold messages against "
        "PS3.15 A.5.3 (default: status)",
    )
    parser.add_argument("files", nargs="*", help="for check: XML files (default: the queue)")
    parser.add_argument("--limit", type=int, default=20, help="at most so many messages")
    parser.add_argument("--from", type=int, dest="number", help="from this number on")
    parser.add_argument("--xml", action="store_true", help="the messages themselves")


def run(options: argparse.Namespace) -> int:
    if options.act == "check":
        return _check(options)
    if options.act == "status":
        return _status(options)
    number = options.number if options.number is not None else -options.limit
    again = False
    while True:
        found = _messages(options, number, again)
        again = True
        for each in found:
            _show(each, options)
        if options.act == "list":
            return 0
        sys.stdout.flush()
        number = found[-1]["number"] + 1 if found else number
        time.sleep(_LOOKS)


def _status(options: argparse.Namespace) -> int:
    found = ask(options.control, "audit", what="status")
    if options.json:
        print(json.dumps(found, ensure_ascii=False))
        return 0
    print(
        f"{found['next'] - found['first']} messages, {found['bytes']} of {found['size']} bytes,"
        f" in {found['folder']}"
    )
    if found["lost"]:
        print(f"{found['lost']} messages were lost for want of room")
    for each in found["repositories"]:
        reason = f"  {each['reason']}" if each["reason"] else ""
        where = f"{each['transport']} {each['address']}"
        print(f"{each['name']:<16}  {where:<32}  {each['waiting']} waiting{reason}")
    return 0


def _messages(
    options: argparse.Namespace, number: int, again: bool = False
) -> list[dict[str, Any]]:
    limit = options.limit if options.act == "list" else 1000
    found: list[dict[str, Any]] = ask(
        options.control, "audit", what="messages", number=number, limit=limit, again=again
    )
    return found


def _show(each: dict[str, Any], options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(each, ensure_ascii=False))
    elif options.xml:
        print(each["xml"])
    else:
        message = read_message(each["xml"].encode())
        print(f"{each['number']:>8}  {_moment(message.when)}  {_said(message)}")


def _said(message: AuditMessage) -> str:
    types = ", ".join(each.meaning for each in message.types)
    event = f"{message.event.meaning} ({types})" if types else message.event.meaning
    who = " -> ".join(
        (each.alternative.removeprefix("AETITLES=") or each.user_id)
        for each in sorted(message.participants, key=lambda each: not each.requestor)
    )
    what = ", ".join(each.identifier for each in message.objects)
    outcome = _OUTCOMES[message.outcome]
    return "  ".join(each for each in (event, message.action, who, what, outcome) if each)


def _moment(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _check(options: argparse.Namespace) -> int:
    wrong = number = 0
    for name, xml in _documents(options):
        number += 1
        try:
            said = list(faults_of(xml))
        except GantryError as error:
            said = [str(error)]
        wrong += bool(said)
        for each in said:
            print(f"{name}: {each}")
    print(f"{number} messages, {wrong} with faults")
    return 1 if wrong else 0


def _documents(options: argparse.Namespace) -> list[tuple[str, bytes]]:
    if options.files:
        found = []
        for each in options.files:
            with Path(each).open("rb") as file:
                found.append((each, file.read(LARGEST + 1)))
        return found
    number = options.number if options.number is not None else 1
    return [(str(each["number"]), each["xml"].encode()) for each in _messages(options, number)]
