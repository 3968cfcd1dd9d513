"""Putting a restore in place: by renames only, and so that a cut at any moment can be gone on from.

All is prepared in a folder `.restoring` within each root, on the disk that it is for. The file
`ready` there is the moment of no return: before it nothing has changed, after it the node does not
start until all is in place (`check_restored`), and `finish` goes on wherever it was cut off.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from agent.dataset.whole_write import put_in_place, replace_file, sync_file, sync_folder
from agent.errors import StorageError
from agent.quoting import quoted
from agent.workflow.archive_tables import READY, RESTORING

NEW, OLD, FILES = "new", "old", "files"
_EMPTIED = "emptied"


def prepare(roots: list[Path], owners: list[tuple[int, int, int]]) -> None:
    """Clear away what a restore that was cut off left; make the folders. Raises OSError.

    A root that is not there gets owner, group and mode of the one that was backed up.
    """
    for root, (user, group, mode) in zip(roots, owners, strict=True):
        if not root.is_dir():
            root.mkdir(parents=True, mode=0o750)
            if os.geteuid() == 0:
                os.chown(root, user, group)
            root.chmod(mode & 0o777)
        staging = root / RESTORING
        shutil.rmtree(staging, ignore_errors=True)
        (staging / NEW).mkdir(parents=True, mode=0o700)
    (roots[0] / RESTORING / FILES).mkdir(mode=0o700)


def discard(roots: list[Path]) -> None:
    """What was prepared is not wanted: it was not whole."""
    for root in roots:
        shutil.rmtree(root / RESTORING, ignore_errors=True)


def in_use(roots: list[Path]) -> Path | None:
    """A root that is not empty."""
    for root in roots:
        if root.is_dir() and any(each.name != RESTORING for each in root.iterdir()):
            return root
    return None


def decide(roots: list[Path], files: dict[str, str]) -> None:
    """From here on the restore is. `files` are names in the staging folder, and where they go."""
    for root in roots:
        _sync_below(root / RESTORING)
    staging = roots[0] / RESTORING
    plan = {"roots": [str(each) for each in roots], "files": files}
    replace_file(staging / READY, json.dumps(plan).encode())


def is_decided(state: Path) -> bool:
    """Whether there is one to go on with."""
    return (state / RESTORING / READY).exists()


def finish(state: Path) -> None:
    """Put it in place, from wherever it was cut off. Raises StorageError, OSError."""
    try:
        plan = json.loads((state / RESTORING / READY).read_text())
        roots = [Path(each) for each in plan["roots"]]
        files = {name: Path(target) for name, target in plan["files"].items()}
    except FileNotFoundError as error:
        raise StorageError(f"no restore was cut off in {quoted(state)}") from error
    for root in roots:
        _empty(root)
    for root in roots:
        _fill(root)
    for name, target in files.items():
        _place_file(state / RESTORING / FILES / name, target)
    # The state's own folder is the last to go: as long as it is there, this is done again.
    for root in (*roots[1:], roots[0]):
        shutil.rmtree(root / RESTORING / OLD, ignore_errors=True)
        if root != roots[0]:
            shutil.rmtree(root / RESTORING, ignore_errors=True)
    (state / RESTORING / READY).unlink()
    sync_folder(state / RESTORING)
    shutil.rmtree(state / RESTORING, ignore_errors=True)
    sync_folder(state)


def _empty(root: Path) -> None:
    """What is there moves aside; once it has, what comes next is never taken for it."""
    staging = root / RESTORING
    if not staging.exists() or (staging / _EMPTIED).exists():
        return
    (staging / OLD).mkdir(exist_ok=True, mode=0o700)
    for each in list(root.iterdir()):
        if each.name != RESTORING:
            each.rename(staging / OLD / each.name)
    sync_folder(root)
    (staging / _EMPTIED).touch()
    sync_folder(staging)


def _fill(root: Path) -> None:
    new = root / RESTORING / NEW
    if not new.exists():
        return
    for each in list(new.iterdir()):
        each.rename(root / each.name)
    sync_folder(root)


def _place_file(source: Path, target: Path) -> None:
    """A file of the configuration, which may be on another disk: copied, and then renamed."""
    if not source.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.restored")
    fresh.unlink(missing_ok=True)
    shutil.copy2(source, fresh)
    about = source.stat()
    if os.geteuid() == 0:
        os.chown(fresh, about.st_uid, about.st_gid)
    sync_file(fresh)
    put_in_place(fresh, target)


def _sync_below(folder: Path) -> None:
    for each in _folders(folder):
        sync_folder(each)


def _folders(folder: Path) -> Iterator[Path]:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _folders(Path(entry.path))
    yield folder
