"""`gantry signature`: digital signatures of objects: made, verified, listed, removed, and given
certified time stamps (PS3.15 C)."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from agent.cli.exit_status import ExitStatus
from agent.cli.files_below import files_below
from agent.cli.options import add_json_option
from agent.configuration.secrets import Secret
from agent.configuration.signatures import Signatures
from agent.dataset import tags
from agent.dataset.byte_source import FileBytes
from agent.dataset.file_meta import read_file_meta
from agent.errors import ConfigurationError, GantryError, StorageError
from agent.security.signature_place import described, location_of
from agent.security.signature_profiles import PROFILES
from agent.security.signature_reading import StoredSignature, stored_signatures
from agent.security.signature_terms import (
    PURPOSES,
    SIGNATURE,
    SOUND_MAC_ALGORITHMS,
    Verdict,
)

T = TypeVar("T")

_ACTS = {
    "create": "a copy of an object with a signature more",
    "verify": "whether signatures are right, and by whom they are",
    "list": "the signatures of objects, without verifying them",
    "remove": "a copy of an object without signatures",
    "query": "a query for a time stamping authority (RFC 3161), for a signature that is there",
    "stamp": "a copy of an object with the authority's answer in a signature",
}

_STATUS = {
    Verdict.VALID: 0,
    Verdict.INVALID: int(ExitStatus.REFUSED),
    Verdict.UNTRUSTWORTHY: 4,
    Verdict.UNKNOWN: 5,
}

_EPILOG = (
    "Exit status, by the worst verdict: 0 valid, 1 invalid (or none, with --require), "
    "4 untrustworthy, 5 unknown algorithm or encoding."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", metavar="ACT", required=True)
    for name, what in _ACTS.items():
        act = acts.add_parser(
            name, help=what, description=what, epilog=_EPILOG if name == "verify" else None
        )
        if name in ("verify", "list"):
            act.add_argument("files", metavar="FILE", type=Path, nargs="+", help="or folders")
            add_json_option(act)
        else:
            what_comes = "the query" if name == "query" else "the new file"
            act.add_argument("source", metavar="IN", type=Path, help="a DICOM file")
            act.add_argument("target", metavar="OUT", type=Path, help=what_comes)
            act.add_argument("--force", action="store_true", help="replace a file that is there")
        if name == "stamp":
            act.add_argument("answer", metavar="ANSWER", type=Path, help="of the authority")
        if name in ("remove", "query", "stamp"):
            act.add_argument(
                "--uid",
                metavar="UID",
                default="",
                help="of the signature (default: all of them)"
                if name == "remove"
                else "of the signature (default: the only one)",
            )
    _add_creation_options(acts.choices["create"])
    _add_trust_options(acts.choices["verify"])


def _add_creation_options(act: argparse.ArgumentParser) -> None:
    _add_config_option(act, "key and certificate")
    act.add_argument("--key", metavar="FILE", default="", help="a private RSA key (PEM)")
    act.add_argument("--certificate", metavar="FILE", default="", help="its certificate")
    act.add_argument("--passphrase-file", metavar="FILE", default="", help="of the key")
    act.add_argument(
        "--profile",
        choices=list(PROFILES),
        default="base",
        help="what is signed (default %(default)s: all that can be)",
    )
    act.add_argument(
        "--element",
        metavar="TAG",
        action="append",
        default=[],
        help="an attribute that is signed, by keyword or tag; may be given again. In the base "
        "profile no others are signed then",
    )
    act.add_argument(
        "--item",
        metavar="ITEM",
        default="",
        help="sign an item, not the data set: such as ContentSequence[0]",
    )
    act.add_argument(
        "--mac",
        choices=SOUND_MAC_ALGORITHMS,
        default="SHA256",
        help="MAC algorithm (default %(default)s)",
    )
    act.add_argument(
        "--evidence",
        metavar="PATH",
        action="append",
        type=Path,
        default=[],
        help="of a structured report: a file or folder with objects that it rests on; may be given "
        "again. It gets a MAC of each that has none there (PS3.15 A.4)",
    )
    act.add_argument(
        "--purpose",
        metavar="CODE",
        type=int,
        choices=list(PURPOSES),
        default=0,
        help=f"why it is signed: {', '.join(f'{code} {what}' for code, what in PURPOSES.items())}",
    )


def _add_config_option(act: argparse.ArgumentParser, what: str) -> None:
    act.add_argument(
        "--config",
        metavar="FILE",
        action="append",
        help=f"configuration file, whose [signatures] names {what} where they are not given here",
    )


def _add_trust_options(act: argparse.ArgumentParser) -> None:
    _add_config_option(act, "those who are trusted")
    for option, what in (
        ("--trust", "certificates of authorities, or of signers, that are trusted"),
        ("--intermediate", "certificates that may stand between them and the signer's"),
        ("--revocations", "certificate revocation lists; each authority must have one then"),
    ):
        act.add_argument(
            option,
            metavar="FILE",
            action="append",
            default=[],
            help=f"file or folder with {what}; may be given again",
        )
    act.add_argument(
        "--require", action="store_true", help="an object without a signature is refused"
    )


def run(options: argparse.Namespace) -> int:
    acts: dict[str, Callable[[argparse.Namespace], int]] = {
        "create": _create,
        "verify": _verify,
        "list": _list,
        "remove": _remove,
        "query": _query,
        "stamp": _stamp,
    }
    return acts[options.act](options)


# Verifying and listing.


def _configured(options: argparse.Namespace) -> Signatures:
    """What the configuration says, where one is named."""
    if not options.config:
        return Signatures()
    from agent.configuration.load import load
    from agent.vocabulary import vocabulary

    return load(None, options.config, (), vocabulary()).signatures


def _verify(options: argparse.Namespace) -> int:
    from agent.security.signature_verification import Trust, verify, worst

    table = _configured(options)
    trust = Trust.of_files(
        options.trust or table.trust,
        options.intermediate or table.intermediates,
        options.revocations or table.revocations,
    )
    status = 0
    for path in files_below(options.files):
        try:
            found = _with(path, lambda source, uid: verify(source, uid, trust))
        except GantryError as error:
            status = max(status, _pass_over(path, error, options))
            continue
        for each in found:
            told = {**asdict(each), "verdict": each.verdict.value}
            _tell(path, told, options, each.reason or each.signer, *each.remarks)
        verdict = worst(found)
        if verdict is not None:
            status = _worse(status, _STATUS[verdict])
        elif options.require:
            _say(f"{path}: there is no signature")
            status = _worse(status, ExitStatus.REFUSED)
    return status


def _list(options: argparse.Namespace) -> int:
    status = 0
    for path in files_below(options.files):
        try:
            found = _with(path, stored_signatures)
        except GantryError as error:
            status = max(status, _pass_over(path, error, options))
            continue
        for each in found:
            names = [tags.name_of(tag) for tag in sorted(each.elements)]
            told = {
                "uid": each.uid,
                "location": described(each.location),
                "date_time": each.date_time,
                "mac_algorithm": each.mac_algorithm,
                "purpose": each.fields.purpose,
                "elements": names,
            }
            _tell(path, told, options, ", ".join(names))
    return status


def _tell(path: Path, told: dict[str, Any], options: argparse.Namespace, *words: str) -> None:
    if options.json:
        print(json.dumps({"file": str(path), **told}))
        return
    verdict = f"{told['verdict']}, " if "verdict" in told else ""
    purpose = f", {told['purpose']}" if told["purpose"] else ""
    print(f"{path}: {verdict}{told['mac_algorithm']} over {told['location']}{purpose}")
    print(f"  {told['uid']} {told['date_time']}")
    if "covers_pixel_data" in told:
        pixels = ", pixel data among them" if told["covers_pixel_data"] else ""
        print(f"  over {told['elements']} attributes{pixels}")
    if told.get("stamped"):
        print(f"  certified time stamp of {told['stamped']}")
    for each in words:
        print(f"  {each}")


def _worse(status: int, other: int) -> int:
    """What is invalid counts more than what is unknown, that more than what is untrustworthy."""
    order = (0, _STATUS[Verdict.UNTRUSTWORTHY], _STATUS[Verdict.UNKNOWN], int(ExitStatus.REFUSED))
    return max(status, other, key=order.index)


def _pass_over(path: Path, error: GantryError, options: argparse.Namespace) -> int:
    """In folders, what is no DICOM file is none of our business."""
    is_foreign = isinstance(error, StorageError) and error.clause.startswith("PS3.10")
    if is_foreign and path not in options.files:
        return 0
    _say(f"{path}: {error}")
    return int(ExitStatus.REFUSED)


def _with(path: Path, act: Callable[[FileBytes, str], T]) -> T:
    with path.open("rb") as file:
        meta = read_file_meta(file.fileno())
        return act(FileBytes(file.fileno(), meta.data_set_offset), meta.encoding_uid)


# Making files.


def _create(options: argparse.Namespace) -> int:
    from agent.security.credentials import KeyFile
    from agent.security.signature_creation import SigningOrder, sign_file
    from agent.security.signature_keys import FileSigner

    order = SigningOrder(
        profile=PROFILES[options.profile],
        elements=tuple(tags.from_text(each) for each in options.element),
        location=location_of(options.item) if options.item else (),
        mac_algorithm=options.mac,
        purpose=options.purpose,
    )
    order.check()
    table = _configured(options)
    path, certificate = options.key, options.certificate
    passphrase = Secret(file=options.passphrase_file)
    if not path and not certificate:
        path, certificate = table.signing_key, table.signing_certificate
        passphrase = passphrase or table.signing_passphrase
    if not path or not certificate:
        raise ConfigurationError(
            "nobody signs: a key and its certificate are missing",
            way_out="Give --key and --certificate, or a --config with [signatures].",
        )
    signer = FileSigner(KeyFile(path, passphrase), certificate)
    sign = partial(sign_file, order=order, signer=signer)
    if options.profile == "structured-report":
        # A report that is signed says what the objects were that it rests on (PS3.15 A.4).
        from agent.security.signed_evidence import evidence_in, sign_report

        sign = partial(sign_report, evidence_in(files_below(options.evidence)), order, signer)
    print(_made(options, sign))
    return 0


def _remove(options: argparse.Namespace) -> int:
    from agent.security.signature_creation import remove_from_file

    def goes(signature: StoredSignature) -> bool:
        return options.uid in ("", signature.uid)

    count = _made(options, lambda source, target: remove_from_file(source, target, goes))
    print(f"{count} removed")
    return 0 if count else int(ExitStatus.REFUSED)


def _query(options: argparse.Namespace) -> int:
    from agent.security.signature_timestamp import query

    _, value = _with(options.source, partial(_chosen, options.uid))
    _check_target(options)
    options.target.write_bytes(query(value))
    return 0


def _stamp(options: argparse.Namespace) -> int:
    from agent.security.signature_creation import stamp_file
    from agent.security.signature_timestamp import checked, token_of

    signature, value = _with(options.source, partial(_chosen, options.uid))
    token = token_of(options.answer.read_bytes())
    stamp = checked(token, value, ())
    _made(options, lambda source, target: stamp_file(source, target, signature, token))
    print(f"{stamp.moment:%Y-%m-%d %H:%M:%S} UTC {stamp.authority}")
    return 0


def _chosen(uid: str, source: FileBytes, syntax_uid: str) -> tuple[StoredSignature, bytes]:
    """The signature that is meant, and its value."""
    found = [each for each in stored_signatures(source, syntax_uid) if uid in ("", each.uid)]
    if len(found) != 1:
        raise StorageError(
            "there is no such signature" if not found else "there is more than one signature",
            value=len(found),
            way_out="" if not found else "Say which, with --uid.",
        )
    return found[0], found[0].fields.values.get(SIGNATURE, b"")


def _made(options: argparse.Namespace, write: Callable[[int, int], T]) -> T:
    """Write the new file; it appears under its name when it is whole and on the disk."""
    target: Path = options.target
    _check_target(options)
    partial_file = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with options.source.open("rb") as source, partial_file.open("xb") as written:
            done = write(source.fileno(), written.fileno())
            os.fsync(written.fileno())
        partial_file.rename(target)
    except BaseException:
        with contextlib.suppress(OSError):
            partial_file.unlink()
        raise
    return done


def _check_target(options: argparse.Namespace) -> None:
    if options.target.exists() and not options.force:
        raise ConfigurationError(
            f"{options.target} is there already",
            value=str(options.target),
            way_out="Give another name, or --force.",
        )


def _say(text: str) -> None:
    print(text, file=sys.stderr)
