"""References to objects and concepts: items that many modules hold (PS3.3 10.3, 10.8, 8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from agent.dataset import tags
from agent.objects.element import Element, Item

_CODE_VALUE, _SCHEME, _SCHEME_VERSION, _MEANING = 0x00080100, 0x00080102, 0x00080103, 0x00080104
_LONG_CODE_VALUE, _URN_CODE_VALUE = 0x00080119, 0x00080120
_REFERENCED_FRAME_NUMBER = 0x00081160
_REFERENCED_SERIES_SEQUENCE = 0x00081115
_REFERENCED_INSTANCE_SEQUENCE = 0x0008114A
_STUDIES_CONTAINING_OTHER_REFERENCED_INSTANCES = 0x00081200
_STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID = 0x0020000D, 0x0020000E
_LONGEST_CODE_VALUE = 16


class Code(NamedTuple):
    """A coded concept: a triplet, with the version of its scheme where it needs one."""

    value: str
    scheme: str
    meaning: str
    version: str = ""

    def item(self) -> Item:
        """As the Code Sequence Macro writes it (PS3.3 Table 8.8-1)."""
        if "://" in self.value or self.value.lower().startswith("urn:"):
            value = {_URN_CODE_VALUE: Element("UR", self.value)}
        elif len(self.value) > _LONGEST_CODE_VALUE:
            value = {_LONG_CODE_VALUE: Element("UC", self.value)}
        else:
            value = {_CODE_VALUE: Element("SH", self.value)}
        item = {**value, _SCHEME: Element("SH", self.scheme), _MEANING: Element("LO", self.meaning)}
        if self.version:
            item[_SCHEME_VERSION] = Element("SH", self.version)
        return item

    def sequence(self) -> Element:
        """A sequence of this code alone."""
        return Element("SQ", (self.item(),))


@dataclass(frozen=True, slots=True)
class InstanceReference:
    """An object, with where it stands in its study; frames count from 1, none mean all."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str = ""
    study_instance_uid: str = ""
    frames: tuple[int, ...] = ()

    def item(self) -> Item:
        """As the Image SOP Instance Reference Macro writes it (PS3.3 Table 10-3)."""
        item = {
            tags.REFERENCED_SOP_CLASS_UID: Element("UI", self.sop_class_uid),
            tags.REFERENCED_SOP_INSTANCE_UID: Element("UI", self.sop_instance_uid),
        }
        if self.frames:
            item[_REFERENCED_FRAME_NUMBER] = Element("IS", self.frames)
        return item


def by_series(references: Sequence[InstanceReference], sequence: int) -> tuple[Item, ...]:
    """Items of Referenced Series Sequence, whose instances stand in `sequence` without frames."""
    series: dict[str, dict[str, InstanceReference]] = {}
    for each in references:
        series.setdefault(each.series_instance_uid, {})[each.sop_instance_uid] = each
    return tuple(
        {
            _SERIES_INSTANCE_UID: Element("UI", uid),
            sequence: Element("SQ", tuple(_whole(each) for each in instances.values())),
        }
        for uid, instances in series.items()
    )


def by_study(
    references: Sequence[InstanceReference], sequence: int = tags.REFERENCED_SOP_SEQUENCE
) -> tuple[Item, ...]:
    """Study, series, instance: the Hierarchical SOP Instance Reference Macro (Table C.17-3)."""
    studies: dict[str, list[InstanceReference]] = {}
    for each in references:
        studies.setdefault(each.study_instance_uid, []).append(each)
    return tuple(
        {
            _STUDY_INSTANCE_UID: Element("UI", uid),
            _REFERENCED_SERIES_SEQUENCE: Element("SQ", by_series(instances, sequence)),
        }
        for uid, instances in studies.items()
    )


def common_instance_reference(
    references: Sequence[InstanceReference], study_instance_uid: str
) -> dict[int, Element]:
    """The Common Instance Reference Module (PS3.3 C.12.2) of an object of this study.

    A reference that does not say its study is of the same one; without its series it cannot be
    named here.
    """
    known = [each for each in references if each.series_instance_uid]
    same = [each for each in known if each.study_instance_uid in ("", study_instance_uid)]
    others = [each for each in known if each.study_instance_uid not in ("", study_instance_uid)]
    found: dict[int, Element] = {}
    if same:
        items = by_series(same, _REFERENCED_INSTANCE_SEQUENCE)
        found[_REFERENCED_SERIES_SEQUENCE] = Element("SQ", items)
    if others:
        items = by_study(others, _REFERENCED_INSTANCE_SEQUENCE)
        found[_STUDIES_CONTAINING_OTHER_REFERENCED_INSTANCES] = Element("SQ", items)
    return found


def _whole(reference: InstanceReference) -> Item:
    return replace(reference, frames=()).item()
