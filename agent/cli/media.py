"""`gantry media`: file-sets with a DICOMDIR: what is on one, what is wrong, and new ones; the media
that are plugged in at the running node; and those that another system is asked to make."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from agent import observation
from agent.cli import media_request
from agent.cli.exit_status import ExitStatus, explain
from agent.cli.files_below import files_below
from agent.cli.media_security import (
    add_key_options,
    add_protection_options,
    envelope_from,
    keys_from,
    open_one,
    secure_one,
)
from agent.cli.node_configuration import add_control_option
from agent.cli.options import add_json_option
from agent.control import ask
from agent.errors import ConfigurationError, GantryError
from agent.media.application_profiles import (
    MAIL_PROFILES,
    PROFILES,
    profile_of,
    secure_form_of,
)
from agent.media.checking import Fault, check
from agent.media.contents import Patient, contents_of
from agent.media.directory_writer import Creator
from agent.media.extra_keys import EXTRA_KEYS
from agent.media.file_ids import DICOMDIR
from agent.media.file_set import FileSetWriter
from agent.media.found import Damage, FoundInstance
from agent.media.opening import Opener
from agent.media.reading import found_in
from agent.media.repairing import repair
from agent.media.web_content import WebContent
from agent.media.web_pages import PRODUCT, About
from agent.services.storage import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

_ACTS = {
    "list": "patients, studies and series on it",
    "check": "what is wrong with it",
    "repair": "make a new DICOMDIR from the files, where that is broken or missing",
    "create": "make a file-set there, of files and folders",
    "update": "add files to the one that is there, or take instances out of it",
    "open": "the plain file in a Secure DICOM file, after it was verified",
    "secure": "make a Secure DICOM file of a file",
    "profiles": "the application profiles that can be written",
    "devices": "media that are plugged in, and how far the node is with them",
    "release": "let one go, so that it is safe to remove",
    "request": "have another system make media of what it has stored (PS3.4 S)",
}
_OF_THE_NODE = ("devices", "release")
_OF_ONE_FILE = {"open": open_one, "secure": secure_one}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", metavar="ACT", required=True)
    for name, what in _ACTS.items():
        act = acts.add_parser(name, help=what, description=what)
        if name == "request":
            media_request.add_arguments(act)
            continue
        if name == "release":
            act.add_argument("name", metavar="NAME", help="its label, id or device")
        elif name in _OF_ONE_FILE:
            act.add_argument("file", metavar="FILE", type=Path)
            act.add_argument("out", metavar="OUT", type=Path, help="a file that is not there yet")
        elif name not in ("profiles", "devices"):
            act.add_argument("folder", metavar="FOLDER", type=Path, help="the medium's root")
        if name == "repair":
            _add_icons_option(act)
        if name in ("create", "update"):
            _add_writing_options(act, update=name == "update")
        if name in ("create", "secure"):
            add_protection_options(act)
        if name in ("list", "check", "open"):
            add_key_options(act)
        if name in _OF_THE_NODE:
            add_control_option(act)
        add_json_option(act)


def _add_writing_options(parser: argparse.ArgumentParser, *, update: bool) -> None:
    parser.add_argument(
        "files", metavar="FILE", type=Path, nargs="*" if update else "+", help="files and folders"
    )
    parser.add_argument(
        "--profile",
        metavar="NAME",
        default="STD-GEN-CD",
        help="application profile of PS3.11 (default %(default)s)",
    )
    parser.add_argument(
        "--keys",
        choices=EXTRA_KEYS,
        default="none",
        help="keys of a product on top of those of the profile (default %(default)s)",
    )
    _add_icons_option(parser)
    if update:
        parser.add_argument(
            "--delete",
            metavar="UID",
            action="append",
            default=[],
            help="a SOP Instance UID to take out; may be given again",
        )
        parser.set_defaults(id="", web=False)
    else:
        parser.add_argument("--id", metavar="TEXT", default="", help="its File-set ID")
        parser.add_argument(
            "--web",
            action="store_true",
            help="pages with pictures for a web browser, README.TXT and INDEX.HTM (IHE PDI)",
        )
        parser.add_argument(
            "--institution", metavar="TEXT", default="", help="who makes it, for those pages"
        )
        parser.set_defaults(delete=[])


def _add_icons_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--icons",
        action="store_true",
        help="an icon of each image in the directory, where the profile does not want one anyway",
    )


def run(options: argparse.Namespace) -> int:
    if options.act == "request":
        return media_request.run(options)
    if options.act == "profiles":
        return _profiles(options)
    if options.act in _OF_ONE_FILE:
        return _OF_ONE_FILE[options.act](options)
    if options.act in _OF_THE_NODE:
        return _devices(options)
    if options.folder.name.upper() == DICOMDIR and options.folder.is_file():
        options.folder = options.folder.parent
    acts: dict[str, Callable[[argparse.Namespace], int]] = {
        "list": _list,
        "check": _check,
        "repair": _repair,
    }
    return acts.get(options.act, _write)(options)


def _profiles(options: argparse.Namespace) -> int:
    for row in sorted(
        (*PROFILES.values(), *MAIL_PROFILES.values()), key=lambda each: (each.clause, each.name)
    ):
        if options.json:
            print(json.dumps({"name": row.name, "clause": row.clause, "medium": row.medium}))
        else:
            print(f"{row.name:<28} {row.medium:<32} {row.clause}")
    return ExitStatus.DONE


def _devices(options: argparse.Namespace) -> int:
    if options.act == "release":
        items = [ask(options.control, "media-release", name=options.name)]
    else:
        items = ask(options.control, "media")["items"]
    if options.json:
        print(json.dumps({"items": items}, ensure_ascii=False))
        return ExitStatus.DONE
    for each in items:
        where = f"  {each['folder']}" if each["folder"] else ""
        why = f"  ({each['why']})" if each["why"] else ""
        size = f"{each['size'] / 1e9:.1f} GB"
        print(f"{each['name']:<16} {each['bus']:<5} {size:>9}  {each['state']}{where}{why}")
    if not items:
        print("no media")
    return ExitStatus.DONE


def _list(options: argparse.Namespace) -> int:
    damage: list[Damage] = []
    with Opener(keys_from(options)) as opener:
        patients = contents_of(_without_damage(options.folder, opener, damage))
    for patient in patients:
        if options.json:
            print(json.dumps(patient.as_json()))
        else:
            _print_tree(patient)
    if not patients and not options.json:
        print("no instances")
    for each in damage:
        print(_shown(f"{each.file}: {each.reason}"), file=sys.stderr)
    return ExitStatus.REFUSED if damage else ExitStatus.DONE


def _without_damage(folder: Path, opener: Opener, damage: list[Damage]) -> Iterator[FoundInstance]:
    for each in found_in(folder, open_files=False, opener=opener):
        if isinstance(each, Damage):
            damage.append(each)
        else:
            yield each


def _shown(text: str) -> str:
    """For a terminal: what a medium brings along must not move the cursor, or break the output."""
    return "".join(each if each.isprintable() else "?" for each in text)


def _print_tree(patient: Patient) -> None:
    print(_shown(f"{patient.patient_id or '-'}  {patient.name}  {patient.count} instances"))
    for study in patient.studies.values():
        line = f"  {study.date or '-'}  {study.description or '-'}  {study.accession_number or '-'}"
        print(_shown(f"{line}  {study.count} instances  {study.uid}"))
        for series in study.series.values():
            line = f"    {series.number or '-':>4}  {series.modality or '-':<4}"
            line += f" {series.description or '-'}  {series.count} instances  {series.uid}"
            print(_shown(line))


def _check(options: argparse.Namespace) -> int:
    faults = 0
    with Opener(keys_from(options)) as opener:
        for fault in check(options.folder, opener):
            faults += 1
            if options.json:
                print(json.dumps(fault._asdict()))
            else:
                _print_fault(fault)
    if not options.json:
        print(f"{faults} faults" if faults else "no fault")
    return ExitStatus.REFUSED if faults else ExitStatus.DONE


def _print_fault(fault: Fault, before: str = "") -> None:
    clause = f" ({fault.clause})" if fault.clause else ""
    print(_shown(f"{before}{fault.file}: {fault.reason}{clause}"))


def _repair(options: argparse.Namespace) -> int:
    creator = Creator(IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME)
    done = repair(options.folder, creator, icons=options.icons)
    if options.json:
        faults = {
            name: [each._asdict() for each in found]
            for name, found in (
                ("before", done.before),
                ("after", done.after),
                ("left_out", done.left_out),
            )
        }
        print(json.dumps({**faults, "aside": done.aside, "referred": done.referred}))
        return ExitStatus.REFUSED if done.after or done.left_out else ExitStatus.DONE
    for title, found in (
        ("was", done.before),
        ("left out", done.left_out),
        ("still", done.after),
    ):
        for fault in found:
            _print_fault(fault, f"{title}: ")
    if done.referred:
        kept = f"; the old one is {done.aside}" if done.aside else ""
        print(f"a new DICOMDIR leads to {done.referred} files{kept}")
    else:
        print("no fault; nothing was done")
    return ExitStatus.REFUSED if done.after or done.left_out else ExitStatus.DONE


def _pages(options: argparse.Namespace) -> AbstractContextManager[WebContent | None]:
    if not options.web:
        return nullcontext()
    about = About(options.institution, file_set_id=options.id, product=PRODUCT)
    return WebContent(options.folder, about)


def _write(options: argparse.Namespace) -> int:
    update = options.act == "update"
    if not options.files and not options.delete:
        raise ConfigurationError(
            "there is nothing to update", way_out="Name files or folders, or --delete a UID."
        )
    profile = profile_of(options.profile)
    envelope = None if update else envelope_from(options)
    if envelope is not None:
        profile = secure_form_of(profile)
    if envelope is not None and options.web:
        raise ConfigurationError(
            "pages for a web browser are plain, and the file-set is secure",
            way_out="Leave out either --web, or whoever it is secured for.",
        )
    creator = Creator(IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME)
    added = refused = twice = 0
    with (
        _pages(options) as pages,
        FileSetWriter(
            options.folder,
            profile,
            creator,
            file_set_id=options.id,
            extra_keys=EXTRA_KEYS[options.keys],
            update=update,
            without=frozenset(options.delete),
            envelope=envelope,
            icons=options.icons,
        ) as writer,
    ):
        for path in files_below(options.files):
            try:
                if file_id := writer.add(path):
                    added += 1
                    observation.occasion("file", act="written", file=path, address=options.folder)
                    if pages is not None:
                        pages.add(path, file_id)
                else:
                    twice += 1
            except GantryError as error:
                refused += 1
                print(f"{path}: {explain(error)}", file=sys.stderr)
        deleted = writer.deleted
        if added or deleted:
            writer.finish()
            for _ in pages.finish() if pages is not None else ():
                pass
    counts = {"added": added, "deleted": deleted, "refused": refused, "there already": twice}
    if options.json:
        print(json.dumps(counts))
    else:
        print(", ".join(f"{count} {what}" for what, count in counts.items()))
    whole = deleted == len(options.delete) and not refused
    return ExitStatus.DONE if whole else ExitStatus.REFUSED
