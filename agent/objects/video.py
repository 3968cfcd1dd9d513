"""Wraps a video stream that an encoder has made: MPEG-2, MPEG-4 AVC/H.264 or HEVC (PS3.5 8.2.5).

The stream is not decoded: how large its frames are, how many there are and how fast they follow is
told by whoever has it. Its header must agree (PS3.5 8.2.5). It streams through in pieces; memory
is the head and the first MiB of the stream, until that has been looked at.
"""

from __future__ import annotations

from dataclasses import replace

from agent.codecs.video import complaint
from agent.codecs.video_container import LOOKED_AT
from agent.dataset.element_encoding import encode_header, item_header, sequence_delimitation
from agent.dataset.tags import PIXEL_DATA
from agent.dataset.transfer_syntaxes import Family, TransferSyntax, encoding_of
from agent.dataset.value_representations import UNDEFINED_LENGTH
from agent.errors import LocalError, StorageError
from agent.objects.composite import FinishedObject, compression_ratio, fill
from agent.objects.description import (
    Cine,
    DeviceIdentity,
    ExaminationIdentity,
    InstanceDescription,
)
from agent.objects.element import Element
from agent.objects.head import decimal_string
from agent.objects.output import Bytes, OutputFile
from agent.objects.pixels import PixelDescription
from agent.objects.preparation import Prepared, prepare
from agent.quoting import quoted

LONGEST_FRAGMENT = 0xFFFFFFFE
"""Bytes of one fragment: its length has 32 bits and is even (PS3.5 A.4)."""

_STEREO = ("1.2.840.10008.1.2.4.106", "1.2.840.10008.1.2.4.106.1")
_STEREO_PAIRS_PRESENT = 0x00220028


def video_pixels(rows: int, columns: int) -> PixelDescription:
    """The frames of a video of 8 bits, 4:2:0, as all these syntaxes but Main 10 have them."""
    return PixelDescription(rows, columns, "YBR_PARTIAL_420", 3, 8, 8)


def is_fragmentable(transfer_syntax: TransferSyntax) -> bool:
    """Whether the stream may be cut into fragments (PS3.5 A.4); HEVC always may."""
    return transfer_syntax.family is Family.HEVC or transfer_syntax.uid.endswith(".1")


def begin_video(
    descriptor: int,
    sop_class_uid: str,
    identity: ExaminationIdentity,
    pixels: PixelDescription,
    device: DeviceIdentity,
    instance: InstanceDescription,
    *,
    cine: Cine,
    transfer_syntax_uid: str,
    file_meta: bytes = b"",
    longest_fragment: int = LONGEST_FRAGMENT,
) -> VideoWriter:
    """Write the head of a video object and be ready for its stream.

    `longest_fragment` is where a stream in a fragmentable transfer syntax is cut; others are one
    fragment. Raises LocalError when the IOD takes no video, the syntax is none of video, or a
    mandatory value is missing; StorageError when the file cannot be written.
    """
    transfer_syntax = encoding_of(transfer_syntax_uid)
    if not transfer_syntax.video or not transfer_syntax.encapsulated:
        raise LocalError(
            "The transfer syntax is none of video.", clause="PS3.5 8.2.5", value=transfer_syntax_uid
        )
    if transfer_syntax_uid in _STEREO:
        # PS3.5 8.2.9: always said of this syntax.
        additional = {**identity.additional, _STEREO_PAIRS_PRESENT: Element("CS", "YES")}
        identity = replace(identity, additional=additional)
    prepared = prepare(sop_class_uid, identity, pixels, device, instance, cine, transfer_syntax)
    limit = min(longest_fragment, LONGEST_FRAGMENT) & ~1
    return VideoWriter(descriptor, prepared, file_meta, transfer_syntax, limit)


class VideoWriter:
    """A video object that is being written; made by `begin_video`.

    The bytes of the stream come by `write`, in pieces of any size; then `finish`, or `discard`.
    """

    def __init__(
        self,
        descriptor: int,
        prepared: Prepared,
        file_meta: bytes,
        transfer_syntax: TransferSyntax,
        longest_fragment: int,
    ) -> None:
        self._iod, self._facts, head = prepared
        self._syntax = transfer_syntax
        self._limit = longest_fragment
        self._patch_points = head.patch_points
        self._file = OutputFile(descriptor)
        self._data_set_offset = self._file.started_at + len(file_meta)
        self._pixel_data_offset = self._data_set_offset + len(head.data)
        self._fragment_at = 0
        self._fragment_length = 0
        self._length = 0
        self._beginning: bytearray | None = bytearray()
        self._open = True
        pixel_data = encode_header(PIXEL_DATA, "OB", UNDEFINED_LENGTH, transfer_syntax)
        try:
            # The Basic Offset Table of a video has nothing to say (PS3.5 A.4): it is empty.
            self._file.append([file_meta, head.data, pixel_data, item_header(0, True)])
            self._begin_fragment()
        except StorageError:
            self.discard()
            raise

    @property
    def length(self) -> int:
        """Bytes of the stream so far."""
        return self._length

    def write(self, data: Bytes) -> None:
        """The next bytes of the stream.

        Raises LocalError when they do not fit into one fragment and the syntax allows no second, or
        when the stream is not what the object says of it; StorageError when the disk is full or
        broken. The object can then only be discarded.
        """
        self._expect_open()
        with memoryview(data) as lent, lent.cast("B") as view:
            if self._beginning is not None:
                self._beginning += view[: LOOKED_AT - len(self._beginning)]
                if len(self._beginning) == LOOKED_AT:
                    self._check_header()
            start = 0
            while start < len(view):
                if self._fragment_length == self._limit:
                    self._next_fragment()
                with view[start : start + self._limit - self._fragment_length] as piece:
                    self._file.append([piece])
                    start += len(piece)
                    self._fragment_length += len(piece)
                    self._length += len(piece)

    def finish(self, number_of_frames: int, *, frame_time: float | None = None) -> FinishedObject:
        """Complete the object; the file is whole, but synced by whoever keeps it.

        `frame_time` (milliseconds) replaces the nominal one. Raises LocalError when there is no
        stream or no frame, StorageError when writing fails.
        """
        self._expect_open()
        if not self._length or number_of_frames < 1:
            raise LocalError(
                "A video has at least one frame.", clause="PS3.3 C.7.6.6", value=number_of_frames
            )
        self._check_header()
        self._end_fragment()
        self._file.append([sequence_delimitation(True)])
        pixels, cine = self._facts.pixels, self._facts.cine
        assert pixels is not None and cine is not None
        measured = {
            "number_of_frames": str(number_of_frames),
            "frame_time": decimal_string(frame_time or cine.frame_time),
            "compression_ratio": compression_ratio(
                number_of_frames * pixels.frame_length, self._length
            ),
        }
        fill(self._file, self._patch_points, self._data_set_offset, measured)
        self._file.seek_end()
        self._open = False
        return FinishedObject(
            self._iod.sop_class_uid,
            self._facts.instance.sop_instance_uid,
            self._syntax.uid,
            number_of_frames,
            self._data_set_offset,
            self._pixel_data_offset,
            self._file.position,
        )

    def discard(self) -> None:
        """Take back all that was written; no error twice."""
        if self._open:
            self._open = False
            self._file.take_back()

    def _check_header(self) -> None:
        if self._beginning is None:
            return
        pixels = self._facts.pixels
        assert pixels is not None
        found = complaint(bytes(self._beginning), self._syntax.uid, pixels.frame)
        self._beginning = None
        if found:
            raise LocalError(
                f"The video cannot be in this object: {quoted(found)}.",
                clause="PS3.5 8.2.5",
                value=self._syntax.uid,
                way_out="Choose the transfer syntax of the stream, or encode it anew.",
            )

    def _begin_fragment(self) -> None:
        self._fragment_at = self._file.position
        self._fragment_length = 0
        self._file.append([item_header(0, True)])

    def _end_fragment(self) -> None:
        if self._fragment_length % 2:
            self._file.append([b"\0"])
            self._fragment_length += 1
        self._file.patch(item_header(self._fragment_length, True), self._fragment_at)

    def _next_fragment(self) -> None:
        if not is_fragmentable(self._syntax):
            raise LocalError(
                "The video is too long for one fragment.",
                clause="PS3.5 A.4",
                value=self._length,
                limit=self._limit,
                way_out="Use the fragmentable form of the transfer syntax.",
            )
        self._end_fragment()
        self._begin_fragment()

    def _expect_open(self) -> None:
        if not self._open:
            raise LocalError("The object is finished or discarded.", clause="PS3.5 7")
