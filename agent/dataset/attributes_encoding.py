"""Attributes as bytes, in any transfer syntax that a message can have (PS3.5 7)."""

from __future__ import annotations

from collections.abc import Sequence

from agent.dataset import tags
from agent.dataset.attributes import SINGLE_TEXTS, Attribute, Attributes, Value
from agent.dataset.byte_source import ByteSource, MemoryBytes, decoded
from agent.dataset.character_set import decode_text, encode_text
from agent.dataset.element_encoding import item_header
from agent.dataset.reader import (
    Element,
    FragmentStart,
    ItemEnd,
    ItemStart,
    ReaderLimits,
    SequenceEnd,
    SequenceStart,
    elements,
    read_value,
)
from agent.dataset.tags import SPECIFIC_CHARACTER_SET
from agent.dataset.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
    TransferSyntax,
)
from agent.dataset.value_representations import (
    UNDEFINED_LENGTH,
    VALUE_REPRESENTATIONS,
    decode_numbers,
    encode_numbers,
)
from agent.dataset.writer import DataSetWriter
from agent.errors import LocalError

MOST_BYTES = 4 << 20
"""Of one data set that is taken into memory."""

_ASCII = frozenset(("", "ISO_IR 6", "ISO 2022 IR 6"))
_UTF_8 = "ISO_IR 192"

_LIMITS = ReaderLimits(depth=16, byte_budget=MOST_BYTES, value_length=MOST_BYTES)


def decode_attributes(data: bytes, transfer_syntax: TransferSyntax) -> Attributes:
    """The attributes of a data set, pixel data and group lengths left out.

    Memory: some ten times the bytes. Raises PeerError with status C000H where the bytes break PS3.5
    section 7, are nested deeper than 16 or longer than `MOST_BYTES`.
    """
    return read_attributes(MemoryBytes(data), transfer_syntax)


def read_attributes(
    source: ByteSource, transfer_syntax: TransferSyntax, wanted: frozenset[int] | None = None
) -> Attributes:
    """The attributes of a data set that is read from a source; of its top level those wanted, and
    then reading stops behind the last of them.

    Raises PeerError as `decode_attributes` does, and what the source raises.
    """
    source = decoded(source, transfer_syntax)
    last = None if wanted is None else max(wanted, default=0)
    if transfer_syntax.deflated:
        transfer_syntax = TRANSFER_SYNTAXES[EXPLICIT_VR_LITTLE_ENDIAN]
    root = Attributes()
    # One entry for each open item: its attributes, and the character set that holds there.
    stack: list[tuple[Attributes, bytes]] = [(root, b"")]
    sequences: list[tuple[int, list[Value]]] = []
    passing_over = False
    for event in elements(
        source,
        transfer_syntax,
        limits=_LIMITS,
        value_representation=tags.dictionary_value_representation,
    ):
        if wanted is not None and isinstance(event, Element | SequenceStart) and not event.depth:
            if last is not None and event.tag > last:
                break
            passing_over = event.tag not in wanted
        if passing_over:
            continue
        if isinstance(event, Element):
            if event.length == UNDEFINED_LENGTH or event.tag & 0xFFFF == 0:
                continue
            if event.tag in tags.BULK and not event.depth:
                break
            held, charset = stack[-1]
            raw = read_value(source, event, limits=_LIMITS)
            if event.tag == SPECIFIC_CHARACTER_SET:
                stack[-1] = (held, raw.rstrip(b"\0 "))
            held.put(event.tag, _attribute(event, raw, charset))
        elif isinstance(event, SequenceStart):
            sequences.append((event.tag, []))
        elif isinstance(event, ItemStart):
            stack.append((Attributes(), stack[-1][1]))
        elif isinstance(event, ItemEnd):
            sequences[-1][1].append(stack.pop()[0])
        elif isinstance(event, SequenceEnd):
            tag, items = sequences.pop()
            stack[-1][0].put(tag, Attribute("SQ", tuple(items)))
        elif isinstance(event, FragmentStart):
            break
    return root


def _attribute(element: Element, raw: bytes, charset: bytes) -> Attribute:
    return attribute_of(element.vr, raw, charset, little_endian=element.little_endian)


def attribute_of(vr: str, raw: bytes, charset: bytes, *, little_endian: bool) -> Attribute:
    """A value that is no sequence, from its bytes, in the character set of its data set."""
    row = VALUE_REPRESENTATIONS.get(vr)
    if not raw:
        return Attribute(vr, ())
    if row is not None and row.text:
        text = decode_text(raw, vr, charset)
        if vr in SINGLE_TEXTS:
            return Attribute(vr, (text,) if text else ())
        values = tuple(each.strip(" ") for each in text.split("\\"))
        return Attribute(vr, values if any(values) else ())
    if row is not None and row.format and not row.name.startswith("O"):
        numbers = decode_numbers(vr, raw, little_endian=little_endian)
        return Attribute(vr, tuple(numbers))
    return Attribute(vr, (raw,))


def encode_attributes(attributes: Attributes, transfer_syntax: TransferSyntax) -> bytes:
    """The bytes of a data set, in ascending order of tags, items with undefined length.

    Text goes out in the Specific Character Set of the data set, or of its item. Raises LocalError
    for what that set, the VR or the transfer syntax cannot hold.
    """
    parts: list[bytes] = []
    writer = DataSetWriter(parts.append, transfer_syntax)
    _write(attributes, writer, "", transfer_syntax)
    writer.close()
    return b"".join(parts)


def _write(
    attributes: Attributes, writer: DataSetWriter, charset: str, syntax: TransferSyntax
) -> None:
    charset = "\\".join(attributes.texts(SPECIFIC_CHARACTER_SET)) or charset
    for tag in attributes:
        vr, values = attributes[tag]
        if vr == "SQ":
            writer.begin_sequence(tag, UNDEFINED_LENGTH if values else 0)
            for item in attributes.items_of(tag):
                writer.begin_item(UNDEFINED_LENGTH)
                _write(item, writer, charset, syntax)
                writer.end_item()
            writer.end_sequence()
        else:
            writer.element(tag, vr, encode_value(vr, values, charset, syntax))


def encode_items(
    items: Sequence[Attributes], character_set: str, transfer_syntax: TransferSyntax
) -> bytes:
    """The value of a sequence of defined length, for a data set in this character set.

    Raises LocalError for what the character set, a VR or the transfer syntax cannot hold.
    """
    made = b""
    for item in items:
        parts: list[bytes] = []
        writer = DataSetWriter(parts.append, transfer_syntax)
        _write(item, writer, character_set, transfer_syntax)
        writer.close()
        data = b"".join(parts)
        made += item_header(len(data), transfer_syntax.little_endian) + data
    return made


def encode_changes(
    attributes: Attributes, character_set: bytes, transfer_syntax: TransferSyntax
) -> dict[int, bytes | None]:
    """New values for the top level of a data set of this character set, as it is encoded; for
    `agent.dataset.rewriting`.

    One without a value is emptied, a sequence without items deleted. A data set of plain ASCII is
    UTF-8 from then on where `attributes` have a Specific Character Set (PS3.5 6.1.2). Raises
    LocalError for what the character set cannot hold.
    """
    terms = character_set.decode("ascii", "replace").strip(" \0")
    made: dict[int, bytes | None] = {}
    if terms in _ASCII and attributes.has(SPECIFIC_CHARACTER_SET):
        terms = _UTF_8
        made[SPECIFIC_CHARACTER_SET] = terms.encode()
    for tag in attributes:
        vr, values = attributes[tag]
        if tag == SPECIFIC_CHARACTER_SET:
            continue
        if vr == "SQ":
            items = attributes.items_of(tag)
            made[tag] = encode_items(items, terms, transfer_syntax) if items else None
        else:
            made[tag] = encode_value(vr, values, terms, transfer_syntax)
    return made


def encode_value(
    vr: str, values: Sequence[Value], character_set: str, transfer_syntax: TransferSyntax
) -> bytes:
    """The bytes of a value that is no sequence, without padding. Raises LocalError."""
    row = VALUE_REPRESENTATIONS.get(vr)
    if not values:
        return b""
    if row is not None and row.text:
        return encode_text("\\".join(map(str, values)), vr, character_set)
    if row is not None and row.format and not isinstance(values[0], bytes):
        numbers = [each for each in values if isinstance(each, int | float)]
        return encode_numbers(vr, numbers, little_endian=transfer_syntax.little_endian)
    if isinstance(values[0], bytes):
        return values[0]
    raise LocalError(f"{vr} cannot hold this value.", clause="PS3.5 6.2", value=values[:1])


def with_character_set(attributes: Attributes, preferred: str = "") -> Attributes:
    """The same with the Specific Character Set that its text needs (PS3.5 6.1.2.2).

    None at all for ASCII; the preferred one, or that which it has, where it holds all the text;
    else ISO_IR 192 (UTF-8).
    """
    made = attributes.copy()
    stated = "\\".join(attributes.texts(SPECIFIC_CHARACTER_SET))
    made.remove(SPECIFIC_CHARACTER_SET)
    if _is_ascii(made):
        return made
    for charset in (preferred, stated, _UTF_8):
        if charset:
            made.set(SPECIFIC_CHARACTER_SET, charset)
            if _fits(made, charset):
                return made
    return made


def _is_ascii(attributes: Attributes) -> bool:
    return all(
        each.isascii()
        if isinstance(each, str)
        else not isinstance(each, Attributes) or _is_ascii(each)
        for tag in attributes
        for each in attributes[tag].values
    )


def _fits(attributes: Attributes, charset: str) -> bool:
    try:
        for tag in attributes:
            vr, values = attributes[tag]
            for each in values:
                if isinstance(each, Attributes):
                    if not _fits(each, charset):
                        return False
                elif isinstance(each, str):
                    encode_text(each, vr, charset)
    except LocalError:
        return False
    return True
