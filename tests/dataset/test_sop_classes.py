from __future__ import annotations

import pytest
from pydicom.uid import UID, UID_dictionary

from agent.dataset import sop_classes
from agent.dataset.sop_classes import (
    FOR_PROCESSING,
    FULL_STORAGE_REQUIRED,
    IMPLIED_AS_SCP,
    META_MEMBERS,
    NON_PATIENT,
    RELATED_GENERAL,
    SOP_CLASSES,
    WELL_KNOWN_INSTANCES,
    ServiceClass,
    by_keyword,
    is_storage,
    name_of,
    storage_sop_classes,
    with_implied,
)
from agent.dataset.uid import is_valid_uid


def test_the_tables_of_ps34_have_as_many_rows_as_the_standard() -> None:
    tables = [row.table for row in SOP_CLASSES.values()]
    assert (tables.count("B.5-1"), tables.count("B.6-1"), tables.count("GG.3-1")) == (170, 4, 9)


def test_every_uid_is_valid_and_stands_once() -> None:
    rows = [
        *sop_classes._B_5_1,
        *sop_classes._B_6_1,
        *sop_classes._STORAGE_OF_OLDER_EDITIONS,
        *sop_classes._GG_3_1,
        *(row for rows in sop_classes._OTHER.values() for row in rows),
    ]
    assert len(rows) == len(SOP_CLASSES)
    assert all(is_valid_uid(uid) for uid in (*SOP_CLASSES, *WELL_KNOWN_INSTANCES))
    assert len({row.keyword for row in SOP_CLASSES.values()}) == len(SOP_CLASSES)


@pytest.mark.parametrize("uid", sorted(set(SOP_CLASSES) & set(UID_dictionary)))
def test_keyword_and_retirement_agree_with_ps36_as_pydicom_has_it(uid: str) -> None:
    row = SOP_CLASSES[uid]
    assert row.keyword == UID(uid).keyword
    # PS3.4 H.4.7 retires the VOI LUT Box; PS3.6 forgot to say so.
    if row.keyword != "VOILUTBox":
        assert row.retired == UID(uid).is_retired


def test_no_sop_class_of_ps36_is_missing_save_those_of_other_standards() -> None:
    missing = {
        UID(uid).keyword
        for uid, row in UID_dictionary.items()
        if row[1] in ("SOP Class", "Meta SOP Class") and row[0] and uid not in SOP_CLASSES
    }
    # DICOS and DICONDE are not medical, and real-time communication (PS3.22) stores nothing.
    assert all("DICOS" in name or "EddyCurrent" in name or "RealTime" in name for name in missing)


def test_rv_03_the_eleven_retired_classes_are_storage_classes() -> None:
    storage = "1.2.840.10008.5.1.4.1.1"
    retired = (
        *(f"1.2.840.10008.5.1.1.{number}" for number in (27, 29, 30)),
        *(f"{storage}.{number}" for number in ("3", "6", "8", "9", "10", "11", "12.3", "129")),
    )
    assert len(retired) == 11
    for uid in retired:
        assert SOP_CLASSES[uid].retired
        assert uid in storage_sop_classes()
        assert uid not in storage_sop_classes(retired=False)


def test_the_retired_comprehensive_sr_trial_of_the_cdac_statement_is_known() -> None:
    assert SOP_CLASSES["1.2.840.10008.5.1.4.1.1.88.4"].retired
    assert is_storage("1.2.840.10008.5.1.4.1.1.88.4")


def test_non_patient_objects_are_storage_only_on_demand() -> None:
    assert not NON_PATIENT & set(storage_sop_classes())
    assert set(storage_sop_classes(non_patient=True)) >= NON_PATIENT
    assert all(is_storage(uid) for uid in NON_PATIENT)


def test_a_service_class_uid_is_not_a_sop_class() -> None:
    assert sop_classes.STORAGE_SERVICE_CLASS not in SOP_CLASSES
    assert not is_storage("1.2.3")


def test_table_b_3_3_names_classes_of_table_b_5_1_and_never_the_class_itself() -> None:
    assert len(RELATED_GENERAL) == 22
    for uid, generals in RELATED_GENERAL.items():
        assert uid not in generals
        assert all(SOP_CLASSES[general].table == "B.5-1" for general in (uid, *generals))
    basic = by_keyword("BasicTextSRStorage").uid
    assert [name_of(uid) for uid in RELATED_GENERAL[basic]] == [
        "Enhanced SR Storage",
        "Comprehensive SR Storage",
        "Comprehensive 3D SR Storage",
        "Extensible SR Storage",
    ]


def test_related_classes_are_named_as_table_b_3_3_names_them() -> None:
    names = {name_of(uid): [name_of(g) for g in gs] for uid, gs in RELATED_GENERAL.items()}
    assert names["12-lead ECG Waveform Storage"] == [
        "General ECG Waveform Storage",
        "General 32-bit ECG Waveform Storage",
    ]
    assert names["Digital Intra-Oral X-Ray Image Storage - For Processing"] == [
        "Digital X-Ray Image Storage - For Processing"
    ]
    assert names["Macular Grid Thickness and Volume Report Storage"] == ["Enhanced SR Storage"]
    assert names["Enhanced PET Image Storage"] == ["Legacy Converted Enhanced PET Image Storage"]


def test_for_processing_pairs_with_for_presentation_of_the_same_object() -> None:
    assert len(FOR_PROCESSING) == 5
    for processing, presentation in FOR_PROCESSING.items():
        assert name_of(processing).replace("Processing", "Presentation") == name_of(presentation)
    all_processing = {
        row.uid
        for row in SOP_CLASSES.values()
        if row.name.endswith("For Processing") and row.stored
    }
    assert all_processing == set(FOR_PROCESSING)


def test_enhanced_classes_imply_a_presentation_state_as_scp_only() -> None:
    enhanced = by_keyword("EnhancedMRColorImageStorage").uid
    assert with_implied([enhanced], scp=False) == (enhanced,)
    assert [name_of(uid) for uid in with_implied([enhanced], scp=True)] == [
        "Enhanced MR Color Image Storage",
        "Color Softcopy Presentation State Storage",
    ]
    assert len(IMPLIED_AS_SCP) == 7


def test_implied_classes_come_once_and_after_those_asked_for() -> None:
    processing, presentation = next(iter(FOR_PROCESSING.items()))
    assert with_implied([presentation, processing], scp=True) == (presentation, processing)
    assert with_implied([processing, "1.2.3"], scp=True) == (processing, "1.2.3", presentation)


def test_full_storage_is_forced_for_the_classes_of_b_5_1_o_and_aa() -> None:
    names = {name_of(uid) for uid in FULL_STORAGE_REQUIRED}
    assert {
        "Raw Data Storage",
        "Basic Text SR Storage",
        "Waveform Annotation SR Storage",
        "Lensometry Measurements Storage",
        "Visual Acuity Measurements Storage",
        "Intraocular Lens Calculations Storage",
        "Ophthalmic Axial Measurements Storage",
        "Ophthalmic Thickness Map Storage",
        "Corneal Topography Map Storage",
        "XA Performed Procedure Protocol Storage",
    } <= names
    assert "Key Object Selection Document Storage" not in names
    assert "CT Image Storage" not in names


def test_meta_classes_have_the_members_of_h_3_2_2() -> None:
    grayscale, color = META_MEMBERS.values()
    assert set(grayscale) ^ set(color) == {
        by_keyword("BasicGrayscaleImageBox").uid,
        by_keyword("BasicColorImageBox").uid,
    }
    assert all(SOP_CLASSES[uid].meta for uid in META_MEMBERS)


def test_well_known_instances_belong_to_known_classes() -> None:
    assert all(class_uid in SOP_CLASSES for _, class_uid in WELL_KNOWN_INSTANCES.values())
    for uid, row in UID_dictionary.items():
        if row[1] == "Well-known SOP Instance":
            assert WELL_KNOWN_INSTANCES[uid][0] == row[0]


def test_each_service_class_is_named_by_its_annex() -> None:
    assert by_keyword("ModalityWorklistInformationModelFind").service is (
        ServiceClass.BASIC_WORKLIST_MANAGEMENT
    )
    assert ServiceClass("GG") is ServiceClass.NON_PATIENT_OBJECT_STORAGE
    with pytest.raises(KeyError):
        by_keyword("NoSuchClass")


def test_named_constants_are_what_their_names_say() -> None:
    assert name_of(sop_classes.STUDY_ROOT_MOVE).startswith("Study Root")
    assert name_of(sop_classes.STORAGE_COMMITMENT_PUSH_MODEL) == "Storage Commitment Push Model"
    assert name_of("1.2.840.10008.5.1.1.17") == "Printer SOP Instance"
    assert name_of("1.2.3") == "1.2.3"
