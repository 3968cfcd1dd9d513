"""The form of a section of the conformance statement, whatever it is about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def section(title: str, rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    """A title and a table of items with their values, as lines of Markdown."""
    yield ""
    yield f"### {title}"
    yield ""
    yield "| item | value |"
    yield "|---|---|"
    for item, value in rows:
        yield f"| {item} | {value} |"
