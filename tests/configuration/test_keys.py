"""Every key of every section: what it takes and what it refuses, from its declaration."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest

from agent.configuration.configuration import Configuration
from agent.configuration.key import Key, keys_of
from agent.configuration.kind import INVALID, Kind
from agent.configuration.kinds import Amount, Choice, Flag, ListOf, Settings, Table, Tables, Text
from agent.configuration.layers import Merged
from agent.configuration.reading import Here, Reading
from agent.configuration.route import TextByText
from tests.configuration.words import VOCABULARY


def sections(kind: type = Configuration) -> Iterator[type]:
    yield kind
    for key in keys_of(kind).values():
        if isinstance(key.kind, (Table, Tables)):
            yield from sections(key.kind.section)


ALL = [(kind, key) for kind in dict.fromkeys(sections()) for key in keys_of(kind).values()]
NAMES = [f"{kind.__name__}.{key.name}" for kind, key in ALL]


def read(kind: Kind, value: object) -> tuple[Any, list[str]]:
    reading = Reading(Merged(), VOCABULARY)
    result = kind.read(value, Here(reading, ("key",)))
    return result, [str(problem) for problem in reading.problems]


def element(key: Key) -> Kind:
    return key.kind.kind if isinstance(key.kind, ListOf) else key.kind


@pytest.mark.parametrize(("kind", "key"), ALL, ids=NAMES)
def test_every_key_says_what_it_means_and_what_it_allows(kind: type, key: Key) -> None:
    assert key.meaning
    assert key.meaning[-1] != "."
    assert key.kind.allowed


@pytest.mark.parametrize(("kind", "key"), ALL, ids=NAMES)
def test_every_default_is_a_value_that_the_key_takes(kind: type, key: Key) -> None:
    if key.required or key.default is None or isinstance(key.kind, (Table, Tables)):
        return
    written = key.kind.write(key.default)
    if written in ({}, []):
        return
    value, problems = read(key.kind, written)
    assert not problems
    assert key.kind.write(value) == written


@pytest.mark.parametrize(("kind", "key"), ALL, ids=NAMES)
def test_every_key_refuses_a_value_of_a_wrong_type(kind: type, key: Key) -> None:
    wrong: list[object] = [datetime.date(2025, 1, 1), float("nan"), [[1]]]
    if not isinstance(key.kind, (Settings, TextByText)):
        wrong.append({"no such": "key"})
    for value in wrong:
        reading = Reading(Merged(), VOCABULARY)
        key.kind.read(value, Here(reading, ("key",)))
        assert reading.problems, value


@pytest.mark.parametrize(
    ("kind", "key"), [each for each in ALL if isinstance(element(each[1]), Amount)]
)
def test_every_number_is_taken_within_its_range_and_refused_beside_it(kind: type, key: Key) -> None:
    amount = element(key)
    assert isinstance(amount, Amount)
    number = int if amount.whole else float
    assert read(amount, number(amount.low))[1] == []
    below = number(amount.low - 1)
    assert read(amount, below)[0] is INVALID or (below == 0 and amount.zero)
    if amount.zero:
        assert read(amount, 0)[0] == 0
    if amount.high is not None:
        assert read(amount, number(amount.high))[1] == []
        assert read(amount, number(amount.high + 1))[0] is INVALID
    assert read(amount, True)[0] is INVALID
    assert read(amount, float("inf"))[0] is INVALID
    if amount.whole:
        assert read(amount, amount.low + 0.5)[0] is INVALID


@pytest.mark.parametrize(
    ("kind", "key"), [each for each in ALL if isinstance(element(each[1]), (Choice, Flag))]
)
def test_every_choice_takes_its_words_and_suggests_the_nearest(kind: type, key: Key) -> None:
    choice = element(key)
    if isinstance(choice, Flag):
        assert read(choice, True) == (True, [])
        assert read(choice, "true")[0] is INVALID
        assert read(choice, 1)[0] is INVALID
        return
    assert isinstance(choice, Choice)
    for word in choice.words:
        assert read(choice, word) == (word, [])
    value, problems = read(choice, choice.words[0].upper() + "x")
    assert value is INVALID
    assert choice.words[0] in problems[0]


@pytest.mark.parametrize(
    ("kind", "key"), [each for each in ALL if isinstance(element(each[1]), Text)]
)
def test_every_text_has_a_limit_and_takes_no_control_characters(kind: type, key: Key) -> None:
    text = element(key)
    assert isinstance(text, Text)
    assert read(text, "A" * (text.maximum + 1))[0] is INVALID
    assert read(text, "A\nB")[0] is INVALID
    assert read(text, "A\x1b[31m")[0] is INVALID


@pytest.mark.parametrize(
    ("text", "value"),
    [("64 KiB", 65536), ("1kB", 1000), ("1.5 MiB", 1572864), ("2048", None), ("5 parsecs", None)],
)
def test_sizes_are_read_with_their_units(text: str, value: int | None) -> None:
    size = keys_of(Configuration)["limits"].kind.section  # type: ignore[attr-defined]
    assert read(keys_of(size)["data_set_in_memory"].kind, text)[0] == (
        INVALID if value is None or value < 4096 else value
    )


@pytest.mark.parametrize(
    ("text", "seconds"), [("200 ms", 0.2), ("5 min", 300.0), ("1 h", INVALID), ("-1 s", INVALID)]
)
def test_times_are_read_with_their_units(text: str, seconds: float) -> None:
    from agent.configuration.connection import Timers

    value, _ = read(keys_of(Timers)["connect"].kind, text)
    assert value == pytest.approx(seconds) if seconds is not INVALID else value is INVALID


@pytest.mark.parametrize("title", ["A", "SIXTEEN_LETTERS_", " PADDED ", "A B", "*"])
def test_ae_titles_of_ps3_5_6_2_are_taken_without_outer_spaces(title: str) -> None:
    from agent.configuration.peer import Peer

    assert read(keys_of(Peer)["title"].kind, title) == (title.strip(), [])


@pytest.mark.parametrize("title", [" ", "SEVENTEEN_LETTERS", "A\\B", "A\tB", "Ä", 7])
def test_what_is_no_ae_title_is_refused(title: object) -> None:
    from agent.configuration.peer import Peer

    assert read(keys_of(Peer)["title"].kind, title)[0] is INVALID


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("192.0.2.1:104", "192.0.2.1", 104),
        ("archive.example:11112", "archive.example", 11112),
        ("[2001:db8::1]:104", "2001:db8::1", 104),
        ("[fe80::1%eth0]:104", "fe80::1%eth0", 104),
    ],
)
def test_addresses_are_taken_apart_and_written_again(text: str, host: str, port: int) -> None:
    from agent.configuration.addresses import Address
    from agent.configuration.peer import Peer

    kind = element(keys_of(Peer)["addresses"])
    value, problems = read(kind, text)
    assert not problems
    assert value == Address(host, port)
    assert str(value) == text


@pytest.mark.parametrize(
    "text",
    [
        "archive",
        "archive:",
        ":104",
        "archive:0",
        "archive:65536",
        "300.1.1.1:104",
        "[::1]",
        "a b:1",
        "2001:db8::1:104",
        "-x.example:104",
        "a" * 64 + ".example:104",
        104,
    ],
)
def test_what_is_no_address_is_refused(text: object) -> None:
    from agent.configuration.peer import Peer

    assert read(element(keys_of(Peer)["addresses"]), text)[0] is INVALID


@pytest.mark.parametrize(
    ("text", "code"),
    [(0xA700, 0xA700), ("A701", 0xA701), ("0xC006", 0xC006), (0x0124, 0x0124), ("0122H", 0x0122)],
)
def test_failure_statuses_are_taken_as_numbers_and_digits(text: object, code: int) -> None:
    from agent.configuration.entity import Statuses

    assert read(keys_of(Statuses)["disk_full"].kind, text) == (code, [])


@pytest.mark.parametrize("text", [0, 0xB000, 0xFE00, 0xFF00, 0x0107, 0x0116, "A7", "A7XX", -1])
def test_statuses_of_success_warning_cancel_and_pending_refuse_nothing(text: object) -> None:
    from agent.configuration.entity import Statuses

    assert read(keys_of(Statuses)["disk_full"].kind, text)[0] is INVALID
