"""What entities and peers have in common: timers, sockets, TLS, and how often to try again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.configuration.certificate import Fingerprint
from agent.configuration.key import key, section
from agent.configuration.kinds import (
    Amount,
    Choice,
    Flag,
    ListOf,
    Path,
    Text,
    count,
    duration,
    fraction,
    size,
)
from agent.configuration.names import Term
from agent.configuration.secrets import Secret, SecretPlace

if TYPE_CHECKING:
    from agent.configuration.keys import NamedKey

DAY = 86400.0


@section
class Timers:
    """How long to wait, in seconds.

    A silent peer, one that drips and one that stops reading each meet one of these.
    """

    connect: float = key(
        duration(0.1, 600),
        "to open a transport connection to one address, name resolution and TLS included",
        default=10.0,
    )
    association: float = key(
        duration(0.1, 600),
        "the ARTIM timer (PS3.8 9.1.5): for the A-ASSOCIATE-RQ after a connection was accepted, "
        "and for the peer to close after a reject or abort; as requestor, for the answer to our "
        "request and to our release",
        default=30.0,
    )
    dimse: float = key(
        duration(0.1, DAY, zero="no limit"),
        "for the first, and each next, response to a DIMSE request",
        default=300.0,
    )
    idle: float = key(
        duration(0.1, DAY, zero="no limit"),
        "an accepted association without any operation, before it is aborted",
        default=600.0,
    )
    progress: float = key(
        duration(0.1, 3600),
        "without a single byte moving while a PDU or a message is under way, in each direction",
        default=60.0,
    )
    slowest: int = key(
        Amount(1, None, unit="bytes a second", zero="any rate is good enough"),
        "the least rate at which a message must come in, taken over the progress time: a peer that "
        "drips holds a place no longer than that",
        default=64,
    )


@section
class Socket:
    """The TCP socket. TCP_NODELAY is always on."""

    send_buffer: int = key(
        size(2048, 2**28, zero="as the kernel finds best"),
        "SO_SNDBUF",
        default=0,
    )
    receive_buffer: int = key(
        size(2048, 2**28, zero="as the kernel finds best"),
        "SO_RCVBUF",
        default=0,
    )
    linger: float = key(
        duration(1, 600, zero="closing waits for nothing, the kernel still sends"),
        "SO_LINGER: how long unsent bytes are kept after closing",
        default=0.0,
    )
    keep_alive: float = key(
        duration(1, 32767, zero="off"),
        "silence before the kernel probes whether the peer is still there (TCP_KEEPIDLE)",
        default=60.0,
    )
    user_timeout: float = key(
        duration(1, 3600, zero="as the kernel finds best"),
        "how long sent bytes may stay unacknowledged (TCP_USER_TIMEOUT)",
        default=60.0,
    )
    quick_acknowledge: bool = key(
        Flag(),
        "TCP_QUICKACK, armed again whenever more must come: a peer with Nagle's algorithm on then "
        "sends small objects a hundred times faster",
        default=True,
    )
    backlog: int = key(
        count(1, 65535),
        "connections that the kernel holds before they are accepted",
        default=512,
    )


@section
class Tls:
    """TLS with certificates from files (PEM), or with a key that has a name."""

    key_name: str = key(
        Text(64),
        "the `[[key]]` whose private key and certificate are used, wherever it is kept",
        default="",
        default_text="none: `certificate` and `private_key` name files",
        name="key",
        example='"box"',
    )
    certificate: str = key(
        Path(), "our certificate, with its chain", default="", example='"/etc/gantry/own.crt"'
    )
    private_key: str = key(
        Path(),
        "the private key of the certificate",
        default="",
        default_text="in the certificate's file",
        example='"/etc/gantry/own.key"',
    )
    passphrase: Secret = key(
        SecretPlace(),
        "the passphrase of the private key",
        default=Secret(),
        default_text="the key has none",
        example='{ credential = "gantry-key" }',
    )
    trust: tuple[str, ...] = key(
        ListOf(Path(optional=False)),
        "files or folders with the certificates of authorities that are trusted",
        default=(),
        default_text="those of the system",
        example='["/etc/gantry/authority.crt"]',
    )
    peer_certificate: str = key(
        Choice("required", "optional", "none"),
        "whether the other side must show a certificate that the trusted authorities signed",
        default="required",
    )
    fingerprints: tuple[str, ...] = key(
        ListOf(Fingerprint()),
        "SHA-256 fingerprints of the only certificates that the other side may show besides; a "
        "server that is known so may have any name",
        default=(),
        default_text="any certificate that is accepted otherwise",
        example='["9F:86:D0:...:0A:08"]',
    )
    crl: tuple[str, ...] = key(
        ListOf(Path(optional=False)),
        "files or folders with the revocation lists (CRL, PEM) of the authorities; then a "
        "certificate whose authority has no current list there is refused",
        default=(),
        default_text="revocation is not checked",
        example='["/etc/gantry/authority.crl"]',
    )
    crl_of_authorities: bool = key(
        Flag(),
        "authorities between must not be revoked either, and each needs its revocation list",
        default=False,
    )
    server_name: str = key(
        Text(253),
        "as client, the name that the server's certificate must bear",
        default="",
        default_text="the host of the address",
    )
    profile: str = key(
        Term("secure transport profile", "tls_profiles", optional=True),
        "the secure transport connection profile (PS3.15 B) by its name",
        default="",
        default_text="BCP 195 RFC 8996, 9325 (PS3.15 B.12)",
    )
    ocsp: str = key(
        Choice("off", "when-reachable", "required"),
        "whether an OCSP responder (RFC 6960) is asked about the other side's certificate; one "
        "that was revoked is refused, and with `required` one of which that is not known, too; "
        "stapled answers are not looked at, for Python's `ssl` has none",
        default="off",
    )
    ocsp_of_authorities: bool = key(
        Flag(),
        "with `ocsp`: it is asked about the authorities between the other side and whom we trust, "
        "too",
        default=False,
    )
    ocsp_responder: str = key(
        Text(1024, pattern=r"(http://.+)?", what="an http:// URL"),
        "the OCSP responder",
        default="",
        default_text="the one that the certificate names",
        example='"http://ocsp.clinic.example"',
    )
    stored: NamedKey | None = None
    """The table of the key that `key` names."""


@section
class Retry:
    """What happens after a try that failed and may yet pass."""

    first: float = key(duration(0.1, DAY), "the wait after the first failure", default=5.0)
    factor: float = key(
        Amount(1, 10, whole=False), "each further wait is longer by this factor", default=2.0
    )
    longest: float = key(duration(0.1, 30 * DAY), "the longest wait", default=900.0)
    jitter: float = key(
        fraction(), "how much each wait may be longer or shorter by chance", default=0.2
    )
    attempts: int = key(
        count(1, zero="never"), "tries before the job is held for a person", default=0
    )
    age: float = key(
        duration(60, zero="never"), "age of the job before it is held for a person", default=0.0
    )
