"""A TLS context that keeps to one profile of PS3.15 B, and remembers sessions to resume."""

from __future__ import annotations

import contextlib
import hashlib
import ssl
import time
import warnings
from typing import TYPE_CHECKING

from agent.errors import ConfigurationError, DeviceError
from agent.network.stream import HandshakeFailed
from agent.network.tls_profiles import OPENSSL_NAMES, RFC_8446, SecureTransportProfile

if TYPE_CHECKING:
    from agent.configuration.connection import Tls

_VERSIONS = {
    "TLS 1.0": ssl.TLSVersion.TLSv1,
    "TLS 1.2": ssl.TLSVersion.TLSv1_2,
    "TLS 1.3": ssl.TLSVersion.TLSv1_3,
}
_SESSIONS = 64

Destination = tuple[str, int, str]


class ProfileContext(ssl.SSLContext):
    """What `ssl` checks, and what it cannot: pinned certificates, and the dates of a resumption.

    Memory: a session, some kilobytes, for each of at most 64 destinations.
    """

    tls: Tls | None = None
    """What it was made of."""

    fingerprints: frozenset[str] = frozenset()
    """SHA-256 of the certificates that the other side may show, in hexadecimal; empty for any."""

    _sessions: dict[Destination, ssl.SSLSession]

    def session_for(self, destination: Destination) -> ssl.SSLSession | None:
        """One to resume, unless it is too old."""
        session = self._sessions.get(destination)
        if session is not None and session.time + session.timeout <= time.time():
            del self._sessions[destination]
            return None
        return session

    def keep(self, destination: Destination, session: ssl.SSLSession | None) -> None:
        """Remember the session for the next association there; None forgets the one before."""
        self._sessions.pop(destination, None)
        if session is None:
            return
        if len(self._sessions) >= _SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[destination] = session

    def check(self, end: ssl.SSLSocket) -> None:
        """What is to be held against the peer after the handshake. Raises HandshakeFailed."""
        if self.fingerprints:
            shown = end.getpeercert(binary_form=True)
            if not shown:
                raise HandshakeFailed(
                    "the peer shows no certificate, and only pinned ones are accepted",
                    peers_fault=True,
                    way_out="Give the peer a certificate, and name its fingerprint here.",
                )
            fingerprint = hashlib.sha256(shown).hexdigest()
            if fingerprint not in self.fingerprints:
                raise HandshakeFailed(
                    f"the peer's certificate is none of the pinned ones, its SHA-256 fingerprint is"
                    f" {fingerprint}",
                    value=fingerprint,
                    peers_fault=True,
                    way_out="If that is the peer's new certificate, name it in tls.fingerprints.",
                )
        if end.session_reused:
            # A resumption shows no certificate anew: what OpenSSL checked was that of before.
            told = end.getpeercert()
            until = told.get("notAfter") if told else None
            if isinstance(until, str) and ssl.cert_time_to_seconds(until) < time.time():
                raise HandshakeFailed(
                    f"the peer's certificate has expired ({until})",
                    peers_fault=True,
                    way_out="Renew the certificate of the peer, and check both clocks.",
                )


def context_for(profile: SecureTransportProfile, *, server_side: bool) -> ProfileContext:
    """A context that offers what the profile names and OpenSSL has, and nothing else.

    Raises ConfigurationError for a profile that cannot be had.
    """
    if profile.unavailable:
        raise ConfigurationError(
            f"the {profile.title} cannot be had: {profile.unavailable}",
            clause=profile.clause,
            way_out='Name another profile: "BCP 195 RFC 8996, 9325", or "AES" for old peers.',
        )
    context = ProfileContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
    context._sessions = {}
    with warnings.catch_warnings():
        # Python warns of TLS 1.0. Who names the profile has been told in the configuration.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = _VERSIONS[profile.lowest]
        context.maximum_version = _VERSIONS[profile.highest]
    names = [OPENSSL_NAMES[each] for each in profile.tls_1_2 if OPENSSL_NAMES[each]]
    context.set_ciphers(":".join((*names, f"@SECLEVEL={profile.security_level}")))
    if profile.tls_1_3 not in ((), RFC_8446):
        # What OpenSSL offers by itself is RFC 8446's; `ssl` has no way to choose.
        from agent.network.openssl_library import choose_tls_1_3

        with contextlib.suppress(DeviceError):
            choose_tls_1_3(context, profile.tls_1_3)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    # What is named as trusted is trusted itself: a device's own certificate, an intermediate one.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def offered(profile: SecureTransportProfile) -> frozenset[str]:
    """Cipher suites of the profile that are really offered here; none where it cannot be had.

    Where OpenSSL cannot be told, its TLS 1.3 suites are its default ones, or those of its own
    configuration (`Ciphersuites`). From 3.2 on it takes CCM_8 below security level 1 only.
    """
    if profile.unavailable:
        return frozenset()
    there = {each["name"] for each in context_for(profile, server_side=True).get_ciphers()}
    return frozenset(each for each in profile.cipher_suites if OPENSSL_NAMES[each] in there)
