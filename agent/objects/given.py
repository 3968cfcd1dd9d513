"""Attributes given by keyword, as a device template or a worklist entry has them.

What comes from TOML or JSON is text, numbers, lists and tables; here it becomes elements with the
VR that the dictionary of PS3.6 gives to each keyword.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.dataset import tags
from agent.dataset.value_representations import VALUE_REPRESENTATIONS
from agent.errors import LocalError
from agent.objects.element import Element, Item
from agent.quoting import quoted


def elements_of(values: Mapping[str, object]) -> dict[int, Element]:
    """The elements of a mapping by keyword, nested ones as items of sequences.

    A list is several values, a mapping or a list of mappings is a sequence; None and "" make an
    attribute empty. Raises LocalError for a keyword that PS3.6 does not know and for a value that
    its VR cannot have.
    """
    found: dict[int, Element] = {}
    for keyword, value in values.items():
        tag = tags.from_text(keyword)
        vr = tags.dictionary_value_representation(tag)
        found[tag] = Element(vr, _value(keyword, vr, value))
    return found


def _value(keyword: str, vr: str, value: object) -> object:
    if value is None:
        return ""
    if vr == "SQ":
        return _items(keyword, value)
    if isinstance(value, (list, tuple)):
        return tuple(_single(keyword, vr, each) for each in value)
    return _single(keyword, vr, value)


def _items(keyword: str, value: object) -> tuple[Item, ...]:
    items = [value] if isinstance(value, Mapping) else value
    if items == "":
        return ()
    if not isinstance(items, (list, tuple)) or not all(isinstance(e, Mapping) for e in items):
        raise LocalError(f"{keyword} holds items.", clause="PS3.5 7.5", value=value)
    return tuple(elements_of(item) for item in items)


def _single(keyword: str, vr: str, value: object) -> object:
    row = VALUE_REPRESENTATIONS.get(vr)
    if row is not None and row.text:
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            return value if isinstance(value, float) else str(value)
    elif isinstance(value, bytes) or (
        isinstance(value, (int, float)) and not isinstance(value, bool)
    ):
        return value
    elif isinstance(value, str) and vr not in ("OB", "OW", "UN"):
        return _number(keyword, vr, value)
    raise LocalError(
        f"{quoted(repr(value))} is no value for {keyword}.", clause="PS3.5 6.2", value=value
    )


def _number(keyword: str, vr: str, text: str) -> object:
    if text == "":
        return ""
    try:
        if vr == "AT":
            return int(text, 16)
        return float(text) if vr in ("FD", "FL") else int(text)
    except ValueError:
        raise LocalError(
            f"{quoted(repr(text))} is no number for {keyword}.", clause="PS3.5 6.2", value=text
        ) from None
