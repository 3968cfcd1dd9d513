"""A data set in memory: the identifiers, attribute lists and steps that messages carry.

Composite objects never come here; they are streamed. An `Attributes` holds what PS3.7 calls a data
set of an operation: some dozen attributes, with nested items. Text is text, its character set is
settled when it is read and written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Union

from agent.dataset import tags
from agent.dataset.value_representations import VALUE_REPRESENTATIONS
from agent.errors import LocalError

Value = Union[str, int, float, bytes, "Attributes"]
Key = int | str
"""A tag, or a keyword of PS3.6."""
Given = Value | Sequence[Value] | Mapping[str, object] | None

SINGLE_TEXTS = frozenset(("LT", "ST", "UT", "UR"))
"""VRs whose value is one text, backslashes included (PS3.5 6.2)."""


class Attribute(NamedTuple):
    """VR and values: of text str, DS and IS too; of numbers int or float, of tags int; of bulk data
    one bytes; of SQ the items."""

    vr: str
    values: tuple[Value, ...]

    @property
    def is_empty(self) -> bool:
        """Zero length, or nothing but empty values."""
        return not self.values or all(each == "" for each in self.values)


def tag_of(key: Key) -> int:
    """The tag of a keyword; a tag is its own. Raises LocalError for what PS3.6 does not know."""
    return key if isinstance(key, int) else tags.from_text(key)


class Attributes:
    """Attributes by tag, in ascending order when walked through."""

    __slots__ = ("_elements",)

    def __init__(self, **values: Given) -> None:
        self._elements: dict[int, Attribute] = {}
        for keyword, value in values.items():
            self.set(keyword, value)

    @classmethod
    def of(cls, values: Mapping[str, object]) -> Attributes:
        """From nested mappings by keyword; a list of mappings is a sequence of items."""
        made = cls()
        for keyword, value in values.items():
            made.set(keyword, value)  # type: ignore[arg-type]
        return made

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._elements))

    def __len__(self) -> int:
        return len(self._elements)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, int | str) and tag_of(key) in self._elements

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Attributes) and self._elements == other._elements

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        named = (
            f"{tags.keyword_of(tag) or tags.format_tag(tag)}={self[tag].values}" for tag in self
        )
        return f"Attributes({', '.join(named)})"

    def __getitem__(self, key: Key) -> Attribute:
        """Raises KeyError where there is no such attribute."""
        return self._elements[tag_of(key)]

    def get(self, key: Key) -> Attribute | None:
        """The attribute, or None."""
        return self._elements.get(tag_of(key))

    def put(self, tag: int, attribute: Attribute) -> None:
        """Add or replace an attribute as it is."""
        self._elements[tag] = attribute

    def set(self, key: Key, value: Given = None, *, vr: str = "") -> None:
        """Add or replace an attribute; None, "" and () make it empty.

        The VR is the dictionary's unless given. Raises LocalError for an unknown keyword.
        """
        tag = tag_of(key)
        vr = vr or tags.dictionary_value_representation(tag)
        self._elements[tag] = Attribute(vr, _values(vr, value))

    def remove(self, key: Key) -> None:
        """Take it out; nothing when it is not there."""
        self._elements.pop(tag_of(key), None)

    def has(self, key: Key) -> bool:
        """Whether it is there with a value."""
        found = self.get(key)
        return found is not None and not found.is_empty

    def text(self, key: Key, default: str = "") -> str:
        """The first value as text; `default` where there is none."""
        found = self.get(key)
        if found is None or not found.values or isinstance(found.values[0], bytes | Attributes):
            return default
        return str(found.values[0]) or default

    def texts(self, key: Key) -> tuple[str, ...]:
        """All values as text."""
        found = self.get(key)
        return () if found is None else tuple(str(each) for each in found.values)

    def number(self, key: Key, default: int = 0) -> int:
        """The first value as a whole number; `default` where it is none."""
        try:
            return int(float(self.text(key)))
        except ValueError:
            return default

    def items_of(self, key: Key) -> tuple[Attributes, ...]:
        """The items of a sequence."""
        found = self.get(key)
        if found is None:
            return ()
        return tuple(each for each in found.values if isinstance(each, Attributes))

    def item_of(self, key: Key) -> Attributes:
        """The first item of a sequence; an empty one where there is none."""
        return next(iter(self.items_of(key)), Attributes())

    def copy(self) -> Attributes:
        """A copy that shares nothing that can change."""
        made = Attributes()
        for tag, (vr, values) in self._elements.items():
            copied = tuple(each.copy() if isinstance(each, Attributes) else each for each in values)
            made._elements[tag] = Attribute(vr, copied)
        return made

    def update(self, others: Attributes) -> None:
        """Add or replace all of `others`; sequences whole."""
        self._elements.update(others.copy()._elements)


def _values(vr: str, value: object) -> tuple[Value, ...]:
    if value is None or value == "" or value == ():
        return ()
    if isinstance(value, str) and vr not in SINGLE_TEXTS and vr != "SQ":
        return tuple(value.split("\\"))
    if isinstance(value, str | bytes | int | float | Attributes | Mapping):
        value = (value,)
    if not isinstance(value, Sequence):
        raise LocalError(f"{type(value).__name__} cannot be a value of {vr}.", value=value)
    return tuple(_value(vr, each) for each in value)


def _value(vr: str, value: object) -> Value:
    if vr == "SQ":
        if isinstance(value, Attributes):
            return value
        if isinstance(value, Mapping):
            return Attributes.of(value)
        raise LocalError("A sequence holds items.", clause="PS3.5 7.5", value=value)
    row = VALUE_REPRESENTATIONS.get(vr)
    if row is not None and row.text:
        return str(value)
    if isinstance(value, str | int | float | bytes):
        return value
    raise LocalError(f"{type(value).__name__} cannot be a value of {vr}.", value=value)
