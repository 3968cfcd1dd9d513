"""`gantry studies`: what is in the spool of the running node."""

from __future__ import annotations

import argparse
import json
import time

from agent.cli.node_configuration import add_control_option
from agent.cli.options import add_json_option
from agent.control import ask
from agent.errors import ConfigurationError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_control_option(parser)
    add_json_option(parser)
    parser.add_argument("--archive", help="of which archive (default: the first)")
    parser.add_argument("--patient-id", help="only of this patient")
    parser.add_argument("--study", metavar="UID", help="only this study")
    parser.add_argument("--limit", type=int, default=50, help="at most so many rows")
    parser.add_argument("--delete", metavar="UID", help="delete a study that nobody waits for")
    parser.add_argument("--send-again", metavar="UID", help="send a study again, with --to")
    parser.add_argument("--to", metavar="PEER", help="where to")
    parser.add_argument(
        "--re-identify", metavar="UID", help="change values of the objects of a study, with --value"
    )
    parser.add_argument(
        "--value",
        metavar="ATTRIBUTE=TEXT",
        action="append",
        default=[],
        help="a new value, such as PatientID=4711; may be given again",
    )
    parser.add_argument(
        "--corrections", action="store_true", help="what was deleted, re-identified and sent again"
    )


def _parted(word: str) -> tuple[str, str]:
    attribute, equals, text = word.partition("=")
    if not equals:
        raise ConfigurationError(
            f"{word} is no change",
            value=word,
            way_out="Write ATTRIBUTE=TEXT, such as PatientID=4711.",
        )
    return attribute, text


def _show_corrections(options: argparse.Namespace, more: dict[str, str]) -> int:
    page = ask(options.control, "corrections", limit=options.limit, **more)
    if options.json:
        print(json.dumps(page["items"]))
        return 0
    for each in page["items"]:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(each["time"]))
        print(
            f"{at}  {each['action']:<12} {each['level']:<9} {each['instances']:>5} objects"
            f"  by {each['who']}  {each['uid']}  {each['detail']}"
        )
    if not page["items"]:
        print("no corrections")
    return 0


def run(options: argparse.Namespace) -> int:
    more = {"archive": options.archive} if options.archive else {}
    if options.delete:
        deleted, kept = ask(options.control, "delete", level="study", uid=options.delete, **more)
        print(f"{deleted} objects deleted, {kept} kept")
        return 0 if deleted else 1
    if options.send_again:
        number = ask(
            options.control,
            "send-again",
            level="study",
            uid=options.send_again,
            destination=options.to,
            **more,
        )
        print(f"{number} jobs for {options.to}")
        return 0 if number else 1
    if options.re_identify:
        number = ask(
            options.control,
            "re-identify",
            level="study",
            uid=options.re_identify,
            changes=dict(_parted(each) for each in options.value),
            **more,
        )
        print(f"{number} objects changed")
        return 0 if number else 1
    if options.corrections:
        return _show_corrections(options, more)
    page = ask(
        options.control,
        "studies",
        patient_id=options.patient_id,
        study_instance_uid=options.study,
        limit=options.limit,
        **more,
    )
    if options.json:
        print(json.dumps(page["items"]))
        return 0
    for study in page["items"]:
        print(
            f"{study['study_date'] or '-':<8}  {study['patient_id']:<16}"
            f" {study['patient_name']:<28}"
            f" {study['series']:>3} series {study['instances']:>5} instances"
            f"  {study['study_instance_uid']}"
        )
    if not page["items"]:
        print("no studies")
    return 0
