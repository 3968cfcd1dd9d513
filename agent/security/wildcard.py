"""Patterns in which "*" fits anything: in time that grows with pattern times text, never worse."""

from __future__ import annotations


def fits(pattern: str, text: str) -> bool:
    """Whether the whole text fits; letters count as they are written."""
    first, *middle = pattern.split("*")
    if not middle:
        return pattern == text
    last = middle.pop()
    if len(text) < len(first) + len(last):
        return False
    if not (text.startswith(first) and text.endswith(last)):
        return False
    position, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True
