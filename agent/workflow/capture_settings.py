"""What a capture worker is told, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.configuration.secrets import Secret
from agent.objects.description import ExaminationIdentity

FORM: dict[str, Any] = {
    "pixel_format": "GREY",
    "width": 640,
    "height": 480,
    "rate": 25,
    "input": 0,
    "region": (),
    "masks": (),
}
"""The settings that every driver has, with their defaults; all others are the driver's own. A
region, and each mask, is left, top, width and height in pixels of the frame."""


@dataclass(frozen=True, slots=True)
class CaptureSigning:
    """With what the objects are signed: files of a private key and of its certificate, the secret
    of its passphrase, and a term of MAC Algorithm."""

    key: str
    passphrase: Secret
    certificate: str
    mac_algorithm: str


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """What the worker must know of a `[[capture]]` and of the node."""

    kind: str
    implementation_class_uid: str
    implementation_version_name: str
    driver: Mapping[str, Any] = field(default_factory=dict)
    form: Mapping[str, Any] = field(default_factory=dict)
    modality: str = "OT"
    station_name: str = ""
    sop_classes: tuple[str, ...] = ()
    title: str = ""
    timezone_offset: bool = True
    template: Mapping[str, Any] = field(default_factory=dict)
    compression: tuple[str, ...] = ()
    quality: int = 90
    near: int = 2
    signing: CaptureSigning | None = None


@dataclass(frozen=True, slots=True)
class Exposure:
    """One object to be made: a still, or a clip of so many `frames`, of so many `seconds`, or of
    the `last` seconds before. `after` is when in a burst a still is due, in seconds since its
    first."""

    identity: ExaminationIdentity
    sop_instance_uid: str
    number: int
    frames: int = 0
    seconds: float = 0.0
    last: float = 0.0
    after: float | None = None

    @property
    def clip(self) -> bool:
        return bool(self.frames or self.seconds or self.last)


@dataclass(frozen=True, slots=True)
class Exposed:
    """What was made."""

    sop_class_uid: str
    sop_instance_uid: str
    frames: int
    dropped: int
    events: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept from now on: so many seconds in so many bytes, or why not yet."""

    seconds: float
    size: int
    trouble: str = ""
