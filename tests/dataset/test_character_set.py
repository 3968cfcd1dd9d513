from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.dataset.character_set import (
    DEFINED_TERMS,
    PersonName,
    character_set,
    decode_text,
    encode_text,
    person_names,
)
from agent.errors import LocalError

# Of PS3.5 annexes H, I, J and K, and of tables of the character sets: term, text, bytes.
EXAMPLES = [
    ("", "Adams^John", b"Adams^John"),
    ("ISO_IR 100", "Buc^Jérôme", b"Buc^J\xe9r\xf4me"),
    ("ISO_IR 101", "Wałęsa", b"Wa\xb3\xeasa"),
    ("ISO_IR 109", "ĉapelo", b"\xe6apelo"),
    ("ISO_IR 110", "Rīga", b"R\xefga"),
    ("ISO_IR 126", "Διονυσιος", b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2"),
    ("ISO_IR 127", "قباني^لنزار", b"\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1"),
    ("ISO_IR 138", "שרון^דבורה", b"\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4"),
    ("ISO_IR 144", "Люкceмбypг", b"\xbb\xee\xdace\xdc\xd1yp\xd3"),
    ("ISO_IR 148", "Çavuşoğlu", b"\xc7avu\xfeo\xf0lu"),
    ("ISO_IR 166", "นามสกุล", b"\xb9\xd2\xc1\xca\xa1\xd8\xc5"),
    ("ISO_IR 203", "Œuvre€", b"\xbcuvre\xa4"),
    ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3"),
    (
        "\\ISO 2022 IR 87",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
    ),
    (
        "\\ISO 2022 IR 149",
        "Hong^Gildong=洪^吉洞=홍^길동",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
    ),
    (
        "\\ISO 2022 IR 58",
        "Zhang^XiaoDong=张^小东",
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab",
    ),
    (
        "ISO_IR 192",
        "Wang^XiaoDong=王^小東",
        b"Wang^XiaoDong=\xe7\x8e\x8b^\xe5\xb0\x8f\xe6\x9d\xb1",
    ),
    ("GB18030", "Wang^XiaoDong=王^小东", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab"),
    ("GBK", "Wang^XiaoDong=王^小东", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab"),
]


@pytest.mark.parametrize(("terms", "text", "raw"), EXAMPLES, ids=lambda value: str(value)[:16])
def test_the_examples_of_the_standard_are_decoded_and_encoded(
    terms: str, text: str, raw: bytes
) -> None:
    assert decode_text(raw, "PN", terms) == text
    assert decode_text(raw, "PN", terms.encode() + b" ") == text
    assert encode_text(text, "PN", terms) == raw
    assert character_set(terms).remarks == ()


def test_the_japanese_example_of_h_3_2_starts_in_katakana() -> None:
    raw = (
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J"
        b"=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J"
    )
    terms = "ISO 2022 IR 13\\ISO 2022 IR 87"
    assert decode_text(raw, "PN", terms) == "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"


def test_supplementary_kanji_decode() -> None:
    raw = b"\x1b$(D0(\x1b(B"
    assert decode_text(raw, "LO", "\\ISO 2022 IR 159") == raw.decode("iso2022_jp_2")


@pytest.mark.parametrize("term", sorted(DEFINED_TERMS))
def test_every_defined_term_decodes_and_encodes_ascii_and_something_of_its_own(term: str) -> None:
    for terms in (term, f"\\{term}"):
        assert decode_text(b"Doe^Jane ", "PN", terms) == "Doe^Jane"
        assert encode_text("Doe^Jane", "PN", terms) == b"Doe^Jane"
        assert isinstance(decode_text(b"\xb1\xa1\x1b$B0!", "LO", terms), str)


@pytest.mark.parametrize(
    ("stated", "terms", "remark"),
    [
        ("ISO-IR 100", ("ISO_IR 100",), "read as ISO_IR 100"),
        ("iso_ir 192", ("ISO_IR 192",), "read as ISO_IR 192"),
        ("UTF-8", ("ISO_IR 192",), "read as ISO_IR 192"),
        ("ISO2022IR87", ("ISO 2022 IR 87",), "read as ISO 2022 IR 87"),
        ("KOI8-R", ("",), "default repertoire"),
        ("ISO_IR 192\\ISO 2022 IR 87", ("ISO_IR 192",), "cannot have code extensions"),
        ("\\ISO_IR 192", ("",), "cannot be a code extension"),
        ("ISO_IR 100\\ISO 2022 IR 87", ("ISO 2022 IR 100", "ISO 2022 IR 87"), "without code"),
    ],
)
def test_wrong_terms_are_tolerated_and_said(
    stated: str, terms: tuple[str, ...], remark: str
) -> None:
    found = character_set(stated)
    assert found.terms == terms
    assert any(remark in text for text in found.remarks)


def test_bytes_that_are_wrong_in_the_character_set_do_not_stop_anybody() -> None:
    assert decode_text(b"J\xe9r\xf4me", "PN", "ISO_IR 192") == "J�r�me"
    assert decode_text(b"J\xe9r\xf4me", "PN", "") == "Jérôme", "the usual careless sender"
    assert decode_text(b"1.2\xff\0", "UI", "ISO_IR 192") == "1.2�"


def test_padding_is_taken_off() -> None:
    assert decode_text(b"1.2.3\0", "UI") == "1.2.3"
    assert decode_text(b" a  \0 ", "LO") == " a"


def test_only_the_vrs_of_ps35_6_1_2_2_follow_the_character_set() -> None:
    assert decode_text(b"\xe9", "CS", "ISO_IR 100") == "�"
    with pytest.raises(LocalError, match="ASCII only"):
        encode_text("é", "CS", "ISO_IR 100")


@pytest.mark.parametrize("terms", ["", "ISO_IR 144", "ISO_IR 100", "\\ISO 2022 IR 87"])
def test_a_character_without_code_is_refused_with_a_way_out(terms: str) -> None:
    with pytest.raises(LocalError) as caught:
        encode_text("😀", "LO", terms)
    assert "ISO_IR 192" in caught.value.way_out


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_utf_8_goes_round(text: str) -> None:
    raw = encode_text(text, "UT", "ISO_IR 192")
    assert decode_text(raw, "UT", "ISO_IR 192") == text.rstrip(" ")


@given(st.text("aéßÿ^=\\"), st.sampled_from(["ISO_IR 100", "ISO 2022 IR 100\\ISO 2022 IR 126"]))
def test_latin_1_goes_round_with_and_without_code_extensions(text: str, terms: str) -> None:
    assert decode_text(encode_text(text, "PN", terms), "PN", terms) == text


@given(st.binary(max_size=60), st.binary(max_size=40), st.sampled_from(["PN", "LO", "UT", "CS"]))
def test_nothing_makes_decoding_fail(raw: bytes, terms: bytes, vr: str) -> None:
    assert isinstance(decode_text(raw, vr, terms), str)
    assert isinstance(person_names(decode_text(raw, "PN", terms)), tuple)


@given(
    st.binary(max_size=60),
    st.lists(st.sampled_from(sorted(DEFINED_TERMS)), max_size=3).map("\\".join),
)
def test_nothing_makes_decoding_with_defined_terms_fail(raw: bytes, terms: str) -> None:
    assert isinstance(decode_text(b"\x1b$B" + raw, "PN", terms), str)


def test_person_names_have_groups_and_components() -> None:
    (name,) = person_names("Adams^John Robert Quincy^^Rev.^B.A. M.Div.=亚当斯^约翰=")
    assert name.components() == ("Adams", "John Robert Quincy", "", "Rev.", "B.A. M.Div.")
    assert (name.ideographic, name.phonetic) == ("亚当斯^约翰", "")
    assert str(name) == "Adams^John Robert Quincy^^Rev.^B.A. M.Div.=亚当斯^约翰"
    assert person_names("") == ()
    assert person_names("Doe^Jane^^^\\Roe") == (PersonName("Doe^Jane"), PersonName("Roe"))
    assert len(person_names("a=b=c=d")[0]) == 3


def test_pydicom_is_imported_only_when_a_text_needs_its_tables() -> None:
    program = """
import sys
from agent.dataset.character_set import decode_text, encode_text
decode_text(b"Doe^Jane", "PN", b"\\\\ISO 2022 IR 87")
decode_text(b"J\\xe9r\\xf4me", "PN", b"ISO_IR 100")
encode_text("Jérôme", "PN", "ISO_IR 192")
assert "pydicom" not in sys.modules
decode_text(b"\\x1b$B;3ED\\x1b(B", "PN", b"\\\\ISO 2022 IR 87")
assert "pydicom" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
