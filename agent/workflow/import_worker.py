"""The worker of an import: all that may block on a medium, or read what others wrote, happens here.

It goes through the medium once, in the order of its directory, and writes each object of the study
to the file that it is given, with its new identity. The same object gets the same bytes whenever it
is imported again under the same record: what was cut off comes once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.archive import rewriting
from agent.archive.procedure_steps import unpack
from agent.dataset import tags
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import encode_changes, encode_items
from agent.dataset.byte_source import FileBytes, decoded
from agent.dataset.file_meta import FileMeta, encode_file_meta, read_file_meta
from agent.dataset.head import scan_head
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, encoding_of
from agent.errors import GantryError, StorageError
from agent.media.found import Damage, FoundInstance
from agent.media.opening import Opener
from agent.media.reading import found_in
from agent.media.tree_opening import tree_of
from agent.quoting import quoted
from agent.workflow.import_settings import ImportSettings, NotTaken, TakenObject
from agent.workflow.medium_presence import change_since, presence
from agent.workflow.object_copy import Taken, copy_rest, identity_of, write_to_archive

if TYPE_CHECKING:
    from agent.security.signature_verification import Verified

_PUT_BACK = "Put the medium back: the import goes on."
_INSTANCE_ORIGIN_STATUS = 0x04000600
_IMPORTED = b"IMPORTED"
_PORTABLE_MEDIA_IMPORTER = Attributes(
    CodeValue="MEDIM", CodingSchemeDesignator="DCM", CodeMeaning="Portable Media Importer Equipment"
)


def serve_import(calls: Any, settings: ImportSettings) -> None:
    """The entry: the one call is `take`."""
    medium: _Medium | None = None
    while group := calls.receive(limit=1):
        for call in group:
            try:
                medium = medium or _Medium(settings)
                call.reply(medium.take(*call.descriptors))
            except Exception as error:
                call.fail(error)


class _Medium:
    def __init__(self, settings: ImportSettings) -> None:
        self._settings = settings
        self._root = Path(settings.root)
        try:
            self._presence = presence(self._root)
            self._tree = tree_of(self._root, Opener(settings.keys))
        except OSError as error:
            raise self._gone(error.strerror) from error
        self._found = self._of_the_study()
        self._identity = unpack(settings.identity) if settings.identity else None

    def _of_the_study(self) -> Iterator[FoundInstance | Damage]:
        for each in found_in(self._tree):
            if isinstance(each, Damage):
                # Of which study it would have been nobody can say.
                yield each
            elif each.keys.get("StudyInstanceUID", "") == self._settings.study_instance_uid:
                yield each

    def take(self, target: int) -> TakenObject | NotTaken | Damage | None:
        """Write the next object to `target`; a file that cannot be, or None at the end.

        Raises StorageError where the medium is gone, or our disk fails.
        """
        try:
            found = next(self._found, None)
        except OSError as error:
            raise self._gone(error.strerror) from error
        if not isinstance(found, FoundInstance):
            # Of a medium that was pulled, files are missing, or there is nothing at all.
            self._check_presence()
            return found
        if not found.is_whole:
            # It was told what is missing; half an object is none.
            return NotTaken(found.file, "it is not imported, as its end is missing")
        try:
            taken, signatures = self._write(found, target)
        except OSError as error:
            self._check_presence()
            return NotTaken(found.file, error.strerror or str(error))
        except StorageError as error:
            if error.reaction is not None:
                raise  # Our own disk: it is no fault of the file.
            return NotTaken(found.file, str(error))
        except GantryError as error:
            return NotTaken(found.file, str(error))
        except Exception as error:
            # Whatever a file can do to us, it shall not stop the others.
            return NotTaken(found.file, f"the file cannot be understood: {error!r}")
        return TakenObject(found.file, taken, found.keys, signatures)

    def _check_presence(self) -> None:
        """Raises StorageError where it is another medium than at the beginning, or none."""
        try:
            change = change_since(self._presence, self._root)
        except OSError as error:
            raise self._gone(error.strerror) from error
        if change:
            raise self._gone(f"{quoted(change)}")

    def _gone(self, why: str | None) -> StorageError:
        return StorageError(f"{quoted(self._root)} cannot be read: {why}", way_out=_PUT_BACK)

    def _write(self, found: FoundInstance, target: int) -> tuple[Taken, Sequence[Verified] | None]:
        source = self._tree.open(found.file)
        try:
            meta = read_file_meta(source, tolerate=True)
            sop_class, instance = identity_of(source, meta)
            file_meta = encode_file_meta(
                sop_class_uid=sop_class,
                sop_instance_uid=instance,
                transfer_syntax_uid=meta.transfer_syntax_uid,
                implementation_class_uid=self._settings.implementation_class_uid,
                implementation_version_name=self._settings.implementation_version_name,
            )
            # What was begun for a file that turned out to be damaged goes.
            os.ftruncate(target, 0)
            os.lseek(target, 0, os.SEEK_SET)
            write_to_archive(target, file_meta)
            if self._identity is None:
                copy_rest(source, meta.data_set_offset, target)
            else:
                self._write_reconciled(source, meta, target, self._identity)
            size = os.fstat(target).st_size - len(file_meta)
            return Taken(sop_class, instance, size, meta.remarks), self._verified(source)
        finally:
            os.close(source)

    def _verified(self, source: int) -> Sequence[Verified] | None:
        """The signatures as they are on the medium, before anything is changed."""
        rule = self._settings.signatures
        if rule is None:
            return ()
        from agent.workflow.signature_rule import verify_received

        return verify_received(rule.table, descriptors=[source])

    def _write_reconciled(
        self, source: int, meta: FileMeta, target: int, identity: Attributes
    ) -> None:
        syntax = encoding_of(EXPLICIT_VR_LITTLE_ENDIAN) if meta.encoding.deflated else meta.encoding
        data = decoded(FileBytes(source, meta.data_set_offset), meta.encoding)
        wanted = frozenset((*identity, tags.SPECIFIC_CHARACTER_SET))
        head = scan_head(data, syntax, wanted)
        charset = head.values.get(tags.SPECIFIC_CHARACTER_SET, b"")
        changes = rewriting.changes_that_change(head, encode_changes(identity, charset, syntax))
        equipment = rewriting.items_of(data, syntax, tags.CONTRIBUTING_EQUIPMENT_SEQUENCE)
        unrecorded: dict[int, bytes | None] = {_INSTANCE_ORIGIN_STATUS: _IMPORTED}
        if equipment is not None:
            ours = encode_items([self._equipment()], charset.decode("ascii", "replace"), syntax)
            unrecorded[tags.CONTRIBUTING_EQUIPMENT_SEQUENCE] = equipment + ours
        vrs = {tag: identity[tag].vr for tag in identity}
        vrs[_INSTANCE_ORIGIN_STATUS] = "CS"
        vrs[tags.CONTRIBUTING_EQUIPMENT_SEQUENCE] = "SQ"
        rewriting.write_changed(
            partial(write_to_archive, target),
            source,
            meta,
            changes,
            self._change_record(),
            vrs,
            unrecorded,
        )
        if self._settings.sign_anew is not None:
            changed = (*changes, *unrecorded, tags.ORIGINAL_ATTRIBUTES_SEQUENCE)
            self._settings.sign_anew(source, target, changed, self._settings.date_time)

    def _change_record(self) -> rewriting.ChangeRecord:
        return rewriting.ChangeRecord(
            rewriting.COERCE, self._settings.system, "", self._settings.date_time
        )

    def _equipment(self) -> Attributes:
        """PS3.3 C.12.1.1.5: who had a part in what the object is now."""
        made = Attributes()
        made.set("PurposeOfReferenceCodeSequence", [_PORTABLE_MEDIA_IMPORTER])
        made.set("Manufacturer", "Gantry")
        made.set("StationName", self._settings.system[:16])
        made.set("ContributionDateTime", self._settings.date_time)
        made.set("ContributionDescription", "Imported from a medium")
        return made
