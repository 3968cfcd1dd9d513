"""Recognises what is not DICOM at a DICOM port by its first bytes, so that the log can name it."""

from __future__ import annotations

from agent.errors import PeerError
from agent.network.item import UNRECOGNIZED_PDU, invalid

# What else knocks at a DICOM port: its first bytes, what it is, and what a person can do.
_OTHER_PROTOCOLS = (
    (b"\x16\x03", "a TLS hello", "use TLS on this port, or send the peer to the plain one"),
    (b"\x15\x03", "a TLS alert", "the peer wants TLS on its port, or refused our TLS hello"),
    (b"HTTP/", "an HTTP answer", "the port is that of a web server, not of a DICOM node"),
    (b"SSH-", "an SSH banner", "the port is that of an SSH server, not of a DICOM node"),
    (b"PROXY ", "a PROXY protocol header", "switch the PROXY protocol off in the load balancer"),
    *(
        (method, "an HTTP request", "send the browser or probe to the port of the console")
        for method in (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"OPTION", b"CONNEC", b"PRI * ")
    ),
)


def named(start: bytes) -> str:
    """What the first bytes of a connection are, in words; empty when nobody knows."""
    if start[:2] == b"\x01\x00" and len(start) > 5:
        return "an A-ASSOCIATE-RQ in plain"
    return next((name for prefix, name, _ in _OTHER_PROTOCOLS if start.startswith(prefix)), "")


def unrecognized_pdu(header: bytes | bytearray) -> PeerError:
    """The fault of a PDU header whose type no PDU has, with a name for what it really is."""
    kind = header[0]
    for start, name, way_out in _OTHER_PROTOCOLS:
        if header.startswith(start):
            return invalid(
                f"this is not DICOM but {name}",
                clause="PS3.8 9.3.1",
                value=bytes(header),
                reason=UNRECOGNIZED_PDU,
                way_out=way_out,
            )
    return invalid(
        f"there is no PDU of type {kind:02X}H",
        clause="PS3.8 9.3.1",
        value=kind,
        reason=UNRECOGNIZED_PDU,
    )
