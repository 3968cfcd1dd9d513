"""Opening files of a medium, Secure DICOM files among them, with the keys that there are.

What opens those is imported when the first one comes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.configuration.secrets import Secret
from agent.errors import ConfigurationError, StorageError
from agent.media.file_ids import open_file
from agent.security.credentials import KeyFile

if TYPE_CHECKING:
    from agent.media.secure_file import SecureFiles

# A ContentInfo of a type of RFC 5652, behind the header of the SEQUENCE.
_CONTENT_INFO = bytes.fromhex("06092A864886F70D0107")
_LONGEST_HEADER = 10


@dataclass(frozen=True, slots=True)
class Keys:
    """With what Secure DICOM files are opened; secrets are read when the first one comes.

    `trust` are files or folders with the certificates of those whose signatures count; with
    `any_signer` every signature does that is right. `folder` is where plain files are kept while
    they are open, without a name; "" is TMPDIR, or /var/tmp, which is on a disk where /tmp is not.
    """

    private_keys: tuple[KeyFile, ...] = ()
    passwords: tuple[Secret, ...] = ()
    trust: tuple[str, ...] = ()
    any_signer: bool = False
    folder: str = ""

    def __bool__(self) -> bool:
        return bool(self.private_keys or self.passwords)


NO_KEYS = Keys()


def is_secure(descriptor: int) -> bool:
    """Whether an open file is a Secure DICOM file, as far as its first bytes tell (PS3.10 7.4)."""
    try:
        start = os.pread(descriptor, _LONGEST_HEADER + len(_CONTENT_INFO), 0)
    except OSError:
        return False
    if len(start) < 2 or start[0] != 0x30:
        return False
    size = 2 + (start[1] - 0x80 if start[1] > 0x80 else 0)
    return start.startswith(_CONTENT_INFO, size)


def folder_of(keys: Keys) -> str | None:
    """The folder for plain files, for `tempfile`."""
    found = keys.folder or os.environ.get("TMPDIR") or "/var/tmp"
    return found if keys.folder or Path(found).is_dir() else None


class Opener:
    """Opens files; of a Secure DICOM file the plain one, after it was verified.

    The last secure file is remembered: who looks at a file first and reads it then does not decrypt
    it twice. Memory: two MiB when there are secure files; the plain file is on disk.
    """

    def __init__(self, keys: Keys = NO_KEYS) -> None:
        self._keys = keys
        self._files: SecureFiles | None = None
        self._problem: ConfigurationError | None = None
        self._last: tuple[tuple[int, ...], int] | None = None

    def __enter__(self) -> Opener:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file that is remembered."""
        if self._last is not None:
            os.close(self._last[1])
            self._last = None

    def open(self, path: str | Path) -> int:
        """A descriptor to read a file, as `open_file` gives it.

        Raises OSError, and StorageError for a Secure DICOM file that cannot be opened, with the
        reason: nothing of it can be used then.
        """
        return self.opened(open_file(path))

    def opened(self, descriptor: int) -> int:
        """The same for a file that is open: the descriptor itself, or in its place, which is closed
        then, that of the plain file. Raises as `open` does."""
        try:
            if not is_secure(descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        try:
            return self._plain(descriptor)
        finally:
            os.close(descriptor)

    @property
    def folder(self) -> str | None:
        """Where plain files are kept, for `tempfile`."""
        return folder_of(self._keys)

    def mail(self, source: int) -> int:
        """A descriptor of the MIME entity in a message of S/MIME, given as its DER, after it was
        verified. Raises StorageError, ConfigurationError."""
        return self._secure_files().open_mail(source).descriptor

    def _plain(self, source: int) -> int:
        if not self._keys:
            raise StorageError(
                "it is a Secure DICOM file and there is no key for it", clause="PS3.10 7.4"
            )
        state = os.fstat(source)
        identity = state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns
        if self._last is None or self._last[0] != identity:
            self.close()
            self._last = identity, self._secure_files().open(source).descriptor
        # Its position is its own, unlike that of a duplicate.
        return os.open(f"/proc/self/fd/{self._last[1]}", os.O_RDONLY | os.O_CLOEXEC)

    def _secure_files(self) -> SecureFiles:
        if self._problem is not None:
            raise self._problem
        if self._files is None:
            from agent.media.secure_file import SecureFiles

            try:
                self._files = SecureFiles(self._keys)
            except ConfigurationError as error:
                self._problem = error
                raise
        return self._files


NO_OPENER = Opener()
"""Opens what is not secured."""
