"""References to objects and concepts: items that many modules hold (PS3.3 10.3, 10.8, 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from agent.dataset import tags
from agent.objects.element import Element, Item

_CODE_VALUE, _SCHEME, _SCHEME_VERSION, _MEANING = 0x00080100, 0x00080102, 0x00080103, 0x00080104
_LONG_CODE_VALUE, _URN_CODE_VALUE = 0x00080119, 0x00080120
_REFERENCED_FRAME_NUMBER = 0x00081160
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
