"""The kernel's video interface (linux/videodev2.h): structures, numbers and one way to call it.

Sizes follow from native alignment, so the same lines are right on 64-bit and 32-bit kernels; a C
compiler is asked in the tests. Names are the kernel's, without their prefix.
"""

from __future__ import annotations

import fcntl
import struct
from typing import NamedTuple

VIDEO_CAPTURE = 1  # enum v4l2_buf_type
MEMORY_MMAP = 1
FIELD_NONE, FIELD_ANY = 1, 0

CAP_VIDEO_CAPTURE, CAP_STREAMING, CAP_DEVICE_CAPS = 1, 0x04000000, 0x80000000
IN_STATUS_NO_SIGNAL = 0x00000001 | 0x00000002 | 0x00000100 | 0x00010000 | 0x02000000
"""No power, no signal, no horizontal lock, no sync, no carrier: nothing to be seen."""
IN_CAP_DV_TIMINGS, IN_CAP_STD = 0x2, 0x4
CAP_TIMEPERFRAME = 0x1000
BUF_FLAG_ERROR = 0x40
EVENT_SOURCE_CHANGE = 5
FRAME_DISCRETE = 1
CTRL_NEXT, CTRL_DISABLED = 0x80000000, 0x1
QUANTIZATION_FULL = 1
COLORSPACE_JPEG = 7
DV_BT_656_1120, DV_INTERLACED = 0, 1

STANDARDS = {"PAL": 0x000000FF, "NTSC": 0x0000B000, "SECAM": 0x00FF0000}
"""Sets of standards that people mean by these names."""

CAPABILITY = struct.Struct("@16s32s32sIII12x")
FMTDESC = struct.Struct("@III32sII12x")
# The union holds structures with pointers: it is aligned like one.
FORMAT = struct.Struct("@I0L12I152x0L")
REQUESTBUFFERS = struct.Struct("@IIIIB3x")
BUFFER = struct.Struct("@IIIIIllII4B4sIILIIi0L")
STREAMPARM = struct.Struct("@III2III16x160x")
INPUT = struct.Struct("@I32sIIIQII12x0Q")
STANDARD = struct.Struct("@IQ24s2II16x0Q")
FRAMESIZE = struct.Struct("@III6I8x")
FRAMEINTERVAL = struct.Struct("@IIIII6I8x")
DV_TIMINGS = struct.Struct("=I4IQ9IIIIIBB46x4x")
EVENT = struct.Struct("@I0Q64sIIllI32x0Q")
EVENT_SUBSCRIPTION = struct.Struct("@III20x")
QUERYCTRL = struct.Struct("@II32siiiiI8x")
CONTROL = struct.Struct("@Ii")
QUERYMENU = struct.Struct("=II32s4x")
NUMBER = struct.Struct("@i")
STANDARD_ID = struct.Struct("@Q")

_NONE, _WRITE, _READ = 0, 1, 2


def _number(direction: int, number: int, size: int) -> int:
    return direction << 30 | size << 16 | ord("V") << 8 | number


QUERYCAP = _number(_READ, 0, CAPABILITY.size)
ENUM_FMT = _number(_READ | _WRITE, 2, FMTDESC.size)
G_FMT = _number(_READ | _WRITE, 4, FORMAT.size)
S_FMT = _number(_READ | _WRITE, 5, FORMAT.size)
REQBUFS = _number(_READ | _WRITE, 8, REQUESTBUFFERS.size)
QUERYBUF = _number(_READ | _WRITE, 9, BUFFER.size)
QBUF = _number(_READ | _WRITE, 15, BUFFER.size)
DQBUF = _number(_READ | _WRITE, 17, BUFFER.size)
STREAMON = _number(_WRITE, 18, NUMBER.size)
STREAMOFF = _number(_WRITE, 19, NUMBER.size)
G_PARM = _number(_READ | _WRITE, 21, STREAMPARM.size)
S_PARM = _number(_READ | _WRITE, 22, STREAMPARM.size)
G_STD = _number(_READ, 23, STANDARD_ID.size)
S_STD = _number(_WRITE, 24, STANDARD_ID.size)
ENUMSTD = _number(_READ | _WRITE, 25, STANDARD.size)
ENUMINPUT = _number(_READ | _WRITE, 26, INPUT.size)
G_CTRL = _number(_READ | _WRITE, 27, CONTROL.size)
S_CTRL = _number(_READ | _WRITE, 28, CONTROL.size)
QUERYCTRL_NUMBER = _number(_READ | _WRITE, 36, QUERYCTRL.size)
QUERYMENU_NUMBER = _number(_READ | _WRITE, 37, QUERYMENU.size)
G_INPUT = _number(_READ, 38, NUMBER.size)
S_INPUT = _number(_READ | _WRITE, 39, NUMBER.size)
QUERYSTD = _number(_READ, 63, STANDARD_ID.size)
ENUM_FRAMESIZES = _number(_READ | _WRITE, 74, FRAMESIZE.size)
ENUM_FRAMEINTERVALS = _number(_READ | _WRITE, 75, FRAMEINTERVAL.size)
S_DV_TIMINGS = _number(_READ | _WRITE, 87, DV_TIMINGS.size)
G_DV_TIMINGS = _number(_READ | _WRITE, 88, DV_TIMINGS.size)
DQEVENT = _number(_READ, 89, EVENT.size)
SUBSCRIBE_EVENT = _number(_WRITE, 90, EVENT_SUBSCRIPTION.size)
QUERY_DV_TIMINGS = _number(_READ, 99, DV_TIMINGS.size)


class PixFormat(NamedTuple):
    """struct v4l2_pix_format."""

    width: int
    height: int
    pixelformat: int
    field: int
    bytesperline: int
    sizeimage: int
    colorspace: int
    priv: int = 0xFEEDCAFE
    flags: int = 0
    ycbcr_enc: int = 0
    quantization: int = 0
    xfer_func: int = 0


class Buffer(NamedTuple):
    """What of struct v4l2_buffer a driver looks at; `timestamp` in seconds."""

    number: int
    bytesused: int
    flags: int
    timestamp: float
    sequence: int
    offset: int
    length: int


def call(descriptor: int, number: int, data: bytes | bytearray) -> bytes:
    """One ioctl; the structure as the kernel left it. Raises OSError."""
    buffer = bytearray(data)
    fcntl.ioctl(descriptor, number, buffer)
    return bytes(buffer)


def fourcc(code: str) -> int:
    """A pixel format's number."""
    return int.from_bytes(code.encode("ascii"), "little")


def fourcc_text(number: int) -> str:
    """The four characters of a pixel format."""
    return (number & 0x7FFFFFFF).to_bytes(4, "little").decode("latin-1")


def text(raw: bytes) -> str:
    """A name of the kernel."""
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")


def pack_format(form: PixFormat) -> bytes:
    """struct v4l2_format of a capture format."""
    return FORMAT.pack(VIDEO_CAPTURE, *form)


def unpack_format(data: bytes) -> PixFormat:
    """The capture format of a struct v4l2_format."""
    return PixFormat(*FORMAT.unpack(data)[1:])


def pack_buffer(number: int) -> bytes:
    """struct v4l2_buffer of a mapped buffer."""
    return BUFFER.pack(
        number, VIDEO_CAPTURE, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b"", 0, MEMORY_MMAP, 0, 0, 0, 0
    )


def unpack_buffer(data: bytes) -> Buffer:
    """What of it a driver looks at."""
    row = BUFFER.unpack(data)
    return Buffer(
        number=row[0],
        bytesused=row[2],
        flags=row[3],
        timestamp=row[5] + row[6] / 1e6,
        sequence=row[14],
        offset=row[16] & 0xFFFFFFFF,
        length=row[17],
    )
