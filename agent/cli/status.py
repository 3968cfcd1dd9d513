"""`gantry status`: what the running node is doing."""

from __future__ import annotations

import argparse
import json
from typing import Any

from agent.cli.node_configuration import add_control_option
from agent.cli.options import add_json_option
from agent.control import ask


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_control_option(parser)
    add_json_option(parser)
    parser.add_argument("--metrics", action="store_true", help="print the metrics instead")


def run(options: argparse.Namespace) -> int:
    if options.metrics:
        print(ask(options.control, "metrics"), end="")
        return 0
    said = ask(options.control, "status")
    print(json.dumps(said)) if options.json else _show(said)
    return 0


def _show(said: dict[str, Any]) -> None:
    profile = said["profile"] or "none"
    print(f"gantry {said['version']}, profile {profile}, up {said['up_seconds']} s")
    print(f"clock: {said['clock']['says']}")
    if said["health"] is not None:
        _show_health(said["health"])
    for each in said["certificates"]:
        if each["mood"] != "good" or each["renewal"]:
            print(_certificate(each))
    for each in said["alerts"]:
        print(f"alert: {each['text']}")
    print(f"associations: {len(said['associations'])}")
    for each in said["associations"]:
        user = f", user {each['user']}" if each["user"] else ""
        print(f"  {each['calling']} at {each['address']} with {each['entity']}{user}")
    for each in said["locked_out"]:
        print(f"locked out: {each['kind']} {each['who']}, {each['seconds']} s more")
    for archive in said["archives"]:
        if "why_not" in archive:
            print(f"archive {archive['name']}: cannot be used: {archive['why_not']}")
            continue
        counts, usage = archive["counts"], archive["usage"]
        print(
            f"archive {archive['name']}: {counts['instances']} instances in {counts['studies']}"
            f" studies, {usage['held'] / 1e6:.1f} MB, {usage['part']:.0%} of the space in use"
        )
    for each in said["media"]:
        why = f": {each['why']}" if each["why"] else ""
        print(f"medium {each['name']}: {each['state']}{why}")
    for each in said["work"]:
        print(_work(each))
    for each in said["destinations"]:
        queue = each.get("queue") or {}
        mood = "paused" if queue.get("paused") else "ok"
        if each.get("failures"):
            mood = f"failing: {each['last_reason']}"
        print(
            f"to {each['peer']}: {queue.get('waiting', 0)} waiting, {queue.get('held', 0)} held,"
            f" {each.get('delivered', 0)} delivered since start; {mood}"
        )


def _show_health(said: dict[str, Any]) -> None:
    """What `gantry doctor --keep` found when it looked last."""
    faults = said["faults"]
    hours = said["age"] / 3600
    when = f"{hours:.0f} h ago" if hours >= 1 else f"{said['age'] // 60} min ago"
    late = ", which is long: is gantry-doctor.timer on?" if said["old"] else ""
    count = f"{len(faults)} fault{'s' * (len(faults) != 1)}" if faults else "no faults"
    print(f"health: {count}, looked {when}{late}")
    for each in faults:
        print(f"  {each}")


def _certificate(each: dict[str, Any]) -> str:
    if each["problem"]:
        return f"certificate {each['file']}: {each['problem']}"
    when = "has expired" if each["days"] <= 0 else f"expires in {each['days']:g} days"
    why = f"; it was not renewed: {each['renewal']}" if each["renewal"] else ""
    return f"certificate {each['file']} of {each['subject']} {when}{why}"


def _work(each: dict[str, Any]) -> str:
    """An import or export: as "import 3: 12 of 40 objects"."""
    done = each["done"]
    if each["stage"]:
        done = f"{each['stage']} {each['now']}"
    text = f"{each['kind']} {each['id']}: {done} of {each['expected']} objects, {each['target']}"
    if each["failed"]:
        return f"{text}; failed: {each['failed']}"
    return f"{text}; waits: {each['waits']}" if each["waits"] else text
