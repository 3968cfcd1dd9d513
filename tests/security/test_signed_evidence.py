"""Signed reports prove what they rest on (PS3.15 A.4)."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from agent.dataset.byte_source import FileBytes
from agent.dataset.file_meta import read_file_meta
from agent.security.signature_terms import Verdict
from agent.security.signed_evidence import unproved
from tests.cli_of import gantry
from tests.peers.dcmtk import run_dcmtk
from tests.security.signing import (
    CT,
    REPORT,
    SAMPLES,
    Signers,
    digest_of,
    mac_stream,
    make_signers,
    trust,
    verified,
)

pytestmark = pytest.mark.peer

COMPRESSED = SAMPLES / "SC_rgb_jpeg_dcmtk.dcm"


@pytest.fixture(scope="module")
def signers(tmp_path_factory: pytest.TempPathFactory) -> Signers:
    return make_signers(tmp_path_factory.mktemp("signers"))


def report(file: Path, *, undefined: bool = False) -> Path:
    """A report that rests on two images in one sequence, and on one of them in the other."""
    made = pydicom.dcmread(REPORT)
    images = [pydicom.dcmread(each) for each in (CT, COMPRESSED)]

    def evidence(*of: pydicom.FileDataset) -> Sequence:
        study = Dataset()
        study.StudyInstanceUID = made.StudyInstanceUID
        study.ReferencedSeriesSequence = []
        for image in of:
            reference = Dataset()
            reference.ReferencedSOPClassUID = image.file_meta.MediaStorageSOPClassUID
            reference.ReferencedSOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID
            series = Dataset()
            series.SeriesInstanceUID = image.SeriesInstanceUID
            series.ReferencedSOPSequence = [reference]
            study.ReferencedSeriesSequence.append(series)
        return Sequence([study])

    made.CurrentRequestedProcedureEvidenceSequence = evidence(*images)
    made.PertinentOtherEvidenceSequence = evidence(images[0])
    for each in (made, *made.CurrentRequestedProcedureEvidenceSequence):
        for element in each:
            element.is_undefined_length = undefined and element.VR == "SQ"
    made.save_as(file)
    return file


def create(source: Path, target: Path, signers: Signers, *more: str | Path) -> str:
    own = signers.signer
    words = ("--profile", "structured-report", "--purpose", "1", "--key", own.key)
    done = gantry(
        "signature", "create", source, target, *words, "--certificate", own.certificate, *more
    )
    assert done.returncode == (0 if more else 2), done.output
    return done.output


def references(made: Dataset) -> list[Dataset]:
    sequences = made.CurrentRequestedProcedureEvidenceSequence, made.PertinentOtherEvidenceSequence
    return [
        reference
        for sequence in sequences
        for study in sequence
        for series in study.ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    ]


@pytest.mark.parametrize("undefined", [False, True])
def test_what_a_signed_report_rests_on_has_a_mac(
    signers: Signers, tmp_path: Path, undefined: bool
) -> None:
    source, target = report(tmp_path / "report.dcm", undefined=undefined), tmp_path / "signed.dcm"
    create(source, target, signers, "--evidence", CT, "--evidence", COMPRESSED)
    (found,) = verified(target, trust(signers.root))
    assert (found.verdict, found.purpose) == (Verdict.VALID, "Author's Signature")
    judged = run_dcmtk("dcmsign", "-v", "--verify", "+cf", signers.root.certificate, target)
    assert "0 corrupted" in judged.check().output
    images = {
        each.file_meta.MediaStorageSOPInstanceUID: each
        for each in map(pydicom.dcmread, (CT, COMPRESSED))
    }
    made = pydicom.dcmread(target)
    assert len(references(made)) == 3
    for each in references(made):
        (proof,) = each.ReferencedSOPInstanceMACSequence
        image = images[each.ReferencedSOPInstanceUID]
        assert 0x7FE00010 in proof.DataElementsSigned
        assert 0x00100020 not in proof.DataElementsSigned, "it may be corrected"
        stream = mac_stream(image, proof.DataElementsSigned)
        assert proof.MAC.rstrip(b"\0") == digest_of(stream, proof.MACAlgorithm).rstrip(b"\0")
        compressed = image.file_meta.TransferSyntaxUID.is_compressed
        expected = image.file_meta.TransferSyntaxUID if compressed else "1.2.840.10008.1.2.1"
        assert proof.MACCalculationTransferSyntaxUID == expected
    signed = made.MACParametersSequence[0].DataElementsSigned
    assert {0x0040A375, 0x0040A385} <= set(signed)


def test_what_is_not_at_hand_is_named_and_nothing_is_signed(
    signers: Signers, tmp_path: Path
) -> None:
    source, target = report(tmp_path / "report.dcm"), tmp_path / "signed.dcm"
    said = create(source, target, signers)
    assert "3 objects that the report rests on are not at hand" in said and "--evidence" in said
    assert not target.exists()


def test_a_reference_that_has_a_signature_is_left_as_it_is(
    signers: Signers, tmp_path: Path
) -> None:
    source, target = report(tmp_path / "report.dcm"), tmp_path / "signed.dcm"
    made = pydicom.dcmread(source)
    for each in references(made):
        proof = Dataset()
        proof.DigitalSignatureUID, proof.Signature = "1.2.3", b"\1\2"
        each.ReferencedDigitalSignatureSequence = [proof]
    made.save_as(source)
    with source.open("rb") as file:
        meta = read_file_meta(file.fileno())
        data_set = FileBytes(file.fileno(), meta.data_set_offset)
        assert unproved(data_set, meta.encoding_uid) == []
    create(source, target, signers, "--mac", "SHA512")
    assert all(
        "ReferencedSOPInstanceMACSequence" not in each
        for each in references(pydicom.dcmread(target))
    )
