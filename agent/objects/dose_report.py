"""The content of an X-Ray Radiation Dose SR from given figures: TID 10001 (PS3.16).

Fluoroscopy and projection X-ray of a C-arm or an angiography: totals for each plane (TID 10002,
10004, 10007) and one entry for each irradiation event (TID 10003). The figures are those that the
device tells or an operator reads from it; nothing is computed from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.errors import LocalError
from agent.objects.content_tree import (
    HAS_CONCEPT_MODIFIER,
    HAS_OBSERVATION_CONTEXT,
    HAS_PROPERTIES,
    Coded,
    Container,
    ContentItem,
    DateTime,
    Number,
    Text,
    UidReference,
)
from agent.objects.description import DeviceIdentity, Moment
from agent.objects.observer_context import device_observer
from agent.objects.references import Code
from agent.quoting import quoted

_DOSE_AREA_PRODUCT_UNIT = Code("Gy.m2", "UCUM", "Gy.m2")
_DOSE_UNIT = Code("Gy", "UCUM", "Gy")
_SECOND = Code("s", "UCUM", "s")
_NO_UNITS = Code("1", "UCUM", "no units")

# CID 10003: one tube, or the two of a biplane system.
PLANES = {
    "single": Code("113622", "DCM", "Single Plane"),
    "a": Code("113620", "DCM", "Plane A"),
    "b": Code("113621", "DCM", "Plane B"),
}
# CID 10002.
EVENT_TYPES = {
    "fluoroscopy": Code("44491008", "SCT", "Fluoroscopy"),
    "stationary": Code("113611", "DCM", "Stationary Acquisition"),
    "stepping": Code("113612", "DCM", "Stepping Acquisition"),
    "rotational": Code("113613", "DCM", "Rotational Acquisition"),
}
# CID 10020.
SOURCES = {
    "automatic": Code("113856", "DCM", "Automated Data Collection"),
    "manual": Code("113857", "DCM", "Manual Entry"),
    "performed step": Code("113858", "DCM", "MPPS Content"),
}
# CID 10025.
REFERENCE_POINTS = {
    "15 cm from isocenter": Code("113860", "DCM", "15cm from Isocenter toward Source"),
    "30 cm before detector": Code("113861", "DCM", "30cm in Front of Image Input Surface"),
}


@dataclass(frozen=True, slots=True)
class AccumulatedDose:
    """Totals of one plane: dose area products in Gy.m2, doses at the reference point in Gy, times
    in seconds. Fluoroscopy's are None where there was none."""

    dose_area_product: float
    acquisition_dose_area_product: float
    acquisition_time: float
    plane: str = "single"
    dose: float | None = None
    acquisition_dose: float | None = None
    fluoroscopy_dose_area_product: float | None = None
    fluoroscopy_dose: float | None = None
    fluoroscopy_time: float | None = None
    frames: int | None = None


@dataclass(frozen=True, slots=True)
class IrradiationEvent:
    """One irradiation: dose area product in Gy.m2, dose in Gy, tube voltage in kV, current in mA,
    duration in seconds, pulse rate in pulses a second, angles in degrees."""

    uid: str
    started: Moment
    kind: str
    plane: str = "single"
    dose_area_product: float | None = None
    dose: float | None = None
    tube_voltage: float | None = None
    tube_current: float | None = None
    duration: float | None = None
    pulses: int | None = None
    pulse_rate: float | None = None
    primary_angle: float | None = None
    secondary_angle: float | None = None
    protocol: str = ""


def dose_report(
    study_instance_uid: str,
    device: DeviceIdentity,
    accumulated: Sequence[AccumulatedDose],
    events: Sequence[IrradiationEvent],
    *,
    source: str = "automatic",
    reference_point: str = "15 cm from isocenter",
) -> Container:
    """The root of the report, for `reports.write_report` of the X-Ray Radiation Dose SR class.

    `source` is a key of `SOURCES`, `reference_point` of `REFERENCE_POINTS`. Raises LocalError for
    a term that is none, without totals, and where totals of fluoroscopy do not go with its events.
    """
    if not accumulated:
        raise LocalError("A dose report has accumulated doses.", clause="PS3.16 TID 10001")
    point = _term(REFERENCE_POINTS, reference_point)
    scope = Coded(
        relationship=HAS_OBSERVATION_CONTEXT,
        concept=Code("113705", "DCM", "Scope of Accumulation"),
        code=Code("113014", "DCM", "Study"),
        children=(
            UidReference(
                relationship=HAS_PROPERTIES,
                concept=Code("110180", "DCM", "Study Instance UID"),
                uid=study_instance_uid,
            ),
        ),
    )
    return Container(
        concept=Code("113701", "DCM", "X-Ray Radiation Dose Report"),
        template="10001",
        children=(
            _procedure(),
            *_observer(device),
            scope,
            *(_accumulated(each, events, point) for each in accumulated),
            *(_event(each, point) for each in events),
            Coded(
                concept=Code("113854", "DCM", "Source of Dose Information"),
                code=_term(SOURCES, source),
            ),
        ),
    )


def _procedure() -> ContentItem:
    return Coded(
        relationship=HAS_CONCEPT_MODIFIER,
        concept=Code("121058", "DCM", "Procedure reported"),
        code=Code("113704", "DCM", "Projection X-Ray"),
        children=(
            Coded(
                relationship=HAS_CONCEPT_MODIFIER,
                concept=Code("363703001", "SCT", "Has Intent"),
                code=Code("261004008", "SCT", "Diagnostic Intent"),
            ),
        ),
    )


def _observer(device: DeviceIdentity) -> tuple[ContentItem, ...]:
    """TID 1002 and 1004: the device itself, with its role."""
    role = Coded(
        relationship=HAS_OBSERVATION_CONTEXT,
        concept=Code("113876", "DCM", "Device Role in Procedure"),
        code=Code("113859", "DCM", "Irradiating Device"),
    )
    return (*device_observer(device), role)


def _accumulated(
    dose: AccumulatedDose, events: Sequence[IrradiationEvent], point: Code
) -> Container:
    fluoroscopy = any(e.kind == "fluoroscopy" and e.plane == dose.plane for e in events)
    told = dose.fluoroscopy_dose_area_product is not None and dose.fluoroscopy_time is not None
    if fluoroscopy and not told:
        raise LocalError(
            "Fluoroscopy needs its total dose area product and time.",
            clause="PS3.16 TID 10004",
            value=dose,
        )
    area, energy = _DOSE_AREA_PRODUCT_UNIT, _DOSE_UNIT
    figures = (
        _number("113722", "Dose Area Product Total", dose.dose_area_product, area),
        _number("113725", "Dose (RP) Total", dose.dose, energy),
        _number(
            "113726", "Fluoro Dose Area Product Total", dose.fluoroscopy_dose_area_product, area
        ),
        _number("113728", "Fluoro Dose (RP) Total", dose.fluoroscopy_dose, energy),
        _number("113730", "Total Fluoro Time", dose.fluoroscopy_time, _SECOND),
        _number(
            "113727",
            "Acquisition Dose Area Product Total",
            dose.acquisition_dose_area_product,
            area,
        ),
        _number("113729", "Acquisition Dose (RP) Total", dose.acquisition_dose, energy),
        _number("113855", "Total Acquisition Time", dose.acquisition_time, _SECOND),
        _number("113731", "Total Number of Radiographic Frames", dose.frames, _NO_UNITS),
    )
    doses = (dose.dose, dose.acquisition_dose, dose.fluoroscopy_dose)
    return Container(
        concept=Code("113702", "DCM", "Accumulated X-Ray Dose Data"),
        children=(
            _plane(dose.plane),
            *(figure for figure in figures if figure is not None),
            *_reference_point(point, any(each is not None for each in doses)),
        ),
    )


def _event(event: IrradiationEvent, point: Code) -> Container:
    figures = (
        _number("122130", "Dose Area Product", event.dose_area_product, _DOSE_AREA_PRODUCT_UNIT),
        _number("113738", "Dose (RP)", event.dose, _DOSE_UNIT),
        _number("112011", "Positioner Primary Angle", event.primary_angle, _degree()),
        _number("112012", "Positioner Secondary Angle", event.secondary_angle, _degree()),
        _number("113791", "Pulse Rate", event.pulse_rate, Code("{pulse}/s", "UCUM", "pulse/s")),
        _number("113768", "Number of Pulses", event.pulses, _NO_UNITS),
        _number("113733", "KVP", event.tube_voltage, Code("kV", "UCUM", "kV")),
        _number("113734", "X-Ray Tube Current", event.tube_current, Code("mA", "UCUM", "mA")),
        _number("113742", "Irradiation Duration", event.duration, _SECOND),
    )
    protocol = Text(concept=Code("125203", "DCM", "Acquisition Protocol"), text=event.protocol)
    started = event.started.date + event.started.time + event.started.offset
    return Container(
        concept=Code("113706", "DCM", "Irradiation Event X-Ray Data"),
        children=(
            _plane(event.plane),
            UidReference(concept=Code("113769", "DCM", "Irradiation Event UID"), uid=event.uid),
            DateTime(concept=Code("111526", "DCM", "DateTime Started"), date_time=started),
            Coded(
                concept=Code("113721", "DCM", "Irradiation Event Type"),
                code=_term(EVENT_TYPES, event.kind),
            ),
            *((protocol,) if event.protocol else ()),
            *_reference_point(point, event.dose is not None),
            *(figure for figure in figures if figure is not None),
        ),
    )


def _plane(plane: str) -> ContentItem:
    return Coded(
        relationship=HAS_CONCEPT_MODIFIER,
        concept=Code("113764", "DCM", "Acquisition Plane"),
        code=_term(PLANES, plane),
    )


def _reference_point(point: Code, needed: bool) -> tuple[ContentItem, ...]:
    if not needed:
        return ()
    return (Coded(concept=Code("113780", "DCM", "Reference Point Definition"), code=point),)


def _degree() -> Code:
    return Code("deg", "UCUM", "deg")


def _number(code: str, meaning: str, value: float | None, units: Code) -> ContentItem | None:
    if value is None:
        return None
    if value < 0 and units.value != "deg":
        raise LocalError(f"{meaning} cannot be negative.", clause="PS3.16 TID 10003", value=value)
    return Number(concept=Code(code, "DCM", meaning), number=value, units=units)


def _term(terms: dict[str, Code], term: str) -> Code:
    found = terms.get(term)
    if found is None:
        raise LocalError(
            f"{quoted(repr(term))} is no term here.",
            clause="PS3.16 TID 10001",
            value=term,
            limit=list(terms),
        )
    return found
