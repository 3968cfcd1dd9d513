"""TLS contexts from the configuration's files (PS3.15 B)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.configuration.connection import Tls
from agent.errors import ConfigurationError

if TYPE_CHECKING:
    import ssl


def client_context(tls: Tls | None) -> ssl.SSLContext | None:
    """For associations that we open; None without TLS. Raises ConfigurationError."""
    if tls is None:
        return None
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if tls.peer_certificate == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return _loaded(context, tls)


def server_context(tls: Tls | None) -> ssl.SSLContext | None:
    """For associations that others open; None without TLS. Raises ConfigurationError."""
    if tls is None:
        return None
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = {
        "required": ssl.CERT_REQUIRED,
        "optional": ssl.CERT_OPTIONAL,
        "none": ssl.CERT_NONE,
    }[tls.peer_certificate]
    return _loaded(context, tls)


def _loaded(context: ssl.SSLContext, tls: Tls) -> ssl.SSLContext:
    context.minimum_version = context.minimum_version.TLSv1_2
    try:
        if tls.certificate:
            secret = tls.passphrase.read() if tls.passphrase else None
            context.load_cert_chain(tls.certificate, tls.private_key or None, secret)
        for place in tls.trust:
            context.load_verify_locations(place)
        if not tls.trust:
            context.load_default_certs()
    except OSError as error:
        raise ConfigurationError(
            f"the certificates {tls.certificate}, {', '.join(tls.trust)} cannot be used:"
            f" {error.strerror or error}",
            way_out="They must be PEM files, and the key that of the certificate.",
        ) from error
    return context
