"""The mail server through which studies are sent (PS3.11 G and L)."""

from __future__ import annotations

from agent.configuration.connection import DAY, Retry
from agent.configuration.key import key, section
from agent.configuration.kinds import Amount, Choice, ListOf, Path, Table, Text, duration, size
from agent.configuration.secrets import Secret, SecretPlace

MAIL_PROFILES = ("STD-GEN-ZIP-MAIL", "STD-GEN-SEC-ZIP-MAIL", "STD-DTL-SEC-ZIP-MAIL", "STD-GEN-MIME")


@section
class MailServer:
    """A mail server that takes mails of ours."""

    host: str = key(
        Text(253), "the mail server", default="", default_text="none", example='"mail.example.org"'
    )
    port: int = key(Amount(1, 65535, zero="587, or 465 with implicit TLS"), "its port", default=0)
    security: str = key(
        Choice("starttls", "implicit", "none"),
        "TLS after STARTTLS (RFC 3207), from the first byte on (RFC 8314), or none; with TLS the "
        "server must show a certificate for its name",
        default="starttls",
    )
    trust: tuple[str, ...] = key(
        ListOf(Path(optional=False)),
        "files or folders with the certificates of authorities that are trusted",
        default=(),
        default_text="those of the system",
        example='["/etc/gantry/authority.crt"]',
    )
    user: str = key(Text(256), "as whom we log in", default="", default_text="nobody")
    secret: Secret = key(
        SecretPlace(),
        "the password of the user",
        default=Secret(),
        default_text="none",
        example='{ credential = "mail-password" }',
    )
    sender: str = key(
        Text(254),
        "the address that mails come from",
        default="",
        example='"imaging@clinic.example"',
        name="from",
    )
    timeout: float = key(
        duration(1, 3600), "how long the server may be silent (RFC 5321 4.5.3.2)", default=300.0
    )


@section
class Mail(MailServer):
    """A mail server that takes mails of ours, and to whom they may go."""

    recipients: tuple[str, ...] = key(
        ListOf(Text(254, minimum=3)),
        "addresses that studies may be sent to, with * and ?",
        default=("*@*",),
        example='["*@clinic.example"]',
    )
    profile: str = key(
        Choice(*MAIL_PROFILES),
        "the application profile of mails for which none is named; of those with SEC the mail is "
        "signed and encrypted (PS3.15 B.8)",
        default="STD-GEN-ZIP-MAIL",
    )
    largest: int = key(
        size(100_000, zero="without limit"),
        "bytes of a mail at most; what is longer becomes several, by study or series",
        default=20_000_000,
    )
    certificates: str = key(
        Path(),
        "the folder with the certificates of recipients, each in ADDRESS.pem, for mails that are "
        "encrypted",
        default="",
        default_text="none",
        example='"/etc/gantry/recipients"',
    )
    signing_key: str = key(
        Path(),
        "our private RSA key (PEM), for mails that are signed",
        default="",
        default_text="none",
        example='"/etc/gantry/mail.key"',
    )
    signing_passphrase: Secret = key(
        SecretPlace(),
        "the passphrase of that key",
        default=Secret(),
        default_text="the key has none",
        example='{ credential = "mail-key" }',
    )
    signing_certificate: str = key(
        Path(), "its certificate", default="", default_text="none", example='"/etc/gantry/mail.crt"'
    )
    retry: Retry = key(
        Table(Retry),
        "what happens when the server cannot be reached, or says that it may take the mail later; "
        "an export that was tried for too long fails",
        default=Retry(first=30.0, longest=1800.0, age=5 * DAY),
    )
