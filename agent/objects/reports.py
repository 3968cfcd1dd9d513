"""Writes structured reports and key object selections from a content tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from agent.errors import LocalError
from agent.objects import relationships
from agent.objects.composite import FinishedObject
from agent.objects.content_tree import (
    Composite,
    Container,
    ContentItem,
    Text,
    references_in,
)
from agent.objects.description import (
    DeviceIdentity,
    ExaminationIdentity,
    InstanceDescription,
    Moment,
)
from agent.objects.element import Element, Item
from agent.objects.head_only import write_object
from agent.objects.references import Code, InstanceReference, by_study
from agent.objects.relationships import KEY_OBJECT_SELECTION

_REQUEST_ATTRIBUTES, _REFERENCED_REQUESTS = 0x00400275, 0x0040A370
_EVIDENCE, _OTHER_EVIDENCE = 0x0040A375, 0x0040A385
_PROCEDURE_CODES, _PERFORMED_PROCEDURE_CODES = 0x00081032, 0x0040A372

# C.17.2: an item of Referenced Request Sequence; each is there, empty where it is not known.
_REQUEST_ROWS: Mapping[int, str] = {
    0x00080050: "SH",
    0x00081110: "SQ",
    0x00321060: "LO",
    0x00321064: "SQ",
    0x00401001: "SH",
    0x00402016: "LO",
    0x00402017: "LO",
}

KEY_OBJECT_DESCRIPTION = Code("113012", "DCM", "Key Object Description")


@dataclass(frozen=True, slots=True)
class Verification:
    """Who has verified a report, for which organisation, when (C.17.2)."""

    observer: str
    organization: str
    at: Moment
    code: Code | None = None


def write_report(
    descriptor: int,
    sop_class_uid: str,
    root: Container,
    identity: ExaminationIdentity,
    device: DeviceIdentity,
    instance: InstanceDescription,
    *,
    complete: bool = True,
    verification: Verification | None = None,
    file_meta: bytes = b"",
    transfer_syntax_uid: str = EXPLICIT_VR_LITTLE_ENDIAN,
) -> FinishedObject:
    """Write a report; the objects that it names are its evidence, so each must say its series.

    Memory: the tree and its bytes. Raises LocalError for a relationship that the IOD does not
    allow, a reference without its series, and whatever else is missing; StorageError when writing
    fails.
    """
    relationships.check(root, sop_class_uid)
    content = {**_requests(identity), **root.elements(root=True)}
    content |= _evidence(root, identity.study.instance_uid, sop_class_uid)
    if sop_class_uid != KEY_OBJECT_SELECTION:
        content[0x0040A491] = Element("CS", "COMPLETE" if complete else "PARTIAL")
        content |= _verified(verification)
        codes = identity.additional.get(_PROCEDURE_CODES)
        if codes is not None:
            content[_PERFORMED_PROCEDURE_CODES] = codes
    left = {tag: e for tag, e in identity.additional.items() if tag != _REQUEST_ATTRIBUTES}
    return write_object(
        descriptor,
        sop_class_uid,
        replace(identity, additional=left),
        device,
        instance,
        content,
        file_meta=file_meta,
        transfer_syntax_uid=transfer_syntax_uid,
    )


def key_object_selection(
    title: Code,
    items: Sequence[Composite],
    *,
    description: str = "",
    context: Sequence[ContentItem] = (),
) -> Container:
    """The tree of TID 2010; `title` is of CID 7010, such as (113000, DCM, "Of Interest").

    Raises LocalError without an item: a selection names at least one object.
    """
    if not items:
        raise LocalError("A selection names at least one object.", clause="PS3.16 TID 2010")
    told = (Text(concept=KEY_OBJECT_DESCRIPTION, text=description),) if description else ()
    return Container(concept=title, template="2010", children=(*context, *told, *items))


def _evidence(root: Container, study_uid: str, sop_class_uid: str) -> dict[int, Element]:
    found = [
        replace(each, study_instance_uid=each.study_instance_uid or study_uid)
        for each in references_in(root)
    ]
    _check_known(found)
    # C.17.6.2: a key object selection has one list for all studies.
    everywhere = sop_class_uid == KEY_OBJECT_SELECTION
    own = [each for each in found if everywhere or each.study_instance_uid == study_uid]
    other = [each for each in found if each not in own]
    return {
        tag: Element("SQ", by_study(references))
        for tag, references in ((_EVIDENCE, own), (_OTHER_EVIDENCE, other))
        if references
    }


def _check_known(references: Sequence[InstanceReference]) -> None:
    for each in references:
        if not each.series_instance_uid:
            raise LocalError(
                "An object that a report names must say its series.",
                clause="PS3.3 C.17.2.3",
                value=each,
            )


def _requests(identity: ExaminationIdentity) -> dict[int, Element]:
    """What the images say in Request Attributes Sequence a report says in its own way (C.17.2)."""
    requests = identity.additional.get(_REQUEST_ATTRIBUTES)
    if requests is None or not isinstance(requests.value, tuple):
        return {}
    items: list[Item] = []
    for request in requests.value:
        item = {tag: request.get(tag, Element(vr, "")) for tag, vr in _REQUEST_ROWS.items()}
        item[0x0020000D] = Element("UI", identity.study.instance_uid)
        items.append(item)
    return {_REFERENCED_REQUESTS: Element("SQ", tuple(items))}


def _verified(verification: Verification | None) -> dict[int, Element]:
    if verification is None:
        return {0x0040A493: Element("CS", "UNVERIFIED")}
    at = verification.at
    code = () if verification.code is None else (verification.code.item(),)
    observer = {
        0x0040A027: Element("LO", verification.organization),
        0x0040A030: Element("DT", at.date + at.time + at.offset),
        0x0040A075: Element("PN", verification.observer),
        0x0040A088: Element("SQ", code),
    }
    return {0x0040A493: Element("CS", "VERIFIED"), 0x0040A073: Element("SQ", (observer,))}
