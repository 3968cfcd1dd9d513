"""Enrolment over Secure Transport (RFC 7030): certificates from an EST server.

A client of three operations: the authority's certificates, enrolment, and re-enrolment with the
certificate that is there. It blocks, and belongs into commands and workers.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import ssl
from urllib.parse import urlsplit

from agent.configuration.connection import Tls
from agent.configuration.keys import NamedKey as Table
from agent.errors import ConfigurationError, PeerError, UnreachableError
from agent.network.tls import context_here
from agent.quoting import quoted

_SECONDS = 60.0
_LONGEST = 1 << 20
_BEFORE = "/.well-known/est"


class EnrolmentPending(PeerError):
    """The server wants to be asked again later (RFC 7030 4.2.3): a person has to agree first.

    `value` is the number of seconds that it wants us to wait, 0 where it does not say.
    """


class EnrolmentServer:
    """The EST server of a key. Raises ConfigurationError where none is configured.

    All operations raise UnreachableError, PeerError, ConfigurationError and DeviceError.
    """

    def __init__(self, table: Table) -> None:
        if not table.enrolment:
            raise ConfigurationError(
                f"the key {table.name} has no EST server",
                way_out=f'Write enrolment = "https://..." into [[key]] {table.name}.',
            )
        self._table = table
        parts = urlsplit(table.enrolment)
        self._host = parts.hostname or ""
        self._port = parts.port or 443
        self._path = parts.path.rstrip("/") if _BEFORE in parts.path else _BEFORE

    def enrol(self, request: bytes) -> bytes:
        """A certificate for a request in DER, as PKCS#7 in DER (RFC 7030 4.2.1)."""
        return self._ask("simpleenroll", request, with_certificate=False)

    def enrol_again(self, request: bytes) -> bytes:
        """The same, showing the certificate that is in use (RFC 7030 4.2.2)."""
        return self._ask("simplereenroll", request, with_certificate=True)

    def _ask(self, operation: str, request: bytes, *, with_certificate: bool) -> bytes:
        own = self._table if with_certificate else None
        context = context_here(
            Tls(trust=self._table.enrolment_trust, stored=own), server_side=False
        )
        connection = http.client.HTTPSConnection(
            self._host, self._port, timeout=_SECONDS, context=context
        )
        # The media type alone says base64 (RFC 7030 4.2.1); old servers want it said.
        headers = {"Content-Type": "application/pkcs10", "Content-Transfer-Encoding": "base64"}
        body = base64.encodebytes(request)
        if self._table.enrolment_user:
            words = self._table.enrolment_user.encode() + b":"
            secret = base64.b64encode(words + self._table.enrolment_secret.read()).decode()
            headers["Authorization"] = f"Basic {secret}"
        try:
            connection.request("POST", f"{self._path}/{operation}", body, headers)
            answer = connection.getresponse()
            data = answer.read(_LONGEST + 1)
        except ssl.SSLCertVerificationError as error:
            raise PeerError(
                f"the certificate of the EST server is not accepted: {error.verify_message}",
                way_out="Check enrolment_trust, the name in the URL, and both clocks.",
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(
                f"the EST server {self._host} port {self._port} cannot be reached: {quoted(error)}",
                value=self._table.enrolment,
            ) from error
        finally:
            connection.close()
        return self._certificates(answer, data)

    def _certificates(self, answer: http.client.HTTPResponse, data: bytes) -> bytes:
        if answer.status == 202:
            after = answer.getheader("Retry-After", "") or "later"
            raise EnrolmentPending(
                f"the EST server has taken the request and wants to be asked again: {after}",
                clause="RFC 7030 4.2.3",
                value=int(after) if after.isdecimal() and len(after) < 9 else 0,
                way_out="Give the same command again.",
            )
        if answer.status != 200:
            words = {401: "it wants another user or password", 404: "there is none at this URL"}
            why = words.get(answer.status) or answer.reason
            raise PeerError(
                f"the EST server refuses with status {answer.status}: {quoted(why)}",
                value=answer.status,
            )
        kind = (answer.getheader("Content-Type") or "").partition(";")[0].strip().lower()
        if kind != "application/pkcs7-mime" or len(data) > _LONGEST:
            raise PeerError(
                f"the EST server answers with {kind or 'nothing'} of {len(data)} bytes, and no"
                " certificates",
                clause="RFC 7030 4.2.3",
            )
        try:
            return base64.b64decode(b"".join(data.split()), validate=True)
        except binascii.Error as error:
            raise PeerError("what the EST server answers is no base64") from error
