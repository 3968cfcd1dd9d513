"""Making the media of one request: file-sets in folders, or images of discs, and their copies.

All of it is made in a hidden folder beside the others, read back and compared, and made durable.
Only then it gets its name, by one rename: there are all media of a request, or none.

Memory: 400 bytes an instance, what the file-set's writer holds, a codec's working set, a MiB.
"""

from __future__ import annotations

import errno
import os
import shutil
import zlib
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

from agent.archive import reader_worker
from agent.archive.layout import object_path
from agent.archive.procedure_steps import unpack
from agent.archive.records import Instance
from agent.dataset.attributes import Attributes
from agent.dataset.uid import new_uid
from agent.dataset.whole_write import sync_folder
from agent.errors import GantryError, StorageError
from agent.media.application_profiles import Profile
from agent.media.directory_records import record_type_of
from agent.media.directory_writer import Creator
from agent.media.file_ids import open_file
from agent.media.file_set import FileSetWriter
from agent.media.file_set_checks import check_file
from agent.media.web_content import MOST_OF_AN_IMAGE, WebContent
from agent.media.web_pages import PRODUCT, About
from agent.quoting import Sentence, quoted
from agent.services.media_creation import Volume
from agent.services.media_creation_table import (
    INSTANCE_TOO_LARGE,
    PROCESSING_FAILED,
    PROFILE_INSTANCE_CONFLICT,
)
from agent.services.storage_commitment import Failure, Reference
from agent.workflow.export_conversion import convert
from agent.workflow.export_settings import NotAsWritten
from agent.workflow.export_targets import DISC_OVERHEAD, DISCS, SECTOR
from agent.workflow.export_verification import (
    WrittenFiles,
    digest_of_data_set,
    directory_as,
    verify_directory,
    verify_file,
    verify_image,
    written_as,
)
from agent.workflow.export_worker import remove_other_folders
from agent.workflow.media_creation_check import Rules, check_request, united, wanted_of
from agent.workflow.media_creation_task import CreationResult, CreationTask
from hal.removable import discs
from hal.removable.base import MediaError, MediumFull, NotAllowed

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_RECORD = 1024
"""Bytes that an instance takes in the directory, more or less."""
_LONGEST_ID = 16
_UNFINISHED = ".unfinished"


class _Source(NamedTuple):
    """An instance as it goes on a medium: the file, and the bytes that it takes there."""

    reference: Reference
    series: str
    path: Path
    size: int


class _Refused(Exception):
    """The request cannot be carried out, whatever comes."""

    def __init__(self, info: str, failed: Sequence[Failure] = (), why: str = "") -> None:
        super().__init__(info)
        self.result = CreationResult(info, tuple(failed), why=why)


class Making:
    """One request. Nothing is where it belongs before `publish`."""

    def __init__(self, task: CreationTask) -> None:
        self._task = task
        self._request = unpack(task.request)
        self._staging = _staging(task.folder, task.uid)
        # Include Non-DICOM Objects, S.3.2.1.1.7.
        said = self._request.text("IncludeNonDICOMObjects")
        self._has_pages = said == "YES" or (said != "NO" and task.pages)
        self._creator = Creator(task.implementation_class_uid, task.implementation_version_name, "")

    def make(self) -> CreationResult:
        """All of it, from the beginning; what a former try has left goes first. Raises StorageError
        where the archive cannot be read."""
        wanted = wanted_of(self._request)
        here = self._instances([each.reference.sop_instance_uid for each in wanted])
        rules = Rules(
            self._task.profile,
            self._task.profiles,
            self._request.text("AllowLossyCompression") == "NO",
            self._task.kind == "image",
        )
        checked = check_request(wanted, here, rules)
        if checked.info != "NORMAL":
            return CreationResult(checked.info, checked.failed)
        try:
            instances = [here[each.reference.sop_instance_uid] for each in wanted]
            return self._made(instances, checked.profiles)
        except _Refused as refused:
            result = refused.result
        except MediumFull as error:
            result = CreationResult(
                "OUT_OF_SUPPLIES", passing=True, why=Sentence(f"{quoted(error)}")
            )
        except NotAllowed as error:
            result = CreationResult("MCD_FAILURE", why=Sentence(f"{quoted(error)}"))
        except (MediaError, NotAsWritten) as error:
            result = CreationResult("MCD_FAILURE", passing=True, why=Sentence(f"{quoted(error)}"))
        except OSError as error:
            info = "OUT_OF_SUPPLIES" if error.errno in _FULL else "CHECK_MCD_OP"
            why = Sentence(f"{quoted(error.filename or self._task.folder)}: {error.strerror}")
            result = CreationResult(info, passing=True, why=why)
        discard(self._task.folder, self._task.uid)
        return result

    def _instances(self, uids: Iterable[str]) -> dict[str, Instance]:
        found = {}
        for uid in uids:
            for each in reader_worker.instances(self._task.archive, sop_instance_uid=uid).items:
                found[uid] = each
        return found

    def _made(self, instances: Sequence[Instance], profiles: Sequence[Profile]) -> CreationResult:
        Path(self._task.folder).mkdir(exist_ok=True)
        discard(self._task.folder, self._task.uid)
        converted = self._staging / "converted"
        converted.mkdir(parents=True)
        sources = self._sources(instances, profiles, converted)
        profile = united(profiles)
        parts = self._divided(sources, profile)
        volumes = tuple(
            self._volume(number, len(parts), part, profile)
            for number, part in enumerate(parts, start=1)
        )
        shutil.rmtree(converted)
        sync_folder(self._staging)
        return CreationResult("NORMAL", (), volumes)

    def _sources(
        self, instances: Sequence[Instance], profiles: Sequence[Profile], converted: Path
    ) -> list[_Source]:
        """Each instance as its profile takes it: as it is stored, or in another transfer syntax,
        never with a loss. Raises _Refused, OSError where our folder cannot be written."""
        found, failed = [], []
        for number, (each, profile) in enumerate(zip(instances, profiles, strict=True)):
            reference = Reference(each.sop_class_uid, each.sop_instance_uid)
            path = object_path(Path(self._task.archive), each.id)
            if profile.refusal(each.sop_class_uid, each.transfer_syntax_uid):
                target = converted / str(number)
                try:
                    self._convert(path, each, profile, target)
                except GantryError:
                    failed.append(Failure(reference, PROFILE_INSTANCE_CONFLICT))
                    continue
                path = target
            try:
                size = path.stat().st_size
                check_file(profile, path)
            except StorageError:
                failed.append(Failure(reference, PROFILE_INSTANCE_CONFLICT))
                continue
            except FileNotFoundError:
                failed.append(Failure(reference, PROCESSING_FAILED))
                continue
            taken = -(-size // SECTOR) * SECTOR + _RECORD + self._beside(each)
            found.append(_Source(reference, each.series_instance_uid, path, taken))
        if failed:
            alike = {each.reason for each in failed} == {PROFILE_INSTANCE_CONFLICT}
            raise _Refused("INST_AP_CONFLICT" if alike else "PROC_FAILURE", failed)
        return found

    def _beside(self, instance: Instance) -> int:
        """Bytes that pages take for it."""
        kind = record_type_of(instance.sop_class_uid)
        is_image = kind is not None and kind.name == "IMAGE"
        return MOST_OF_AN_IMAGE if is_image and self._has_pages else 0

    def _convert(self, path: Path, instance: Instance, profile: Profile, target: Path) -> None:
        source = open_file(path)
        task = self._task
        try:
            implementation = (task.implementation_class_uid, task.implementation_version_name)
            convert(source, instance, profile, target, implementation)
        finally:
            os.close(source)

    def _divided(self, sources: Sequence[_Source], profile: Profile) -> list[list[_Source]]:
        """The volumes, in the order of the request. Raises _Refused where it does not fit."""
        limit = self._task.volume_size or DISCS.get(profile.medium, 0)
        room = max(1, limit - DISC_OVERHEAD) if limit else 0
        large = [each.reference for each in sources if room and each.size > room]
        if large:
            failed = [Failure(each, INSTANCE_TOO_LARGE) for each in large]
            raise _Refused("INST_OVERSIZED", failed)
        parts: list[list[_Source]] = [[]]
        filled, series = 0, ""
        for each in sources:
            size = each.size + (2 * SECTOR if each.series != series else 0)
            if room and parts[-1] and filled + size > room:
                parts.append([])
                filled = 0
            parts[-1].append(each)
            filled, series = filled + size, each.series
        if len(parts) > 1 and self._request.text("AllowMediaSplitting") == "NO":
            raise _Refused("SET_OVERSIZED", why=f"{len(parts)} volumes are needed")
        return parts

    def _volume(
        self, number: int, count: int, sources: Sequence[_Source], profile: Profile
    ) -> Volume:
        """One file-set, with its copies. Raises _Refused, NotAsWritten, MediaError, OSError."""
        volume = self._identifiers(number, count)
        folder = self._staging / f"volume-{number}"
        files = WrittenFiles(self._staging)
        try:
            self._write(folder, volume, sources, profile, files)
            for each in files:
                verify_file(folder, each)
            verify_directory(folder, files, alone=True)
            place = folder
            if self._task.kind == "image":
                place = folder.with_name(f"{folder.name}.iso")
                discs.make_image(str(folder), str(place), volume.file_set_id)
                for _ in verify_image(place, folder, files.count):
                    pass
                shutil.rmtree(folder)
        finally:
            files.close()
        for copy in range(2, self._task.copies + 1):
            _copy(place, place.with_name(f"{folder.name}-copy-{copy}{place.suffix}"))
        return volume

    def _identifiers(self, number: int, count: int) -> Volume:
        """Those that were asked for (S.3.2.1.1.1), or new ones."""
        request: Attributes = self._request
        name = request.text("StorageMediaFileSetID")
        name = name or f"M{zlib.crc32(self._task.uid.encode()):08X}"
        if count > 1:
            end = f"_{number}"
            name = name[: _LONGEST_ID - len(end)] + end
        uid = request.text("StorageMediaFileSetUID") if number == 1 else ""
        return Volume(name, uid or new_uid())

    def _write(
        self,
        folder: Path,
        volume: Volume,
        sources: Sequence[_Source],
        profile: Profile,
        files: WrittenFiles,
    ) -> None:
        failed = []
        with (
            FileSetWriter(
                folder,
                profile,
                self._creator,
                file_set_id=volume.file_set_id,
                file_set_uid=volume.file_set_uid,
                spill_folder=self._staging,
            ) as writer,
            self._web_content(folder, volume) as pages,
        ):
            for each in sources:
                try:
                    digest = digest_of_data_set(each.path)
                    file_id = writer.add(each.path)
                except GantryError as error:
                    if isinstance(error.__cause__, OSError):
                        raise error.__cause__ from error
                    file_id = ""
                if not file_id:
                    failed.append(Failure(each.reference, PROCESSING_FAILED))
                    continue
                files.add(written_as(folder, file_id, digest))
                if pages is not None:
                    pages.add(each.path, file_id)
            if failed:
                raise _Refused("DIR_PROC_ERR", failed)
            writer.finish()
            for page in pages.finish() if pages is not None else ():
                files.add(directory_as(folder, page))
        files.add(directory_as(folder))

    def _web_content(
        self, folder: Path, volume: Volume
    ) -> AbstractContextManager[WebContent | None]:
        if not self._has_pages:
            return nullcontext()
        product = f"{PRODUCT} ({self._task.implementation_version_name})"
        about = About(*self._task.maker, product=product, file_set_id=volume.file_set_id)
        return WebContent(folder, about)


def _copy(source: Path, target: Path) -> None:
    """A copy of a folder or file, durable. Raises OSError."""
    if source.is_dir():
        target.mkdir()
        for each in sorted(source.iterdir()):
            _copy(each, target / each.name)
        sync_folder(target)
        return
    shutil.copyfile(source, target)
    descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _staging(folder: str, uid: str) -> Path:
    return Path(folder, f".{uid}{_UNFINISHED}")


def publish(folder: str, uid: str) -> bool:
    """Give the media of a request their name; True when they have it, False where there are none.

    A folder of the same name is that of an older request of this UID, and stays. Raises OSError.
    """
    staging, target = _staging(folder, uid), Path(folder, uid)
    if not staging.is_dir():
        return target.is_dir()
    number = 1
    while target.exists():
        number += 1
        target = Path(folder, f"{uid}-{number}")
    staging.rename(target)
    sync_folder(Path(folder))
    return True


def discard(folder: str, uid: str) -> None:
    """What was made of a request, and has no name yet, goes; what cannot go stays."""
    shutil.rmtree(_staging(folder, uid), ignore_errors=True)


def discard_others(folder: str, wanted: Iterable[str]) -> None:
    """What was left of requests that are not among these."""
    kept = {_staging(folder, uid).name for uid in wanted}
    remove_other_folders(folder, kept, f".*{_UNFINISHED}")
