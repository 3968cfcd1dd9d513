"""A mail server by others (aiosmtpd of Debian), which keeps what it takes and answers as told.

Run as a script it is the server; that happens in Debian's own Python, for aiosmtpd is there.
"""

from __future__ import annotations

import email
import email.policy
import json
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path
from typing import Any

USER, PASSWORD = "box", "open sesame"


class MailServer:
    """The server as a process; `answers` may be changed while it runs.

    Keys: "rcpt" (address: answer), "data" (answer), "mail" (answer), "leave" (it takes a mail, and
    is gone before it has said so), "auth" (a user must log in). Kept mails are in `folder`.
    """

    def __init__(
        self, folder: Path, *, port: int = 0, security: str = "none", credentials: Any = None
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.answer()
        words = [str(folder), str(port), security]
        if credentials is not None:
            words += [str(credentials.certificate), str(credentials.key)]
        self._process = subprocess.Popen(
            ["/usr/bin/python3", __file__, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def __enter__(self) -> MailServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def answer(self, **answers: object) -> None:
        """What it says from now on."""
        new = self.folder / "answers.new"
        new.write_text(json.dumps(answers))
        new.replace(self.folder / "answers.json")

    def table(self, more: str = "", security: str = "none") -> str:
        """The configuration that sends there."""
        return (
            f'[mail]\nhost = "localhost"\nport = {self.port}\nsecurity = "{security}"\n'
            f'from = "box@clinic.example"\ntimeout = 20\n{more}\n'
        )

    @property
    def files(self) -> list[Path]:
        """Mails that were taken, in their order."""
        return sorted(self.folder.glob("*.eml"))

    @property
    def mails(self) -> list[EmailMessage]:
        """They."""
        found = []
        for path in self.files:
            made = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            assert isinstance(made, EmailMessage)
            found.append(made)
        return found

    @property
    def envelopes(self) -> list[dict[str, Any]]:
        """From whom and to whom each was."""
        return [json.loads(path.with_suffix(".json").read_text()) for path in self.files]


def _serve(folder: Path, port: int, security: str, files: list[str]) -> None:
    import asyncio
    import os
    import ssl

    from aiosmtpd.smtp import SMTP, AuthResult  # type: ignore[import-not-found]

    def said() -> dict[str, Any]:
        found: dict[str, Any] = json.loads((folder / "answers.json").read_text())
        return found

    class Handler:
        count = 0

        async def handle_MAIL(
            self, server: Any, session: Any, envelope: Any, address: str, options: Any
        ) -> str:
            if "mail" in said():
                return str(said()["mail"])
            envelope.mail_from = address
            envelope.mail_options.extend(options)
            return "250 OK"

        async def handle_RCPT(
            self, server: Any, session: Any, envelope: Any, address: str, options: Any
        ) -> str:
            answer = said().get("rcpt", {}).get(address)
            if answer:
                return str(answer)
            envelope.rcpt_tos.append(address)
            return "250 OK"

        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            answers = said()
            if "data" in answers:
                return str(answers["data"])
            Handler.count += 1
            name = folder / f"{Handler.count:04}"
            about = {
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "options": envelope.mail_options,
                "tls": session.ssl is not None,
                "user": session.authenticated,
            }
            name.with_suffix(".json").write_text(json.dumps(about))
            name.with_suffix(".new").write_bytes(envelope.original_content)
            name.with_suffix(".new").replace(name.with_suffix(".eml"))
            if answers.get("leave"):
                server.transport.abort()
            return f"250 2.0.0 taken as {name.name}"

    def authenticate(_server: Any, _session: Any, _envelope: Any, _kind: str, data: Any) -> Any:
        right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=False)

    context = None
    if files:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)

    def make() -> Any:
        return SMTP(
            Handler(),
            hostname="mail.example",
            data_size_limit=said().get("largest", 100_000_000),
            tls_context=context if security == "starttls" else None,
            require_starttls=security == "starttls",
            authenticator=authenticate,
            auth_required=bool(said().get("auth")),
            auth_require_tls=security == "starttls",
        )

    async def run() -> None:
        loop = asyncio.get_running_loop()
        outside = context if security == "implicit" else None
        server = await loop.create_server(make, "127.0.0.1", port, ssl=outside)
        print(server.sockets[0].getsockname()[1], flush=True)
        parent = os.getppid()
        while os.getppid() == parent:
            await asyncio.sleep(0.2)

    asyncio.run(run())


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
