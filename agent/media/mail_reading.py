"""The files in a mail: a file-set in its parts (PS3.12 K), or in a ZIP file that is attached to it
(PS3.12 W, PS3.11 L), in the clear or in the envelope of S/MIME (PS3.15 B.8)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

from agent.errors import GantryError, StorageError
from agent.media.found import Damage
from agent.media.mail_structure import CLAUSE, DEEPEST, Part, decode, parts_of_mail
from agent.media.opening import Opener
from agent.media.tree import Packed, PackedTree, unpacked, zipped_files
from agent.media.zip_reading import is_zip
from agent.quoting import quoted

_SEALED = frozenset(("application/pkcs7-mime", "application/x-pkcs7-mime"))
_SIGNATURES = frozenset(("application/pkcs7-signature", "application/x-pkcs7-signature"))
_ZIPS = frozenset(("application/zip", "application/x-zip-compressed"))


class AttachedFile:
    """A part of a mail as a file."""

    __slots__ = ("_mail", "_part", "name", "size")

    def __init__(self, mail: int, part: Part, name: str) -> None:
        self._mail = mail
        self._part = part
        self.name = name
        self.size = part.size

    def unpack(self, target: int) -> None:
        """Raises OSError, StorageError."""
        decode(self._mail, self._part, target)


def tree_of_mail(mail: int, opener: Opener) -> PackedTree:
    """The files in an open mail, which the tree closes.

    A secured mail is opened with the keys of `opener`; nothing of it is used before it was
    verified. Raises StorageError, and closes it, for what is damaged or cannot be opened; OSError.
    """
    owned = [mail]
    try:
        for _ in range(DEEPEST):
            sealed = _sealed(owned[-1])
            if sealed is None:
                break
            owned.append(_opened(owned[-1], sealed, opener))
        files = list(_files(owned, opener.folder))
    except BaseException:
        for each in owned:
            os.close(each)
        raise
    return PackedTree(files, opener, owned)


def _sealed(mail: int) -> Part | None:
    """The one part of a mail that is secured."""
    first = next(parts_of_mail(mail), None)
    return first if first is not None and first.head.get_content_type() in _SEALED else None


def _opened(mail: int, part: Part, opener: Opener) -> int:
    with tempfile.TemporaryFile(dir=opener.folder) as encoded:
        decode(mail, part, encoded.fileno())
        try:
            return opener.mail(encoded.fileno())
        except StorageError as error:
            raise StorageError(
                f"the mail is secured, and {quoted(error)}", clause=error.clause
            ) from error


def _files(owned: list[int], folder: str | None) -> Iterator[Packed | Damage]:
    mail = owned[-1]
    archives: list[tuple[Part, str]] = []
    found = 0
    for number, part in enumerate(parts_of_mail(mail), start=1):
        kind = part.head.get_content_type()
        name = _name_of(part, number)
        if kind in _SIGNATURES:
            yield Damage(name, "the mail is signed in the clear: its signature was not checked")
        elif kind in _ZIPS or name.upper().endswith(".ZIP"):
            archives.append((part, name))
        elif not kind.startswith(("text/", "message/")):
            found += 1
            yield AttachedFile(mail, part, name)
    for part, name in archives:
        # Beside others, the files of an archive are below its name.
        prefix = "" if not found and len(archives) == 1 else f"{name}/"
        try:
            archive = unpacked(AttachedFile(mail, part, name), folder)
            owned.append(archive)
            if not is_zip(archive):
                raise StorageError("it is no ZIP file", clause=CLAUSE)
            yield from zipped_files(archive, prefix)
        except GantryError as error:
            yield Damage(name, error.message)


def _name_of(part: Part, number: int) -> str:
    """The File ID (PS3.12 K.1.2), or the name that mail programs save it under."""
    said = part.parameter("id") or part.file_name
    parts = [each for each in said.replace("\\", "/").split("/") if each not in ("", ".", "..")]
    return "/".join(parts) or f"PART{number}"
