"""Objects in any transfer syntax, encoded here and not by the code under test."""

from __future__ import annotations

import io
import struct
import time
import zlib
from collections.abc import Callable, Iterable, Iterator

from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from tests.checklists.made import CT, EXPLICIT, made
from tests.peers.raw_pdu import c_store_request, context_results, proposed_context, status_of
from tests.peers.raw_peer import RawPeer

IMPLICIT = "1.2.840.10008.1.2"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPIP_DEFLATED = "1.2.840.10008.1.2.4.95"
RLE = "1.2.840.10008.1.2.5"
MOST_CONTEXTS = 128
"""Of one association (PS3.8 9.3.2.2: odd numbers of one byte)."""


def until(holds: Callable[[], object], why: Callable[[], str] = str, seconds: float = 20.0) -> None:
    """Wait for it; `why` tells what was there instead."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, why()
        time.sleep(0.05)


def jpeg(number: int) -> str:
    """The UID of an encapsulated transfer syntax of image or video: its last number."""
    return f"1.2.840.10008.1.2.4.{number}"


def pixel_data(*fragments: bytes, offsets: bool = True) -> bytes:
    """Encapsulated Pixel Data: one fragment a frame, with a Basic Offset Table (PS3.5 A.4)."""
    starts, at = [], 0
    for each in fragments:
        starts.append(at)
        at += 8 + len(each)
    table = struct.pack(f"<{len(starts)}I", *starts) if offsets else b""
    items = b"".join(
        b"\xfe\xff\x00\xe0" + struct.pack("<I", len(each)) + each for each in (table, *fragments)
    )
    head = b"\xe0\x7f\x10\x00OB\0\0" + b"\xff" * 4
    return head + items + b"\xfe\xff\xdd\xe0" + bytes(4)


def made_in(
    number: int, sop_class: str, transfer_syntax: str, *, offsets: bool = True
) -> tuple[str, bytes]:
    """`made(number)` in any transfer syntax; what is encapsulated is no image, but well framed."""
    uid, data = made(number, sop_class)
    if transfer_syntax == EXPLICIT:
        return uid, data
    if transfer_syntax in (IMPLICIT, BIG_ENDIAN):
        read = read_dataset(io.BytesIO(data), is_implicit_VR=False, is_little_endian=True)
        out = DicomBytesIO()
        out.is_implicit_VR = transfer_syntax == IMPLICIT
        out.is_little_endian = transfer_syntax == IMPLICIT
        write_dataset(out, read)
        return uid, out.getvalue()
    if transfer_syntax in (DEFLATED, JPIP_DEFLATED):
        squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        squeezed = squeeze.compress(data) + squeeze.flush()
        return uid, squeezed + b"\0" * (len(squeezed) % 2)
    frames = (b"\xff\xd8 frame one \xff\xd9\0", number.to_bytes(4, "big"))
    return uid, data + pixel_data(*frames, offsets=offsets)


def batches(pairs: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """(class, transfer syntax) pairs, as many as one association can propose."""
    every = list(pairs)
    for start in range(0, len(every), MOST_CONTEXTS):
        yield every[start : start + MOST_CONTEXTS]


def store_pairs(
    port: int, pairs: Iterable[tuple[str, str]], *, called: str = "GANTRY"
) -> dict[str, bytes]:
    """Store one object for each (class, syntax), each answered 0000H; UID -> data set."""
    sent: dict[str, bytes] = {}
    for batch in batches(pairs):
        with RawPeer.connect(port) as peer:
            accept = peer.associate(
                *(proposed_context(2 * at + 1, *pair) for at, pair in enumerate(batch)),
                called=called,
            )
            answers = context_results(accept)
            for at, (sop_class, syntax) in enumerate(batch):
                assert answers[2 * at + 1] == (0, syntax), (sop_class, syntax)
                uid, data = made_in(len(sent) + 1, sop_class, syntax)
                sent[uid] = data
                assert put(peer, uid, data, sop_class, context=2 * at + 1) == 0, (sop_class, syntax)
            peer.release()
    return sent


def put(
    peer: RawPeer, uid: str, data: bytes, sop_class: str = CT, *, context: int = 1, number: int = 1
) -> int:
    """C-STORE of any bytes; the status."""
    peer.send_message(context, c_store_request(sop_class, uid, number), data)
    return status_of(peer.receive_message().command)


def send(port: int, *numbered: tuple[int, str, str]) -> dict[str, bytes]:
    """Store (number, class, syntax), each over an association of its own; UID -> data set."""
    sent = {}
    for number, sop_class, syntax in numbered:
        uid, data = made_in(number, sop_class, syntax)
        with RawPeer.connect(port) as peer:
            peer.associate(proposed_context(1, sop_class, syntax))
            assert put(peer, uid, data, sop_class) == 0
            peer.release()
        sent[uid] = data
    return sent
