"""Attributes as a person types them: `Keyword=value`, and files of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from agent.dataset.attributes import Attributes, tag_of
from agent.dataset.json_model import from_json, to_json
from agent.dataset.tags import dictionary_value_representation
from agent.dataset.value_representations import VALUE_REPRESENTATIONS
from agent.errors import ConfigurationError, GantryError


def parted(word: str) -> tuple[str, str]:
    """Keyword and text of `Keyword=text`. Raises ConfigurationError."""
    keyword, equals, text = word.partition("=")
    if not equals or not keyword:
        raise ConfigurationError(
            f"{word} is no attribute with a value",
            value=word,
            way_out="Write Keyword=value, such as PatientID=4711.",
        )
    return keyword, text


def put_key(keys: Attributes, word: str) -> None:
    """Add a key of a query: `Keyword=value`, `Keyword` to be returned, `Sequence.Keyword=value`.

    A tag such as 0010,0020 does as well. All keys within a sequence go into its one item
    (PS3.4 C.2.2.2.6). Raises ConfigurationError.
    """
    path, _, text = word.partition("=")
    *sequences, keyword = path.split(".")
    try:
        for sequence in sequences:
            item = keys.item_of(sequence)
            keys.set(sequence, [item])
            keys = item
        tag = tag_of(keyword)
        row = VALUE_REPRESENTATIONS.get(dictionary_value_representation(tag))
        if row is not None and row.format and text:
            keys.set(tag, _numbers(row.format, text))
        else:
            keys.set(tag, text)
    except (GantryError, ValueError) as error:
        raise ConfigurationError(
            str(error), value=word, way_out="Write Keyword=value, such as PatientID=4711."
        ) from error


def _numbers(code: str, text: str) -> list[int | float]:
    parse = float if code in "fd" else int
    return [parse(each) for each in text.split("\\")]


def attributes_of(words: Iterable[str], file: Path | None = None) -> Attributes:
    """What the file has (JSON, PS3.18 F, or keywords with plain values), then what the words say.

    Raises ConfigurationError for what cannot be read.
    """
    made = Attributes()
    try:
        if file is not None:
            made = from_json(json.loads(file.read_text(encoding="utf-8")))
        for word in words:
            keyword, text = parted(word)
            made.set(keyword, text)
    except (OSError, ValueError, GantryError) as error:
        raise ConfigurationError(str(error), value=str(file or "")) from error
    return made


def print_attributes(attributes: Attributes, indent: str = "") -> None:
    """One line an attribute, by keyword; items are indented."""
    from agent.dataset import tags

    for tag in attributes:
        name = tags.keyword_of(tag) or tags.format_tag(tag)
        items = attributes.items_of(tag)
        if not items:
            print(f"{indent}{name} = {' | '.join(attributes.texts(tag))}")
        for number, item in enumerate(items, 1):
            print(f"{indent}{name} {number}:")
            print_attributes(item, indent + "    ")


def print_json(found: Iterable[Attributes]) -> None:
    """A JSON array (PS3.18 F)."""
    print(json.dumps([to_json(each) for each in found], ensure_ascii=False))
