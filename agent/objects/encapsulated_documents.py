"""Encapsulated PDF, CDA and STL: a file of another format as an object (PS3.3 A.45, A.85)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from agent.dataset.element_encoding import encode_header
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, encoding_of
from agent.errors import LocalError, StorageError
from agent.objects.composite import FinishedObject
from agent.objects.description import DeviceIdentity, ExaminationIdentity, InstanceDescription
from agent.objects.document_iods import (
    ENCAPSULATED_CDA,
    ENCAPSULATED_PDF,
    ENCAPSULATED_STL,
    MIME_TYPES,
)
from agent.objects.element import Element
from agent.objects.head import encode
from agent.objects.head_only import elements_of_object
from agent.objects.output import OutputFile
from agent.objects.references import Code, InstanceReference, common_instance_reference

_ENCAPSULATED_DOCUMENT = 0x00420011
_PIECE = 65536
_LONGEST = 0xFFFFFFFE

# What such a file starts with; a CDA may start with blanks, a binary STL with anything.
_STARTS: Mapping[str, bytes] = {ENCAPSULATED_PDF: b"%PDF-"}

MILLIMETRE = Code("mm", "UCUM", "mm")


@dataclass(frozen=True, slots=True)
class DocumentDescription:
    """What is said of a document. `title` is the one it has, `concept_name` what kind it is.

    `hl7_instance_identifier` is the id of a CDA: root, or root^extension. `frame_of_reference_uid`
    and `unit` are those of an STL.
    """

    title: str | None = None
    concept_name: Code | None = None
    sources: tuple[InstanceReference, ...] = ()
    hl7_instance_identifier: str | None = None
    frame_of_reference_uid: str | None = None
    unit: Code = MILLIMETRE
    conversion_type: str = "WSD"
    """Of PDF and CDA (C.8.6.1): WSD is made at a workstation, SD a scanned document."""


def encapsulate(
    descriptor: int,
    sop_class_uid: str,
    source: int,
    identity: ExaminationIdentity,
    device: DeviceIdentity,
    instance: InstanceDescription,
    document: DocumentDescription,
    *,
    file_meta: bytes = b"",
    transfer_syntax_uid: str = EXPLICIT_VR_LITTLE_ENDIAN,
) -> FinishedObject:
    """Write the object around the file that `source` has open, which is read from its start.

    The file streams through in pieces of 64 KiB. `descriptor` and `file_meta` as of
    `composite.begin`. Raises LocalError when something mandatory is missing or the file is not of
    that format, StorageError when reading or writing fails (what was written is taken back).
    """
    syntax = encoding_of(transfer_syntax_uid)
    try:
        length = os.fstat(source).st_size
        start = os.pread(source, 16, 0)
    except OSError as error:
        raise StorageError("The document cannot be read.", value=error.errno) from error
    if not 0 < length <= _LONGEST or not start.startswith(_STARTS.get(sop_class_uid, b"")):
        raise LocalError(
            "The file is empty, too long, or no document of this kind.",
            clause="PS3.3 C.24.2",
            value=(length, start),
            limit=_LONGEST,
        )
    content = _content(sop_class_uid, identity.study.instance_uid, document, length)
    elements = elements_of_object(sop_class_uid, identity, device, instance, content, syntax)
    before = {tag: each for tag, each in elements.items() if tag < _ENCAPSULATED_DOCUMENT}
    after = {tag: each for tag, each in elements.items() if tag > _ENCAPSULATED_DOCUMENT}
    head = encode(before, syntax)
    tail = encode(after, syntax, head.character_set)
    file = OutputFile(descriptor)
    try:
        header = encode_header(_ENCAPSULATED_DOCUMENT, "OB", length + length % 2, syntax)
        file.append([file_meta, head.data, header])
        _copy(source, length, file)
        file.append([b"\0" * (length % 2), tail.data])
        file.seek_end()
    except StorageError:
        file.take_back()
        raise
    return FinishedObject(
        sop_class_uid,
        instance.sop_instance_uid,
        transfer_syntax_uid,
        0,
        file.started_at + len(file_meta),
        None,
        file.position,
    )


def _copy(source: int, length: int, file: OutputFile) -> None:
    position = 0
    while position < length:
        try:
            piece = os.pread(source, min(_PIECE, length - position), position)
        except OSError as error:
            raise StorageError("The document cannot be read.", value=error.errno) from error
        if not piece:
            raise StorageError("The document became shorter.", value=position, limit=length)
        file.append([piece])
        position += len(piece)


def _content(
    sop_class_uid: str, study_instance_uid: str, document: DocumentDescription, length: int
) -> dict[int, Element]:
    if sop_class_uid not in MIME_TYPES:
        raise LocalError("No kind of document.", clause="PS3.3 C.24.2", value=sop_class_uid)
    content = {
        0x00420010: Element("ST", document.title or ""),
        0x00420012: Element("LO", MIME_TYPES[sop_class_uid]),
        0x00420015: Element("UL", length),
    }
    if sop_class_uid in (ENCAPSULATED_PDF, ENCAPSULATED_CDA):
        content[0x00080064] = Element("CS", document.conversion_type)
    if document.concept_name is not None:
        content[0x0040A043] = document.concept_name.sequence()
    if document.sources:
        content |= common_instance_reference(document.sources, study_instance_uid)
        sources = tuple(source.item() for source in document.sources)
        content[0x00420013] = Element("SQ", sources)
    if sop_class_uid == ENCAPSULATED_CDA:
        if not document.hl7_instance_identifier:
            raise LocalError("A CDA needs its HL7 instance identifier.", clause="PS3.3 C.24.2")
        content[0x0040E001] = Element("ST", document.hl7_instance_identifier)
    if sop_class_uid == ENCAPSULATED_STL:
        if not document.frame_of_reference_uid:
            raise LocalError("A model needs its frame of reference.", clause="PS3.3 A.85.1")
        content[0x00200052] = Element("UI", document.frame_of_reference_uid)
        content[0x00201040] = Element("LO", "")
        # C.35.1.
        content[0x004008EA] = document.unit.sequence()
    return content
