"""A certificate for a key of ours from its EST server: for the command, and for who renews in time.

What is there goes on until the new one is proved: it is for our key, OpenSSL takes both, and a
handshake with ourselves succeeds. Blocks, for a minute where the server is silent.
"""

from __future__ import annotations

import socket
import ssl

from agent.configuration.keys import NamedKey as Table
from agent.errors import DeviceError, PeerError
from agent.network.own_keys import OwnKey
from agent.quoting import quoted
from agent.security.enrolment import EnrolmentServer
from hal.keys.named_key import CertificateFacts, NamedKey


def request_of(table: Table, key: NamedKey, *, of_key_in_use: bool = False) -> bytes:
    """A request in PEM for the key without a certificate, else for the one in use, which is kept
    as well. Raises KeyStoreError."""
    host = socket.gethostname()
    subject = table.subject or f"CN={host[:64]}"
    return key.request(subject, table.hosts or (host,), of_key_in_use=of_key_in_use)


def enrolled(
    server: EnrolmentServer, table: Table, key: NamedKey, request: bytes, *, again: bool
) -> CertificateFacts:
    """The certificate that the key's server gives for a request in PEM, in use from now on; with
    `again` the one in use is shown (RFC 7030 4.2.2).

    Raises ConfigurationError, UnreachableError, PeerError, DeviceError, KeyStoreError; what was in
    use before goes on then.
    """
    # TLS opens the store too, and some chips have one user at a time.
    key.store.close()
    der = ssl.PEM_cert_to_DER_cert(
        request.decode().strip().replace("CERTIFICATE REQUEST", "CERTIFICATE")
    )
    answer = server.enrol_again(der) if again else server.enrol(der)

    def prove(file: str) -> None:
        key.store.close()
        _shake_hands(table, file)

    return key.install(answer, prove)


def _shake_hands(table: Table, file: str) -> None:
    """A handshake within memory, both ends ours: the key signs, and OpenSSL takes the certificate.

    Raises DeviceError, PeerError.
    """
    own = OwnKey(table, file)
    try:
        theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        theirs.check_hostname, theirs.verify_mode = False, ssl.CERT_NONE
        ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        own.load(ours)
        there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        ends = (
            theirs.wrap_bio(back, there),
            ours.wrap_bio(there, back, server_side=True),
        )
        while not (_is_done(ends[0]) & _is_done(ends[1])):
            continue
    except ssl.SSLError as error:
        if own.failure is not None:
            raise DeviceError(
                f"the key {table.name} does not sign: {quoted(own.failure)}"
            ) from error
        raise PeerError(
            f"the new certificate of {table.name} is of no use: {quoted(error)}"
        ) from error
    finally:
        own.close()


def _is_done(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
