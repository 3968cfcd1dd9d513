"""Values of VR DT as moments."""

from __future__ import annotations

import datetime

import pytest

from agent.dataset.date_time import moment_of


@pytest.mark.parametrize(
    ("text", "timezone", "wanted"),
    [
        ("2025", 0, "2025-01-01T00:00:00"),
        ("20250102", 0, "2025-01-02T00:00:00"),
        ("20250102120102", 0, "2025-01-02T12:01:02"),
        ("20250102120102.5", 0, "2025-01-02T12:01:02.500000"),
        ("20250102120102+0130", 0, "2025-01-02T10:31:02"),
        ("20250102120102.25-0500", 60, "2025-01-02T17:01:02.250000"),
        ("202501021201", 60, "2025-01-02T11:01:00"),
        ("20250102120160", 0, "2025-01-02T12:01:59"),
        ("20250102 ", 0, "2025-01-02T00:00:00"),
    ],
)
def test_a_date_time_is_a_moment_in_utc(text: str, timezone: int, wanted: str) -> None:
    assert moment_of(text, timezone) == datetime.datetime.fromisoformat(wanted)


@pytest.mark.parametrize(
    "text", ["", "25", "20251", "20251301", "20250230", "202501021201.5", "20250102+1", "noon"]
)
def test_what_is_none_is_none(text: str) -> None:
    assert moment_of(text) is None


def test_the_first_moments_of_the_calendar_cannot_be_moved_before_it() -> None:
    assert moment_of("0001+1400") is None
