"""Setting and deleting a few top-level elements of a stored data set, all the rest untouched."""

from __future__ import annotations

from collections.abc import Mapping

from agent.dataset.byte_source import ByteSource
from agent.dataset.element_encoding import encode_element
from agent.dataset.element_header import read_element_header
from agent.dataset.head import skip_sequence
from agent.dataset.tags import BULK, format_tag, known_value_representation
from agent.dataset.transfer_syntaxes import TransferSyntax
from agent.dataset.value_representations import UNDEFINED_LENGTH
from agent.dataset.window import Window, refuse
from agent.errors import LocalError

LONGEST_NEW_HEAD = 16 << 20
"""Bytes of the head that may be held while it is rewritten."""


def rewrite_head(
    source: ByteSource,
    transfer_syntax: TransferSyntax,
    changes: Mapping[int, bytes | None],
    *,
    value_representations: Mapping[int, str] | None = None,
) -> tuple[bytes, int]:
    """The new first bytes of the data set, and the position from which the old bytes follow.

    `changes` maps a top-level tag to its new value (raw, in the byte order and character set of
    the data set) or to None, which deletes it. So a 4 GiB object is changed by writing the bytes
    returned and copying a range. An element that is there keeps its VR; a new one has that of
    `value_representations`, else that of `agent.dataset.tags`. Group lengths of changed groups are
    dropped (PS3.5 7.2 has retired them), every other byte stays as it was.

    Memory: the head up to the greatest changed tag, at most `LONGEST_NEW_HEAD`. Raises LocalError
    for pixel data, for tags outside a data set, and for a deflated transfer syntax, where bytes
    cannot be replaced in place: write it anew with `DataSetWriter`. Raises PeerError with status
    C000H where the data set is damaged.
    """
    if transfer_syntax.deflated:
        raise LocalError(
            "The head of a deflated data set cannot be rewritten in place.",
            clause="PS3.5 A.5",
            value=transfer_syntax.uid,
            way_out="Inflate it into Explicit VR Little Endian first.",
        )
    for tag in changes:
        if tag in BULK or not 0x00080000 <= tag < 0xFFFE0000 or tag & 0xFFFF == 0:
            raise LocalError(
                f"{format_tag(tag)} cannot be set by rewriting the head.",
                clause="PS3.5 7.1",
                value=tag,
            )
    if not changes:
        return b"", 0
    return _Rewriting(source, transfer_syntax, changes, value_representations or {}).run()


class _Rewriting:
    def __init__(
        self,
        source: ByteSource,
        syntax: TransferSyntax,
        changes: Mapping[int, bytes | None],
        value_representations: Mapping[int, str],
    ) -> None:
        self._source = source
        self._syntax = syntax
        self._changes = changes
        self._value_representations = value_representations
        self._pending = sorted(changes)
        self._groups = {tag >> 16 for tag in changes}
        self._new = bytearray()

    def run(self) -> tuple[bytes, int]:
        syntax = self._syntax
        window = Window(self._source, 4 * LONGEST_NEW_HEAD)
        last = self._pending[-1]
        position = 0
        while True:
            header = read_element_header(window, position, syntax.explicit_vr, syntax.little_endian)
            if header is None or header.tag > last:
                break
            tag, vr, length, value_offset = header
            if length == UNDEFINED_LENGTH:
                unknown = syntax.explicit_vr and vr == "UN"
                end = skip_sequence(
                    window,
                    value_offset,
                    syntax.explicit_vr and not unknown,
                    syntax.little_endian or unknown,
                )
            else:
                end = value_offset + length
            self._insert_before(tag)
            if tag in self._changes:
                self._set(tag, vr)
            elif tag & 0xFFFF or tag >> 16 not in self._groups:
                self._copy(position, end)
            position = end
        self._insert_before(last + 1)
        return bytes(self._new), position

    def _insert_before(self, tag: int) -> None:
        """Write the new elements that stand before this tag."""
        while self._pending and self._pending[0] < tag:
            self._set(self._pending[0], "")

    def _set(self, tag: int, vr: str) -> None:
        if tag in self._pending:
            self._pending.remove(tag)
            value = self._changes[tag]
            if value is not None:
                vr = vr or self._value_representations.get(tag) or known_value_representation(tag)
                self._new += encode_element(tag, vr, value, self._syntax)

    def _copy(self, position: int, end: int) -> None:
        if len(self._new) + end - position > LONGEST_NEW_HEAD:
            refuse("The head of the data set is too long to be rewritten", end, LONGEST_NEW_HEAD)
        while position < end:
            piece = self._source.read(position, end - position)
            if not piece:
                refuse("The data set ends within a value", position, None)
            self._new += piece
            position += len(piece)
