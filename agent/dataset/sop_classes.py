"""The one table of SOP classes: PS3.4 2025b, with the retired ones that archives still send.

`SOP_CLASSES` maps a UID to its `SopClass`. Beside the table stand the rules that PS3.4 makes about
classes: related general classes (Table B.3-3), classes that must be supported together (B.5.1),
classes that force full storage, well-known instances, and members of the print Meta classes.
Importing this module costs a few milliseconds and less than a megabyte; it reads no file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import NamedTuple

STORAGE_SERVICE_CLASS = "1.2.840.10008.4.2"
UNIFIED_WORKLIST_AND_PROCEDURE_STEP_SERVICE_CLASS = "1.2.840.10008.5.1.4.34.6"

VERIFICATION = "1.2.840.10008.1.1"
MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"
STORAGE_COMMITMENT_PUSH_MODEL = "1.2.840.10008.1.20.1"
PROCEDURAL_EVENT_LOGGING = "1.2.840.10008.1.40"
SUBSTANCE_ADMINISTRATION_LOGGING = "1.2.840.10008.1.42"
MODALITY_PERFORMED_PROCEDURE_STEP = "1.2.840.10008.3.1.2.3.3"
MODALITY_WORKLIST_FIND = "1.2.840.10008.5.1.4.31"
MEDIA_CREATION_MANAGEMENT = "1.2.840.10008.5.1.1.33"
INSTANCE_AVAILABILITY_NOTIFICATION = "1.2.840.10008.5.1.4.33"
REPOSITORY_QUERY = "1.2.840.10008.5.1.4.1.1.201.6"
INVENTORY_CREATION = "1.2.840.10008.5.1.4.1.1.201.5"
STORAGE_MANAGEMENT_INSTANCE = "1.2.840.10008.5.1.4.1.1.201.1.1"
PATIENT_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.1.1"
PATIENT_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.1.2"
PATIENT_ROOT_GET = "1.2.840.10008.5.1.4.1.2.1.3"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
PATIENT_STUDY_ONLY_FIND = "1.2.840.10008.5.1.4.1.2.3.1"
PATIENT_STUDY_ONLY_MOVE = "1.2.840.10008.5.1.4.1.2.3.2"
PATIENT_STUDY_ONLY_GET = "1.2.840.10008.5.1.4.1.2.3.3"
COMPOSITE_INSTANCE_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.4.2"
COMPOSITE_INSTANCE_ROOT_GET = "1.2.840.10008.5.1.4.1.2.4.3"
WITHOUT_BULK_DATA_GET = "1.2.840.10008.5.1.4.1.2.5.3"


class ServiceClass(Enum):
    """A service class; the value is the annex of PS3.4 that specifies it."""

    VERIFICATION = "A"
    STORAGE = "B"
    QUERY_RETRIEVE = "C"
    STUDY_CONTENT_NOTIFICATION = "D"
    PATIENT_MANAGEMENT = "E"
    PROCEDURE_STEP = "F"
    RESULTS_MANAGEMENT = "G"
    PRINT_MANAGEMENT = "H"
    MEDIA_STORAGE = "I"
    STORAGE_COMMITMENT = "J"
    BASIC_WORKLIST_MANAGEMENT = "K"
    APPLICATION_EVENT_LOGGING = "P"
    RELEVANT_PATIENT_INFORMATION_QUERY = "Q"
    INSTANCE_AVAILABILITY_NOTIFICATION = "R"
    MEDIA_CREATION_MANAGEMENT = "S"
    HANGING_PROTOCOL_QUERY_RETRIEVE = "U"
    SUBSTANCE_ADMINISTRATION_QUERY = "V"
    COLOR_PALETTE_QUERY_RETRIEVE = "X"
    COMPOSITE_INSTANCE_ROOT_RETRIEVE = "Y"
    COMPOSITE_INSTANCE_RETRIEVE_WITHOUT_BULK_DATA = "Z"
    IMPLANT_TEMPLATE_QUERY_RETRIEVE = "BB"
    UNIFIED_PROCEDURE_STEP = "CC"
    RT_MACHINE_VERIFICATION = "DD"
    DISPLAY_SYSTEM_MANAGEMENT = "EE"
    NON_PATIENT_OBJECT_STORAGE = "GG"
    DEFINED_PROCEDURE_PROTOCOL_QUERY_RETRIEVE = "HH"
    PROTOCOL_APPROVAL_QUERY_RETRIEVE = "II"
    INVENTORY_QUERY_RETRIEVE = "JJ"
    STORAGE_MANAGEMENT = "KK"


class SopClass(NamedTuple):
    """One row of the registry.

    `table` names the table of PS3.4 that lists the class ("" if none does), `clause` the clause
    that specialises or specifies it. `meta` marks the Meta SOP classes of print and the retired
    management services.
    """

    uid: str
    name: str
    keyword: str
    service: ServiceClass
    retired: bool
    clause: str
    table: str
    meta: bool

    @property
    def stored(self) -> bool:
        """Whether instances of the class are moved by C-STORE (annexes B and GG)."""
        return self.service in _STORED


_STORED = (ServiceClass.STORAGE, ServiceClass.NON_PATIENT_OBJECT_STORAGE)

# Table B.5-1, in its order; the third column is the clause that specialises the class.
_B_5_1 = (
    ("1.2.840.10008.5.1.4.1.1.1", "Computed Radiography Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.1.1", "Digital X-Ray Image Storage - For Presentation", "B.5.1.1"),
    ("1.2.840.10008.5.1.4.1.1.1.1.1", "Digital X-Ray Image Storage - For Processing", "B.5.1.1"),
    (
        "1.2.840.10008.5.1.4.1.1.1.2",
        "Digital Mammography X-Ray Image Storage - For Presentation",
        "B.5.1.2",
    ),
    (
        "1.2.840.10008.5.1.4.1.1.1.2.1",
        "Digital Mammography X-Ray Image Storage - For Processing",
        "B.5.1.2",
    ),
    (
        "1.2.840.10008.5.1.4.1.1.1.3",
        "Digital Intra-Oral X-Ray Image Storage - For Presentation",
        "B.5.1.3",
    ),
    (
        "1.2.840.10008.5.1.4.1.1.1.3.1",
        "Digital Intra-Oral X-Ray Image Storage - For Processing",
        "B.5.1.3",
    ),
    ("1.2.840.10008.5.1.4.1.1.2", "CT Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.2.1", "Enhanced CT Image Storage", "B.5.1.7 B.5.1.23"),
    (
        "1.2.840.10008.5.1.4.1.1.2.2",
        "Legacy Converted Enhanced CT Image Storage",
        "B.5.1.7 B.5.1.23",
    ),
    ("1.2.840.10008.5.1.4.1.1.3.1", "Ultrasound Multi-frame Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.4", "MR Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.4.1", "Enhanced MR Image Storage", "B.5.1.6 B.5.1.23"),
    ("1.2.840.10008.5.1.4.1.1.4.2", "MR Spectroscopy Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.4.3", "Enhanced MR Color Image Storage", "B.5.1.8 B.5.1.23"),
    (
        "1.2.840.10008.5.1.4.1.1.4.4",
        "Legacy Converted Enhanced MR Image Storage",
        "B.5.1.6 B.5.1.23",
    ),
    ("1.2.840.10008.5.1.4.1.1.6.1", "Ultrasound Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.6.2", "Enhanced US Volume Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.6.3", "Photoacoustic Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.7", "Secondary Capture Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.7.1", "Multi-frame Single Bit Secondary Capture Image Storage", ""),
    (
        "1.2.840.10008.5.1.4.1.1.7.2",
        "Multi-frame Grayscale Byte Secondary Capture Image Storage",
        "",
    ),
    (
        "1.2.840.10008.5.1.4.1.1.7.3",
        "Multi-frame Grayscale Word Secondary Capture Image Storage",
        "",
    ),
    ("1.2.840.10008.5.1.4.1.1.7.4", "Multi-frame True Color Secondary Capture Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.9.1.1", "12-lead ECG Waveform Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.9.1.2", "General ECG Waveform Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.9.1.3", "Ambulatory ECG Waveform Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.9.1.4", "General 32-bit ECG Waveform Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.9.2.1", "Hemodynamic Waveform Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.9.3.1", "Cardiac Electrophysiology Waveform Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.9.4.1", "Basic Voice Audio Waveform Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.9.4.2", "General Audio Waveform Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.9.5.1", "Arterial Pulse Waveform Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.9.6.1", "Respiratory Waveform Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.9.6.2", "Multi-channel Respiratory Waveform Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.9.7.1", "Routine Scalp Electroencephalogram Waveform Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.9.7.2", "Electromyogram Waveform Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.9.7.3", "Electrooculogram Waveform Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.9.7.4", "Sleep Electroencephalogram Waveform Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.9.8.1", "Body Position Waveform Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.9.100.1", "Waveform Presentation State Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.9.100.2", "Waveform Acquisition Presentation State Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.11.1", "Grayscale Softcopy Presentation State Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.11.2", "Color Softcopy Presentation State Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.11.3", "Pseudo-Color Softcopy Presentation State Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.11.4", "Blending Softcopy Presentation State Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.11.5", "XA/XRF Grayscale Softcopy Presentation State Storage", ""),
    (
        "1.2.840.10008.5.1.4.1.1.11.6",
        "Grayscale Planar MPR Volumetric Presentation State Storage",
        "B.5.1.19",
    ),
    (
        "1.2.840.10008.5.1.4.1.1.11.7",
        "Compositing Planar MPR Volumetric Presentation State Storage",
        "B.5.1.19",
    ),
    ("1.2.840.10008.5.1.4.1.1.11.8", "Advanced Blending Presentation State Storage", ""),
    (
        "1.2.840.10008.5.1.4.1.1.11.9",
        "Volume Rendering Volumetric Presentation State Storage",
        "B.5.1.24",
    ),
    (
        "1.2.840.10008.5.1.4.1.1.11.10",
        "Segmented Volume Rendering Volumetric Presentation State Storage",
        "B.5.1.24",
    ),
    (
        "1.2.840.10008.5.1.4.1.1.11.11",
        "Multiple Volume Rendering Volumetric Presentation State Storage",
        "B.5.1.24",
    ),
    (
        "1.2.840.10008.5.1.4.1.1.11.12",
        "Variable Modality LUT Softcopy Presentation State Storage",
        "",
    ),
    ("1.2.840.10008.5.1.4.1.1.12.1", "X-Ray Angiographic Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.12.1.1", "Enhanced XA Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.12.2", "X-Ray Radiofluoroscopic Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.12.2.1", "Enhanced XRF Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.13.1.1", "X-Ray 3D Angiographic Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.13.1.2", "X-Ray 3D Craniofacial Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.13.1.3", "Breast Tomosynthesis Image Storage", ""),
    (
        "1.2.840.10008.5.1.4.1.1.13.1.4",
        "Breast Projection X-Ray Image Storage - For Presentation",
        "B.5.1.18",
    ),
    (
        "1.2.840.10008.5.1.4.1.1.13.1.5",
        "Breast Projection X-Ray Image Storage - For Processing",
        "B.5.1.18",
    ),
    (
        "1.2.840.10008.5.1.4.1.1.14.1",
        "Intravascular Optical Coherence Tomography Image Storage - For Presentation",
        "B.5.1.13",
    ),
    (
        "1.2.840.10008.5.1.4.1.1.14.2",
        "Intravascular Optical Coherence Tomography Image Storage - For Processing",
        "B.5.1.13",
    ),
    ("1.2.840.10008.5.1.4.1.1.20", "Nuclear Medicine Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.30", "Parametric Map Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.66", "Raw Data Storage", "B.5.1.22"),
    ("1.2.840.10008.5.1.4.1.1.66.1", "Spatial Registration Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.66.2", "Spatial Fiducials Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.66.3", "Deformable Spatial Registration Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.66.4", "Segmentation Storage", "B.5.1.25"),
    ("1.2.840.10008.5.1.4.1.1.66.5", "Surface Segmentation Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.66.6", "Tractography Results Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.66.7", "Label Map Segmentation Storage", "B.5.1.25"),
    ("1.2.840.10008.5.1.4.1.1.66.8", "Height Map Segmentation Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.67", "Real World Value Mapping Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.68.1", "Surface Scan Mesh Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.68.2", "Surface Scan Point Cloud Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.77.1.1", "VL Endoscopic Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.77.1.1.1", "Video Endoscopic Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.77.1.2", "VL Microscopic Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.77.1.2.1", "Video Microscopic Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.77.1.3", "VL Slide-Coordinates Microscopic Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.77.1.4", "VL Photographic Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.77.1.4.1", "Video Photographic Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.77.1.5.1", "Ophthalmic Photography 8 Bit Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.77.1.5.2", "Ophthalmic Photography 16 Bit Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.77.1.5.3", "Stereometric Relationship Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.77.1.5.4", "Ophthalmic Tomography Image Storage", ""),
    (
        "1.2.840.10008.5.1.4.1.1.77.1.5.5",
        "Wide Field Ophthalmic Photography Stereographic Projection Image Storage",
        "",
    ),
    (
        "1.2.840.10008.5.1.4.1.1.77.1.5.6",
        "Wide Field Ophthalmic Photography 3D Coordinates Image Storage",
        "",
    ),
    (
        "1.2.840.10008.5.1.4.1.1.77.1.5.7",
        "Ophthalmic Optical Coherence Tomography En Face Image Storage",
        "",
    ),
    (
        "1.2.840.10008.5.1.4.1.1.77.1.5.8",
        "Ophthalmic Optical Coherence Tomography B-scan Volume Analysis Storage",
        "",
    ),
    ("1.2.840.10008.5.1.4.1.1.77.1.6", "VL Whole Slide Microscopy Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.77.1.7", "Dermoscopic Photography Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.77.1.8", "Confocal Microscopy Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.77.1.9", "Confocal Microscopy Tiled Pyramidal Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.78.1", "Lensometry Measurements Storage", "AA.2"),
    ("1.2.840.10008.5.1.4.1.1.78.2", "Autorefraction Measurements Storage", "AA.2"),
    ("1.2.840.10008.5.1.4.1.1.78.3", "Keratometry Measurements Storage", "AA.2"),
    ("1.2.840.10008.5.1.4.1.1.78.4", "Subjective Refraction Measurements Storage", "AA.2"),
    ("1.2.840.10008.5.1.4.1.1.78.5", "Visual Acuity Measurements Storage", "AA.2"),
    ("1.2.840.10008.5.1.4.1.1.78.6", "Spectacle Prescription Report Storage", "B.5.1.5"),
    ("1.2.840.10008.5.1.4.1.1.78.7", "Ophthalmic Axial Measurements Storage", "B.5.1.11"),
    ("1.2.840.10008.5.1.4.1.1.78.8", "Intraocular Lens Calculations Storage", "B.5.1.12"),
    ("1.2.840.10008.5.1.4.1.1.79.1", "Macular Grid Thickness and Volume Report Storage", "B.5.1.5"),
    (
        "1.2.840.10008.5.1.4.1.1.80.1",
        "Ophthalmic Visual Field Static Perimetry Measurements Storage",
        "",
    ),
    ("1.2.840.10008.5.1.4.1.1.81.1", "Ophthalmic Thickness Map Storage", "B.5.1.14"),
    ("1.2.840.10008.5.1.4.1.1.82.1", "Corneal Topography Map Storage", "B.5.1.17"),
    ("1.2.840.10008.5.1.4.1.1.88.11", "Basic Text SR Storage", "B.5.1.5"),
    ("1.2.840.10008.5.1.4.1.1.88.22", "Enhanced SR Storage", "B.5.1.5"),
    ("1.2.840.10008.5.1.4.1.1.88.33", "Comprehensive SR Storage", "B.5.1.5"),
    ("1.2.840.10008.5.1.4.1.1.88.34", "Comprehensive 3D SR Storage", "B.5.1.5"),
    ("1.2.840.10008.5.1.4.1.1.88.35", "Extensible SR Storage", "B.5.1.5"),
    ("1.2.840.10008.5.1.4.1.1.88.40", "Procedure Log Storage", "B.5.1.5"),
    ("1.2.840.10008.5.1.4.1.1.88.50", "Mammography CAD SR Storage", "B.5.1.5"),
    ("1.2.840.10008.5.1.4.1.1.88.59", "Key Object Selection Document Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.88.65", "Chest CAD SR Storage", "B.5.1.5"),
    ("1.2.840.10008.5.1.4.1.1.88.67", "X-Ray Radiation Dose SR Storage", "B.5.1.5"),
    ("1.2.840.10008.5.1.4.1.1.88.68", "Radiopharmaceutical Radiation Dose SR Storage", "B.5.1.5"),
    ("1.2.840.10008.5.1.4.1.1.88.69", "Colon CAD SR Storage", "B.5.1.5"),
    ("1.2.840.10008.5.1.4.1.1.88.70", "Implantation Plan SR Storage", "B.5.1.5"),
    ("1.2.840.10008.5.1.4.1.1.88.71", "Acquisition Context SR Storage", "B.5.1.5"),
    ("1.2.840.10008.5.1.4.1.1.88.72", "Simplified Adult Echo SR Storage", "B.5.1.5"),
    ("1.2.840.10008.5.1.4.1.1.88.73", "Patient Radiation Dose SR Storage", "B.5.1.5"),
    ("1.2.840.10008.5.1.4.1.1.88.74", "Planned Imaging Agent Administration SR Storage", "B.5.1.5"),
    (
        "1.2.840.10008.5.1.4.1.1.88.75",
        "Performed Imaging Agent Administration SR Storage",
        "B.5.1.5",
    ),
    ("1.2.840.10008.5.1.4.1.1.88.76", "Enhanced X-Ray Radiation Dose SR Storage", "B.5.1.5"),
    ("1.2.840.10008.5.1.4.1.1.88.77", "Waveform Annotation SR Storage", "B.5.1.5"),
    ("1.2.840.10008.5.1.4.1.1.90.1", "Content Assessment Results Storage", "B.5.1.20"),
    ("1.2.840.10008.5.1.4.1.1.91.1", "Microscopy Bulk Simple Annotations Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.104.1", "Encapsulated PDF Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.104.2", "Encapsulated CDA Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.104.3", "Encapsulated STL Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.104.4", "Encapsulated OBJ Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.104.5", "Encapsulated MTL Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.128", "Positron Emission Tomography Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.130", "Enhanced PET Image Storage", "B.5.1.16 B.5.1.23"),
    ("1.2.840.10008.5.1.4.1.1.128.1", "Legacy Converted Enhanced PET Image Storage", "B.5.1.23"),
    ("1.2.840.10008.5.1.4.1.1.131", "Basic Structured Display Storage", "B.5.1.9"),
    ("1.2.840.10008.5.1.4.1.1.200.2", "CT Performed Procedure Protocol Storage", "B.5.1.21"),
    ("1.2.840.10008.5.1.4.1.1.200.8", "XA Performed Procedure Protocol Storage", "B.5.1.21"),
    ("1.2.840.10008.5.1.4.1.1.481.1", "RT Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.481.2", "RT Dose Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.481.3", "RT Structure Set Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.481.4", "RT Beams Treatment Record Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.481.5", "RT Plan Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.481.6", "RT Brachy Treatment Record Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.481.7", "RT Treatment Summary Record Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.481.8", "RT Ion Plan Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.481.9", "RT Ion Beams Treatment Record Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.481.10", "RT Physician Intent Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.481.11", "RT Segment Annotation Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.481.12", "RT Radiation Set Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.481.13", "C-Arm Photon-Electron Radiation Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.481.14", "Tomotherapeutic Radiation Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.481.15", "Robotic-Arm Radiation Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.481.16", "RT Radiation Record Set Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.481.17", "RT Radiation Salvage Record Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.481.18", "Tomotherapeutic Radiation Record Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.481.19", "C-Arm Photon-Electron Radiation Record Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.481.20", "Robotic Radiation Record Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.481.21", "RT Radiation Set Delivery Instruction Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.481.22", "RT Treatment Preparation Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.481.23", "Enhanced RT Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.481.24", "Enhanced Continuous RT Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.481.25", "RT Patient Position Acquisition Instruction Storage", ""),
    ("1.2.840.10008.5.1.4.34.7", "RT Beams Delivery Instruction Storage", ""),
    ("1.2.840.10008.5.1.4.34.10", "RT Brachy Application Setup Delivery Instruction Storage", ""),
)

# Table B.6-1: retired, their use still permitted.
_B_6_1 = (
    ("1.2.840.10008.5.1.4.1.1.5", "Nuclear Medicine Image Storage", "B.6"),
    ("1.2.840.10008.5.1.4.1.1.6", "Ultrasound Image Storage", "B.6"),
    ("1.2.840.10008.5.1.4.1.1.3", "Ultrasound Multi-frame Image Storage", "B.6"),
    ("1.2.840.10008.5.1.4.1.1.12.3", "X-Ray Angiographic Bi-Plane Image Storage", "B.6"),
)

# Storage classes of older editions (PS3.6 Table A-1, Retired) that archives still hold and send.
_STORAGE_OF_OLDER_EDITIONS = (
    ("1.2.840.10008.5.1.1.27", "Stored Print Storage", ""),
    ("1.2.840.10008.5.1.1.29", "Hardcopy Grayscale Image Storage", ""),
    ("1.2.840.10008.5.1.1.30", "Hardcopy Color Image Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.8", "Standalone Overlay Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.9", "Standalone Curve Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.9.1", "Waveform Storage - Trial", ""),
    ("1.2.840.10008.5.1.4.1.1.10", "Standalone Modality LUT Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.11", "Standalone VOI LUT Storage", ""),
    ("1.2.840.10008.5.1.4.1.1.77.1", "VL Image Storage - Trial", ""),
    ("1.2.840.10008.5.1.4.1.1.77.2", "VL Multi-frame Image Storage - Trial", ""),
    ("1.2.840.10008.5.1.4.1.1.88.1", "Text SR Storage - Trial", ""),
    ("1.2.840.10008.5.1.4.1.1.88.2", "Audio SR Storage - Trial", ""),
    ("1.2.840.10008.5.1.4.1.1.88.3", "Detail SR Storage - Trial", ""),
    ("1.2.840.10008.5.1.4.1.1.88.4", "Comprehensive SR Storage - Trial", ""),
    ("1.2.840.10008.5.1.4.1.1.129", "Standalone PET Curve Storage", ""),
    ("1.2.840.10008.5.1.4.34.1", "RT Beams Delivery Instruction Storage - Trial", ""),
)

# Table GG.3-1: objects without a patient.
_GG_3_1 = (
    ("1.2.840.10008.5.1.4.38.1", "Hanging Protocol Storage", "GG.6.1"),
    ("1.2.840.10008.5.1.4.39.1", "Color Palette Storage", "GG.6.2"),
    ("1.2.840.10008.5.1.4.43.1", "Generic Implant Template Storage", "GG.6.3"),
    ("1.2.840.10008.5.1.4.44.1", "Implant Assembly Template Storage", "GG.6.3"),
    ("1.2.840.10008.5.1.4.45.1", "Implant Template Group Storage", "GG.6.3"),
    ("1.2.840.10008.5.1.4.1.1.200.1", "CT Defined Procedure Protocol Storage", "GG.6.4"),
    ("1.2.840.10008.5.1.4.1.1.200.3", "Protocol Approval Storage", "GG.6.5"),
    ("1.2.840.10008.5.1.4.1.1.200.7", "XA Defined Procedure Protocol Storage", "GG.6.4"),
    ("1.2.840.10008.5.1.4.1.1.201.1", "Inventory Storage", "GG.6.6"),
)

# All other service classes; the last column says whether the class is retired.
_OTHER: Mapping[ServiceClass, tuple[tuple[str, str, str, bool], ...]] = {
    ServiceClass.VERIFICATION: (("1.2.840.10008.1.1", "Verification", "A", False),),
    ServiceClass.MEDIA_STORAGE: (
        ("1.2.840.10008.1.3.10", "Media Storage Directory Storage", "I", False),
    ),
    ServiceClass.STUDY_CONTENT_NOTIFICATION: (
        ("1.2.840.10008.1.9", "Basic Study Content Notification", "D", True),
    ),
    ServiceClass.STORAGE_COMMITMENT: (
        ("1.2.840.10008.1.20.1", "Storage Commitment Push Model", "J.3", False),
        ("1.2.840.10008.1.20.2", "Storage Commitment Pull Model", "J.4", True),
    ),
    ServiceClass.APPLICATION_EVENT_LOGGING: (
        (PROCEDURAL_EVENT_LOGGING, "Procedural Event Logging", "P.2", False),
        (SUBSTANCE_ADMINISTRATION_LOGGING, "Substance Administration Logging", "P.3", False),
    ),
    ServiceClass.PATIENT_MANAGEMENT: (
        ("1.2.840.10008.3.1.2.1.1", "Detached Patient Management", "E", True),
        ("1.2.840.10008.3.1.2.1.4", "Detached Patient Management Meta", "E", True),
        ("1.2.840.10008.3.1.2.2.1", "Detached Visit Management", "E", True),
    ),
    ServiceClass.PROCEDURE_STEP: (
        ("1.2.840.10008.3.1.2.3.1", "Detached Study Management", "F.3", True),
        ("1.2.840.10008.3.1.2.3.2", "Study Component Management", "F.4", True),
        ("1.2.840.10008.3.1.2.3.3", "Modality Performed Procedure Step", "F.7", False),
        ("1.2.840.10008.3.1.2.3.4", "Modality Performed Procedure Step Retrieve", "F.8", False),
        ("1.2.840.10008.3.1.2.3.5", "Modality Performed Procedure Step Notification", "F.9", False),
        ("1.2.840.10008.3.1.2.5.5", "Detached Study Management Meta", "F.5", True),
    ),
    ServiceClass.RESULTS_MANAGEMENT: (
        ("1.2.840.10008.3.1.2.5.1", "Detached Results Management", "G", True),
        ("1.2.840.10008.3.1.2.5.4", "Detached Results Management Meta", "G", True),
        ("1.2.840.10008.3.1.2.6.1", "Detached Interpretation Management", "G", True),
    ),
    ServiceClass.PRINT_MANAGEMENT: (
        ("1.2.840.10008.5.1.1.1", "Basic Film Session", "H.4.1", False),
        ("1.2.840.10008.5.1.1.2", "Basic Film Box", "H.4.2", False),
        ("1.2.840.10008.5.1.1.4", "Basic Grayscale Image Box", "H.4.3.1", False),
        ("1.2.840.10008.5.1.1.4.1", "Basic Color Image Box", "H.4.3.2", False),
        ("1.2.840.10008.5.1.1.4.2", "Referenced Image Box", "H.4.3.3", True),
        ("1.2.840.10008.5.1.1.9", "Basic Grayscale Print Management Meta", "H.3.2.2.1", False),
        (
            "1.2.840.10008.5.1.1.9.1",
            "Referenced Grayscale Print Management Meta",
            "H.3.2.2.3",
            True,
        ),
        ("1.2.840.10008.5.1.1.14", "Print Job", "H.4.5", False),
        ("1.2.840.10008.5.1.1.15", "Basic Annotation Box", "H.4.4", False),
        ("1.2.840.10008.5.1.1.16", "Printer", "H.4.6", False),
        ("1.2.840.10008.5.1.1.16.376", "Printer Configuration Retrieval", "H.4.11", False),
        ("1.2.840.10008.5.1.1.18", "Basic Color Print Management Meta", "H.3.2.2.2", False),
        ("1.2.840.10008.5.1.1.18.1", "Referenced Color Print Management Meta", "H.3.2.2.4", True),
        ("1.2.840.10008.5.1.1.22", "VOI LUT Box", "H.4.7", True),
        ("1.2.840.10008.5.1.1.23", "Presentation LUT", "H.4.9", False),
        ("1.2.840.10008.5.1.1.24", "Image Overlay Box", "H.4.8", True),
        ("1.2.840.10008.5.1.1.24.1", "Basic Print Image Overlay Box", "H.4.12", True),
        ("1.2.840.10008.5.1.1.26", "Print Queue Management", "H", True),
        ("1.2.840.10008.5.1.1.31", "Pull Print Request", "H.4.10", True),
        ("1.2.840.10008.5.1.1.32", "Pull Stored Print Management Meta", "H.3.2.2.5", True),
    ),
    ServiceClass.MEDIA_CREATION_MANAGEMENT: (
        ("1.2.840.10008.5.1.1.33", "Media Creation Management", "S.3", False),
    ),
    ServiceClass.DISPLAY_SYSTEM_MANAGEMENT: (
        ("1.2.840.10008.5.1.1.40", "Display System", "EE.2", False),
    ),
    ServiceClass.PROTOCOL_APPROVAL_QUERY_RETRIEVE: (
        (
            "1.2.840.10008.5.1.4.1.1.200.4",
            "Protocol Approval Information Model - FIND",
            "II.6",
            False,
        ),
        (
            "1.2.840.10008.5.1.4.1.1.200.5",
            "Protocol Approval Information Model - MOVE",
            "II.6",
            False,
        ),
        (
            "1.2.840.10008.5.1.4.1.1.200.6",
            "Protocol Approval Information Model - GET",
            "II.6",
            False,
        ),
    ),
    ServiceClass.INVENTORY_QUERY_RETRIEVE: (
        ("1.2.840.10008.5.1.4.1.1.201.2", "Inventory - FIND", "JJ.4", False),
        ("1.2.840.10008.5.1.4.1.1.201.3", "Inventory - MOVE", "JJ.4", False),
        ("1.2.840.10008.5.1.4.1.1.201.4", "Inventory - GET", "JJ.4", False),
    ),
    ServiceClass.STORAGE_MANAGEMENT: (
        ("1.2.840.10008.5.1.4.1.1.201.5", "Inventory Creation", "KK.2", False),
    ),
    ServiceClass.QUERY_RETRIEVE: (
        ("1.2.840.10008.5.1.4.1.1.201.6", "Repository Query", "C.6.4", False),
        (
            "1.2.840.10008.5.1.4.1.2.1.1",
            "Patient Root Query/Retrieve Information Model - FIND",
            "C.6.1",
            False,
        ),
        (
            "1.2.840.10008.5.1.4.1.2.1.2",
            "Patient Root Query/Retrieve Information Model - MOVE",
            "C.6.1",
            False,
        ),
        (
            "1.2.840.10008.5.1.4.1.2.1.3",
            "Patient Root Query/Retrieve Information Model - GET",
            "C.6.1",
            False,
        ),
        (
            "1.2.840.10008.5.1.4.1.2.2.1",
            "Study Root Query/Retrieve Information Model - FIND",
            "C.6.2",
            False,
        ),
        (
            "1.2.840.10008.5.1.4.1.2.2.2",
            "Study Root Query/Retrieve Information Model - MOVE",
            "C.6.2",
            False,
        ),
        (
            "1.2.840.10008.5.1.4.1.2.2.3",
            "Study Root Query/Retrieve Information Model - GET",
            "C.6.2",
            False,
        ),
        (
            "1.2.840.10008.5.1.4.1.2.3.1",
            "Patient/Study Only Query/Retrieve Information Model - FIND",
            "C.6.3",
            True,
        ),
        (
            "1.2.840.10008.5.1.4.1.2.3.2",
            "Patient/Study Only Query/Retrieve Information Model - MOVE",
            "C.6.3",
            True,
        ),
        (
            "1.2.840.10008.5.1.4.1.2.3.3",
            "Patient/Study Only Query/Retrieve Information Model - GET",
            "C.6.3",
            True,
        ),
    ),
    ServiceClass.COMPOSITE_INSTANCE_ROOT_RETRIEVE: (
        ("1.2.840.10008.5.1.4.1.2.4.2", "Composite Instance Root Retrieve - MOVE", "Y.6", False),
        ("1.2.840.10008.5.1.4.1.2.4.3", "Composite Instance Root Retrieve - GET", "Y.6", False),
    ),
    ServiceClass.COMPOSITE_INSTANCE_RETRIEVE_WITHOUT_BULK_DATA: (
        (
            "1.2.840.10008.5.1.4.1.2.5.3",
            "Composite Instance Retrieve Without Bulk Data - GET",
            "Z.6",
            False,
        ),
    ),
    ServiceClass.DEFINED_PROCEDURE_PROTOCOL_QUERY_RETRIEVE: (
        (
            "1.2.840.10008.5.1.4.20.1",
            "Defined Procedure Protocol Information Model - FIND",
            "HH.6",
            False,
        ),
        (
            "1.2.840.10008.5.1.4.20.2",
            "Defined Procedure Protocol Information Model - MOVE",
            "HH.6",
            False,
        ),
        (
            "1.2.840.10008.5.1.4.20.3",
            "Defined Procedure Protocol Information Model - GET",
            "HH.6",
            False,
        ),
    ),
    ServiceClass.BASIC_WORKLIST_MANAGEMENT: (
        ("1.2.840.10008.5.1.4.31", "Modality Worklist Information Model - FIND", "K.6.1", False),
        ("1.2.840.10008.5.1.4.32", "General Purpose Worklist Management Meta", "K.6.2", True),
        (
            "1.2.840.10008.5.1.4.32.1",
            "General Purpose Worklist Information Model - FIND",
            "K.6.2",
            True,
        ),
        ("1.2.840.10008.5.1.4.32.2", "General Purpose Scheduled Procedure Step", "F.10", True),
        ("1.2.840.10008.5.1.4.32.3", "General Purpose Performed Procedure Step", "F.11", True),
    ),
    ServiceClass.INSTANCE_AVAILABILITY_NOTIFICATION: (
        ("1.2.840.10008.5.1.4.33", "Instance Availability Notification", "R.3", False),
    ),
    ServiceClass.RT_MACHINE_VERIFICATION: (
        ("1.2.840.10008.5.1.4.34.2", "RT Conventional Machine Verification - Trial", "DD", True),
        ("1.2.840.10008.5.1.4.34.3", "RT Ion Machine Verification - Trial", "DD", True),
        ("1.2.840.10008.5.1.4.34.8", "RT Conventional Machine Verification", "DD.3", False),
        ("1.2.840.10008.5.1.4.34.9", "RT Ion Machine Verification", "DD.3", False),
    ),
    ServiceClass.UNIFIED_PROCEDURE_STEP: (
        ("1.2.840.10008.5.1.4.34.4.1", "Unified Procedure Step - Push - Trial", "CC", True),
        ("1.2.840.10008.5.1.4.34.4.2", "Unified Procedure Step - Watch - Trial", "CC", True),
        ("1.2.840.10008.5.1.4.34.4.3", "Unified Procedure Step - Pull - Trial", "CC", True),
        ("1.2.840.10008.5.1.4.34.4.4", "Unified Procedure Step - Event - Trial", "CC", True),
        ("1.2.840.10008.5.1.4.34.6.1", "Unified Procedure Step - Push", "CC.3", False),
        ("1.2.840.10008.5.1.4.34.6.2", "Unified Procedure Step - Watch", "CC.3", False),
        ("1.2.840.10008.5.1.4.34.6.3", "Unified Procedure Step - Pull", "CC.3", False),
        ("1.2.840.10008.5.1.4.34.6.4", "Unified Procedure Step - Event", "CC.3", False),
        ("1.2.840.10008.5.1.4.34.6.5", "Unified Procedure Step - Query", "CC.3", False),
    ),
    ServiceClass.RELEVANT_PATIENT_INFORMATION_QUERY: (
        ("1.2.840.10008.5.1.4.37.1", "General Relevant Patient Information Query", "Q.4", False),
        (
            "1.2.840.10008.5.1.4.37.2",
            "Breast Imaging Relevant Patient Information Query",
            "Q.4",
            False,
        ),
        ("1.2.840.10008.5.1.4.37.3", "Cardiac Relevant Patient Information Query", "Q.4", False),
    ),
    ServiceClass.HANGING_PROTOCOL_QUERY_RETRIEVE: (
        ("1.2.840.10008.5.1.4.38.2", "Hanging Protocol Information Model - FIND", "U.6", False),
        ("1.2.840.10008.5.1.4.38.3", "Hanging Protocol Information Model - MOVE", "U.6", False),
        ("1.2.840.10008.5.1.4.38.4", "Hanging Protocol Information Model - GET", "U.6", False),
    ),
    ServiceClass.COLOR_PALETTE_QUERY_RETRIEVE: (
        (
            "1.2.840.10008.5.1.4.39.2",
            "Color Palette Query/Retrieve Information Model - FIND",
            "X.6",
            False,
        ),
        (
            "1.2.840.10008.5.1.4.39.3",
            "Color Palette Query/Retrieve Information Model - MOVE",
            "X.6",
            False,
        ),
        (
            "1.2.840.10008.5.1.4.39.4",
            "Color Palette Query/Retrieve Information Model - GET",
            "X.6",
            False,
        ),
    ),
    ServiceClass.SUBSTANCE_ADMINISTRATION_QUERY: (
        ("1.2.840.10008.5.1.4.41", "Product Characteristics Query", "V.6", False),
        ("1.2.840.10008.5.1.4.42", "Substance Approval Query", "V.6", False),
    ),
    ServiceClass.IMPLANT_TEMPLATE_QUERY_RETRIEVE: (
        (
            "1.2.840.10008.5.1.4.43.2",
            "Generic Implant Template Information Model - FIND",
            "BB.6",
            False,
        ),
        (
            "1.2.840.10008.5.1.4.43.3",
            "Generic Implant Template Information Model - MOVE",
            "BB.6",
            False,
        ),
        (
            "1.2.840.10008.5.1.4.43.4",
            "Generic Implant Template Information Model - GET",
            "BB.6",
            False,
        ),
        (
            "1.2.840.10008.5.1.4.44.2",
            "Implant Assembly Template Information Model - FIND",
            "BB.6",
            False,
        ),
        (
            "1.2.840.10008.5.1.4.44.3",
            "Implant Assembly Template Information Model - MOVE",
            "BB.6",
            False,
        ),
        (
            "1.2.840.10008.5.1.4.44.4",
            "Implant Assembly Template Information Model - GET",
            "BB.6",
            False,
        ),
        (
            "1.2.840.10008.5.1.4.45.2",
            "Implant Template Group Information Model - FIND",
            "BB.6",
            False,
        ),
        (
            "1.2.840.10008.5.1.4.45.3",
            "Implant Template Group Information Model - MOVE",
            "BB.6",
            False,
        ),
        (
            "1.2.840.10008.5.1.4.45.4",
            "Implant Template Group Information Model - GET",
            "BB.6",
            False,
        ),
    ),
}

_KEYWORDS_OF_THEIR_OWN = {
    "1.2.840.10008.5.1.4.1.1.9.1.1": "TwelveLeadECGWaveformStorage",
    "1.2.840.10008.5.1.4.1.1.9.1.4": "General32bitECGWaveformStorage",
    "1.2.840.10008.5.1.4.1.1.9.6.2": "MultichannelRespiratoryWaveformStorage",
    "1.2.840.10008.5.1.4.1.1.77.1.5.8": (
        "OphthalmicOpticalCoherenceTomographyBscanVolumeAnalysisStorage"
    ),
    "1.2.840.10008.5.1.4.1.1.5": "NuclearMedicineImageStorageRetired",
    "1.2.840.10008.5.1.4.1.1.6": "UltrasoundImageStorageRetired",
    "1.2.840.10008.5.1.4.1.1.3": "UltrasoundMultiFrameImageStorageRetired",
}


def _keyword(uid: str, name: str) -> str:
    """The keyword of PS3.6 Table A-1: the name in camel case, with its few exceptions."""
    own = _KEYWORDS_OF_THEIR_OWN.get(uid)
    if own is not None:
        return own
    words = re.split(r"[^A-Za-z0-9]+", name)
    if words[-1] in ("FIND", "MOVE", "GET"):
        words[-1] = words[-1].title()
    return "".join([word[:1].upper() + word[1:] for word in words])


def _rows() -> Iterable[SopClass]:
    for rows, service, retired, table in (
        (_B_5_1, ServiceClass.STORAGE, False, "B.5-1"),
        (_B_6_1, ServiceClass.STORAGE, True, "B.6-1"),
        (_STORAGE_OF_OLDER_EDITIONS, ServiceClass.STORAGE, True, ""),
        (_GG_3_1, ServiceClass.NON_PATIENT_OBJECT_STORAGE, False, "GG.3-1"),
    ):
        for uid, name, clause in rows:
            keyword = _keyword(uid, name)
            yield SopClass(uid, name, keyword, service, retired, clause, table, False)
    for service, others in _OTHER.items():
        for uid, name, clause, retired in others:
            meta = name.endswith(" Meta")
            yield SopClass(uid, name, _keyword(uid, name), service, retired, clause, "", meta)


SOP_CLASSES: Mapping[str, SopClass] = {row.uid: row for row in _rows()}


def by_keyword(keyword: str) -> SopClass:
    """The class with this keyword of PS3.6 ("CTImageStorage"); KeyError if there is none."""
    for row in SOP_CLASSES.values():
        if row.keyword == keyword:
            return row
    raise KeyError(keyword)


def storage_sop_classes(*, retired: bool = True, non_patient: bool = False) -> tuple[str, ...]:
    """The UIDs of the storage classes in the order of their tables.

    Retired classes are included unless told otherwise (PS3.4 B.6 permits them); those of annex GG
    only on demand, since they follow rules of their own.
    """
    return tuple(
        row.uid
        for row in SOP_CLASSES.values()
        if (
            row.service is ServiceClass.STORAGE
            or (non_patient and row.service is ServiceClass.NON_PATIENT_OBJECT_STORAGE)
        )
        and (retired or not row.retired)
    )


def is_storage(uid: str) -> bool:
    """Whether C-STORE moves instances of this class, as far as the registry knows it."""
    row = SOP_CLASSES.get(uid)
    return row is not None and row.stored


def name_of(uid: str) -> str:
    """The name of a class or well-known instance, or the UID itself where nobody knows it."""
    row = SOP_CLASSES.get(uid)
    return row.name if row is not None else WELL_KNOWN_INSTANCES.get(uid, (uid, ""))[0]


NON_PATIENT = frozenset(row[0] for row in _GG_3_1)
"""Table GG.3-1: no Extended Negotiation, nothing coerced, no warnings as an answer."""

_CT = "1.2.840.10008.5.1.4.1.1.2"
_MR = "1.2.840.10008.5.1.4.1.1.4"
_SR = "1.2.840.10008.5.1.4.1.1.88"
_ENHANCED_SR = f"{_SR}.22"
_COMPREHENSIVE_SR = f"{_SR}.33"
_COMPREHENSIVE_3D_SR = f"{_SR}.34"
_EXTENSIBLE_SR = f"{_SR}.35"
_ANY_SR = (_ENHANCED_SR, _COMPREHENSIVE_SR, _COMPREHENSIVE_3D_SR, _EXTENSIBLE_SR)
_DX = "1.2.840.10008.5.1.4.1.1.1"
_ECG = "1.2.840.10008.5.1.4.1.1.9.1"

RELATED_GENERAL: Mapping[str, tuple[str, ...]] = {
    f"{_ECG}.1": (f"{_ECG}.2", f"{_ECG}.4"),  # 12-lead ECG
    f"{_ECG}.2": (f"{_ECG}.4",),  # General ECG
    f"{_DX}.2": (f"{_DX}.1",),  # Mammography - For Presentation
    f"{_DX}.2.1": (f"{_DX}.1.1",),  # Mammography - For Processing
    f"{_DX}.3": (f"{_DX}.1",),  # Intra-Oral - For Presentation
    f"{_DX}.3.1": (f"{_DX}.1.1",),  # Intra-Oral - For Processing
    f"{_SR}.11": _ANY_SR,  # Basic Text SR
    _ENHANCED_SR: _ANY_SR[1:],
    _COMPREHENSIVE_SR: _ANY_SR[2:],
    _COMPREHENSIVE_3D_SR: _ANY_SR[3:],
    f"{_SR}.40": _ANY_SR,  # Procedure Log
    f"{_SR}.72": _ANY_SR,  # Simplified Adult Echo SR
    f"{_SR}.67": _ANY_SR,  # X-Ray Radiation Dose SR
    f"{_SR}.68": _ANY_SR,  # Radiopharmaceutical Radiation Dose SR
    f"{_SR}.73": _ANY_SR,  # Patient Radiation Dose SR
    f"{_SR}.76": _ANY_SR,  # Enhanced X-Ray Radiation Dose SR
    f"{_SR}.71": _ANY_SR,  # Acquisition Context SR (the first two only without SCOORD3D)
    "1.2.840.10008.5.1.4.1.1.78.6": (_ENHANCED_SR,),  # Spectacle Prescription Report
    "1.2.840.10008.5.1.4.1.1.79.1": (_ENHANCED_SR,),  # Macular Grid Thickness and Volume Report
    f"{_CT}.1": (f"{_CT}.2",),  # Enhanced CT -> Legacy Converted Enhanced CT
    f"{_MR}.1": (f"{_MR}.4",),  # Enhanced MR -> Legacy Converted Enhanced MR
    "1.2.840.10008.5.1.4.1.1.130": ("1.2.840.10008.5.1.4.1.1.128.1",),  # Enhanced PET -> Legacy
}
"""Table B.3-3: the classes as which an instance may be sent or stored instead, best first."""

FOR_PROCESSING: Mapping[str, str] = {
    f"{_DX}.1.1": f"{_DX}.1",  # B.5.1.1
    f"{_DX}.2.1": f"{_DX}.2",  # B.5.1.2
    f"{_DX}.3.1": f"{_DX}.3",  # B.5.1.3
    "1.2.840.10008.5.1.4.1.1.14.2": "1.2.840.10008.5.1.4.1.1.14.1",  # B.5.1.13
    "1.2.840.10008.5.1.4.1.1.13.1.5": "1.2.840.10008.5.1.4.1.1.13.1.4",  # B.5.1.18
}
"""For Processing -> For Presentation: who supports the first supports the second in that role."""

_GRAYSCALE_PRESENTATION_STATE = "1.2.840.10008.5.1.4.1.1.11.1"
_COLOR_PRESENTATION_STATE = "1.2.840.10008.5.1.4.1.1.11.2"

IMPLIED_AS_SCP: Mapping[str, str] = {
    f"{_MR}.1": _GRAYSCALE_PRESENTATION_STATE,  # B.5.1.6
    f"{_MR}.4": _GRAYSCALE_PRESENTATION_STATE,
    f"{_CT}.1": _GRAYSCALE_PRESENTATION_STATE,  # B.5.1.7
    f"{_CT}.2": _GRAYSCALE_PRESENTATION_STATE,
    f"{_MR}.3": _COLOR_PRESENTATION_STATE,  # B.5.1.8
    "1.2.840.10008.5.1.4.1.1.130": _GRAYSCALE_PRESENTATION_STATE,  # B.5.1.15, B.5.1.16
    "1.2.840.10008.5.1.4.1.1.128.1": _GRAYSCALE_PRESENTATION_STATE,
}
"""An SCP of the first shall also be an SCP of the second."""


def with_implied(uids: Iterable[str], *, scp: bool) -> tuple[str, ...]:
    """The classes given, in order, and after them those that B.5.1 makes inseparable from them."""
    result = dict.fromkeys(uids)
    for uid in tuple(result):
        for rule in (FOR_PROCESSING, IMPLIED_AS_SCP) if scp else (FOR_PROCESSING,):
            implied = rule.get(uid)
            if implied is not None:
                result.setdefault(implied)
    return tuple(result)


_FULL_STORAGE_CLAUSES = frozenset(
    ("B.5.1.5", "B.5.1.11", "B.5.1.12", "B.5.1.14", "B.5.1.17", "B.5.1.21", "B.5.1.22", "AA.2")
)

FULL_STORAGE_REQUIRED = frozenset(
    uid for uid, _, clause in _B_5_1 if _FULL_STORAGE_CLAUSES.intersection(clause.split())
)
"""Classes for which a device that is both SCU and SCP shall offer Storage Level 2 (B.5.1, O, AA).

The Enhanced Multi-Frame classes (B.5.1.23) join them when conversion is offered in annex C.
"""

META_MEMBERS: Mapping[str, tuple[str, ...]] = {
    "1.2.840.10008.5.1.1.9": (
        "1.2.840.10008.5.1.1.1",
        "1.2.840.10008.5.1.1.2",
        "1.2.840.10008.5.1.1.4",
        "1.2.840.10008.5.1.1.16",
    ),
    "1.2.840.10008.5.1.1.18": (
        "1.2.840.10008.5.1.1.1",
        "1.2.840.10008.5.1.1.2",
        "1.2.840.10008.5.1.1.4.1",
        "1.2.840.10008.5.1.1.16",
    ),
}
"""H.3.2.2: the classes that a context of a current print Meta class carries, all of them."""

WELL_KNOWN_INSTANCES: Mapping[str, tuple[str, str]] = {
    "1.2.840.10008.1.20.1.1": (
        "Storage Commitment Push Model SOP Instance",
        STORAGE_COMMITMENT_PUSH_MODEL,
    ),
    "1.2.840.10008.1.20.2.1": (
        "Storage Commitment Pull Model SOP Instance",
        "1.2.840.10008.1.20.2",
    ),
    "1.2.840.10008.1.40.1": ("Procedural Event Logging SOP Instance", PROCEDURAL_EVENT_LOGGING),
    "1.2.840.10008.1.42.1": (
        "Substance Administration Logging SOP Instance",
        SUBSTANCE_ADMINISTRATION_LOGGING,
    ),
    "1.2.840.10008.5.1.1.17": ("Printer SOP Instance", "1.2.840.10008.5.1.1.16"),
    "1.2.840.10008.5.1.1.17.376": (
        "Printer Configuration Retrieval SOP Instance",
        "1.2.840.10008.5.1.1.16.376",
    ),
    "1.2.840.10008.5.1.1.25": ("Print Queue SOP Instance", "1.2.840.10008.5.1.1.26"),
    "1.2.840.10008.5.1.1.40.1": ("Display System SOP Instance", "1.2.840.10008.5.1.1.40"),
    "1.2.840.10008.5.1.4.1.1.201.1.1": (
        "Storage Management SOP Instance",
        "1.2.840.10008.5.1.4.1.1.201.5",
    ),
    "1.2.840.10008.5.1.4.34.5": (
        "UPS Global Subscription SOP Instance",
        "1.2.840.10008.5.1.4.34.6.2",
    ),
    "1.2.840.10008.5.1.4.34.5.1": (
        "UPS Filtered Global Subscription SOP Instance",
        "1.2.840.10008.5.1.4.34.6.2",
    ),
    **{
        f"1.2.840.10008.1.5.{number}": (
            f"{palette} Color Palette SOP Instance",
            "1.2.840.10008.5.1.4.39.1",
        )
        for number, palette in enumerate(
            ("Hot Iron", "PET", "Hot Metal Blue", "PET 20 Step", "Spring", "Summer", "Fall"), 1
        )
    },
    "1.2.840.10008.1.5.8": ("Winter Color Palette SOP Instance", "1.2.840.10008.5.1.4.39.1"),
}
"""Instances that exist everywhere: UID -> (name, UID of their class)."""
