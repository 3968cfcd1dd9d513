"""What `gantry doctor` finds of TLS: files that cannot be used, certificates and lists that end."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

from agent.cli.doctor_findings import BAD, GOOD, NOTE, Finding
from agent.configuration.configuration import Configuration
from agent.configuration.connection import Tls
from agent.errors import GantryError
from agent.network.tls import client_context, files_at, server_context
from agent.network.tls_profiles import profile_of
from hal.keys.validity import moment, validity

_SOON = datetime.timedelta(days=30)


def tls(configuration: Configuration) -> Iterator[Finding]:
    """Of each entity and peer with TLS; nobody is called."""
    for entity in configuration.entities:
        if entity.tls is not None and entity.port:
            yield from _findings(f"entity {entity.name}", entity.tls, server_side=True)
    for peer in configuration.peers:
        if peer.tls is not None:
            yield from _findings(f"peer {peer.name}", peer.tls, server_side=False)


def _findings(who: str, tls: Tls, *, server_side: bool) -> Iterator[Finding]:
    profile = profile_of(tls.profile)
    try:
        (server_context if server_side else client_context)(tls)
    except GantryError as error:
        yield BAD, f"{who}: {error}. {error.way_out}"
        return
    yield GOOD, f"{who}: TLS by the {profile.title}"
    if profile.retired:
        yield NOTE, f"{who}: {profile.clause} is retired; it protects little against today's means"
    if tls.certificate:
        yield from _certificate(who, Path(tls.certificate))
    for file in (file for place in tls.crl for file in files_at(place)):
        yield from _revocation_list(who, Path(file))
    if server_side and tls.peer_certificate != "none" and not (tls.trust or tls.fingerprints):
        yield (
            NOTE,
            f"{who}: whoever has a certificate of any authority that this system knows may connect;"
            " name your own in tls.trust",
        )
    if not server_side and tls.peer_certificate == "none" and not tls.fingerprints:
        yield NOTE, f"{who}: anybody may be that server; set tls.fingerprints, or tls.trust"


def _certificate(who: str, file: Path) -> Iterator[Finding]:
    from cryptography import x509

    # What is loaded first is ours, what follows are those that signed it.
    own = x509.load_pem_x509_certificate(file.read_bytes())
    begins, ends = validity(own)
    now = datetime.datetime.now(datetime.UTC)
    if now < begins:
        yield BAD, f"{who}: our certificate {file} begins to be valid {begins:%Y-%m-%d %H:%M} UTC"
    elif ends <= now:
        yield BAD, f"{who}: our certificate {file} has expired {ends:%Y-%m-%d %H:%M} UTC"
    elif ends <= now + _SOON:
        yield BAD, f"{who}: our certificate {file} expires {ends:%Y-%m-%d}: renew it"
    else:
        yield GOOD, f"{who}: our certificate is valid until {ends:%Y-%m-%d}"


def _revocation_list(who: str, file: Path) -> Iterator[Finding]:
    from cryptography import x509

    try:
        found = x509.load_pem_x509_crl(file.read_bytes())
    except ValueError as error:
        yield BAD, f"{who}: {file} holds no revocation list: {error}"
        return
    ends = moment(found, "next_update")
    # RFC 5280 5.1.2.5 wants a next update in every list; one without never ends.
    if ends is not None and ends <= datetime.datetime.now(datetime.UTC):
        yield (
            BAD,
            f"{who}: the revocation list {file} has expired {ends:%Y-%m-%d %H:%M} UTC: every "
            "certificate of that authority is refused",
        )
