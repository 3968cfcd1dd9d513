"""Options that several commands take, with one meaning everywhere.

`HOST:PORT`, `--called`, `--calling`, `--tls` and `--json` for one DICOM act; `--profile`,
`--config` and `--set` for what reads the configuration.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from agent.errors import ConfigurationError

if TYPE_CHECKING:
    import ssl

    from agent.configuration.connection import Tls

_Value = TypeVar("_Value")

_TLS_OPTIONS = ("ca", "certificate", "key", "tls-profile", "fingerprint", "crl")
CALLED, CALLING = "ANY-SCP", "GANTRY"
# Default Character Repertoire without backslash and control characters (PS3.5 Table 6.2-1).
_AE_TITLE = re.compile(r"[ -\[\]-~]{1,16}")


def _as_argument(parse: Callable[[str], _Value], name: str) -> Callable[[str], _Value]:
    def checked(text: str) -> _Value:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"'{text}' is no {name}: {error}") from None

    return checked


def _address(text: str) -> tuple[str, int]:
    from agent.configuration.addresses import parse_address

    found = parse_address(text)
    return found.host, found.port


def _ae_title(text: str) -> str:
    title = text.strip(" ")
    if not title or not _AE_TITLE.fullmatch(title):
        raise ValueError("1 to 16 characters of ASCII, without a backslash (PS3.5 6.2)")
    return title


def _port(text: str) -> int:
    port = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= port <= 65535:
        raise ValueError("a number from 0 (any free one) to 65535")
    return port


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 86400:
        raise ValueError("more than 0 and at most 86400")
    return seconds


def _fingerprint(text: str) -> str:
    from agent.configuration.certificate import fingerprint_of

    return fingerprint_of(text)


address = _as_argument(_address, "HOST:PORT")
"""`type=` of an argument: `host:port`, `192.0.2.1:104` or `[2001:db8::1]:104` -> (host, port)."""

ae_title = _as_argument(_ae_title, "AE title")
"""`type=` of an argument: an AE title without the spaces around it (PS3.5 6.2)."""

port = _as_argument(_port, "port")
"""`type=` of an argument: a TCP port, 0 for one that the kernel gives."""

fingerprint = _as_argument(_fingerprint, "SHA-256 fingerprint")
"""`type=` of an argument: 64 hexadecimal digits, with colons or without."""

seconds = _as_argument(_seconds, "number of seconds")
"""`type=` of an argument: a time limit."""


def add_peer_options(parser: argparse.ArgumentParser, *, calling: str = CALLING) -> None:
    """`peer` (host, port), `called`, `calling`, `timeout`, `json`, and what TLS needs."""
    parser.add_argument("peer", metavar="HOST:PORT", type=address, help="where the peer listens")
    add_one_act_options(parser, calling=calling)


def add_one_act_options(parser: argparse.ArgumentParser, *, calling: str = CALLING) -> None:
    """The options of `add_peer_options`, for commands that can do without a peer."""
    parser.add_argument(
        "--called",
        metavar="AE",
        type=ae_title,
        default=CALLED,
        help="AE title of the peer (default %(default)s)",
    )
    parser.add_argument(
        "--calling",
        metavar="AE",
        type=ae_title,
        default=calling,
        help="our own AE title (default %(default)s)",
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=seconds,
        default=30.0,
        help="longest wait for the peer, at each step (default %(default)g)",
    )
    add_identity_options(parser)
    add_tls_options(parser)
    add_json_option(parser)


def add_identity_options(parser: argparse.ArgumentParser) -> None:
    """`user`, `secret` and `identity`; see `agent.cli.requestor.identity_of`."""
    group = parser.add_argument_group("user identity (PS3.7 D.3.3.7)")
    group.add_argument("--user", metavar="NAME", help="the user name")
    group.add_argument(
        "--secret", metavar="FILE", type=Path, help="holds the passcode, ticket, assertion or token"
    )
    group.add_argument(
        "--identity",
        choices=("kerberos", "saml", "jwt"),
        help="what the secret is (default: the passcode of the user)",
    )


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """`json`: whether the result is printed as JSON, one object on each line."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def add_tls_options(parser: argparse.ArgumentParser) -> None:
    """What TLS needs, and `tls` for TLS itself; see `client_context` and `server_context`."""
    group = parser.add_argument_group("TLS")
    group.add_argument("--tls", action="store_true", help="speak TLS (PS3.15 B)")
    group.add_argument(
        "--ca", metavar="FILE", type=Path, help="certificates to trust (PEM); else the system's"
    )
    group.add_argument("--certificate", metavar="FILE", type=Path, help="our own certificate (PEM)")
    group.add_argument("--key", metavar="FILE", type=Path, help="the private key of it (PEM)")
    group.add_argument(
        "--tls-profile",
        metavar="NAME",
        help='profile of PS3.15 B (default "BCP 195 RFC 8996, 9325"; "AES" for old peers)',
    )
    group.add_argument(
        "--fingerprint",
        metavar="SHA256",
        type=fingerprint,
        help="of the only certificate that the peer may show, whatever its name",
    )
    group.add_argument("--crl", metavar="FILE", type=Path, help="revocation lists to check (PEM)")


def add_configuration_options(parser: argparse.ArgumentParser) -> None:
    """`profile`, `config` (a list of files, or None for the usual place) and `set` (a list)."""
    group = parser.add_argument_group("configuration")
    group.add_argument("--profile", metavar="NAME", help="what the box is: gateway, ...")
    group.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        action="append",
        help="configuration file (default /etc/gantry/gantry.toml); several add up",
    )
    group.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="set one key, over all files; may be given again",
    )


def client_context(options: argparse.Namespace) -> ssl.SSLContext | None:
    """The TLS context of a connecting command; None without `--tls`.

    Raises ConfigurationError for files that cannot be used, and for such files without `--tls`.
    """
    from agent.network.tls import context_here

    tls = _tls(options)
    return None if tls is None else context_here(tls, server_side=False)


def server_contexts(options: argparse.Namespace) -> Callable[[], ssl.SSLContext] | None:
    """What gives the TLS contexts of a listening command; None without `--tls`.

    With `--ca` the peer must show a certificate that it has signed. Raises ConfigurationError.
    """
    from agent.network.tls import FreshContext

    tls = _tls(options)
    if tls is None:
        return None
    if not tls.certificate:
        raise ConfigurationError(
            "a listener with TLS needs a certificate", way_out="Give --certificate and --key."
        )
    if not options.ca and (options.fingerprint or options.crl):
        raise ConfigurationError(
            "--fingerprint and --crl are about certificates, and without --ca a listener asks for"
            " none",
            way_out="Add --ca with what signs the peers' certificates.",
        )
    asked = replace(tls, peer_certificate="required" if options.ca else "none")
    return FreshContext(asked, server_side=True)


def _tls(options: argparse.Namespace) -> Tls | None:
    """The options as the table that a configuration has for them."""
    from agent.configuration.connection import Tls

    if not options.tls:
        for name in _TLS_OPTIONS:
            if getattr(options, name.replace("-", "_")) is not None:
                # Never speak plainly where somebody has clearly meant not to.
                raise ConfigurationError(
                    f"--{name} has no meaning without --tls", way_out="Add --tls."
                )
        return None
    return Tls(
        certificate=_text(options.certificate),
        private_key=_text(options.key),
        trust=_list(options.ca),
        profile=options.tls_profile or "",
        fingerprints=(options.fingerprint,) if options.fingerprint else (),
        crl=_list(options.crl),
    )


def _text(path: Path | None) -> str:
    return "" if path is None else str(path)


def _list(path: Path | None) -> tuple[str, ...]:
    return () if path is None else (str(path),)
