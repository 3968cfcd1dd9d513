"""Reading a backup back: prepared beside what is there, verified whole, and then put in place.

Nothing of it is believed before it is verified: names lead only below the roots that the backup
tells of and to the files that it lists, all is written without following links, and only when
every digest is right, and every index whole, does anything change.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from agent.archive import layout
from agent.archive.backup import index_version
from agent.archive.schema import VERSION
from agent.dataset.whole_write import write_whole
from agent.errors import StorageError
from agent.media.sealed_stream import SealedReader
from agent.media.secure_file import SecureFiles
from agent.quoting import quoted
from agent.workflow import restore_placing
from agent.workflow.archive_tables import RESTORING
from agent.workflow.backup import ABOUT, DIGESTS, FORMAT, digest_line, pieces

_LONGEST_ABOUT = 1 << 24


@dataclass(slots=True)
class Backup:
    """What a backup says of itself; paths are those of this machine, below `root`."""

    version: str
    name: str
    made: str
    roots: list[Path]
    owners: list[tuple[int, int, int]]
    archives: list[Path]
    files: dict[Path, str]
    """Files outside of the roots, and their names while they are prepared."""
    not_taken: list[str]
    count: int = 0


def restore(place: Path, keys: SecureFiles, *, root: Path, replace: bool) -> Backup:
    """Put a backup in place, below `root`. Raises StorageError; nothing has changed then, but after
    a cut that `restore_placing.finish` mends."""
    with _opened(place, keys) as tar:
        backup = _about(tar, root)
        found = restore_placing.in_use(backup.roots)
        if found is None:
            found = next((each for each in backup.files if each.exists()), None)
        if found is not None and not replace:
            raise StorageError(
                f"{quoted(found)} is there already, and would be replaced",
                value=str(found),
                way_out="Say --replace if it may be lost.",
            )
        try:
            with _locked(backup.archives):
                _prepare(tar, backup, root)
                restore_placing.finish(backup.roots[0])
        except OSError as error:
            raise StorageError(
                f"{quoted(error.filename)}: {error.strerror}", value=error.errno
            ) from error
    return backup


def _prepare(tar: tarfile.TarFile, backup: Backup, root: Path) -> None:
    """All of it, verified, beside what is there; or nothing."""
    if restore_placing.is_decided(backup.roots[0]):
        raise StorageError(
            "another restore was cut off while it was put in place",
            way_out=f"Run `gantry restore --finish --state {quoted(backup.roots[0])}` first.",
        )
    try:
        restore_placing.prepare(backup.roots, backup.owners)
        _take_out(tar, backup, root)
        for each in backup.archives:
            staged = _staged(backup, each / layout.INDEX)
            if staged is not None and staged.exists():
                index_version(staged)
        files = {name: str(path) for path, name in backup.files.items()}
        restore_placing.decide(backup.roots, files)
    except BaseException:
        if not restore_placing.is_decided(backup.roots[0]):
            restore_placing.discard(backup.roots)
        raise


def verify(place: Path, keys: SecureFiles) -> Backup:
    """Read all of it, and write nothing. Raises StorageError where it is not whole."""
    with _opened(place, keys) as tar:
        backup = _about(tar, Path("/"))
        _check_digests(tar, backup, lambda entry, opened: _digest_of(opened))
    return backup


@contextmanager
def _opened(place: Path, keys: SecureFiles) -> Iterator[tarfile.TarFile]:
    if not place.exists():
        raise StorageError(f"there is no backup in {quoted(place)}")
    stream = cast(BinaryIO, SealedReader(place, keys))
    try:
        with tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 16) as tar:
            yield tar
    except tarfile.TarError as error:
        raise StorageError(f"{quoted(place)} is no whole backup: {quoted(error)}") from error


def _about(tar: tarfile.TarFile, root: Path) -> Backup:
    entry = tar.next()
    opened = tar.extractfile(entry) if entry is not None and entry.isreg() else None
    if entry is None or opened is None or entry.name != ABOUT or entry.size > _LONGEST_ABOUT:
        raise StorageError("it is no backup of a box")
    try:
        said: dict[str, Any] = json.loads(opened.read())
        formed, index = int(said["format"]), int(said["index"])
        backup = Backup(
            str(said["version"]),
            str(said["name"]),
            str(said["made"]),
            [_below(root, each) for each in said["roots"]],
            [(int(user), int(group), int(mode)) for user, group, mode in said["owners"]],
            [_below(root, each) for each in said["archives"]],
            {_below(root, each): str(number) for number, each in enumerate(said["files"])},
            [str(each) for each in said["not_taken"]],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"what the backup says of itself is damaged: {quoted(error)}") from error
    if formed > FORMAT or index > VERSION:
        raise StorageError(
            f"the backup was made by version {backup.version}, which is newer than this one",
            value=(formed, index),
            limit=(FORMAT, VERSION),
            way_out="Install that version, or a later one, before you restore.",
        )
    if not backup.roots or len(backup.owners) != len(backup.roots):
        raise StorageError("there is no state in the backup")
    return backup


def _below(root: Path, path: str) -> Path:
    """A full name of the backup, below `root`. Raises ValueError."""
    pure = PurePosixPath(path)
    if not pure.is_absolute() or ".." in pure.parts or len(pure.parts) < 2:
        raise ValueError(f"{path!r} is no full name")
    return root.joinpath(*pure.parts[1:])


def _staged(backup: Backup, target: Path) -> Path | None:
    """Where a file is prepared; None where it does not belong to the backup."""
    # The innermost: an archive may lie within another root.
    for root in sorted(backup.roots, key=lambda each: -len(each.parts)):
        if root in target.parents:
            return root / RESTORING / restore_placing.NEW / target.relative_to(root)
    name = backup.files.get(target)
    if name is None:
        return None
    return backup.roots[0] / RESTORING / restore_placing.FILES / name


def _take_out(tar: tarfile.TarFile, backup: Backup, root: Path) -> None:
    def taken(entry: tarfile.TarInfo, opened: BinaryIO | None) -> str:
        try:
            target = _below(root, f"/{entry.name}")
        except ValueError as error:
            raise StorageError(f"the backup has a file that leads out: {quoted(error)}") from error
        staged = _staged(backup, target)
        if staged is None:
            raise StorageError(
                f"the backup has a file that it does not tell of: {quoted(repr(entry.name))}"
            )
        if opened is None:
            staged.mkdir(parents=True, exist_ok=True)
            _dress(staged, entry)
            return ""
        staged.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        return _write(staged, entry, opened)

    _check_digests(tar, backup, taken)


def _write(staged: Path, entry: tarfile.TarInfo, opened: BinaryIO) -> str:
    digest = hashlib.sha256()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(staged, flags, 0o600)
    try:
        for piece in pieces(opened):
            digest.update(piece)
            write_whole(descriptor, piece)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    _dress(staged, entry)
    return digest.hexdigest()


def _dress(path: Path, entry: tarfile.TarInfo) -> None:
    """Owner, permissions and time, as far as we may give them."""
    if os.geteuid() == 0:
        os.chown(path, entry.uid, entry.gid)
    path.chmod(entry.mode & 0o777)
    os.utime(path, (entry.mtime, entry.mtime))


def _digest_of(opened: BinaryIO | None) -> str:
    if opened is None:
        return ""
    digest = hashlib.sha256()
    for piece in pieces(opened):
        digest.update(piece)
    return digest.hexdigest()


def _check_digests(tar: tarfile.TarFile, backup: Backup, take: Any) -> None:
    """Take each file, and compare what was noted of all. Raises StorageError where one differs."""
    with tempfile.TemporaryFile() as noted:
        while (entry := tar.next()) is not None:
            # What tarfile remembers of each would grow with the archive.
            tar.members.clear()  # type: ignore[attr-defined]
            if not (entry.isreg() or entry.isdir()):
                raise StorageError(
                    f"the backup has something in it that is no file: {quoted(repr(entry.name))}"
                )
            opened = cast("BinaryIO | None", tar.extractfile(entry))
            if entry.name == DIGESTS and opened is not None:
                noted.seek(0)
                _compare(cast(BinaryIO, noted), opened)
                return
            digest = take(entry, opened)
            if digest:
                noted.write(digest_line(f"/{entry.name}", digest))
                backup.count += 1
    raise StorageError("the backup ends before its end: it was cut off")


def _compare(ours: BinaryIO, theirs: BinaryIO) -> None:
    while True:
        left, right = ours.readline(), theirs.readline()
        if left != right:
            name = (left or right).decode("utf-8", "replace").partition(" ")[2].strip()
            raise StorageError(f"the backup is damaged: {quoted(name)} is not what was written")
        if not left:
            return


@contextmanager
def _locked(archives: list[Path]) -> Iterator[None]:
    """Nobody else writes to the archives that are there. Raises StorageError where a node runs."""
    held = []
    try:
        for folder in archives:
            if not (folder / layout.LOCK).exists():
                continue
            held.append(os.open(folder / layout.LOCK, os.O_RDWR | os.O_CLOEXEC))
            try:
                fcntl.flock(held[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StorageError(
                    f"a node is running with the archive in {quoted(folder)}",
                    way_out="Stop it first: systemctl stop gantry.",
                ) from error
        yield
    finally:
        for each in held:
            os.close(each)
