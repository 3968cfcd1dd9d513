"""Patterns of a configuration: what could take for ever is refused, all else is quick."""

from __future__ import annotations

import time

import pytest

from hal.serial.base import WrongSettings
from hal.serial.code_patterns import LONGEST_CODE, CodePatterns
from hal.serial.expressions import compiled


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?P<x>(a+)+)b",
        r"(?P<x>(?:a|aa)+)b",
        r"(?P<x>(?:a?){60})b",
        r"(?P<x>(?i:a*)*)b",
        r"(?P<x>((a+)b?)*)c",
        r"(?P<x>(?:a{1,9}){1,9})b",
        r"\\(?P<x>(a+)*)b",
        r"(?P<x>.*.*.*.*)b",
        r"(?P<x>.*;.+;.{2,};.*)b",
        r"(?P<x>",
        r"(?P<x>[)",
    ],
)
def test_what_could_take_for_ever_is_refused_in_words(pattern: str) -> None:
    with pytest.raises(WrongSettings) as caught:
        compiled(pattern)
    assert pattern.encode("unicode_escape").decode() in str(caught.value).replace("'", "")


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"P(?P<PatientID>[0-9]+)", "P4711", "4711"),
        (r"(?:P|ID)(?P<PatientID>[0-9]+)(?:-[A-Z])?", "ID4711-A", "4711"),
        (r"(?P<PatientID>(?:[0-9]{3}-){2}[0-9]+)", "123-456-7", "123-456-7"),
        (r"(?P<PatientID>(?:[0-9]+-)*+[A-Z])", "1-22-X", "1-22-X"),
        (r"(?P<PatientID>.+)\^(?P<Last>.+)\^(?P<First>.+)", "1^Doe^Jo", "1"),
        (r"\((?P<PatientID>[(+)]+)\)", "((+))", "(+)"),
        # Application identifiers 8018 (patient) and 21 (serial), FNC1 between them (GS1).
        (r"8018(?P<PatientID>[0-9]{18})\x1d21(?P<Serial>.+)", f"8018{7:018}\x1d21X", f"{7:018}"),
    ],
)
def test_patterns_that_sites_use_are_taken(pattern: str, text: str, found: str) -> None:
    assert CodePatterns([pattern]).values_of(text)["PatientID"] == found


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?P<a>.*);(?P<b>.*);(?P<c>.*)!",
        r"(?P<a>(?:[0-9;]+-)*+x)",
        r"(?P<a>;+)(?P<b>;*)!",
        r"(?P<a>[^!]*)(?P<b>;*)!!",
    ],
)
def test_what_is_taken_is_quick_on_the_longest_code_that_does_not_fit(pattern: str) -> None:
    patterns = CodePatterns([pattern])
    begun = time.process_time()
    assert patterns.values_of(";" * LONGEST_CODE) == {}
    assert time.process_time() - begun < 2.0


def test_the_first_pattern_that_fits_wins_and_longer_codes_fit_none() -> None:
    patterns = CodePatterns(["A(?P<AccessionNumber>.+)", "(?P<PatientID>.+)"])
    assert patterns.values_of("A1") == {"AccessionNumber": "1"}
    assert patterns.values_of("B1") == {"PatientID": "B1"}
    assert patterns.values_of("B" * LONGEST_CODE) == {"PatientID": "B" * LONGEST_CODE}
    assert patterns.values_of("B" * (LONGEST_CODE + 1)) == {}
