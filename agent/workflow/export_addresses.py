"""To whom a mail goes: the addresses of a target "mailto:ADDRESS,ADDRESS", and whether they may."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

from agent.configuration.mail import Mail
from agent.errors import LocalError
from agent.media.application_profiles import Profile
from agent.quoting import quoted

SCHEME = "mailto:"
MOST_ADDRESSES = 20

# What RFC 5321 calls a dot-string and a domain; quoted local parts are not worth their risks.
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,253}", re.ASCII)


def addresses_of(path: str) -> tuple[str, ...]:
    """The addresses of a target. Raises LocalError for what is none."""
    found = tuple(dict.fromkeys(each.strip() for each in path[len(SCHEME) :].split(",")))
    for each in found:
        if not _ADDRESS.fullmatch(each):
            raise LocalError(
                f"{quoted(repr(each))} is no mail address", clause="RFC 5321 4.1.2", value=each
            )
    if len(found) > MOST_ADDRESSES:
        raise LocalError(
            f"{len(found)} addresses are too many", value=len(found), limit=MOST_ADDRESSES
        )
    return found


def check_addresses(path: str, mail: Mail, profile: Profile) -> None:
    """Raises LocalError where a mail of the profile cannot go there."""
    if not mail.host:
        raise LocalError(
            "no mail server is configured", way_out="Name one: host in the table [mail]."
        )
    for each in addresses_of(path):
        if not any(fnmatchcase(each.lower(), wanted.lower()) for wanted in mail.recipients):
            raise LocalError(
                f"nothing may be sent to {quoted(each)}",
                value=each,
                limit=", ".join(mail.recipients),
                way_out="Permit it: recipients in the table [mail].",
            )
        if profile.sealed and not certificate_of(each, mail).is_file():
            raise LocalError(
                f"{profile.name} wants encrypted mails, and there is no certificate of"
                f" {quoted(each)}",
                clause="PS3.15 B.8",
                value=each,
                way_out=f"Put it into {quoted(certificate_of(each, mail))}."
                if mail.certificates
                else "Name a folder: certificates in the table [mail].",
            )
    if profile.sealed and not (mail.signing_key and mail.signing_certificate):
        raise LocalError(
            f"{profile.name} wants signed mails, and there is no key that signs",
            clause="PS3.15 B.8",
            way_out="Name signing_key and signing_certificate in the table [mail].",
        )


def certificate_of(address: str, mail: Mail) -> Path:
    """Where the certificate of one who receives is."""
    return Path(mail.certificates, f"{address.lower().replace('/', '_')}.pem")
