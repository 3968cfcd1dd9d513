"""Files on a medium without a directory: as they are stored, for whoever wants no file-set."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

from agent.dataset.whole_write import sync_folder
from agent.media.application_profiles import AnyProfile, Profile, profile_of
from agent.media.directory_writer import Creator
from agent.media.examining import examined
from agent.media.file_copying import Syncing, copy_part_10
from agent.media.file_ids import open_file
from agent.media.file_set import TOP_FOLDER, FileSetWriter
from agent.workflow.export_settings import VolumeSettings

NONE = "NONE"
"""The name under which no application profile is asked for."""

_IN_A_FOLDER = 1000


NO_PROFILE = AnyProfile(NONE, "", "", (), None, {})


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
        self._syncing = Syncing()

    def __enter__(self) -> PlainFiles:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let go of what is not synced yet."""
        self._syncing.close()

    def add(self, path: Path) -> str:
        """Copy a Part 10 file; its name. Raises OSError, StorageError, PeerError."""
        if self._count % _IN_A_FOLDER == 0:
            self._place = self._new_folder()
            self._folders.append(self._place)
        descriptor = open_file(path)
        try:
            name = f"{self._place}/I{self._count % _IN_A_FOLDER + 1:07}"
            copy_part_10(
                descriptor,
                examined(descriptor),
                self._folder,
                name,
                self._creator,
                syncing=self._syncing,
            )
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
        """The files and their names are on the medium. Raises OSError."""
        self._syncing.now()
        for name in self._folders:
            sync_folder(self._folder / name)
        sync_folder(self._top)
        sync_folder(self._folder)


def writer_of(
    settings: VolumeSettings, profile: Profile, folder: Path
) -> FileSetWriter | PlainFiles:
    """What writes the files of a volume, and its directory. Raises StorageError, LocalError."""
    creator = Creator(settings.implementation_class_uid, settings.implementation_version_name, "")
    if profile is NO_PROFILE:
        return PlainFiles(folder, creator)
    update = settings.target.update
    return FileSetWriter(
        folder,
        profile,
        creator,
        file_set_id="" if update else settings.file_set_id,
        update=update,
        spill_folder=Path(settings.scratch),
        icons=settings.target.icons,
    )
