"""The modules of PS3.3 that our objects are made of, of all families, by name."""

from __future__ import annotations

from collections.abc import Mapping

from agent.objects import (
    cross_sectional,
    document_iods,
    general_modules,
    ophthalmic,
    presentation_state_iods,
    projection,
    report_iods,
    secondary_capture,
    ultrasound,
    visible_light,
    waveform_iods,
)
from agent.objects.module import Module

MODULES: Mapping[str, Module] = {
    module.name: module
    for family in (
        general_modules,
        ultrasound,
        secondary_capture,
        cross_sectional,
        projection,
        visible_light,
        ophthalmic,
        document_iods,
        waveform_iods,
        report_iods,
        presentation_state_iods,
    )
    for module in family.MODULES
}
"""Rows stand in the order of the module's table in the standard; an object's elements are sorted
by tag when it is written. An attribute that several modules name is written once: the IOD's later
module wins (the specialised one)."""
