"""`gantry import`: studies from a medium into the running node, as the order they are for.

Nothing is imported as long as it is not clear whose it is: say the worklist entry (--entry), the
local patient (--as), that the medium's own patient is to be found in the worklist (--match), or
that objects come in as they are (--unchanged).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from agent.cli.attribute_words import parted
from agent.cli.node_configuration import add_control_option
from agent.cli.options import add_json_option
from agent.cli.undertakings import show, wait
from agent.control import ask
from agent.errors import ConfigurationError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder",
        metavar="FOLDER",
        nargs="?",
        help="where the medium is mounted; or a ZIP file, or a mail",
    )
    parser.add_argument(
        "--study", metavar="UID", action="append", default=[], help="this study; may be repeated"
    )
    parser.add_argument(
        "--patient", metavar="ID", default="", help="studies of this patient of the medium"
    )
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument(
        "--entry",
        metavar="KEYWORD=VALUE",
        nargs="+",
        help="for this worklist entry, as ScheduledProcedureStepID=..., AccessionNumber=...",
    )
    whose.add_argument(
        "--as",
        dest="as_patient",
        metavar="KEYWORD=VALUE",
        nargs="+",
        help="for this patient, as PatientID=4711 PatientName=Doe^Jane",
    )
    whose.add_argument(
        "--match",
        action="store_true",
        help="for the one worklist entry with the medium's patient ID, name and birth date",
    )
    whose.add_argument("--unchanged", action="store_true", help="objects as they are; no step")
    parser.add_argument("--archive", default="", help="archive (default: the first)")
    parser.add_argument("--operator", default="", help="Operators' Name, as Family^Given")
    parser.add_argument("--wait", action="store_true", help="until all has been delivered")
    parser.add_argument("--list", action="store_true", help="the last imports")
    parser.add_argument("--stop", metavar="NUMBER", type=int, help="give up an import")
    parser.add_argument(
        "--reason", metavar="CODE", default="", help="with --stop: a code of CID 9300"
    )
    parser.add_argument("--limit", type=int, default=50, help="with --list: at most so many")
    add_control_option(parser)
    add_json_option(parser)


def run(options: argparse.Namespace) -> int:
    if options.list:
        items = ask(options.control, "import-list", limit=options.limit)["items"]
        show(items, options.json, _line, "file")
        return 0
    if options.stop is not None:
        ask(options.control, "import-stop", id=options.stop, reason=options.reason)
        return 0
    items = _begin(options)
    if options.wait:
        items = wait(options, "import-list", {each["id"] for each in items}, _line)
    show(items, options.json, _line, "file")
    return int(any(each["failed"] for each in items))


def _begin(options: argparse.Namespace) -> list[dict[str, Any]]:
    if options.folder is None:
        raise ConfigurationError(
            "it is not said what is to be imported", way_out="Write 'gantry import FOLDER ...'."
        )
    if not (options.entry or options.as_patient or options.match or options.unchanged):
        raise ConfigurationError(
            "it is not said whose the objects are",
            way_out="Say --entry, --as, --match or --unchanged.",
        )
    found: list[dict[str, Any]] = ask(
        options.control,
        "import-begin",
        root=str(Path(options.folder).resolve()),
        studies=options.study,
        patient_id=options.patient,
        entry=dict(map(parted, options.entry)) if options.entry else None,
        patient=dict(map(parted, options.as_patient)) if options.as_patient else None,
        match=options.match,
        archive=options.archive,
        operator=options.operator,
    )["items"]
    return found


def _line(each: dict[str, Any]) -> str:
    whose = f"{each['patient_id']} {each['patient_name']}".strip() or "nobody"
    state = "copied, being delivered" if each["copied"] else each["state"].lower()
    if each["state"] != "IN PROGRESS":
        state = each["state"].lower()
    failed = f", {each['failed']} files not read" if each["failed"] else ""
    waits = f"; waits: {each['waits']}" if each["waits"] else ""
    return (
        f"{each['id']:>5}  {state}: {each['objects']} objects in {each['series']} series"
        f" of {whose}{failed}{waits}"
    )
