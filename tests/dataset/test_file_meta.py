from __future__ import annotations

import io
import os
import tempfile
from contextlib import suppress
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.dataset.file_meta import FileMeta, encode_file_meta, read_file_meta
from agent.dataset.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from agent.errors import LocalError, StorageError
from tests.dataset.sources import BIG_ENDIAN, EXPLICIT, IMPLICIT, element, opened, pydicom_files

CT = "1.2.840.10008.5.1.4.1.1.2"


def encoded(transfer_syntax_uid: str = EXPLICIT_VR_LITTLE_ENDIAN) -> bytes:
    return encode_file_meta(
        sop_class_uid=CT,
        sop_instance_uid="1.2.3",
        transfer_syntax_uid=transfer_syntax_uid,
        implementation_class_uid="1.2.4",
        implementation_version_name="GANTRY",
        source_ae_title="SCANNER",
        sending_ae_title="SENDER",
        receiving_ae_title="GANTRY",
    )


@pytest.fixture
def read(tmp_path: Path):
    def write_and_read(data: bytes, *, tolerate: bool = True) -> FileMeta:
        path = tmp_path / "file.dcm"
        path.write_bytes(data)
        with opened(path) as descriptor:
            return read_file_meta(descriptor, tolerate=tolerate)

    return write_and_read


DATA_SET = element(0x00080005, "CS", b"ISO_IR 100")


def test_what_is_written_is_read_again_without_a_remark(read) -> None:
    meta = read(encoded() + DATA_SET, tolerate=False)
    assert meta == FileMeta(
        media_storage_sop_class_uid=CT,
        media_storage_sop_instance_uid="1.2.3",
        transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
        implementation_class_uid="1.2.4",
        implementation_version_name="GANTRY",
        source_application_entity_title="SCANNER",
        sending_application_entity_title="SENDER",
        receiving_application_entity_title="GANTRY",
        private_information_creator_uid="",
        data_set_offset=len(encoded()),
        encoding_uid=EXPLICIT_VR_LITTLE_ENDIAN,
        has_preamble=True,
        foreign_preamble=False,
        remarks=(),
    )


def test_what_is_written_is_what_pydicom_reads() -> None:
    file = pydicom.dcmread(io.BytesIO(encoded() + DATA_SET))
    assert file.preamble == bytes(128)
    assert file.file_meta.FileMetaInformationGroupLength == len(encoded()) - 144
    assert file.file_meta.FileMetaInformationVersion == b"\0\1"
    assert file.file_meta.MediaStorageSOPInstanceUID == "1.2.3"
    assert file.file_meta.SourceApplicationEntityTitle == "SCANNER"
    assert file.file_meta.ReceivingApplicationEntityTitle == "GANTRY"
    assert len(encoded()) % 2 == 0


@pytest.mark.parametrize("missing", ["sop_class_uid", "sop_instance_uid", "transfer_syntax_uid"])
def test_what_ps310_demands_must_be_given(missing: str) -> None:
    given_values = {
        "sop_class_uid": CT,
        "sop_instance_uid": "1.2.3",
        "transfer_syntax_uid": EXPLICIT_VR_LITTLE_ENDIAN,
        "implementation_class_uid": "1.2.4",
    }
    with pytest.raises(LocalError, match="must have a value"):
        encode_file_meta(**(given_values | {missing: ""}))
    with pytest.raises(LocalError, match="ASCII"):
        encode_file_meta(**(given_values | {missing: "ä"}))
    with pytest.raises(LocalError, match="too long"):
        encode_file_meta(**(given_values | {missing: "1" * 70000}))


def wrong_length() -> bytes:
    data = bytearray(encoded())
    data[140:144] = (9999).to_bytes(4, "little")
    return bytes(data)


def implicit_group() -> bytes:
    elements = element(0x00020002, "UI", CT.encode(), IMPLICIT)
    elements += element(0x00020003, "UI", b"1.2.3\0", IMPLICIT)
    elements += element(0x00020010, "UI", EXPLICIT_VR_LITTLE_ENDIAN.encode() + b"\0", IMPLICIT)
    length = element(0x00020000, "UL", len(elements).to_bytes(4, "little"), IMPLICIT)
    return bytes(128) + b"DICM" + length + elements


def big_endian_group() -> bytes:
    elements = element(0x00020002, "UI", CT.encode() + b"\0", BIG_ENDIAN)
    elements += element(0x00020003, "UI", b"1.2.3\0", BIG_ENDIAN)
    elements += element(0x00020010, "UI", EXPLICIT_VR_LITTLE_ENDIAN.encode() + b"\0", BIG_ENDIAN)
    length = element(0x00020000, "UL", len(elements).to_bytes(4, "big"), BIG_ENDIAN)
    return bytes(128) + b"DICM" + length + elements


def without_length() -> bytes:
    return encoded()[:132] + encoded()[144:]


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (encoded()[128:], "the preamble of 128 bytes is missing"),
        (encoded()[132:], "the preamble and the prefix DICM are missing"),
        (wrong_length(), "ends at byte 10143"),
        (without_length(), "Group Length (0002,0000) is missing"),
        (implicit_group(), "in implicit VR"),
        (big_endian_group(), "in big endian"),
    ],
    ids=["no preamble", "no prefix", "wrong length", "no length", "implicit", "big endian"],
)
def test_a_wrong_head_is_tolerated_and_said_or_refused_as_configured(
    read, head: bytes, said: str
) -> None:
    meta = read(head + DATA_SET)
    assert any(said in remark for remark in meta.remarks)
    assert len(meta.remarks) == 1
    assert meta.data_set_offset == len(head)
    assert meta.media_storage_sop_instance_uid == "1.2.3"
    assert meta.encoding_uid == EXPLICIT_VR_LITTLE_ENDIAN
    with pytest.raises(StorageError) as caught:
        read(head + DATA_SET, tolerate=False)
    assert caught.value.clause == "PS3.10 7.1"
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("syntax", "uid"),
    [
        (EXPLICIT, EXPLICIT_VR_LITTLE_ENDIAN),
        (IMPLICIT, IMPLICIT_VR_LITTLE_ENDIAN),
        (BIG_ENDIAN, EXPLICIT_VR_BIG_ENDIAN),
    ],
)
def test_a_bare_data_set_is_recognised_by_its_first_element(read, syntax, uid: str) -> None:
    bare = element(0x00080005, "CS", b"ISO_IR 100", syntax).ljust(140, b"\0")
    meta = read(bare)
    assert (meta.data_set_offset, meta.transfer_syntax_uid) == (0, uid)
    assert "the file has no file meta information" in meta.remarks
    with pytest.raises(StorageError):
        read(bare, tolerate=False)


def test_a_data_set_in_another_encoding_than_stated_is_read_as_it_is(read) -> None:
    meta = read(encoded() + element(0x00080005, "CS", b"ISO_IR 100", IMPLICIT))
    assert meta.transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN
    assert meta.encoding_uid == IMPLICIT_VR_LITTLE_ENDIAN
    assert not meta.encoding.explicit_vr
    assert len(meta.remarks) == 1


def test_a_deflated_data_set_is_not_guessed_about(read) -> None:
    meta = read(encoded(DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN) + b"\x08\x00\x05\x00CS\x04\x00")
    assert meta.encoding_uid == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
    assert meta.remarks == ()


def test_a_program_in_the_preamble_is_reported(read) -> None:
    meta = read(b"MZ" + encoded()[2:] + DATA_SET, tolerate=False)
    assert meta.remarks == ("the preamble is that of a Windows program",)


@pytest.mark.parametrize(
    ("preamble", "foreign"),
    [
        (bytes(128), False),
        (b"II*\0".ljust(128, b"x"), False),
        (b"MM\0*".ljust(128, b"x"), False),
        (b"MM\0+".ljust(128, b"x"), False),
        (b"<?php".ljust(128, b" "), True),
        (bytes(127) + b"\1", True),
    ],
)
def test_what_is_neither_empty_nor_of_a_tiff_file_is_a_foreign_preamble(
    read, preamble: bytes, foreign: bool
) -> None:
    meta = read(preamble + encoded()[128:] + DATA_SET, tolerate=False)
    assert meta.foreign_preamble is foreign
    assert meta.remarks == ()


def test_long_private_information_is_passed_over_without_being_read(read) -> None:
    private = element(0x00020102, "OB", bytes(500_000))
    meta = read(encoded() + private + DATA_SET)
    assert meta.data_set_offset == len(encoded()) + len(private)


@pytest.mark.parametrize("length", [0xFFFFFFFF, 1 << 21])
def test_an_element_longer_than_the_group_may_be_is_refused(read, length: int) -> None:
    private = element(0x00020102, "OB", b"")[:-4] + length.to_bytes(4, "little")
    with pytest.raises(StorageError, match="too long"):
        read(encoded() + private + DATA_SET)


@pytest.mark.parametrize("data", [b"", b"\0", bytes(132), b"PK\3\4" + bytes(200), b"{}" * 99])
def test_what_is_no_dicom_file_is_refused_in_one_sentence(read, data: bytes) -> None:
    with pytest.raises(StorageError, match="not a DICOM file"):
        read(data)


def test_every_truncation_is_a_value_or_our_error(read) -> None:
    data = encoded() + DATA_SET
    for length in range(len(data)):
        with suppress(StorageError):
            assert read(data[:length]).data_set_offset <= length


@given(head=st.binary(max_size=200), prefix=st.sampled_from([b"", b"\2\0", bytes(128) + b"DICM"]))
def test_no_bytes_make_it_raise_anything_else(head: bytes, prefix: bytes) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(prefix + head)
        file.flush()
        with suppress(StorageError):
            read_file_meta(file.fileno())
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == len(prefix + head)


def test_a_closed_descriptor_is_a_storage_error() -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        read_file_meta(987654)


def test_every_part_10_file_of_pydicom_is_read_as_pydicom_reads_it() -> None:
    read_files = 0
    for path in pydicom_files():
        try:
            theirs = pydicom.dcmread(path, stop_before_pixels=True).file_meta
        except pydicom.errors.InvalidDicomError:
            continue
        read_files += 1
        with opened(path) as descriptor:
            ours = read_file_meta(descriptor)
        assert ours.media_storage_sop_instance_uid == theirs.get("MediaStorageSOPInstanceUID", "")
        assert ours.media_storage_sop_class_uid == theirs.get("MediaStorageSOPClassUID", "")
        if "TransferSyntaxUID" in theirs:
            assert ours.transfer_syntax_uid == theirs.TransferSyntaxUID
    assert read_files > 140
