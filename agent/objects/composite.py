"""Writes a composite object frame by frame, in memory that does not grow with it.

`begin` writes the head with room for what is not known yet; frames follow as they come, whole or
in pieces; `finish` fills in the number of frames, the frame time and the length of the pixel data.
The file is never read back and nothing of a frame is kept, so memory is the head, some kilobytes.

Everything is written at given offsets of a regular file, from its end at the time of `begin`: a
file that already holds the file meta information (a reception of the archive) is continued.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from agent.dataset.element_encoding import encode_header, item_header, sequence_delimitation
from agent.dataset.tags import PIXEL_DATA
from agent.dataset.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    encoding_of,
)
from agent.dataset.value_representations import UNDEFINED_LENGTH
from agent.errors import LocalError, StorageError
from agent.objects.description import (
    Cine,
    DeviceIdentity,
    ExaminationIdentity,
    InstanceDescription,
)
from agent.objects.head import PatchPoint, decimal_string
from agent.objects.output import Bytes, OutputFile
from agent.objects.pixels import LONGEST_NATIVE_PIXEL_DATA, PixelDescription
from agent.objects.preparation import Prepared, prepare
from agent.objects.single_bit import BitStream


@dataclass(frozen=True, slots=True)
class FinishedObject:
    """What was written: `length` is of the whole file, offsets count from its first byte.

    An object that is no image has no frames and no pixel data.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    number_of_frames: int
    data_set_offset: int
    pixel_data_offset: int | None
    length: int


def begin(
    descriptor: int,
    sop_class_uid: str,
    identity: ExaminationIdentity,
    pixels: PixelDescription,
    device: DeviceIdentity,
    instance: InstanceDescription,
    *,
    cine: Cine | None = None,
    file_meta: bytes = b"",
    transfer_syntax_uid: str = EXPLICIT_VR_LITTLE_ENDIAN,
) -> ObjectWriter:
    """Write the head of a new object and be ready for its first frame.

    `descriptor` is a regular file open for writing; `file_meta` is written first (of
    `agent.dataset.file_meta.encode_file_meta`), empty when the file has it already. A clip needs
    `cine`; an object that may be a clip or not (XA, ophthalmic photography) is one with it. Raises
    LocalError when the IOD does not allow the pixels or a mandatory value is missing (nothing is
    written then), StorageError when the file cannot be written.
    """
    transfer_syntax = encoding_of(transfer_syntax_uid)
    if transfer_syntax.video:
        raise LocalError(
            "A video stream is not written frame by frame.",
            clause="PS3.5 8.2.5",
            value=transfer_syntax_uid,
            way_out="Use agent.objects.video.",
        )
    prepared = prepare(sop_class_uid, identity, pixels, device, instance, cine, transfer_syntax)
    return ObjectWriter(descriptor, prepared, file_meta, transfer_syntax_uid)


class ObjectWriter:
    """One object that is being written; made by `begin`.

    Frames come by `write_frame`, or in pieces by `begin_frame`, `write` and `end_frame`; of a
    native object each has exactly `pixels.frame_length` bytes, of an encapsulated one each is a
    compressed frame and becomes one fragment. Then `finish`, or `discard` at any time.
    """

    def __init__(
        self,
        descriptor: int,
        prepared: Prepared,
        file_meta: bytes,
        transfer_syntax_uid: str,
    ) -> None:
        syntax = encoding_of(transfer_syntax_uid)
        self._iod, self._facts, head = prepared
        self._transfer_syntax_uid = transfer_syntax_uid
        self._little_endian = syntax.little_endian
        self._encapsulated = syntax.encapsulated
        self._bits = _bit_stream(self.pixels)
        vr = "OB" if syntax.encapsulated or self.pixels.bits_allocated <= 8 else "OW"
        if not syntax.explicit_vr:
            vr = "OW"  # PS3.5 A.1
        length = UNDEFINED_LENGTH if syntax.encapsulated else 0
        pixel_data = encode_header(PIXEL_DATA, vr, length, syntax)
        self._file = OutputFile(descriptor)
        self._data_set_offset = self._file.started_at + len(file_meta)
        self._patch_points = head.patch_points
        self._pixel_data_offset = self._data_set_offset + len(head.data)
        self._value_offset = self._pixel_data_offset + len(pixel_data)
        if syntax.encapsulated:
            # An empty Basic Offset Table: the offsets are not known in front (PS3.5 A.4).
            pixel_data += item_header(0, syntax.little_endian)
        self._frames = 0
        self._in_frame: int | None = None
        self._compressed = 0
        self._fragment_offset = 0
        self._open = True
        try:
            self._file.append([file_meta, head.data, pixel_data])
        except StorageError:
            self.discard()
            raise

    @property
    def sop_instance_uid(self) -> str:
        return self._facts.instance.sop_instance_uid

    @property
    def pixels(self) -> PixelDescription:
        assert self._facts.pixels is not None
        return self._facts.pixels

    @property
    def number_of_frames(self) -> int:
        """Frames that are whole."""
        return self._frames

    @property
    def room(self) -> int | None:
        """How many more frames the object can take; None: without limit.

        Native pixel data end at 4 GiB (PS3.5 7.1.2): begin another object then.
        """
        if self._facts.cine is None or not self._facts.cine.frame_time:
            return 1 - self._frames
        if self._encapsulated:
            return None
        return LONGEST_NATIVE_PIXEL_DATA // self.pixels.frame_length - self._frames

    def write_frame(self, frame: Bytes | Sequence[Bytes]) -> None:
        """One frame, whole or as parts that follow each other. Errors as of `write`."""
        self.begin_frame()
        if isinstance(frame, (bytes, bytearray, memoryview)):
            self.write(frame)
        else:
            for part in frame:
                self.write(part)
        self.end_frame()

    def begin_frame(self) -> None:
        """A frame starts. Raises LocalError when there is no room for one."""
        self._expect(in_frame=False)
        room = self.room
        if room is not None and room < 1:
            raise LocalError(
                "The object can take no more frames.",
                clause="PS3.5 7.1.2" if self._facts.cine else f"PS3.3 {self._iod.clause}",
                value=self._frames,
                way_out="Begin another object.",
            )
        self._in_frame = 0
        self._fragment_offset = self._file.position
        if self._bits is not None:
            self._bits.begin_frame()
        if self._encapsulated:
            self._file.append([item_header(0, self._little_endian)])

    def write(self, data: Bytes) -> None:
        """The next bytes of the frame.

        Raises LocalError when the frame gets too long, StorageError when the disk is full or
        broken; the object can then only be discarded.
        """
        written = self._expect(in_frame=True)
        written += data.nbytes if isinstance(data, memoryview) else len(data)
        if not self._encapsulated and written > self.pixels.frame_length:
            raise LocalError(
                "More bytes than a frame has.",
                clause="PS3.5 8.1.1",
                value=written,
                limit=self.pixels.frame_length,
            )
        self._in_frame = written
        self._file.append([data if self._bits is None else self._bits.join(data)])

    def end_frame(self) -> None:
        """The frame is complete. Raises LocalError when it is not."""
        written = self._expect(in_frame=True)
        if self._encapsulated:
            if written < 1 or written > LONGEST_NATIVE_PIXEL_DATA:
                raise LocalError(
                    "A frame cannot have this length.", clause="PS3.5 A.4", value=written
                )
            self._compressed += written
            if written % 2:
                self._file.append([b"\0"])
                written += 1
            self._file.patch(item_header(written, self._little_endian), self._fragment_offset)
        elif written != self.pixels.frame_length:
            raise LocalError(
                "Fewer bytes than a frame has.",
                clause="PS3.5 8.1.1",
                value=written,
                limit=self.pixels.frame_length,
            )
        self._in_frame = None
        self._frames += 1

    def finish(
        self, number_of_frames: int | None = None, *, frame_time: float | None = None
    ) -> FinishedObject:
        """Complete the object; the file is whole, but synced by whoever keeps it.

        `number_of_frames` is checked against what was written; `frame_time` (milliseconds)
        replaces the nominal one by what was measured. Raises LocalError when there is no frame,
        one is not whole, or the numbers differ; StorageError when writing fails.
        """
        self._expect(in_frame=False)
        if self._frames < 1 or number_of_frames not in (None, self._frames):
            raise LocalError(
                "The object does not have the frames that it should have.",
                clause="PS3.3 C.7.6.6",
                value=self._frames,
                limit=number_of_frames,
                way_out="Discard it.",
            )
        if self._encapsulated:
            self._file.append([sequence_delimitation(self._little_endian)])
        else:
            self._end_native()
        fill(self._file, self._patch_points, self._data_set_offset, self._measured(frame_time))
        self._file.seek_end()
        self._open = False
        return FinishedObject(
            self._iod.sop_class_uid,
            self.sop_instance_uid,
            self._transfer_syntax_uid,
            self._frames,
            self._data_set_offset,
            self._pixel_data_offset,
            self._file.position,
        )

    def discard(self) -> None:
        """Take back all that was written; the file is as long as before `begin`. No error twice."""
        if self._open:
            self._open = False
            self._file.take_back()

    def _end_native(self) -> None:
        if self._bits is not None:
            self._file.append([self._bits.rest()])
        length = self._file.position - self._value_offset
        if length % 2:
            self._file.append([b"\0"])
            length += 1
        order: Literal["little", "big"] = "little" if self._little_endian else "big"
        self._file.patch(length.to_bytes(4, order), self._value_offset - 4)

    def _measured(self, frame_time: float | None) -> dict[str, str]:
        cine = self._facts.cine
        whole = self._frames * self.pixels.frame_length
        return {
            "number_of_frames": str(self._frames),
            "frame_time": decimal_string(frame_time or (cine.frame_time if cine else 0.0)),
            "compression_ratio": compression_ratio(whole, self._compressed),
        }

    def _expect(self, *, in_frame: bool) -> int:
        if not self._open:
            raise LocalError("The object is finished or discarded.", clause="PS3.5 7")
        if in_frame is (self._in_frame is None):
            raise LocalError(
                "No frame has begun." if in_frame else "A frame is not complete.",
                clause="PS3.5 8.1.1",
            )
        return self._in_frame or 0


def _bit_stream(pixels: PixelDescription) -> BitStream | None:
    return BitStream(pixels.rows * pixels.columns) if pixels.bits_allocated == 1 else None


def compression_ratio(whole: float, compressed: int) -> str:
    """Lossy Image Compression Ratio (PS3.3 C.7.6.1.1.5.2): how many bytes became one."""
    return decimal_string(round(whole / compressed, 2)) if compressed else ""


def fill(
    file: OutputFile,
    patch_points: Mapping[str, PatchPoint],
    data_set_offset: int,
    values: Mapping[str, str],
) -> None:
    """Write what is known at the end into the room that the head left for it."""
    for name, text in values.items():
        point = patch_points.get(name)
        if point is not None:
            file.patch(text.encode("ascii").ljust(point.width), data_set_offset + point.offset)
