"""A file-set in a folder that is not finished: marked as such, and taken back if need be.

The mark is a folder beside the DICOMDIR. It says what was there before, and has a copy of the
directory as it was: so whatever ends an export, the file-set is the old one again, or the whole
new one. Files of others are never touched: ours are below new names of the top folder.

It must hold on FAT, too, where a file whose name is not synced may be found empty. So each step is
synced before the next begins; of what a mark says nothing is ever written anew, and the copy of the
directory stays in it until all else is as it was.
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.dataset.whole_write import put_in_place, sync_file, sync_folder
from agent.errors import StorageError
from agent.media.file_ids import DICOMDIR, FileNames
from agent.media.file_set import NEW_DIRECTORY, TOP_FOLDER
from agent.media.web_content import remove_pages
from agent.quoting import quoted

_MARK = "GANTRY.TMP"
_STATE, _DIRECTORY, _VERIFIED, _NEW = "STATE", "DICOMDIR.OLD", "VERIFIED", "NEW"
_KEYS = frozenset(("key", "made", "before", "directory"))


class Unfinished:
    """The mark in one folder. All raise OSError."""

    def __init__(self, folder: Path, key: str = "", *, pages: bool = False) -> None:
        """`key` is that of the volume that is written; "" is of none. With `pages` it has pages
        for a web browser, which were not there before."""
        self._pages = pages
        self._folder = folder
        self._mark = folder / _MARK
        self._key = key

    def begin(self) -> None:
        """From now on the file-set is unfinished."""
        made = not self._folder.exists()
        self._folder.mkdir(exist_ok=True)
        if made:
            sync_folder(self._folder.parent)
        top = self._folder / TOP_FOLDER
        directory = FileNames(self._folder).real_name(DICOMDIR) or ""
        state = {
            "key": self._key,
            "made": made,
            "before": sorted(each.name for each in top.iterdir()) if top.is_dir() else None,
            "directory": directory,
            "pages": self._pages,
        }
        self._mark.mkdir()
        sync_folder(self._mark)
        sync_folder(self._folder)
        if directory:
            shutil.copyfile(self._folder / directory, self._mark / _DIRECTORY)
            sync_file(self._mark / _DIRECTORY)
        self._write(_STATE, json.dumps(state))

    def take_back(self) -> None:
        """All is as it was before; nothing happens where there is no mark.

        What another export has finished stays. Raises StorageError for a mark that is not ours.
        """
        if not self._mark.is_dir():
            return
        state = self._read()
        is_whole = (self._mark / _VERIFIED).exists()
        if state is not None and not (is_whole and state["key"] != self._key):
            self._restore_directory(state["directory"])
            self._remove_files(state["before"])
            if state.get("pages"):
                remove_pages(self._folder)
            self._remove_mark()
            if state["made"]:
                # What somebody else has put there stays.
                with suppress(OSError):
                    self._folder.rmdir()
            return
        self._remove_mark()

    def verified(self) -> None:
        """All is written and was read back."""
        self._write(_VERIFIED, self._key)

    def finish(self) -> None:
        """The mark goes: the file-set is whole."""
        self._remove_mark()

    def _restore_directory(self, name: str) -> None:
        new, old = self._folder / NEW_DIRECTORY, self._mark / _DIRECTORY
        if old.exists():
            shutil.copyfile(old, new)
            sync_file(new)
            put_in_place(new, self._folder / name)
            return
        new.unlink(missing_ok=True)
        if not name:
            (self._folder / DICOMDIR).unlink(missing_ok=True)
        sync_folder(self._folder)

    def _remove_files(self, before: list[str] | None) -> None:
        top = self._folder / TOP_FOLDER
        if not top.is_dir():
            return
        for path in tuple(top.iterdir()):
            if path.name not in (before or ()):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        if before is None:
            top.rmdir()
        else:
            sync_folder(top)

    def _remove_mark(self) -> None:
        if self._mark.is_dir():
            # Without its state a mark says nothing. What goes with it goes after it, or else it
            # would be found with a state to which its directory is missing.
            (self._mark / _STATE).unlink(missing_ok=True)
            sync_folder(self._mark)
            shutil.rmtree(self._mark)
            sync_folder(self._folder)

    def _read(self) -> dict[str, Any] | None:
        """None where nothing was begun yet."""
        try:
            text = (self._mark / _STATE).read_bytes()
        except FileNotFoundError:
            return None
        if not text:
            return None  # Of FAT: its name was written, and not yet where it leads to.
        try:
            state = json.loads(text)
        except ValueError as error:
            raise _foreign(self._mark) from error
        if not isinstance(state, dict) or not state.keys() >= _KEYS:
            raise _foreign(self._mark)
        return state

    def _write(self, name: str, text: str) -> None:
        new = self._mark / _NEW
        new.write_text(text)
        sync_file(new)
        put_in_place(new, self._mark / name)


def _foreign(mark: Path) -> StorageError:
    return StorageError(
        f"{quoted(mark)} is not what an export of ours leaves",
        value=str(mark),
        way_out="Look what it is, and remove it.",
    )
