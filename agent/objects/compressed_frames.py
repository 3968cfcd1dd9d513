"""Frames that are compressed while they are captured (PS3.5 8.2)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Protocol

from agent.codecs.codec import EncodeSettings
from agent.codecs.registry import codec_of, is_available
from agent.codecs.rows import PassingRows
from agent.errors import LocalError
from agent.objects.full_chroma import FullChroma
from agent.objects.iods import iod_of
from agent.objects.pixels import PixelDescription


class NativeFrames(Protocol):
    """What makes native frames of what a device gives: a `Packing`."""

    @property
    def pixels(self) -> PixelDescription: ...

    def strips(self, view: memoryview, stride: int) -> Iterator[memoryview]:
        """The frame in pieces, in order; each is valid until the next is asked for."""


class CompressedFrames:
    """Stands where a `Packing` does. Memory: that of the codec, beside that of the packing."""

    def __init__(
        self, native: NativeFrames, transfer_syntax_uid: str, settings: EncodeSettings
    ) -> None:
        """Raises LocalError when such frames cannot be compressed so."""
        self._native = native
        self._uid = transfer_syntax_uid
        self._settings = settings
        self._codec = codec_of(transfer_syntax_uid)
        frame = native.pixels.frame
        self._full_chroma = bool(
            frame.subsampled and self._codec.refusal(transfer_syntax_uid, frame, settings)
        )
        if self._full_chroma:
            frame = dataclasses.replace(frame, photometric_interpretation="YBR_FULL")
        self._frame = frame
        encoded = self._codec.encode(self._uid, frame, PassingRows(()), settings).frame
        self.pixels = dataclasses.replace(
            native.pixels, photometric_interpretation=encoded.photometric_interpretation
        )
        """How the compressed frames are described."""

    def strips(self, view: memoryview, stride: int) -> Iterator[memoryview]:
        """The stream of one frame in pieces."""
        captured = _CapturedRows(self._native, view, stride)
        rows = FullChroma(captured) if self._full_chroma else captured
        for piece in self._codec.encode(self._uid, self._frame, rows, self._settings).pieces:
            yield memoryview(piece)


class _CapturedRows:
    """A frame in the device's buffer: it can be packed again, so encoders may look twice."""

    repeatable = True

    def __init__(self, native: NativeFrames, view: memoryview, stride: int) -> None:
        self._native = native
        self._view = view
        self._stride = stride

    def strips(self) -> Iterator[memoryview]:
        return self._native.strips(self._view, self._stride)


def compression_for(
    native: NativeFrames,
    sop_class_uid: str,
    transfer_syntax_uids: Sequence[str],
    settings: EncodeSettings,
) -> tuple[CompressedFrames, str] | None:
    """The frames compressed in the first of these transfer syntaxes that can hold them, that the
    IOD allows, and that can be made here; None where there is none."""
    rules = iod_of(sop_class_uid).pixel_rules
    for uid in transfer_syntax_uids:
        if not is_available(uid):
            continue
        try:
            compressed = CompressedFrames(native, uid, settings)
        except LocalError:
            continue
        if any(rule.allows(compressed.pixels, encapsulated=True) for rule in rules):
            return compressed, uid
    return None
