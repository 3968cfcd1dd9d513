"""Media Creation Management: the tables of annex S, each status, and both roles."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.datadict import tag_for_keyword

from agent.archive.media_requests import FailedInstance, MadeVolume, RequestState
from agent.archive.records import Flag, Instance
from agent.dataset.attributes import Attributes, tag_of
from agent.media.application_profiles import PROFILES
from agent.network.status import Category, category
from agent.services.media_creation import Volume, Wanted, progress_of
from agent.services.media_creation_table import (
    CREATE,
    EXECUTION_STATUS_INFO,
    EXECUTION_STATUSES,
    FAILURE_REASONS,
    INITIATE,
    RESULT,
    SAID_BY_US,
    STATUSES,
    CreationAttribute,
    fault_of_request,
    reason_words,
    status_words,
)
from agent.services.storage_commitment import Failure, Reference
from agent.workflow.media_creation import result_of
from agent.workflow.media_creation_check import Checked, Rules, check_request, info_of, united

CT = "1.2.840.10008.5.1.4.1.1.2"
REPORT = "1.2.840.10008.5.1.4.1.1.88.11"
PRINTER = "1.2.840.10008.5.1.1.16"
EXPLICIT, JPEG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"
MPEG2 = "1.2.840.10008.1.2.4.100"
REFERENCE = {"ReferencedSOPClassUID": CT, "ReferencedSOPInstanceUID": "1.2.3"}


def request(**changes: Any) -> Attributes:
    made = Attributes.of({"ReferencedSOPSequence": [REFERENCE]})
    for keyword, value in changes.items():
        made.set(keyword, value)
    return made


# Table, row: keyword, tag, SCU, SCP, as annex S prints them.
ROWS = """
create SpecificCharacterSet 00080005 1C 1C
create StorageMediaFileSetID 00880130 3 3
create StorageMediaFileSetUID 00880140 3 3
create LabelUsingInformationExtractedFromInstances 22000001 3 1C
create LabelText 22000002 3 1C
create LabelStyleSelection 22000003 3 1C
create BarcodeValue 22000005 3 3
create BarcodeSymbology 22000006 3 3
create MediaDisposition 22000004 3 3
create AllowMediaSplitting 22000007 3 1C
create AllowLossyCompression 2200000F 3 1C
create IncludeNonDICOMObjects 22000008 3 1C
create IncludeDisplayApplication 22000009 3 1C
create PreserveCompositeInstancesAfterMediaCreation 2200000A 3 3
create ReferencedSOPSequence 00081199 1 1
create ReferencedSOPClassUID 00081150 1 1
create ReferencedSOPInstanceUID 00081155 1 1
create RequestedMediaApplicationProfile 2200000C 3 1
create IconImageSequence 00880200 3 1C
initiate NumberOfCopies 20000010 3 1
initiate RequestPriority 22000020 3 3
result SpecificCharacterSet 00080005 3 1C
result ExecutionStatus 21000020 3 1
result ExecutionStatusInfo 21000030 3 1
result TotalNumberOfPiecesOfMediaCreated 2200000B 3 1
result FailedSOPSequence 00081198 3 2
result ReferencedStorageMediaSequence 2200000D 3 2
"""
TERMS = [
    *("NORMAL", "CHECK_MCD_OP", "CHECK_MCD_SRV", "DIR_PROC_ERR", "DUPL_REF_INST"),
    *("INST_AP_CONFLICT", "INST_OVERSIZED", "INSUFFIC_MEMORY", "MCD_BUSY", "MCD_FAILURE"),
    *("NO_INSTANCE", "NOT_SUPPORTED", "OUT_OF_SUPPLIES", "PROC_FAILURE", "QUEUED"),
    *("SET_OVERSIZED", "UNKNOWN"),
]
REASONS = [0x0110, 0x0112, 0x0119, 0x0122, 0x0201, 0x0202, 0x0203, 0x0204, 0x0205]
TABLES = {"create": CREATE, "initiate": INITIATE, "result": RESULT}


@pytest.mark.parametrize("line", ROWS.split("\n")[1:-1])
def test_each_row_of_the_tables_is_as_the_annex_has_it(line: str) -> None:
    table, keyword, tag, scu, scp = line.split()
    rows = [each for each in TABLES[table] if each.keyword == keyword]
    assert [(each.scu, each.scp) for each in rows] == [(scu, scp)]
    assert tag_of(keyword) == tag_for_keyword(keyword) == int(tag, 16)


def test_the_tables_have_no_other_rows_and_say_what_is_done_with_each() -> None:
    rows: list[CreationAttribute] = [*CREATE, *INITIATE, *RESULT]
    assert len(rows) == len(ROWS.split("\n")) - 2
    assert all(each.use for each in rows)


@pytest.mark.parametrize("status", [0xA510, 0xC201, 0xC202, 0xC203])
def test_each_status_of_the_annex_is_a_failure_with_words(status: int) -> None:
    assert status in STATUSES
    assert category(status) is Category.FAILURE
    assert status_words(status).startswith(f"{status:04X}H Failed: ")


def test_the_one_warning_is_that_of_n_get() -> None:
    assert category(0x0001) is Category.WARNING
    assert status_words(0x0001) == "0001H Requested optional attributes are not supported"
    assert len(STATUSES) == 4


def test_the_terms_are_those_of_the_module() -> None:
    assert list(EXECUTION_STATUSES) == ["IDLE", "PENDING", "CREATING", "DONE", "FAILURE"]
    assert list(EXECUTION_STATUS_INFO) == TERMS
    assert SAID_BY_US.issubset(TERMS)
    assert list(FAILURE_REASONS) == REASONS
    assert reason_words(0x0112) == "0112H No such object instance"
    assert reason_words(0x4711) == "4711H Failure"


@pytest.mark.parametrize(
    ("changes", "status", "keyword"),
    [
        ({"ReferencedSOPSequence": ()}, 0x0121, "ReferencedSOPSequence"),
        (
            {"ReferencedSOPSequence": [{"ReferencedSOPClassUID": CT}]},
            0x0120,
            "ReferencedSOPInstanceUID",
        ),
        (
            {"ReferencedSOPSequence": [{**REFERENCE, "ReferencedSOPClassUID": ""}]},
            0x0121,
            "ReferencedSOPClassUID",
        ),
        (
            {"ReferencedSOPSequence": [{**REFERENCE, "ReferencedSOPInstanceUID": "../1"}]},
            0x0106,
            "ReferencedSOPInstanceUID",
        ),
        *(
            ({keyword: "MAYBE"}, 0x0106, keyword)
            for keyword in (
                "LabelUsingInformationExtractedFromInstances",
                "AllowMediaSplitting",
                "AllowLossyCompression",
                "IncludeNonDICOMObjects",
                "IncludeDisplayApplication",
                "PreserveCompositeInstancesAfterMediaCreation",
            )
        ),
        ({"StorageMediaFileSetID": "lower case"}, 0x0106, "StorageMediaFileSetID"),
        ({"StorageMediaFileSetID": "A" * 17}, 0x0106, "StorageMediaFileSetID"),
        ({"StorageMediaFileSetUID": "1.02"}, 0x0106, "StorageMediaFileSetUID"),
    ],
)
def test_what_a_request_lacks_is_named_with_its_status(
    changes: dict[str, Any], status: int, keyword: str
) -> None:
    fault = fault_of_request(request(**changes))
    assert fault is not None
    assert (fault.status, fault.keyword) == (status, keyword)
    assert fault.comment
    assert len(fault.comment) <= 64


def test_a_request_that_lacks_everything_lacks_its_sequence() -> None:
    fault = fault_of_request(Attributes())
    assert fault is not None
    assert (fault.status, fault.keyword) == (0x0120, "ReferencedSOPSequence")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"AllowMediaSplitting": "NO", "AllowLossyCompression": "YES", "LabelText": "Größe"},
        {"AllowMediaSplitting": "", "StorageMediaFileSetID": ""},
        {"StorageMediaFileSetID": "A_1", "StorageMediaFileSetUID": "1.2.4"},
        # Whether the profile exists is told later, by N-GET.
        {"ReferencedSOPSequence": [{**REFERENCE, "RequestedMediaApplicationProfile": "STD-X"}]},
    ],
)
def test_what_may_be_asked_is_taken(changes: dict[str, Any]) -> None:
    assert fault_of_request(request(**changes)) is None


# What is looked at when the request is carried out.


def here(uid: str = "1.2.3", sop_class: str = CT, syntax: str = EXPLICIT) -> Instance:
    return Instance(
        1, uid, sop_class, syntax, "1", "", "1.2", "1.2.1", 0, 100, 0.0, "network", Flag(0)
    )


def wanted(uid: str = "1.2.3", profile: str = "", sop_class: str = CT) -> Wanted:
    return Wanted(Reference(sop_class, uid), profile)


def checked(
    asked: list[Wanted],
    *instances: Instance,
    profiles: tuple[str, ...] = (),
    lossy: str = "",
) -> Checked:
    rules = Rules("STD-GEN-CD", profiles, lossy == "NO")
    return check_request(asked, {each.sop_instance_uid: each for each in instances}, rules)


@pytest.mark.parametrize(
    ("asked", "instances", "info", "reasons"),
    [
        ([wanted()], [here()], "NORMAL", []),
        ([wanted()], [], "NO_INSTANCE", [0x0112]),
        ([wanted(), wanted()], [here()], "DUPL_REF_INST", []),
        ([wanted(sop_class=REPORT)], [here()], "INST_AP_CONFLICT", [0x0119]),
        ([wanted(sop_class=PRINTER)], [here(sop_class=PRINTER)], "NOT_SUPPORTED", [0x0122]),
        ([wanted(profile="STD-NONE")], [here()], "NOT_SUPPORTED", [0x0204]),
        ([wanted(profile="STD-XABC-CD")], [here()], "INST_AP_CONFLICT", [0x0202]),
        ([wanted(profile="STD-DEN-CD")], [here()], "INST_AP_CONFLICT", [0x0202]),
        (
            [wanted(profile="STD-GEN-CD"), wanted("1.2.4", "STD-GEN-USB-JPEG")],
            [here(), here("1.2.4")],
            "INST_AP_CONFLICT",
            [0x0201],
        ),
        # Of several reasons the first is told of the whole, and each of its instance.
        (
            [wanted(), wanted("1.2.4", "STD-NONE"), wanted("1.2.5")],
            [here("1.2.4")],
            "NO_INSTANCE",
            [0x0112, 0x0204, 0x0112],
        ),
    ],
)
def test_each_reason_why_an_instance_cannot_be_on_media(
    asked: list[Wanted], instances: list[Instance], info: str, reasons: list[int]
) -> None:
    found = checked(asked, *instances)
    assert found.info == info
    assert [each.reason for each in found.failed] == reasons
    assert bool(found.profiles) is (info == "NORMAL")


@pytest.mark.parametrize(
    ("profile", "syntax", "sop_class", "lossy", "info"),
    [
        ("STD-DVD-MPEG2-MPML", EXPLICIT, CT, "NO", "INST_AP_CONFLICT"),
        ("STD-DVD-MPEG2-MPML", EXPLICIT, CT, "YES", "NORMAL"),
        ("STD-DVD-MPEG2-MPML", EXPLICIT, CT, "", "NORMAL"),
        # What is lossy already may be used, and what is no image is not compressed.
        ("STD-DVD-MPEG2-MPML", MPEG2, CT, "NO", "NORMAL"),
        ("STD-DVD-MPEG2-MPML", EXPLICIT, REPORT, "NO", "NORMAL"),
        # These know lossless compression, or none.
        ("STD-GEN-DVD-JPEG", EXPLICIT, CT, "NO", "NORMAL"),
        ("STD-GEN-DVD-JPEG", JPEG, CT, "NO", "NORMAL"),
        ("STD-GEN-CD", EXPLICIT, CT, "NO", "NORMAL"),
    ],
)
def test_a_profile_that_compresses_with_loss_only_is_an_error_where_that_is_forbidden(
    profile: str, syntax: str, sop_class: str, lossy: str, info: str
) -> None:
    asked = [wanted(profile=profile, sop_class=sop_class)]
    found = checked(asked, here(syntax=syntax, sop_class=sop_class), lossy=lossy)
    assert found.info == info
    assert [each.reason for each in found.failed] == ([] if info == "NORMAL" else [0x0203])


def test_who_names_no_profile_gets_that_of_the_others_or_the_usual_one() -> None:
    asked = [wanted(), wanted("1.2.4", "std-gen-dvd-jpeg")]
    found = checked(asked, here(), here("1.2.4"))
    assert [each.name for each in found.profiles] == ["STD-GEN-DVD-JPEG"] * 2
    assert [each.name for each in checked([wanted()], here()).profiles] == ["STD-GEN-CD"]


def test_only_the_profiles_of_the_configuration_can_be_had() -> None:
    few = ("STD-GEN-CD",)
    assert checked([wanted()], here(), profiles=few).info == "NORMAL"
    refused = checked([wanted(profile="STD-CTMR-CD")], here(), profiles=few)
    assert refused.info == "NOT_SUPPORTED"


def test_a_directory_of_several_profiles_has_the_keys_of_all_each_as_the_strictest_wants_it() -> (
    None
):
    general, ctmr = PROFILES["STD-GEN-CD"], PROFILES["STD-CTMR-CD"]
    assert united([general, general]) is general
    both = united([general, ctmr, general])
    for profile in (general, ctmr):
        for record, keys in profile.keys.items():
            known = {each.keyword: each.type for each in both.keys[record]}
            assert all(known[key.keyword] <= key.type for key in keys)
        for syntax in profile.syntaxes:
            assert both.refusal(CT, syntax) == ""
    assert both.classes is None
    assert both.medium == general.medium
    assert set(united([ctmr, PROFILES["STD-DEN-CD"]]).classes or ()) == {
        *(ctmr.classes or ()),
        *(PROFILES["STD-DEN-CD"].classes or ()),
    }


@pytest.mark.parametrize("reason", FAILURE_REASONS)
def test_each_reason_has_a_term_for_the_whole(reason: int) -> None:
    assert info_of([Failure(Reference(CT, "1.2.3"), reason)]) in SAID_BY_US


# What N-GET tells.


def test_the_result_has_all_that_must_be_there_from_the_first_moment_on() -> None:
    idle = RequestState("1.2.9", "IDLE", "NORMAL", "VIEWER", "GANTRY", 1.0, 1.0)
    told = result_of(idle, request(LabelText="Doe"))
    for row in RESULT:
        if row.scp in ("1", "2"):
            assert row.keyword in told
    assert told.text("LabelText") == "Doe"
    assert progress_of(told) == ("IDLE", "NORMAL", 0, (), ())
    assert "NumberOfCopies" not in told


def test_the_result_of_a_request_is_read_as_it_was_meant() -> None:
    done = RequestState(
        *("1.2.9", "DONE", "NORMAL", "VIEWER", "GANTRY", 1.0, 1.0, 2.0),
        copies=3,
        priority="LOW",
        volumes=(MadeVolume("A_1", "1.2.5"), MadeVolume("A_2", "1.2.6")),
    )
    told = result_of(done, request())
    progress = progress_of(told)
    assert progress.pieces == 6
    assert progress.volumes == (Volume("A_1", "1.2.5"), Volume("A_2", "1.2.6"))
    assert (told.text("NumberOfCopies"), told.text("RequestPriority")) == ("3", "LOW")
    # Nothing is told of volumes before they are where they belong.
    assert progress_of(result_of(done._replace(status="CREATING"), request())).volumes == ()


def test_the_result_of_a_failure_names_each_instance() -> None:
    failed = RequestState(
        *("1.2.9", "FAILURE", "NO_INSTANCE", "VIEWER", "GANTRY", 1.0, 1.0, 2.0),
        failed=(FailedInstance(CT, "1.2.3", 0x0112),),
    )
    progress = progress_of(result_of(failed, request()))
    assert (progress.status, progress.info) == ("FAILURE", "NO_INSTANCE")
    assert progress.failed == (Failure(Reference(CT, "1.2.3"), 0x0112),)
    assert progress.pieces == 0
