"""Motion JPEG of cameras: frames that leave the Huffman tables out, as AVI's MJPG has it.

Such a frame is a JPEG baseline stream (ITU-T T.81) that counts on the tables of T.81 annex K.3.
No other reader does, so they are put in before the first scan.
"""

from __future__ import annotations

from collections.abc import Iterator

_SOI, _DHT, _SOS, _EOI = 0xD8, 0xC4, 0xDA, 0xD9

# T.81 Tables K.3 to K.6: how many codes there are of each length, then their values.
_DC_LUMINANCE = ("00010501010101010100000000000000", bytes(range(12)).hex())
_DC_CHROMINANCE = ("00030101010101010101010000000000", bytes(range(12)).hex())
_AC_LUMINANCE = (
    "0002010303020403050504040000017d",
    "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728"
    "292a3435363738393a434445464748494a535455565758595a636465666768696a737475767778797a83848586878889"
    "8a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2"
    "e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa",
)
_AC_CHROMINANCE = (
    "00020102040403040705040400010277",
    "000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a26"
    "2728292a35363738393a434445464748494a535455565758595a636465666768696a737475767778797a828384858687"
    "88898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9da"
    "e2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa",
)


def _tables() -> bytes:
    body = b""
    for number, (lengths, values) in (
        (0x00, _DC_LUMINANCE),
        (0x10, _AC_LUMINANCE),
        (0x01, _DC_CHROMINANCE),
        (0x11, _AC_CHROMINANCE),
    ):
        body += bytes((number,)) + bytes.fromhex(lengths) + bytes.fromhex(values)
    return b"\xff\xc4" + (len(body) + 2).to_bytes(2, "big") + body


HUFFMAN_TABLES = _tables()
"""One DHT segment with the four tables."""


def whole_frame(view: memoryview) -> Iterator[memoryview | bytes]:
    """The pieces of a frame that any decoder reads: as it is, or with the tables put in.

    Bytes behind the end of the image, with which some drivers fill their buffer, are left out.
    Nothing is copied; each piece is valid until the next is asked for. What is no JPEG stream
    comes as it is: who decodes it says so.
    """
    end = _end_of(view)
    place = _place_of_tables(view)
    if place is None:
        with view[:end] as piece:
            yield piece
        return
    with view[:place] as piece:
        yield piece
    yield HUFFMAN_TABLES
    with view[place:end] as piece:
        yield piece


def _place_of_tables(view: memoryview) -> int | None:
    """Where the first scan begins, if no table came before it."""
    if len(view) < 4 or view[0] != 0xFF or view[1] != _SOI:
        return None
    at = 2
    while at + 4 <= len(view) and view[at] == 0xFF:
        marker = view[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == _DHT:
            return None
        if marker == _SOS:
            return at
        at += 2 + (view[at + 2] << 8 | view[at + 3])
    return None


def _end_of(view: memoryview) -> int:
    """Behind the last EOI, if nothing but filling follows it."""
    end = len(view)
    while end > 2 and view[end - 1] == 0:
        end -= 1
    return end if view[end - 2 : end] == bytes((0xFF, _EOI)) else len(view)
