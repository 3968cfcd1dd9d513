"""PackBits in plain Python: what RLE Lossless runs on where the C kernels could not be built.

The same functions as the kernel's, and the same bytes; about a tenth as fast. The regular
expression engine finds the packets: a run of two or more, or literals up to the next run of three
(PS3.5 G.3.1).
"""

from __future__ import annotations

import re
import struct

from agent.codecs.codec import Strip

_PACKETS = re.compile(rb"(.)\1{1,127}|(?:(.)(?!\2\2)){1,128}", re.DOTALL)
_STATE = struct.Struct("<III")
"""Literals to copy still, times to write the value still, the value or 256 + header awaited."""


def rle_encode(
    rows: Strip, row_length: int, offset: int, stride: int, out: bytearray | memoryview
) -> int:
    """Encode the bytes `offset`, `offset + stride`, ... of each row into `out`."""
    view = bytes(rows)
    written = 0
    for start in range(0, len(view), row_length):
        plane = view[start + offset : start + row_length : stride]
        packets = bytearray()
        for match in _PACKETS.finditer(plane):
            packet = match[0]
            if match[1] is None:
                packets.append(len(packet) - 1)
                packets += packet
            else:
                packets.append(257 - len(packet))
                packets += match[1]
        out[written : written + len(packets)] = packets
        written += len(packets)
    return written


def rle_begin(state: bytearray | memoryview) -> None:
    """Prepare the state of a segment's decoder."""
    _STATE.pack_into(state, 0, 0, 0, 0)


def rle_decode(
    state: bytearray | memoryview,
    data: Strip,
    out: bytearray | memoryview,
    offset: int,
    stride: int,
) -> tuple[int, int]:
    """Decode into the bytes `offset`, `offset + stride`, ... of `out`: bytes consumed, produced."""
    literals, replicates, value = _STATE.unpack_from(state)
    view = bytes(data)
    count = len(out) // stride
    plane = bytearray()
    at = 0
    while len(plane) < count:
        if literals:
            part = view[at : at + min(literals, count - len(plane))]
            if not part:
                break
            plane += part
            at += len(part)
            literals -= len(part)
        elif replicates and value < 256:
            part = bytes((value,)) * min(replicates, count - len(plane))
            plane += part
            replicates -= len(part)
        elif at == len(view):
            break
        elif replicates:
            value = view[at]
            at += 1
        else:
            header = view[at]
            at += 1
            if header < 128:
                literals = header + 1
            elif header > 128:
                replicates, value = 257 - header, 256
    _STATE.pack_into(state, 0, literals, replicates, value)
    end = offset + len(plane) * stride
    memoryview(out)[offset:end:stride] = plane
    return at, len(plane)
