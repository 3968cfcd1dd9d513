"""`gantry queue`: jobs of the running node: list, retry, hold, drop; pause and resume a peer."""

from __future__ import annotations

import argparse
import json

from agent.archive.records import JobState
from agent.cli.node_configuration import add_control_option
from agent.cli.options import add_json_option
from agent.control import ask


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_control_option(parser)
    add_json_option(parser)
    parser.add_argument(
        "act",
        nargs="?",
        default="list",
        choices=("list", "retry", "hold", "drop", "pause", "resume"),
        help="what to do (default: list)",
    )
    parser.add_argument("what", nargs="*", help="numbers of jobs; for pause and resume a peer")
    parser.add_argument("--archive", help="of which archive (default: the first)")
    parser.add_argument("--state", choices=[each.name.lower() for each in JobState])
    parser.add_argument("--limit", type=int, default=100, help="at most so many rows")


def run(options: argparse.Namespace) -> int:
    more = {"archive": options.archive} if options.archive else {}
    if options.act in ("pause", "resume"):
        for peer in options.what:
            ask(options.control, options.act, destination=peer, **more)
            print(f"{peer}: {options.act}d")
        return 0
    if options.act != "list":
        done = ask(options.control, options.act, jobs=[int(each) for each in options.what], **more)
        print(f"{done} jobs: {options.act}")
        return 0 if done else 1
    page = ask(options.control, "queue", state=options.state, limit=options.limit, **more)
    if options.json:
        print(json.dumps(page["items"]))
        return 0
    for job in page["items"]:
        state = JobState(job["state"]).name.lower()
        reason = f"  {job['reason']}" if job["reason"] else ""
        print(
            f"{job['id']:>8}  {state:<8} {job['kind']:<8} {job['destination']:<16}"
            f" {job['sop_instance_uid'] or '-'}"
            f"  tries {job['attempts']}{reason}"
        )
    if not page["items"]:
        print("no jobs")
    return 0
