from __future__ import annotations

import pytest
from pydicom.uid import UID, UID_dictionary

from agent.dataset.transfer_syntaxes import (
    TRANSFER_SYNTAXES,
    UNCOMPRESSED,
    Family,
    by_name,
    encoding_of,
    name_of,
)


def test_every_transfer_syntax_of_ps36_is_there() -> None:
    standard = {uid for uid, row in UID_dictionary.items() if row[1] == "Transfer Syntax"}
    assert standard <= set(TRANSFER_SYNTAXES)


@pytest.mark.parametrize("uid", sorted(set(TRANSFER_SYNTAXES) & set(UID_dictionary)))
def test_properties_agree_with_pydicom(uid: str) -> None:
    row, theirs = TRANSFER_SYNTAXES[uid], UID(uid)
    assert (row.keyword, row.retired) == (theirs.keyword, theirs.is_retired)
    if row.transferable and row.short_name != "papyrus":
        assert row.explicit_vr == (not theirs.is_implicit_VR)
        assert row.little_endian == theirs.is_little_endian
        if row.family is not Family.REFERENCED:
            assert row.deflated == theirs.is_deflated
            assert row.encapsulated == theirs.is_encapsulated


def test_short_names_uids_and_keywords_find_their_row() -> None:
    for row in TRANSFER_SYNTAXES.values():
        assert by_name(row.uid) is by_name(row.short_name) is by_name(row.keyword) is row
    assert len({row.short_name for row in TRANSFER_SYNTAXES.values()}) == len(TRANSFER_SYNTAXES)
    assert by_name(" JPEG-LS ").uid == "1.2.840.10008.1.2.4.80"
    with pytest.raises(KeyError):
        by_name("jpeg-9000")


def test_the_syntaxes_that_cannot_carry_a_data_set_are_marked() -> None:
    not_transferable = [
        row.short_name for row in TRANSFER_SYNTAXES.values() if not row.transferable
    ]
    assert not_transferable == [
        "mime",
        "xml",
        "smpte-progressive",
        "smpte-interlaced",
        "smpte-audio",
    ]


def test_jpip_has_the_uids_of_the_standard_not_those_of_the_statement() -> None:
    assert by_name("jpip").uid == "1.2.840.10008.1.2.4.94"
    assert by_name("jpip-deflated").deflated
    assert by_name("jpeg-2000-part2").uid == "1.2.840.10008.1.2.4.93"


def test_what_may_have_lost_information_says_so() -> None:
    lossy = {row.short_name for row in TRANSFER_SYNTAXES.values() if row.lossy}
    assert {"jpeg-baseline", "jpeg-ls-near", "jpeg-2000", "h264-4.1-fragmentable"} <= lossy
    assert not lossy & {"jpeg-lossless", "jpeg-ls", "rle", "deflated-frame", "encapsulated"}
    assert all(
        row.video == row.name.startswith(("MPEG", "HEVC", "Fragm"))
        for row in TRANSFER_SYNTAXES.values()
    )


def test_a_syntax_that_nobody_knows_reads_as_encapsulated_explicit_little_endian() -> None:
    row = encoding_of("1.2.3.4")
    assert (row.explicit_vr, row.little_endian, row.encapsulated, row.deflated) == (
        True,
        True,
        True,
        False,
    )
    assert row.lossy, "what is not known may have lost anything"
    assert encoding_of(UNCOMPRESSED[0]) is TRANSFER_SYNTAXES[UNCOMPRESSED[0]]
    assert name_of("1.2.3.4") == "1.2.3.4"
    assert name_of(UNCOMPRESSED[0]) == "Implicit VR Little Endian"
