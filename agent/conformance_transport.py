"""What the conformance statement says of secure transport (PS3.15 B, PS3.2 N.8.4.1)."""

from __future__ import annotations

from collections.abc import Iterator

from agent.configuration.configuration import Configuration
from agent.configuration.connection import Tls
from agent.configuration.entity import Entity
from agent.conformance_sections import section
from agent.network.tls_profiles import SecureTransportProfile, profile_of

_CERTIFICATES = {
    "required": "required, signed by a trusted authority",
    "optional": "asked for; one that is shown must be signed by a trusted authority",
    "none": "not asked for",
}


def transport(entity: Entity) -> str:
    """The ports of an entity in a few words."""
    if not entity.port:
        return "opens associations only"
    return ", ".join(f"{port} ({'TLS' if tls else 'TCP'})" for port, tls in entity.ports.items())


def secure_transport(configuration: Configuration) -> Iterator[str]:
    """A section for each entity and peer with TLS; nothing where there is none."""
    for entity in configuration.entities:
        if entity.tls is not None and entity.port:
            ports = ", ".join(str(port) for port, tls in entity.ports.items() if tls)
            title = f"Secure transport of {entity.title} (PS3.15 B)"
            yield from section(title, _rows(entity.tls, [("Port", ports)], server_side=True))
    for peer in configuration.peers:
        if peer.tls is not None:
            title = f"Secure transport to {peer.title} (PS3.15 B)"
            yield from section(title, _rows(peer.tls, [], server_side=False))


def _rows(tls: Tls, rows: list[tuple[str, str]], *, server_side: bool) -> Iterator[tuple[str, str]]:
    profile = profile_of(tls.profile)
    yield "Profile", f"{profile.title} ({profile.clause})"
    if profile.retired:
        yield "Retired", "yes: for this connection only, where the other side has no better one"
    yield from rows
    yield "Role", "server" if server_side else "client"
    yield "Versions", profile.versions
    yield from _cipher_suites(profile)
    yield "Groups, signatures", f"those of OpenSSL at security level {profile.security_level}"
    yield "Session resumption", "by tickets, for a day at most and no longer than certificates hold"
    yield "Renegotiation", "refused"
    yield "STARTTLS", "does not exist: TLS begins with the first byte"
    yield from _peer_certificate(tls, server_side=server_side)
    yield "Key management", "certificates, keys and revocation lists are files (PEM), renewed live"


def _cipher_suites(profile: SecureTransportProfile) -> Iterator[tuple[str, str]]:
    # OpenSSL, for what it really has here.
    from agent.network.tls_context import offered

    there = offered(profile)
    for version, suites in (("TLS 1.3", profile.tls_1_3), ("TLS 1.2", profile.tls_1_2)):
        if suites:
            shown = ", ".join(each for each in suites if each in there)
            below = " and below" if version == "TLS 1.2" and profile.lowest < version else ""
            yield f"Cipher suites, {version}{below}", shown
    missing = [each for each in profile.cipher_suites if each not in there]
    if missing:
        yield "Named by the profile, not to be had here", ", ".join(missing)


def _peer_certificate(tls: Tls, *, server_side: bool) -> Iterator[tuple[str, str]]:
    optional = tls.peer_certificate == "optional" and not server_side
    rule = "required" if optional else tls.peer_certificate
    yield "Certificate of the other side", _CERTIFICATES[rule]
    if tls.fingerprints:
        yield "Pinned certificates", f"only {len(tls.fingerprints)}, by SHA-256 fingerprint"
    elif not server_side and tls.peer_certificate != "none":
        yield "Server name", f"must be {tls.server_name or 'the host that is called'}"
    if tls.crl:
        scope = "of the whole chain" if tls.crl_of_authorities else "of the certificate's authority"
        yield "Revocation lists", f"checked: that {scope}"
    elif tls.peer_certificate != "none":
        yield "Revocation lists", "not checked"
    if tls.ocsp != "off":
        whose = "the whole chain" if tls.ocsp_of_authorities else "the peer's certificate"
        known = "refused" if tls.ocsp == "required" else "taken"
        yield (
            "OCSP (RFC 6960)",
            f"asked about {whose}; one of which nothing is known is {known}; no stapling",
        )
