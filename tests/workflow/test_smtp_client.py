"""A mail server whose reply has no end keeps nobody, and fills no memory."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from agent.configuration.mail import Mail
from agent.errors import DeviceError
from agent.workflow.export_mail import session
from agent.workflow.smtp_client import MOST_LINES, BoundedSmtp


@contextlib.contextmanager
def server(*, lines: int) -> Iterator[int]:
    """Greets; EHLO is answered with so many lines."""

    def serve() -> None:
        end, _ = listening.accept()
        with end, contextlib.suppress(OSError):
            end.sendall(b"220 here\r\n")
            while end.recv(4096):
                for _ in range(lines):
                    end.sendall(b"250-AND-MORE " + b"x" * 900 + b"\r\n")
                end.sendall(b"250 HELP\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(10)


def test_a_reply_without_an_end_is_given_up() -> None:
    with server(lines=1_000_000) as port:
        mail = Mail(host="127.0.0.1", port=port, sender="a@b.example", security="none")
        with pytest.raises(DeviceError, match="reply has no end"):
            with session(mail):
                pass


def test_ordinary_replies_are_read_and_each_is_counted_for_itself() -> None:
    with server(lines=MOST_LINES - 2) as port:
        client = BoundedSmtp("127.0.0.1", port, local_hostname="box", timeout=10)
        with contextlib.closing(client):
            for _ in range(3):
                code, words = client.ehlo()
                assert (code, words.count(b"AND-MORE")) == (250, MOST_LINES - 2)
            assert client.has_extn("help")
