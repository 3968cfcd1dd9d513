"""Options that several commands take, with one meaning everywhere.

`HOST:PORT`, `--called`, `--calling`, `--tls` and `--json` for one DICOM act; `--profile`,
`--config` and `--set` for what reads the configuration.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from agent.errors import ConfigurationError

if TYPE_CHECKING:
    import ssl

_Value = TypeVar("_Value")

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


address = _as_argument(_address, "HOST:PORT")
"""`type=` of an argument: `host:port`, `192.0.2.1:104` or `[2001:db8::1]:104` -> (host, port)."""

ae_title = _as_argument(_ae_title, "AE title")
"""`type=` of an argument: an AE title without the spaces around it (PS3.5 6.2)."""

port = _as_argument(_port, "port")
"""`type=` of an argument: a TCP port, 0 for one that the kernel gives."""

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
    add_tls_options(parser)
    add_json_option(parser)


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """`json`: whether the result is printed as JSON, one object on each line."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def add_tls_options(parser: argparse.ArgumentParser) -> None:
    """`tls`, `ca`, `certificate` and `key`; see `client_context` and `server_context`."""
    group = parser.add_argument_group("TLS")
    group.add_argument("--tls", action="store_true", help="speak TLS (PS3.15 B)")
    group.add_argument(
        "--ca", metavar="FILE", type=Path, help="certificates to trust (PEM); else the system's"
    )
    group.add_argument("--certificate", metavar="FILE", type=Path, help="our own certificate (PEM)")
    group.add_argument("--key", metavar="FILE", type=Path, help="the private key of it (PEM)")


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
    if not _wants_tls(options):
        return None
    import ssl

    def load() -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=_text(options.ca))
        if options.certificate:
            context.load_cert_chain(options.certificate, options.key)
        return context

    return _loaded(load, options)


def server_context(options: argparse.Namespace) -> ssl.SSLContext | None:
    """The TLS context of a listening command; None without `--tls`.

    With `--ca` the peer must show a certificate that it has signed. Raises ConfigurationError.
    """
    if not _wants_tls(options):
        return None
    if options.certificate is None:
        raise ConfigurationError(
            "a listener with TLS needs a certificate", way_out="Give --certificate and --key."
        )
    import ssl

    def load() -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=_text(options.ca))
        context.load_cert_chain(options.certificate, options.key)
        context.verify_mode = ssl.CERT_REQUIRED if options.ca else ssl.CERT_NONE
        return context

    return _loaded(load, options)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _wants_tls(options: argparse.Namespace) -> bool:
    if options.tls:
        return True
    for name in ("ca", "certificate", "key"):
        if getattr(options, name) is not None:
            # Never speak plainly where somebody has clearly meant not to.
            raise ConfigurationError(f"--{name} has no meaning without --tls", way_out="Add --tls.")
    return False


def _loaded(load: Callable[[], ssl.SSLContext], options: argparse.Namespace) -> ssl.SSLContext:
    try:
        return load()
    except OSError as error:
        # ssl.SSLError is an OSError: what it says of a bad PEM file names no file.
        files = [str(path) for path in (options.ca, options.certificate, options.key) if path]
        raise ConfigurationError(
            f"cannot use {', '.join(files) or 'the certificates of the system'} for TLS:"
            f" {error.strerror or error}",
            way_out="They must be PEM files, and the key that of the certificate.",
        ) from error
