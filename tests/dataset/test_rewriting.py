from __future__ import annotations

import io
import warnings

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.dataset import tags
from agent.dataset.byte_source import FileBytes, MemoryBytes
from agent.dataset.file_meta import read_file_meta
from agent.dataset.transfer_syntaxes import TransferSyntax
from agent.dataset.writer import rewrite_head
from agent.errors import LocalError, PeerError
from tests.dataset.sources import (
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    NATIVE,
    Counting,
    Sources,
    both_ways,
    element,
    item,
    open_item,
    opened,
    pydicom_files,
    undefined,
)

syntaxes = pytest.mark.parametrize("syntax", NATIVE, ids=lambda syntax: syntax.short_name)


def parts(syntax: TransferSyntax) -> dict[int, bytes]:
    inner = element(0x00080100, "SH", b"T-1 ", syntax)
    return {
        0x00080005: element(0x00080005, "CS", b"ISO_IR 100", syntax),
        0x00080018: element(0x00080018, "UI", b"1.2.3\0", syntax),
        0x00081110: undefined(0x00081110, "SQ", open_item(inner, syntax), syntax),
        0x00091001: element(0x00091001, "UN", b"abcd", syntax),
        0x00100010: element(0x00100010, "PN", b"Doe^Jane", syntax),
        0x0020000D: element(0x0020000D, "UI", b"1.2.4\0", syntax),
        0x7FE00010: element(0x7FE00010, "OW", bytes(range(200)), syntax),
    }


def rewritten(
    source_of: Sources, syntax: TransferSyntax, changes: dict[int, bytes | None]
) -> dict[int, bytes]:
    """The data set after the changes, and how it would be laid out by hand."""
    data = b"".join(parts(syntax).values())
    head, resume = rewrite_head(source_of(data), syntax, changes)
    expected = parts(syntax)
    vrs = {0x00100020: "LO", 0x00100010: "PN", 0x0020000D: "UI", 0x00080018: "UI", 0x00081110: "SQ"}
    for tag, value in changes.items():
        expected.pop(tag, None)
        if value is not None:
            expected[tag] = element(tag, vrs.get(tag, "UN"), value, syntax)
    assert head + data[resume:] == b"".join(expected[tag] for tag in sorted(expected))
    return expected


@both_ways
@syntaxes
def test_elements_are_replaced_added_and_deleted(
    source_of: Sources, syntax: TransferSyntax
) -> None:
    rewritten(source_of, syntax, {0x00100010: b"Roe^John"})
    rewritten(source_of, syntax, {0x00100020: b"4711"})
    rewritten(source_of, syntax, {0x00100010: None, 0x00081110: None})
    rewritten(source_of, syntax, {0x00081110: item(tags.ITEM, b"", syntax), 0x00100020: b""})
    rewritten(source_of, syntax, {0x00080018: None, 0x00091002: b"xy", 0x7FDF0001: b"zz"})
    rewritten(source_of, syntax, {0x00400001: None})
    rewritten(source_of, syntax, {})


def test_odd_values_are_padded_and_an_element_keeps_its_vr() -> None:
    data = element(tags.PATIENT_ID, "UT", b"4711")
    head, resume = rewrite_head(MemoryBytes(data), EXPLICIT, {tags.PATIENT_ID: b"123"})
    assert (head, resume) == (element(tags.PATIENT_ID, "UT", b"123 "), len(data))


def test_the_vr_of_a_new_element_can_be_given() -> None:
    head, resume = rewrite_head(
        MemoryBytes(b""), EXPLICIT, {0x00091001: b"ab"}, value_representations={0x00091001: "LO"}
    )
    assert (head, resume) == (element(0x00091001, "LO", b"ab"), 0)


def test_group_lengths_of_changed_groups_are_dropped_others_stay() -> None:
    eight = element(0x00080000, "UL", b"\x0e\0\0\0") + element(0x00080018, "UI", b"1.2.3\0")
    ten = element(0x00100000, "UL", b"\x10\0\0\0") + element(0x00100010, "PN", b"Doe^Jane")
    head, resume = rewrite_head(MemoryBytes(eight + ten), EXPLICIT, {tags.PATIENT_NAME: b"Roe"})
    assert head == eight + element(0x00100010, "PN", b"Roe ")
    assert resume == len(eight + ten)


def test_a_4_gib_object_is_rewritten_by_its_head() -> None:
    head_bytes = b"".join(list(parts(EXPLICIT).values())[:-1])
    head_bytes += element(tags.PIXEL_DATA, "OW", b"")[:-4] + (0xFFFFFFF0).to_bytes(4, "little")
    source = Counting(head_bytes, len(head_bytes) + 0xFFFFFFF0)
    head, resume = rewrite_head(source, EXPLICIT, {tags.PATIENT_NAME: b"Roe^John"})
    assert resume == head_bytes.index(b"\x20\0\x0d\0")
    assert len(head) == resume
    assert source.read_bytes < 30_000


def test_a_head_longer_than_may_be_held_is_refused() -> None:
    long = element(0x00091001, "OB", b"")[:-4] + (1 << 25).to_bytes(4, "little")
    source = Counting(long, len(long) + (1 << 25))
    with pytest.raises(PeerError, match="too long to be rewritten"):
        rewrite_head(source, EXPLICIT, {tags.PATIENT_NAME: None})


def test_what_cannot_be_rewritten_is_refused_with_a_way_out() -> None:
    with pytest.raises(LocalError) as caught:
        rewrite_head(MemoryBytes(b""), DEFLATED, {tags.PATIENT_NAME: b""})
    assert caught.value.way_out
    for tag in (tags.PIXEL_DATA, 0x00020010, 0x00100000, tags.ITEM):
        with pytest.raises(LocalError, match="cannot be set"):
            rewrite_head(MemoryBytes(b""), EXPLICIT, {tag: b""})


def test_a_truncated_head_is_refused() -> None:
    data = element(0x00081030, "LO", b"abcdefgh")[:-2]
    with pytest.raises(PeerError, match="ends within a value"):
        rewrite_head(MemoryBytes(data), EXPLICIT, {tags.PATIENT_NAME: b""})


@both_ways
@given(
    st.dictionaries(
        st.sampled_from([0x00080018, 0x00100010, 0x00100020, 0x0020000D, 0x00091001]),
        st.none() | st.integers(0, 9).map(lambda count: b"ab" * count),
    ),
    st.sampled_from(NATIVE),
)
def test_any_changes_leave_the_rest_as_it_was(
    source_of: Sources, changes: dict[int, bytes | None], syntax: TransferSyntax
) -> None:
    rewritten(source_of, syntax, changes)


def test_every_file_of_pydicom_can_be_given_another_patient() -> None:
    changed = 0
    changes = {
        tags.PATIENT_ID: b"NEW-ID",
        tags.PATIENT_NAME: b"New^Name",
        tags.STUDY_DESCRIPTION: None,
    }
    for path in pydicom_files():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                before = pydicom.dcmread(path)
            except pydicom.errors.InvalidDicomError:
                continue
        if path.name in ("MR_truncated.dcm", "rtplan_truncated.dcm", "DICOMDIR-nooffset"):
            continue
        with opened(path) as descriptor:
            meta = read_file_meta(descriptor)
            source = FileBytes(descriptor, meta.data_set_offset)
            if meta.encoding.deflated:
                continue
            head, resume = rewrite_head(source, meta.encoding, changes)
        rest = path.read_bytes()[meta.data_set_offset + resume :]
        after = pydicom.filereader.read_dataset(
            io.BytesIO(head + rest),
            not meta.encoding.explicit_vr,
            meta.encoding.little_endian,
        )
        assert after.PatientID == "NEW-ID" and after.PatientName == "New^Name"
        assert "StudyDescription" not in after
        ours = {int(tag) for tag in after._dict} - set(changes)
        theirs = {int(tag) for tag in before._dict if tag.group != 2} - set(changes)
        lengths = {0x00080000, 0x00100000}
        assert ours == theirs - lengths, path
        changed += 1
    assert changed > 130


def test_implicit_vr_needs_no_vr() -> None:
    head, _ = rewrite_head(MemoryBytes(b""), IMPLICIT, {0x00091001: b"ab"})
    assert head == element(0x00091001, "", b"ab", IMPLICIT)
