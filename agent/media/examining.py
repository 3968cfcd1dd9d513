"""What one file of a medium is: its identity, its keys, and what is wrong with it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from agent.dataset import tags
from agent.dataset.byte_source import FileBytes
from agent.dataset.element_header import read_element_header
from agent.dataset.file_meta import FileMeta, read_file_meta
from agent.dataset.head import Head, scan_head
from agent.dataset.reader import FragmentsEnd, ReaderLimits, elements
from agent.dataset.value_representations import UNDEFINED_LENGTH
from agent.dataset.window import Window
from agent.errors import PeerError, StorageError
from agent.media.directory_file import KEY_TAGS, decoded_keys

_IDENTITY = (tags.SPECIFIC_CHARACTER_SET, tags.SOP_CLASS_UID, tags.SOP_INSTANCE_UID)
_WANTED = frozenset(KEY_TAGS) | frozenset(_IDENTITY)
_TO_THE_PIXELS = frozenset((tags.PIXEL_DATA,))
_BUDGET = 4 << 20


@dataclass(frozen=True, slots=True)
class Examined:
    """A file that is DICOM.

    UIDs are the data set's own, and those of the file meta information where the data set has none.
    `remarks` say what is wrong with it; `cut` is the one of them that says that its end is missing,
    or "".
    """

    meta: FileMeta
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    keys: dict[str, str]
    remarks: tuple[str, ...]
    cut: str


def examined(descriptor: int) -> Examined:
    """What the open file is.

    Reads its head, and of what follows the headers of long elements. Memory: 16 KiB. Raises
    StorageError when it is no DICOM file, PeerError when its data set ends before its keys do.
    """
    meta = read_file_meta(descriptor)
    source = FileBytes(descriptor, meta.data_set_offset)
    head = scan_head(source, meta.encoding, _WANTED, limit=8192)
    remarks = list(meta.remarks)
    uids = []
    for tag, stated, name in (
        (tags.SOP_CLASS_UID, meta.media_storage_sop_class_uid, "SOP Class UID"),
        (tags.SOP_INSTANCE_UID, meta.media_storage_sop_instance_uid, "SOP Instance UID"),
    ):
        own = head.values.get(tag, b"").strip(b"\0 ").decode("ascii", "replace")
        if own and stated and own != stated:
            remarks.append(
                f"the {name} is {own} in the data set and {stated} in the file meta information"
            )
        uids.append(own or stated)
    cut = _cut(descriptor, meta)
    if cut:
        remarks.append(cut)
    return Examined(
        meta=meta,
        sop_class_uid=uids[0],
        sop_instance_uid=uids[1],
        transfer_syntax_uid=meta.transfer_syntax_uid,
        keys=decoded_keys(head.values, head.values.get(tags.SPECIFIC_CHARACTER_SET, b"")),
        remarks=tuple(remarks),
        cut=cut,
    )


def _cut(descriptor: int, meta: FileMeta) -> str:
    """What says that the end of the file is missing; "" where nothing does.

    Of a deflated data set nothing is said: to know, it must be inflated to its end.
    """
    syntax = meta.encoding
    if syntax.deflated:
        return ""
    source = FileBytes(descriptor, meta.data_set_offset)
    try:
        head = scan_head(source, syntax, _TO_THE_PIXELS, limit=8192, budget=_BUDGET)
    except PeerError as error:
        return "" if error.limit == _BUDGET else f"{error.message.rstrip('.')}: it seems cut off"
    size = os.fstat(descriptor).st_size - meta.data_set_offset
    if head.pixel_data_offset is None:
        return "the file ends within a value: it seems cut off" if head.end_offset > size else ""
    return _cut_in_the_pixels(source, meta, head, size)


def _cut_in_the_pixels(source: FileBytes, meta: FileMeta, head: Head, size: int) -> str:
    assert head.pixel_data_offset is not None
    syntax = meta.encoding
    start = read_element_header(
        Window(source, 1024, 64), head.pixel_data_offset, syntax.explicit_vr, syntax.little_endian
    )
    if start is None:
        return "the file ends before its pixel data: it seems cut off"
    if start.length != UNDEFINED_LENGTH:
        if start.value_offset + start.length <= size:
            return ""
        return f"{start.value_offset + start.length - size} bytes of the pixel data are missing"
    if source.read(size - 8, 8) == b"\xfe\xff\xdd\xe0\0\0\0\0":
        return ""
    limits = ReaderLimits(byte_budget=_BUDGET)
    try:
        for event in elements(source, syntax, limits=limits, through_bulk=True):
            if type(event) is FragmentsEnd:
                return ""
    except PeerError as error:
        return "" if error.limit == _BUDGET else "fragments of the pixel data are missing"
    except StorageError as error:
        return error.message
    return "fragments of the pixel data are missing"
