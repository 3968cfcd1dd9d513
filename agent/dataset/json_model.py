"""Attributes as the DICOM JSON model, and back (PS3.18 F.2)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from agent.dataset import tags
from agent.dataset.attributes import Attribute, Attributes, Value
from agent.dataset.value_representations import VALUE_REPRESENTATIONS
from agent.errors import LocalError
from agent.quoting import quoted

_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_NUMERIC_TEXT = frozenset(("DS", "IS"))


def to_json(attributes: Attributes) -> dict[str, Any]:
    """The object of F.2.2, ready for `json.dumps`; numbers in text stay exact."""
    return {f"{tag:08X}": _attribute(*attributes[tag]) for tag in attributes}


def _attribute(vr: str, values: tuple[Value, ...]) -> dict[str, Any]:
    made: dict[str, Any] = {"vr": vr}
    if values and isinstance(values[0], bytes):
        made["InlineBinary"] = base64.b64encode(values[0]).decode("ascii")
    elif values:
        made["Value"] = [_value(vr, each) for each in values]
    return made


def _value(vr: str, value: Value) -> Any:
    if isinstance(value, Attributes):
        return to_json(value)
    if vr == "AT" and isinstance(value, int):
        return f"{value:08X}"
    if vr == "PN":
        parts = zip(_GROUPS, str(value).split("="), strict=False)
        return {group: part for group, part in parts if part} or None
    if vr in _NUMERIC_TEXT and isinstance(value, str):
        for number in (int, float):
            try:
                exact = number(value)
            except ValueError:
                continue
            # F.2.3: a string where a number would not come back as it was written.
            return exact if str(exact) == value else value
    return value if value != "" else None


def from_json(data: Mapping[str, Any]) -> Attributes:
    """The attributes of such an object; keywords are taken for tags, and the VR may be left out.

    Raises LocalError for what is neither, and for a value that its VR cannot have.
    """
    made = Attributes()
    if not isinstance(data, Mapping):
        raise LocalError("A data set is an object.", clause="PS3.18 F.2.2", value=data)
    for name, member in data.items():
        tag = tags.from_text(name)
        if not isinstance(member, Mapping):
            # What a person writes by hand: a keyword and its value.
            made.set(tag, _plain(member))
            continue
        vr = str(member.get("vr") or tags.dictionary_value_representation(tag))
        if vr not in VALUE_REPRESENTATIONS:
            raise LocalError(f"{vr!r} is no value representation.", clause="PS3.5 6.2", value=name)
        if "InlineBinary" in member:
            raw = base64.b64decode(str(member["InlineBinary"]))
            made.put(tag, Attribute(vr, (raw,) if raw else ()))
            continue
        values = member.get("Value") or []
        if not isinstance(values, list):
            raise LocalError("Value is an array.", clause="PS3.18 F.2.2", value=name)
        made.put(tag, Attribute(vr, tuple(_read(vr, each) for each in values)))
    return made


def _plain(member: Any) -> Any:
    if isinstance(member, list):
        return [from_json(each) if isinstance(each, Mapping) else each for each in member]
    return member


def _read(vr: str, value: Any) -> Value:
    if vr == "SQ":
        if not isinstance(value, Mapping):
            raise LocalError("A sequence holds items.", clause="PS3.18 F.2.2", value=value)
        return from_json(value)
    if value is None:
        return ""
    if vr == "PN" and isinstance(value, Mapping):
        return "=".join(str(value.get(group, "")) for group in _GROUPS).rstrip("=")
    if vr == "AT":
        return int(str(value), 16)
    if VALUE_REPRESENTATIONS[vr].text:
        return str(value)
    if isinstance(value, int | float):
        return value
    raise LocalError(
        f"{quoted(repr(value))} cannot be a value of {vr}.", clause="PS3.18 F.2.3", value=value
    )
