"""`gantry keys`: keys of our own, their certificates, and the authorities that we trust.

Which keys there are, and where each is kept, is configured: [[key]] tables. A running node uses a
new certificate from the next handshake on.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.cli.node_configuration import reader
from agent.cli.options import add_configuration_options, add_json_option
from agent.configuration.configuration import Configuration
from agent.configuration.keys import NamedKey as Table
from agent.control import ask
from agent.errors import ConfigurationError, DeviceError, GantryError
from agent.network.own_keys import named_key, unusable
from agent.security.key_enrolment import request_of
from hal.keys.base import KeyStoreError
from hal.keys.named_key import CertificateFacts, NamedKey, facts_of
from hal.keys.trust import Trusted, distrust, trust, trusted_in

_DAY = 86400.0
_ACTS = {
    "create": "make a key, where its [[key]] says",
    "csr": "a request for its certificate (PKCS#10)",
    "install": "use a certificate that was given for it",
    "enrol": "have the EST server give a certificate (RFC 7030)",
    "list": "keys, their certificates, and how long those last",
    "renew": "make the key that shall follow, and its request; by EST, its certificate too",
    "trust": "authorities that are trusted: add, remove, list",
    "delete": "destroy a key, and take its certificate away",
}
_TRUST = {
    "add": "trust the authorities in a file",
    "remove": "trust one no longer",
    "list": "those that are trusted",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", metavar="ACT", required=True)
    for name, what in _ACTS.items():
        act = acts.add_parser(name, help=what, description=what)
        if name == "trust":
            _add_trust(act)
            continue
        if name != "list":
            act.add_argument("name", metavar="NAME", help="the name of the key")
        if name in ("csr", "renew"):
            act.add_argument("--out", metavar="FILE", type=Path, help="default: standard output")
        if name == "renew":
            act.add_argument(
                "--if-due",
                action="store_true",
                help="only when the certificate is about to expire; for a timer",
            )
            act.add_argument("--same-key", action="store_true", help="a new certificate only")
        if name == "install":
            act.add_argument(
                "file", metavar="FILE", type=Path, help="PEM with its chain, DER, or PKCS#7"
            )
        if name == "delete":
            act.add_argument("--yes", action="store_true", help="it cannot be had back")
        add_configuration_options(act)
        add_json_option(act)


def _add_trust(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="trust_act", metavar="ACT", required=True)
    for name, what in _TRUST.items():
        act = acts.add_parser(name, help=what, description=what)
        act.add_argument(
            "group",
            metavar="SET",
            nargs="?" if name == "list" else None,
            help="a name for those that belong together, as the name of a peer; the folder that is"
            " printed goes into its tls.trust",
        )
        if name == "add":
            act.add_argument("file", metavar="FILE", type=Path, help="their certificates")
        if name == "remove":
            act.add_argument("which", metavar="WHICH", help="fingerprint or subject")
        add_configuration_options(act)
        add_json_option(act)


def run(options: argparse.Namespace) -> int:
    configuration = reader(options)()
    if options.act == "trust":
        return _trust(options, configuration)
    if options.act == "list":
        rows = [row_of(each) for each in configuration.keys]
        _print(rows, options.json, line_of)
        return int(any(row["problem"] for row in rows))
    table = configuration.named_key(options.name)
    if table is None:
        known = ", ".join(each.name for each in configuration.keys) or "none"
        raise ConfigurationError(
            f"there is no key {options.name}",
            value=options.name,
            limit=known,
            way_out=f'Write [[key]] with name = "{options.name}" into the configuration.',
        )
    key = named_key(table)
    try:
        with key.store:
            status = _ONE[options.act](options, table, key)
    except KeyStoreError as error:
        raise unusable(table, error) from error
    _tell_the_node(configuration)
    return status


def _create(options: argparse.Namespace, table: Table, key: NamedKey) -> int:
    key.create(table.algorithm)
    _say(options, {"created": table.name, "store": table.store, "algorithm": table.algorithm})
    return 0


def _csr(options: argparse.Namespace, table: Table, key: NamedKey) -> int:
    return _give_request(options, request_of(table, key))


def _give_request(options: argparse.Namespace, request: bytes) -> int:
    if options.out is None:
        print(request.decode(), end="")
        return 0
    try:
        options.out.write_bytes(request)
    except OSError as error:
        raise ConfigurationError(f"{options.out} cannot be written: {error.strerror}") from error
    _say(options, {"request": str(options.out)})
    return 0


def _install(options: argparse.Namespace, table: Table, key: NamedKey) -> int:
    _installed(options, key.install(_content(options.file)))
    return 0


def _installed(options: argparse.Namespace, facts: CertificateFacts) -> None:
    _say(options, {"installed": facts.subject, "issuer": facts.issuer, "until": _date(facts)})


def _enrol(options: argparse.Namespace, table: Table, key: NamedKey, *, again: bool = False) -> int:
    from agent.security.enrolment import EnrolmentServer
    from agent.security.key_enrolment import enrolled

    server = EnrolmentServer(table)
    request = request_of(table, key, of_key_in_use=again and options.same_key)
    _installed(options, enrolled(server, table, key, request, again=again))
    return 0


def _renew(options: argparse.Namespace, table: Table, key: NamedKey) -> int:
    certificates = key.certificates()
    if options.if_due and certificates:
        left = facts_of(certificates[0]).not_after - time.time()
        if left > table.warn:
            _say(options, {"not_due": table.name, "days": round(left / _DAY, 1)})
            return 0
    if not options.same_key:
        key.renew(table.algorithm)
    if table.enrolment:
        return _enrol(options, table, key, again=True)
    return _give_request(options, request_of(table, key, of_key_in_use=options.same_key))


def _delete(options: argparse.Namespace, table: Table, key: NamedKey) -> int:
    if not options.yes:
        raise ConfigurationError(
            f"the key {table.name} cannot be had back once it is destroyed",
            way_out=f"Say it with --yes: gantry keys delete {table.name} --yes",
        )
    key.delete()
    _say(options, {"deleted": table.name})
    return 0


_ONE = {
    "create": _create,
    "csr": _csr,
    "install": _install,
    "enrol": _enrol,
    "renew": _renew,
    "delete": _delete,
}


def row_of(table: Table) -> dict[str, Any]:
    """What is known of a key, `problem` where it cannot be used."""
    row: dict[str, Any] = {
        "name": table.name,
        "store": table.store,
        "keys": [],
        "subject": "",
        "issuer": "",
        "until": "",
        "days": None,
        "problem": "",
    }
    try:
        key = named_key(table)
        certificates = key.certificates()
        if certificates:
            facts = facts_of(certificates[0])
            row.update(subject=facts.subject, issuer=facts.issuer, until=_date(facts))
            row["days"] = round((facts.not_after - time.time()) / _DAY, 1)
        with key.store:
            row["keys"] = key.store.slots
            if certificates and key.slot_in_use() is None:
                row["problem"] = "the certificate is for another key"
    except (KeyStoreError, GantryError) as error:
        row["problem"] = str(error)
    return row


def line_of(row: dict[str, Any]) -> str:
    """The same for a person."""
    text = f"{row['name']}: in {row['store']}"
    if row["problem"]:
        return f"{text}: {row['problem']}"
    if not row["keys"]:
        return f"{text}: there is no key yet"
    if not row["subject"]:
        return f"{text}: a key without a certificate"
    coming = "; the key that follows has no certificate yet" if len(row["keys"]) > 1 else ""
    gone = "expired" if row["days"] <= 0 else f"{row['days']:g} days"
    return f"{text}: {row['subject']}, until {row['until']} ({gone}){coming}"


def _trust(options: argparse.Namespace, configuration: Configuration) -> int:
    root = Path(configuration.node.state) / "trust"
    if options.group is not None and Path(options.group).name != options.group:
        raise ConfigurationError(f"{options.group} is no name for a set", value=options.group)
    try:
        if options.trust_act == "list":
            sets = [options.group] if options.group else sorted(e.name for e in root.glob("*/"))
            found = [(each, row) for each in sets for row in trusted_in(root / each)]
        elif options.trust_act == "add":
            found = [
                (options.group, e) for e in trust(root / options.group, _content(options.file))
            ]
        else:
            found = [
                (options.group, each) for each in distrust(root / options.group, options.which)
            ]
    except KeyStoreError as error:
        raise DeviceError(str(error)) from error
    _print([_trusted(name, each) for name, each in found], options.json, _trust_line)
    if options.trust_act != "list":
        _tell_the_node(configuration)
    return 0


def _trusted(name: str, each: Trusted) -> dict[str, Any]:
    return {
        "set": name,
        "subject": each.facts.subject,
        "fingerprint": each.fingerprint,
        "until": _date(each.facts),
        "folder": str(each.file.parent),
    }


def _trust_line(row: dict[str, Any]) -> str:
    return (
        f"{row['set']}: {row['subject']}, until {row['until']}, {row['fingerprint'][:16]}..."
        f" in {row['folder']}"
    )


def _print(rows: Sequence[dict[str, Any]], as_json: bool, line: Any) -> None:
    for row in rows:
        print(json.dumps(row) if as_json else line(row))


def _say(options: argparse.Namespace, said: dict[str, Any]) -> None:
    if options.json:
        print(json.dumps(said))
    else:
        print(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in said.items()))


def _date(facts: CertificateFacts) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(facts.not_after))


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from error


def _tell_the_node(configuration: Configuration) -> None:
    """A node that runs looks at its certificates now; one that does not will when it starts."""
    if configuration.node.control:
        with contextlib.suppress(GantryError):
            ask(Path(configuration.node.control), "certificates")
