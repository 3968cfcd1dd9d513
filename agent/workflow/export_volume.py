"""One volume of an export: a file-set in a folder, an image of a disc, or a disc.

It goes on step by step. What was left of it by a former life is taken back first; what is finished
is known by a note of our own, beside our scratch files. Files are copied, converted where the
profile wants it, read back from the medium and compared with what is in the archive.

Memory: what the file-set's writer holds (15 MiB for 100,000 instances in 1,000 series), 60 bytes an
instance more while the directory is verified, a codec's working set, a MiB.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from agent.archive.layout import object_path
from agent.archive.records import Instance
from agent.errors import DeviceError, GantryError, StorageError
from agent.media.directory_writer import Creator
from agent.media.file_ids import DICOMDIR, FileNames, open_file
from agent.media.file_set import FileSetWriter
from agent.workflow.export_conversion import convert
from agent.workflow.export_deidentification import (
    DEIDENTIFIED,
    deidentified,
    deidentifier_of,
)
from agent.workflow.export_plain import NO_PROFILE, PlainFiles, profile_named
from agent.workflow.export_planning import objects_of
from agent.workflow.export_settings import (
    BURNING,
    CONVERTED,
    COPIED,
    COPYING,
    DISC,
    FOLDER,
    IMAGE,
    IMAGING,
    LEFT_OUT,
    THERE,
    VERIFYING,
    ExportFailed,
    NoRoom,
    NotAsWritten,
    Step,
    Tally,
    VolumeSettings,
)
from agent.workflow.export_unfinished import Unfinished
from agent.workflow.export_verification import (
    WrittenFiles,
    digest_of_data_set,
    directory_as,
    verify_directory,
    verify_file,
    verify_image,
    written_as,
)
from agent.workflow.medium_presence import presence
from hal.removable import discs, optical

if TYPE_CHECKING:
    from agent.workflow.deidentified_copy import Deidentifier
from hal.removable.base import MediaError, MediumFull, WrongSettings

MOST_FAILURES = 100
"""Objects that are named; of more, only the number is kept."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class VolumeWriting:
    """One volume; `steps` carries it out. Raises StorageError where the target is not there."""

    def __init__(self, settings: VolumeSettings) -> None:
        self._settings = settings
        self._profile = profile_named(settings.profile)
        self._scratch = Path(settings.scratch)
        self._done = self._scratch / f"done-{settings.number}"
        self._scratch.mkdir(parents=True, exist_ok=True)
        self._place = Path(settings.volume.place)
        is_folder = settings.target.kind == FOLDER
        self._folder = self._place if is_folder else self._scratch / "file-set"
        self._image = self._place if settings.target.kind == IMAGE else self._scratch / "image.iso"
        self._unfinished = Unfinished(self._folder, settings.key)
        self._presence: tuple[int, int, bool] | None = None
        self._outcomes = dict.fromkeys((COPIED, CONVERTED, THERE, LEFT_OUT), 0)
        self._size = 0
        self._failures: list[tuple[str, str]] = []
        self._deidentifier: Deidentifier | None = None

    def tally(self) -> Tally:
        """What became of the objects, when all steps are done."""
        counts = self._outcomes
        return Tally(
            counts[COPIED],
            counts[CONVERTED],
            counts[THERE],
            counts[LEFT_OUT],
            self._size,
            tuple(self._failures),
        )

    def steps(self) -> Iterator[Step]:
        """Carry it out. Nothing more is done for a volume that is finished already.

        Raises NotAsWritten when what is read back is not what was written; NoRoom; StorageError and
        DeviceError where the target, or our own disk, cannot be used now.
        """
        if self._recall():
            self._seal()
            return
        try:
            self._check_mount()
            self._check_disc()
            self.take_back()
            yield from self._written()
        except OSError as error:
            raise self._failed(error) from error
        except MediumFull as error:
            raise NoRoom(str(error)) from error
        except WrongSettings as error:
            raise ExportFailed(str(error)) from error
        except MediaError as error:
            raise DeviceError(str(error)) from error

    def take_back(self) -> None:
        """All that an unfinished volume has left goes. Raises OSError, StorageError."""
        self._check_mount()
        if self._settings.target.kind == FOLDER:
            self._unfinished.take_back()
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        for path in (self._image, Path(f"{self._image}.unfinished")):
            path.unlink(missing_ok=True)

    def _written(self) -> Iterator[Step]:
        settings = self._settings
        files = WrittenFiles(self._scratch)
        try:
            try:
                yield from self._copied(files)
            except StorageError as error:
                if type(error) is StorageError and isinstance(error.__cause__, OSError):
                    raise error.__cause__ from error  # It is the target that fails.
                raise
            if not files.count:
                # Nothing new: all is there already, or can be in no file-set of this profile.
                self.take_back()
                self._note()
                return
            try:
                yield from self._verified(files)
            except NotAsWritten:
                self._check_mount()
                self._check_presence()
                raise
            if settings.target.kind != FOLDER:
                yield from self._on_disc(files)
        finally:
            files.close()
        if settings.target.kind == FOLDER:
            self._unfinished.verified()
        self._note()
        self._seal()

    def _copied(self, files: WrittenFiles) -> Iterator[Step]:
        settings = self._settings
        self._deidentifier = deidentifier_of(settings.deidentify)
        if settings.target.kind == FOLDER:
            self._unfinished.begin()
        else:
            self._folder.mkdir(parents=True)
        self._presence = presence(self._folder)
        with self._writer() as writer:
            for unit in settings.volume.units:
                for instance in objects_of(settings.archive, unit, settings.last_instance):
                    self._check_presence()
                    outcome = self._copy(writer, files, instance)
                    self._outcomes[outcome] += 1
                    yield Step(COPYING, outcome)
            self._check_number()
            if not files.count:
                return
            writer.finish()
        if self._profile is not NO_PROFILE:
            name = FileNames(self._folder).real_name(DICOMDIR) or DICOMDIR
            files.add(directory_as(self._folder, name))

    def _writer(self) -> FileSetWriter | PlainFiles:
        settings = self._settings
        creator = Creator(
            settings.implementation_class_uid, settings.implementation_version_name, ""
        )
        if self._profile is NO_PROFILE:
            return PlainFiles(self._folder, creator)
        update = settings.target.update
        return FileSetWriter(
            self._folder,
            self._profile,
            creator,
            file_set_id="" if update else settings.file_set_id,
            update=update,
            spill_folder=self._scratch,
        )

    def _check_number(self) -> None:
        """What was planned, and is not in the archive any more, is told."""
        missing = self._settings.volume.objects - sum(self._outcomes.values())
        if missing > 0:
            self._outcomes[LEFT_OUT] += missing
            self._failures.append(("", f"{missing} objects are not in the archive any more"))

    def _copy(
        self, writer: FileSetWriter | PlainFiles, files: WrittenFiles, instance: Instance
    ) -> str:
        """One object; what became of it. Raises where it is for the target, or our own disk."""
        uid = instance.sop_instance_uid
        path = object_path(Path(self._settings.archive), instance.id)
        is_converted = False
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
            digest = digest_of_data_set(path)
        except (NoRoom, OSError) as error:
            if isinstance(error, NoRoom):
                raise
            return self._leave_out(uid, f"it cannot be read: {error.strerror}")
        except GantryError as error:
            return self._leave_out(uid, str(error))
        except Exception as error:
            # Whatever an object can do to us, it shall not stop the others.
            return self._leave_out(uid, f"it cannot be understood: {error!r}")
        try:
            file_id = writer.add(path)
        except GantryError as error:
            if isinstance(error.__cause__, OSError):
                raise error.__cause__ from error
            return self._leave_out(uid, str(error))
        if not file_id:
            return THERE
        files.add(written_as(self._folder, file_id, digest))
        return CONVERTED if is_converted else COPIED

    def _converted(self, path: Path, instance: Instance) -> Path:
        target = self._scratch / "converted"
        source = open_file(path)
        try:
            convert(source, instance, self._profile, target, self._implementation)
        except OSError as error:
            # The source was opened, and is read by what says otherwise: it is our own disk.
            raise NoRoom(f"{target} cannot be written: {error.strerror}") from error
        finally:
            os.close(source)
        return target

    @property
    def _implementation(self) -> tuple[str, str]:
        settings = self._settings
        return settings.implementation_class_uid, settings.implementation_version_name

    def _leave_out(self, uid: str, reason: str) -> str:
        if len(self._failures) < MOST_FAILURES:
            self._failures.append((uid, reason))
        return LEFT_OUT

    def _verified(self, files: WrittenFiles) -> Iterator[Step]:
        for each in files:
            self._size += verify_file(self._folder, each)
            yield Step(VERIFYING)
        if self._profile is not NO_PROFILE:
            verify_directory(self._folder, files, alone=not self._settings.target.update)
            yield Step(VERIFYING)

    def _on_disc(self, files: WrittenFiles) -> Iterator[Step]:
        target = self._settings.target
        yield Step(IMAGING)
        discs.make_image(str(self._folder), str(self._image), self._settings.file_set_id)
        size = self._image.stat().st_size
        if target.volume_size and size > target.volume_size:
            raise NoRoom(
                f"the image has {size} bytes, and a volume {target.volume_size}",
                value=size,
                limit=target.volume_size,
            )
        for _ in verify_image(self._image, self._folder, files.count):
            yield Step(VERIFYING)
        if target.kind == DISC:
            yield Step(BURNING)
            discs.burn(str(self._image), target.path)
            yield Step(VERIFYING)
            discs.verify(str(self._image), target.path)

    # What is finished.

    def _note(self) -> None:
        """The volume is whole: whatever comes, it is not begun again. Raises OSError."""
        new = self._done.with_suffix(".new")
        with new.open("w") as file:
            json.dump([self._settings.key, self.tally()], file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._done)

    def _recall(self) -> bool:
        """Whether there is such a note; then it is known what became of the objects."""
        try:
            key, values = json.loads(self._done.read_text())
        except FileNotFoundError:
            return False
        if key != self._settings.key:
            return False
        tally = Tally(*values)
        self._outcomes.update(
            {
                COPIED: tally.copied,
                CONVERTED: tally.converted,
                THERE: tally.there,
                LEFT_OUT: tally.left_out,
            }
        )
        self._size = tally.size
        self._failures = [(uid, reason) for uid, reason in tally.failures]
        return True

    def _seal(self) -> None:
        """The marks, and what we had for ourselves, go."""
        for name in ("converted", DEIDENTIFIED):
            (self._scratch / name).unlink(missing_ok=True)
        if self._settings.target.kind == FOLDER:
            with suppress(OSError):
                self._unfinished.finish()
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._settings.target.kind == DISC:
            self._image.unlink(missing_ok=True)
            with suppress(MediaError):
                optical.eject(self._settings.target.path)

    # Whether the target is there.

    def _check_mount(self) -> None:
        mount = self._settings.mount
        if mount and not os.path.ismount(mount):
            raise self._gone("it is not mounted any more")

    def _check_disc(self) -> None:
        """Raises DeviceError where there is no blank disc: nothing is prepared in vain."""
        drive = self._settings.target.path
        if self._settings.target.kind != DISC:
            return
        found = optical.look_into(drive)
        if found.status is not optical.DriveStatus.CDS_DISC_OK:
            raise DeviceError(f"there is no disc in {drive}; put a blank one in")
        if not found.is_blank:
            raise DeviceError(f"the disc in {drive} is not blank; put a blank one in")

    def _check_presence(self) -> None:
        """Raises StorageError where it is another medium than at the beginning, or none."""
        try:
            if self._presence in (None, presence(self._folder)):
                return
        except OSError as error:
            raise self._gone(error.strerror) from error
        raise self._gone("it is not the medium that it was")

    def _failed(self, error: OSError) -> StorageError:
        if error.errno in _FULL:
            return NoRoom(
                f"there is no room left for {error.filename or self._folder}", value=error.errno
            )
        self._check_mount()
        self._check_presence()
        return StorageError(f"{error.filename or self._folder}: {error.strerror}")

    def _gone(self, why: str | None) -> StorageError:
        return StorageError(
            f"{self._place} cannot be written to: {why}",
            value=str(self._place),
            way_out="Put the medium back: the export begins this volume again.",
        )
