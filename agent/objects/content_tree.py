"""The content of a structured report: a tree of typed items (PS3.3 C.17.3).

Each class is a value type; each item has the relationship to its parent, its concept name and its
children. References by identifier to other items (C.17.3.2.5) are not made. Trees are checked
against the relationships that an IOD allows (`agent.objects.relationships`) before they are
written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from agent.objects.element import Element, Item
from agent.objects.references import Code, InstanceReference

CONTAINS = "CONTAINS"
HAS_PROPERTIES = "HAS PROPERTIES"
HAS_OBSERVATION_CONTEXT = "HAS OBS CONTEXT"
HAS_ACQUISITION_CONTEXT = "HAS ACQ CONTEXT"
INFERRED_FROM = "INFERRED FROM"
SELECTED_FROM = "SELECTED FROM"
HAS_CONCEPT_MODIFIER = "HAS CONCEPT MOD"

_CONTENT_SEQUENCE = 0x0040A730
_REFERENCED_SOP_SEQUENCE = 0x00081199


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentItem:
    """What all items have. `relationship` is that to the parent; the root's is not written."""

    value_type: ClassVar[str] = ""
    concept: Code | None = None
    relationship: str = CONTAINS
    children: tuple[ContentItem, ...] = ()

    def value(self) -> Item:
        """The elements of the item's value; each value type has its own."""
        raise NotImplementedError

    def elements(self, *, root: bool = False) -> dict[int, Element]:
        """The item with all below it, as Content Sequence holds it, or as the document's root."""
        made = {0x0040A040: Element("CS", self.value_type), **self.value()}
        if not root:
            made[0x0040A010] = Element("CS", self.relationship)
        if self.concept is not None:
            made[0x0040A043] = self.concept.sequence()
        if self.children:
            items = tuple(child.elements() for child in self.children)
            made[_CONTENT_SEQUENCE] = Element("SQ", items)
        return made

    def walk(self) -> Iterator[tuple[ContentItem, ContentItem]]:
        """Every item below this one, with its parent before it."""
        for child in self.children:
            yield self, child
            yield from child.walk()


@dataclass(frozen=True, slots=True, kw_only=True)
class Container(ContentItem):
    """CONTAINER: a heading. `template` is its identifier in PS3.16, of the root."""

    value_type: ClassVar[str] = "CONTAINER"
    template: str = ""
    continuity: str = "SEPARATE"

    def value(self) -> Item:
        made = {0x0040A050: Element("CS", self.continuity)}
        if self.template:
            template = {
                0x00080105: Element("CS", "DCMR"),
                0x0040DB00: Element("CS", self.template),
            }
            made[0x0040A504] = Element("SQ", (template,))
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(ContentItem):
    """TEXT."""

    value_type: ClassVar[str] = "TEXT"
    text: str

    def value(self) -> Item:
        return {0x0040A160: Element("UT", self.text)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded(ContentItem):
    """CODE."""

    value_type: ClassVar[str] = "CODE"
    code: Code

    def value(self) -> Item:
        return {0x0040A168: self.code.sequence()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(ContentItem):
    """NUM: a measurement, or None where it could not be made (then `qualifier` says why)."""

    value_type: ClassVar[str] = "NUM"
    number: float | None
    units: Code
    qualifier: Code | None = None

    def value(self) -> Item:
        measured: tuple[Item, ...] = ()
        if self.number is not None:
            one = {0x0040A30A: Element("DS", self.number), 0x004008EA: self.units.sequence()}
            measured = (one,)
        made = {0x0040A300: Element("SQ", measured)}
        if self.qualifier is not None:
            made[0x0040A301] = self.qualifier.sequence()
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonName(ContentItem):
    """PNAME."""

    value_type: ClassVar[str] = "PNAME"
    name: str

    def value(self) -> Item:
        return {0x0040A123: Element("PN", self.name)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Date(ContentItem):
    """DATE, as YYYYMMDD."""

    value_type: ClassVar[str] = "DATE"
    date: str

    def value(self) -> Item:
        return {0x0040A121: Element("DA", self.date)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Time(ContentItem):
    """TIME, as HHMMSS.FFFFFF."""

    value_type: ClassVar[str] = "TIME"
    time: str

    def value(self) -> Item:
        return {0x0040A122: Element("TM", self.time)}


@dataclass(frozen=True, slots=True, kw_only=True)
class DateTime(ContentItem):
    """DATETIME, as YYYYMMDDHHMMSS.FFFFFF&ZZXX."""

    value_type: ClassVar[str] = "DATETIME"
    date_time: str

    def value(self) -> Item:
        return {0x0040A120: Element("DT", self.date_time)}


@dataclass(frozen=True, slots=True, kw_only=True)
class UidReference(ContentItem):
    """UIDREF."""

    value_type: ClassVar[str] = "UIDREF"
    uid: str

    def value(self) -> Item:
        return {0x0040A124: Element("UI", self.uid)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Composite(ContentItem):
    """COMPOSITE: an object that is neither image nor waveform."""

    value_type: ClassVar[str] = "COMPOSITE"
    reference: InstanceReference

    def value(self) -> Item:
        return {_REFERENCED_SOP_SEQUENCE: Element("SQ", (self.reference.item(),))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Image(Composite):
    """IMAGE: an image, or those of its frames that the reference names."""

    value_type: ClassVar[str] = "IMAGE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waveform(Composite):
    """WAVEFORM."""

    value_type: ClassVar[str] = "WAVEFORM"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpatialCoordinates(ContentItem):
    """SCOORD: columns and rows of points in turn; a child IMAGE says in which image.

    `graphic_type` is POINT, MULTIPOINT, POLYLINE, CIRCLE or ELLIPSE (C.18.6.1.2).
    """

    value_type: ClassVar[str] = "SCOORD"
    graphic_type: str
    points: tuple[float, ...]

    def value(self) -> Item:
        return {
            0x00700022: Element("FL", self.points),
            0x00700023: Element("CS", self.graphic_type),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TemporalCoordinates(ContentItem):
    """TCOORD: moments as offsets in seconds from the start of what a child names.

    `range_type` is POINT, MULTIPOINT, SEGMENT, MULTISEGMENT, BEGIN or END (C.18.7.1.1).
    """

    value_type: ClassVar[str] = "TCOORD"
    range_type: str
    offsets: tuple[float, ...]

    def value(self) -> Item:
        return {
            0x0040A130: Element("CS", self.range_type),
            0x0040A138: Element("DS", self.offsets),
        }


def references_in(root: ContentItem) -> tuple[InstanceReference, ...]:
    """The objects that the tree names, in its order."""
    return tuple(item.reference for _, item in root.walk() if isinstance(item, Composite))
