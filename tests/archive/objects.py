"""Objects and receivers for the tests of the archive, and a storage worker without a process."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.archive.decision import DELIVER, Decision, JobPlan, Origin, Receiver, Verdict
from agent.archive.reception import Reception
from agent.archive.settings import ArchiveSettings
from agent.archive.storage_worker import Opened, StorageWorker
from agent.dataset import tags
from agent.dataset.file_meta import encode_file_meta
from agent.dataset.head import Head
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, encoding_of
from agent.dataset.writer import DataSetWriter
from agent.errors import StatusReaction

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"

_ELEMENTS = (
    (tags.SPECIFIC_CHARACTER_SET, "CS"),
    (tags.SOP_CLASS_UID, "UI"),
    (tags.SOP_INSTANCE_UID, "UI"),
    (tags.STUDY_DATE, "DA"),
    (tags.ACCESSION_NUMBER, "SH"),
    (tags.MODALITY, "CS"),
    (tags.PATIENT_NAME, "PN"),
    (tags.PATIENT_ID, "LO"),
    (tags.STUDY_INSTANCE_UID, "UI"),
    (tags.SERIES_INSTANCE_UID, "UI"),
    (tags.INSTANCE_NUMBER, "IS"),
    (tags.PIXEL_DATA, "OW"),
)


@dataclass(frozen=True)
class SampleObject:
    """A small object as it comes from the network: file meta information, data set, and origin."""

    meta: bytes
    data_set: bytes
    sop_instance_uid: str
    sop_class_uid: str = CT_IMAGE_STORAGE
    calling: str = "MODALITY"

    @property
    def origin(self) -> Origin:
        return Origin(
            calling=self.calling,
            sop_class_uid=self.sop_class_uid,
            sop_instance_uid=self.sop_instance_uid,
        )


def sample(
    uid: str = "1.2.3.1",
    *,
    study: str = "1.2.3",
    series: str = "1.2.3.0",
    patient_id: str = "4711",
    patient_name: str | bytes = "Doe^Jane",
    character_set: str = "ISO_IR 100",
    pixels: bytes = b"\1\2" * 500,
    transfer_syntax: str = EXPLICIT_VR_LITTLE_ENDIAN,
    calling: str = "MODALITY",
) -> SampleObject:
    """An object with the usual keys; a text that is "" leaves its element out."""
    values: dict[int, str | bytes] = {
        tags.SPECIFIC_CHARACTER_SET: character_set,
        tags.SOP_CLASS_UID: CT_IMAGE_STORAGE,
        tags.SOP_INSTANCE_UID: uid,
        tags.STUDY_DATE: "20260102",
        tags.ACCESSION_NUMBER: "A1",
        tags.MODALITY: "CT",
        tags.PATIENT_NAME: patient_name,
        tags.PATIENT_ID: patient_id,
        tags.STUDY_INSTANCE_UID: study,
        tags.SERIES_INSTANCE_UID: series,
        tags.INSTANCE_NUMBER: "1",
        tags.PIXEL_DATA: pixels,
    }
    parts: list[bytes] = []
    writer = DataSetWriter(parts.append, encoding_of(transfer_syntax))
    for tag, vr in _ELEMENTS:
        value = values[tag]
        if value:
            writer.element(tag, vr, value.encode() if isinstance(value, str) else value)
    writer.close()
    meta = encode_file_meta(
        sop_class_uid=CT_IMAGE_STORAGE,
        sop_instance_uid=uid or "1.2.3.99",
        transfer_syntax_uid=transfer_syntax,
        implementation_class_uid="2.25.1",
        source_ae_title=calling,
    )
    return SampleObject(meta, b"".join(parts), uid, calling=calling)


@dataclass(frozen=True)
class Rules:
    """A receiver that delivers everything to the same peers, and may change or refuse."""

    destinations: tuple[str, ...] = ()
    coercions: Mapping[int, bytes | None] = field(default_factory=dict)
    refusal: StatusReaction | None = None
    discard: bool = False
    plan: Mapping[str, Any] = field(default_factory=dict)
    wanted: frozenset[int] = frozenset()

    def receive(self, head: Head, origin: Origin) -> Decision:
        return Decision(
            jobs=tuple(JobPlan(DELIVER, name, **self.plan) for name in self.destinations),
            coercions=self.coercions,
            refusal=self.refusal,
            discard=self.discard,
        )


class RecordedCall:
    """A call as the worker sees it, and what it was answered."""

    def __init__(self, name: str, arguments: tuple[Any, ...], descriptors: Sequence[int]) -> None:
        self.name = name
        self.arguments = arguments
        self.descriptors = descriptors
        self.value: Any = None
        self.error: BaseException | None = None
        self.answers = 0

    def reply(self, value: object) -> None:
        self.value = value
        self.answers += 1

    def fail(self, error: BaseException) -> None:
        self.error = error
        self.answers += 1

    def result(self) -> Any:
        assert self.answers == 1, f"{self.name} was answered {self.answers} times"
        if self.error is not None:
            raise self.error
        return self.value


class Worker:
    """A storage worker in this process, called synchronously."""

    def __init__(
        self,
        folder: Path,
        receiver: Receiver | None = None,
        settings: ArchiveSettings | None = None,
    ) -> None:
        self.folder = folder
        self.settings = settings or ArchiveSettings(lock_patience=0.1)
        self.worker = StorageWorker(folder, self.settings, receiver or Rules())
        self.opened: Opened = self.call("open")

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def close(self) -> None:
        self.worker.close()

    def serve(self, *calls: RecordedCall) -> list[RecordedCall]:
        self.worker.serve(calls)
        return list(calls)

    def call(self, name: str, *arguments: Any) -> Any:
        (call,) = self.serve(RecordedCall(name, arguments, ()))
        return call.result()

    def queue(self, name: str, *arguments: Any, **fields: Any) -> Any:
        return self.call(name, arguments, fields)

    def store(self, *objects: SampleObject) -> list[Verdict]:
        """Store objects as one group."""
        return [call.result().verdict for call in self.try_store(*objects)]

    def try_store(
        self,
        *objects: SampleObject,
        before: Callable[[], None] = lambda: None,
        compared: Mapping[int, bool] | None = None,
    ) -> list[RecordedCall]:
        receptions = [receive(self.folder, each) for each in objects]
        calls = [
            RecordedCall(
                "commit", (each.origin, reception.hidden_name, compared), [reception.descriptor]
            )
            for each, reception in zip(objects, receptions, strict=True)
        ]
        try:
            before()
            return self.serve(*calls)
        finally:
            for reception in receptions:
                reception.discard()

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        store = self.worker._store
        assert store is not None
        return store.index.execute(statement, values).fetchall()


def receive(folder: Path, sample_object: SampleObject) -> Reception:
    """A reception with the whole object in it."""
    reception = Reception(folder, sample_object.meta, ArchiveSettings().statuses)
    os.write(reception.descriptor, sample_object.data_set)
    return reception


def files(folder: Path) -> dict[int, bytes]:
    """The objects that have a name, by number."""
    return {int(path.stem): path.read_bytes() for path in folder.glob("objects/*/*.dcm")}
