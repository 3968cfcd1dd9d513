"""Removable media: which are looked at, and what becomes of what is on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.configuration.key import key, section
from agent.configuration.kinds import Choice, Flag, ListOf, Path, Settings, Text, identifier
from agent.configuration.names import Term
from agent.configuration.secrets import Secret, SecretPlace


@section
class Media:
    """Sticks, cards and discs that are plugged in."""

    name: str = key(identifier(), "its name in this configuration")
    enabled: bool = key(Flag(), "false switches it off", default=True)
    description: str = key(Text(256), "for people", default="")
    kind: str = key(Term("kind of media", "media_kinds"), "the driver", default="block-devices")
    settings: Mapping[str, Any] = key(
        Settings(),
        "settings of the driver: rules (which media may be touched, by bus, vendor, model, serial, "
        "label and file system; the first that fits decides), folder (of the simulator)",
        default={},
        default_text="all that is made to be removed",
        example='{ rules = [{ permit = true, label = "HOSPITAL*" }, { permit = false }] }',
    )
    imports: str = key(
        Choice("never", "match", "unchanged"),
        "what is imported by itself: nothing, studies whose patient has one worklist entry, or "
        "everything as it is",
        default="never",
        name="import",
    )
    labels: tuple[str, ...] = key(
        ListOf(Text(64, minimum=1)),
        "labels of the media that are imported so, with * and ?; others wait for a person",
        default=("*",),
        example='["HOSPITAL*"]',
    )
    writable: bool = key(
        Flag(),
        "true: they are mounted for writing too where they can be, so that studies are exported to "
        "the folder that 'gantry media devices' names",
        default=False,
    )
    archive: str = key(
        Text(64), "the archive that studies go to", default="", default_text="the first one"
    )


@section
class MediaPages:
    """Pages for a web browser on the media that are made (IHE Portable Data for Imaging)."""

    enabled: bool = key(Flag(), "whether media have them where nothing else is said", default=False)
    institution: str = key(
        Text(256),
        "who makes the media",
        default="",
        example='"General Hospital, Radiology"',
    )
    contact: str = key(
        Text(1024),
        "where to ask; several lines",
        default="",
        example='"1 Main Street, Springfield\\nTelephone 555 0100"',
    )
    disclaimer: str = key(Text(4096), "what is to be said of privacy and use", default="")


@section
class MediaKeys:
    """With what Secure DICOM files on media are opened (PS3.15 D.1) when they are imported."""

    private_key: str = key(
        Path(),
        "our private RSA key (PEM)",
        default="",
        default_text="none",
        example='"/etc/gantry/media.key"',
    )
    passphrase: Secret = key(
        SecretPlace(),
        "the passphrase of the private key",
        default=Secret(),
        default_text="the key has none",
        example='{ credential = "media-key" }',
    )
    passwords: tuple[Secret, ...] = key(
        ListOf(SecretPlace(), maximum=16),
        "passwords of media that we may get",
        default=(),
        example='[{ file = "/etc/gantry/media.password" }]',
    )
    trust: tuple[str, ...] = key(
        ListOf(Path(optional=False)),
        "files or folders with the certificates of those who may sign a file, or of authorities "
        "that vouch for them",
        default=(),
        example='["/etc/gantry/media-signers"]',
    )
    signers: str = key(
        Choice("trusted", "any"),
        "whose signatures count on a file that is signed: of those whom we trust, or of anybody",
        default="trusted",
    )
    folder: str = key(
        Path(),
        "where a decrypted file is kept while it is read; it has no name there",
        default="",
        default_text="/var/tmp",
    )
