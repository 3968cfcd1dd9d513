"""Presentation states of images as somebody looked at them: as few as can say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.errors import LocalError
from agent.objects.annotations import Annotation
from agent.objects.presentation_states import DisplayedArea, PresentationState, Window
from agent.objects.references import InstanceReference

_QUARTER_TURNS = (0, 90, 180, 270)


@dataclass(frozen=True, slots=True)
class ShownImage:
    """A grey image of `rows` and `columns`, and how it was shown.

    `rotation` is 0, 90, 180 or 270 degrees clockwise, `flipped` left to right after that.
    `annotations` name no images: they are of this one.
    """

    image: InstanceReference
    rows: int
    columns: int
    window: Window | None = None
    rotation: int = 0
    flipped: bool = False
    annotations: tuple[Annotation, ...] = ()


def area_of(shown: ShownImage) -> DisplayedArea:
    """The whole image, whatever room there was around it on the screen.

    C.10.4: the corners are those that are seen at the top left and bottom right after the image
    was turned, by column and row of the image before. Raises LocalError for an angle in between.
    """
    if shown.rotation not in _QUARTER_TURNS:
        raise LocalError(
            "An image is turned by quarters.", clause="PS3.3 C.10.6", value=shown.rotation
        )
    right, bottom = shown.columns, shown.rows
    # Clockwise from the top left.
    corners = [(1, 1), (right, 1), (right, bottom), (1, bottom)]
    turns = _QUARTER_TURNS.index(shown.rotation)
    corners = corners[-turns:] + corners[:-turns]
    if shown.flipped:
        corners = [corners[1], corners[0], corners[3], corners[2]]
    return DisplayedArea(corners[0], corners[2], images=(shown.image,))


def states_of(label: str, shown: Sequence[ShownImage], **more: object) -> list[PresentationState]:
    """One state for the images of a series that were turned alike (C.10.6 is about all of a state).

    `more` are further fields of each `PresentationState`. Memory: one item for each image. Raises
    LocalError for an angle that is no quarter.
    """
    groups: dict[tuple[str, int, bool], list[ShownImage]] = {}
    for each in shown:
        key = (each.image.series_instance_uid, each.rotation, each.flipped)
        groups.setdefault(key, []).append(each)
    return [
        PresentationState(
            label,
            tuple(area_of(each) for each in images),
            tuple(each.image for each in images),
            windows=tuple(
                replace(each.window, images=(each.image,)) for each in images if each.window
            ),
            annotations=tuple(
                replace(annotation, images=(each.image,))
                for each in images
                for annotation in each.annotations
            ),
            rotation=rotation,
            flipped=flipped,
            **more,  # type: ignore[arg-type]
        )
        for (_, rotation, flipped), images in groups.items()
    ]
