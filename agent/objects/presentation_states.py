"""Writes Grayscale, Color, Pseudo-Color and Blending Softcopy Presentation States (PS3.3 A.33)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from agent.errors import LocalError
from agent.objects.annotations import Annotation, GraphicLayer, annotation_elements
from agent.objects.color_profile import srgb_profile
from agent.objects.composite import FinishedObject
from agent.objects.description import DeviceIdentity, ExaminationIdentity, InstanceDescription
from agent.objects.element import Element, Item
from agent.objects.head_only import write_object
from agent.objects.presentation_state_iods import (
    BLENDING_SOFTCOPY_PRESENTATION_STATE,
    COLOR_SOFTCOPY_PRESENTATION_STATE,
    GRAYSCALE_SOFTCOPY_PRESENTATION_STATE,
    PSEUDO_COLOR_SOFTCOPY_PRESENTATION_STATE,
)
from agent.objects.references import InstanceReference
from agent.objects.shutter import Shutter

_REFERENCED_IMAGE_SEQUENCE = 0x00081140
_REFERENCED_SERIES_SEQUENCE = 0x00081115
_SOFTCOPY_VOI_LUT_SEQUENCE = 0x00283110


@dataclass(frozen=True, slots=True)
class DisplayedArea:
    """The part of the images that is shown (C.10.4): column and row of two corners, from 1 on.

    `size_mode` is SCALE TO FIT, TRUE SIZE (with `pixel_spacing`) or MAGNIFY (with
    `magnification`). `images` empty: all.
    """

    top_left: tuple[int, int]
    bottom_right: tuple[int, int]
    size_mode: str = "SCALE TO FIT"
    pixel_spacing: tuple[float, float] | None = None
    magnification: float | None = None
    images: tuple[InstanceReference, ...] = ()

    def item(self) -> Item:
        """As Displayed Area Selection Sequence holds it."""
        made = {
            0x00700052: Element("SL", self.top_left),
            0x00700053: Element("SL", self.bottom_right),
            0x00700100: Element("CS", self.size_mode),
            **images_of(self.images),
        }
        if self.pixel_spacing is not None:
            made[0x00700101] = Element("DS", self.pixel_spacing)
        else:
            made[0x00700102] = Element("IS", (1, 1))
        if self.magnification is not None:
            made[0x00700103] = Element("FL", self.magnification)
        return made


@dataclass(frozen=True, slots=True)
class Window:
    """A window of grey values (C.11.8); `images` empty: all."""

    center: float
    width: float
    explanation: str = ""
    images: tuple[InstanceReference, ...] = ()

    def item(self) -> Item:
        """As Softcopy VOI LUT Sequence holds it."""
        made = {
            0x00281050: Element("DS", self.center),
            0x00281051: Element("DS", self.width),
            **images_of(self.images),
        }
        if self.explanation:
            made[0x00281055] = Element("LO", self.explanation)
        return made


@dataclass(frozen=True, slots=True)
class Palette:
    """Red, green and blue for each value from `first_value` on, 16 bits each (C.7.9)."""

    red: tuple[int, ...]
    green: tuple[int, ...]
    blue: tuple[int, ...]
    first_value: int = 0

    def elements(self) -> dict[int, Element]:
        """Descriptors and data. Raises LocalError for tables of different or no length."""
        colours = (self.red, self.green, self.blue)
        if len({len(each) for each in colours}) != 1 or not 1 <= len(self.red) <= 65536:
            raise LocalError(
                "The tables of a palette are as long as each other.", clause="PS3.3 C.7.9"
            )
        # C.7.6.3.1.5: 65536 entries are written as 0.
        descriptor = (len(self.red) & 0xFFFF, self.first_value, 16)
        made = {0x00281101 + place: Element("US", descriptor) for place in range(3)}
        for place, values in enumerate(colours):
            made[0x00281201 + place] = Element("OW", values)
        return made


@dataclass(frozen=True, slots=True)
class Blended:
    """One of the two sets of images that are blended, all of one study.

    `rescale` is that of the images: intercept, slope and type.
    """

    images: tuple[InstanceReference, ...]
    windows: tuple[Window, ...] = ()
    rescale: tuple[float, float, str] = (0.0, 1.0, "US")

    def item(self, position: str, study_instance_uid: str) -> Item:
        """As Blending Sequence holds it."""
        study = self.images[0].study_instance_uid or study_instance_uid
        made = {
            0x0020000D: Element("UI", study),
            0x00700405: Element("CS", position),
            _REFERENCED_SERIES_SEQUENCE: Element("SQ", _series(self.images)),
            **_modality_lut(self.rescale),
        }
        if self.windows:
            made[_SOFTCOPY_VOI_LUT_SEQUENCE] = Element("SQ", tuple(w.item() for w in self.windows))
        return made


@dataclass(frozen=True, slots=True)
class PresentationState:
    """How images shall be shown. `label` is in capitals, at most 16 characters.

    `rescale` is intercept, slope and type of the Modality LUT, needed where the images have one;
    `rotation` is 0, 90, 180 or 270 degrees clockwise, before which nothing is flipped; `shape` is
    IDENTITY or INVERSE, of grey images. `palette` is for pseudo-colour and blending.
    """

    label: str
    areas: tuple[DisplayedArea, ...]
    images: tuple[InstanceReference, ...] = ()
    description: str = ""
    creator: str = ""
    windows: tuple[Window, ...] = ()
    rescale: tuple[float, float, str] | None = None
    annotations: tuple[Annotation, ...] = ()
    layers: tuple[GraphicLayer, ...] = ()
    rotation: int = 0
    flipped: bool = False
    shape: str = "IDENTITY"
    shutter: Shutter | None = None
    palette: Palette | None = None
    underlying: Blended | None = None
    superimposed: Blended | None = None
    relative_opacity: float = 0.5
    profile: bytes | None = None
    """ICC; None is sRGB."""


def write_presentation_state(
    descriptor: int,
    sop_class_uid: str,
    state: PresentationState,
    identity: ExaminationIdentity,
    device: DeviceIdentity,
    instance: InstanceDescription,
    *,
    file_meta: bytes = b"",
    transfer_syntax_uid: str = EXPLICIT_VR_LITTLE_ENDIAN,
) -> FinishedObject:
    """Write a presentation state. Memory: its bytes.

    Raises LocalError for what its IOD does not have, what is missing and an image without its
    series; StorageError when writing fails.
    """
    content = {
        0x00700080: Element("CS", state.label),
        0x00700081: Element("LO", state.description),
        0x00700084: Element("PN", state.creator),
        0x0070005A: Element("SQ", tuple(area.item() for area in state.areas)),
        **annotation_elements(state.annotations, state.layers),
    }
    if state.rotation or state.flipped:
        content[0x00700041] = Element("CS", "Y" if state.flipped else "N")
        content[0x00700042] = Element("US", state.rotation)
    if state.shutter is not None:
        grey = sop_class_uid == GRAYSCALE_SOFTCOPY_PRESENTATION_STATE
        content |= state.shutter.elements(colour=not grey)
    content |= _of_kind(sop_class_uid, state, identity.study.instance_uid)
    return write_object(
        descriptor,
        sop_class_uid,
        identity,
        device,
        instance,
        content,
        file_meta=file_meta,
        transfer_syntax_uid=transfer_syntax_uid,
    )


def images_of(images: Sequence[InstanceReference]) -> dict[int, Element]:
    """Referenced Image Sequence, where it is not all images that are meant."""
    if not images:
        return {}
    items = tuple(image.item() for image in images)
    return {_REFERENCED_IMAGE_SEQUENCE: Element("SQ", items)}


def _modality_lut(rescale: tuple[float, float, str]) -> dict[int, Element]:
    intercept, slope, kind = rescale
    return {
        0x00281052: Element("DS", intercept),
        0x00281053: Element("DS", slope),
        0x00281054: Element("LO", kind),
    }


def _of_kind(
    sop_class_uid: str, state: PresentationState, study_instance_uid: str
) -> dict[int, Element]:
    made: dict[int, Element] = {}
    grey = sop_class_uid == GRAYSCALE_SOFTCOPY_PRESENTATION_STATE
    pseudo = sop_class_uid == PSEUDO_COLOR_SOFTCOPY_PRESENTATION_STATE
    blending = sop_class_uid == BLENDING_SOFTCOPY_PRESENTATION_STATE
    if not (grey or pseudo or blending) and sop_class_uid != COLOR_SOFTCOPY_PRESENTATION_STATE:
        raise LocalError("No kind of presentation state.", clause="PS3.3 A.33", value=sop_class_uid)
    if (state.windows or state.rescale) and not (grey or pseudo):
        raise LocalError(
            "Windows and rescaling belong to grey values.", clause="PS3.3 C.11.8", value=state.label
        )
    if grey:
        made[0x20500020] = Element("CS", state.shape)
    if state.windows:
        windows = tuple(window.item() for window in state.windows)
        made[_SOFTCOPY_VOI_LUT_SEQUENCE] = Element("SQ", windows)
    if state.rescale is not None:
        made |= _modality_lut(state.rescale)
    if not grey:
        made[0x00282000] = Element("OB", state.profile or srgb_profile())
    if (pseudo or blending) and state.palette is not None:
        made |= state.palette.elements()
    if blending:
        made |= _blending(state, study_instance_uid)
    else:
        made[_REFERENCED_SERIES_SEQUENCE] = Element("SQ", _series(state.images))
    return made


def _blending(state: PresentationState, study_instance_uid: str) -> dict[int, Element]:
    if state.underlying is None or state.superimposed is None:
        raise LocalError("Two sets of images are blended.", clause="PS3.3 C.11.14")
    items = (
        state.underlying.item("UNDERLYING", study_instance_uid),
        state.superimposed.item("SUPERIMPOSED", study_instance_uid),
    )
    return {
        0x00700402: Element("SQ", items),
        0x00700403: Element("FL", state.relative_opacity),
    }


def _series(images: Sequence[InstanceReference]) -> tuple[Item, ...]:
    series: dict[str, list[Item]] = {}
    for image in images:
        if not image.series_instance_uid:
            raise LocalError(
                "An image that is shown must say its series.", clause="PS3.3 C.11.11", value=image
            )
        series.setdefault(image.series_instance_uid, []).append(image.item())
    return tuple(
        {
            0x0020000E: Element("UI", uid),
            _REFERENCED_IMAGE_SEQUENCE: Element("SQ", tuple(items)),
        }
        for uid, items in series.items()
    )
