"""What a row of a module's table says, and the facts that its values come from.

Each row says an attribute's tag, VR and type, where its value comes from, and the condition of a
conditional one. A source that starts with `=` is the value itself, several of them with `\\`
between; `given` has no other source than the attributes that are given from outside (device
template, worklist); any other is a path into `Facts` (`patient.name`) or a derived source.

Attributes of type 1 must have a value; type 2 are written empty where there is none; type 3 are
left out. A conditional one is written when its condition holds, then as type 1 or 2; type 1C and
2C without a condition are written when there is a value to write (2C: None is no value, an empty
text is written empty). What is given from outside wins over every source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from agent.objects.description import (
    Cine,
    DeviceIdentity,
    InstanceDescription,
    PatientIdentity,
    SeriesIdentity,
    StudyIdentity,
)
from agent.objects.pixels import PixelDescription


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """What follows from the IOD and the call rather than from a description."""

    sop_class_uid: str
    modality: str
    image_type: tuple[str, ...]
    multi_frame: bool
    modules: tuple[str, ...] = ()
    encapsulated: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the sources of the rows can name. `pixels` is None of what is no image."""

    patient: PatientIdentity
    study: StudyIdentity
    series: SeriesIdentity
    device: DeviceIdentity
    instance: InstanceDescription
    pixels: PixelDescription | None
    cine: Cine | None
    object: ObjectFacts
    character_set: str = "ISO_IR 192"


class Attribute(NamedTuple):
    """One row of a module's table."""

    tag: int
    vr: str
    type: str
    source: str
    when: str = ""


class Module(NamedTuple):
    """A module's table. With `when` it is written only where that condition holds (usage C)."""

    name: str
    clause: str
    attributes: tuple[Attribute, ...]
    when: str = ""
