"""The one table of codecs: which module compresses which transfer syntax, and what it needs.

Modules are imported when they are first asked for, so that a node which only negotiates has none
of them in memory.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import NamedTuple, cast

from agent.codecs.codec import CodecModule
from agent.dataset.transfer_syntaxes import (
    DEFLATED_IMAGE_FRAME,
    ENCAPSULATED_UNCOMPRESSED_EXPLICIT_VR_LITTLE_ENDIAN,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LOSSLESS,
    JPEG_LOSSLESS_FIRST_ORDER,
    JPEG_LS_LOSSLESS,
    JPEG_LS_NEAR_LOSSLESS,
    RLE_LOSSLESS,
    name_of,
)
from agent.errors import LocalError


class Codec(NamedTuple):
    """A row of the table. `kernel`: needs the extension module, and is not there without it."""

    module: str
    kernel: bool


CODECS: dict[str, Codec] = {
    ENCAPSULATED_UNCOMPRESSED_EXPLICIT_VR_LITTLE_ENDIAN: Codec("encapsulated_uncompressed", False),
    RLE_LOSSLESS: Codec("rle", False),
    JPEG_LOSSLESS: Codec("jpeg_lossless", True),
    JPEG_LOSSLESS_FIRST_ORDER: Codec("jpeg_lossless", True),
    JPEG_LS_LOSSLESS: Codec("jpeg_ls", True),
    JPEG_LS_NEAR_LOSSLESS: Codec("jpeg_ls", True),
    DEFLATED_IMAGE_FRAME: Codec("deflated_frame", False),
    JPEG_BASELINE: Codec("jpeg", True),
    JPEG_EXTENDED: Codec("jpeg", True),
}
"""By the UID of the transfer syntax. JPEG 2000 and HTJ2K have their place here, and no module."""


@cache
def has_kernel() -> bool:
    """Whether the extension module of C kernels was built, and can be loaded."""
    try:
        import_module("agent.codecs.kernel")
    except ImportError:
        return False
    return True


def is_available(transfer_syntax_uid: str) -> bool:
    """Whether frames can be compressed in this transfer syntax, and decompressed, here and now."""
    row = CODECS.get(transfer_syntax_uid)
    return row is not None and (has_kernel() or not row.kernel)


def available() -> tuple[str, ...]:
    """The UIDs of all transfer syntaxes whose frames can be compressed and decompressed here."""
    return tuple(uid for uid in CODECS if is_available(uid))


def codec_of(transfer_syntax_uid: str) -> CodecModule:
    """The module for a transfer syntax. Raises LocalError where there is none."""
    if not is_available(transfer_syntax_uid):
        missing = transfer_syntax_uid in CODECS
        raise LocalError(
            f"Frames in {name_of(transfer_syntax_uid)} can neither be made nor read here"
            + (": the C kernels were not built." if missing else "."),
            value=transfer_syntax_uid,
            limit=available(),
            way_out="Install a C compiler and the package anew." if missing else "",
        )
    return cast(CodecModule, import_module(f"agent.codecs.{CODECS[transfer_syntax_uid].module}"))
