"""Messages as P-DATA-TF PDUs: headers in front of slices of a reused buffer (PS3.8 9.3.5, E.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agent.network.data_set import DataSetSource
from agent.network.pdu import p_data_header
from agent.network.stream import Part

# What is sent at once, and the fragment where the peer sets no limit.
PIECE = 1 << 18
_SHORTEST = 2

_buffers: list[bytearray] = []


def fragment_length(maximum_length: int, longest: int = 0) -> int:
    """The longest PDV value, even, for the peer's Maximum Length (PS3.8 D.1; 0: no limit).

    The six bytes of the PDV's own length, context and control header count towards the maximum.
    """
    limit = min(each for each in (maximum_length or PIECE, longest or PIECE, PIECE))
    return max(_SHORTEST, (limit - 6) & ~1)


def command_parts(context: int, command: bytes, length: int) -> list[Part]:
    """The command set in PDUs of its own."""
    if len(command) <= length:
        return [p_data_header(context, True, True, len(command)), command]
    parts: list[Part] = []
    view = memoryview(command)
    for start in range(0, len(command), length):
        piece = view[start : start + length]
        last = start + length >= len(command)
        parts += (p_data_header(context, True, last, len(piece)), piece)
    return parts


def messages(context: int, command: bytes, data_sets: Sequence[bytes], length: int) -> list[Part]:
    """Messages of the same command, each with a data set of its own, as one part to send.

    Memory: all of them, so they should be small.
    """
    head = b"".join(command_parts(context, command, length))
    parts: list[Part] = []
    for data in data_sets:
        parts.append(head)
        if len(data) <= length:
            parts += (p_data_header(context, False, True, len(data)), data)
            continue
        for start in range(0, len(data), length):
            piece = data[start : start + length]
            last = start + length >= len(data)
            parts += (p_data_header(context, False, last, len(piece)), piece)
    return [b"".join(parts)]


def data_parts(
    context: int, source: DataSetSource, length: int, first: list[Part]
) -> Iterator[list[Part]]:
    """The data set in groups of parts, each to be sent before the next is asked for.

    The parts of a group point into one buffer of `PIECE` bytes that is given back at the end. The
    command's parts, `first`, go with the first group, in one system call.
    """
    buffer = _buffers.pop() if _buffers else bytearray(PIECE)
    view = memoryview(buffer)
    room = max(length, PIECE // length * length)
    if room > PIECE:
        room = PIECE & ~1
    total = source.length
    position = 0
    held = 0
    parts = first
    try:
        while True:
            filled = held
            while filled < room:
                count = source.read_into(view[filled:room], position)
                if not count:
                    break
                filled += count
                position += count
            ended = position >= total if total is not None else filled < room
            # Without a known length, the last fragment stays back until it is known to be the last.
            send = filled if ended else filled - (0 if total is not None else length)
            start = 0
            while start < send or (ended and start == send == 0):
                piece = view[start : min(start + length, send)]
                start += len(piece)
                last = ended and start >= send
                parts += (p_data_header(context, False, last, len(piece)), piece)
                if last:
                    break
            yield parts
            if ended:
                return
            parts = []
            held = filled - send
            view[:held] = bytes(view[send:filled])
    finally:
        if len(_buffers) < 2:
            _buffers.append(buffer)
