"""What a data set holds, for a person: one line for each element, item and fragment.

Made line by line from the streaming reader, so that an object of any size is shown in little
memory; values are cut at a width and what could steer a terminal is shown, not obeyed. Names come
from pydicom's dictionary, which is imported when the first line is made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from agent.dataset import sop_classes, transfer_syntaxes
from agent.dataset.byte_source import ByteSource, decoded
from agent.dataset.character_set import decode_text
from agent.dataset.reader import (
    DEFAULT_LIMITS,
    Element,
    FragmentStart,
    ItemStart,
    ReaderLimits,
    SequenceStart,
    elements,
)
from agent.dataset.tags import (
    SPECIFIC_CHARACTER_SET,
    dictionary_value_representation,
    format_tag,
    is_private,
    name_of,
)
from agent.dataset.transfer_syntaxes import TransferSyntax
from agent.dataset.value_representations import (
    UNDEFINED_LENGTH,
    VALUE_REPRESENTATIONS,
    decode_numbers,
)

_MOST_CREATORS = 1024


class Line(NamedTuple):
    """One line: what stands where. `length` is None where it is undefined.

    `kind` is "element", "sequence", "item" or "fragment"; an item or a fragment has its number as
    `tag`. `value` is for reading: cut where `cut` is True.
    """

    kind: str
    depth: int
    tag: int
    vr: str
    length: int | None
    name: str
    value: str
    cut: bool


def dump(
    source: ByteSource,
    transfer_syntax: TransferSyntax,
    *,
    width: int = 80,
    limits: ReaderLimits = DEFAULT_LIMITS,
) -> Iterator[Line]:
    """The lines of a data set; values are cut at about `width` characters.

    Raises what `agent.dataset.reader.elements` raises, after the lines of all that came before.
    Memory: one block of the source and the depth of the nesting.
    """
    source = decoded(source, transfer_syntax)
    inflated = transfer_syntax._replace(deflated=False)
    # By depth: the character set in force (PS3.3 C.12.1.1.2), and the private creators.
    character_sets = [b""]
    creators: list[dict[int, str]] = [{}]
    for event in elements(
        source,
        inflated,
        limits=limits,
        through_bulk=True,
        value_representation=dictionary_value_representation,
    ):
        if isinstance(event, Element):
            depth = event.depth
            if event.tag == SPECIFIC_CHARACTER_SET:
                character_sets[depth] = _read(source, event.value_offset, min(event.length, 1024))
            if (
                is_private(event.tag)
                and 0x10 <= event.tag & 0xFFFF < 0x100
                and len(creators[depth]) < _MOST_CREATORS
            ):
                creator = _read(source, event.value_offset, min(event.length, 64))
                creators[depth][event.tag] = decode_text(creator, "LO", character_sets[depth])
            value, cut = _value(source, event, character_sets[depth], width)
            name = _name(event.tag, creators[depth])
            yield Line(
                "element", depth, event.tag, event.vr, _length(event.length), name, value, cut
            )
        elif isinstance(event, SequenceStart):
            name = _name(event.tag, creators[event.depth])
            length = _length(event.length)
            yield Line("sequence", event.depth, event.tag, event.vr, length, name, "", False)
        elif isinstance(event, ItemStart):
            inner = event.depth + 1
            del character_sets[inner:], creators[inner:]
            character_sets.append(character_sets[-1])
            creators.append({})
            length = _length(event.length)
            yield Line("item", event.depth, event.number, "", length, "Item", "", False)
        elif isinstance(event, FragmentStart):
            name = "Fragment" if event.number else "Basic Offset Table"
            value, cut = _hexadecimal(source, event.value_offset, event.length, width)
            yield Line("fragment", event.depth, event.number, "", event.length, name, value, cut)


def as_text(line: Line) -> str:
    """A line for a terminal, indented by its depth."""
    indent = "  " * line.depth
    length = "undefined" if line.length is None else str(line.length)
    if line.kind in ("item", "fragment"):
        head = f"{indent}  {line.name} {line.tag}" if line.tag else f"{indent}  {line.name}"
    else:
        head = f"{indent}{format_tag(line.tag)} {line.vr} {line.name}"
    value = f" = {line.value}{'...' if line.cut else ''}" if line.value else ""
    return f"{head} [{length}]{value}"


def as_json(line: Line) -> str:
    """A line as one JSON object, for scripts."""
    fields: dict[str, object] = {"kind": line.kind, "depth": line.depth}
    if line.kind in ("item", "fragment"):
        fields["number"] = line.tag
    else:
        fields["tag"] = f"{line.tag:08X}"
        fields["vr"] = line.vr
    fields |= {"name": line.name, "length": line.length, "value": line.value, "cut": line.cut}
    return json.dumps(fields, ensure_ascii=False)


def dump_lines(
    source: ByteSource, transfer_syntax: TransferSyntax, *, width: int = 80
) -> Iterator[str]:
    """The lines of `dump` as text."""
    return map(as_text, dump(source, transfer_syntax, width=width))


def _length(length: int) -> int | None:
    return None if length == UNDEFINED_LENGTH else length


def _name(tag: int, creators: dict[int, str]) -> str:
    block = tag & 0xFFFF0000 | tag >> 8 & 0xFF
    return name_of(tag, creators.get(block, ""))


def _read(source: ByteSource, position: int, length: int) -> bytes:
    """Up to `length` bytes; what is not there is left out."""
    data = b""
    while len(data) < length:
        piece = source.read(position + len(data), length - len(data))
        if not piece:
            break
        data += piece
    return data


def _value(
    source: ByteSource, element: Element, character_set: bytes, width: int
) -> tuple[str, bool]:
    if element.length == UNDEFINED_LENGTH:
        return "", False
    row = VALUE_REPRESENTATIONS.get(element.vr)
    if row is not None and row.text:
        return _text(source, element, character_set, width)
    if row is None or element.vr in ("OB", "UN"):
        return _hexadecimal(source, element.value_offset, element.length, width)
    size = 4 if element.vr == "AT" else row.word
    raw = _read(source, element.value_offset, min(element.length, size * (width // 2)))
    numbers = decode_numbers(element.vr, raw, little_endian=element.little_endian)
    shown = [
        format_tag(int(number)) if element.vr == "AT" else f"{number:.10g}" for number in numbers
    ]
    text = "\\".join(shown)
    return text[:width], len(raw) < element.length or len(text) > width


def _text(
    source: ByteSource, element: Element, character_set: bytes, width: int
) -> tuple[str, bool]:
    # Four bytes for a character of UTF-8, and some for escape sequences.
    raw = _read(source, element.value_offset, min(element.length, 4 * width + 16))
    text = decode_text(raw, element.vr, character_set)
    cut = len(raw) < element.length or len(text) > width
    text = _printable(text[:width])
    if element.vr == "UI" and not cut:
        name = _uid_name(text)
        return (f"{text} ({name})", False) if name != text else (text, False)
    return text, cut


def _printable(text: str) -> str:
    """The text with everything shown that moves a cursor, colours, rings or turns the writing."""
    if text.isprintable():
        return text
    return "".join(
        [
            character
            if character.isprintable()
            else f"\\x{ord(character):02x}"
            if ord(character) < 256
            else f"\\u{ord(character):04x}"
            for character in text
        ]
    )


def _uid_name(uid: str) -> str:
    name = sop_classes.name_of(uid)
    return name if name != uid else transfer_syntaxes.name_of(uid)


def _hexadecimal(source: ByteSource, position: int, length: int, width: int) -> tuple[str, bool]:
    raw = _read(source, position, min(length, width // 3))
    return raw.hex(" "), len(raw) < length
