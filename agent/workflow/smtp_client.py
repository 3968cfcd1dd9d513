"""SMTP as Python has it, with an end to what a server may say in one reply (RFC 5321 4.2.1).

`smtplib` gathers the lines of a reply for as long as one more is announced, whether they come at
once or one before each time limit.
"""

from __future__ import annotations

import io
import smtplib

MOST_LINES = 100
"""Of one reply: the greeting after EHLO has one for each extension, some dozen."""


class _Replies(io.BufferedReader):
    """The stream of what the server says."""

    lines = 0

    def readline(self, size: int | None = -1, /) -> bytes:
        self.lines += 1
        if self.lines > MOST_LINES:
            raise OSError("the server's reply has no end")
        return super().readline(size)


class BoundedSmtp(smtplib.SMTP):
    """Raises SMTPServerDisconnected where a reply has more than `MOST_LINES`."""

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            stream = self.sock.makefile("rb", buffering=0)
            self.file = _Replies(stream)
        if isinstance(self.file, _Replies):
            self.file.lines = 0
        return super().getreply()


class BoundedSmtpOverTls(BoundedSmtp, smtplib.SMTP_SSL):
    """The same, with TLS from the first byte."""
