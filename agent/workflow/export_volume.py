"""One volume of an export: a file-set in a folder, an image of a disc, a disc, a ZIP file, a mail.

It goes on step by step. What was left of it by a former life is taken back first; what is finished
is known by a note of our own, beside our scratch files. Files are copied, converted where the
profile wants it, read back from the medium and compared with what is in the archive.

Memory: what the file-set's writer holds (15 MiB for 100,000 instances in 1,000 series), 60 bytes an
instance more while the directory is verified, a codec's working set, a MiB.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from agent.archive.records import Instance
from agent.errors import DeviceError, GantryError, StorageError
from agent.media.application_profiles import Profile
from agent.media.file_ids import DICOMDIR, FileNames
from agent.media.file_set import FileSetWriter
from agent.media.web_content import WebContent
from agent.media.web_pages import PRODUCT, About
from agent.quoting import quoted
from agent.workflow.export_notes import read_note, write_note
from agent.workflow.export_objects import ExportObjects, NotToBeHad
from agent.workflow.export_plain import NO_PROFILE, PlainFiles, profile_named, writer_of
from agent.workflow.export_planning import objects_of
from agent.workflow.export_settings import (
    BURNING,
    CONVERTED,
    COPIED,
    COPYING,
    DISC,
    FILES,
    FOLDER,
    IMAGING,
    LEFT_OUT,
    MAIL,
    MESSAGE,
    SENDING,
    THERE,
    VERIFYING,
    ZIP,
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
    directory_as,
    verify_directory,
    verify_file,
    verify_image,
    written_as,
)
from agent.workflow.medium_presence import change_since, check_blank_disc, presence
from hal.removable import discs, optical
from hal.removable.base import MediaError, MediumFull, WrongSettings

if TYPE_CHECKING:
    from agent.workflow.export_post import Post

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
        self._image = self._place if settings.target.kind in FILES else self._scratch / "image.iso"
        self._post = _post_of(settings, self._profile)
        self._said = ""
        self._unfinished = Unfinished(self._folder, settings.key, pages=settings.target.pages)
        self._presence: tuple[int, int, bool] | None = None
        self._outcomes = dict.fromkeys((COPIED, CONVERTED, THERE, LEFT_OUT), 0)
        self._size = 0
        self._failures: list[tuple[str, str]] = []
        self._objects = ExportObjects(settings, self._profile)

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
            self._said,
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
            if self._post is not None and self._recall(self._post.written):
                # The mail is there already, and may be with some of those whom it is for.
                yield from self._sent(self._post)
                return
            self._check_mount()
            if self._settings.target.kind == DISC:
                check_blank_disc(self._settings.target.path)
            self.take_back()
            yield from self._written()
            if self._post is not None and self._post.message.exists():
                yield from self._sent(self._post)
        except OSError as error:
            raise self._failed(error) from error
        except MediumFull as error:
            raise NoRoom(f"{quoted(error)}") from error
        except WrongSettings as error:
            raise ExportFailed(f"{quoted(error)}") from error
        except MediaError as error:
            raise DeviceError(f"{quoted(error)}") from error

    def take_back(self) -> None:
        """All that an unfinished volume has left goes. Raises OSError, StorageError."""
        self._check_mount()
        if self._settings.target.kind == FOLDER:
            self._unfinished.take_back()
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        for path in (self._image, Path(f"{self._image}.unfinished")):
            path.unlink(missing_ok=True)
        if self._post is not None:
            self._post.forget()

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
        if self._post is not None:
            self._note(self._post.written)
            shutil.rmtree(self._folder, ignore_errors=True)
            return
        self._note()
        self._seal()

    def _sent(self, post: Post) -> Iterator[Step]:
        yield Step(SENDING)
        self._said = post.send()
        self._note()
        self._seal()

    def _copied(self, files: WrittenFiles) -> Iterator[Step]:
        settings = self._settings
        self._objects.begin()
        if settings.target.kind == FOLDER:
            self._unfinished.begin()
        else:
            self._folder.mkdir(parents=True)
        self._presence = presence(self._folder)
        with (
            writer_of(settings, self._profile, self._folder) as writer,
            self._web_content() as pages,
        ):
            for unit in settings.volume.units:
                for instance in objects_of(settings.archive, unit, settings.last_instance):
                    self._check_presence()
                    outcome = self._copy(writer, pages, files, instance)
                    self._outcomes[outcome] += 1
                    yield Step(COPYING, outcome)
            self._check_number()
            if not files.count:
                return
            writer.finish()
            for page in pages.finish() if pages is not None else ():
                files.add(directory_as(self._folder, page))
        if self._profile is not NO_PROFILE:
            name = FileNames(self._folder).real_name(DICOMDIR) or DICOMDIR
            files.add(directory_as(self._folder, name))

    def _web_content(self) -> AbstractContextManager[WebContent | None]:
        settings = self._settings
        if not settings.target.pages:
            return nullcontext()
        product = f"{PRODUCT} ({settings.implementation_version_name})"
        about = About(*settings.maker, product=product, file_set_id=settings.file_set_id)
        return WebContent(self._folder, about)

    def _check_number(self) -> None:
        """What was planned, and is not in the archive any more, is told."""
        missing = self._settings.volume.objects - sum(self._outcomes.values())
        if missing > 0:
            self._outcomes[LEFT_OUT] += missing
            self._failures.append(("", f"{missing} objects are not in the archive any more"))

    def _copy(
        self,
        writer: FileSetWriter | PlainFiles,
        pages: WebContent | None,
        files: WrittenFiles,
        instance: Instance,
    ) -> str:
        """One object; what became of it. Raises where it is for the target, or our own disk."""
        uid = instance.sop_instance_uid
        try:
            ready = self._objects.ready(instance)
        except NotToBeHad as error:
            return self._leave_out(uid, str(error))
        try:
            file_id = writer.add(ready.path)
        except GantryError as error:
            if isinstance(error.__cause__, OSError):
                raise error.__cause__ from error
            return self._leave_out(uid, str(error))
        if not file_id:
            return THERE
        files.add(written_as(self._folder, file_id, ready.digest))
        if pages is not None:
            pages.add(ready.path, file_id)
        return CONVERTED if ready.is_converted else COPIED

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
        if target.kind == ZIP:
            from agent.workflow.export_packing import make_zip

            yield from make_zip(self._folder, self._image, self._scratch)
            self._check_size()
            return
        if target.kind in (MESSAGE, MAIL):
            from agent.workflow.export_post import write_post

            path = self._post.message if self._post is not None else self._image
            yield from write_post(self._settings, self._profile, self._folder, path)
            self._check_size(path)
            return
        yield Step(IMAGING)
        discs.make_image(str(self._folder), str(self._image), self._settings.file_set_id)
        self._check_size()
        for _ in verify_image(self._image, self._folder, files.count):
            yield Step(VERIFYING)
        if target.kind == DISC:
            yield Step(BURNING)
            discs.burn(str(self._image), target.path)
            yield Step(VERIFYING)
            discs.verify(str(self._image), target.path)

    def _check_size(self, path: Path | None = None) -> None:
        size, limit = (path or self._image).stat().st_size, self._settings.target.volume_size
        if limit and size > limit:
            what = "mail" if self._settings.target.kind in (MESSAGE, MAIL) else "image"
            raise NoRoom(
                f"the {what} has {size} bytes, and a volume {limit}", value=size, limit=limit
            )

    # What is finished.

    def _note(self, path: Path | None = None) -> None:
        """The volume is whole: whatever comes, it is not begun again. Raises OSError."""
        write_note(path or self._done, self._settings.key, self.tally())

    def _recall(self, path: Path | None = None) -> bool:
        """Whether there is such a note; then it is known what became of the objects."""
        tally = read_note(path or self._done, self._settings.key)
        if tally is None:
            return False
        self._outcomes.update(
            {
                COPIED: tally.copied,
                CONVERTED: tally.converted,
                THERE: tally.there,
                LEFT_OUT: tally.left_out,
            }
        )
        self._size = tally.size
        self._said = tally.said
        self._failures = [*tally.failures]
        return True

    def _seal(self) -> None:
        """The marks, and what we had for ourselves, go."""
        self._objects.forget()
        if self._settings.target.kind == FOLDER:
            with suppress(OSError):
                self._unfinished.finish()
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._post is not None:
            self._post.forget()
        if self._settings.target.kind == DISC:
            self._image.unlink(missing_ok=True)
            with suppress(MediaError):
                optical.eject(self._settings.target.path)

    # Whether the target is there.

    def _check_mount(self) -> None:
        mount = self._settings.mount
        if mount and not os.path.ismount(mount):
            raise self._gone("it is not mounted any more")

    def _check_presence(self) -> None:
        """Raises StorageError where it is another medium than at the beginning, or none."""
        if self._presence is None:
            return
        try:
            change = change_since(self._presence, self._folder)
        except OSError as error:
            raise self._gone(error.strerror) from error
        if change:
            raise self._gone(f"{quoted(change)}")

    def _failed(self, error: OSError) -> StorageError:
        if error.errno in _FULL:
            return NoRoom(
                f"there is no room left for {quoted(error.filename or self._folder)}",
                value=error.errno,
            )
        self._check_mount()
        self._check_presence()
        if error.errno == errno.EROFS:
            return StorageError(
                f"{quoted(self._place)} can only be read now",
                value=str(self._place),
                way_out="The kernel stops writing to what has faults: unmount the medium, have it"
                " checked (fsck) and mount it again, or take another.",
            )
        return StorageError(f"{quoted(error.filename or self._folder)}: {error.strerror}")

    def _gone(self, why: str | None) -> StorageError:
        return StorageError(
            f"{quoted(self._place)} cannot be written to: {why}",
            value=str(self._place),
            way_out="Put the medium back: the export begins this volume again.",
        )


def _post_of(settings: VolumeSettings, profile: Profile) -> Post | None:
    """The mail that a volume is; what writes and sends it takes some MiB, and mails are few."""
    if settings.target.kind != MAIL:
        return None
    from agent.workflow.export_post import Post

    return Post(settings, profile)
