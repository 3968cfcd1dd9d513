"""Icons of images that are on a medium (PS3.3 F.7), and thumbnails for who has no DICOM viewer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.dataset import tags
from agent.dataset.attributes import Attribute, Attributes
from agent.dataset.byte_source import FileBytes
from agent.dataset.file_meta import FileMeta
from agent.dataset.transfer_syntaxes import JPEG_BASELINE
from agent.errors import GantryError, StorageError
from agent.media.application_profiles import Profile
from agent.media.object_keys import read_keys
from agent.quoting import quoted

if TYPE_CHECKING:
    from agent.objects.reduced_image import Display, Palette, Samples

_REPRESENTATIVE_FRAME = tags.from_text("RepresentativeFrameNumber")
_COLOURS = (
    (tags.RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR, tags.RED_PALETTE_COLOR_LOOKUP_TABLE_DATA),
    (tags.GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR, tags.GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA),
    (tags.BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR, tags.BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA),
)
_ASPECT = tags.from_text("PixelAspectRatio")
_MODALITY_TABLE = tags.from_text("ModalityLUTSequence")
_WANTED = frozenset(
    (
        tags.WINDOW_CENTER,
        tags.WINDOW_WIDTH,
        tags.RESCALE_SLOPE,
        tags.RESCALE_INTERCEPT,
        _REPRESENTATIVE_FRAME,
        _ASPECT,
        _MODALITY_TABLE,
        *(tag for pair in _COLOURS for tag in pair),
    )
)


def icon_for(profile: Profile, descriptor: int, meta: FileMeta) -> Attributes | None:
    """`icon_of` as large as the profile says; None where none can be made and none must be. Raises
    StorageError where each image must have one."""
    rule = profile.icon
    try:
        return icon_of(descriptor, meta, rule.side)
    except GantryError as error:
        if not rule.is_required:
            return None
        raise StorageError(
            f"{profile.name} wants an icon of each image, and none can be made of this: "
            f"{quoted(error.message)}",
            clause=profile.clause,
            way_out="Leave the object out, or take a general purpose profile.",
        ) from error


def icon_of(descriptor: int, meta: FileMeta, side: int) -> Attributes:
    """The item of the Icon Image Sequence of an image in an open Part 10 file: `side` rows and
    columns of 8 bits, MONOCHROME2, with black around an image that is not square.

    Of several frames it is the one that represents them, or one after a third of them (PS3.11
    A.3.3.2). Memory: a codec's working set, and that of `reduced_image`. Raises GantryError for
    what no icon can be made of: no pixels, ones that cannot be decoded here, damaged ones.
    """
    from agent.objects.icon import framed, icon_item
    from agent.objects.reduced_image import grey_of

    samples, display = _seen(descriptor, meta, side)
    item = Attributes()
    for tag, (vr, value) in icon_item(framed(grey_of(samples, display), side)).items():
        item.put(tag, Attribute(vr, (value,)))  # type: ignore[arg-type]
    return item


def picture_of(descriptor: int, meta: FileMeta, largest: int) -> tuple[Iterator[bytes], int, int]:
    """The same frame as JPEG baseline for a browser, grey or in colour; its width and height, of
    which neither is larger than `largest`. Memory and errors as `icon_of`."""
    from agent.codecs.codec import EncodeSettings
    from agent.codecs.frame import FrameDescription
    from agent.codecs.jpeg import encode
    from agent.codecs.rows import PassingRows
    from agent.objects.reduced_image import colour_of

    samples, display = _seen(descriptor, meta, largest, enlarged=False)
    pixels = colour_of(samples, display)
    rows, columns = pixels.shape[:2]
    colours = pixels.shape[2] if pixels.ndim == 3 else 1
    frame = FrameDescription(rows, columns, colours)
    if colours == 3:
        frame = replace(frame, photometric_interpretation="RGB")
    settings = EncodeSettings(quality=85, colour="YBR_FULL")
    rows_of = PassingRows((pixels.tobytes(),))
    return encode(JPEG_BASELINE, frame, rows_of, settings).pieces, columns, rows


def _seen(
    descriptor: int, meta: FileMeta, side: int, *, enlarged: bool = True
) -> tuple[Samples, Display]:
    """The frame that stands for the image, reduced, and how it is shown."""
    from agent.objects.reduced_image import reduced_frame
    from agent.objects.stored_image import StoredImage

    image = StoredImage(
        FileBytes(descriptor, meta.data_set_offset), meta.encoding, meta.transfer_syntax_uid
    )
    keys = read_keys(descriptor, meta, _WANTED)
    display = display_of(keys, little_endian=meta.encoding.little_endian)
    frames = image.frames if image.pixel_data is not None else 1
    number = keys.number(_REPRESENTATIVE_FRAME) - 1
    if not 0 <= number < frames:
        number = frames // 3
    return reduced_frame(image, number, side, display, enlarged=enlarged), display


def display_of(keys: Attributes, *, little_endian: bool = True) -> Display:
    """How an image with these attributes is shown; what cannot be understood is left out."""
    from agent.objects.reduced_image import Display

    window = None
    centre, width = _number(keys, tags.WINDOW_CENTER), _number(keys, tags.WINDOW_WIDTH)
    # A window is of what a Modality LUT makes of the samples; without that it says nothing.
    if centre is not None and width is not None and not keys.has(_MODALITY_TABLE):
        window = (centre, width)
    slope = _number(keys, tags.RESCALE_SLOPE)
    vertical, horizontal = (*map(_whole, keys.texts(_ASPECT)), 1, 1)[:2]
    return Display(
        slope=1.0 if slope is None else slope,
        intercept=_number(keys, tags.RESCALE_INTERCEPT) or 0.0,
        window=window,
        palette=_palette(keys, little_endian),
        aspect=(vertical, horizontal) if keys.has(_ASPECT) else (1, 1),
    )


def _number(keys: Attributes, tag: int) -> float | None:
    try:
        number = float(keys.text(tag))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _whole(text: str) -> int:
    return int(text) if text.isdigit() and 0 < int(text) < 1 << 15 else 1


def _palette(keys: Attributes, little_endian: bool) -> Palette | None:
    """PS3.3 C.7.6.3.1.5 and C.7.6.3.1.6; None where there is none, or it is segmented."""
    from agent.objects.reduced_image import Palette

    try:
        first, tables = 0, []
        for descriptor, data in _COLOURS:
            count, first, _ = map(int, keys.texts(descriptor))
            tables.append(_table(keys[data].values, count or 1 << 16, little_endian))
    except (KeyError, ValueError, GantryError):
        return None
    shortest = min(map(len, tables))
    return Palette(first, *(each[:shortest] for each in tables)) if shortest else None


def _table(values: Sequence[object], count: int, little_endian: bool) -> bytes:
    """The high bytes of the entries. Entries of 8 bits lie in a byte or, as the standard has it not
    any more, in a word each: then the low bytes are what counts."""
    (raw,) = values
    if not isinstance(raw, bytes):
        raise ValueError
    if len(raw) < 2 * count:
        return raw[:count]
    pairs = raw[: 2 * count]
    high = pairs[1::2] if little_endian else pairs[0::2]
    low = pairs[0::2] if little_endian else pairs[1::2]
    return high if any(high) else low
