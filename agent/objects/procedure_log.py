"""Writes the Procedure Log of a study from events that several devices report (PS3.3 A.35.7).

An object is not changed once it is stored, so a log that goes on is a new instance of the same
series with all entries so far, which names the one before as its predecessor (C.17.2). It says
PARTIAL: nobody tells when a procedure has no more events.

The log is recorded by us, so we are the observer of its root; who reported an event is the observer
context of that entry (HAS OBS CONTEXT may stand below any item, Table A.35.7-2). All else that an
event says of its root holds for the log.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from agent.dataset.attributes import SINGLE_TEXTS, Attributes
from agent.dataset.date_time import moment_of
from agent.objects.composite import FinishedObject
from agent.objects.content_tree import CONTAINS, HAS_OBSERVATION_CONTEXT
from agent.objects.description import DeviceIdentity, ExaminationIdentity, InstanceDescription
from agent.objects.element import Element, Item
from agent.objects.head_only import write_object
from agent.objects.observer_context import OBSERVER_CODES, device_observer
from agent.objects.procedure_log_template import TEMPLATE, code_of
from agent.objects.references import InstanceReference, by_study
from agent.objects.relationships import PROCEDURE_LOG

_SPECIFIC_CHARACTER_SET = 0x00080005
_CONTENT_SEQUENCE, _OBSERVATION_DATE_TIME = 0x0040A730, 0x0040A032
_TITLE, _VALUE_TYPE, _CONTINUITY = 0x0040A043, 0x0040A040, 0x0040A050
_PREDECESSORS, _EVIDENCE, _OTHER_EVIDENCE = 0x0040A360, 0x0040A375, 0x0040A385
_COMPLETION, _VERIFICATION = 0x0040A491, 0x0040A493
_SYNCHRONIZATION_FRAME, _SYNCHRONIZED = 0x00200200, 0x00181800


class EarlierLog(NamedTuple):
    """The log that is continued: its data set, and what names it."""

    content: Attributes
    reference: InstanceReference


def write_procedure_log(
    descriptor: int,
    event: Attributes,
    earlier: EarlierLog | None,
    identity: ExaminationIdentity,
    device: DeviceIdentity,
    instance: InstanceDescription,
    *,
    synchronization_frame: str,
    synchronized: bool,
    evidence: Sequence[InstanceReference] = (),
    file_meta: bytes = b"",
) -> FinishedObject | None:
    """Write the log with this event; None, and nothing is written, where it has all of it.

    `event` is content that `procedure_log_template.fault_of` has nothing against; `synchronized`
    says that its times are of `synchronization_frame`. `evidence` are the objects that it names, as
    far as their series is known. What comes a second time, because the answer to the first was
    lost, is logged once. Memory: the log, some ten times encoded. Raises LocalError for a value
    that breaks its VR, StorageError when the file cannot be written.
    """
    before = () if earlier is None else earlier.content.items_of("ContentSequence")
    entries = [item_of(each) for each in before if _is_entry(each)]
    offset = instance.created.offset
    fresh = [each for each in _entries(event, offset) if each not in entries]
    if not fresh:
        return None
    context = [item_of(each) for each in before if not _is_entry(each)]
    if earlier is None:
        context = [each.elements() for each in device_observer(device)]
    context += [each for each in map(item_of, _context(event)) if each not in context]
    entries = sorted([*entries, *fresh], key=_moment)
    root = item_of(event if earlier is None else earlier.content)
    template = {0x00080105: Element("CS", "DCMR"), 0x0040DB00: Element("CS", TEMPLATE)}
    in_frame = earlier is None or earlier.content.text(_SYNCHRONIZED) == "Y"
    content = {
        _VALUE_TYPE: root[_VALUE_TYPE],
        _TITLE: root[_TITLE],
        _CONTINUITY: root[_CONTINUITY],
        0x0040A504: Element("SQ", (template,)),
        _CONTENT_SEQUENCE: Element("SQ", (*context, *entries)),
        _COMPLETION: Element("CS", "PARTIAL"),
        _VERIFICATION: Element("CS", "UNVERIFIED"),
        _SYNCHRONIZATION_FRAME: Element("UI", synchronization_frame),
        # C.7.4.2: one time of another frame, or of none, is enough for N.
        _SYNCHRONIZED: Element("CS", "Y" if synchronized and in_frame else "N"),
        **_references(earlier, evidence, identity.study.instance_uid),
    }
    return write_object(
        descriptor, PROCEDURE_LOG, identity, device, instance, content, file_meta=file_meta
    )


def item_of(attributes: Attributes) -> Item:
    """Attributes as elements of an item, for an object in a character set of its own."""
    made: dict[int, Element] = {}
    for tag in attributes:
        vr, values = attributes[tag]
        if tag == _SPECIFIC_CHARACTER_SET:
            continue
        if vr == "SQ":
            made[tag] = Element(vr, tuple(map(item_of, attributes.items_of(tag))))
        elif not values:
            made[tag] = Element(vr, "")
        elif len(values) == 1 or vr in SINGLE_TEXTS:
            made[tag] = Element(vr, values[0])
        else:
            made[tag] = Element(vr, tuple(values))
    return made


def references_of(content: Attributes) -> list[tuple[str, str]]:
    """Class and instance UID of the objects that content names, each once."""
    found: dict[tuple[str, str], None] = {}
    for item in content.items_of("ContentSequence"):
        if item.text("ValueType") in ("IMAGE", "WAVEFORM", "COMPOSITE"):
            for each in item.items_of("ReferencedSOPSequence"):
                named = each.text("ReferencedSOPClassUID"), each.text("ReferencedSOPInstanceUID")
                found[named] = None
        found |= dict.fromkeys(references_of(item))
    return list(found)


def _is_entry(item: Attributes) -> bool:
    return item.text("RelationshipType") == CONTAINS


def _is_observer(item: Attributes) -> bool:
    return (
        item.text("RelationshipType") == HAS_OBSERVATION_CONTEXT
        and item.item_of("ConceptNameCodeSequence").text("CodingSchemeDesignator") == "DCM"
        and code_of(item, "ConceptNameCodeSequence") in OBSERVER_CODES
    )


def _context(event: Attributes) -> Iterable[Attributes]:
    for item in event.items_of("ContentSequence"):
        if not _is_entry(item) and not _is_observer(item):
            yield item


def _entries(event: Attributes, offset: str) -> list[Item]:
    """The events, each with its observers, unless it has some, and times that say their zone."""
    items = event.items_of("ContentSequence")
    observers = [item_of(each) for each in items if _is_observer(each)]
    made: list[Item] = []
    for each in filter(_is_entry, items):
        item = dict(item_of(each))
        children = each.items_of("ContentSequence")
        if not any(map(_is_observer, children)):
            item[_CONTENT_SEQUENCE] = Element("SQ", (*observers, *map(item_of, children)))
        item[_OBSERVATION_DATE_TIME] = Element(
            "DT", _with_zone(each.text("ObservationDateTime"), offset)
        )
        made.append(item)
    return made


def _with_zone(moment: str, offset: str) -> str:
    """A log may go on in another offset than it began: a time without one is of ours now."""
    return moment if moment[-5:-4] in ("+", "-") else moment + offset


def _moment(entry: Item) -> datetime.datetime:
    return moment_of(str(entry[_OBSERVATION_DATE_TIME].value)) or datetime.datetime.min


def _references(
    earlier: EarlierLog | None, evidence: Sequence[InstanceReference], study_uid: str
) -> dict[int, Element]:
    """The predecessor, and the objects that entries name (C.17.2)."""
    known = {each.sop_instance_uid: each for each in evidence}
    found: dict[int, Element] = {}
    if earlier is not None:
        found[_PREDECESSORS] = Element("SQ", by_study((earlier.reference,)))
        known |= {each.sop_instance_uid: each for each in _evidence_of(earlier.content)}
    own = [each for each in known.values() if each.study_instance_uid == study_uid]
    other = [each for each in known.values() if each.study_instance_uid != study_uid]
    for tag, references in ((_EVIDENCE, own), (_OTHER_EVIDENCE, other)):
        if references:
            found[tag] = Element("SQ", by_study(references))
    return found


def _evidence_of(content: Attributes) -> Iterable[InstanceReference]:
    for sequence in (_EVIDENCE, _OTHER_EVIDENCE):
        for study in content.items_of(sequence):
            for series in study.items_of("ReferencedSeriesSequence"):
                for each in series.items_of("ReferencedSOPSequence"):
                    yield InstanceReference(
                        each.text("ReferencedSOPClassUID"),
                        each.text("ReferencedSOPInstanceUID"),
                        series.text("SeriesInstanceUID"),
                        study.text("StudyInstanceUID"),
                    )
