"""What an object is about: who, which study and series, made by what, when.

Plain values that travel to a capture worker. A text is as DICOM writes it: names with `^`, dates
as YYYYMMDD, times as HHMMSS.FFFFFF; None means "not known" and is written empty or left out as
the attribute's type asks.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.objects.element import Element as Element
from agent.objects.element import Item as Item
from agent.objects.geometry import Geometry, UltrasoundRegion
from agent.objects.references import InstanceReference


@dataclass(frozen=True, slots=True)
class Moment:
    """A date and time of the calendar, with the offset of its zone (PS3.3 C.12.1.1.8).

    `offset` is `+HHMM` or `-HHMM`; "" where it is not known, then it is not written.
    """

    date: str
    time: str
    offset: str = ""

    @classmethod
    def at(cls, seconds: float) -> Moment:
        """That many seconds since 1970 in the local time zone, to the microsecond."""
        local = time.localtime(seconds)
        microseconds = min(999_999, round((seconds - int(seconds)) * 1_000_000))
        return cls(
            time.strftime("%Y%m%d", local),
            f"{time.strftime('%H%M%S', local)}.{microseconds:06d}",
            time.strftime("%z", local),
        )


@dataclass(frozen=True, slots=True)
class PatientIdentity:
    """Patient Module (C.7.1.1) and what of Patient Study (C.7.2.2) is told."""

    name: str | None = None
    identifier: str | None = None
    issuer_of_identifier: str | None = None
    birth_date: str | None = None
    sex: str | None = None
    """M, F or O."""
    comments: str | None = None
    age: str | None = None
    """As AS: 034Y."""
    size: float | None = None
    """Metres."""
    weight: float | None = None
    """Kilograms."""


@dataclass(frozen=True, slots=True)
class StudyIdentity:
    """General Study Module (C.7.2.1)."""

    instance_uid: str
    date: str | None = None
    time: str | None = None
    identifier: str | None = None
    accession_number: str | None = None
    referring_physician_name: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class SeriesIdentity:
    """General Series Module (C.7.3.1).

    `laterality` is R or L; "" for a paired body part of which the side is not known; None where
    the body part is not paired or nobody knows. `modality` None takes that of the IOD.
    """

    instance_uid: str
    number: int | None = None
    modality: str | None = None
    date: str | None = None
    time: str | None = None
    description: str | None = None
    laterality: str | None = None
    body_part_examined: str | None = None
    protocol_name: str | None = None
    operators_name: str | None = None
    performing_physician_name: str | None = None
    performed_procedure_step_id: str | None = None
    performed_procedure_step_start_date: str | None = None
    performed_procedure_step_start_time: str | None = None
    performed_procedure_step_description: str | None = None


@dataclass(frozen=True, slots=True)
class ExaminationIdentity:
    """What all objects of one series have in common.

    `additional` holds attributes beyond the tables, by tag: of the worklist entry (Request
    Attributes Sequence, ...) or the device's template. They win over the tables' values.
    `character_set` is the Specific Character Set that is preferred; text that it has no code for
    is written in UTF-8 (ISO_IR 192).
    """

    patient: PatientIdentity
    study: StudyIdentity
    series: SeriesIdentity
    additional: Mapping[int, Element] = field(default_factory=dict)
    character_set: str = "ISO_IR 192"


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """The equipment: General Equipment (C.7.5.1), and SC Equipment (C.8.6.1) for the box itself.

    `manufacturer` and so on name the device that made the signal; those with `capture_` the box
    that digitised it.
    """

    manufacturer: str | None = None
    model_name: str | None = None
    serial_number: str | None = None
    software_versions: tuple[str, ...] = ()
    station_name: str | None = None
    institution_name: str | None = None
    institution_address: str | None = None
    department_name: str | None = None
    capture_manufacturer: str | None = "Gantry"
    capture_model_name: str | None = None
    capture_software_versions: tuple[str, ...] = ()
    capture_identifier: str | None = None
    conversion_type: str = "DV"
    """Of SC Equipment: DV is digitised video, DI a digital interface, SYN a synthetic image."""


@dataclass(frozen=True, slots=True)
class InstanceDescription:
    """One object among its series.

    `created` and `acquired` are when the object is written and when its first frame was captured.
    `image_type` None takes that of the IOD. `burned_in_annotation` is True unless it is known
    that the pixels do not name the patient, as a video signal often does.
    """

    sop_instance_uid: str
    number: int
    created: Moment
    acquired: Moment | None = None
    image_type: tuple[str, ...] | None = None
    burned_in_annotation: bool = True
    comments: str | None = None
    patient_orientation: tuple[str, ...] | None = ()
    """Row and column direction; () is written empty: not known."""
    geometry: Geometry | None = None
    """None where it is not known: then the object says nothing of spacing and position."""
    pixel_spacing: tuple[float, float] | None = None
    """Millimetres between rows and between columns, of an image without a geometry."""
    ultrasound_regions: tuple[UltrasoundRegion, ...] = ()
    derivation_description: str | None = None
    source_images: tuple[InstanceReference, ...] = ()


@dataclass(frozen=True, slots=True)
class Cine:
    """How the frames of a clip follow each other in time.

    `frame_time` is in milliseconds; what was measured may replace it when the object is finished.
    """

    frame_time: float
    cine_rate: int | None = None
    recommended_display_frame_rate: int | None = None

    @classmethod
    def at_rate(cls, numerator: int, denominator: int = 1) -> Cine:
        """That many frames a second."""
        rate = max(1, round(numerator / denominator))
        return cls(1000 * denominator / numerator, rate, rate)
