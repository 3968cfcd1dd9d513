"""Response identifiers of a query, encoded as they go out (PS3.4 C.4.1.1.3.2).

Values of the index go into a response as the bytes that they are, with the character set that they
have. Where the values of one response come in several character sets, or in none that is stated,
they are read and the response is in ISO_IR 192.
"""

from __future__ import annotations

import struct
import zlib

from agent.archive.query_keys import Column
from agent.archive.query_plan import QueryPlan, TablePlan, texts_of
from agent.archive.query_walk import Entity, Path
from agent.dataset import tags
from agent.dataset.attributes import Attribute, Attributes
from agent.dataset.attributes_encoding import encode_attributes, with_character_set
from agent.dataset.character_set import DEFINED_TERMS, character_set, decode_text
from agent.dataset.transfer_syntaxes import TransferSyntax
from agent.dataset.value_representations import VALUE_REPRESENTATIONS

_ESCAPE = 0x1B
_UTF_8 = b"ISO_IR 192"
_AVAILABILITY = "ONLINE"
_LONGEST = 0xFFFE

Pick = tuple[int, int]
"""A table and the position of a value among those that are asked of it."""


class Responses:
    """Makes the identifiers of one query's responses.

    `fixed` are attributes that every response has: level, Retrieve AE Title, timezone.
    """

    def __init__(
        self, plan: QueryPlan, syntax: TransferSyntax, retrieve_title: str, timezone: str
    ) -> None:
        self._plan = plan
        self._syntax = syntax
        self._fixed = Attributes(
            QueryRetrieveLevel=plan.identifier.level,
            RetrieveAETitle=retrieve_title,
            InstanceAvailability=_AVAILABILITY,
        )
        if timezone:
            self._fixed.set("TimezoneOffsetFromUTC", timezone)
        self._pieces = self._order()

    def of(self, path: Path) -> bytes:
        """The response for a match that needs no object."""
        foreign: frozenset[bytes] = frozenset()
        for table, entity in path.items():
            if entity.encoded is None:
                self._encode(self._plan.tables[table], entity)
            if entity.foreign:
                foreign |= entity.foreign
        stated = b""
        if foreign:
            if len(foreign) > 1 or not _is_sound(next(iter(foreign))):
                return self._finished(self._in_utf_8(path))
            stated = self._element(tags.SPECIFIC_CHARACTER_SET, "CS", next(iter(foreign)))
        return self._finished(stated + self._joined(path))

    def with_object(self, path: Path, held: Attributes) -> bytes:
        """The response for a match, with what was read of its object."""
        answer = self._plan.matching.returned(held)
        for tag in [*answer]:
            if tag not in self._plan.read:
                answer.remove(tag)
        for table, entity in path.items():
            plan = self._plan.tables[table]
            for position in plan.asked:
                column = plan.columns[position]
                answer.put(
                    column.tag, _attribute(entity.values[position], column, entity.character_set)
                )
        answer.update(self._fixed)
        preferred = "\\".join(held.texts(tags.SPECIFIC_CHARACTER_SET))
        return encode_attributes(with_character_set(answer, preferred), self._syntax)

    def _order(self) -> list[bytes | Pick]:
        """What a response is put together of, by tag."""
        found: list[tuple[int, bytes | Pick]] = [
            (tag, self._element(tag, vr, str(values[0]).encode()))
            for tag in self._fixed
            for vr, values in (self._fixed[tag],)
        ]
        for plan in self._plan.tables:
            for number, position in enumerate(plan.asked):
                found.append((plan.columns[position].tag, (plan.table, number)))
        return [piece for _, piece in sorted(found, key=lambda each: each[0])]

    def _joined(self, path: Path) -> bytes:
        return b"".join(
            [
                each if isinstance(each, bytes) else path[each[0]].encoded[each[1]]  # type: ignore[index]
                for each in self._pieces
            ]
        )

    def _encode(self, plan: TablePlan, entity: Entity) -> None:
        foreign: set[bytes] = set()
        encoded = []
        for position in plan.asked:
            raw, column = entity.values[position], plan.columns[position]
            if column.text and (not raw.isascii() or _ESCAPE in raw):
                foreign.add(entity.character_set)
            encoded.append(self._element(column.tag, column.vr, raw))
        entity.encoded, entity.foreign = encoded, frozenset(foreign)

    def _in_utf_8(self, path: Path) -> bytes:
        found = {}
        for table, entity in path.items():
            plan = self._plan.tables[table]
            for number, position in enumerate(plan.asked):
                column, raw = plan.columns[position], entity.values[position]
                if column.text:
                    raw = decode_text(raw, column.vr, entity.character_set).encode()
                found[table, number] = self._element(column.tag, column.vr, raw)
        return self._element(tags.SPECIFIC_CHARACTER_SET, "CS", _UTF_8) + b"".join(
            [each if isinstance(each, bytes) else found[each] for each in self._pieces]
        )

    def _element(self, tag: int, vr: str, raw: bytes) -> bytes:
        """One element; a value longer than a short VR holds is cut."""
        if len(raw) % 2:
            raw += VALUE_REPRESENTATIONS[vr].padding
        if len(raw) > _LONGEST:
            raw = raw[:_LONGEST]
        order = "<" if self._syntax.little_endian else ">"
        group, element = tag >> 16, tag & 0xFFFF
        if self._syntax.explicit_vr:
            if VALUE_REPRESENTATIONS[vr].long:
                return struct.pack(f"{order}HH2sHI", group, element, vr.encode(), 0, len(raw)) + raw
            return struct.pack(f"{order}HH2sH", group, element, vr.encode(), len(raw)) + raw
        return struct.pack(f"{order}HHI", group, element, len(raw)) + raw

    def _finished(self, data: bytes) -> bytes:
        if not self._syntax.deflated:
            return data
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        made = deflater.compress(data) + deflater.flush()
        return made + b"\0" * (len(made) % 2)


def _is_sound(stated: bytes) -> bool:
    """Whether a character set is written as it should be, so that it can be passed on."""
    if character_set(stated).remarks:
        return False
    terms = {each.strip() for each in stated.decode("ascii", "replace").split("\\")}
    return (
        bool(terms - {""}) and terms <= DEFINED_TERMS | {"", "ISO_IR 6"} and terms != {"ISO_IR 6"}
    )


def _attribute(raw: bytes, column: Column, character_set: bytes) -> Attribute:
    if column.vr == "OB":
        return Attribute("OB", (raw,))
    return Attribute(column.vr, texts_of(raw, column, character_set))
