"""Texts and graphics over images (PS3.3 C.10.5, C.10.7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.errors import LocalError
from agent.objects.element import Element, Item
from agent.objects.references import InstanceReference


@dataclass(frozen=True, slots=True)
class TextObject:
    """A text at an anchor, column and row, or in a box of two corners; in units of `units`.

    `units` is PIXEL or DISPLAY (0 to 1 across the displayed area).
    """

    text: str
    anchor: tuple[float, float] | None = None
    box: tuple[float, float, float, float] | None = None
    units: str = "PIXEL"

    def item(self) -> Item:
        """As Text Object Sequence holds it. Raises LocalError for a text that is nowhere."""
        if self.anchor is None and self.box is None:
            raise LocalError("A text has an anchor or a box.", clause="PS3.3 C.10.5")
        made = {0x00700006: Element("ST", self.text)}
        if self.box is not None:
            made[0x00700003] = Element("CS", self.units)
            made[0x00700010] = Element("FL", self.box[:2])
            made[0x00700011] = Element("FL", self.box[2:])
            made[0x00700012] = Element("CS", "LEFT")
        if self.anchor is not None:
            made[0x00700004] = Element("CS", self.units)
            made[0x00700014] = Element("FL", self.anchor)
            made[0x00700015] = Element("CS", "N")
        return made


@dataclass(frozen=True, slots=True)
class GraphicObject:
    """POINT, POLYLINE, INTERPOLATED, CIRCLE or ELLIPSE: columns and rows of points in turn."""

    kind: str
    points: tuple[float, ...]
    filled: bool = False
    units: str = "PIXEL"

    def item(self) -> Item:
        """As Graphic Object Sequence holds it."""
        made = {
            0x00700005: Element("CS", self.units),
            0x00700020: Element("US", 2),
            0x00700021: Element("US", len(self.points) // 2),
            0x00700022: Element("FL", self.points),
            0x00700023: Element("CS", self.kind),
        }
        closed = self.kind in ("CIRCLE", "ELLIPSE") or self.points[:2] == self.points[-2:]
        if closed and self.kind != "POINT":
            made[0x00700024] = Element("CS", "Y" if self.filled else "N")
        return made


@dataclass(frozen=True, slots=True)
class Annotation:
    """Texts and graphics of one layer over some images; `images` empty: all."""

    layer: str
    texts: tuple[TextObject, ...] = ()
    graphics: tuple[GraphicObject, ...] = ()
    images: tuple[InstanceReference, ...] = ()

    def item(self) -> Item:
        """As Graphic Annotation Sequence holds it."""
        made = {0x00700002: Element("CS", self.layer)}
        for tag, objects in ((0x00081140, self.images), (0x00700008, self.texts)):
            if objects:
                made[tag] = Element("SQ", tuple(each.item() for each in objects))
        if self.graphics:
            made[0x00700009] = Element("SQ", tuple(each.item() for each in self.graphics))
        return made


@dataclass(frozen=True, slots=True)
class GraphicLayer:
    """A layer; those of a higher order lie above. `description` may be empty."""

    name: str
    order: int = 1
    description: str = ""

    def item(self) -> Item:
        """As Graphic Layer Sequence holds it."""
        made = {0x00700002: Element("CS", self.name), 0x00700062: Element("IS", self.order)}
        if self.description:
            made[0x00700068] = Element("LO", self.description)
        return made


def annotation_elements(
    annotations: Sequence[Annotation], layers: Sequence[GraphicLayer]
) -> dict[int, Element]:
    """Both sequences; layers that nobody has described are added in the order of their use.

    Raises LocalError for an annotation with neither text nor graphic.
    """
    if not annotations and not layers:
        return {}
    described = {layer.name: layer for layer in layers}
    for annotation in annotations:
        if not annotation.texts and not annotation.graphics:
            raise LocalError("An annotation has a text or a graphic.", clause="PS3.3 C.10.5")
        described.setdefault(annotation.layer, GraphicLayer(annotation.layer, len(described) + 1))
    made = {0x00700060: Element("SQ", tuple(layer.item() for layer in described.values()))}
    if annotations:
        made[0x00700001] = Element("SQ", tuple(each.item() for each in annotations))
    return made
