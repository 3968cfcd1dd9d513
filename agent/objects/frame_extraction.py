"""Some frames of a stored image as an instance of their own (PS3.4 Y.3.3).

The data set is written anew in its own transfer syntax, the frames as they are. What refers to
frames is brought in line with those that are left: functional groups, vectors with a value for each
frame, the time of the first. What cannot be brought in line, and need not be there, goes: private
attributes, overlays of frames, masks, trims, signatures. The UID of the new instance follows from
the image and the request, so that the same request gives the same instance.

Memory: what `StoredImage` holds, and numbers of frames. Runs where blocking is allowed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from agent.dataset import tags
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import encode_items
from agent.dataset.byte_source import ByteSource, decoded
from agent.dataset.conversion import rewrite
from agent.dataset.head import scan_head
from agent.dataset.reader import (
    Element,
    Event,
    ItemEnd,
    ItemStart,
    SequenceEnd,
    SequenceStart,
    elements,
    read_exactly,
)
from agent.dataset.transfer_syntaxes import TransferSyntax, encoding_of
from agent.dataset.uid import derived_uid
from agent.dataset.value_representations import UNDEFINED_LENGTH
from agent.dataset.writer import DataSetWriter, basic_offset_table
from agent.errors import GantryError, LocalError, PeerError
from agent.objects.frame_selection import (
    CANNOT_CREATE_OBJECT,
    CANNOT_EXTRACT_FRAMES,
    NOT_TIME_BASED,
    TIME_RANGE,
    FrameSelection,
    refused,
    selected_frames,
)
from agent.objects.frame_times import FrameTimes
from agent.objects.stored_image import StoredImage

_PIECE = 1 << 16

_FRAME_EXTRACTION_SEQUENCE = 0x0008_1164
_MULTI_FRAME_SOURCE_SOP_INSTANCE_UID = 0x0008_1167
_FRAME_TIME = 0x0018_1063
_FRAME_TIME_VECTOR = 0x0018_1065
_FRAME_DELAY = 0x0018_1066
_FRAME_INCREMENT_POINTER = 0x0028_0009
_REPRESENTATIVE_FRAME_NUMBER = 0x0028_6010
_DIMENSION_ORGANIZATION_TYPE = 0x0020_9311
_PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE = 0x5200_9230
_GRID_FRAME_OFFSET_VECTOR = 0x3004_000C
_NUMBER_OF_FRAMES_IN_OVERLAY = 0x0015
_OVERLAY_GROUPS = range(0x6000, 0x6020, 2)

_TEXT_VECTORS = frozenset(
    (
        *range(0x0018_2001, 0x0018_2007),  # SC Multi-frame Vector (PS3.3 C.8.6.4)
        *(0x0018_1135, 0x0018_1136, 0x0018_1137, 0x0018_1520, 0x0018_1521),  # XA (C.8.7.4, C.8.7.5)
    )
)
"""Attributes with a value for each frame, as text; one with another number of values stays."""
_NUMBER_VECTORS = frozenset(
    0x0054_0000 | each
    for each in (0x10, 0x20, 0x30, 0x50, 0x60, 0x70, 0x80, 0x90, 0x100)  # NM, PET (C.8.4.8)
)
"""The same, of US."""
_GOES = frozenset(
    (
        0x0008_0012,  # Instance Creation Date and Time are those of the image
        0x0008_0013,
        0x0008_2142,  # Start Trim, Stop Trim
        0x0008_2143,
        0x0018_0072,  # Effective Duration
        0x0020_0242,  # SOP Instance UID of Concatenation Source, and all of Concatenations
        0x0020_9161,
        0x0020_9162,
        0x0020_9163,
        0x0020_9228,
        0x0028_1090,  # Recommended Viewing Mode, of the masks
        0x0028_6020,  # Frame Numbers of Interest, with their descriptions
        0x0028_6022,
        0x0028_6023,
        0x0028_6040,  # R Wave Pointer
        0x0028_6100,  # Mask Subtraction Sequence
        0x0028_7FE0,  # Pixel Data Provider URL (Y.3.3)
        0x4FFE_0001,  # MAC Parameters Sequence, Digital Signatures Sequence
        0xFFFA_FFFA,
        tags.EXTENDED_OFFSET_TABLE,
        tags.EXTENDED_OFFSET_TABLE_LENGTHS,
    )
)
_LOOKED_AT = frozenset(
    (
        tags.SPECIFIC_CHARACTER_SET,
        tags.SOP_INSTANCE_UID,
        tags.NUMBER_OF_FRAMES,
        _FRAME_INCREMENT_POINTER,
        _REPRESENTATIVE_FRAME_NUMBER,
        _DIMENSION_ORGANIZATION_TYPE,
        _GRID_FRAME_OFFSET_VECTOR,
        *_TEXT_VECTORS,
        *_NUMBER_VECTORS,
        *(group << 16 | _NUMBER_OF_FRAMES_IN_OVERLAY for group in _OVERLAY_GROUPS),
    )
)
_FRAME_EXTRACTING_EQUIPMENT = Attributes(
    CodeValue="109105",
    CodingSchemeDesignator="DCM",
    CodeMeaning="Frame Extracting Equipment",
)


class FrameExtraction:
    """The frames of an image that a request means, ready to be written.

    `frames` are their numbers, counted from 1. Raises PeerError with AA00H to AA04H where there is
    no such instance (Tables Y.4-1, Y.4-2).
    """

    def __init__(self, source: ByteSource, transfer_syntax: str, selection: FrameSelection) -> None:
        syntax = encoding_of(transfer_syntax)
        self._source = decoded(source, syntax)
        self._stored = source
        self._uid = transfer_syntax
        self._syntax = syntax._replace(deflated=False)
        self._values = scan_head(self._source, self._syntax, _LOOKED_AT).values
        self._image = self._checked(source, syntax, selection)
        times = FrameTimes(self._source, self._syntax, self._image.frames)
        self._times = times
        self.frames = selected_frames(selection, self._image.frames, times.seconds)
        self._selection = selection
        self.new_instance_uid = derived_uid(
            f"frame extraction\n{self._text(tags.SOP_INSTANCE_UID)}\n{self.frames}".encode()
        )

    def write(self, write: Callable[[bytes], object]) -> None:
        """Write the data set. Raises what the source and `write` raise."""
        rewrite(
            self._stored,
            self._uid,
            self._uid,
            write,
            changes=self._changes(),
            pixel_data=self._write_pixel_data,
            through=self._filtered,
        )

    def _checked(
        self, source: ByteSource, syntax: TransferSyntax, selection: FrameSelection
    ) -> StoredImage:
        if tags.NUMBER_OF_FRAMES not in self._values:
            if selection.key == TIME_RANGE:
                raise refused(NOT_TIME_BASED, "It is a still image, or none", TIME_RANGE)
            raise refused(CANNOT_CREATE_OBJECT, "It is no image of several frames")
        if self._text(_DIMENSION_ORGANIZATION_TYPE) == "TILED_FULL":
            # Where a frame lies follows from its number alone (PS3.3 C.7.6.17.3).
            raise refused(CANNOT_CREATE_OBJECT, "Its frames are tiles that must all be there")
        if _GRID_FRAME_OFFSET_VECTOR in self._values:
            # Positions count from the first frame, or from the machine (PS3.3 C.8.8.3.2).
            raise refused(CANNOT_CREATE_OBJECT, "Its frames are planes of one volume")
        if syntax.video:
            raise refused(CANNOT_EXTRACT_FRAMES, "Frames of a video stream cannot be cut out")
        try:
            image = StoredImage(source, syntax)
        except GantryError as error:
            raise refused(CANNOT_EXTRACT_FRAMES, "The frames cannot be told apart") from error
        if image.pixel_data is None:
            raise refused(CANNOT_EXTRACT_FRAMES, "It has no Pixel Data")
        if not self._syntax.little_endian and image.stored.length % 2:
            # Two frames share a word.
            raise refused(CANNOT_EXTRACT_FRAMES, "Frames share words in big endian")
        return image

    def _text(self, tag: int) -> str:
        return self._values.get(tag, b"").decode("ascii", "replace").strip(" \0")

    # What becomes of the attributes.

    def _changes(self) -> dict[int, tuple[str, bytes] | None]:
        changes: dict[int, tuple[str, bytes] | None] = dict.fromkeys(_GOES)
        changes[tags.SOP_INSTANCE_UID] = ("UI", self.new_instance_uid.encode())
        changes[tags.NUMBER_OF_FRAMES] = ("IS", str(len(self.frames)).encode())
        for tag in _TEXT_VECTORS & set(self._values):
            values = self._values[tag].rstrip(b" \0").split(b"\\")
            if len(values) == self._image.frames and len(values) > 1:
                vr = tags.dictionary_value_representation(tag)
                changes[tag] = (vr, b"\\".join(values[each - 1] for each in self.frames))
        for tag in _NUMBER_VECTORS & set(self._values):
            raw = self._values[tag]
            if len(raw) == 2 * self._image.frames:
                order = "<" if self._syntax.little_endian else ">"
                numbers = struct.unpack(f"{order}{self._image.frames}H", raw)
                kept = [numbers[each - 1] for each in self.frames]
                changes[tag] = ("US", struct.pack(f"<{len(kept)}H", *kept))
        self._change_times(changes)
        if _REPRESENTATIVE_FRAME_NUMBER in self._values:
            changes[_REPRESENTATIVE_FRAME_NUMBER] = self._representative()
        changes[_FRAME_EXTRACTION_SEQUENCE] = ("SQ", self._with(_FRAME_EXTRACTION_SEQUENCE))
        changes[tags.CONTRIBUTING_EQUIPMENT_SEQUENCE] = (
            "SQ",
            self._with(tags.CONTRIBUTING_EQUIPMENT_SEQUENCE),
        )
        return changes

    def _change_times(self, changes: dict[int, tuple[str, bytes] | None]) -> None:
        times = self._times
        if times.seconds is None or not times.is_cine:
            return
        moments = [times.seconds[each - 1] * 1000 for each in self.frames]
        if moments[0] > 0:
            changes[_FRAME_DELAY] = ("DS", _decimal(moments[0]))
        if times.by_vector or not _is_even(moments):
            steps = [0.0, *(b - a for a, b in pairwise(moments))]
            changes[_FRAME_TIME_VECTOR] = ("DS", b"\\".join(map(_decimal, steps)))
            changes[_FRAME_TIME] = None
            if not times.by_vector and self._points_at(_FRAME_TIME):
                changes[_FRAME_INCREMENT_POINTER] = ("AT", struct.pack("<HH", 0x0018, 0x1065))
        elif len(moments) > 1:
            changes[_FRAME_TIME] = ("DS", _decimal(moments[1] - moments[0]))

    def _points_at(self, tag: int) -> bool:
        raw = self._values.get(_FRAME_INCREMENT_POINTER, b"")
        order = "<" if self._syntax.little_endian else ">"
        return raw[:4] == struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)

    def _representative(self) -> tuple[str, bytes] | None:
        raw = self._values[_REPRESENTATIVE_FRAME_NUMBER]
        number = int.from_bytes(raw[:2], "little" if self._syntax.little_endian else "big")
        if number not in self.frames:
            return None
        return "US", struct.pack("<H", self.frames.index(number) + 1)

    def _with(self, sequence: int) -> bytes:
        """The items of a sequence, and ours behind them."""
        item = Attributes()
        if sequence == _FRAME_EXTRACTION_SEQUENCE:
            item.set(
                _MULTI_FRAME_SOURCE_SOP_INSTANCE_UID, self._text(tags.SOP_INSTANCE_UID), vr="UI"
            )
            item.put(self._selection.key, self._selection.attribute)
        else:
            item.set("PurposeOfReferenceCodeSequence", [_FRAME_EXTRACTING_EQUIPMENT])
            item.set("Manufacturer", "Gantry")
            item.set("ContributionDescription", "Frames extracted on request")
        return self._items_of(sequence) + encode_items(
            [item], self._text(tags.SPECIFIC_CHARACTER_SET), self._syntax
        )

    def _items_of(self, sequence: int) -> bytes:
        start = -1
        for event in elements(self._source, self._syntax):
            if start >= 0:
                if isinstance(event, SequenceEnd) and not event.depth:
                    # The event stands behind the Sequence Delimitation Item.
                    return read_exactly(self._source, start, event.offset - 8 - start)
            elif isinstance(event, SequenceStart) and event.tag == sequence and not event.depth:
                if event.length != UNDEFINED_LENGTH:
                    return read_exactly(self._source, event.value_offset, event.length)
                start = event.value_offset
            elif isinstance(event, Element) and event.tag > sequence and not event.depth:
                break
        return b""

    # What is left out on the way.

    def _filtered(self, source: ByteSource, events: Iterator[Event]) -> Iterator[Event]:
        """Without private attributes and overlays of frames, wherever they are, and without the
        functional groups of other frames."""
        wanted = frozenset(self.frames)
        overlays = {
            tag >> 16 for tag in self._values if tag & 0xFFFF == _NUMBER_OF_FRAMES_IN_OVERLAY
        }
        per_frame = False
        for event in events:
            if isinstance(event, Element | SequenceStart):
                if not event.depth:
                    per_frame = event.tag == _PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE
                group = event.tag >> 16
                if group % 2 or group in overlays:
                    if isinstance(event, SequenceStart):
                        _skip(events, SequenceEnd, event.depth)
                    continue
            if (
                per_frame
                and isinstance(event, ItemStart)
                and not event.depth
                and event.number not in wanted
            ):
                _skip(events, ItemEnd, 0)
                continue
            yield event

    # The frames.

    def _write_pixel_data(self, element: Element, writer: DataSetWriter) -> None:
        if self._image.compressed:
            self._write_fragments(writer)
            return
        length = self._image.stored.length
        total = length * len(self.frames)
        writer.begin_value(tags.PIXEL_DATA, element.vr, total + total % 2)
        for number in self.frames:
            position = element.value_offset + (number - 1) * length
            end = position + length
            while position < end:
                piece = read_exactly(self._source, position, min(_PIECE, end - position))
                writer.value(piece)
                position += len(piece)
        writer.value(b"\0" * (total % 2))
        writer.end_value()

    def _write_fragments(self, writer: DataSetWriter) -> None:
        """Each frame in one fragment, with a Basic Offset Table where it holds the offsets."""
        streams = [self._image.compressed_frame(each - 1) for each in self.frames]
        try:
            table: Sequence[int] = basic_offset_table((each.length,) for each in streams)
        except LocalError:
            table = ()
        writer.begin_fragments(table)
        for stream in streams:
            stream.write_to(writer)
        writer.end_fragments()


def _skip(events: Iterator[Event], end: type[Event], depth: int) -> None:
    """Pass over what belongs to an item or sequence that has begun at this depth."""
    for event in events:
        if type(event) is end and getattr(event, "depth", 0) == depth:
            return
    raise PeerError("The data set ends within a sequence.", clause="PS3.5 7.5")


def _is_even(moments: Sequence[float]) -> bool:
    steps = [b - a for a, b in pairwise(moments)]
    return all(abs(each - steps[0]) < 1e-3 for each in steps)


def _decimal(value: float) -> bytes:
    """A DS of at most 16 characters."""
    return f"{value:.10g}".encode()
