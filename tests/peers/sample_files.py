"""The DICOM files that pydicom ships, as objects to send, and a judge of what arrives.

A sample is a Part 10 file with file meta information that names a transfer syntax, and a data set
with a SOP Class and a SOP Instance UID: what a Storage SCU may send. All bytes after the file meta
are the data set as it goes over the wire.
"""

from __future__ import annotations

import functools
import struct
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_MAGIC_AT = 128
_LONG_VRS = frozenset((b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UR", b"UT", b"UN"))


class NotAPart10File(ValueError):
    """The file has no preamble and prefix, or no group 2."""


def split_part10(content: bytes) -> tuple[dict[int, bytes], bytes]:
    """The elements of the file meta (tag -> raw value) and the bytes of the data set (PS3.10 7.1).

    Goes by the elements, not by (0002,0000): some of pydicom's files have it wrong.
    """
    if content[_MAGIC_AT : _MAGIC_AT + 4] != b"DICM":
        raise NotAPart10File("no DICM prefix")
    position = _MAGIC_AT + 4
    meta: dict[int, bytes] = {}
    while position + 8 <= len(content):
        group, element = struct.unpack_from("<HH", content, position)
        if group != 2:
            break
        vr = content[position + 4 : position + 6]
        if vr in _LONG_VRS:
            (length,) = struct.unpack_from("<I", content, position + 8)
            position += 12
        else:
            (length,) = struct.unpack_from("<H", content, position + 6)
            position += 8
        meta[group << 16 | element] = content[position : position + length]
        position += length
    if not meta:
        raise NotAPart10File("no file meta information")
    return meta, content[position:]


def data_set_bytes(file: Path | bytes) -> bytes:
    """The data set of a Part 10 file, as it goes over the wire."""
    return split_part10(file if isinstance(file, bytes) else file.read_bytes())[1]


def assert_same_data_set(received: Path | bytes, sent: Path | bytes) -> None:
    """The bytes after the file meta are equal; AssertionError says where they part."""
    left, right = data_set_bytes(received), data_set_bytes(sent)
    if left == right:
        return
    pairs = zip(left, right, strict=False)
    at = next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))
    raise AssertionError(
        f"data sets of {len(left)} (received) and {len(right)} (sent) bytes part at {at}: "
        f"{left[at : at + 16].hex(' ')} and {right[at : at + 16].hex(' ')}"
    )


@dataclass(frozen=True)
class Sample:
    """One file that a Storage SCU may send."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    has_study: bool
    """Whether it has a Study Instance UID (Orthanc takes no other)."""
    meta_agrees: bool
    """Whether the file meta names the same instance; the UIDs here are the data set's."""

    def data_set(self) -> bytes:
        """The bytes of its data set."""
        return data_set_bytes(self.path)


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0 ").decode("ascii", "replace")


def _as_sample(path: Path) -> Sample | None:
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        meta, _ = split_part10(path.read_bytes())
        data_set = dcmread(
            path, specific_tags=["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID"]
        )
    except (NotAPart10File, InvalidDicomError, EOFError, ValueError, struct.error):
        return None
    transfer_syntax = _text(meta.get(0x00020010, b""))
    sop_class = str(data_set.get("SOPClassUID", ""))
    sop_instance = str(data_set.get("SOPInstanceUID", ""))
    if not (transfer_syntax and sop_class and sop_instance):
        return None
    return Sample(
        path,
        sop_class,
        sop_instance,
        transfer_syntax,
        has_study=bool(data_set.get("StudyInstanceUID")),
        meta_agrees=(sop_class, sop_instance)
        == (_text(meta.get(0x00020002, b"")), _text(meta.get(0x00020003, b""))),
    )


@functools.cache
def samples() -> tuple[Sample, ...]:
    """All samples, by name. Some share a SOP Instance UID (one image in several syntaxes)."""
    import pydicom

    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [_as_sample(path) for path in sorted(folder.rglob("*")) if path.is_file()]
    return tuple(sample for sample in found if sample is not None)


@functools.cache
def samples_by_transfer_syntax() -> Mapping[str, tuple[Sample, ...]]:
    """Transfer syntax UID -> its samples."""
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples():
        groups[sample.transfer_syntax_uid].append(sample)
    return {uid: tuple(group) for uid, group in sorted(groups.items())}


def rounds(among: Iterable[Sample] | None = None) -> tuple[tuple[Sample, ...], ...]:
    """The samples in as few groups as need be, no SOP Instance UID twice in a group.

    A peer that names files by the UID, or keeps one of each, gets one group at a time.
    """
    groups: list[dict[str, Sample]] = []
    for sample in samples() if among is None else among:
        for group in groups:
            if sample.sop_instance_uid not in group:
                group[sample.sop_instance_uid] = sample
                break
        else:
            groups.append({sample.sop_instance_uid: sample})
    return tuple(tuple(group.values()) for group in groups)
