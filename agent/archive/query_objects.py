"""Attributes that the index does not keep, read from the head of an object's file."""

from __future__ import annotations

import os
from pathlib import Path

from agent.archive.layout import object_path
from agent.dataset import tags
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import attribute_of, read_attributes
from agent.dataset.byte_source import ByteSource, FileBytes
from agent.dataset.file_meta import read_file_meta
from agent.dataset.head import scan_head
from agent.dataset.transfer_syntaxes import TransferSyntax
from agent.errors import PeerError


def read_object(folder: Path, number: int, wanted: frozenset[int]) -> Attributes | None:
    """The wanted attributes that an object has, and its character set; None where its file is gone.

    Of a file that cannot be read to the last of them, what was read. Memory: the wanted values.
    """
    try:
        descriptor = os.open(object_path(folder, number), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        meta = read_file_meta(descriptor, tolerate=True)
        source = FileBytes(descriptor, meta.data_set_offset)
        if any(tags.dictionary_value_representation(tag) == "SQ" for tag in wanted):
            return read_attributes(source, meta.encoding, wanted | {tags.SPECIFIC_CHARACTER_SET})
        return _values(source, meta.encoding, wanted)
    except PeerError:
        return Attributes()
    finally:
        os.close(descriptor)


def _values(source: ByteSource, syntax: TransferSyntax, wanted: frozenset[int]) -> Attributes:
    """As `read_attributes`, ten times as fast, where no sequence is wanted."""
    head = scan_head(source, syntax, wanted | {tags.SPECIFIC_CHARACTER_SET})
    charset = head.values.get(tags.SPECIFIC_CHARACTER_SET, b"").rstrip(b"\0 ")
    found = Attributes()
    for tag, raw in head.values.items():
        vr = head.vrs[tag]
        if vr == "UN":
            vr = tags.dictionary_value_representation(tag)
        found.put(tag, attribute_of(vr, raw, charset, little_endian=syntax.little_endian))
    return found
