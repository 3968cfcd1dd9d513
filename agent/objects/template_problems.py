"""What is wrong with a device's template: told before the first capture fails by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from agent.dataset import tags
from agent.dataset.character_set import encode_text
from agent.errors import GantryError
from agent.objects.device_template import attributes_of, character_set_of, check
from agent.objects.element import Element
from agent.objects.modules import MODULES
from agent.objects.usable_values import fits

_ATTRIBUTES, _CHARACTER_SET = "attributes", "character_set"
_MODALITY = ("modality", "CS")
"""No row says it alone: some objects have one of their own."""


def template_problems(template: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Key and problem of everything that no object could be made with. Raises nothing."""
    for key, value in template.items():
        try:
            check({key: value})
        except GantryError:
            yield key, "no template has this key; attributes by keyword stand in `attributes`"
            continue
        if key == _ATTRIBUTES:
            yield from _attribute_problems(value)
        elif key == _CHARACTER_SET:
            yield from _character_set_problems(template)
        elif key in _value_representations():
            yield from _value_problems(key, Element(_value_representations()[key], value))


def _attribute_problems(table: object) -> Iterator[tuple[str, str]]:
    if not isinstance(table, Mapping):
        yield _ATTRIBUTES, "is a table of keywords"
        return
    for keyword, value in table.items():
        key = f"{_ATTRIBUTES}.{keyword}"
        try:
            found = attributes_of({_ATTRIBUTES: {keyword: value}})
        except GantryError as error:
            yield key, str(error)
            continue
        for element in found.values():
            yield from _value_problems(key, element)


def _value_problems(key: str, element: Element) -> Iterator[tuple[str, str]]:
    vr, value = element
    for one in value if isinstance(value, (list, tuple)) else (value,):
        if vr == "SQ":
            for tag, inner in one.items():
                yield from _value_problems(f"{key}.{tags.keyword_of(tag)}", inner)
        elif one != "" and not fits(vr, one):
            yield key, f"{one!r} is no value of {vr} (PS3.5 6.2)"


def _character_set_problems(template: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    charset = character_set_of(template)
    # ASCII needs none: only a text of another alphabet shows whether it is known.
    if not any(_holds(charset, letter) for letter in "éŁЖαשعกĞ山한"):
        yield _CHARACTER_SET, f"{charset!r} is none that texts can be written in (PS3.3 C.12.1.1.2)"


def _holds(charset: str, letter: str) -> bool:
    try:
        encode_text(letter, "PN", charset)
    except GantryError:
        return False
    return True


@cache
def _value_representations() -> Mapping[str, str]:
    """Of the attributes that the keys of a template become, by the tables of the modules."""
    rows = (row for module in MODULES.values() for row in module.attributes)
    return dict(
        [
            _MODALITY,
            *(
                (row.source.partition(".")[2], row.vr)
                for row in rows
                if row.source.startswith(("device.", "series."))
            ),
        ]
    )
