"""Addresses of peers and networks of callers, as a configuration writes them."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from agent.configuration.kinds import Mapped


@dataclass(frozen=True, slots=True)
class Address:
    """A host (name, IPv4 or IPv6 address, without brackets) and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


_HOST = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_\-]{0,61}[A-Za-z0-9_])?"
    r"(\.[A-Za-z0-9_]([A-Za-z0-9_\-]{0,61}[A-Za-z0-9_])?)*\.?"
)
_WITH_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.\-]+)?)\]|([^\[\]:]+)):([0-9]{1,5})")


def parse_address(value: object) -> Address:
    """`host:port`, `1.2.3.4:port` or `[v6]:port`; raises `ValueError` with what is wrong."""
    match = _WITH_PORT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("not of the form HOST:PORT")
    host, port = match[1] or match[2], int(match[3])
    if not 1 <= port <= 65535:
        raise ValueError("the port is not from 1 to 65535")
    if match[1]:
        _check_ip(host)
    else:
        _check_host(host)
    return Address(host, port)


def _check_ip(text: str) -> None:
    ipaddress.ip_address(text)


def _check_host(text: str) -> None:
    if re.fullmatch(r"[0-9.]+", text):
        _check_ip(text)
    elif not _HOST.fullmatch(text):
        raise ValueError("not a host name")


def _bind_address(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("not a text")
    if value != "*":
        _check_ip(value)
    return value


def _network(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("not a text")
    if not ("/" in value or ":" in value or re.fullmatch(r"[0-9.]+", value)):
        raise ValueError("a name: who answers for names would decide who may call")
    return str(ipaddress.ip_network(value))


def address() -> Mapped:
    """Where a peer is reached."""
    return Mapped('"host:port", "192.0.2.1:104" or "[2001:db8::1]:104"', parse_address, str)


def bind_address() -> Mapped:
    """An address of this machine."""
    return Mapped('an IPv4 or IPv6 address of this machine, or "*" for all', _bind_address)


def network() -> Mapped:
    """A host or a network that may call."""
    return Mapped('a network ("192.0.2.0/24", "2001:db8::/32") or an address', _network)
