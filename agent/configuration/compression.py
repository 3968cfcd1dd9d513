"""Compression of pixel data: what is captured, what comes in, what goes out."""

from __future__ import annotations

from agent.configuration.key import key, section
from agent.configuration.kinds import (
    ApplicationEntityTitle,
    Flag,
    ListOf,
    Text,
    count,
    identifier,
)
from agent.configuration.names import Names, NamesOf


@section
class Quality:
    """How much lossy compression may lose."""

    quality: int = key(count(1, 100), "of JPEG", default=90)
    near: int = key(
        count(1, 255), "the largest error of a sample in near-lossless JPEG-LS", default=2
    )


@section
class CaptureCompression(Quality):
    """Compression of frames while they are captured."""

    to: Names = key(
        NamesOf("transfer syntax"),
        "transfer syntaxes, best first: the first that can hold the frames is taken",
        default=Names(),
        default_text="none: frames are stored as they come",
        example='["jpeg-lossless", "rle"]',
    )


@section
class Lossy(Quality):
    """Compression that loses something. The peer gets other images than are stored: each has a SOP
    Instance UID of its own (PS3.3 C.7.6.1.1.5)."""

    allowed: bool = key(
        Flag(),
        "images go out in the lossy ones of `transfer_syntaxes`, where they were stored without "
        "loss",
        default=False,
    )


@section
class ReceivedCompression:
    """A rule for images that come in by C-STORE uncompressed: they are stored compressed, without
    loss. The first rule that fits counts; nothing given fits every image."""

    name: str = key(identifier(), "its name in this configuration")
    enabled: bool = key(Flag(), "false switches it off", default=True)
    description: str = key(Text(256), "for people", default="")
    calling: tuple[str, ...] = key(
        ListOf(ApplicationEntityTitle()), "the AE title that called", default=()
    )
    entities: tuple[str, ...] = key(
        ListOf(Text(64)), "the local entity that was called", default=(), name="entity"
    )
    sop_classes: Names = key(
        NamesOf("SOP class"), "its SOP class", default=Names(), name="sop_class"
    )
    to: Names = key(
        NamesOf("transfer syntax"),
        "transfer syntaxes, best first: the first that can hold the image is taken; lossless ones "
        "only",
    )
