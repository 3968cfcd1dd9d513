"""The frames of an image that is stored already, in whatever transfer syntax.

Its Image Pixel attributes (PS3.3 C.7.6.3) are read from the head of its data set; each frame is a
`RowSource`, decoded on the way where it is compressed. Memory: the head's few values, the places
of the fragments, and what the codec holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from agent.codecs.codec import RowSource, Strip
from agent.codecs.damage import FrameDamaged
from agent.codecs.frame import FrameDescription
from agent.codecs.registry import codec_of
from agent.codecs.rows import StoredRows
from agent.dataset import tags
from agent.dataset.byte_source import ByteSource, decoded
from agent.dataset.encapsulation import EncapsulatedFrames, FragmentBytes
from agent.dataset.head import scan_head
from agent.dataset.reader import Element, elements
from agent.dataset.transfer_syntaxes import TransferSyntax
from agent.dataset.value_representations import (
    UNDEFINED_LENGTH,
    VALUE_REPRESENTATIONS,
    decode_numbers,
    swap,
)
from agent.dataset.window import refuse
from agent.errors import LocalError

_CLAUSE = "PS3.3 C.7.6.3"
_OVERLAY_GROUPS = range(0x6000, 0x6020, 2)
_OVERLAY_BITS_ALLOCATED = {group << 16 | 0x0100 for group in _OVERLAY_GROUPS}
_NUMBERS = frozenset(
    (
        tags.ROWS,
        tags.COLUMNS,
        tags.SAMPLES_PER_PIXEL,
        tags.PLANAR_CONFIGURATION,
        tags.BITS_ALLOCATED,
        tags.BITS_STORED,
        tags.HIGH_BIT,
        tags.PIXEL_REPRESENTATION,
        *_OVERLAY_BITS_ALLOCATED,
    )
)
_TEXTS = frozenset(
    (
        tags.IMAGE_TYPE,
        tags.SOP_CLASS_UID,
        tags.SOP_INSTANCE_UID,
        tags.DERIVATION_DESCRIPTION,
        tags.NUMBER_OF_FRAMES,
        tags.PHOTOMETRIC_INTERPRETATION,
        tags.LOSSY_IMAGE_COMPRESSION,
        tags.LOSSY_IMAGE_COMPRESSION_RATIO,
        tags.LOSSY_IMAGE_COMPRESSION_METHOD,
    )
)
_TABLES = frozenset((tags.EXTENDED_OFFSET_TABLE, tags.EXTENDED_OFFSET_TABLE_LENGTHS))
_REQUIRED = (tags.ROWS, tags.COLUMNS, tags.BITS_ALLOCATED)

HARMLESS = 1 << 30
LARGEST_RATIO = 2000
"""How many times their compressed bytes frames may be, where they are more than `HARMLESS`. Black
frames reach it; what claims more was made to fill disks and to keep decoders busy."""

Complain = Callable[[str], object]


class StoredImage:
    """An image in a data set; `source` are its bytes as they lie in the file.

    `pixel_data` is the element, None where the object has no Pixel Data (float pixel data are none
    either). `compressed_as` is the UID of the transfer syntax of its frames, where the data set
    reads as another than the file says (Implicit VR in a compressed syntax, as some write it).
    Raises PeerError with status C000H where the attributes cannot be those of an image.
    """

    def __init__(
        self, source: ByteSource, transfer_syntax: TransferSyntax, compressed_as: str = ""
    ) -> None:
        self._compressed_as = compressed_as or transfer_syntax.uid
        self._source = decoded(source, transfer_syntax)
        self._syntax = transfer_syntax._replace(deflated=False)
        head = scan_head(self._source, self._syntax, _NUMBERS | _TEXTS | _TABLES | tags.BULK)
        self._values = head.values
        self.pixel_data = self._pixel_data(head.pixel_data_offset)
        if self.pixel_data is None:
            return
        self.frames = self._count()
        self.stored = self._description()
        """What the attributes say."""
        self.planes = self._number(tags.PLANAR_CONFIGURATION) == 1
        self._encapsulated: EncapsulatedFrames | None = None
        if self.pixel_data.length == UNDEFINED_LENGTH:
            self._encapsulated = EncapsulatedFrames(
                self._source,
                self.pixel_data.value_offset,
                self.frames,
                extended=self._extended_offset_table(),
            )
            self._check_ratio(self._encapsulated.length)
        else:
            self._check_length()

    def text(self, tag: int) -> str:
        """The value of an attribute of the head as text, its values still behind each other."""
        return self._values.get(tag, b"").decode("ascii", "replace").strip(" \0")

    def value(self, tag: int) -> bytes:
        """The raw value of an attribute of the head, empty where there is none."""
        return self._values.get(tag, b"")

    @property
    def compressed(self) -> bool:
        """Whether the pixel data are encapsulated."""
        return self._encapsulated is not None

    @property
    def has_odd_bits(self) -> bool:
        """Whether cells hold more than the sample in their low bits: an overlay (PS3.5 8.1.1, as
        retired), or a sample that does not begin at bit 0."""
        overlaid = any(
            self._number(tag, 1) not in (0, 1)
            for tag in _OVERLAY_BITS_ALLOCATED & set(self._values)
        )
        return self.high_bit != self.stored.bits_stored - 1 or overlaid

    @property
    def high_bit(self) -> int:
        """Of a cell, the highest bit that is the sample's."""
        return self._number(tags.HIGH_BIT, self.stored.bits_stored - 1)

    def described(self) -> FrameDescription:
        """What the native frames are like; of compressed ones, as the first one's header says.

        Raises FrameDamaged where the header is not that of the object's frames, LocalError where
        nothing here decodes the transfer syntax.
        """
        if self._encapsulated is None:
            return self.stored
        source = self._encapsulated.frame(0)
        try:
            return codec_of(self._compressed_as).decode(self.stored, source).frame
        except FrameDamaged as error:
            raise error.of_frame(1) from None

    def compressed_frame(self, number: int) -> FragmentBytes:
        """The bytes of a frame of encapsulated pixel data, counted from 0."""
        assert self._encapsulated is not None
        return self._encapsulated.frame(number)

    def rows_of(self, number: int, *, salvage: Complain | None = None) -> RowSource:
        """A frame, counted from 0; its rows can be read again and again.

        With `salvage`, a damaged frame is told to it, and the rows that are lost come as zeros.
        """
        if self._encapsulated is not None:
            stream = self._encapsulated.frame(number)
            return _DecodedRows(self._compressed_as, self.stored, stream, number, salvage)
        assert self.pixel_data is not None
        offset = self.pixel_data.value_offset + number * self.stored.length
        source = self._source
        if not self._syntax.little_endian:
            source = _Turned(source, self.pixel_data)
        return StoredRows(self.stored, source, offset, planes=self.planes)

    def _pixel_data(self, offset: int | None) -> Element | None:
        if offset is None:
            return None
        behind = _From(self._source, offset)
        event = next(elements(behind, self._syntax), None)
        if not isinstance(event, Element) or event.tag != tags.PIXEL_DATA:
            return None
        return event._replace(value_offset=event.value_offset + offset, offset=offset)

    def _number(self, tag: int, default: int = 0) -> int:
        value = self._values.get(tag, b"")
        if len(value) < 2:
            return default
        return int(decode_numbers("US", value[:2], little_endian=self._syntax.little_endian)[0])

    def _count(self) -> int:
        text = self.text(tags.NUMBER_OF_FRAMES)
        if not text:
            return 1
        if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 31):
            refuse("Number of Frames is no number of frames", text, None)
        return int(text)

    def _description(self) -> FrameDescription:
        for tag in _REQUIRED:
            if not self._number(tag):
                refuse(f"The image has no {tags.name_of(tag)}", tags.format_tag(tag), None)
        allocated = self._number(tags.BITS_ALLOCATED)
        if allocated not in (1, 8, 16, 32, 64):
            refuse("Bits Allocated is neither 1 nor a whole number of bytes", allocated, None)
        stored = self._number(tags.BITS_STORED, allocated)
        if not 0 < stored <= allocated:
            refuse("Bits Stored does not fit Bits Allocated", stored, allocated)
        samples = self._number(tags.SAMPLES_PER_PIXEL, 1)
        if not 1 <= samples <= 4:
            refuse("Samples per Pixel is not from 1 to 4", samples, 4)
        return FrameDescription(
            self._number(tags.ROWS),
            self._number(tags.COLUMNS),
            samples,
            allocated,
            stored,
            self._number(tags.PIXEL_REPRESENTATION),
            self.text(tags.PHOTOMETRIC_INTERPRETATION) or "MONOCHROME2",
        )

    def _extended_offset_table(self) -> tuple[bytes, bytes] | None:
        table = self._values.get(tags.EXTENDED_OFFSET_TABLE)
        lengths = self._values.get(tags.EXTENDED_OFFSET_TABLE_LENGTHS)
        return None if table is None or lengths is None else (table, lengths)

    def _check_ratio(self, compressed: int) -> None:
        native = self.frames * self.stored.length
        if native > HARMLESS and native > LARGEST_RATIO * compressed:
            refuse(
                f"The frames of {compressed} bytes claim to be {native} when they are decoded",
                native,
                LARGEST_RATIO * compressed,
            )

    def _check_length(self) -> None:
        frame = self.stored
        assert self.pixel_data is not None
        if not frame.row_length and self.frames > 1 and frame.rows * frame.columns % 8:
            raise LocalError(
                "Frames of single bits that share bytes cannot be told apart here.",
                clause="PS3.5 8.1.1",
                value=(frame.rows, frame.columns),
            )
        if self.pixel_data.length < self.frames * frame.length:
            refuse(
                "The pixel data are shorter than the frames",
                self.pixel_data.length,
                self.frames * frame.length,
            )


class _DecodedRows:
    """A compressed frame, decoded each time that it is asked for."""

    repeatable = True

    def __init__(
        self,
        uid: str,
        frame: FrameDescription,
        stream: ByteSource,
        number: int,
        salvage: Complain | None,
    ) -> None:
        self._uid = uid
        self._frame = frame
        self._stream = stream
        self._number = number
        self._salvage = salvage

    def strips(self) -> Iterator[Strip]:
        done = 0
        try:
            plan = codec_of(self._uid).decode(self._frame, self._stream)
            for strip in plan.strips:
                done += len(memoryview(strip).cast("B"))
                yield strip
        except FrameDamaged as error:
            located = error.of_frame(self._number + 1)
            if self._salvage is None:
                raise located from None
            self._salvage(str(located))
            yield from self._zeros(done)

    def _zeros(self, done: int) -> Iterator[Strip]:
        frame = self._frame
        if frame.subsampled:
            # Decoders give such frames as three samples a pixel.
            frame = replace(frame, photometric_interpretation="RGB")
        unit = frame.row_length or 1
        for _ in range(done, frame.length, unit):
            yield bytes(unit)


class _From:
    """A source from some position on."""

    def __init__(self, source: ByteSource, start: int) -> None:
        self._source = source
        self._start = start

    def read(self, position: int, length: int) -> bytes:
        return self._source.read(self._start + position, length)


class _Turned:
    """Native pixel data in big endian, read as little endian: words are those of its VR (PS3.5
    7.3), so that bytes in OW change places too."""

    def __init__(self, source: ByteSource, element: Element) -> None:
        self._source = source
        self._element = element
        self._word = VALUE_REPRESENTATIONS[element.vr].word

    def read(self, position: int, length: int) -> bytes:
        before = (position - self._element.value_offset) % self._word
        after = -(before + length) % self._word
        data = self._source.read(position - before, before + length + after)
        if len(data) % self._word and len(data) < before + length:
            # A short read in the middle of a word: only whole words can be turned.
            data = data[: len(data) - len(data) % self._word]
        return swap(self._element.vr, data)[before : before + length]
