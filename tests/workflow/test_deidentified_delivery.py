"""De-identified copies on their way: what a job keeps of the route, and what a worker makes."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset, dcmread

from agent.codecs.codec import EncodeSettings
from agent.configuration.configuration import Configuration
from agent.configuration.deidentification import Deidentify, Mask
from agent.configuration.route import Change, Route
from agent.configuration.secrets import Secret
from agent.dataset.file_meta import encode_file_meta, read_file_meta
from agent.dataset.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    JPEG_BASELINE,
    RLE_LOSSLESS,
)
from agent.errors import LocalError
from agent.workflow.changes import decode_changes, deidentified_by, encode_changes
from agent.workflow.conversion_worker import write_converted
from agent.workflow.outgoing import _rule
from agent.workflow.routing import Routing
from tests.archive.objects import sample

SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"
CHANGE = Change(attribute=0x00100010, set="X")


def test_a_job_keeps_changes_and_the_way_to_deidentify() -> None:
    for changes in ((), (CHANGE,)):
        payload = encode_changes(changes, "trial")
        assert deidentified_by(payload) == "trial"
        assert decode_changes(payload) == changes
    for payload in (b"", encode_changes((CHANGE,))):
        assert deidentified_by(payload) == ""
    assert encode_changes(()) == b""


@pytest.mark.parametrize(
    ("sop_class", "name"),
    [("1.2.840.10008.5.1.4.1.1.2", "trial"), ("1.2.840.10008.5.1.4.39.1", "")],
)
def test_objects_of_no_patient_are_never_changed(sop_class: str, name: str) -> None:
    from agent.dataset.head import Head

    routing = Routing((Route(name="out", deliver=("FAR",), deidentify="trial"),))
    head = Head({0x00080016: sop_class.encode()}, {}, 0, None)
    origin = sample().origin._replace(sop_class_uid=sop_class)
    (job,) = routing.receive(head, origin).jobs
    assert deidentified_by(job.payload) == name


def test_a_way_that_is_gone_stops_the_copy() -> None:
    class Job:
        payload = encode_changes((), "trial")

    with pytest.raises(LocalError, match="no \\[\\[deidentify\\]\\] 'trial' any more"):
        _rule(Job(), Configuration())  # type: ignore[arg-type]


def _made(source: Path, target_syntax: str, rule: Deidentify) -> tuple[str, Dataset]:
    """The UID and the object that a worker writes into a pipe."""
    with source.open("rb") as file:
        meta = read_file_meta(file.fileno())
    out = os.memfd_create("pipe")
    try:
        write_converted(
            str(source),
            meta.data_set_offset,
            meta.transfer_syntax_uid,
            target_syntax,
            "",
            b"",
            EncodeSettings(),
            rule=rule,
            descriptors=[out],
        )
        data = os.pread(out, 1 << 24, 0)
    finally:
        os.close(out)
    uid, data_set = data[1 : 1 + data[0]].decode(), data[1 + data[0] :]
    head = encode_file_meta(
        sop_class_uid="1.2",
        sop_instance_uid=uid,
        transfer_syntax_uid=target_syntax,
        implementation_class_uid="1.2",
    )
    return uid, dcmread(io.BytesIO(head + data_set))


@pytest.fixture
def rule(tmp_path: Path) -> Deidentify:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(range(32)))
    masks = (Mask(rectangles=((0, 0, 20, 20),)),)
    return Deidentify(name="trial", secret=Secret(file=str(secret)), masks=masks)


def test_a_worker_writes_the_copy_under_its_new_uid(rule: Deidentify) -> None:
    given = dcmread(SAMPLES / "CT_small.dcm")
    for syntax in (EXPLICIT_VR_LITTLE_ENDIAN, RLE_LOSSLESS):
        uid, made = _made(SAMPLES / "CT_small.dcm", syntax, rule)
        assert uid == made.SOPInstanceUID != given.SOPInstanceUID
        assert made.PatientIdentityRemoved == "YES"
        assert (made.pixel_array == given.pixel_array).all()


def test_lossy_frames_that_were_cleaned_do_not_lose_once_more(rule: Deidentify) -> None:
    source = SAMPLES / "SC_rgb_jpeg_dcmtk.dcm"
    cleaning = replace(rule, options=("clean-pixel-data",))
    with pytest.raises(LocalError, match="lose once more"):
        _made(source, JPEG_BASELINE, cleaning)
    uid, made = _made(source, EXPLICIT_VR_LITTLE_ENDIAN, cleaning)
    assert uid == made.SOPInstanceUID
    assert not made.pixel_array[:20, :20].any()
    uid, made = _made(source, JPEG_BASELINE, rule)
    assert made.PixelData == dcmread(source).PixelData
