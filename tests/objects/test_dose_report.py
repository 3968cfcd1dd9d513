"""A dose report of given figures: valid, read by DCMTK, with the figures that were given."""

import dataclasses

import pydicom
import pytest
from pydicom.sr.codedict import codes

from agent.errors import LocalError
from agent.objects.dose_report import (
    EVENT_TYPES,
    AccumulatedDose,
    IrradiationEvent,
    dose_report,
)
from agent.objects.relationships import X_RAY_RADIATION_DOSE_SR, check
from tests.objects.examples import MOMENT, device
from tests.objects.judging import by_dcmtk, errors_of
from tests.objects.test_reports import written

TOTAL = AccumulatedDose(
    dose_area_product=0.0012,
    acquisition_dose_area_product=0.0007,
    acquisition_time=12.5,
    dose=0.035,
    acquisition_dose=0.02,
    fluoroscopy_dose_area_product=0.0005,
    fluoroscopy_dose=0.015,
    fluoroscopy_time=63.0,
    frames=120,
)
EVENTS = (
    IrradiationEvent(
        "1.2.3.500",
        MOMENT,
        "fluoroscopy",
        dose_area_product=0.0005,
        dose=0.015,
        tube_voltage=75.5,
        tube_current=12.0,
        duration=63.0,
        pulses=945,
        pulse_rate=15.0,
        primary_angle=-30.0,
        secondary_angle=5.0,
        protocol="Herz",
    ),
    IrradiationEvent("1.2.3.501", MOMENT, "stationary", dose_area_product=0.0007),
)


def numbers(item, found):
    for child in item.get("ContentSequence", []):
        if child.ValueType == "NUM":
            measured = child.MeasuredValueSequence[0]
            found.append(
                (child.ConceptNameCodeSequence[0].CodeMeaning, float(measured.NumericValue))
            )
        numbers(child, found)
    return found


@pytest.mark.peer
def test_a_dose_report_is_valid_and_holds_the_figures(tmp_path):
    root = dose_report("1.2.3", device(), [TOTAL], EVENTS)
    path = written(tmp_path, X_RAY_RADIATION_DOSE_SR, root)
    assert errors_of(path) == []
    read = pydicom.dcmread(path)
    assert read.ContentTemplateSequence[0].TemplateIdentifier == "10001"
    figures = numbers(read, [])
    for expected in (
        ("Dose Area Product Total", 0.0012),
        ("Fluoro Dose (RP) Total", 0.015),
        ("Total Fluoro Time", 63.0),
        ("Total Number of Radiographic Frames", 120.0),
        ("KVP", 75.5),
        ("Positioner Primary Angle", -30.0),
        ("Dose Area Product", 0.0007),
    ):
        assert expected in figures
    shown = by_dcmtk("dsrdump", path)
    assert shown.count('"Irradiation Event X-Ray Data"') == 2 and "Herz" in shown


@pytest.mark.peer
def test_both_planes_of_a_biplane_system_have_their_totals(tmp_path):
    totals = [dataclasses.replace(TOTAL, plane=plane) for plane in "ab"]
    events = [dataclasses.replace(EVENTS[0], plane=plane) for plane in "ab"]
    root = dose_report("1.2.3", device(), totals, events, source="manual")
    path = written(tmp_path, X_RAY_RADIATION_DOSE_SR, root)
    assert errors_of(path) == []
    shown = by_dcmtk("dsrdump", path)
    assert shown.count('"Plane A"') == shown.count('"Plane B"') == 2 and "Manual Entry" in shown


def test_every_code_has_the_meaning_that_the_dictionary_of_pydicom_gives_it():
    root = dose_report("1.2.3", device(), [TOTAL], EVENTS)
    meanings = {codes.DCM.__getattr__(name).value: codes.DCM.__getattr__(name).meaning
                for name in codes.DCM.dir()}  # fmt: skip
    named = [item.concept for _, item in root.walk()]
    coded = [item.code for _, item in root.walk() if item.value_type == "CODE"]
    checked = [code for code in (*named, *coded, *EVENT_TYPES.values()) if code.scheme == "DCM"]
    assert len(checked) > 40
    for code in checked:
        assert meanings[code.value].casefold() == code.meaning.casefold()


def test_the_tree_has_only_relationships_of_its_iod():
    check(dose_report("1.2.3", device(), [TOTAL], EVENTS), X_RAY_RADIATION_DOSE_SR)


@pytest.mark.parametrize(
    ("totals", "events", "options"),
    [
        ([], EVENTS, {}),
        ([dataclasses.replace(TOTAL, fluoroscopy_time=None)], EVENTS, {}),
        ([dataclasses.replace(TOTAL, dose=-1.0)], EVENTS, {}),
        ([dataclasses.replace(TOTAL, plane="c")], EVENTS, {}),
        ([TOTAL], [dataclasses.replace(EVENTS[0], kind="x")], {}),
        ([TOTAL], EVENTS, {"source": "guess"}),
        ([TOTAL], EVENTS, {"reference_point": "somewhere"}),
    ],
)
def test_figures_that_cannot_be_are_refused(totals, events, options):
    with pytest.raises(LocalError):
        dose_report("1.2.3", device(), totals, events, **options)
