"""`gantry export`: studies of the running node onto a medium, as file-sets that are verified.

The target is a folder (that of a stick, too), with --image a file for the image of a disc, or with
--burn the disc in a drive. NAME.zip is a ZIP file, NAME.eml a mail in a file, and mailto:ADDRESS a
mail that is sent. Where a volume is too small, there are several: NAME-1, NAME-2 ...
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from agent.cli.attribute_words import parted
from agent.cli.node_configuration import add_control_option
from agent.cli.options import add_json_option
from agent.cli.undertakings import show, wait
from agent.configuration.kinds import SIZE_UNITS
from agent.control import ask
from agent.errors import ConfigurationError

_MAIL = "mailto:"
_KINDS = {".zip": "zip", ".eml": "message"}
"""Of targets that are files, by how their names end."""
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) *([A-Za-z]*)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target",
        metavar="TARGET",
        nargs="?",
        help="the folder, NAME.zip, NAME.eml or mailto:ADDRESS; with --image the image",
    )
    parser.add_argument(
        "--study", metavar="UID", action="append", default=[], help="this study; may be repeated"
    )
    parser.add_argument("--patient", metavar="ID", default="", help="studies of this patient")
    parser.add_argument("--from", dest="date_from", metavar="DATE", default="", help="YYYYMMDD")
    parser.add_argument("--to", dest="date_to", metavar="DATE", default="", help="YYYYMMDD")
    parser.add_argument(
        "--query",
        metavar="KEYWORD=VALUE",
        nargs="+",
        default=[],
        help="studies that match, as AccessionNumber=..., PatientName=Doe*",
    )
    parser.add_argument(
        "--profile",
        metavar="NAME",
        default="",
        help="of PS3.11, as STD-GEN-CD; what it does not take is converted without loss, or left"
        " out and named (default: the usual one that takes most as it is); NONE: files as they"
        " are, without a DICOMDIR",
    )
    parser.add_argument(
        "--deidentify",
        metavar="NAME",
        default="",
        help="nothing on the medium tells of patients: by the [[deidentify]] of this name",
    )
    parser.add_argument("--image", action="store_true", help="TARGET is an image of a disc")
    parser.add_argument("--burn", metavar="DEVICE", default="", help="burn discs in this drive")
    parser.add_argument(
        "--volume-size", metavar="N", default="0", help="bytes of a volume, as 4.7GB or 650MiB"
    )
    parser.add_argument("--update", action="store_true", help="add to the file-set that is there")
    parser.add_argument(
        "--web",
        action=argparse.BooleanOptionalAction,
        help="pages with pictures for a web browser, README.TXT and INDEX.HTM (IHE PDI) on each"
        " volume (default: as the configuration says)",
    )
    parser.add_argument(
        "--icons",
        action="store_true",
        help="an icon of each image in the directory, where the profile does not want one anyway",
    )
    parser.add_argument("--archive", default="", help="archive (default: the first)")
    parser.add_argument("--operator", default="", help="who exports, for the log of corrections")
    parser.add_argument("--wait", action="store_true", help="until it is over")
    parser.add_argument("--list", action="store_true", help="the last exports")
    parser.add_argument("--stop", metavar="NUMBER", type=int, help="give up an export")
    parser.add_argument("--limit", type=int, default=50, help="with --list: at most so many")
    add_control_option(parser)
    add_json_option(parser)


def run(options: argparse.Namespace) -> int:
    if options.list:
        items = ask(options.control, "export-list", limit=options.limit)["items"]
        show(items, options.json, _line, "sop_instance_uid")
        return 0
    if options.stop is not None:
        ask(options.control, "export-stop", id=options.stop)
        return 0
    item = _begin(options)
    if options.wait:
        item = wait(options, "export-list", {item["id"]}, _line)[0]
    show([item], options.json, _line, "sop_instance_uid")
    return int(bool(item["failed"]) or item["state"] in ("FAILED", "DISCONTINUED"))


def _begin(options: argparse.Namespace) -> dict[str, Any]:
    if bool(options.target) == bool(options.burn):
        raise ConfigurationError(
            "it is not said where to" if not options.burn else "a disc is burnt without a TARGET",
            way_out="Write 'gantry export TARGET ...', or 'gantry export --burn DEVICE ...'.",
        )
    if options.image and options.burn:
        raise ConfigurationError("either an image is made, or a disc is burnt")
    chosen = (options.study, options.patient, options.date_from, options.date_to, options.query)
    if not any(chosen):
        raise ConfigurationError(
            "it is not said which studies",
            way_out="Say --study, --patient, --from and --to, or --query.",
        )
    begun: dict[str, Any] = ask(
        options.control,
        "export-begin",
        kind=_kind(options),
        target=_place(options),
        studies=options.study,
        patient_id=options.patient,
        date_from=_date(options.date_from),
        date_to=_date(options.date_to),
        query=dict(map(parted, options.query)),
        profile=options.profile,
        deidentify=options.deidentify,
        volume_size=_size(options.volume_size),
        update=options.update,
        pages=options.web,
        icons=options.icons,
        archive=options.archive,
        operator=options.operator,
    )
    return begun


def _kind(options: argparse.Namespace) -> str:
    if options.burn:
        return "disc"
    if options.image:
        return "image"
    if options.target.startswith(_MAIL):
        return "mail"
    return _KINDS.get(Path(options.target).suffix.lower(), "folder")


def _place(options: argparse.Namespace) -> str:
    if options.burn:
        return str(options.burn)
    is_mail = _kind(options) == "mail"
    return str(options.target if is_mail else Path(options.target).resolve())


def _date(text: str) -> str:
    date = text.replace("-", "")
    if text and not re.fullmatch("[0-9]{8}", date):
        raise ConfigurationError(f"{text} is no date", value=text, way_out="Write 20260131.")
    return date


def _size(text: str) -> int:
    found = _SIZE.fullmatch(text.strip())
    factor = SIZE_UNITS.get(found[2] or "B") if found else None
    if found is None or factor is None:
        raise ConfigurationError(
            f"{text} is no size", value=text, limit=", ".join(SIZE_UNITS), way_out="Write 4.7GB."
        )
    return round(float(found[1]) * factor)


def _line(each: dict[str, Any]) -> str:
    volumes = each["volumes"]
    done = sum(volume["done"] for volume in volumes)
    parts = [
        f"{each['copied'] + each['converted'] + each['there']} of {each['expected']} objects"
        f" of {each['studies']} studies as {each['profile']}"
    ]
    if len(volumes) > 1:
        parts.append(f"{done} of {len(volumes)} volumes")
    if each["converted"]:
        parts.append(f"{each['converted']} converted")
    if each["there"]:
        parts.append(f"{each['there']} were there")
    if each["failed"]:
        parts.append(f"{each['failed']} left out")
    if each["stage"]:
        parts.append(f"{each['stage']} {each['now']}")
    text = f"{each['id']:>5}  {each['state'].lower()}: {each['target']}: {', '.join(parts)}"
    if each["reason"]:
        text += f"; {each['reason']}"
    return f"{text}; waits: {each['waits']}" if each["waits"] else text
