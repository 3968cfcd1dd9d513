"""The objects of an export as they go onto the medium: as they are stored, or de-identified, or
converted where the profile wants it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from agent.archive.layout import object_path
from agent.archive.records import Instance
from agent.errors import GantryError
from agent.media.application_profiles import Profile
from agent.media.file_ids import open_file
from agent.quoting import quoted
from agent.workflow.export_conversion import convert
from agent.workflow.export_deidentification import DEIDENTIFIED, deidentified, deidentifier_of
from agent.workflow.export_settings import NoRoom, VolumeSettings
from agent.workflow.export_verification import digest_of_data_set

if TYPE_CHECKING:
    from agent.workflow.deidentified_copy import Deidentifier

_CONVERTED = "converted"


class NotToBeHad(Exception):
    """One object that cannot go onto the medium, and why; others can."""


class ReadyObject(NamedTuple):
    """A Part 10 file that can be copied, until the next one is asked for."""

    path: Path
    digest: bytes
    is_converted: bool


class ExportObjects:
    """Those of one volume. Memory: a codec's working set."""

    def __init__(self, settings: VolumeSettings, profile: Profile) -> None:
        self._settings = settings
        self._profile = profile
        self._scratch = Path(settings.scratch)
        self._deidentifier: Deidentifier | None = None

    def begin(self) -> None:
        """Before the first. Raises ExportFailed where objects cannot be de-identified as wanted."""
        self._deidentifier = deidentifier_of(self._settings.deidentify)

    def ready(self, instance: Instance) -> ReadyObject:
        """One of them. Raises NotToBeHad; NoRoom where our own disk is full."""
        path = object_path(Path(self._settings.archive), instance.id)
        try:
            if self._deidentifier is not None:
                path, instance = deidentified(
                    path, instance, self._deidentifier, self._scratch, self._implementation
                )
            is_converted = bool(
                self._profile.refusal(instance.sop_class_uid, instance.transfer_syntax_uid)
            )
            if is_converted:
                path = self._converted(path, instance)
            return ReadyObject(path, digest_of_data_set(path), is_converted)
        except NoRoom:
            raise
        except OSError as error:
            raise NotToBeHad(f"it cannot be read: {error.strerror}") from error
        except GantryError as error:
            raise NotToBeHad(str(error)) from error
        except Exception as error:
            # Whatever an object can do to us, it shall not stop the others.
            raise NotToBeHad(f"it cannot be understood: {error!r}") from error

    def forget(self) -> None:
        """After the last: what was made on the way goes."""
        for name in (_CONVERTED, DEIDENTIFIED):
            (self._scratch / name).unlink(missing_ok=True)

    def _converted(self, path: Path, instance: Instance) -> Path:
        target = self._scratch / _CONVERTED
        source = open_file(path)
        try:
            convert(source, instance, self._profile, target, self._implementation)
        except OSError as error:
            # The source was opened, and is read by what says otherwise: it is our own disk.
            raise NoRoom(f"{quoted(target)} cannot be written: {error.strerror}") from error
        finally:
            os.close(source)
        return target

    @property
    def _implementation(self) -> tuple[str, str]:
        settings = self._settings
        return settings.implementation_class_uid, settings.implementation_version_name
