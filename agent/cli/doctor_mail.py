"""What `gantry doctor` finds of mails: the server, and what secured ones need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from agent.cli.doctor_findings import BAD, GOOD, NOTE, Finding
from agent.configuration.configuration import Configuration
from agent.configuration.mail import Mail
from agent.errors import ConfigurationError, GantryError


def mail(configuration: Configuration, *, offline: bool) -> Iterator[Finding]:
    """Nothing where no mail server is configured; the server is called unless it is `offline`."""
    table = configuration.mail
    if not table.host:
        return
    yield from _secured(table)
    if not offline:
        yield from _server(table)


def _secured(table: Mail) -> Iterator[Finding]:
    if table.signing_key or table.signing_certificate:
        from agent.security.credentials import KeyFile
        from agent.security.signed_data import Signer

        key = KeyFile(table.signing_key, table.signing_passphrase)
        try:
            Signer(key, table.signing_certificate, "sha256")
            yield GOOD, "mail: mails can be signed"
        except ConfigurationError as error:
            yield BAD, f"mail: mails cannot be signed: {error}"
    if table.certificates:
        try:
            count = sum(1 for _ in Path(table.certificates).glob("*.pem"))
            where = GOOD if count else NOTE
            yield where, f"mail: certificates of {count} recipients in {table.certificates}"
        except OSError as error:
            yield BAD, f"mail: {table.certificates}: {error.strerror}"


def _server(table: Mail) -> Iterator[Finding]:
    from agent.workflow.export_mail import session

    try:
        with session(table) as server:
            limit = server.esmtp_features.get("size", "")
    except GantryError as error:
        yield BAD, error.message
        return
    who = f" {table.user} may log in." if table.user else ""
    yield GOOD, f"the mail server {table.host} answers ({table.security}).{who}"
    if limit.isdigit() and int(limit) and not 0 < table.largest <= int(limit):
        yield (
            BAD,
            f"the mail server {table.host} takes mails of {limit} bytes;"
            f" set largest in the table [mail] to that, at most (it is {table.largest})",
        )
