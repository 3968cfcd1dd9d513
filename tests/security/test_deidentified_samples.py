"""The profile over all sample files of pydicom and of the reference: nothing of what it protects is
left among the bytes, pydicom reads what comes out, and dicom3tools finds no new fault in it."""

from __future__ import annotations

import functools
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset, dcmread
from pydicom.dataelem import DataElement

from agent.dataset.file_meta import encode_file_meta
from agent.errors import PeerError, StorageError
from agent.security.confidentiality_table import row_of
from tests.peers.dicom3tools import dciodvfy
from tests.security.deidentifying import of_file, read

pytestmark = pytest.mark.filterwarnings("ignore")

_CLEANED = (
    "clean-descriptors",
    "clean-structured-content",
    "clean-graphics",
    "retain-safe-private",
    "retain-modified-dates",
)
_SHORTEST = 5
_PIXEL_DATA = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")
_DUMMIES = frozenset(("19000101", "000000", "00000", "REMOVED"))

_PYDICOM = Path(pydicom.__file__).parent / "data" / "test_files"


def _files() -> list[Path]:
    found = [path for path in sorted(_PYDICOM.rglob("*")) if path.is_file()]
    folder = os.environ.get("GANTRY_TEST_DATA")
    if folder:
        found += [
            path
            for path in sorted(Path(folder).rglob("*"))
            if path.is_file() and path.relative_to(folder).parts[0] != "fuzz"
        ]
    return [path for path in found if _is_dicom(path)]


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM" and not path.name.startswith("DICOMDIR")


def _text_values(data_set: Dataset) -> Iterator[tuple[DataElement, str]]:
    for element in data_set:
        if element.VR == "SQ":
            for item in element.value:
                yield from _text_values(item)
        elif isinstance(element.value, bytes) or element.is_empty:
            continue
        else:
            values = element.value if element.VM > 1 else [element.value]
            for value in values:
                text = str(value).strip()
                if isinstance(value, str) or element.VR in ("PN", "DS", "IS", "DA", "TM", "DT"):
                    yield element, text


def _originals(path: Path) -> set[str]:
    """Values of attributes that the profile protects, but for those that stand elsewhere too, in
    attributes that stay."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        protected, others = set(), []
        for element, text in _text_values(dcmread(path, force=True)):
            if row_of(int(element.tag)) is None:
                others.append(text)
            elif len(text) >= _SHORTEST and text.isascii():
                protected.add(text)
    kept = "\n".join(others)
    return {each for each in protected if each not in kept} - _DUMMIES


@pytest.mark.parametrize("path", _files(), ids=lambda path: path.name)
def test_nothing_that_is_protected_is_left_in_a_sample(path: Path) -> None:
    try:
        data, syntax = of_file(path)
    except (PeerError, StorageError):
        assert "truncated" in path.name or _is_damaged(path)
        return
    made = read(data, syntax)
    assert made.PatientIdentityRemoved == "YES"
    head = data[: max(map(data.rfind, _PIXEL_DATA)) % (len(data) + 1)]
    left = [each for each in _originals(path) if each.encode() in head]
    assert not left


def _is_damaged(path: Path) -> bool:
    """Whether pydicom cannot read it to its end either."""
    try:
        str(dcmread(path, force=True))
    except Exception:
        return True
    return False


def _faults(path: Path) -> Counter[str]:
    return Counter(re.sub(r"InstanceUID \S+", "InstanceUID", line) for line in dciodvfy(path))


_faults_before = functools.cache(_faults)


def _is_composite(path: Path) -> bool:
    return "SOPClassUID" in dcmread(path, force=True, specific_tags=["SOPClassUID"])


_JUDGED = [path for path in _files() if path.parent == _PYDICOM and _is_composite(path)]


@pytest.mark.parametrize("options", [(), _CLEANED], ids=["basic", "cleaned"])
@pytest.mark.parametrize("path", _JUDGED, ids=lambda path: path.name)
def test_dicom3tools_finds_no_fault_that_was_not_there(
    path: Path, options: tuple[str, ...], tmp_path: Path
) -> None:
    try:
        data, syntax = of_file(path, *options)
    except (PeerError, StorageError):
        assert _is_damaged(path) or "truncated" in path.name
        return
    made = read(data, syntax)
    copy = tmp_path / path.name
    meta = dcmread(path, force=True, stop_before_pixels=True).file_meta
    stated = meta.get("TransferSyntaxUID", syntax)
    copy.write_bytes(
        encode_file_meta(
            sop_class_uid=made.SOPClassUID,
            sop_instance_uid=made.SOPInstanceUID,
            transfer_syntax_uid=stated,
            implementation_class_uid="1.2.3",
        )
        + data
    )
    assert not _faults(copy) - _faults_before(path)
