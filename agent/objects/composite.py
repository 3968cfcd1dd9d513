"""Writes a composite object frame by frame, in memory that does not grow with it.

`begin` writes the head with room for what is not known yet; frames follow as they come, whole or
in pieces; `finish` fills in the number of frames, the frame time and the length of the pixel data.
The file is never read back and nothing of a frame is kept, so memory is the head, some kilobytes.

Everything is written at given offsets of a regular file, from its end at the time of `begin`: a
file that already holds the file meta information (a reception of the archive) is continued.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

from agent.dataset.element_encoding import encode_header, item_header, sequence_delimitation
from agent.dataset.tags import PIXEL_DATA
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, encoding_of
from agent.dataset.value_representations import UNDEFINED_LENGTH
from agent.errors import LocalError, StorageError
from agent.objects.description import (
    Cine,
    DeviceIdentity,
    ExaminationIdentity,
    InstanceDescription,
)
from agent.objects.head import Head, compose, decimal_string
from agent.objects.iods import Iod, iod_of
from agent.objects.modules import Facts, ObjectFacts
from agent.objects.pixels import LONGEST_NATIVE_PIXEL_DATA, PixelDescription

Bytes: TypeAlias = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class FinishedObject:
    """What was written: `length` is of the whole file, offsets count from its first byte."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    number_of_frames: int
    data_set_offset: int
    pixel_data_offset: int
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
    `cine`. Raises LocalError when the IOD does not allow the pixels or a mandatory value is
    missing (nothing is written then), StorageError when the file cannot be written.
    """
    iod = iod_of(sop_class_uid)
    transfer_syntax = encoding_of(transfer_syntax_uid)
    if transfer_syntax.deflated:
        raise LocalError(
            "A deflated data set cannot be completed at its end.",
            clause="PS3.5 A.5",
            value=transfer_syntax_uid,
        )
    iod.check(pixels, encapsulated=transfer_syntax.encapsulated)
    if iod.multi_frame and cine is None:
        raise LocalError("A multi-frame object needs its frame time.", clause="PS3.3 C.7.6.5")
    facts = Facts(
        identity.patient,
        identity.study,
        identity.series,
        device,
        instance,
        pixels,
        cine if iod.multi_frame else None,
        ObjectFacts(
            sop_class_uid,
            identity.series.modality or iod.modality,
            iod.image_type if instance.image_type is None else instance.image_type,
            iod.multi_frame,
        ),
    )
    head = compose(iod, facts, identity.additional, transfer_syntax)
    return ObjectWriter(descriptor, iod, facts, head, file_meta, transfer_syntax_uid)


class ObjectWriter:
    """One object that is being written; made by `begin`.

    Frames come by `write_frame`, or in pieces by `begin_frame`, `write` and `end_frame`; of a
    native object each has exactly `pixels.frame_length` bytes, of an encapsulated one each is a
    compressed frame and becomes one fragment. Then `finish`, or `discard` at any time.
    """

    def __init__(
        self,
        descriptor: int,
        iod: Iod,
        facts: Facts,
        head: Head,
        file_meta: bytes,
        transfer_syntax_uid: str,
    ) -> None:
        syntax = encoding_of(transfer_syntax_uid)
        self._descriptor = descriptor
        self._iod = iod
        self._facts = facts
        self._transfer_syntax_uid = transfer_syntax_uid
        self._little_endian = syntax.little_endian
        self._encapsulated = syntax.encapsulated
        vr = "OB" if syntax.encapsulated or facts.pixels.bits_allocated <= 8 else "OW"
        if not syntax.explicit_vr:
            vr = "OW"  # PS3.5 A.1
        length = UNDEFINED_LENGTH if syntax.encapsulated else 0
        pixel_data = encode_header(PIXEL_DATA, vr, length, syntax)
        self._started_at = self._storing(lambda: os.lseek(descriptor, 0, os.SEEK_END))
        self._data_set_offset = self._started_at + len(file_meta)
        self._patch_points = head.patch_points
        self._pixel_data_offset = self._data_set_offset + len(head.data)
        self._value_offset = self._pixel_data_offset + len(pixel_data)
        if syntax.encapsulated:
            # An empty Basic Offset Table: the offsets are not known in front (PS3.5 A.4).
            pixel_data += item_header(0, syntax.little_endian)
        self._position = self._started_at
        self._frames = 0
        self._frame_start: int | None = None
        self._open = True
        try:
            self._write_all([file_meta, head.data, pixel_data])
        except StorageError:
            self.discard()
            raise

    @property
    def sop_instance_uid(self) -> str:
        return self._facts.instance.sop_instance_uid

    @property
    def pixels(self) -> PixelDescription:
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
        if not self._iod.multi_frame:
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
                clause="PS3.5 7.1.2" if self._iod.multi_frame else f"PS3.3 {self._iod.clause}",
                value=self._frames,
                way_out="Begin another object.",
            )
        self._frame_start = self._position
        if self._encapsulated:
            self._write_all([item_header(0, self._little_endian)])

    def write(self, data: Bytes) -> None:
        """The next bytes of the frame.

        Raises LocalError when the frame gets too long, StorageError when the disk is full or
        broken; the object can then only be discarded.
        """
        self._expect(in_frame=True)
        length = data.nbytes if isinstance(data, memoryview) else len(data)
        if not self._encapsulated and self._written() + length > self.pixels.frame_length:
            raise LocalError(
                "More bytes than a frame has.",
                clause="PS3.5 8.1.1",
                value=self._written() + length,
                limit=self.pixels.frame_length,
            )
        self._write_all([data])

    def end_frame(self) -> None:
        """The frame is complete. Raises LocalError when it is not."""
        self._expect(in_frame=True)
        written = self._written()
        if self._encapsulated:
            written -= 8
            if written < 1 or written > LONGEST_NATIVE_PIXEL_DATA:
                raise LocalError(
                    "A frame cannot have this length.", clause="PS3.5 A.4", value=written
                )
            if written % 2:
                self._write_all([b"\0"])
                written += 1
            assert self._frame_start is not None
            self._patch(item_header(written, self._little_endian), self._frame_start)
        elif written != self.pixels.frame_length:
            raise LocalError(
                "Fewer bytes than a frame has.",
                clause="PS3.5 8.1.1",
                value=written,
                limit=self.pixels.frame_length,
            )
        self._frame_start = None
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
            self._write_all([sequence_delimitation(self._little_endian)])
        else:
            length = self._position - self._value_offset
            if length % 2:
                self._write_all([b"\0"])
                length += 1
            order: Literal["little", "big"] = "little" if self._little_endian else "big"
            self._patch(length.to_bytes(4, order), self._value_offset - 4)
        cine = self._facts.cine
        if cine is not None:
            self._fill("number_of_frames", str(self._frames))
            self._fill("frame_time", decimal_string(frame_time or cine.frame_time))
        self._storing(lambda: os.lseek(self._descriptor, self._position, os.SEEK_SET))
        self._open = False
        return FinishedObject(
            self._iod.sop_class_uid,
            self.sop_instance_uid,
            self._transfer_syntax_uid,
            self._frames,
            self._data_set_offset,
            self._pixel_data_offset,
            self._position,
        )

    def discard(self) -> None:
        """Take back all that was written; the file is as long as before `begin`. No error twice."""
        if self._open:
            self._open = False
            self._storing(lambda: os.ftruncate(self._descriptor, self._started_at))

    def _written(self) -> int:
        assert self._frame_start is not None
        return self._position - self._frame_start

    def _expect(self, *, in_frame: bool) -> None:
        if not self._open:
            raise LocalError("The object is finished or discarded.", clause="PS3.5 7")
        if in_frame is (self._frame_start is None):
            raise LocalError(
                "No frame has begun." if in_frame else "A frame is not complete.",
                clause="PS3.5 8.1.1",
            )

    def _fill(self, name: str, text: str) -> None:
        point = self._patch_points.get(name)
        if point is not None:
            value = text.encode("ascii").ljust(point.width)
            self._patch(value, self._data_set_offset + point.offset)

    def _patch(self, data: bytes, offset: int) -> None:
        written = self._storing(lambda: os.pwrite(self._descriptor, data, offset))
        if written != len(data):
            raise StorageError("The file cannot be completed.", value=offset)

    def _write_all(self, parts: Sequence[Bytes]) -> None:
        for part in parts:
            # No view outlives this call, not even in a traceback: the buffer may be a device's.
            with memoryview(part) as lent, lent.cast("B") as view:
                start = 0
                while start < len(view):
                    with view[start:] as rest:
                        written = self._storing(partial(self._put, rest))
                    start += written
                    self._position += written

    def _put(self, view: memoryview) -> int:
        return os.pwrite(self._descriptor, view, self._position)

    def _storing(self, act: Callable[[], int | None]) -> int:
        try:
            return act() or 0
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            raise StorageError(
                "The disk is full." if full else "The object cannot be written.",
                value=error.errno,
                way_out="Free some room." if full else "",
            ) from error
