"""Making and updating a file-set in a folder, as a File-set Creator and Updater (PS3.4 I.2).

Files are copied and synced first. The directory comes last, under another name, is synced, and
then renamed: whatever cuts the power, the folder has the old file-set or the new one, if its file
system has a journal. On FAT, which has none, there may be neither for a moment: an export keeps a
copy of the directory as it was. Files that are to go are removed after that.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zlib
from functools import partial
from pathlib import Path
from types import TracebackType

from agent.dataset import tags
from agent.dataset.attributes import Attribute, Attributes
from agent.dataset.uid import new_uid
from agent.dataset.whole_write import sync_folder, write_whole
from agent.errors import StorageError
from agent.media.application_profiles import Profile, check, check_image, wanted_for
from agent.media.directory_records import LEVELS, RECORD_TYPES, Key
from agent.media.directory_writer import (
    ROOT_ENTITY,
    Creator,
    DirectoryTree,
    head_of_directory,
    identification,
)
from agent.media.envelope import Envelope
from agent.media.examining import examined
from agent.media.existing_directory import ExistingDirectory, loaded
from agent.media.extra_keys import NO_EXTRA_KEYS, ExtraKeys, recounted
from agent.media.file_copying import Syncing, copy_part_10
from agent.media.file_ids import DICOMDIR, comparable, fault_of, open_file
from agent.media.file_set_checks import check_security, check_wishes, kind_of
from agent.media.icons import icon_for
from agent.media.object_keys import read_keys
from agent.media.record_building import STAND_INS, record_content, reference_to, wanted_of
from agent.quoting import quoted

TOP_FOLDER = "DICOM"
"""Where new files are: DICOM/P0000001/S0000001/E0000001/I0000001."""

_LETTERS = {"PATIENT": "P", "STUDY": "S", "SERIES": "E"}
NEW_DIRECTORY = "DICOMDIR.NEW"
"""The name of the directory until it is whole."""


class FileSetWriter:
    """A file-set that is being made, or added to; `finish` writes its directory.

    Memory: 36 bytes for each record, about a hundred for each instance's identity and some hundred
    for each series: 15 MiB for 100,000 instances in 1,000 series. Records wait in a temporary file.
    """

    def __init__(
        self,
        folder: Path,
        profile: Profile,
        creator: Creator,
        *,
        file_set_id: str = "",
        file_set_uid: str = "",
        extra_keys: ExtraKeys = NO_EXTRA_KEYS,
        update: bool = False,
        without: frozenset[str] = frozenset(),
        spill_folder: Path | None = None,
        envelope: Envelope | None = None,
        icons: bool = False,
        anew: str = "",
    ) -> None:
        """A new file-set in `folder`, which is made where it is not there. Without `file_set_uid`
        its File-set UID is a new one.

        With `update`, the one that is there: `without` are the SOP Instance UIDs to delete, all
        other records stay as they are, icons, private keys and private records too.
        With `anew`, the name of a directory, a new one takes its place, for files that are there
        too (`adopt`). With `envelope` every file is a Secure DICOM file, the DICOMDIR too (PS3.11
        D.3.5); a secure profile must have one, and no other may. What is not secured is in
        `spill_folder`, or where temporary files are, in files without a name.

        With `icons` each image has one that an icon can be made of, as large as the profile says;
        where the profile wants one of each, an image without is refused in any case. Memory is then
        that of `icons.icon_of`, too.

        Raises LocalError for a new file-set where there is one, and for a File-set ID that PS3.10
        8.5 does not allow. Raises StorageError for an update where there is no directory, or one
        without a Directory Information Module (PS3.4 I.3.3 e), or one that is damaged or not in
        Explicit VR Little Endian: they are left untouched.
        """
        check_wishes(folder, profile, file_set_id, update, anew)
        check_security(profile, envelope)
        self._envelope = envelope
        self._icons = icons or profile.icon.is_required
        self._spill_folder = spill_folder
        self._folder = folder
        self._profile = profile
        self._creator = creator
        self._extra = extra_keys
        self._counts: dict[int, int] = {}
        self._folders: dict[int, str] = {}
        self._numbers: dict[str, int] = {}
        self._ours: list[str] = []
        self._is_finished = False
        self._syncing = Syncing()
        self._tree = DirectoryTree(spill_folder)
        try:
            if update:
                self._old = loaded(folder, self._tree, without)
            else:
                folder.mkdir(parents=True, exist_ok=True)
                self._old = ExistingDirectory(
                    anew or DICOMDIR, file_set_uid or new_uid(), identification(file_set_id), b""
                )
        except OSError as error:
            self.close()
            raise _failed(error, folder) from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> FileSetWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the temporary file; without `finish` before, of all that was copied too."""
        self._tree.close()
        self._syncing.close()
        while self._ours and not self._is_finished:
            place = self._folder / self._ours.pop()
            if place.is_dir():
                shutil.rmtree(place, ignore_errors=True)
            else:
                place.unlink(missing_ok=True)

    @property
    def deleted(self) -> int:
        """How many instances the update takes out."""
        return self._old.deleted

    def add(self, path: Path) -> str:
        """Copy a Part 10 file into the file-set; its File ID, "" when the instance is there.

        Raises StorageError for a file that cannot be read, is not what the profile allows, lacks a
        mandatory key or icon, has a study that belongs to another patient, or cannot be written;
        PeerError for a data set that cannot be parsed. The file-set is then as before.
        """
        return self._add_file(path)

    def adopt(self, name: str) -> str:
        """A file that is in the folder already, by its name with "/"; its File ID, "" when another
        file has the same instance. It stays as it is.

        Raises as `add` does, and StorageError for a name that can be no File ID (PS3.10 8.2).
        """
        file_id = "\\".join(comparable(part) for part in name.split("/"))
        if fault := fault_of(file_id):
            raise StorageError(
                f"No directory can refer to it: {quoted(fault)}.",
                clause="PS3.10 8.2",
                value=name,
                way_out="Import it, and make a new file-set.",
            )
        return self._add_file(self._folder / name, file_id)

    def _add_file(self, path: Path, there: str = "") -> str:
        try:
            descriptor = open_file(path)
        except OSError as error:
            raise _failed(error, path) from error
        try:
            return self._add(descriptor, there)
        except OSError as error:
            raise _failed(error, path) from error
        finally:
            os.close(descriptor)

    def _add(self, descriptor: int, there: str) -> str:
        """Of what is `there` only the record is made, with this File ID."""
        found = examined(descriptor)
        kind = kind_of(found)
        # What the data set is encoded in, whatever its file meta information says.
        syntax = found.meta.encoding_uid
        check(self._profile, found.sop_class_uid, syntax)
        if hash(found.sop_instance_uid) in self._old.known:
            return ""
        levels = LEVELS if kind.parent else ()
        rows = {name: self._keys_of(name) for name in (*levels, kind.name)}
        wanted = frozenset(tag for keys in rows.values() for tag in wanted_of(keys))
        wanted |= wanted_for(self._profile, found.sop_class_uid)
        keys = read_keys(descriptor, found.meta, wanted | STAND_INS)
        check_image(self._profile, found.sop_class_uid, keys, syntax)
        if levels and not keys.has("PatientID"):
            keys.set("PatientID", _stand_in_for_patient(keys.text("StudyInstanceUID")))
        chain, missing = self._way_to(_identities(keys, levels))
        parent = chain[-1]
        # All that can fail comes first; only then the tree is changed.
        contents = [
            record_content(
                RECORD_TYPES[name],
                rows[name],
                keys,
                1 if depth else self._counts.get(parent, 0) + 1,
                self._extra.counted(name),
            )
            for depth, (name, _) in enumerate(missing)
        ]
        folders = [] if there else self._folders_for(chain, levels)
        file = "" if there else self._next_name(folders[-1], "I")
        file_id = there or file.replace("/", "\\")
        reference = reference_to(
            file_id,
            found.sop_class_uid,
            found.sop_instance_uid,
            syntax,
        )
        if self._icons and kind.name == "IMAGE":
            icon = icon_for(self._profile, descriptor, found.meta)
            if icon is not None:
                reference.put(tags.ICON_IMAGE_SEQUENCE, Attribute("SQ", (icon,)))
        number = 1 if missing else self._counts.get(parent, 0) + 1
        leaf = record_content(kind, rows[kind.name], keys, number, reference)
        if not there:
            copy_part_10(
                descriptor, found, self._folder, file, self._creator, self._envelope, self._syncing
            )
        for (name, identity), content in zip(missing, contents, strict=True):
            parent = self._new_node(parent, name, identity, content)
            chain.append(parent)
        self._folders.update(zip(chain, folders, strict=not there))
        self._tree.add(parent, leaf)
        self._count(parent)
        self._old.known.add(hash(found.sop_instance_uid))
        return file_id

    def _keys_of(self, name: str) -> tuple[Key, ...]:
        """Those of PS3.3 F.5, of the profile and of the product; where one stands twice, the
        stricter is the first."""
        keys: dict[str, Key] = {}
        for key in (
            *self._profile.keys.get(name, ()),
            *RECORD_TYPES[name].keys,
            *self._extra.of(name),
        ):
            keys.setdefault(key.keyword, key)
        return tuple(keys.values())

    def _way_to(self, identities: list[tuple[str, str]]) -> tuple[list[int], list[tuple[str, str]]]:
        """The nodes that are there on the way down from the root, and the levels that are not."""
        chain = [ROOT_ENTITY]
        for depth, (_, identity) in enumerate(identities):
            node = self._old.nodes.get((chain[-1], identity))
            if node is None:
                for other, study in identities[depth:]:
                    if other == "STUDY" and study in self._old.patient_of_study:
                        raise _two_patients(study)
                return chain, identities[depth:]
            chain.append(node)
        return chain, []

    def _new_node(self, parent: int, name: str, identity: str, content: bytes) -> int:
        node = self._tree.add(parent, content, recounted if self._extra.elscint else None)
        self._count(parent)
        self._old.nodes[parent, identity] = node
        if name == "STUDY":
            self._old.patient_of_study[identity] = parent
        return node

    def _count(self, parent: int) -> None:
        self._counts[parent] = self._counts.get(parent, 0) + 1

    def _folders_for(self, chain: list[int], levels: tuple[str, ...]) -> list[str]:
        """The folders on the way down, from that of the root on.

        Beside what others have written, ours are new: their names may mean something to them.
        """
        folders = [TOP_FOLDER]
        for depth, name in enumerate(levels, start=1):
            known = self._folders.get(chain[depth]) if depth < len(chain) else None
            folders.append(known or self._next_name(folders[-1], _LETTERS[name]))
        return folders

    def _next_name(self, folder: str, letter: str) -> str:
        """A name in the folder that nothing has yet."""
        while True:
            number = self._numbers.get(f"{folder}/{letter}", 0) + 1
            self._numbers[f"{folder}/{letter}"] = number
            name = f"{folder}/{letter}{number:07}"
            if not (self._folder / name).exists():
                if folder == TOP_FOLDER:
                    self._ours.append(name)
                return name

    def finish(self) -> None:
        """Write the directory: from now on the file-set is the new one.

        Raises LocalError when the directory is too long, StorageError when it cannot be written.
        """
        new = self._folder / NEW_DIRECTORY
        try:
            self._syncing.now()
            self._sync_folders()
            out = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            try:
                self._write_directory(out)
                os.fsync(out)
                new.replace(self._folder / self._old.name)
                self._is_finished = True
                # On FAT, where the new name leads to is written with the file, not the folder.
                os.fsync(out)
            finally:
                os.close(out)
            sync_folder(self._folder)
            for name in self._old.doomed:
                (self._folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise _failed(error, new) from error
        finally:
            new.unlink(missing_ok=True)

    def _write_directory(self, out: int) -> None:
        if self._envelope is None:
            self._write_tree(out)
            return
        # What is on the medium is never plain, not even for a moment.
        with tempfile.TemporaryFile(dir=self._spill_folder) as plain:
            self._write_tree(plain.fileno())
            self._envelope.write(partial(write_whole, out), plain.fileno())

    def _write_tree(self, out: int) -> None:
        self._tree.write(
            partial(write_whole, out),
            head_of_directory(self._creator, self._old.sop_instance_uid or new_uid()),
            self._old.more,
            self._old.after,
        )

    def _sync_folders(self) -> None:
        """The names of the new files, and of their folders."""
        below = {Path(each) for each in self._folders.values()}
        for folder in {up for each in below for up in (each, *each.parents)}:
            if (self._folder / folder).is_dir():
                sync_folder(self._folder / folder)


def _identities(keys: Attributes, levels: tuple[str, ...]) -> list[tuple[str, str]]:
    if not levels:
        return []
    study, series = keys.text("StudyInstanceUID"), keys.text("SeriesInstanceUID")
    return [("PATIENT", keys.text("PatientID")), ("STUDY", study), ("SERIES", series)]


def _stand_in_for_patient(study: str) -> str:
    """A Patient ID must be there and be unique (PS3.3 F.5.1): one for each study without."""
    return f"NOID-{zlib.crc32(study.encode()):08X}"


def _two_patients(study: str) -> StorageError:
    return StorageError(
        f"The study {quoted(study)} is in the file-set under another Patient ID.",
        clause="PS3.3 F.5.2",
        value=study,
        way_out="Correct the patient of the objects first.",
    )


def _failed(error: OSError, path: Path) -> StorageError:
    return StorageError(
        f"{quoted(error.filename or path)}: {error.strerror}.",
        value=error.errno,
        way_out="Make room, or take a medium that can be written.",
    )
