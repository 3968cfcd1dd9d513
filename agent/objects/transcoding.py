"""From one transfer syntax to another: a stored data set, its frames through the codecs.

The head is rewritten, the frames go strip by strip from decoder to encoder, everything else is
copied. What is lossless keeps its SOP Instance UID; what loses something is another image
(`lossy_compression`). Memory: the codecs' working sets, 1 MiB of a compressed frame (the rest in a
nameless file), and what `conversion` holds.

Runs where blocking is allowed: in a worker, or in a command.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import replace

from agent.codecs.codec import Encoded, EncodeSettings, RowSource
from agent.codecs.frame import FrameDescription
from agent.codecs.registry import CODECS, codec_of
from agent.codecs.spill import Spill
from agent.dataset import tags
from agent.dataset.broken_signatures import without_broken_signatures
from agent.dataset.byte_source import ByteSource, decoded
from agent.dataset.conversion import Changes, Through, rewrite
from agent.dataset.reader import Element, SequenceStart, elements
from agent.dataset.transfer_syntaxes import (
    DEFLATED_IMAGE_FRAME,
    EXPLICIT_VR_LITTLE_ENDIAN,
    RLE_LOSSLESS,
    Family,
    TransferSyntax,
    encoding_of,
    name_of,
)
from agent.dataset.value_representations import UNDEFINED_LENGTH, swap
from agent.dataset.writer import DataSetWriter, basic_offset_table
from agent.errors import LocalError
from agent.objects import lossy_compression
from agent.objects.full_chroma import FullChroma
from agent.objects.pixels import LONGEST_NATIVE_PIXEL_DATA
from agent.objects.stored_image import StoredImage

_HELD = 1 << 20
_FRAGMENT = 1 << 20
_ONE_FRAGMENT = frozenset((RLE_LOSSLESS, DEFLATED_IMAGE_FRAME))
"""PS3.5 A.4.2 and A.4.13: each frame in one fragment and one only."""

_DEFAULTS = EncodeSettings()

Alteration = Callable[[RowSource, FrameDescription], RowSource]
"""What is done to the native rows of each frame."""


class Transcoding:
    """A data set on its way from `source_syntax` to `target_syntax`, both UIDs.

    `compressed_as` is as of a `StoredImage`. With an `alteration` all frames are decoded and pass
    it, even where the transfer syntax stays.

    Raises LocalError when that way does not exist: the codec is missing, the frames cannot be
    encoded so, the pixel data are a video. Raises PeerError when the object is not what its
    transfer syntax says. `remarks` say what a person should know of the copy.
    """

    def __init__(
        self,
        source: ByteSource,
        source_syntax: str,
        target_syntax: str,
        settings: EncodeSettings = _DEFAULTS,
        *,
        salvage: bool = False,
        compressed_as: str = "",
        alteration: Alteration | None = None,
    ) -> None:
        self._source = source
        self._source_syntax = encoding_of(source_syntax)
        frames = encoding_of(compressed_as or source_syntax)
        self._target = encoding_of(target_syntax)
        self._settings = settings
        self.remarks: list[str] = []
        self._salvage = self._remark if salvage else None
        self._alteration = alteration
        self._changes: dict[int, tuple[str, bytes] | None] = {}
        self._additions: Changes = {}
        self._pixels: _KeptFrames | _NativePixels | _EncapsulatedPixels | None = None
        self.new_instance_uid = ""
        """The SOP Instance UID of the copy where something is lost; empty where it stays."""
        _check_families(frames, self._target)
        if frames.encapsulated or self._target.encapsulated or alteration is not None:
            image = StoredImage(source, self._source_syntax, frames.uid)
            if image.pixel_data is None:
                return
            is_kept = image.compressed and frames.uid == self._target.uid
            if is_kept and alteration is None:
                self._pixels = _KeptFrames(image)
            else:
                self._prepare(image)

    @property
    def changes_pixels(self) -> bool:
        """Whether there are frames that are decoded, or compressed."""
        return self._pixels is not None

    def write(self, write: Callable[[bytes], object], *, through: Through | None = None) -> None:
        """Write the data set; all but Pixel Data pass `through`. Raises FrameDamaged where a frame
        is (but for salvage), StorageError where there is no room, and what `write` raises; what was
        written then is no data set."""
        source, syntax = self._signed_source()
        try:
            rewrite(
                source,
                syntax.uid,
                self._target.uid,
                write,
                changes=self._changes,
                additions=self._additions,
                pixel_data=self._pixels,
                through=through,
            )
        finally:
            if isinstance(self._pixels, _EncapsulatedPixels):
                self._pixels.close()

    def _signed_source(self) -> tuple[ByteSource, TransferSyntax]:
        """The data set without signatures over pixels that are others, or attributes that change
        with them (PS3.15 A.2)."""
        source, syntax = self._source, self._source_syntax
        if self._pixels is None or isinstance(self._pixels, _KeptFrames):
            return source, syntax
        if syntax.deflated:
            source, syntax = decoded(source, syntax), encoding_of(EXPLICIT_VR_LITTLE_ENDIAN)
        touched = {tags.PIXEL_DATA, *self._changes, *self._additions}
        return without_broken_signatures(source, syntax, touched), syntax

    def _prepare(self, image: StoredImage) -> None:
        uid = self._target.uid
        frames = _Frames(image, self._salvage, self._alteration)
        changes = self._changes
        if image.compressed:
            changes.update(
                {tags.EXTENDED_OFFSET_TABLE: None, tags.EXTENDED_OFFSET_TABLE_LENGTHS: None}
            )
            self._leave_out_icons()
        if not self._target.encapsulated:
            self._pixels = _NativePixels(frames, self._target)
            changes.update(_attributes(image, frames.described))
            return
        frames.fit(uid, self._settings)
        pixels = _EncapsulatedPixels(frames, uid, self._settings)
        self._pixels = pixels
        if lossy_compression.loses(uid, self._settings):
            native, compressed = pixels.compress_ahead()
            ratio = native / max(1, compressed)
            changes.update(lossy_compression.attributes(image, uid, self._settings, ratio))
            self._additions = lossy_compression.additions(image)
            self.new_instance_uid = lossy_compression.instance_uid(image, uid, self._settings)
        changes.update(_attributes(image, pixels.described))

    def _leave_out_icons(self) -> None:
        """An icon that is compressed as the image was cannot stay: it is left out, and told."""
        source = decoded(self._source, self._source_syntax)
        top = 0
        for event in elements(source, self._source_syntax._replace(deflated=False)):
            if isinstance(event, SequenceStart) and not event.depth:
                top = event.tag
            elif (
                isinstance(event, Element)
                and event.depth
                and event.tag == tags.PIXEL_DATA
                and event.length == UNDEFINED_LENGTH
            ):
                self._changes[top] = None
                self._remark(
                    f"{tags.name_of(top)} is left out: it holds a compressed image of its own"
                )

    def _remark(self, text: str) -> None:
        # A frame that is read twice complains twice.
        if text not in self.remarks:
            self.remarks.append(text)


def _check_families(source: TransferSyntax, target: TransferSyntax) -> None:
    for syntax, what in ((source, "decoded"), (target, "made")):
        if syntax.video or syntax.family is Family.REFERENCED:
            raise LocalError(f"{syntax.name} cannot be {what} here.", value=syntax.uid)
    if target.encapsulated and target.uid not in CODECS:
        raise LocalError(f"{name_of(target.uid)} cannot be made here.", value=target.uid)


def _attributes(image: StoredImage, frame: FrameDescription) -> Changes:
    """What of the Image Pixel attributes differs from what the object says (PS3.5 8.2)."""
    changes: dict[int, tuple[str, bytes] | None] = {}
    if frame.photometric_interpretation != image.stored.photometric_interpretation:
        text = frame.photometric_interpretation.encode()
        changes[tags.PHOTOMETRIC_INTERPRETATION] = ("CS", text)
    if frame.samples_per_pixel > 1:
        changes[tags.PLANAR_CONFIGURATION] = ("US", b"\0\0")
    if frame.bits_allocated != image.stored.bits_allocated:
        changes[tags.BITS_ALLOCATED] = ("US", struct.pack("<H", frame.bits_allocated))
    if frame.bits_stored != image.stored.bits_stored:
        changes[tags.BITS_STORED] = ("US", struct.pack("<H", frame.bits_stored))
        changes[tags.HIGH_BIT] = ("US", struct.pack("<H", frame.bits_stored - 1))
    return changes


class _Frames:
    """The native frames of an image, as the target is to get them."""

    def __init__(
        self,
        image: StoredImage,
        salvage: Callable[[str], object] | None,
        alteration: Alteration | None,
    ) -> None:
        self._image = image
        self._salvage = salvage
        self._alteration = alteration
        self._expanded = False
        self.count = image.frames
        self.described = image.described()
        """What the frames are."""
        self.given = self.described
        """What an encoder is told that they are."""

    def fit(self, uid: str, settings: EncodeSettings) -> None:
        """Make of the frames what the codec takes; LocalError where that cannot be."""
        codec = codec_of(uid)
        if self._image.has_odd_bits:
            if lossy_compression.loses(uid, settings):
                raise LocalError(
                    "The image has an overlay or other bits beside its samples, which lossy "
                    "compression would destroy.",
                    clause="PS3.5 8.1.1",
                )
            # Each cell as a whole is the sample, so that nothing of it is lost.
            self.given = replace(
                self.given, bits_stored=self.given.bits_allocated, pixel_representation=0
            )
        reason = codec.refusal(uid, self.given, settings)
        if reason and self.given.subsampled and self.given.bits_allocated == 8:
            full = replace(self.given, photometric_interpretation="YBR_FULL")
            if not codec.refusal(uid, full, settings):
                self._expanded, self.given, self.described = True, full, full
                return
        if reason:
            raise LocalError(f"{reason[0].upper()}{reason[1:]}.", clause="PS3.5 8.2", value=uid)

    def rows_of(self, number: int) -> RowSource:
        rows = self._image.rows_of(number, salvage=self._salvage)
        if self._alteration is not None:
            rows = self._alteration(rows, self._image.described())
        return FullChroma(rows) if self._expanded else rows


class _KeptFrames:
    """Writes compressed frames as they are: only the data set around them was not encoded so."""

    def __init__(self, image: StoredImage) -> None:
        self._image = image

    def __call__(self, element: Element, writer: DataSetWriter) -> None:
        writer.begin_fragments()
        for number in range(self._image.frames):
            self._image.compressed_frame(number).write_to(writer)
        writer.end_fragments()


class _NativePixels:
    """Writes the frames as they are, one after another (PS3.5 8.1)."""

    def __init__(self, frames: _Frames, target: TransferSyntax) -> None:
        self._frames = frames
        self._target = target
        length = frames.count * frames.described.length
        if length > LONGEST_NATIVE_PIXEL_DATA:
            raise LocalError(
                "The image is too large for a native transfer syntax.",
                clause="PS3.5 7.1.1",
                value=length,
                limit=LONGEST_NATIVE_PIXEL_DATA,
            )
        self._length = length

    def __call__(self, element: Element, writer: DataSetWriter) -> None:
        wide = self._frames.described.bits_allocated > 8 or not self._target.explicit_vr
        vr = "OW" if wide else "OB"
        turned = not self._target.little_endian and vr == "OW"
        padding = self._length % 2
        writer.begin_value(tags.PIXEL_DATA, vr, self._length + padding)
        for number in range(self._frames.count):
            for strip in self._frames.rows_of(number).strips():
                writer.value(swap(vr, bytes(strip)) if turned else bytes(strip))
        writer.value(b"\0" * padding)
        writer.end_value()


class _EncapsulatedPixels:
    """Writes the frames compressed, each in a fragment or more (PS3.5 A.4)."""

    def __init__(self, frames: _Frames, uid: str, settings: EncodeSettings) -> None:
        self._frames = frames
        self._uid = uid
        self._settings = settings
        self._lengths: list[int] = []
        self._ahead: Spill | None = None
        first = self._encoded(0)
        self.described = replace(
            first.frame,
            bits_stored=frames.described.bits_stored,
            pixel_representation=frames.described.pixel_representation,
        )
        """What the object's attributes must say."""

    def compress_ahead(self) -> tuple[int, int]:
        """Compress all frames before the head is written: bytes before and after."""
        self._ahead = Spill(_HELD)
        for number in range(self._frames.count):
            before = self._ahead.length
            for piece in self._encoded(number).pieces:
                self._ahead.append(piece)
            self._lengths.append(self._ahead.length - before)
        return self._frames.count * self._frames.described.length, self._ahead.length

    def close(self) -> None:
        if self._ahead is not None:
            self._ahead.close()

    def __call__(self, element: Element, writer: DataSetWriter) -> None:
        if self._ahead is not None:
            self._write_ahead(self._ahead, writer)
            return
        writer.begin_fragments()
        for number in range(self._frames.count):
            pieces = self._encoded(number).pieces
            if self._frames.count == 1 and self._uid not in _ONE_FRAGMENT:
                _in_fragments(pieces, writer)
            else:
                _in_one_fragment(pieces, writer)
        writer.end_fragments()

    def _write_ahead(self, compressed: Spill, writer: DataSetWriter) -> None:
        """With a Basic Offset Table, as the lengths are known."""
        try:
            table = basic_offset_table((length,) for length in self._lengths)
        except LocalError:
            table = ()
        writer.begin_fragments(table)
        stream = _Stream(compressed.pieces())
        for length in self._lengths:
            writer.begin_fragment(length)
            for piece in stream.take(length):
                writer.fragment_data(piece)
            writer.end_fragment()
        writer.end_fragments()

    def _encoded(self, number: int) -> Encoded:
        rows = self._frames.rows_of(number)
        return codec_of(self._uid).encode(self._uid, self._frames.given, rows, self._settings)


def _in_fragments(pieces: Iterator[bytes], writer: DataSetWriter) -> None:
    """A single frame of unknown length, in as many fragments as it takes."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= _FRAGMENT:
            writer.fragment(bytes(held[:_FRAGMENT]))
            del held[:_FRAGMENT]
    if held:
        writer.fragment(bytes(held))


def _in_one_fragment(pieces: Iterator[bytes], writer: DataSetWriter) -> None:
    spill = Spill(_HELD)
    try:
        for piece in pieces:
            spill.append(piece)
        writer.begin_fragment(spill.length)
        for piece in spill.pieces():
            writer.fragment_data(piece)
        writer.end_fragment()
    finally:
        spill.close()


class _Stream:
    """Pieces of any size, taken as so many bytes."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def take(self, length: int) -> Iterator[bytes]:
        while length:
            piece = self._rest or next(self._pieces)
            part, self._rest = piece[:length], piece[length:]
            length -= len(part)
            yield part
