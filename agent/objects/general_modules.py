"""Modules that objects of several families are made of (PS3.3 C.7 and C.12), as tables.

Rows stand in the order of the module's table in the standard.
"""

from __future__ import annotations

from agent.objects.module import Attribute, Module

_A = Attribute

MODULES = (
    Module(
        "Patient",
        "C.7.1.1",
        (
            _A(0x00100010, "PN", "2", "patient.name"),
            _A(0x00100020, "LO", "2", "patient.identifier"),
            _A(0x00100021, "LO", "3", "patient.issuer_of_identifier"),
            _A(0x00100030, "DA", "2", "patient.birth_date"),
            _A(0x00100040, "CS", "2", "patient.sex"),
            _A(0x00104000, "LT", "3", "patient.comments"),
        ),
    ),
    Module(
        "General Study",
        "C.7.2.1",
        (
            _A(0x0020000D, "UI", "1", "study.instance_uid"),
            _A(0x00080020, "DA", "2", "study.date"),
            _A(0x00080030, "TM", "2", "study.time"),
            _A(0x00080090, "PN", "2", "study.referring_physician_name"),
            _A(0x00200010, "SH", "2", "study.identifier"),
            _A(0x00080050, "SH", "2", "study.accession_number"),
            _A(0x00081030, "LO", "3", "study.description"),
        ),
    ),
    Module(
        "Patient Study",
        "C.7.2.2",
        (
            _A(0x00101010, "AS", "3", "patient.age"),
            _A(0x00101020, "DS", "3", "patient.size"),
            _A(0x00101030, "DS", "3", "patient.weight"),
        ),
    ),
    Module(
        "General Series",
        "C.7.3.1",
        (
            _A(0x00080060, "CS", "1", "object.modality"),
            _A(0x0020000E, "UI", "1", "series.instance_uid"),
            _A(0x00200011, "IS", "2", "series.number"),
            _A(0x00200060, "CS", "2C", "series_laterality"),
            _A(0x00185100, "CS", "2C", "given", "table of a scanner"),
            _A(0x00080021, "DA", "3", "series.date"),
            _A(0x00080031, "TM", "3", "series.time"),
            _A(0x00081050, "PN", "3", "series.performing_physician_name"),
            _A(0x00181030, "LO", "3", "series.protocol_name"),
            _A(0x0008103E, "LO", "3", "series.description"),
            _A(0x00081070, "PN", "3", "series.operators_name"),
            _A(0x00180015, "CS", "3", "series.body_part_examined"),
            _A(0x00400244, "DA", "3", "series.performed_procedure_step_start_date"),
            _A(0x00400245, "TM", "3", "series.performed_procedure_step_start_time"),
            _A(0x00400253, "SH", "3", "series.performed_procedure_step_id"),
            _A(0x00400254, "LO", "3", "series.performed_procedure_step_description"),
        ),
    ),
    Module(
        "General Equipment",
        "C.7.5.1",
        (
            _A(0x00080070, "LO", "2", "device.manufacturer"),
            _A(0x00080080, "LO", "3", "device.institution_name"),
            _A(0x00080081, "ST", "3", "device.institution_address"),
            _A(0x00081010, "SH", "3", "device.station_name"),
            _A(0x00081040, "LO", "3", "device.department_name"),
            _A(0x00081090, "LO", "3", "device.model_name"),
            _A(0x00181000, "LO", "3", "device.serial_number"),
            _A(0x00181020, "LO", "3", "device.software_versions"),
        ),
    ),
    Module(
        "General Acquisition",
        "C.7.10.1",
        (
            _A(0x00080022, "DA", "3", "instance.acquired.date"),
            _A(0x00080032, "TM", "3", "instance.acquired.time"),
        ),
    ),
    Module(
        "General Image",
        "C.7.6.1",
        (
            _A(0x00200013, "IS", "2", "instance.number"),
            _A(0x00200020, "CS", "2C", "instance.patient_orientation"),
            _A(0x00080023, "DA", "2C", "instance.created.date"),
            _A(0x00080033, "TM", "2C", "instance.created.time"),
            _A(0x00080008, "CS", "3", "object.image_type"),
            _A(0x00204000, "LT", "3", "instance.comments"),
            _A(0x00280301, "CS", "3", "burned_in_annotation"),
            _A(0x00282110, "CS", "3", "pixels.lossy"),
            _A(0x00282112, "DS", "3", "compression_ratio"),
            _A(0x00282114, "CS", "3", "compression_method"),
            _A(0x00082111, "ST", "3", "instance.derivation_description"),
            _A(0x00082112, "SQ", "1C", "source_images"),
        ),
    ),
    Module(
        "Image Pixel",
        "C.7.6.3",
        (
            _A(0x00280002, "US", "1", "pixels.samples_per_pixel"),
            _A(0x00280004, "CS", "1", "pixels.photometric_interpretation"),
            _A(0x00280010, "US", "1", "pixels.rows"),
            _A(0x00280011, "US", "1", "pixels.columns"),
            _A(0x00280100, "US", "1", "pixels.bits_allocated"),
            _A(0x00280101, "US", "1", "pixels.bits_stored"),
            _A(0x00280102, "US", "1", "pixels.high_bit"),
            _A(0x00280103, "US", "1", "pixels.pixel_representation"),
            _A(0x00280006, "US", "1C", "pixels.planar_configuration", "several samples"),
            _A(0x00280034, "IS", "1C", "pixels.aspect_ratio"),
        ),
    ),
    Module(
        "Cine",
        "C.7.6.5",
        (
            _A(0x00181063, "DS", "1C", "patched.frame_time", "cine"),
            _A(0x00180040, "IS", "3", "cine.cine_rate"),
            _A(0x00082144, "IS", "3", "cine.recommended_display_frame_rate"),
        ),
    ),
    Module(
        "Multi-frame",
        "C.7.6.6",
        (
            _A(0x00280008, "IS", "1", "patched.number_of_frames"),
            # The frames follow Frame Time (0018,1063).
            _A(0x00280009, "AT", "1", "=00181063"),
        ),
        when="multi-frame",
    ),
    Module(
        "SOP Common",
        "C.12.1",
        (
            _A(0x00080016, "UI", "1", "object.sop_class_uid"),
            _A(0x00080018, "UI", "1", "instance.sop_instance_uid"),
            _A(0x00080005, "CS", "1C", "character_set"),
            _A(0x00080012, "DA", "3", "instance.created.date"),
            _A(0x00080013, "TM", "3", "instance.created.time"),
            _A(0x00080201, "SH", "3", "instance.created.offset"),
        ),
    ),
    Module(
        "Enhanced General Equipment",
        "C.7.5.2",
        (
            _A(0x00080070, "LO", "1", "device.manufacturer"),
            _A(0x00081090, "LO", "1", "device.model_name"),
            _A(0x00181000, "LO", "1", "device.serial_number"),
            _A(0x00181020, "LO", "1", "device.software_versions"),
        ),
    ),
    Module("Acquisition Context", "C.7.6.14", (_A(0x00400555, "SQ", "2", "given"),)),
    Module(
        "Frame of Reference",
        "C.7.4.1",
        (
            _A(0x00200052, "UI", "1C", "instance.geometry.frame_of_reference_uid"),
            _A(0x00201040, "LO", "2C", "position_reference_indicator", "geometry"),
        ),
    ),
)
