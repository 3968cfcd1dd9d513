"""The DICOM file format (PS3.10 section 7.1): preamble, prefix and file meta information.

The reader is strict or tolerant as told. Tolerant, it takes files without a preamble, with a group
0002 of wrong length, in implicit VR, incomplete or missing altogether, and says in `remarks` what
it found. Strict, each of these is an error.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

from agent.dataset import tags
from agent.dataset.byte_source import FileBytes
from agent.dataset.element_header import SHORT, UNPACKERS
from agent.dataset.inference import (
    inferred_transfer_syntax,
    looks_like_data_set,
    starts_with_group,
)
from agent.dataset.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
    encoding_of,
)
from agent.dataset.value_representations import (
    SHORT_LENGTH,
    pad,
)
from agent.errors import LocalError, StorageError
from agent.quoting import Sentence, quoted

PREAMBLE_LENGTH = 128
PREFIX = b"DICM"

LONGEST_GROUP = 1 << 20
"""A group 0002 longer than this is damage; private information in it is skipped, not read."""
_LONGEST_VALUE = 1024
_BLOCK = 2048
_KEPT = frozenset(
    (
        tags.MEDIA_STORAGE_SOP_CLASS_UID,
        tags.MEDIA_STORAGE_SOP_INSTANCE_UID,
        tags.TRANSFER_SYNTAX_UID,
        tags.IMPLEMENTATION_CLASS_UID,
        tags.IMPLEMENTATION_VERSION_NAME,
        tags.SOURCE_APPLICATION_ENTITY_TITLE,
        tags.SENDING_APPLICATION_ENTITY_TITLE,
        tags.RECEIVING_APPLICATION_ENTITY_TITLE,
        tags.PRIVATE_INFORMATION_CREATOR_UID,
    )
)

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

# What else starts files that carry the prefix at 128 (CVE-2019-11687): say it, never run it.
_OTHER_FORMATS = (
    (b"MZ", "Windows program"),
    (b"\x7fELF", "Linux program"),
    (b"#!", "script"),
    (b"PK\3\4", "ZIP archive"),
    (b"\xcf\xfa\xed\xfe", "macOS program"),
    (b"%PDF", "PDF document"),
)


@dataclass(frozen=True, slots=True)
class FileMeta:
    """The file meta information of one file, and where its data set starts.

    Texts are "" where the element is missing. `transfer_syntax_uid` is what the file says, or what
    was inferred when it says nothing; `encoding_uid` differs from it only where the data set is
    plainly encoded otherwise than stated (then a remark says so): parse with `encoding`.
    `foreign_preamble` says that the preamble is neither zeros nor that of a TIFF file: whatever
    else the file is to other programs, we do not pass it on.
    """

    media_storage_sop_class_uid: str
    media_storage_sop_instance_uid: str
    transfer_syntax_uid: str
    implementation_class_uid: str
    implementation_version_name: str
    source_application_entity_title: str
    sending_application_entity_title: str
    receiving_application_entity_title: str
    private_information_creator_uid: str
    data_set_offset: int
    encoding_uid: str
    has_preamble: bool
    foreign_preamble: bool
    remarks: tuple[str, ...]

    @property
    def encoding(self) -> TransferSyntax:
        """How the data set is to be parsed."""
        return encoding_of(self.encoding_uid)


def read_file_meta(descriptor: int, *, tolerate: bool = True) -> FileMeta:
    """Read the head of a Part 10 file, from its first byte, without moving the file's position.

    Reads a few kilobytes; holds at most 1 KiB of each value. Raises StorageError when the file
    cannot be read, is no DICOM file, or (unless `tolerate`) breaks a rule of PS3.10 7.1.
    """
    return _Reading(FileBytes(descriptor), tolerate).read()


class _Reading:
    def __init__(self, source: FileBytes, tolerate: bool) -> None:
        self._source = source
        self._tolerate = tolerate
        self._block = source.read(0, _BLOCK)
        self._remarks: list[str] = []
        self._foreign_preamble = False
        self._values: dict[int, bytes] = {}

    def read(self) -> FileMeta:
        head = self._exactly(0, PREAMBLE_LENGTH + 4)
        has_preamble = head[PREAMBLE_LENGTH:] == PREFIX
        if has_preamble:
            position = PREAMBLE_LENGTH + 4
            preamble = head[:PREAMBLE_LENGTH]
            self._foreign_preamble = any(preamble) and not preamble.startswith(_TIFF)
            for start, kind in _OTHER_FORMATS:
                if head.startswith(start):
                    self._remarks.append(f"the preamble is that of a {kind}")
        elif head[:4] == PREFIX:
            self._remark("the preamble of 128 bytes is missing")
            position = 4
        elif starts_with_group(head, 2):
            self._remark("the preamble and the prefix DICM are missing")
            position = 0
        elif looks_like_data_set(head):
            self._remark("the file has no file meta information")
            return self._result(0, has_preamble=False)
        else:
            raise StorageError(
                "The file is not a DICOM file.", clause="PS3.10 7.1", value=head[:16].hex()
            )
        return self._result(self._group(position), has_preamble)

    def _remark(self, text: str) -> None:
        if not self._tolerate:
            raise StorageError(
                f"The file meta information is wrong: {text}.",
                clause="PS3.10 7.1",
                way_out="Allow files that break PS3.10 7.1, or have them written anew.",
            )
        self._remarks.append(Sentence(text))

    def _exactly(self, position: int, length: int) -> bytes:
        data = self._block[position : position + length]
        if len(data) == length:
            return data
        while len(data) < length:
            piece = self._source.read(position + len(data), length - len(data))
            if not piece:
                break
            data += piece
        return data

    def _group(self, start: int) -> int:
        """Read the elements of group 0002; the position after the last of them."""
        first = self._exactly(start, 6)
        little_endian = first[:2] != b"\0\2"
        explicit = first[4:6].isalpha()
        if first[:2] not in (b"\2\0", b"\0\2"):
            self._remark("group 0002 is missing")
            return start
        if not little_endian:
            self._remark("group 0002 is in big endian byte order")
        if not explicit:
            self._remark("group 0002 is in implicit VR")
        position, stated_end = self._elements(start, explicit, little_endian)
        if stated_end is None:
            self._remark("File Meta Information Group Length (0002,0000) is missing")
        elif stated_end != position:
            self._remark(
                f"File Meta Information Group Length (0002,0000) ends at byte {stated_end}, "
                f"the group at byte {position}"
            )
        return position

    def _elements(self, start: int, explicit: bool, little_endian: bool) -> tuple[int, int | None]:
        """Keep the values; where the group ends, and where its length says that it does."""
        order: Literal["little", "big"] = "little" if little_endian else "big"
        header_of = UNPACKERS[little_endian][0]
        stated_end: int | None = None
        position = start
        while True:
            head = self._exactly(position, 12)
            if len(head) < 8:
                break
            group, element, vr, short = header_of(head)
            if group != 2:
                break
            header = 8
            if not explicit:
                length = int.from_bytes(head[4:8], order)
            elif vr in SHORT:
                length = short
            else:
                header = 12
                length = int.from_bytes(head[8:12], order)
            if position + header + length - start > LONGEST_GROUP:
                raise StorageError(
                    "An element of the file meta information is too long.",
                    clause="PS3.10 7.1",
                    value=length,
                    limit=LONGEST_GROUP,
                )
            value = self._value(position + header, length)
            if value is None or len(head) < header:
                raise StorageError(
                    "The file ends within its file meta information.",
                    clause="PS3.10 7.1",
                    value=position,
                )
            position += header + length
            if 0x00020000 | element in _KEPT:
                self._values[0x00020000 | element] = value
            if element == 0 and length == 4:
                stated_end = position + int.from_bytes(value, order)
        return position, stated_end

    def _value(self, begin: int, length: int) -> bytes | None:
        """The first bytes of a value; None when the file ends before it does."""
        end = begin + length
        if end <= len(self._block):
            return self._block[begin : min(end, begin + _LONGEST_VALUE)]
        if not self._exactly(end - 1, 1):
            return None
        return self._exactly(begin, min(length, _LONGEST_VALUE))

    def _text(self, tag: int) -> str:
        value = self._values.get(tag, b"").rstrip(b"\0 ").lstrip(b" ")
        return value.decode("ascii", "replace")

    def _result(self, offset: int, has_preamble: bool) -> FileMeta:
        stated = self._text(tags.TRANSFER_SYNTAX_UID)
        actual = self._encoding(offset, stated)
        if not stated:
            self._remark(
                f"Transfer Syntax UID (0002,0010) is missing; the data set reads as {actual}"
            )
        for tag, name in (
            (tags.MEDIA_STORAGE_SOP_CLASS_UID, "Media Storage SOP Class UID (0002,0002)"),
            (tags.MEDIA_STORAGE_SOP_INSTANCE_UID, "Media Storage SOP Instance UID (0002,0003)"),
        ):
            if offset and not self._text(tag):
                self._remark(f"{name} is missing")
        return FileMeta(
            media_storage_sop_class_uid=self._text(tags.MEDIA_STORAGE_SOP_CLASS_UID),
            media_storage_sop_instance_uid=self._text(tags.MEDIA_STORAGE_SOP_INSTANCE_UID),
            transfer_syntax_uid=stated or actual,
            implementation_class_uid=self._text(tags.IMPLEMENTATION_CLASS_UID),
            implementation_version_name=self._text(tags.IMPLEMENTATION_VERSION_NAME),
            source_application_entity_title=self._text(tags.SOURCE_APPLICATION_ENTITY_TITLE),
            sending_application_entity_title=self._text(tags.SENDING_APPLICATION_ENTITY_TITLE),
            receiving_application_entity_title=self._text(tags.RECEIVING_APPLICATION_ENTITY_TITLE),
            private_information_creator_uid=self._text(tags.PRIVATE_INFORMATION_CREATOR_UID),
            data_set_offset=offset,
            encoding_uid=actual,
            has_preamble=has_preamble,
            foreign_preamble=self._foreign_preamble,
            remarks=tuple(self._remarks),
        )

    def _encoding(self, offset: int, stated: str) -> str:
        """The syntax in which the data set is really encoded, from its first element."""
        first = self._exactly(offset, 8)
        syntax = encoding_of(stated) if stated else None
        if len(first) < 8 or (syntax is not None and syntax.deflated):
            return stated or EXPLICIT_VR_LITTLE_ENDIAN
        found = inferred_transfer_syntax(first)
        if syntax is None:
            return found
        if found == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
            return stated
        seen = encoding_of(found)
        if (seen.explicit_vr, seen.little_endian) == (syntax.explicit_vr, syntax.little_endian):
            return stated
        self._remark(
            f"the Transfer Syntax UID (0002,0010) is {quoted(stated)}, but the data set reads as"
            f" {found}"
        )
        return found


def encode_file_meta(
    *,
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax_uid: str,
    implementation_class_uid: str,
    implementation_version_name: str = "",
    source_ae_title: str = "",
    sending_ae_title: str = "",
    receiving_ae_title: str = "",
) -> bytes:
    """The first bytes of a Part 10 file: a preamble of zeros, the prefix and group 0002.

    What is "" is left out. Raises LocalError where PS3.10 7.1 demands a value, or where one is
    not ASCII.
    """
    before, after = _elements_around_the_instance(
        sop_class_uid,
        transfer_syntax_uid,
        implementation_class_uid,
        implementation_version_name,
        source_ae_title,
        sending_ae_title,
        receiving_ae_title,
    )
    instance = _text_element(
        tags.MEDIA_STORAGE_SOP_INSTANCE_UID, "UI", sop_instance_uid, required=True
    )
    length = len(before) + len(instance) + len(after)
    return b"".join((_GROUP_LENGTH, length.to_bytes(4, "little"), before, instance, after))


@functools.lru_cache(maxsize=64)
def _elements_around_the_instance(
    sop_class_uid: str,
    transfer_syntax_uid: str,
    implementation_class_uid: str,
    implementation_version_name: str,
    source_ae_title: str,
    sending_ae_title: str,
    receiving_ae_title: str,
) -> tuple[bytes, bytes]:
    """What is the same for all objects of a class that come on one association."""
    before = _element(tags.FILE_META_INFORMATION_VERSION, "OB", b"\0\1")
    before += _text_element(tags.MEDIA_STORAGE_SOP_CLASS_UID, "UI", sop_class_uid, required=True)
    after = b"".join(
        _text_element(tag, vr, text, required=required)
        for tag, vr, text, required in (
            (tags.TRANSFER_SYNTAX_UID, "UI", transfer_syntax_uid, True),
            (tags.IMPLEMENTATION_CLASS_UID, "UI", implementation_class_uid, True),
            (tags.IMPLEMENTATION_VERSION_NAME, "SH", implementation_version_name, False),
            (tags.SOURCE_APPLICATION_ENTITY_TITLE, "AE", source_ae_title, False),
            (tags.SENDING_APPLICATION_ENTITY_TITLE, "AE", sending_ae_title, False),
            (tags.RECEIVING_APPLICATION_ENTITY_TITLE, "AE", receiving_ae_title, False),
        )
    )
    return before, after


def _text_element(tag: int, vr: str, text: str, *, required: bool) -> bytes:
    if text:
        try:
            return _element(tag, vr, text.encode("ascii"))
        except UnicodeEncodeError:
            raise LocalError(
                f"{tags.format_tag(tag)} of the file meta information must be ASCII.",
                clause="PS3.10 7.1",
                value=text,
            ) from None
    if required:
        raise LocalError(
            f"{tags.format_tag(tag)} of the file meta information must have a value.",
            clause="PS3.10 7.1",
        )
    return b""


def _element(tag: int, vr: str, value: bytes) -> bytes:
    value = pad(vr, value)
    if len(value) > 0xFFFE:
        raise LocalError(
            f"A value of {tags.format_tag(tag)} is too long.",
            clause="PS3.5 7.1.2",
            value=len(value),
            limit=0xFFFE,
        )
    head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little") + vr.encode()
    if vr in SHORT_LENGTH:
        return head + len(value).to_bytes(2, "little") + value
    return head + b"\0\0" + len(value).to_bytes(4, "little") + value


# The preamble, the prefix, and group length (0002,0000) but for its value.
_GROUP_LENGTH = (
    bytes(PREAMBLE_LENGTH)
    + PREFIX
    + _element(tags.FILE_META_INFORMATION_GROUP_LENGTH, "UL", bytes(4))[:-4]
)
