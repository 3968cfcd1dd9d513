"""`gantry deidentify`: files and folders without what identifies a patient (PS3.15 annex E)."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from agent import observation
from agent.cli.files_below import files_below
from agent.configuration.deidentification import OPTIONS, Deidentify, NewValue
from agent.configuration.secrets import Secret
from agent.dataset import tags
from agent.errors import ConfigurationError, GantryError, StorageError

CarryOut = Callable[[int, int], tuple[str, ...]]
"""From one open file into another; what a person should know of it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="IN", type=Path, help="a DICOM file, or a folder")
    parser.add_argument("target", metavar="OUT", type=Path, help="the new file, or folder")
    parser.add_argument(
        "--option",
        metavar="NAME",
        action="append",
        default=[],
        choices=OPTIONS,
        help=f"of the profile, may be repeated: {', '.join(OPTIONS)}",
    )
    parser.add_argument(
        "--secret",
        metavar="FILE",
        type=Path,
        help="from which pseudonyms follow: with the same one, other runs make the same ones"
        " (default: one that is forgotten)",
    )
    parser.add_argument(
        "--pseudonyms",
        metavar="FILE",
        type=Path,
        help="lines of Patient ID,new Patient ID,new Patient's Name",
    )
    parser.add_argument(
        "--value",
        metavar="KEYWORD=VALUE",
        action="append",
        default=[],
        help="a value that all copies get, such as ClinicalTrialProtocolID=T-12; may be repeated",
    )
    parser.add_argument(
        "--rule",
        metavar="NAME",
        default="",
        help="as the configuration says under this name; the options above add to it",
    )
    parser.add_argument(
        "--config", metavar="FILE", action="append", help="configuration file, for --rule"
    )
    parser.add_argument(
        "--keep-encrypted",
        metavar="CERT",
        type=Path,
        action="append",
        default=[],
        help="the original attributes go along, encrypted for the holder of this certificate (RSA);"
        " may be repeated",
    )
    parser.add_argument(
        "--reidentify",
        metavar="KEY",
        type=Path,
        action="append",
        default=[],
        help="the other way: give objects their original attributes back, with this private key",
    )
    parser.add_argument("--passphrase-file", metavar="FILE", default="", help="of the private key")
    parser.add_argument("--force", action="store_true", help="replace files that are there")


def run(options: argparse.Namespace) -> int:
    if not options.source.exists():
        raise StorageError(f"{options.source} is not there")
    carry_out = _reidentifying(options) if options.reidentify else _deidentifying(options)
    done = failed = passed_over = 0
    what = "re-identified" if options.reidentify else "de-identified"
    for source, target in _files(options):
        if target.exists() and not options.force:
            failed += 1
            _say(f"{source}: {target} is there already; --force replaces it")
            continue
        try:
            remarks = _write(source, target, carry_out)
        except GantryError as error:
            foreign = isinstance(error, StorageError) and error.clause.startswith("PS3.10")
            passed_over += foreign and options.source.is_dir()
            failed += not (foreign and options.source.is_dir())
            _say(f"{source}: {error}{f' {error.way_out}' if error.way_out else ''}")
        except OSError as error:
            failed += 1
            _say(f"{error.filename or target}: {error.strerror}")
        else:
            done += 1
            # Where the person is named who it is about: in what was, or in what is now.
            named = target if options.reidentify else source
            observation.occasion("file", act=what, file=named)
            for remark in remarks:
                _say(f"{target}: {remark}")
    passed = f", {passed_over} passed over" if passed_over else ""
    print(f"{done} {what}, {failed} failed{passed}")
    return 1 if failed or not done else 0


def _deidentifying(options: argparse.Namespace) -> CarryOut:
    # With it comes what decodes frames.
    from agent.workflow.deidentified_copy import Deidentifier, deidentify_file

    deidentifier = Deidentifier(_rule(options), passing=True)

    def carry_out(source: int, target: int) -> tuple[str, ...]:
        return deidentify_file(source, target, deidentifier, _implementation())

    return carry_out


def _reidentifying(options: argparse.Namespace) -> CarryOut:
    from agent.security.credentials import KeyFile
    from agent.workflow.deidentified_copy import reidentify_file

    passphrase = Secret(file=options.passphrase_file)
    keys = [KeyFile(str(each), passphrase) for each in options.reidentify]

    def carry_out(source: int, target: int) -> tuple[str, ...]:
        reidentify_file(source, target, keys, _implementation())
        return ()

    return carry_out


def _implementation() -> tuple[str, str]:
    from agent.services.storage import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

    return IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME


def _rule(options: argparse.Namespace) -> Deidentify:
    """What the configuration and the command line say together."""
    rule = _configured(options) if options.rule else Deidentify(name="command", secret=Secret())
    return Deidentify(
        name=rule.name,
        options=tuple(dict.fromkeys((*rule.options, *options.option))),
        secret=Secret(file=str(options.secret)) if options.secret else rule.secret,
        pseudonyms=str(options.pseudonyms) if options.pseudonyms else rule.pseudonyms,
        values=(*rule.values, *map(_value, options.value)),
        encrypt_for=(*rule.encrypt_for, *map(str, options.keep_encrypted)),
        masks=rule.masks,
        recognise=rule.recognise,
    )


def _configured(options: argparse.Namespace) -> Deidentify:
    from agent.configuration.load import load
    from agent.vocabulary import vocabulary

    configuration = load(None, options.config, (), vocabulary())
    found = configuration.deidentification(options.rule)
    if found is None:
        names = ", ".join(each.name for each in configuration.deidentifications)
        raise ConfigurationError(
            f"the configuration has no [[deidentify]] of the name {options.rule!r}",
            value=options.rule,
            limit=names,
            way_out=f"Use one of: {names}." if names else "Add one.",
        )
    return found


def _value(text: str) -> NewValue:
    keyword, mark, value = text.partition("=")
    if not mark:
        raise ConfigurationError(f"'{text}' is no KEYWORD=VALUE", value=text)
    return NewValue(attribute=tags.from_text(keyword), value=value)


def _files(options: argparse.Namespace) -> Iterator[tuple[Path, Path]]:
    """Each file with its new place. Names of files tell of patients, too: in folders all are
    numbered."""
    source, target = options.source, options.target
    if not source.is_dir():
        yield source, target / "00000001.dcm" if target.is_dir() else target
        return
    inside = target.resolve()
    number = 0
    for path in files_below([source]):
        if path.resolve().is_relative_to(inside) and inside != source.resolve():
            continue
        number += 1
        yield path, target / f"{number:08}.dcm"


def _write(source: Path, target: Path, carry_out: CarryOut) -> tuple[str, ...]:
    """One file; the new one appears under its name when it is whole and on the disk."""
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with source.open("rb") as opened:
            target.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("xb") as written:
                remarks = carry_out(opened.fileno(), written.fileno())
                os.fsync(written.fileno())
            partial.rename(target)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
    return remarks


def _say(text: str) -> None:
    print(text, file=sys.stderr)
