"""TLS contexts from the configuration's files (PS3.15 B), made anew when a file has changed.

A key in a token or TPM is used by a process that ends TLS: in the place of a context stands a
`TlsEnding` then, which has one there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from agent import observation
from agent.configuration.connection import Tls
from agent.configuration.keys import certificate_file
from agent.errors import ConfigurationError, GantryError
from agent.network.tls_ending import ending_of
from agent.quoting import quoted

if TYPE_CHECKING:
    from agent.network.tls_context import ProfileContext
    from agent.network.tls_ending import TlsContext

# A context that is used for ever would encrypt all its session tickets with one key: RFC 9325 3.4
# wants a new one each week at least.
_LONGEST_USE = 86400.0
_KEPT = 64
_SUFFIXES = (".pem", ".crt", ".cer", ".crl")

# (path, size, time of change) of each file; a change of one makes a new context.
_State = tuple[tuple[str, int, int], ...]
_made: dict[tuple[Tls, bool], tuple[_State, float, ProfileContext]] = {}


def client_context(tls: Tls | None) -> TlsContext | None:
    """For associations that we open; None without TLS. Raises ConfigurationError, DeviceError.

    It is the same one for each association while the files are the same: sessions are resumed.
    """
    if tls is None:
        return None
    return ending_of(tls, server_side=False) or context_here(tls, server_side=False)


def server_context(tls: Tls | None) -> TlsContext | None:
    """For associations that others open; None without TLS. Raises as `client_context`."""
    if tls is None:
        return None
    return ending_of(tls, server_side=True) or context_here(tls, server_side=True)


class FreshContext:
    """The context of each connection that begins, for a process that may wait for a key to sign:
    renewed certificates and revocation lists count from the next one on. While new files cannot be
    used the old ones hold, and that is logged.

    Raises ConfigurationError and DeviceError when it is made, never later.
    """

    def __init__(self, tls: Tls, *, server_side: bool) -> None:
        self._tls = tls
        self._server_side = server_side
        self._context = context_here(tls, server_side=server_side)
        self._told = ""

    def __call__(self) -> ProfileContext:
        try:
            self._context = context_here(self._tls, server_side=self._server_side)
            self._told = ""
        except GantryError as error:
            if str(error) != self._told:
                self._told = str(error)
                observation.error("tls.renewal failed", error=error, way_out=error.way_out)
        return self._context


class ServerContexts:
    """What each connection to a listener is secured by. Raises as `FreshContext`."""

    def __init__(self, tls: Tls) -> None:
        self._ending = ending_of(tls, server_side=True)
        self._fresh = FreshContext(tls, server_side=True) if self._ending is None else None

    def __call__(self) -> TlsContext:
        if self._fresh is not None:
            return self._fresh()
        assert self._ending is not None
        return self._ending


def forget_contexts() -> None:
    """What holds a key that was pulled out is made anew."""
    _made.clear()


def context_here(tls: Tls, *, server_side: bool) -> ProfileContext:
    """The context for a process that may wait for a key to sign. Raises as `client_context`."""
    state = tuple(_state_of(tls))
    kept = _made.pop((tls, server_side), None)
    if kept is None or kept[0] != state or time.monotonic() - kept[1] > _LONGEST_USE:
        kept = (state, time.monotonic(), _context(tls, server_side=server_side))
    if len(_made) >= _KEPT:
        del _made[next(iter(_made))]
    _made[tls, server_side] = kept
    return kept[2]


def _state_of(tls: Tls) -> Iterator[tuple[str, int, int]]:
    for path in _files_of(tls):
        try:
            status = Path(path).stat()
        except OSError:
            yield path, -1, 0
        else:
            yield path, status.st_size, status.st_mtime_ns


def _files_of(tls: Tls) -> Iterator[str]:
    """All files that a context is made from."""
    if tls.stored is not None:
        yield certificate_file(tls.stored)
    yield from filter(None, (tls.certificate, tls.private_key))
    for place in (*tls.trust, *tls.crl):
        yield from files_at(place)


def files_at(place: str) -> Iterator[str]:
    """The file, or the files of certificates and revocation lists in the folder (their names end
    in .pem, .crt, .cer or .crl)."""
    folder = Path(place)
    if not folder.is_dir():
        yield place
        return
    for file in sorted(folder.iterdir()):
        if file.suffix in _SUFFIXES:
            yield str(file)


def _context(tls: Tls, *, server_side: bool) -> ProfileContext:
    import ssl

    from agent.network.tls_context import context_for
    from agent.network.tls_profiles import profile_of

    try:
        profile = profile_of(tls.profile)
    except KeyError:
        raise ConfigurationError(
            f"there is no secure transport connection profile {tls.profile!r} in PS3.15 B",
            value=tls.profile,
        ) from None
    context = context_for(profile, server_side=server_side)
    context.tls = tls
    context.fingerprints = frozenset(tls.fingerprints)
    if not server_side:
        # A pinned certificate is known by itself, and needs no name.
        context.check_hostname = tls.peer_certificate != "none" and not tls.fingerprints
    context.verify_mode = {
        "required": ssl.CERT_REQUIRED,
        "optional": ssl.CERT_OPTIONAL if server_side else ssl.CERT_REQUIRED,
        "none": ssl.CERT_NONE,
    }[tls.peer_certificate]
    return _loaded(context, tls)


def _loaded(context: ProfileContext, tls: Tls) -> ProfileContext:
    import ssl

    what = tls.certificate or "our certificate"
    try:
        _load_own_certificate(context, tls)
        for place in tls.trust:
            for what in files_at(place):
                context.load_verify_locations(what)
        if not tls.trust:
            context.load_default_certs()
        for place in tls.crl:
            for what in files_at(place):
                context.load_verify_locations(what)
    except OSError as error:
        raise ConfigurationError(
            f"{what} cannot be used for TLS: {error.strerror or quoted(error)}",
            value=what,
            way_out="Certificates, keys and revocation lists must be PEM files, and the key that"
            " of the certificate.",
        ) from error
    if tls.crl:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        if tls.crl_of_authorities:
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    return context


def _load_own_certificate(context: ProfileContext, tls: Tls) -> None:
    """Our certificate with its chain, and the way to its key. Raises OSError, GantryError."""
    if tls.stored is not None:
        # With ctypes, and the stores: for those who have a key with a name.
        from agent.network.own_keys import own_key

        own_key(tls.stored).load(context)
    elif tls.certificate:
        secret = tls.passphrase.read() if tls.passphrase else None
        context.load_cert_chain(tls.certificate, tls.private_key or None, secret)
