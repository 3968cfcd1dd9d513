"""Who observed what a report says: TID 1002 to 1004 (PS3.16)."""

from __future__ import annotations

from agent.dataset.uid import derived_uid
from agent.objects.content_tree import (
    HAS_OBSERVATION_CONTEXT,
    Coded,
    ContentItem,
    PersonName,
    Text,
    UidReference,
)
from agent.objects.description import DeviceIdentity
from agent.objects.references import Code

PERSON_OBSERVER_NAME = Code("121008", "DCM", "Person Observer Name")
DEVICE_OBSERVER_UID = Code("121012", "DCM", "Device Observer UID")

OBSERVER_CODES = frozenset(str(code) for code in range(121005, 121018))
"""Code values (DCM) of the items of TID 1002, 1003 and 1004."""

_OBSERVER_TYPE = Code("121005", "DCM", "Observer Type")


def device_observer(device: DeviceIdentity) -> tuple[ContentItem, ...]:
    """The device itself (TID 1004). Its UID follows from what names it."""
    known = (device.manufacturer or "", device.model_name or "", device.serial_number or "")
    uid = UidReference(
        relationship=HAS_OBSERVATION_CONTEXT,
        concept=DEVICE_OBSERVER_UID,
        uid=derived_uid("\0".join(("device", *known)).encode("utf-8")),
    )
    kind = Coded(
        relationship=HAS_OBSERVATION_CONTEXT,
        concept=_OBSERVER_TYPE,
        code=Code("121007", "DCM", "Device"),
    )
    texts = (
        ("121013", "Device Observer Name", device.station_name),
        ("121014", "Device Observer Manufacturer", device.manufacturer),
        ("121015", "Device Observer Model Name", device.model_name),
        ("121016", "Device Observer Serial Number", device.serial_number),
    )
    named = (
        Text(relationship=HAS_OBSERVATION_CONTEXT, concept=Code(code, "DCM", name), text=text)
        for code, name, text in texts
        if text
    )
    return (kind, uid, *named)


def person_observer(name: str) -> tuple[ContentItem, ...]:
    """A person by name (TID 1003), as DICOM writes it."""
    kind = Coded(
        relationship=HAS_OBSERVATION_CONTEXT,
        concept=_OBSERVER_TYPE,
        code=Code("121006", "DCM", "Person"),
    )
    person = PersonName(
        relationship=HAS_OBSERVATION_CONTEXT, concept=PERSON_OBSERVER_NAME, name=name
    )
    return (kind, person)
