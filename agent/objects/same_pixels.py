"""Whether two data sets show the same: their frames decoded and compared, sample by sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agent.codecs.codec import Strip
from agent.dataset.byte_source import ByteSource
from agent.dataset.transfer_syntaxes import encoding_of
from agent.objects.full_chroma import full_chroma
from agent.objects.stored_image import StoredImage


def have_same_pixels(
    one: ByteSource, one_syntax: str, other: ByteSource, other_syntax: str
) -> bool:
    """Compares images in any transfer syntaxes that can be decoded here.

    Shared chroma (YBR_FULL_422) equals the same chroma written for each pixel (YBR_FULL). Memory:
    what both decoders hold. Raises FrameDamaged where a frame of either is, and PeerError where one
    is no image.
    """
    first = StoredImage(one, encoding_of(one_syntax))
    second = StoredImage(other, encoding_of(other_syntax))
    if first.frames != second.frames:
        return False
    return all(
        _same(_strips(first, number), _strips(second, number)) for number in range(first.frames)
    )


def _strips(image: StoredImage, number: int) -> Iterator[Strip]:
    strips = image.rows_of(number).strips()
    return full_chroma(strips) if image.described().subsampled else strips


def _same(one: Iterable[Strip], other: Iterable[Strip]) -> bool:
    """Whether two rows of pieces are the same bytes, however they are cut."""
    waiting = iter(other)
    rest = memoryview(b"")
    for strip in one:
        view = memoryview(strip).cast("B")
        while view:
            if not rest:
                rest = memoryview(next(waiting, b"")).cast("B")
                if not rest:
                    return False
            length = min(len(view), len(rest))
            if view[:length] != rest[:length]:
                return False
            view, rest = view[length:], rest[length:]
    return not rest and not any(len(strip) for strip in waiting)
