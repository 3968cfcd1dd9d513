"""`gantry studies`: what is in the spool of the running node."""

from __future__ import annotations

import argparse
import json

from agent.cli.node_configuration import add_control_option
from agent.cli.options import add_json_option
from agent.control import ask


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
