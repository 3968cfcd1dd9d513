from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.dataset.uid import derived_uid, is_valid_uid, new_uid
from agent.errors import ConfigurationError


@pytest.mark.parametrize(
    "text", ["1.2", "0.0", "1.2.840.10008.1.1", "2.25.0", "1." + "2" * 62], ids=str
)
def test_uids_of_the_grammar_of_ps35_9_1_are_valid(text: str) -> None:
    assert is_valid_uid(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1.",
        ".1",
        "1..2",
        "1.02",
        "01.2",
        "1.2 ",
        "1.2\0",
        "1.a",
        "1.²",
        "1.2\n",
        "1." + "2" * 63,
    ],
    ids=repr,
)
def test_anything_else_is_not(text: str) -> None:
    assert not is_valid_uid(text)


def test_new_uids_are_valid_different_and_under_2_25() -> None:
    made = {new_uid() for _ in range(1000)}
    assert len(made) == 1000
    assert all(is_valid_uid(uid) and uid.startswith("2.25.") for uid in made)


def test_new_uids_under_2_25_are_random_uuids() -> None:
    number = int(new_uid().removeprefix("2.25."))
    assert (number >> 76 & 0xF, number >> 62 & 0x3) == (4, 2)


@pytest.mark.parametrize("root", ["1.2", "1.2.826.0.1.3680043.9.9999", "1." + "2" * 41])
def test_new_uids_under_a_root_fill_the_room_that_it_leaves(root: str) -> None:
    made = {new_uid(root) for _ in range(200)}
    assert len(made) == 200
    for uid in made:
        assert is_valid_uid(uid) and uid.startswith(f"{root}.")
        assert len(uid) == min(64, len(root) + 39)


@pytest.mark.parametrize("root", ["", "1.2.", "1.02", "abc", "1." + "2" * 42, "1." + "2" * 70])
def test_a_root_that_is_wrong_or_too_long_is_a_configuration_error(root: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        new_uid(root)
    assert caught.value.value == root
    assert caught.value.way_out


@given(st.binary())
def test_derived_uids_are_valid_and_the_same_each_time(seed: bytes) -> None:
    assert derived_uid(seed) == derived_uid(seed)
    assert is_valid_uid(derived_uid(seed))
    assert derived_uid(seed) != derived_uid(seed + b"\0")
