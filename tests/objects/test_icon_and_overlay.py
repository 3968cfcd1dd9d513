"""Icons and overlays: exact, and refused where they cannot be."""

import numpy
import pytest

from agent.errors import LocalError
from agent.objects.icon import ICON_IMAGE_SEQUENCE, icon_elements
from agent.objects.overlay import Overlay, burn_in
from agent.objects.pixels import PixelDescription, colour, grey
from agent.objects.references import InstanceReference
from agent.objects.shown_images import ShownImage, area_of

SIGNED = PixelDescription(2, 2, "MONOCHROME2", 1, 16, 16, 1)


def icon_of(frame, pixels, side):
    (item,) = icon_elements(frame, pixels, side=side)[ICON_IMAGE_SEQUENCE].value
    rows, columns = item[0x00280010].value, item[0x00280011].value
    return numpy.frombuffer(item[0x7FE00010].value, "u1").reshape(rows, columns)


@pytest.mark.parametrize("rows, columns", [(1, 1), (1, 200), (33, 64), (480, 640)])
def test_no_side_of_an_icon_is_longer_than_allowed(rows, columns):
    icon = icon_of(bytes(rows * columns), grey(rows, columns), 64)
    assert max(icon.shape) <= 64
    assert not icon.any()


def test_an_icon_of_colours_is_their_luminance_from_darkest_to_brightest():
    frame = numpy.zeros((2, 3, 3), "u1")
    frame[0] = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
    frame[1, 0] = 255
    icon = icon_of(frame.tobytes(), colour(2, 3), 8)
    assert icon.tolist() == [[76, 150, 29], [255, 0, 0]]


def test_the_shape_of_the_pixels_goes_along():
    pixels = PixelDescription(2, 2, "MONOCHROME1", 1, 8, 8, aspect_ratio=(12, 11))
    (item,) = icon_elements(bytes(4), pixels)[ICON_IMAGE_SEQUENCE].value
    assert item[0x00280034].value == (12, 11)
    assert item[0x00280004].value == "MONOCHROME1"


@pytest.mark.parametrize(
    "pixels", [SIGNED, colour(2, 2, "YBR_FULL"), PixelDescription(2, 2, "MONOCHROME2", 1, 1, 1)]
)
def test_pixels_of_which_no_icon_can_be_made_are_refused(pixels):
    with pytest.raises(LocalError, match="No icon"):
        icon_elements(bytes(pixels.frame_length), pixels)


def test_what_is_burnt_in_is_as_bright_as_can_be_and_the_rest_stays():
    overlay = Overlay(2, 2, b"\1\0\0\1", origin=(2, 2))
    for pixels, brightest in (
        (grey(3, 3), 255),
        (grey(3, 3, bits_stored=12), 4095),
        (PixelDescription(3, 3, "MONOCHROME2", 1, 16, 16, 1), 32767),
        (PixelDescription(3, 3, "MONOCHROME1", 1, 8, 8), 0),
    ):
        dtype = "u1" if pixels.bits_allocated == 8 else "<u2"
        frame = numpy.full((3, 3), 7, dtype)
        burnt = numpy.frombuffer(burn_in(frame.tobytes(), pixels, overlay), dtype).reshape(3, 3)
        assert burnt.tolist() == [[7, 7, 7], [7, brightest, 7], [7, 7, brightest]]
    burnt = burn_in(bytes(27), colour(3, 3), overlay)
    assert burnt == bytes(12) + b"\xff" * 3 + bytes(9) + b"\xff" * 3


@pytest.mark.parametrize("origin", [(0, 0), (-5, 1), (3, 3), (40, 40)])
def test_graphics_outside_of_the_frame_are_left_out(origin):
    overlay = Overlay(2, 2, b"\1\1\1\1", origin=origin)
    burnt = numpy.frombuffer(burn_in(bytes(9), grey(3, 3), overlay), "u1").reshape(3, 3)
    row, column = (each - 1 for each in origin)
    expected = numpy.zeros((9, 9), bool)
    if -2 < row < 3 and -2 < column < 3:
        expected[row + 3 : row + 5, column + 3 : column + 5] = True
    assert ((burnt == 255) == expected[3:6, 3:6]).all()


def test_overlays_that_cannot_be_are_refused():
    with pytest.raises(LocalError, match="a byte for each"):
        Overlay(2, 2, b"\1")
    overlay = Overlay(1, 1, b"\1")
    assert {tag >> 16 for tag in overlay.elements(15)} == {0x601E}
    for number in (-1, 16):
        with pytest.raises(LocalError, match="16 overlays"):
            overlay.elements(number)
    with pytest.raises(LocalError, match="drawn into"):
        burn_in(b"\0", PixelDescription(1, 1, "MONOCHROME2", 1, 1, 1), overlay)


def test_an_image_is_turned_by_quarters_only():
    image = InstanceReference("1.2", "1.2.3", "1.2")
    with pytest.raises(LocalError, match="quarters"):
        area_of(ShownImage(image, 2, 2, rotation=45))
