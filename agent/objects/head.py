"""The head of an object: all elements in front of the pixel data, from the tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from agent.dataset.character_set import encode_text
from agent.dataset.element_encoding import encode_element, item_header
from agent.dataset.tags import PIXEL_DATA, format_tag
from agent.dataset.transfer_syntaxes import TransferSyntax
from agent.dataset.value_representations import LONGEST, VALUE_REPRESENTATIONS, encode_numbers
from agent.errors import LocalError
from agent.objects.element import Element, Item
from agent.objects.iod import Iod
from agent.objects.module import Attribute, Facts
from agent.objects.modules import MODULES
from agent.objects.sources import CONDITIONS, DERIVED_SOURCES, PATCHED, Patched

UTF_8 = "ISO_IR 192"

_SINGLE = ("LT", "ST", "UR", "UT")
_SPECIFIC_CHARACTER_SET = 0x00080005


class PatchPoint(NamedTuple):
    """Where a value that is not known yet will be written: `width` bytes at `offset`."""

    offset: int
    width: int


class Head(NamedTuple):
    """The encoded elements, and the places to be filled when the object is finished."""

    data: bytes
    patch_points: Mapping[str, PatchPoint]
    character_set: str


def compose(
    iod: Iod, facts: Facts, additional: Mapping[int, Element], transfer_syntax: TransferSyntax
) -> Head:
    """Everything in front of Pixel Data, encoded in ascending order of tags.

    Raises LocalError when a mandatory value is missing or one breaks its VR.
    """
    return encode(collect(iod, facts, additional), transfer_syntax)


def collect(iod: Iod, facts: Facts, additional: Mapping[int, Element]) -> dict[int, Element]:
    """The elements that the IOD's modules come to, by tag. Errors as of `compose`."""
    elements: dict[int, Element] = {}
    for name in iod.modules:
        module = MODULES[name]
        if module.when and not CONDITIONS[module.when](facts):
            continue
        for row in module.attributes:
            element = _given(row, additional, name) or _element_of(row, facts, name)
            if element is not None:
                elements[row.tag] = element
    for tag, element in additional.items():
        if not 0x00080000 < tag < PIXEL_DATA or tag == _SPECIFIC_CHARACTER_SET:
            raise LocalError(
                f"{format_tag(tag)} cannot be given from outside.", clause="PS3.5 7.1", value=tag
            )
        elements[tag] = element
    return elements


def encode(
    elements: Mapping[int, Element], transfer_syntax: TransferSyntax, character_set: str = UTF_8
) -> Head:
    """Elements in ascending order of tags. Raises LocalError for a value that breaks its VR.

    Text goes out in the Specific Character Set among them; where that has no code for all of it,
    in UTF-8, which they say then. `character_set` is that of elements which do not say theirs.
    """
    if _SPECIFIC_CHARACTER_SET in elements:
        character_set = str(elements[_SPECIFIC_CHARACTER_SET].value)
        if not _fits(elements, character_set):
            character_set = UTF_8
            elements = {**elements, _SPECIFIC_CHARACTER_SET: Element("CS", UTF_8)}
    data = bytearray()
    patch_points: dict[str, PatchPoint] = {}
    for tag in sorted(elements):
        vr, value = elements[tag]
        if isinstance(value, Patched):
            encoded = encode_element(tag, vr, b" " * value.width, transfer_syntax)
            patch_points[value.name] = PatchPoint(
                len(data) + len(encoded) - value.width, value.width
            )
        else:
            encoded = encode_element(
                tag,
                vr,
                encode_value(tag, vr, value, transfer_syntax, character_set),
                transfer_syntax,
            )
        data += encoded
    return Head(bytes(data), patch_points, character_set)


def _given(row: Attribute, additional: Mapping[int, Element], module: str) -> Element | None:
    element = additional.get(row.tag)
    if element is not None and row.type == "1" and element.value in (None, "", ()):
        raise _missing(row, module)
    return element


def _missing(row: Attribute, module: str) -> LocalError:
    return LocalError(
        f"{format_tag(row.tag)} of the {module} Module must have a value.",
        clause=f"PS3.3 {MODULES[module].clause}",
        value=row.source,
    )


def _element_of(row: Attribute, facts: Facts, module: str) -> Element | None:
    """What the row comes to: an element, or None where it is left out."""
    conditional = row.type.endswith("C")
    if row.when and not CONDITIONS[row.when](facts):
        return None
    value = resolve(row.source, facts)
    missing = value is None or value in ("", ())
    if not missing:
        return Element(row.vr, value)
    if row.type == "1" or (row.type == "1C" and row.when):
        raise _missing(row, module)
    if row.type == "3" or row.type == "1C":
        return None
    if conditional and not row.when and value is None:
        return None
    return Element(row.vr, "")


def resolve(source: str, facts: Facts) -> object:
    """The value of a row's source: a constant, a place to be patched, or a fact."""
    if source.startswith("="):
        return source[1:]
    if source == "given":
        return None
    if source in PATCHED:
        return PATCHED[source]
    derived: Callable[[Facts], object] | None = DERIVED_SOURCES.get(source)
    if derived is not None:
        return derived(facts)
    value: object = facts
    for name in source.split("."):
        if value is None:
            return None
        value = getattr(value, name)
    return value


def _fits(elements: Item, character_set: str) -> bool:
    """Whether the character set has a code for all text, that of items too."""
    if character_set == UTF_8:
        return True
    for vr, value in elements.values():
        if vr == "SQ":
            items = value if isinstance(value, (tuple, list)) else ()
            if not all(_fits(item, character_set) for item in items):
                return False
        elif VALUE_REPRESENTATIONS[vr].character_set and value:
            texts = value if isinstance(value, tuple) else (value,)
            try:
                encode_text("\\".join(map(str, texts)), vr, character_set)
            except LocalError:
                return False
    return True


def encode_value(
    tag: int,
    vr: str,
    value: object,
    transfer_syntax: TransferSyntax,
    character_set: str = UTF_8,
) -> bytes:
    """The bytes of a value without padding. Raises LocalError when it breaks its VR (PS3.5 6.2)."""
    if isinstance(value, bytes):
        return value
    if vr == "SQ":
        return _encode_items(value, transfer_syntax, character_set)
    if value is None or value in ("", ()):
        return b""
    values = value if isinstance(value, tuple) else (value,)
    row = VALUE_REPRESENTATIONS[vr]
    if not row.text:
        numbers = [int(one, 16) if isinstance(one, str) else one for one in values]
        return encode_numbers(vr, numbers, little_endian=transfer_syntax.little_endian)
    texts = [_text(vr, one) for one in values]
    for text in texts:
        _check_text(tag, vr, text, alone=vr in _SINGLE or not isinstance(value, str))
    return encode_text("\\".join(texts), vr, character_set)


def _text(vr: str, value: object) -> str:
    if isinstance(value, float):
        return decimal_string(value)
    return str(value)


def _check_text(tag: int, vr: str, text: str, *, alone: bool) -> None:
    limit = LONGEST.get(vr)
    if alone and vr not in _SINGLE and "\\" in text:
        raise LocalError(
            f"A value of {format_tag(tag)} has a backslash in it.", clause="PS3.5 6.2", value=text
        )
    if limit is None:
        return
    parts = [text] if vr in _SINGLE else text.split("\\")
    if vr == "PN":
        parts = [group for part in parts for group in part.split("=")]
    longest = max(map(len, parts))
    if longest > limit:
        raise LocalError(
            f"The value of {format_tag(tag)} is too long for {vr}.",
            clause="PS3.5 6.2",
            value=longest,
            limit=limit,
        )


def _encode_items(value: object, transfer_syntax: TransferSyntax, character_set: str) -> bytes:
    data = bytearray()
    items = value if isinstance(value, (tuple, list)) else ()
    for item in items:
        content = b"".join(
            encode_element(
                tag,
                element.vr,
                encode_value(tag, element.vr, element.value, transfer_syntax, character_set),
                transfer_syntax,
            )
            for tag, element in sorted(item.items())
        )
        data += item_header(len(content), transfer_syntax.little_endian) + content
    return bytes(data)


def decimal_string(value: float) -> str:
    """A number as DS: as exact as 16 characters allow."""
    for digits in range(17, 0, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= 16:
            return text
    raise LocalError("The number does not fit a DS.", clause="PS3.5 6.2", value=value)
