"""The reader against pydicom, over every file that pydicom brings, and the reference folder."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path

import pydicom
import pytest
from pydicom.dataelem import RawDataElement

from agent.dataset import tags
from agent.dataset.byte_source import FileBytes, decoded
from agent.dataset.file_meta import read_file_meta
from agent.dataset.reader import Element, SequenceStart, elements, read_value
from agent.dataset.value_representations import UNDEFINED_LENGTH
from tests.dataset.sources import opened, pydicom_files

Row = tuple[int, int, str]


def ours(path: Path) -> tuple[list[Row], dict[tuple[int, int], bytes]]:
    """(depth, tag, VR) of every element, and the values at the top level."""
    rows: list[Row] = []
    values = {}
    with opened(path) as descriptor:
        meta = read_file_meta(descriptor)
        source = decoded(FileBytes(descriptor, meta.data_set_offset), meta.encoding)
        for event in elements(
            source,
            meta.encoding._replace(deflated=False),
            through_bulk=True,
            value_representation=tags.dictionary_value_representation,
        ):
            if isinstance(event, Element):
                rows.append((event.depth, event.tag, event.vr))
                if event.length != UNDEFINED_LENGTH and not event.depth:
                    values[0, event.tag] = read_value(source, event)
            elif isinstance(event, SequenceStart):
                rows.append((event.depth, event.tag, "SQ"))
    return rows, values


def theirs(
    data_set: pydicom.Dataset, depth: int, rows: list[Row], values: dict[tuple[int, int], bytes]
) -> None:
    for tag in map(int, list(data_set._dict)):
        raw = data_set.get_item(tag)
        if isinstance(raw, RawDataElement):
            vr = raw.VR or tags.dictionary_value_representation(tag)
            if vr != "SQ":
                rows.append((depth, tag, vr))
                if raw.length != UNDEFINED_LENGTH and not depth:
                    values[0, tag] = raw.value or b""
                continue
        element = data_set[tag]
        rows.append((depth, tag, element.VR))
        if element.VR == "SQ":
            for item in element.value:
                theirs(item, depth + 1, rows, values)


# What pydicom reads by passing over the damage: we say what it is.
DAMAGED = {
    "MR_truncated.dcm": "ends within a value",
    "rtplan_truncated.dcm": "ends within a value",
    "DICOMDIR-nooffset": "longer than what holds it",
}


def compare(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows: list[Row] = []
        values: dict[tuple[int, int], bytes] = {}
        theirs(pydicom.dcmread(path), 0, rows, values)
    our_rows, our_values = ours(path)
    assert Counter(row[:2] for row in our_rows) == Counter(row[:2] for row in rows)
    # pydicom gives UN its VR from the dictionary, and pixel data without VR both of theirs.
    different = {
        (ours_, theirs_)
        for ours_, theirs_ in zip(sorted(our_rows), sorted(rows), strict=True)
        if ours_[2] not in ("UN", theirs_[2]) and theirs_[2] not in ("UN", "OB or OW")
    }
    assert not different
    for key, value in values.items():
        assert our_values[key] == value, f"{key[1]:08X}"


@pytest.mark.parametrize("path", pydicom_files(), ids=lambda path: path.name)
def test_elements_agree_with_pydicom(path: Path) -> None:
    try:
        pydicom.dcmread(path, stop_before_pixels=True)
    except pydicom.errors.InvalidDicomError:
        return
    if path.name in DAMAGED:
        with pytest.raises(Exception, match=DAMAGED[path.name]):
            ours(path)
    else:
        compare(path)


def test_reference_images_agree_with_pydicom(test_data: Path) -> None:
    folders = (test_data / "dicomparser", test_data / "pylibjpeg")
    seen = 0
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix == ".dcm" or path.name.endswith("_dfl"):
                compare(path)
                seen += 1
    assert seen > 20
