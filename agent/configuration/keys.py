"""Named keys: where the private key of a certificate is kept, and how it gets its certificate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from agent.configuration.connection import DAY, Tls
from agent.configuration.key import key, section
from agent.configuration.kinds import Amount, Choice, ListOf, Path, Text, duration, identifier
from agent.configuration.secrets import Secret, SecretPlace
from hal.keys.names import ALGORITHMS, CERTIFICATE


@section
class NamedKey:
    """A key of our own. `tls.key` names it; `gantry keys` makes it and installs its certificate."""

    name: str = key(identifier(), "its name in this configuration")
    description: str = key(Text(256), "for people", default="")
    store: str = key(
        Choice("files", "pkcs11", "tpm"),
        "where the private key is kept: in a file of ours, on a token (PKCS#11), or in a TPM 2.0; "
        "that of a token or a TPM never leaves it",
        default="files",
    )
    algorithm: str = key(
        Choice(*ALGORITHMS),
        "the kind of key that is made; many older peers take RSA only",
        default="rsa-2048",
    )
    folder: str = key(
        Path(),
        "the folder of its certificate, and of the private key where that is a file",
        default="",
        default_text="`keys/NAME` in the state folder",
    )
    secret: Secret = key(
        SecretPlace(),
        "the passphrase of the file, the PIN of the token, or the password of the key in the TPM",
        default=Secret(),
        default_text="none",
        example='{ credential = "token-pin" }',
    )
    module: str = key(
        Path(),
        "the token's PKCS#11 library",
        default="",
        example='"/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so"',
    )
    token: str = key(Text(32), "the label of the token", default="", example='"box"')
    device: str = key(
        Text(256, minimum=1),
        "the TPM: a device of the kernel's resource manager, or unix:PATH and tcp:HOST:PORT for "
        "one that is simulated",
        default="/dev/tpmrm0",
    )
    handle: int = key(
        Amount(0x81000000, 0x817FFFFE, zero="none"),
        "the persistent handle of the key in the TPM; the one after it belongs to it too, for a "
        "renewal",
        default=0,
        example="0x81010010",
    )
    owner_secret: Secret = key(
        SecretPlace(),
        "the password of the TPM's owner, to make and to delete keys",
        default=Secret(),
        default_text="none",
        example='{ credential = "tpm-owner" }',
    )
    subject: str = key(
        Text(512),
        "the subject of certificate requests (RFC 4514)",
        default="",
        default_text="CN= and the name of this box on the network",
        example='"CN=edge,O=Clinic"',
    )
    hosts: tuple[str, ...] = key(
        ListOf(Text(253, minimum=1)),
        "names and addresses of this box, for Subject Alternative Name",
        default=(),
        default_text="the name of this box on the network",
        example='["edge.clinic.example", "192.0.2.7"]',
    )
    warn: float = key(
        duration(DAY, 365 * DAY),
        "the time before a certificate expires from which on this is told: in the log each day, "
        "by the panel's lamp `certificates`, and by `gantry status`",
        default=30 * DAY,
    )
    renew: float = key(
        duration(60, 365 * DAY),
        "with an EST server: the time before a certificate expires from which on it is renewed by "
        "the running node, by a new key; the last third of its life at the earliest",
        default=45 * DAY,
    )
    enrolment: str = key(
        Text(1024, pattern=r"(https://.+)?", what="an https:// URL"),
        "the EST server (RFC 7030) that gives certificates to 'gantry keys enrol', and renews them "
        "in time; its path may end in a label",
        default="",
        default_text="none: certificates are installed by hand",
        example='"https://est.clinic.example/.well-known/est"',
    )
    enrolment_trust: tuple[str, ...] = key(
        ListOf(Path(optional=False)),
        "files or folders with the certificates of authorities that the EST server's is from",
        default=(),
        default_text="those of the system",
    )
    enrolment_user: str = key(
        Text(256), "as whom we log in at the EST server", default="", default_text="nobody"
    )
    enrolment_secret: Secret = key(
        SecretPlace(),
        "the password of that user",
        default=Secret(),
        default_text="none",
        example='{ credential = "est-password" }',
    )


def with_folder(named: NamedKey, state: str) -> NamedKey:
    """The key with its folder filled in."""
    return replace(named, folder=named.folder or f"{state}/keys/{named.name}")


def certificate_file(named: NamedKey) -> str:
    """Where the certificate of a key is, with its chain."""
    return f"{named.folder}/{CERTIFICATE}"


def with_stored_key(tls: Tls | None, keys: tuple[NamedKey, ...]) -> Tls | None:
    """TLS with the table of the key that it names; unchanged where there is none."""
    if tls is None or not tls.key_name:
        return tls
    found = next((each for each in keys if each.name == tls.key_name), None)
    return tls if found is None else replace(tls, stored=found)


def lacks(named: NamedKey) -> Iterator[tuple[str, str]]:
    """Keys of a table that its store needs and that are not given, each with what is wrong."""
    needed = {"files": (), "pkcs11": ("module", "token", "secret"), "tpm": ("handle",)}
    for name in needed[named.store]:
        if not getattr(named, name):
            yield name, f"is missing, and store {named.store!r} needs it"
