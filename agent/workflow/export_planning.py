"""What an export will write: its studies, its profile, and how they are spread over volumes.

Runs in a worker, which reads the index. Memory: one entry for each series, a page of objects.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from agent.archive import reader_worker
from agent.archive.layout import object_path
from agent.archive.matching import Matching
from agent.archive.matching_rules import MatchingRules
from agent.archive.records import Instance, Study
from agent.configuration.mail import Mail
from agent.dataset import tags
from agent.dataset.attributes import Attributes
from agent.dataset.byte_source import FileBytes, decoded
from agent.dataset.head import scan_head
from agent.dataset.transfer_syntaxes import encoding_of
from agent.errors import GantryError, LocalError
from agent.media.application_profiles import MAIL_PROFILES, PROFILES, Profile
from agent.media.directory_records import record_type_of
from agent.media.file_ids import open_file
from agent.media.web_content import MOST_OF_AN_IMAGE
from agent.quoting import quoted
from agent.workflow import export_targets
from agent.workflow.export_plain import profile_named
from agent.workflow.export_settings import (
    FOLDER,
    MAIL,
    MESSAGE,
    ZIP,
    NoRoom,
    Plan,
    Selection,
    Target,
    Unit,
    Volume,
)

MOST_STUDIES = 1000
"""Studies of one export: it must be possible to say which they are."""

_PAGE = 500
_RECORD = 1024
"""Bytes that an instance takes in the directory, more or less."""
_KEYWORDS: Mapping[str, str] = {
    "StudyInstanceUID": "study_instance_uid",
    "StudyDate": "study_date",
    "StudyTime": "study_time",
    "AccessionNumber": "accession_number",
    "StudyID": "study_id",
    "StudyDescription": "study_description",
    "ReferringPhysicianName": "referring_physician_name",
    "PatientID": "patient_id",
    "IssuerOfPatientID": "issuer_of_patient_id",
    "PatientName": "patient_name",
    "PatientBirthDate": "birth_date",
    "PatientSex": "sex",
}
_USUAL = {
    True: ("STD-GEN-USB-JPEG", "STD-GEN-USB-J2K"),
    False: ("STD-GEN-DVD-JPEG", "STD-GEN-DVD-J2K"),
}
"""Beside STD-GEN-CD, by whether the target is a folder: what takes compressed objects."""
_NO_MAIL = Mail()
_SHAPE = frozenset(
    (tags.ROWS, tags.COLUMNS, tags.SAMPLES_PER_PIXEL, tags.BITS_ALLOCATED, tags.NUMBER_OF_FRAMES)
)


def plan(
    folder: str,
    selection: Selection,
    target: Target,
    profile: str,
    scratch: str,
    mail: Mail = _NO_MAIL,
) -> Plan:
    """What an export of the archive in `folder` will do; nothing is written.

    Without a `profile` it is the one that takes most objects as they are stored. Raises LocalError
    where nothing is chosen, or the target cannot be; NoRoom where it does not fit; StorageError.
    """
    try:
        studies = _chosen(folder, selection)
        if not profile and target.kind in (MESSAGE, MAIL):
            profile = mail.profile if target.kind == MAIL else "STD-GEN-ZIP-MAIL"
        used = profile_named(profile) if profile else _fitting(folder, studies, target)
        export_targets.check_target(target, used, mail)
        return _planned(folder, studies, target, used, Path(scratch))
    except OSError as error:
        raise LocalError(
            f"{quoted(error.filename or target.path)}: {error.strerror}", value=target.path
        ) from error


def objects_of(folder: str, unit: Unit, last: int) -> Iterator[Instance]:
    """The objects of a unit that were there when the export was planned, series by series."""
    for found in reader_worker.studies(folder, study_instance_uid=unit.study).items:
        for one in _series_of(folder, found):
            if not unit.series or one[1] in unit.series:
                yield from _objects(folder, one[0], last)


def _chosen(folder: str, selection: Selection) -> list[Study]:
    keys = Attributes()
    for keyword, value in selection.query:
        if keyword not in _KEYWORDS:
            raise LocalError(
                f"studies are not looked for by {keyword}",
                value=keyword,
                limit=", ".join(_KEYWORDS),
            )
        keys.set(keyword, value)
    matching = Matching(keys, MatchingRules(unknown_matches=False))
    found: list[Study] = []
    before: int | None = None
    wanted = frozenset(selection.studies)
    while True:
        page = reader_worker.studies(
            folder,
            before,
            _PAGE,
            patient_id=selection.patient_id,
            study_date_from=selection.date_from,
            study_date_to=selection.date_to,
        )
        found += [
            each
            for each in page.items
            if (not wanted or each.study_instance_uid in wanted)
            and (not selection.query or matching.matches(_as_attributes(each)))
        ]
        if len(found) > MOST_STUDIES:
            raise LocalError(
                f"more than {MOST_STUDIES} studies are chosen",
                limit=MOST_STUDIES,
                way_out="Choose fewer: by patient, or by fewer days.",
            )
        if page.next is None:
            break
        before = page.next
    missing = wanted - {each.study_instance_uid for each in found}
    if missing or not found:
        raise LocalError(
            f"there is no study {quoted(min(missing))}"
            if missing
            else "no study fits what is chosen",
            value=tuple(missing),
            way_out="'gantry studies' lists what is there.",
        )
    return sorted(
        found,
        key=lambda each: (
            each.patient_id,
            each.patient_name,
            each.study_date,
            each.study_time,
            each.id,
        ),
    )


def _as_attributes(study: Study) -> Attributes:
    made = Attributes()
    for keyword, name in _KEYWORDS.items():
        made.set(keyword, getattr(study, name))
    return made


def _series_of(folder: str, study: Study) -> Iterator[tuple[int, str]]:
    after = 0
    while True:
        page = reader_worker.series(folder, study.id, after, _PAGE)
        for each in page.items:
            yield each.id, each.series_instance_uid
        if page.next is None:
            return
        after = page.next


def _objects(folder: str, series: int, last: int = 0) -> Iterator[Instance]:
    after = 0
    while True:
        page = reader_worker.instances(folder, series=series, after=after, limit=_PAGE)
        yield from (each for each in page.items if not last or each.id <= last)
        if page.next is None:
            return
        after = page.next


def _fitting(folder: str, studies: Sequence[Study], target: Target) -> Profile:
    """Of the usual profiles the one that takes most as it is; among equals the simplest."""
    if target.kind == ZIP:
        return MAIL_PROFILES["STD-GEN-ZIP-MAIL"]
    candidates = [PROFILES[name] for name in ("STD-GEN-CD", *_USUAL[target.kind == FOLDER])]
    if target.update:
        candidates = [each for each in candidates if each.updates]
    refused = dict.fromkeys((each.name for each in candidates), 0)
    for study in studies:
        for number, _ in _series_of(folder, study):
            for each in _objects(folder, number):
                for profile in candidates:
                    refusal = profile.refusal(each.sop_class_uid, each.transfer_syntax_uid)
                    refused[profile.name] += bool(refusal)
    return min(candidates, key=lambda each: refused[each.name])


def _planned(
    folder: str, studies: Sequence[Study], target: Target, profile: Profile, scratch: Path
) -> Plan:
    block = export_targets.block_size(target)
    last = 0
    measured: list[tuple[str, list[_Measured]]] = []
    for study in studies:
        series = []
        for number, uid in _series_of(folder, study):
            one = _Measured(uid)
            for each in _objects(folder, number):
                one.objects += 1
                one.size += _size(folder, each, profile, target, block)
                last = max(last, each.id)
            one.size += 2 * block
            series.append(one)
        measured.append((study.study_instance_uid, series))
    rooms = _divided(measured, export_targets.capacity(target, profile))
    volumes = [
        Volume(
            export_targets.place_of(target, number, len(rooms)),
            tuple(room.units),
            room.objects,
            room.size,
        )
        for number, room in enumerate(rooms, start=1)
    ]
    export_targets.check_places(target, volumes)
    export_targets.check_room(target, volumes, scratch)
    patients = dict.fromkeys((each.patient_id, each.patient_name) for each in studies)
    return Plan(
        profile.name,
        tuple(each.study_instance_uid for each in studies),
        tuple(sum(one.objects for one in series) for _, series in measured),
        tuple(patients),
        tuple(volumes),
        last,
        export_targets.mount_of(target),
    )


class _Measured:
    """A series: its objects, and the bytes that they take there."""

    def __init__(self, uid: str) -> None:
        self.uid = uid
        self.objects = 0
        self.size = 0


class _Room:
    """A volume that is being filled."""

    def __init__(self) -> None:
        self.units: list[Unit] = []
        self.objects = 0
        self.size = 0

    def put(self, unit: Unit, series: Sequence[_Measured]) -> None:
        self.units.append(unit)
        self.objects += sum(each.objects for each in series)
        self.size += sum(each.size for each in series)


def _divided(measured: Sequence[tuple[str, list[_Measured]]], limit: int) -> list[_Room]:
    """Whole studies as long as one fits, else whole series; in their order.

    Raises NoRoom for a series that is too large for any volume.
    """
    rooms = [_Room()]

    def fits(size: int) -> bool:
        return not limit or rooms[-1].size + size <= limit

    for study, series in measured:
        size = sum(each.size for each in series)
        if not limit or size <= limit:
            if not fits(size):
                rooms.append(_Room())
            rooms[-1].put(Unit(study), series)
            continue
        for one in series:
            if one.size > limit:
                raise NoRoom(
                    f"the series {quoted(one.uid)} takes {one.size} bytes, and a volume {limit}",
                    value=one.size,
                    limit=limit,
                    way_out="Take larger media (--volume-size).",
                )
            if not fits(one.size):
                rooms.append(_Room())
            here = rooms[-1]
            if here.units and here.units[-1].study == study:
                before = here.units.pop()
                here.put(Unit(study, (*before.series, one.uid)), [one])
            else:
                here.put(Unit(study, (one.uid,)), [one])
    return rooms


def _size(folder: str, instance: Instance, profile: Profile, target: Target, block: int) -> int:
    """Bytes that an object will take there, with its part of the directory and its picture."""
    size = instance.size
    syntax = encoding_of(instance.transfer_syntax_uid)
    if profile.refusal(instance.sop_class_uid, instance.transfer_syntax_uid):
        size += size // 64 + 4096
        if syntax.encapsulated or syntax.deflated:
            size += _native_size(folder, instance)
    beside = _RECORD
    if _is_image(instance.sop_class_uid):
        beside += profile.icon.side**2 if target.icons or profile.icon.is_required else 0
        beside += MOST_OF_AN_IMAGE if target.pages else 0
    return -(-size // block) * block + beside


def _is_image(sop_class_uid: str) -> bool:
    kind = record_type_of(sop_class_uid)
    return kind is not None and kind.name == "IMAGE"


def _native_size(folder: str, instance: Instance) -> int:
    """Bytes of the frames once they are decompressed; 0 where the head does not say."""
    try:
        descriptor = open_file(object_path(Path(folder), instance.id))
    except OSError:
        return 0
    syntax = encoding_of(instance.transfer_syntax_uid)
    try:
        stored = decoded(FileBytes(descriptor, instance.data_set_offset), syntax)
        head = scan_head(stored, syntax._replace(deflated=False), _SHAPE)
        values = [head.values.get(tag, b"") for tag in (tags.ROWS, tags.COLUMNS)]
        rows, columns = (int.from_bytes(each[:2], "little") for each in values)
        samples = int.from_bytes(head.values.get(tags.SAMPLES_PER_PIXEL, b"\1")[:2], "little")
        bits = int.from_bytes(head.values.get(tags.BITS_ALLOCATED, b"\x08")[:2], "little")
        frames = head.values.get(tags.NUMBER_OF_FRAMES, b"1").strip(b" \0")
        return rows * columns * samples * bits // 8 * (int(frames) if frames.isdigit() else 1)
    except GantryError:
        return 0
    finally:
        os.close(descriptor)
