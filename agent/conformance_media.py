"""What the conformance statement says of media: file-sets (PS3.4 I, PS3.11), and those that are
made on request (PS3.4 S.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity
from agent.configuration.mail import Mail
from agent.conformance_sections import section
from agent.media.application_profiles import MAIL_PROFILES, PROFILES, secure_name
from agent.security.cms import CIPHERS, DIGESTS
from agent.services.data_sets import LARGEST_DATA_SET
from agent.services.media_creation_table import (
    CREATE,
    FAILURE_REASONS,
    INITIATE,
    RESULT,
    SAID_BY_US,
    STATUSES,
    CreationAttribute,
    reason_words,
    status_words,
)


def media_storage(configuration: Configuration) -> Iterator[str]:
    """The media that a node reads and writes, as lines of Markdown (PS3.11 7)."""
    yield ""
    yield "## Media interchange"
    yield ""
    yield "Import is File-set Reader, export and gantry media are File-set Creator and Updater."
    yield ""
    yield "| application profile | clause | medium | roles | icon of each image | secure form |"
    yield "|---|---|---|---|---|---|"
    for profile in PROFILES.values():
        if profile.secure:
            continue
        side = f"{profile.icon.side} x {profile.icon.side}"
        icon = f"{side}, always" if profile.icon.is_required else f"{side}, on request"
        roles = "FSC, FSR, FSU" if profile.updates else "FSC, FSR"
        secure = secure_name(profile.name) or "none"
        yield (
            f"| {profile.name} | {profile.clause} | {profile.medium} | {roles} | {icon} "
            f"| {secure} |"
        )
    for profile in MAIL_PROFILES.values():
        sealed = "always (PS3.15 B.8)" if profile.sealed else "none"
        yield (
            f"| {profile.name} | {profile.clause} | {profile.medium} | FSC, FSR | on request "
            f"| {sealed} |"
        )
    yield from _media_storage_services(configuration)
    yield from _mails(configuration.mail)


def _mails(mail: Mail) -> Iterator[str]:
    security = {
        "starttls": "STARTTLS (RFC 3207), the certificate of the server is checked",
        "implicit": "implicit TLS (RFC 8314), the certificate of the server is checked",
        "none": "none",
    }
    limit = f"{mail.largest} bytes, more becomes several" if mail.largest else "none"
    yield from section(
        "File-sets by e-mail (PS3.11 G, L)",
        (
            (
                "Read",
                "ZIP files and mails in files, gantry import and media; mails are not fetched",
            ),
            (
                "Mail server (SMTP)",
                f"{mail.host}:{mail.port or 'its port'}" if mail.host else "none",
            ),
            ("Security of its connection", security[mail.security]),
            ("Recipients", ", ".join(mail.recipients)),
            ("Application profile for which none is named", mail.profile),
            ("Length of a mail", limit),
            (
                "Secured mails (PS3.15 B.8)",
                "signed with RSA and SHA-256, encrypted by AES-256 for each recipient's certificate"
                if mail.signing_key
                else "not sent, as no signing key is configured",
            ),
            ("A mail whose answer was lost", "sent again under the same Message-ID"),
        ),
    )


def _media_storage_services(configuration: Configuration) -> Iterator[str]:
    pages = configuration.media_pages
    yield from section(
        "Media storage",
        (
            ("SOP classes", "those of PS3.4 B.5 and GG.3 that have a Directory Record (PS3.3 F.4)"),
            (
                "Transfer syntaxes",
                "as stored; an export decompresses what the profile does not take, or compresses "
                "it without loss; JPEG 2000 and MPEG are written as they are stored only",
            ),
            (
                "Images that a profile does not allow",
                "left out and named (PS3.11 A.3.4, B.3.4, C.3.1.1, C.4, C.5, E.3.4, K.3.4)",
            ),
            (
                "Icons",
                "8 bits, MONOCHROME2, of the representative frame, or one after a third of them",
            ),
            (
                "Discs",
                "ISO 9660 Level 1 without extensions; UDF is not written, so DVD-RAM and Blu-ray "
                "profiles are written to folders only",
            ),
            ("Basic DICOM Media Security Profile (PS3.15 D.1)", "supported, as follows"),
            (
                "Secure DICOM files, written",
                "gantry media create, secure: enveloped for RSA certificates or a password with "
                f"{_listed(each for each in CIPHERS if each != 'triple-des')}; content signed or "
                f"digested with {_listed(DIGESTS)}; the DICOMDIR too; not updated",
            ),
            (
                "Secure DICOM files, read",
                f"imported where a key is configured: {_listed(CIPHERS)}; {_listed(DIGESTS)}",
            ),
            (
                "IHE Portable Data for Imaging (RAD-47)",
                "Portable Media Creator, with the Web Content Option: README.TXT, INDEX.HTM and "
                "XHTML with one JPEG of each image in IHE_PDI; "
                + ("always" if pages.enabled else "where a person asks for it"),
            ),
            ("Institution on those pages", pages.institution or "none"),
        ),
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def media(entity: Entity, configuration: Configuration) -> Iterator[str]:
    """The sections that an entity has reason for, as lines of Markdown."""
    if entity.services_of("media-creation", "scp"):
        yield from _creation_scp(entity, configuration)
    if entity.services_of("media-creation", "scu"):
        yield from section(
            "Media Creation Management as SCU (PS3.4 S.4.1)",
            (
                ("When", "a person says so (gantry media request); instances are stored first"),
                ("SOP classes, application profiles", "those that the person names"),
                ("Storage Media File-Set ID", "as the person gives it; UID not sent"),
                ("Icon Image Sequence", "not sent"),
                ("Specific Character Set", "where the label needs one"),
                ("N-GET", "on associations of its own, until the request is over"),
                ("Failed requests", "shown with the reasons; not repeated by itself"),
            ),
        )


def _time(seconds: float) -> str:
    if not seconds:
        return "for ever"
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds:g} s"


def _creation_scp(entity: Entity, configuration: Configuration) -> Iterator[str]:
    answers = entity.media_creation
    profiles = answers.profiles or tuple(PROFILES)
    archive = configuration.archive(entity.archive)
    retention = "until a person deletes them"
    if archive is not None and archive.retention.delete != "never":
        retention = f"{archive.retention.delete}, whatever becomes of the request"
    yield from section(
        "Media Creation Management as SCP (PS3.4 S.4.2)",
        (
            ("N-CREATE", "kept on stable storage, then answered; instances are looked for later"),
            ("N-ACTION, Initiate", "kept as PENDING, then answered 0000H; one after the other"),
            ("N-ACTION, Cancel", "all but the last moment; nothing is left of the request"),
            ("N-GET", "attributes of the request and of its result"),
            ("SOP classes", "those that have a Directory Record, as far as the profile allows"),
            ("Application profiles", ", ".join(profiles)),
            ("Default application profile", f"that of the other instances, else {answers.profile}"),
            ("Several profiles", "on one medium, where all are for the same kind of medium"),
            (
                "Transfer syntaxes",
                "as stored; what a profile does not take is decompressed, or compressed without "
                "loss; nothing is compressed with loss",
            ),
            ("Media", _MEDIA[answers.kind]),
            (
                "Splitting",
                "in the order of the request, where a volume is full, unless it is forbidden",
            ),
            ("Verification", "all is read back and compared before the request is DONE"),
            ("All or nothing", "an instance that cannot be written fails the request"),
            ("Icons in the DICOMDIR", "where the application profile wants them"),
            (
                "Non-DICOM objects",
                "README.TXT, INDEX.HTM and the web content of IHE Portable Data for Imaging in "
                "IHE_PDI, where Include Non-DICOM Objects is YES"
                + (", or absent" if configuration.media_pages.enabled else ""),
            ),
            ("Labels, barcodes", "none; no attributes are extracted for them"),
            ("Character sets", "kept as received; the DICOMDIR has those of the instances"),
            ("Copies", f"up to {answers.copies}; more get 0115H"),
            ("Requests that wait", f"up to {answers.waiting}; more get 0213H"),
            ("Length of a request", f"up to {LARGEST_DATA_SET >> 10} KiB"),
            ("Persistence of instances", retention),
            ("Results kept", _time(answers.keep)),
            ("Idle requests kept", _time(answers.keep_idle)),
            (
                "Transient failures",
                "PENDING with CHECK_MCD_OP, OUT_OF_SUPPLIES or MCD_FAILURE; tried again for "
                f"{_time(answers.patience)}, then FAILURE",
            ),
            ("Permanent failures", "FAILURE at once, with the reason of each instance"),
            ("Statuses", "; ".join(map(status_words, STATUSES))),
            ("Other failures", "0106H, 0111H, 0112H, 0115H, 0117H, 0120H, 0121H, 0123H, 0213H"),
            ("Failure Reasons", "; ".join(map(reason_words, FAILURE_REASONS))),
            ("Execution Status Info", ", ".join(sorted(SAID_BY_US))),
        ),
    )
    yield from _attributes("N-CREATE (Table S.3.2.1.1-1)", CREATE)
    yield from _attributes("N-ACTION, Initiate (Table S.3.2.2.1-1)", INITIATE)
    yield from _attributes("N-GET (Table S.3.2.4.1-1)", RESULT)


_MEDIA = {
    "folder": "a folder for each volume, to be put on a medium by others",
    "image": "an image of a disc (ISO 9660 Level 1) for each volume, to be burnt by others",
}


def _attributes(title: str, rows: Iterable[CreationAttribute]) -> Iterator[str]:
    yield ""
    yield f"| {title} | what is done with it |"
    yield "|---|---|"
    for row in rows:
        yield f"| {' > '.join((*row.path, row.keyword))} | {row.use} |"
