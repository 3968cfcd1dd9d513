"""Writing a mail: a file-set as its parts (PS3.12 K, RFC 3240), or as the ZIP file that is attached
to it (PS3.12 W, PS3.11 L.3.2); signed and encrypted by S/MIME where it must be (PS3.15 B.8).

Lines end with CR LF and are short, and all bodies are base64 or plain ASCII: a mail goes through
every server as it is.
"""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import NamedTuple

from agent.dataset.whole_write import write_whole
from agent.media.envelope import Envelope
from agent.media.file_ids import DICOMDIR, open_file

ZIP_NAME = "DICOM.ZIP"
ZIP_PHRASE, MIME_PHRASE = "DICOM-ZIP", "DICOM-MIME"
"""What the subject must have (PS3.11 L.3.2); the second is only like it."""

_LINE = 57
"""Bytes that are a line of base64."""
_BLOCK = _LINE * 4096


class MailHead(NamedTuple):
    """Who writes to whom; `date` in seconds since 1970. No recipients: they are not disclosed."""

    sender: str
    recipients: tuple[str, ...]
    subject: str
    date: float
    message_id: str


def mail_size(size: int, *, layers: int = 1) -> int:
    """Bytes of a mail that carries `size` bytes in so many layers of base64, more or less."""
    for _ in range(layers):
        size = -(-size // _LINE) * 78 + 4096
    return size


def write_mail(
    write: Callable[[bytes], None],
    head: MailHead,
    text: str,
    attachments: Iterable[Attachment],
    envelope: Envelope | None = None,
    spill_folder: Path | None = None,
) -> None:
    """Write a mail, piece by piece; with an envelope it is signed, then encrypted.

    `text` is ASCII. Memory: one MiB; of a secured mail the plain one waits in `spill_folder`, in a
    file without a name. Raises OSError, what `write` raises, and what `envelope` raises.
    """
    write(_lines(*_fields(head), "MIME-Version: 1.0"))
    if envelope is None:
        _write_entity(write, head, text, attachments)
        return
    with tempfile.TemporaryFile(dir=spill_folder) as plain:
        _write_entity(partial(write_whole, plain.fileno()), head, text, attachments)
        with tempfile.TemporaryFile(dir=spill_folder) as signed:
            put = partial(write_whole, signed.fileno())
            _write_layer(put, "signed-data", partial(envelope.sign, source=plain.fileno()))
            _write_layer(write, "enveloped-data", partial(envelope.encrypt, source=signed.fileno()))


class Attachment(NamedTuple):
    """A file as a part: its name there, its media type with parameters."""

    path: Path
    name: str
    content_type: str


def zip_attachment(path: Path) -> Attachment:
    """A ZIP file as PS3.11 L.3.2 wants it."""
    kind = f'application/zip; id="{ZIP_NAME}"; name="{ZIP_NAME}"'
    return Attachment(path, ZIP_NAME, kind)


def file_set_attachments(folder: Path, names: Iterable[str]) -> Iterator[Attachment]:
    """The files of a file-set, by their names below `folder`, as PS3.12 K.1.2 wants them."""
    for name in names:
        last = name.rsplit("/", 1)[-1]
        shown = last if name == DICOMDIR else f"{last}.dcm"
        yield Attachment(
            folder / name, shown, f'application/dicom; id="{name}";\r\n name="{shown}"'
        )


def _fields(head: MailHead) -> Iterator[str]:
    yield f"From: {head.sender}"
    yield "To: " + (",\r\n ".join(head.recipients) or "undisclosed-recipients:;")
    yield f"Subject: {head.subject}"
    yield f"Date: {formatdate(head.date)}"
    yield f"Message-ID: {head.message_id}"


def _write_entity(
    write: Callable[[bytes], None], head: MailHead, text: str, attachments: Iterable[Attachment]
) -> None:
    # "=_" never stands in base64, nor in the text.
    boundary = "=_" + hashlib.sha256(head.message_id.encode()).hexdigest()[:32]
    write(
        _lines(
            f'Content-Type: multipart/mixed; boundary="{boundary}"',
            "",
            f"--{boundary}",
            "Content-Type: text/plain; charset=us-ascii",
            "",
            *text.splitlines(),
        )
    )
    for each in attachments:
        write(
            _lines(
                f"--{boundary}",
                f"Content-Type: {each.content_type}",
                "Content-Transfer-Encoding: base64",
                f'Content-Disposition: attachment; filename="{each.name}"',
                "",
            )
        )
        _write_file(write, each.path)
    write(_lines(f"--{boundary}--"))


def _write_file(write: Callable[[bytes], None], path: Path) -> None:
    source = open_file(path)
    try:
        encoder = _Base64(write)
        position = 0
        while piece := os.pread(source, _BLOCK, position):
            encoder.take(piece)
            position += len(piece)
        encoder.finish()
    finally:
        os.close(source)


def _write_layer(
    write: Callable[[bytes], None], kind: str, make: Callable[[Callable[[bytes], None]], None]
) -> None:
    write(
        _lines(
            f'Content-Type: application/pkcs7-mime; smime-type={kind}; name="smime.p7m"',
            "Content-Transfer-Encoding: base64",
            'Content-Disposition: attachment; filename="smime.p7m"',
            "",
        )
    )
    encoder = _Base64(write)
    make(encoder.take)
    encoder.finish()


class _Base64:
    """Encodes pieces of any length as lines."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._held = b""

    def take(self, piece: bytes) -> None:
        self._held += piece
        if len(self._held) >= _BLOCK:
            whole = len(self._held) // _LINE * _LINE
            self._encode(self._held[:whole])
            self._held = self._held[whole:]

    def finish(self) -> None:
        self._encode(self._held)
        self._held = b""

    def _encode(self, data: bytes) -> None:
        self._write(base64.encodebytes(data).replace(b"\n", b"\r\n"))


def _lines(*lines: str) -> bytes:
    return "".join(f"{each}\r\n" for each in lines).encode("ascii")
