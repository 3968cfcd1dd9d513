"""`gantry access`: try who may do what, and make passcodes of users."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from agent.cli.node_configuration import reader
from agent.cli.options import CALLING, add_configuration_options, add_json_option, ae_title
from agent.configuration.configuration import Configuration
from agent.configuration.distinguished_name import parse
from agent.configuration.entity import Entity
from agent.configuration.identity import KINDS
from agent.dataset.sop_classes import name_of
from agent.errors import ConfigurationError
from agent.network.peer_certificate import PeerCertificate
from agent.network.rejection import reject_text
from agent.security.applicant import Applicant
from agent.security.explanation import Explained, Explanation, Listed, explain
from agent.security.passcodes import Entry, put
from agent.services.offer import class_services_of

_LONGEST_PASSCODE = 65535  # two bytes of length: PS3.7 Table D.3-14


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", metavar="ACT", required=True)
    check = acts.add_parser("check", help="what a caller would be answered, and by which rule")
    check.add_argument("--calling", metavar="AE", type=ae_title, default=CALLING)
    check.add_argument(
        "--called", metavar="AE", type=ae_title, help="default: the title of the first entity"
    )
    check.add_argument("--host", metavar="ADDRESS", default="127.0.0.1", help="where it calls from")
    check.add_argument("--port", type=int, help="where it calls (default: that of the entity)")
    check.add_argument("--subject", metavar="NAME", help="of its certificate: CN=ct1,O=Hospital")
    check.add_argument("--issuer", metavar="NAME", help="of its certificate")
    check.add_argument("--fingerprint", metavar="HEX", help="SHA-256 of its certificate")
    check.add_argument("--user", metavar="NAME", default="", help="a user, verified")
    check.add_argument(
        "--identity",
        choices=tuple(KINDS),
        default="username-and-passcode",
        help="how the user was verified (default %(default)s)",
    )
    check.add_argument(
        "--sop-class", metavar="UID", action="append", help="only what is said of this class"
    )
    add_json_option(check)
    add_configuration_options(check)
    passcode = acts.add_parser("passcode", help="the line of a user for the file of passcodes")
    passcode.add_argument("user", metavar="USER")
    passcode.add_argument(
        "--into", metavar="FILE", type=Path, help="put it into this file (default: print it)"
    )


def run(options: argparse.Namespace) -> int:
    return _passcode(options) if options.act == "passcode" else _check(options)


def _passcode(options: argparse.Namespace) -> int:
    entry = Entry.make(options.user, _asked())
    if options.into is None:
        print(entry.line())
        return 0
    replaced = put(options.into, entry)
    print(f"{options.user}: {'a new passcode' if replaced else 'added'}, in {options.into}")
    return 0


def _asked() -> bytes:
    """The passcode: from the terminal, twice; or the first line of what is piped in."""
    if sys.stdin.isatty():
        from getpass import getpass

        typed = getpass("Passcode: ")
        if getpass("Once more: ") != typed:
            raise ConfigurationError("the two passcodes differ", way_out="Type them again.")
        passcode = typed.encode()
    else:
        passcode = sys.stdin.buffer.readline(_LONGEST_PASSCODE + 2).rstrip(b"\r\n")
    if not 0 < len(passcode) <= _LONGEST_PASSCODE:
        raise ConfigurationError("there is no passcode, or too long a one", value=len(passcode))
    return passcode


def _check(options: argparse.Namespace) -> int:
    configuration = reader(options)()
    entity = _entity(configuration, options)
    listed: Listed = class_services_of(entity).listed
    if options.sop_class:
        listed = {key: names for key, names in listed.items() if key[0] in options.sop_class}
    found = explain(configuration, _applicant(options, entity), entity, listed)
    _print_json(found) if options.json else _print(found, options)
    allowed = any(each.allow for one in found.contexts if not one.closed for each in one.verdicts)
    return 0 if allowed else 1


def _entity(configuration: Configuration, options: argparse.Namespace) -> Entity:
    """The one that is called; where none bears the title, one that takes any title."""
    here = [
        each for each in configuration.entities if each.port and options.port in (None, each.port)
    ]
    for entity in here:
        if options.called in (None, entity.title):
            return entity
    for entity in here:
        if not entity.accept.called_title:
            return entity
    if here:
        return here[0]
    raise ConfigurationError("no entity listens there", value=options.port)


def _applicant(options: argparse.Namespace, entity: Entity) -> Applicant:
    certificate = None
    if options.subject or options.issuer or options.fingerprint:
        try:
            certificate = PeerCertificate(
                parse(options.subject) if options.subject else (),
                parse(options.issuer) if options.issuer else (),
                fingerprint=(options.fingerprint or "").replace(":", "").lower(),
            )
        except ValueError as error:
            raise ConfigurationError(f"this is no name of a certificate: {error}") from None
    return Applicant(
        options.called or entity.title,
        options.calling,
        options.host,
        certificate,
        options.user,
        options.identity if options.user else "",
    )


def _print(found: Explanation, options: argparse.Namespace) -> None:
    if found.reject is not None:
        print(f"rejected by {found.entity}: {reject_text(found.reject)}; reason: {found.reason}")
        return
    print(f"accepted by {found.entity}")
    rows: Counter[tuple[str, str, str]] = Counter()
    for each in found.contexts:
        for verdict in _said(each):
            rows[each.service, each.role, verdict] += 1
    for (service, role, verdict), number in rows.items():
        what = f"{number} SOP class{'es' if number > 1 else ''}"
        if options.sop_class:
            what = ", ".join(name_of(uid) for uid in options.sop_class)
        print(f"  {service} (we: {role}), {what}: {verdict}")


def _said(each: Explained) -> list[str]:
    if each.closed:
        return ["refused: accept of the service"]
    return [
        f"{', '.join(sorted(verdict.operations))} {'allowed' if verdict.allow else 'refused'}"
        f" by {verdict.rule}"
        for verdict in each.verdicts
    ]


def _print_json(found: Explanation) -> None:
    print(
        json.dumps(
            {
                "entity": found.entity,
                "accepted": found.reject is None,
                "reason": found.reason,
                "reject": reject_text(found.reject) if found.reject is not None else "",
                "contexts": [
                    {
                        "service": each.service,
                        "role": each.role,
                        "sop_class": each.sop_class,
                        "verdicts": [
                            {
                                "rule": "accept" if each.closed else verdict.rule,
                                "allow": verdict.allow and not each.closed,
                                "operations": sorted(verdict.operations),
                            }
                            for verdict in each.verdicts
                        ],
                    }
                    for each in found.contexts
                ],
            }
        )
    )
