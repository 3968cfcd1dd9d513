"""The file of users and their passcodes, kept as salted hashes (scrypt, RFC 7914).

One user a line: `NAME:scrypt:N:R:P:SALT:HASH`, salt and hash in base64. Runs in a worker: a hash
takes 16 MiB and a quarter of a second.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from agent.errors import ConfigurationError
from agent.quoting import quoted

LONGEST_USER = 256
LONGEST_FILE = 1 << 20
# OWASP's parameters for 16 MiB; what an entry says holds for it, within these bounds.
N, R, P = 1 << 14, 8, 5
_MOST_N, _MOST_R, _MOST_P = 1 << 17, 32, 16


class Entry(NamedTuple):
    """A line of the file."""

    user: str
    n: int
    r: int
    p: int
    salt: bytes
    hash: bytes

    @classmethod
    def make(cls, user: str, passcode: bytes, *, n: int = N, r: int = R, p: int = P) -> Entry:
        """With a salt of its own. Raises ConfigurationError for what can be no user name."""
        if not 1 <= len(user) <= LONGEST_USER or not user.isprintable() or user.strip() != user:
            raise ConfigurationError(
                "a user name has 1 to 256 printable characters, and no blanks around it", value=user
            )
        salt = os.urandom(16)
        return cls(user, n, r, p, salt, _hash(passcode, salt, n, r, p))

    def line(self) -> str:
        salt, digest = (base64.b64encode(each).decode() for each in (self.salt, self.hash))
        return f"{self.user}:scrypt:{self.n}:{self.r}:{self.p}:{salt}:{digest}"

    def fits(self, passcode: bytes) -> bool:
        # Late: OpenSSL is the worker's to touch, not the node's.
        import hmac

        return hmac.compare_digest(_hash(passcode, self.salt, self.n, self.r, self.p), self.hash)


_NOBODY = Entry("", N, R, P, bytes(16), bytes(32))


def _hash(passcode: bytes, salt: bytes, n: int, r: int, p: int) -> bytes:
    from hashlib import scrypt

    return scrypt(passcode, salt=salt, n=n, r=r, p=p, maxmem=256 * n * r + (1 << 20), dklen=32)


def is_passcode_of(file: str, user: str, passcode: bytes) -> bool:
    """Whether it is. Takes as long for a user that there is not. Raises ConfigurationError."""
    entry = _find(file, user)
    fits = (entry or _NOBODY).fits(passcode)
    return fits and entry is not None


def is_user(file: str, user: str) -> bool:
    """Whether the file has this user. Raises ConfigurationError."""
    return _find(file, user) is not None


def put(file: Path, entry: Entry) -> bool:
    """Put an entry into the file, in place of the user's before; whether there was one.

    The file is written anew, as a whole, with the permissions and owner of the old one. Raises
    ConfigurationError, OSError.
    """
    from agent.dataset.whole_write import put_in_place, write_synced

    old = list(_lines(str(file))) if file.exists() else []
    kept = [line for line in old if line.rpartition(":scrypt:")[0] != entry.user]
    was = file.stat() if old else None
    text = "".join(f"{line}\n" for line in (*kept, entry.line()))
    fresh = file.with_name(f"{file.name}.new")
    write_synced(fresh, text.encode(), mode=0o600 if was is None else stat.S_IMODE(was.st_mode))
    if was is not None and (was.st_uid, was.st_gid) != (os.geteuid(), os.getegid()):
        os.chown(fresh, was.st_uid, was.st_gid)
    put_in_place(fresh, file)
    return len(kept) < len(old)


def _find(file: str, user: str) -> Entry | None:
    for line in _lines(file):
        name, separator, rest = line.rpartition(":scrypt:")
        if separator and name == user:
            return _read(name, rest, file)
    return None


def _lines(file: str) -> Iterator[str]:
    try:
        with open(file, "rb") as stream:  # noqa: PTH123
            mode = os.fstat(stream.fileno()).st_mode
            if mode & (stat.S_IRWXO | stat.S_IWGRP):
                raise ConfigurationError(
                    f"{quoted(file)} may be read by others, or written by its group",
                    value=f"{stat.S_IMODE(mode):04o}",
                    limit="0640",
                    way_out=f"chmod 0640 {quoted(file)}",
                )
            data = stream.read(LONGEST_FILE + 1)
    except OSError as error:
        raise ConfigurationError(
            f"the passcodes in {quoted(file)} cannot be read: {error.strerror}",
            value=file,
            way_out="Check that the file is there and that the service may read it.",
        ) from None
    if len(data) > LONGEST_FILE:
        raise ConfigurationError(f"{quoted(file)} is too long", value=len(data), limit=LONGEST_FILE)
    for line in data.decode("utf-8", "replace").splitlines():
        if line.strip() and not line.startswith("#"):
            yield line.strip()


def _read(user: str, text: str, file: str) -> Entry:
    try:
        n, r, p, salt, digest = text.split(":")
        entry = Entry(
            user,
            int(n),
            int(r),
            int(p),
            base64.b64decode(salt, validate=True),
            base64.b64decode(digest, validate=True),
        )
    except (ValueError, binascii.Error):
        entry = _NOBODY
    sound = 1 < entry.n <= _MOST_N and entry.n & (entry.n - 1) == 0
    sound = sound and 0 < entry.r <= _MOST_R and 0 < entry.p <= _MOST_P and len(entry.hash) == 32
    if entry is _NOBODY or not sound:
        raise ConfigurationError(
            f"the line of {quoted(user)} in {quoted(file)} is damaged",
            value=user,
            way_out=f"Write it anew: gantry access passcode {quoted(user)} --into {quoted(file)}",
        )
    return entry
