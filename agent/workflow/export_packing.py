"""A file-set in one file: a ZIP file, or a mail that has it in its parts or attached as a ZIP file.

What was packed is read back and compared before it gets its name. Memory: some MiB, and what
reading takes: 500 bytes a file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from agent.configuration.mail import Mail
from agent.dataset.whole_write import sync_folder, write_whole
from agent.errors import StorageError
from agent.media.application_profiles import MIME, Profile
from agent.media.envelope import Envelope, Protection
from agent.media.file_ids import open_file
from agent.media.found import Damage
from agent.media.mail_writing import (
    Attachment,
    MailHead,
    file_set_attachments,
    write_mail,
    zip_attachment,
)
from agent.media.tree import Tree
from agent.media.tree_opening import tree_of
from agent.media.zip_writing import ZipWriter
from agent.quoting import quoted
from agent.security.credentials import KeyFile
from agent.workflow.export_addresses import addresses_of, certificate_of
from agent.workflow.export_settings import PACKING, VERIFYING, NotAsWritten, Step

_PIECE = 1 << 20


def names_below(folder: Path) -> list[str]:
    """The files of a file-set, sorted, with "/" between components; the DICOMDIR is the first.

    Memory: 100 bytes a file. Raises OSError.
    """
    found: list[str] = []
    for place, _, files in os.walk(folder):
        found += (str(Path(place, each).relative_to(folder)) for each in files)
    return sorted(found, key=lambda name: ("/" in name, name))


def make_zip(folder: Path, archive: Path, scratch: Path) -> Iterator[Step]:
    """Write a folder as a ZIP file, which is there when it is whole and was read back.

    Raises OSError, NotAsWritten.
    """
    names = names_below(folder)
    new = Path(f"{archive}.unfinished")
    out = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        with ZipWriter(out, scratch) as writer:
            for name in names:
                source = open_file(folder / name)
                try:
                    writer.add(name, source)
                finally:
                    os.close(source)
                yield Step(PACKING)
            writer.finish()
        os.posix_fadvise(out, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(out)
    yield from _verified(new, folder, names)
    _name(new, archive)


def make_mail(
    folder: Path,
    message: Path,
    scratch: Path,
    head: MailHead,
    text: str,
    profile: Profile,
    envelope: Envelope | None,
) -> Iterator[Step]:
    """Write a mail with a file-set; it is there when it is whole and was read back.

    A mail that is encrypted is for others: of that the ZIP file is read back, before. Raises
    OSError, NotAsWritten, and what the envelope raises.
    """
    archive = scratch / "DICOM.ZIP"
    names = names_below(folder)
    attachments: Iterator[Attachment]
    if profile.mail == MIME:
        attachments = file_set_attachments(folder, names)
    else:
        yield from make_zip(folder, archive, scratch)
        attachments = iter((zip_attachment(archive),))
    new = Path(f"{message}.unfinished")
    out = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_mail(partial(write_whole, out), head, text, attachments, envelope, scratch)
        os.fsync(out)
        os.posix_fadvise(out, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(out)
    yield Step(PACKING)
    if envelope is None:
        yield from _verified(new, folder, names)
    archive.unlink(missing_ok=True)
    _name(new, message)


def envelope_for(path: str, mail: Mail) -> Envelope:
    """For those whom a mail goes to, signed by us. Raises ConfigurationError."""
    recipients = tuple(str(certificate_of(each, mail)) for each in addresses_of(path))
    signing_key = KeyFile(mail.signing_key, mail.signing_passphrase)
    return Envelope(
        Protection(
            recipients, signing_key=signing_key, signing_certificate=mail.signing_certificate
        )
    )


def _verified(packed: Path, folder: Path, names: list[str]) -> Iterator[Step]:
    """Raises NotAsWritten where a file is missing, is not the same, or should not be there."""
    try:
        tree = tree_of(packed)
    except StorageError as error:
        raise NotAsWritten(f"{quoted(error.message)}") from error
    try:
        found = list(tree.files())
        if sorted(map(str, found)) != sorted(names):
            damage = next((each for each in found if isinstance(each, Damage)), None)
            why = f"{damage.file}: {damage.reason}" if damage else f"{len(found)} files"
            raise NotAsWritten(
                f"{quoted(packed.name)} has not the {len(names)} files: {quoted(why)}"
            )
        for name in names:
            _compare(tree, name, folder)
            yield Step(VERIFYING)
    finally:
        tree.close()


def _compare(tree: Tree, name: str, folder: Path) -> None:
    try:
        copy = tree.open(name)
    except StorageError as error:
        raise NotAsWritten(f"{quoted(name)}: {quoted(error.message)}", value=name) from error
    try:
        original = open_file(folder / name)
        try:
            if not _are_alike(partial(os.pread, copy), partial(os.pread, original)):
                raise NotAsWritten(f"{quoted(name)} is not what was written", value=name)
        finally:
            os.close(original)
    finally:
        os.close(copy)


def _are_alike(one: Callable[[int, int], bytes], other: Callable[[int, int], bytes]) -> bool:
    position = 0
    while piece := one(_PIECE, position):
        if other(_PIECE, position) != piece:
            return False
        position += len(piece)
    return not other(1, position)


def _name(new: Path, path: Path) -> None:
    new.replace(path)
    sync_folder(path.parent)
