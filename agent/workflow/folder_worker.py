"""The worker of a watched folder: all that may block on its file system happens here.

One process for each folder, so that a dead network mount holds up nobody else. Nothing is
remembered: after a crash the folder is looked through, and what is safe already is a duplicate.
"""

from __future__ import annotations

import os
import select
import time
from dataclasses import dataclass
from typing import Any

from agent.dataset.file_meta import encode_file_meta, read_file_meta
from agent.errors import GantryError, StorageError
from agent.quoting import quoted
from agent.workflow import folder_filing
from agent.workflow.object_copy import Taken, copy_rest, identity_of, write_to_archive
from hal.folder.base import (
    FileChanged,
    FileComplete,
    FileVersion,
    FolderEvent,
    FolderSettings,
    open_driver,
    open_version,
)


@dataclass(frozen=True, slots=True)
class PickupSettings:
    """What the worker must know; `done` and `failed` are whole paths.

    The identity is written into the file meta information of what is taken (PS3.10 7.1).
    """

    path: str
    recursive: bool
    pattern: str
    settle: float
    done: str
    failed: str
    implementation_class_uid: str
    implementation_version_name: str
    title: str


def serve_folder(calls: Any, settings: PickupSettings) -> None:
    """The entry: the calls are the methods of `_Folder`."""
    folder = _Folder(settings)
    while group := calls.receive(limit=16):
        for call in group:
            try:
                call.reply(getattr(folder, call.name)(*call.arguments, *call.descriptors))
            except Exception as error:
                call.fail(error)


class _Folder:
    def __init__(self, settings: PickupSettings) -> None:
        self._settings = settings
        self._watched = open_driver(
            "inotify",
            path=settings.path,
            settings=FolderSettings(
                recursive=settings.recursive, pattern=settings.pattern, settle=settings.settle
            ),
        )
        self._watched.open()

    def collect(self, patience: float) -> list[FolderEvent]:
        """What happened; waits up to `patience` seconds for something to happen."""
        end = time.monotonic() + patience
        while True:
            events = self._watched.collect()
            left = end - time.monotonic()
            if events or left <= 0:
                return events
            deadline = self._watched.deadline()
            if deadline is not None:
                left = min(left, max(0.0, deadline - time.monotonic()))
            descriptor = self._watched.descriptor
            select.select([] if descriptor is None else [descriptor], [], [], left)

    def take(self, file: FileComplete, target: int) -> Taken:
        """Write the object that a file holds to `target`, behind a file meta information of ours.

        Raises FileChanged; StorageError when it is no DICOM object or cannot be read.
        """
        try:
            source = open_version(self._settings.path, file)
        except OSError as error:
            raise folder_filing.unreadable(error) from error
        try:
            taken = self._copy_object(source, target)
            if FileVersion.of(os.fstat(source)) != file.version:
                raise FileChanged(f"{file.path} was written while it was read")
            return taken
        except (GantryError, FileChanged):
            raise
        except OSError as error:
            raise folder_filing.unreadable(error) from error
        except Exception as error:
            # Whatever a file can do to us, it shall not stop the others.
            raise StorageError(f"the file cannot be understood: {quoted(repr(error))}") from error
        finally:
            os.close(source)

    def _copy_object(self, source: int, target: int) -> Taken:
        settings = self._settings
        meta = read_file_meta(source)
        sop_class, instance = identity_of(source, meta)
        file_meta = encode_file_meta(
            sop_class_uid=sop_class,
            sop_instance_uid=instance,
            transfer_syntax_uid=meta.transfer_syntax_uid,
            implementation_class_uid=settings.implementation_class_uid,
            implementation_version_name=settings.implementation_version_name,
            source_ae_title=settings.title,
        )
        write_to_archive(target, file_meta)
        size = copy_rest(source, meta.data_set_offset, target)
        return Taken(sop_class, instance, size, meta.remarks)

    def delete(self, file: FileComplete) -> None:
        """Delete this version of the file; another one stays. Raises StorageError."""
        folder_filing.delete(self._settings.path, file)

    def move(self, file: FileComplete, failed: bool, reason: str) -> str:
        """Move this version of the file away; where to. `reason` is written beside it.

        What has the same name there stays: the new one gets a number. Raises StorageError.
        """
        kept = self._settings.failed if failed else self._settings.done
        return folder_filing.move(self._settings.path, file, kept, reason)
