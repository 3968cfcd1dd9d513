"""Where an image lies in the patient, and what an ultrasound image measures."""

from __future__ import annotations

from dataclasses import dataclass

from agent.errors import LocalError
from agent.objects.element import Element, Item


@dataclass(frozen=True, slots=True)
class Geometry:
    """Image Plane (PS3.3 C.7.6.2) in its Frame of Reference (C.7.4.1); lengths in millimetres.

    `position` is the centre of the first pixel, `orientation` the direction cosines of the rows
    and then of the columns, `spacing` between rows and then between columns.
    """

    frame_of_reference_uid: str
    spacing: tuple[float, float]
    orientation: tuple[float, float, float, float, float, float]
    position: tuple[float, float, float]
    slice_thickness: float | None = None
    position_reference_indicator: str | None = None
    slice_location: float | None = None

    def __post_init__(self) -> None:
        """Raises LocalError for directions that are no unit vectors at right angles."""
        row, column = self.orientation[:3], self.orientation[3:]
        crossed = sum(a * b for a, b in zip(row, column, strict=True))
        lengths = [sum(a * a for a in vector) for vector in (row, column)]
        # C.7.6.2.1.1: orthogonal and normal; a thousandth is what rounding to DS may cost.
        if abs(crossed) > 1e-3 or any(abs(length - 1) > 1e-3 for length in lengths):
            raise LocalError(
                "The directions of rows and columns are not orthogonal and normal.",
                clause="PS3.3 C.7.6.2.1.1",
                value=self.orientation,
            )


@dataclass(frozen=True, slots=True)
class UltrasoundRegion:
    """One calibrated region of an ultrasound image: an item of PS3.3 C.8.5.5.

    `location` is x0, y0, x1, y1: the first and the last column and row, counted from 0. The
    terms are those of C.8.5.5.1.1 to C.8.5.5.1.15 as numbers: `spatial_format` 1 is a
    two-dimensional image, 3 a spectrum; `data_type` 1 is tissue, 2 colour flow, 3 pulsed wave
    Doppler; units 3 are centimetres, 4 seconds, 7 centimetres a second. `delta` is what one pixel
    measures in each direction.
    """

    location: tuple[int, int, int, int]
    units: tuple[int, int]
    delta: tuple[float, float]
    spatial_format: int = 1
    data_type: int = 1
    flags: int = 0
    reference_pixel: tuple[int, int] | None = None
    reference_value: tuple[float, float] | None = None
    transducer_frequency: float | None = None
    """Kilohertz."""

    def check(self, rows: int, columns: int) -> None:
        """Raises LocalError for a region that is not in an image of this size."""
        left, top, right, bottom = self.location
        if not (0 <= left <= right < columns and 0 <= top <= bottom < rows):
            raise LocalError(
                "A calibrated region does not lie in the image.",
                clause="PS3.3 C.8.5.5.1.13",
                value=self.location,
                limit=(columns, rows),
            )

    def item(self) -> Item:
        """As Sequence of Ultrasound Regions (0018,6011) holds it."""
        left, top, right, bottom = self.location
        item = {
            0x00186012: Element("US", self.spatial_format),
            0x00186014: Element("US", self.data_type),
            0x00186016: Element("UL", self.flags),
            0x00186018: Element("UL", left),
            0x0018601A: Element("UL", top),
            0x0018601C: Element("UL", right),
            0x0018601E: Element("UL", bottom),
            0x00186024: Element("US", self.units[0]),
            0x00186026: Element("US", self.units[1]),
            0x0018602C: Element("FD", self.delta[0]),
            0x0018602E: Element("FD", self.delta[1]),
        }
        if self.reference_pixel is not None:
            item[0x00186020] = Element("SL", self.reference_pixel[0])
            item[0x00186022] = Element("SL", self.reference_pixel[1])
        if self.reference_value is not None:
            item[0x00186028] = Element("FD", self.reference_value[0])
            item[0x0018602A] = Element("FD", self.reference_value[1])
        if self.transducer_frequency is not None:
            item[0x00186030] = Element("UL", round(self.transducer_frequency))
        return item
