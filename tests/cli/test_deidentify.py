"""`gantry deidentify`: files and folders, options, secrets, rules of the configuration."""

from __future__ import annotations

import shutil
from pathlib import Path

import pydicom
import pytest

from tests.cli_of import gantry

SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"
CT = SAMPLES / "CT_small.dcm"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    made = tmp_path / "secret"
    made.write_bytes(b"a secret that is long enough\n")
    return made


def test_a_folder_loses_its_names(tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    (source / "Wunibald").mkdir(parents=True)
    shutil.copy(CT, source / "Wunibald" / "a.dcm")
    shutil.copy(SAMPLES / "MR_small.dcm", source / "b.dcm")
    shutil.copy(SAMPLES / "dicomdirtests" / "DICOMDIR", source / "DICOMDIR")
    (source / "notes.txt").write_text("Wunibald")
    done = gantry("deidentify", source, target)
    assert done.returncode == 0, done.output
    assert "2 de-identified, 0 failed, 2 passed over" in done.output
    assert sorted(path.name for path in target.iterdir()) == ["00000002.dcm", "00000004.dcm"]
    for path in target.iterdir():
        assert pydicom.dcmread(path).PatientIdentityRemoved == "YES"


def test_the_file_around_the_object_is_ours(tmp_path: Path) -> None:
    source, target = tmp_path / "in.dcm", tmp_path / "out.dcm"
    given = pydicom.dcmread(CT)
    given.preamble = b"preamble of Wunibald".ljust(128)
    given.file_meta.SourceApplicationEntityTitle = "WUNIBALD"
    given.file_meta.PrivateInformationCreatorUID = "1.2.3"
    given.file_meta.PrivateInformation = b"Wunibald"
    given.save_as(source)
    done = gantry("deidentify", source, target)
    assert done.returncode == 0, done.output
    made = pydicom.dcmread(target)
    assert made.preamble == bytes(128)
    assert made.file_meta.MediaStorageSOPInstanceUID == made.SOPInstanceUID != given.SOPInstanceUID
    assert b"wunibald" not in target.read_bytes().lower()
    assert made.PixelData == given.PixelData


def test_the_same_secret_makes_the_same_pseudonyms(tmp_path: Path, secret: Path) -> None:
    made = []
    for name, words in (("1", ("--secret", secret)), ("2", ("--secret", secret)), ("3", ())):
        gantry("deidentify", CT, tmp_path / name, *words).check()
        made.append(pydicom.dcmread(tmp_path / name))
    one, two, three = made
    assert one == two
    assert one.PatientID != three.PatientID
    assert one.SOPInstanceUID != three.SOPInstanceUID


def test_options_values_and_a_table(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text(f"{pydicom.dcmread(CT).PatientID},T-12,Trial^Twelve\n")
    target = tmp_path / "out.dcm"
    words = ("--option", "retain-full-dates", "--option", "retain-uids", "--pseudonyms", table)
    gantry("deidentify", CT, target, *words, "--value", "ClinicalTrialProtocolID=P-1").check()
    made = pydicom.dcmread(target)
    assert (made.PatientID, made.PatientName) == ("T-12", "Trial^Twelve")
    assert made.StudyDate == pydicom.dcmread(CT).StudyDate
    assert made.SOPInstanceUID == pydicom.dcmread(CT).SOPInstanceUID
    assert made.ClinicalTrialProtocolID == "P-1"


def test_a_rule_of_the_configuration(tmp_path: Path, secret: Path) -> None:
    configuration = tmp_path / "gantry.toml"
    configuration.write_text(
        f'[[deidentify]]\nname = "trial"\nsecret = {{ file = "{secret}" }}\n'
        'options = ["retain-modified-dates"]\nset = [{ attribute = "PatientName", value = "X" }]\n'
    )
    target = tmp_path / "out.dcm"
    words = ("--rule", "trial", "--config", configuration)
    gantry("deidentify", CT, target, *words).check()
    made = pydicom.dcmread(target)
    assert made.PatientName == "X"
    assert made.LongitudinalTemporalInformationModified == "MODIFIED"
    done = gantry("deidentify", CT, tmp_path / "o", "--rule", "other", "--config", configuration)
    assert done.returncode == 2
    assert "trial" in done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--option", "retain-full-dates", "--option", "retain-modified-dates"), "dates"),
        (("--value", "PatientName"), "KEYWORD=VALUE"),
        (("--value", "SourceImageSequence=1"), "cannot be set"),
        (("--option", "retain-everything"), "invalid choice"),
    ],
)
def test_wrong_usage_is_named(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    done = gantry("deidentify", CT, tmp_path / "out.dcm", *words)
    assert done.returncode == 2
    assert said in done.output


def test_a_short_secret_and_a_damaged_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"secret")
    done = gantry("deidentify", CT, tmp_path / "out.dcm", "--secret", tmp_path / "short")
    assert (done.returncode, "too short" in done.output) == (2, True)
    done = gantry("deidentify", SAMPLES / "rtplan_truncated.dcm", tmp_path / "out.dcm")
    assert (done.returncode, "0 de-identified, 1 failed" in done.output) == (1, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["short"]


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    target = tmp_path / "out.dcm"
    target.write_bytes(b"mine")
    assert gantry("deidentify", CT, target).returncode == 1
    assert target.read_bytes() == b"mine"
    gantry("deidentify", CT, target, "--force").check()
    assert pydicom.dcmread(target).PatientIdentityRemoved == "YES"
