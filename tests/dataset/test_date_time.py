"""Values of VR DT as moments."""

from __future__ import annotations

import datetime

import pytest

from agent.dataset.date_time import date_time, interval_of, moment_of


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


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2024", "2024-01-01T00:00:00", "2024-12-31T23:59:59.999999"),
        ("202402", "2024-02-01T00:00:00", "2024-02-29T23:59:59.999999"),
        ("20240229", "2024-02-29T00:00:00", "2024-02-29T23:59:59.999999"),
        ("2024022912", "2024-02-29T12:00:00", "2024-02-29T12:59:59.999999"),
        ("20240229120160", "2024-02-29T12:01:59", "2024-02-29T12:01:59.999999"),
        ("20240229120102.5", "2024-02-29T12:01:02.500000", "2024-02-29T12:01:02.599999"),
        ("202402291201-0500", "2024-02-29T17:01:00", "2024-02-29T17:01:59.999999"),
        ("9999", "9999-01-01T00:00:00", "9999-12-31T23:59:59.999999"),
        ("999912", "9999-12-01T00:00:00", "9999-12-31T23:59:59.999999"),
    ],
)
def test_a_date_time_lasts_as_long_as_what_it_leaves_out(text: str, first: str, last: str) -> None:
    wanted = tuple(map(datetime.datetime.fromisoformat, (first, last)))
    assert interval_of(text) == wanted


@pytest.mark.parametrize("text", ["", "20251", "202501021201.5", "9999-1200", "0001+1400"])
def test_what_is_no_interval_is_none(text: str) -> None:
    assert interval_of(text) is None


def test_a_moment_is_written_in_utc() -> None:
    assert date_time(1735689600.9) == "20250101000000+0000"
    assert moment_of(date_time(1735689600.9)) == datetime.datetime(2025, 1, 1)
