"""Files on a medium without a directory: as they are stored, for whoever wants no file-set."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

from agent.media.application_profiles import Profile, profile_of
from agent.media.directory_writer import Creator
from agent.media.examining import examined
from agent.media.file_copying import copy_part_10, sync_folder
from agent.media.file_ids import open_file
from agent.media.file_set import TOP_FOLDER

NONE = "NONE"
"""The name under which no application profile is asked for."""

_IN_A_FOLDER = 1000


class _AnyProfile(Profile):
    """What is not claimed to be of any application profile takes everything."""

    def refusal(self, sop_class_uid: str, transfer_syntax_uid: str) -> str:
        return ""

    @property
    def updates(self) -> bool:
        return False


NO_PROFILE = _AnyProfile(NONE, "", "", (), None, {})


def profile_named(name: str) -> Profile:
    """An application profile, or none. Raises ConfigurationError for one that is not here."""
    return NO_PROFILE if name.upper() == NONE else profile_of(name)


class PlainFiles:
    """Files that are copied into folders of a thousand, under names as File IDs have."""

    def __init__(self, folder: Path, creator: Creator) -> None:
        self._folder = folder
        self._creator = creator
        self._top = folder / TOP_FOLDER
        self._count = 0
        self._place = ""
        self._folders: list[str] = []

    def __enter__(self) -> PlainFiles:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing is open."""

    def add(self, path: Path) -> str:
        """Copy a Part 10 file; its name. Raises OSError, StorageError, PeerError."""
        if self._count % _IN_A_FOLDER == 0:
            self._place = self._new_folder()
            self._folders.append(self._place)
        descriptor = open_file(path)
        try:
            name = f"{self._place}/I{self._count % _IN_A_FOLDER + 1:07}"
            copy_part_10(descriptor, examined(descriptor), self._folder, name, self._creator)
        finally:
            os.close(descriptor)
        self._count += 1
        return name

    def _new_folder(self) -> str:
        """A name that nothing has: what others have put there stays."""
        number = len(self._folders) + 1
        while (self._folder / (name := f"{TOP_FOLDER}/F{number:07}")).exists():
            number += 1
        return name

    def finish(self) -> None:
        """The names are on the medium. Raises OSError."""
        for name in self._folders:
            sync_folder(self._folder / name)
        sync_folder(self._top)
        sync_folder(self._folder)
