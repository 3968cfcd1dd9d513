"""An attribute's value on its way into an object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Element(NamedTuple):
    """An attribute's value with its VR: text, a number, several of them, or items of a sequence."""

    vr: str
    value: object


Item = Mapping[int, Element]
"""The elements of one item of a sequence, by tag; the value of an SQ is a tuple of items."""
