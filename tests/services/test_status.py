"""Status values: what counts as success, warning and failure (PS3.4 B.2.3, PS3.7 C)."""

from __future__ import annotations

import pytest

from agent.network.status import Category, category, status_text
from agent.services.storage_answers import status_of_annex_gg


@pytest.mark.parametrize("status", [0xA700, 0xA7FF, 0xA900, 0xA9FE, 0xC000, 0xCFFF])
def test_ps34_011_every_value_of_the_failure_ranges_is_a_failure(status: int) -> None:
    assert category(status) is Category.FAILURE
    assert status_text(status).startswith(f"{status:04X}H ")


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007])
def test_ps34_012_warnings_count_as_stored(status: int) -> None:
    assert category(status) is Category.WARNING


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        (0xC123, Category.FAILURE),
        (0xA9AB, Category.FAILURE),
        (0xA7AB, Category.FAILURE),
        (0xB123, Category.WARNING),
        (0x0122, Category.FAILURE),
        (0x0001, Category.WARNING),
        (0xFE00, Category.CANCEL),
        (0xFF01, Category.PENDING),
    ],
)
def test_ps34_148_unlisted_values_fall_into_their_range(status: int, wanted: Category) -> None:
    assert category(status) is wanted


@pytest.mark.parametrize("status", range(0, 0x10000, 0x55))
def test_ps34_029_annex_gg_answers_four_values_only(status: int) -> None:
    assert status_of_annex_gg(status) in (0x0000, 0xA700, 0xA900, 0xC000)
