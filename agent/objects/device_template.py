"""What a device's template says: who made it, and what all its objects have in common.

A plain mapping as it comes from TOML:

    manufacturer = "Acme"
    model_name = "Scan 3"
    station_name = "ENDO1"
    modality = "ES"
    body_part_examined = "STOMACH"
    character_set = "ISO_IR 100"      # UTF-8 where it is left out

    [attributes]                      # by keyword, into every object; wins over all else
    KVP = 70
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from agent.errors import ConfigurationError
from agent.objects.description import DeviceIdentity, SeriesIdentity
from agent.objects.element import Element
from agent.objects.given import elements_of
from agent.objects.head import UTF_8
from agent.quoting import quoted

_DEVICE = tuple(field.name for field in fields(DeviceIdentity))
_SERIES = (
    "modality",
    "laterality",
    "body_part_examined",
    "protocol_name",
    "description",
    "operators_name",
    "performing_physician_name",
)
_SEVERAL = ("software_versions", "capture_software_versions")
_ATTRIBUTES, _CHARACTER_SET = "attributes", "character_set"


def device_of(template: Mapping[str, object]) -> DeviceIdentity:
    """The equipment. Raises ConfigurationError for a key that no template has."""
    check(template)
    values = {name: template[name] for name in _DEVICE if name in template}
    for name in _SEVERAL:
        if name in values:
            value = values[name]
            values[name] = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    return DeviceIdentity(**values)  # type: ignore[arg-type]


def series_of(
    template: Mapping[str, object], instance_uid: str, number: int | None = None
) -> SeriesIdentity:
    """The series as far as the template knows it. Raises ConfigurationError as `device_of`."""
    check(template)
    values = {name: str(template[name]) for name in _SERIES if name in template}
    return SeriesIdentity(instance_uid, number, **values)


def attributes_of(template: Mapping[str, object]) -> dict[int, Element]:
    """What `[attributes]` gives. Raises LocalError for a keyword or a value that cannot be."""
    check(template)
    attributes = template.get(_ATTRIBUTES, {})
    if not isinstance(attributes, Mapping):
        raise ConfigurationError("attributes is a table of keywords.", value=attributes)
    return elements_of(attributes)


def character_set_of(template: Mapping[str, object]) -> str:
    """The Specific Character Set that the device's objects shall have; UTF-8 unless it says so.

    A list holds several terms.
    """
    found = template.get(_CHARACTER_SET, UTF_8)
    return "\\".join(map(str, found)) if isinstance(found, (list, tuple)) else str(found)


def check(template: Mapping[str, object]) -> None:
    """Raises ConfigurationError for a key that no template has."""
    known = {*_DEVICE, *_SERIES, _ATTRIBUTES, _CHARACTER_SET}
    for key in template:
        if key not in known:
            raise ConfigurationError(
                f"A device template has no key {quoted(repr(key))}.",
                value=key,
                limit=sorted(known),
                way_out="Attributes by keyword stand in its table attributes.",
            )
