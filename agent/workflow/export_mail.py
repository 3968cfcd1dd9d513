"""Sending a mail by SMTP (RFC 5321), and remembering what the server said of it.

What was accepted for an address is not sent there again, whatever ends us. Between our last byte
and the server's answer nobody can know: then the mail is sent once more, under the same Message-ID,
by which those who receive can tell that it is the same, and that is told.
"""

from __future__ import annotations

import json
import os
import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from agent.configuration.connection import Tls
from agent.configuration.mail import Mail, MailServer
from agent.errors import ConfigurationError, DeviceError
from agent.network.tls import context_here
from agent.quoting import quoted
from agent.workflow.export_settings import ExportFailed
from agent.workflow.smtp_client import BoundedSmtp, BoundedSmtpOverTls

_BLOCK = 1 << 16
_READY_FOR_DATA = 354


class MailRefused(ExportFailed):
    """The server will never take the mail, or not for one of those whom it is for."""


class Sending:
    """One mail, and how far it has come; `memory` is a file beside it."""

    def __init__(
        self, mail: Mail, message: Path, memory: Path, message_id: str, recipients: tuple[str, ...]
    ) -> None:
        self._mail = mail
        self._message = message
        self._memory = memory
        self._message_id = message_id
        self._recipients = recipients
        self._accepted: dict[str, str] = {}
        self._refused: dict[str, str] = {}
        self._is_open = False
        """Whether a mail was sent whose answer is not known."""
        self._is_uncertain = False
        self._recall()

    def send(self) -> str:
        """Send it to all who have not got it; what is to be told, in words.

        Raises DeviceError where it can be tried again: the server cannot be reached or used, or
        says so (4xx). Raises MailRefused, with the words of the server, where it refuses the mail
        for good (5xx), for somebody at least.
        """
        waits = ""
        if self._left():
            with self._session() as server:
                waits = self._deliver(server)
        if waits:
            raise _later(self._mail, f"{quoted(waits)}")
        if self._refused:
            told = "; ".join(f"{who}: {words}" for who, words in self._refused.items())
            sent = f"; it was sent to {', '.join(self._accepted)}" if self._accepted else ""
            raise MailRefused(
                f"the mail server refuses the mail for {quoted(told)}{quoted(sent)}", value=told
            )
        return self.said()

    def said(self) -> str:
        """What the server said, and what is uncertain."""
        words = next(iter(self._accepted.values()), "")
        told = f"{self._message_id} was accepted: {words}"
        if self._is_uncertain:
            told += "; it may have come twice, for the server did not answer before"
        return told

    def _left(self) -> list[str]:
        return [
            each
            for each in self._recipients
            if each not in self._accepted and each not in self._refused
        ]

    def _deliver(self, server: smtplib.SMTP) -> str:
        """One transaction; why there must be another, "" where all is decided."""
        try:
            return self._transaction(server)
        except smtplib.SMTPServerDisconnected as error:
            raise _later(self._mail, f"the connection was lost: {quoted(error)}") from error
        except (OSError, smtplib.SMTPException) as error:
            raise _later(self._mail, f"{quoted(error)}") from error

    def _transaction(self, server: smtplib.SMTP) -> str:
        size = self._message.stat().st_size
        options = [f"size={size}"] if server.has_extn("size") else []
        code, words = server.mail(self._mail.sender, options)
        if code != 250:
            return self._answer(self._left(), code, words)
        waits = ""
        taken = []
        for each in self._left():
            code, words = server.rcpt(each)
            if code in (250, 251):
                taken.append(each)
            else:
                waits = self._answer([each], code, words) or waits
        self._keep()
        if not taken:
            with suppress(smtplib.SMTPException, OSError):
                server.rset()
            return waits
        code, words = server.docmd("DATA")
        if code != _READY_FOR_DATA:
            return self._answer(taken, code, words) or waits
        self._is_uncertain |= self._is_open
        self._is_open = True
        self._keep()
        try:
            self._write(server)
            code, words = server.getreply()
        except (OSError, smtplib.SMTPException) as error:
            raise _later(
                self._mail,
                f"the connection was lost before it said whether it has it: {quoted(error)}",
            ) from error
        self._is_open = False
        if code == 250:
            self._accepted |= dict.fromkeys(taken, _in_words(code, words))
            self._keep()
            return waits
        return self._answer(taken, code, words) or waits

    def _answer(self, who: list[str], code: int, words: bytes) -> str:
        """What a refusal means: for good, or why it is to be tried again."""
        said = _in_words(code, words)
        if code < 500:
            self._keep()
            return said
        self._refused |= dict.fromkeys(who, said)
        self._keep()
        return ""

    def _write(self, server: smtplib.SMTP) -> None:
        """The message, with a dot more where a line begins with one (RFC 5321 4.5.2)."""
        with self._message.open("rb") as file:
            while block := file.read(_BLOCK) + file.readline():
                if block.startswith(b"."):
                    block = b"." + block
                server.send(block.replace(b"\n.", b"\n.."))
        server.send(b".\r\n")

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        with session(self._mail) as server:
            yield server

    def _recall(self) -> None:
        try:
            kept: dict[str, Any] = json.loads(self._memory.read_bytes())
        except FileNotFoundError:
            return
        if kept["message_id"] == self._message_id:
            self._accepted, self._refused = kept["accepted"], kept["refused"]
            self._is_open, self._is_uncertain = kept["open"], kept["uncertain"]

    def _keep(self) -> None:
        """On the disk before the next word is said. Raises OSError."""
        new = self._memory.with_suffix(".new")
        with new.open("w") as file:
            json.dump(
                {
                    "message_id": self._message_id,
                    "accepted": self._accepted,
                    "refused": self._refused,
                    "open": self._is_open,
                    "uncertain": self._is_uncertain,
                },
                file,
            )
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._memory)


@contextmanager
def session(mail: MailServer) -> Iterator[smtplib.SMTP]:
    """A server that has greeted us, with TLS and logged in as the configuration wants it.

    Raises DeviceError, in the server's words where it has said some: all of this can be put right
    while a mail waits.
    """
    try:
        server = _connected(mail)
    except smtplib.SMTPResponseException as error:
        raise _later(mail, f"{quoted(_in_words(error.smtp_code, error.smtp_error))}") from error
    except smtplib.SMTPNotSupportedError as error:
        raise _later(mail, f"it does not offer what is configured: {quoted(error)}") from error
    except ssl.SSLCertVerificationError as error:
        raise _later(
            mail, f"its certificate is not good: {quoted(error.verify_message)}"
        ) from error
    except (OSError, smtplib.SMTPException) as error:
        raise _later(mail, f"it cannot be reached: {quoted(error)}") from error
    except ConfigurationError as error:
        raise _later(mail, f"{quoted(error)}") from error
    try:
        yield server
    finally:
        with suppress(smtplib.SMTPException, OSError):
            server.quit()
        server.close()


def _connected(mail: MailServer) -> smtplib.SMTP:
    context = (
        context_here(Tls(trust=mail.trust), server_side=False) if mail.security != "none" else None
    )
    name = socket.gethostname() or "localhost"
    port = mail.port or (465 if mail.security == "implicit" else 587)
    server: smtplib.SMTP
    if mail.security == "implicit":
        server = BoundedSmtpOverTls(
            mail.host, port, local_hostname=name, timeout=mail.timeout, context=context
        )
    else:
        server = BoundedSmtp(mail.host, port, local_hostname=name, timeout=mail.timeout)
    try:
        server.ehlo_or_helo_if_needed()
        if mail.security == "starttls":
            server.starttls(context=context)
            server.ehlo()
        if mail.user:
            server.login(mail.user, mail.secret.read().decode())
    except BaseException:
        server.close()
        raise
    return server


def _in_words(code: int, words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return f"{code} {' '.join(text.split())}"[:500]


def _later(mail: MailServer, why: str) -> DeviceError:
    return DeviceError(
        f"the mail server {mail.host}: {why}", value=mail.host, way_out="It is tried again."
    )
