"""ZIP files and mails with file-sets, as we write them, for tests."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from agent.dataset.whole_write import write_whole
from agent.media.envelope import Envelope
from agent.media.mail_writing import (
    Attachment,
    MailHead,
    file_set_attachments,
    write_mail,
    zip_attachment,
)
from agent.media.zip_writing import ZipWriter

HEAD = MailHead(
    "box@clinic.example",
    ("doctor@practice.example", "second@practice.example"),
    "DICOM-ZIP EXPORT_1",
    1767225600.0,
    "<export.1@clinic.example>",
)


def names_below(folder: Path) -> list[str]:
    """All files, in order, with "/" between components."""
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())


def zipped(folder: Path, out: Path) -> Path:
    """A folder as a ZIP file of ours."""
    target = os.open(out, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        with ZipWriter(target) as writer:
            for name in names_below(folder):
                source = os.open(folder / name, os.O_RDONLY)
                try:
                    writer.add(name, source)
                finally:
                    os.close(source)
            writer.finish()
    finally:
        os.close(target)
    return out


def mailed(out: Path, attachments: Iterable[Attachment], envelope: Envelope | None = None) -> Path:
    """A mail of ours."""
    target = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        write_mail(
            partial(write_whole, target), HEAD, "Two images.", attachments, envelope, out.parent
        )
    finally:
        os.close(target)
    return out


def mail_of_parts(folder: Path, out: Path) -> Path:
    """A file-set in the parts of a mail."""
    return mailed(out, file_set_attachments(folder, names_below(folder)))


def mail_with_zip(folder: Path, out: Path, envelope: Envelope | None = None) -> Path:
    """A file-set in a ZIP file that is attached."""
    archive = zipped(folder, out.with_suffix(".attached"))
    return mailed(out, [zip_attachment(archive)], envelope)
