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
from pydicom.dataelem import DataElement, RawDataElement

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
_SHORTEST = 4
_UIDS = re.compile(r"(?<=InstanceUID) \S+|<[0-9.]+>")
_CANNOT_READ = "Error - Dicom dataset read failed"
_TEXTS = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
_PIXEL_DATA = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")
_DUMMIES = frozenset(("19000101", "000000", "00000", "REMOVED"))

_PYDICOM = Path(pydicom.__file__).parent / "data"
_ESCAPE = b"\x1b"


def _files() -> list[Path]:
    # Palettes are of no patient, and their UIDs are those of the standard.
    found = [
        path
        for path in sorted(_PYDICOM.rglob("*"))
        if path.is_file() and path.parent.name != "palettes"
    ]
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


def _raw_values(data_set: Dataset, protects: bool) -> Iterator[bytes]:
    """The bytes of texts that are not ASCII, of attributes that the profile protects or does not;
    of names, those of each component group too (PS3.5 6.2.1)."""
    for tag in list(data_set.keys()):
        # As it stands in the file: what is asked for by its tag is decoded from then on.
        raw = data_set.get_item(tag)
        value = raw.value if isinstance(raw, RawDataElement) else None
        element = data_set[tag]
        if element.VR == "SQ":
            for item in element.value:
                yield from _raw_values(item, protects)
        elif (
            element.VR in _TEXTS
            and value is not None
            and (not value.isascii() or _ESCAPE in value)
            and (row_of(int(tag)) is not None) == protects
        ):
            groups = value.split(b"=") if element.VR == "PN" else []
            yield from (each.strip(b" \0") for each in (value, *groups))


def _encoded_originals(path: Path) -> set[bytes]:
    kept = b"\n".join(_raw_values(dcmread(path, force=True), False))
    found = _raw_values(dcmread(path, force=True), True)
    return {
        each
        for each in found
        if len(each) >= _SHORTEST and each not in kept and (not each.isascii() or _ESCAPE in each)
    }


def _originals(path: Path) -> set[str]:
    """Values of attributes that the profile protects, but for those that stand elsewhere too, in
    attributes that stay."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        protected, others = set(), []
        for element, text in _text_values(dcmread(path, force=True)):
            if row_of(int(element.tag)) is None:
                others.append(text)
            elif len(text) >= _SHORTEST + text.isdigit() and text.isascii():
                # Four digits stand everywhere.
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
    assert not [each for each in _encoded_originals(path) if each in head]
    for element in made.iterall():
        group, number = element.tag.group, element.tag.element
        # Private attributes, curves, and what is drawn or written in overlays (table E.1-1).
        assert not group & 1 and group & 0xFF00 != 0x5000, element.tag
        assert not (group & 0xFF00 == 0x6000 and number in (0x3000, 0x4000)), element.tag


def test_names_in_other_scripts_are_searched_for() -> None:
    """What the test above looks for in samples that have them."""
    for name, written in (
        ("chrH31.dcm", b"\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"),
        ("chrX1.dcm", "王^小東".encode()),
        ("chrGreek.dcm", "Διονυσιος".encode("iso8859-7")),
    ):
        assert written in _encoded_originals(_PYDICOM / "charset_files" / name)


def _is_damaged(path: Path) -> bool:
    """Whether pydicom cannot read it to its end either."""
    try:
        str(dcmread(path, force=True))
    except Exception:
        return True
    return False


def _faults(path: Path) -> Counter[str]:
    return Counter(re.sub(_UIDS, "", line) for line in dciodvfy(path))


_faults_before = functools.cache(_faults)


def _is_composite(path: Path) -> bool:
    wanted = ["SOPClassUID", "SOPInstanceUID"]
    found = dcmread(path, force=True, specific_tags=wanted)
    return all(found.get(each) for each in wanted)


_COMPOSITE = [path for path in _files() if _is_composite(path)]
_JUDGED = [path for path in _COMPOSITE if path.parent == _PYDICOM / "test_files"]


@pytest.mark.long
@pytest.mark.parametrize(
    "path", [each for each in _COMPOSITE if each not in _JUDGED], ids=lambda path: path.name
)
def test_dicom3tools_finds_no_new_fault_in_any_other_sample(path: Path, tmp_path: Path) -> None:
    if _CANNOT_READ not in _faults_before(path):  # such as what is deflated
        test_dicom3tools_finds_no_fault_that_was_not_there(path, (), tmp_path)


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
