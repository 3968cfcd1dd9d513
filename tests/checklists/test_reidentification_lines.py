"""Export under other demographics: RV-31 and RV-32 of the Reviewer.

(The Reviewer calls it re-identification; in PS3.15 annex E it is de-identification with values of
one's own.)
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset, dcmread
from pydicom.fileset import FileSet

from tests.cli_of import gantry
from tests.media.instances import CR, CT, MR, instance, save
from tests.media.test_writing import judged
from tests.node.running import NodeProcess
from tests.node.test_export import begin, completed, nothing_is_left, over, stored
from tests.peers import openssl
from tests.peers.certificates import Certificates
from tests.peers.dicom3tools import dciodvfy
from tests.peers.programs import program, run

pytestmark = pytest.mark.peer

SECRETS = ("Wunibald", "WUNIBALD", "MRN-4711", "ACC-0815", "19610412", "Dr. Smith", "St. Elsewhere")
PATIENT_VALUES = {
    "PatientName": "Wunibald^Maria",
    "PatientID": "MRN-4711",
    "PatientBirthDate": "19610412",
    "AccessionNumber": "ACC-0815",
    "InstitutionName": "St. Elsewhere",
    "StudyDescription": "CT chest for Dr. Smith",
    "ReferringPhysicianName": "Wunibald^Walburga",
}


def configuration(folder: Path) -> str:
    secret = folder / "secret"
    secret.write_bytes(b"a secret that is long enough")
    return f"""
[[deidentify]]
name = "trial"
options = ["retain-modified-dates", "clean-descriptors"]
secret = {{ file = "{secret}" }}
set = [{{ attribute = "PatientSex", value = "O" }}]
[[deidentify]]
name = "gone"
secret = {{ file = "{folder}/nowhere" }}
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """A node that has the images."""
    folder = tmp_path_factory.mktemp("deidentifying")
    with NodeProcess(folder / "node", configuration(folder)) as running:
        stored(running, *images(folder / "in"))
        yield running


def archived(node: NodeProcess) -> dict[str, Path]:
    """The objects of the node, by SOP Instance UID."""
    return {str(dcmread(path).SOPInstanceUID): path for path in node.objects()}


def images(folder: Path) -> list[Path]:
    """Of one patient, two studies; the last of each refers to the first."""
    made: list[Dataset] = []
    for study in (1, 2):
        of_study = [
            instance(10 * study + number, (CT, MR, CR)[number], study=study, series=number)
            for number in range(3)
        ]
        for each in of_study:
            for keyword, value in PATIENT_VALUES.items():
                setattr(each, keyword, value)
        reference = Dataset()
        reference.ReferencedSOPClassUID = of_study[0].SOPClassUID
        reference.ReferencedSOPInstanceUID = of_study[0].SOPInstanceUID
        of_study[2].ReferencedImageSequence = [reference]
        made += of_study
    return [save(each, folder / str(number)) for number, each in enumerate(made)]


def nothing_identifies(path: Path, *more: str) -> None:
    """No original value is among the bytes, nor in the names of files."""
    for file in path.rglob("*") if path.is_dir() else [path]:
        data = file.read_bytes() if file.is_file() else b""
        for secret in (*SECRETS, *more):
            assert secret.encode() not in data, (file, secret)
            assert secret not in str(file.relative_to(path.parent))


def test_rv_31_other_demographics_are_in_every_file_and_in_the_directory(
    node: NodeProcess, tmp_path: Path
) -> None:
    archive = archived(node)
    before = {path: path.read_bytes() for path in node.objects()}
    found = completed(node, tmp_path / "set", date_from="1900", deidentify="trial")
    assert (found["copied"], found["failed"], found["deidentify"]) == (6, 0, "trial")
    judged(tmp_path / "set")
    nothing_identifies(tmp_path / "set", *archive)
    nothing_is_left(node, tmp_path / "set")
    made = [each.load() for each in FileSet(tmp_path / "set" / "DICOMDIR")]
    assert len(made) == 6
    # The same for all objects of a patient, in the files and in the directory.
    names = {(str(each.PatientName), each.PatientID, each.PatientSex) for each in made}
    assert len(names) == 1
    directory = pydicom.dcmread(tmp_path / "set" / "DICOMDIR").DirectoryRecordSequence
    (patient,) = (each for each in directory if each.DirectoryRecordType == "PATIENT")
    assert (str(patient.PatientName), patient.PatientID) == names.pop()[:2]
    assert len({each.StudyInstanceUID for each in made}) == 2
    # References still hold.
    uids = {each.SOPInstanceUID for each in made}
    referring = [each for each in made if "ReferencedImageSequence" in each]
    assert len(referring) == 2
    for each in referring:
        assert each.ReferencedImageSequence[0].ReferencedSOPInstanceUID in uids
        assert each.StudyDescription == "CT chest for"
    # The archive's copies are unchanged; dciodvfy finds nothing new.
    assert {path: path.read_bytes() for path in node.objects()} == before
    faults = {line for path in before for line in dciodvfy(path)}
    for file in (tmp_path / "set" / "DICOM").rglob("*"):
        assert not file.is_file() or set(dciodvfy(file)) <= faults


def test_rv_31_an_image_of_a_disc_tells_nothing_either(node: NodeProcess, tmp_path: Path) -> None:
    archive = archived(node)
    target = tmp_path / "disc.iso"
    completed(node, target, date_from="1900", kind="image", deidentify="trial")
    nothing_identifies(target, *archive)
    listed = run([program("genisoimage", "isoinfo"), "-f", "-i", target]).check().output
    assert "DICOMDIR" in listed


def test_rv_31_files_without_a_directory_tell_nothing(node: NodeProcess, tmp_path: Path) -> None:
    archive = archived(node)
    completed(node, tmp_path / "set", date_from="1900", profile="NONE", deidentify="trial")
    nothing_identifies(tmp_path / "set", *archive)
    made = [each for each in (tmp_path / "set").rglob("*") if each.is_file()]
    assert len(made) == 6
    assert all(dcmread(each).PatientIdentityRemoved == "YES" for each in made)


def test_rv_31_a_second_export_of_the_same_objects_adds_none(
    node: NodeProcess, tmp_path: Path
) -> None:
    completed(node, tmp_path / "set", date_from="1900", deidentify="trial")
    found = completed(node, tmp_path / "set", date_from="1900", deidentify="trial", update=True)
    assert (found["copied"], found["failed"]) == (0, 0)


def test_rv_31_what_cannot_be_done_puts_nothing_on_the_medium(
    node: NodeProcess, tmp_path: Path
) -> None:
    with pytest.raises(Exception, match="no \\[\\[deidentify\\]\\] 'other'"):
        begin(node, tmp_path / "set", date_from="1900", deidentify="other")
    found = over(node, begin(node, tmp_path / "set", date_from="1900", deidentify="gone")["id"])
    assert found["state"] == "FAILED"
    assert "nowhere" in found["reason"]
    assert not (tmp_path / "set").exists() or not list((tmp_path / "set").iterdir())


@pytest.mark.parametrize("encrypts", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize("deidentifies", [False, True], ids=["as-is", "other-demographics"])
@pytest.mark.parametrize("directory", [False, True], ids=["files", "file-set"])
def test_rv_32_encryption_demographics_and_file_set_go_together(
    encrypts: bool,
    deidentifies: bool,
    directory: bool,
    tmp_path: Path,
    certificates: Certificates,
) -> None:
    """By commands that are carried out one after the other: each option on or off."""
    given = [path for path in images(tmp_path / "in") if path.name in ("0", "1")]
    source = tmp_path / "in"
    for path in source.iterdir():
        if path not in given:
            path.unlink()
    if deidentifies:
        source = tmp_path / "other"
        gantry("deidentify", tmp_path / "in", source).check()
    medium = tmp_path / "medium"
    protection = ("--recipient", certificates.client.certificate) if encrypts else ()
    profile = ("--profile", "STD-GEN-SEC-CD") if encrypts else ()
    if directory:
        gantry("media", "create", medium, source, *profile, *protection).check()
    else:
        medium.mkdir()
        for number, path in enumerate(sorted(source.iterdir())):
            target = medium / f"I{number}"
            if encrypts:
                gantry("media", "secure", path, target, *protection).check()
            else:
                target.write_bytes(path.read_bytes())
    written = [path for path in sorted(medium.rglob("*")) if path.is_file()]
    assert len(written) == 2 + directory
    if encrypts or deidentifies:
        nothing_identifies(medium)
    else:
        with pytest.raises(AssertionError):
            nothing_identifies(medium)
    for number, path in enumerate(written):
        plain = path
        if encrypts:
            inner = openssl.decrypted(path, tmp_path / f"{number}.inner", certificates.client)
            wrapped = openssl.as_content_info(inner, openssl.DIGESTED)
            plain = openssl.digest_verified(wrapped, tmp_path / f"{number}.plain")
        data_set = dcmread(plain)
        if "DirectoryRecordSequence" in data_set:
            (patient,) = (
                each
                for each in data_set.DirectoryRecordSequence
                if each.DirectoryRecordType == "PATIENT"
            )
            data_set = patient
        assert (str(data_set.PatientName) != PATIENT_VALUES["PatientName"]) is deidentifies
        assert (data_set.PatientID != PATIENT_VALUES["PatientID"]) is deidentifies
