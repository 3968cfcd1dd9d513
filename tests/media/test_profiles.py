"""The application profiles against dcmmkdir, which knows most of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from agent.configuration.load import load
from agent.conformance_media import media_storage
from agent.errors import ConfigurationError, LocalError, StorageError
from agent.media.application_profiles import (
    MAIL_PROFILES,
    PROFILES,
    check,
    profile_of,
    secure_form_of,
)
from agent.media.directory_records import RECORD_TYPES
from agent.media.directory_writer import Creator
from agent.media.envelope import Envelope
from agent.media.examining import examined
from agent.media.file_set import FileSetWriter
from agent.vocabulary import vocabulary
from tests.media.instances import (
    BASIC_TEXT,
    BIG_ENDIAN,
    CR,
    CT,
    ECG,
    EXPLICIT,
    GRAYSCALE_STATE,
    IMPLICIT,
    MR,
    SC,
    instance,
    save,
)
from tests.media.secure_files import make_ring
from tests.peers.dcmtk import dcmtk_program
from tests.peers.programs import run

CREATOR = Creator("1.2.826.0.1.3680043.9.9.100", "TEST", "WRITER")
ULTRASOUND = "1.2.840.10008.5.1.4.1.1.6.1"
ULTRASOUND_CLIP = "1.2.840.10008.5.1.4.1.1.3.1"
TWELVE_LEAD = "1.2.840.10008.5.1.4.1.1.9.1.1"
INTRA_ORAL = "1.2.840.10008.5.1.4.1.1.1.3"
ANGIOGRAPHIC = "1.2.840.10008.5.1.4.1.1.12.1"
MPEG2_MAIN = "1.2.840.10008.1.2.4.100"
MPEG4_STEREO = "1.2.840.10008.1.2.4.106"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
RLE = "1.2.840.10008.1.2.5"

OPTIONS = {
    "STD-GEN-CD": "-Pgp",
    "STD-GEN-DVD-RAM": "-Pgp",
    "STD-GEN-DVD-JPEG": "-Pdv",
    "STD-GEN-DVD-J2K": "-Pd2",
    "STD-GEN-BD-JPEG": "-Pbd",
    "STD-GEN-BD-J2K": "-Pb2",
    "STD-GEN-USB-JPEG": "-Pfl",
    "STD-GEN-SD-J2K": "-Pf2",
    "STD-CTMR-CD": "-Pcm",
    "STD-US-ID-SF-CDR": "-Pus",
    "STD-WVFM-ECG-FD": "-Pec",
}
OPTIONS_OF_ONE_KIND = {
    "STD-XABC-CD": "-Pbc",
    "STD-XA1K-CD": "-Pxa",
    "STD-XA1K-DVD": "-Pxd",
    "STD-DEN-CD": "-Pde",
    "STD-DVD-MPEG2-MPML": "-Pmp",
    "STD-GEN-BD-MPEG4-SHPLV42": "--general-bd-mpeg4-hpst",
}
SAMPLES = (
    (CT, EXPLICIT),
    (CT, IMPLICIT),
    (CT, BIG_ENDIAN),
    (CT, JPEG_LOSSLESS),
    (CT, JPEG_2000),
    (CT, JPEG_BASELINE),
    (CT, RLE),
    (MR, EXPLICIT),
    (CR, EXPLICIT),
    (SC, EXPLICIT),
    (ECG, EXPLICIT),
    (TWELVE_LEAD, EXPLICIT),
    (BASIC_TEXT, EXPLICIT),
    (ULTRASOUND, EXPLICIT),
    (ULTRASOUND, RLE),
    (ULTRASOUND, JPEG_LOSSLESS),
    (INTRA_ORAL, EXPLICIT),
)
SAMPLES_OF_ONE_KIND = (
    (CT, EXPLICIT),
    (SC, EXPLICIT),
    (BASIC_TEXT, EXPLICIT),
    (INTRA_ORAL, EXPLICIT),
    (INTRA_ORAL, JPEG_LOSSLESS),
    (GRAYSCALE_STATE, EXPLICIT),
    (ANGIOGRAPHIC, EXPLICIT),
    (ANGIOGRAPHIC, JPEG_LOSSLESS),
    (ANGIOGRAPHIC, JPEG_BASELINE),
    (ULTRASOUND_CLIP, MPEG2_MAIN),
    (ULTRASOUND_CLIP, MPEG4_STEREO),
)


def as_the_profile_wants(made: Dataset) -> None:
    """What dcmmkdir looks at whatever it is told to leave alone."""
    if made.SOPClassUID == ANGIOGRAPHIC:
        made.Modality, made.BitsAllocated, made.BitsStored, made.HighBit = "XA", 8, 8, 7
        made.PixelData = bytes(64)
    elif made.SOPClassUID == INTRA_ORAL:
        made.InstitutionName = made.ManufacturerModelName = made.DetectorID = ""
        made.DetectorManufacturerName = made.DetectorManufacturerModelName = ""


def sample(folder: Path, sop_class: str, syntax: str) -> Path:
    """A file that claims this class and syntax; its pixels are nobody's business here."""
    made = instance(
        1, CT if sop_class in (ULTRASOUND, ULTRASOUND_CLIP, INTRA_ORAL, ANGIOGRAPHIC) else sop_class
    )
    made.SOPClassUID = sop_class
    as_the_profile_wants(made)
    path = folder / "IM1"
    if syntax in (IMPLICIT, BIG_ENDIAN, EXPLICIT):
        return save(made, path, syntax)
    if "PixelData" in made:
        del made.PixelData
    save(made, path)
    # The UIDs differ in length: the value is padded, as some writers do.
    whole = path.read_bytes()
    old = b"\x02\0\x10\0UI\x14\0001.2.840.10008.1.2.1\0"
    assert old in whole
    value = syntax.encode() + b"\0" * (len(syntax) % 2)
    new = b"\x02\0\x10\0UI" + len(value).to_bytes(2, "little") + value
    at = whole.index(b"\x02\0\0\0UL\4\0") + 8
    length = int.from_bytes(whole[at : at + 4], "little") + len(new) - len(old)
    changed = whole[:at] + length.to_bytes(4, "little") + whole[at + 4 :]
    path.write_bytes(changed.replace(old, new, 1))
    return path


@pytest.mark.parametrize("name", [*OPTIONS, *OPTIONS_OF_ONE_KIND])
def test_a_profile_takes_and_refuses_what_dcmmkdir_does(tmp_path: Path, name: str) -> None:
    samples = SAMPLES if name in OPTIONS else SAMPLES_OF_ONE_KIND
    options = OPTIONS | OPTIONS_OF_ONE_KIND
    for sop_class, syntax in samples:
        shutil.rmtree(tmp_path)
        path = sample(tmp_path, sop_class, syntax)
        words: list[str | Path] = [
            options[name],
            "-W",
            "-Nec",
            "-Nrc",
            "+D",
            tmp_path / "DICOMDIR",
            "IM1",
        ]
        theirs = run([dcmtk_program("dcmmkdir"), *words], folder=tmp_path)
        with path.open("rb") as file:
            found = examined(file.fileno())
        try:
            check(PROFILES[name], found.sop_class_uid, found.transfer_syntax_uid)
            refused_by_us = False
        except StorageError:
            refused_by_us = True
        assert refused_by_us == bool(theirs.returncode), (sop_class, syntax, theirs.output)


def test_the_tables_hold_together() -> None:
    for profile in PROFILES.values():
        assert set(profile.keys) <= set(RECORD_TYPES)
        assert (profile.classes is None) == bool(profile.syntaxes)


@pytest.mark.parametrize(
    ("name", "secure"),
    [
        ("STD-GEN-CD", "STD-GEN-SEC-CD"),
        ("STD-GEN-DVD-JPEG", "STD-GEN-SEC-DVD-JPEG"),
        ("STD-GEN-DVD-J2K", "STD-GEN-SEC-DVD-J2K"),
        ("STD-GEN-DVD-RAM", "STD-GEN-SEC-DVD-RAM"),
        ("STD-GEN-USB-JPEG", "STD-GEN-SEC-USB-JPEG"),
        ("STD-GEN-SEC-CD", "STD-GEN-SEC-CD"),
        ("STD-DVD-MPEG2-MPML", "STD-DVD-SEC-MPEG2-MPML"),
    ],
)
def test_the_secure_form_differs_in_its_name_only(name: str, secure: str) -> None:
    """PS3.11 D.1, H.1, J.1: a secure profile has the objects and keys of the plain one."""
    plain, found = profile_of(name), secure_form_of(profile_of(name))
    assert (found.name, found.secure, found.updates) == (secure, True, False)
    assert found._replace(name=name, secure=plain.secure) == plain


def test_a_profile_without_a_secure_form_has_none() -> None:
    with pytest.raises(ConfigurationError, match="STD-US-ID-SF-CDR has no secure form"):
        secure_form_of(profile_of("STD-US-ID-SF-CDR"))


def test_a_secure_profile_wants_recipients_and_no_other_takes_them(tmp_path: Path) -> None:
    envelope = Envelope(make_ring(tmp_path).protection())
    medium = tmp_path / "medium"
    with pytest.raises(LocalError, match="nobody is named who could open them"):
        FileSetWriter(medium, profile_of("STD-GEN-SEC-CD"), CREATOR)
    with pytest.raises(LocalError, match="STD-GEN-CD has no Secure DICOM files"):
        FileSetWriter(medium, profile_of("STD-GEN-CD"), CREATOR, envelope=envelope)
    assert not medium.exists()


def test_a_secure_file_set_is_not_updated(tmp_path: Path) -> None:
    envelope = Envelope(make_ring(tmp_path).protection())
    medium, secure = tmp_path / "medium", profile_of("STD-GEN-SEC-CD")
    with FileSetWriter(medium, secure, CREATOR, envelope=envelope) as writer:
        writer.add(save(instance(1), tmp_path / "source"))
        writer.finish()
    before = (medium / "DICOMDIR").read_bytes()
    with pytest.raises(LocalError, match="has no File-set Updater"):
        FileSetWriter(medium, secure, CREATOR, envelope=envelope, update=True)
    with pytest.raises(StorageError, match="is not updated: it is a Secure DICOM file"):
        FileSetWriter(medium, profile_of("STD-GEN-CD"), CREATOR, update=True)
    assert (medium / "DICOMDIR").read_bytes() == before


def refusal(path: Path, profile: str) -> str:
    """What a writer says of the file; "" where it takes it."""
    folder = path.parent.parent / "refusing"
    shutil.rmtree(folder, ignore_errors=True)
    with FileSetWriter(folder, profile_of(profile), CREATOR) as writer:
        try:
            writer.add(path)
        except StorageError as error:
            return error.message
    return ""


def dental(**values: object) -> Dataset:
    made = instance(1, CT, **values)
    made.SOPClassUID = INTRA_ORAL
    as_the_profile_wants(made)
    return made


IMAGES = (
    ("STD-CTMR-CD", lambda: instance(1, CT), ""),
    ("STD-CTMR-CD", lambda: instance(1, CT, Modality="OT"), "Modality CT, not OT"),
    (
        "STD-CTMR-CD",
        lambda: instance(1, CT, PhotometricInterpretation="MONOCHROME1"),
        "PhotometricInterpretation MONOCHROME2, not MONOCHROME1",
    ),
    ("STD-CTMR-CD", lambda: instance(1, MR, BitsStored=12, HighBit=11), ""),
    ("STD-CTMR-CD", lambda: instance(1, MR, BitsStored=10, HighBit=9), "BitsStored 8, not 10"),
    ("STD-CTMR-CD", lambda: instance(1, SC), ""),
    ("STD-DEN-CD", dental, ""),
    ("STD-DEN-CD", lambda: dental(BitsStored=14, HighBit=13), "BitsStored 10 or 12 or 16, not 14"),
)


@pytest.mark.parametrize(("profile", "make", "wanted"), IMAGES)
def test_images_are_as_the_profile_wants_them_or_are_refused_as_dcmmkdir_does(
    tmp_path: Path, profile: str, make: Callable[[], Dataset], wanted: str
) -> None:
    path = save(make(), tmp_path / "in" / "IM1")
    said = refusal(path, profile)
    assert wanted in said
    assert bool(said) == bool(wanted)
    words = [(OPTIONS | OPTIONS_OF_ONE_KIND)[profile], "+D", tmp_path / "DICOMDIR", "IM1"]
    theirs = run([dcmtk_program("dcmmkdir"), *words], folder=path.parent)
    assert bool(theirs.returncode) == bool(wanted), theirs.output


def test_what_dcmmkdir_does_not_look_at_is_looked_at_too(tmp_path: Path) -> None:
    """PS3.11 Tables C.3-2, E.3-5 and K.3-4, and C.4."""
    grey = save(instance(1, SC, BitsStored=12, HighBit=11), tmp_path / "in" / "IM2")
    assert "BitsStored 16, not 12" in refusal(grey, "STD-CTMR-CD")
    clip = instance(1, CT)
    clip.SOPClassUID = ULTRASOUND
    path = save(clip, tmp_path / "in" / "IM1")
    assert refusal(path, "STD-US-ID-SF-CDR") == ""
    assert "SequenceOfUltrasoundRegions, which is missing" in refusal(path, "STD-US-SC-SF-CDR")
    clip.PhotometricInterpretation = "YBR_FULL"
    save(clip, path)
    assert "not YBR_FULL" in refusal(path, "STD-US-ID-SF-CDR")
    tooth = dental()
    del tooth.DetectorID
    assert "DetectorID, which is missing" in refusal(save(tooth, path), "STD-DEN-CD")
    state = instance(1, GRAYSCALE_STATE)
    assert refusal(save(state, path), "STD-DEN-CD") == ""


def test_keys_of_an_enhanced_image_come_from_its_shared_functional_groups(tmp_path: Path) -> None:
    """PS3.11 Table H.3-2."""
    made = instance(1, CT, ImagePositionPatient=None, PixelSpacing=None)
    made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    made.SynchronizationFrameOfReferenceUID = "1.2.3.4"
    made.AcquisitionDateTime = "20260102030405"
    groups, position, measures = Dataset(), Dataset(), Dataset()
    position.ImagePositionPatient = [1, 2, 3]
    measures.PixelSpacing = [0.25, 0.5]
    groups.PlanePositionSequence, groups.PixelMeasuresSequence = [position], [measures]
    made.SharedFunctionalGroupsSequence = [groups]
    with FileSetWriter(tmp_path / "set", profile_of("STD-GEN-DVD-JPEG"), CREATOR) as writer:
        writer.add(save(made, tmp_path / "in"))
        writer.finish()
    *_, image = pydicom.dcmread(tmp_path / "set" / "DICOMDIR").DirectoryRecordSequence
    assert image.ImagePositionPatient == [1, 2, 3]
    assert image.PixelSpacing == [0.25, 0.5]
    assert image.SynchronizationFrameOfReferenceUID == "1.2.3.4"
    assert image.AcquisitionDateTime == "20260102030405"
    assert "SharedFunctionalGroupsSequence" not in image


def test_the_statement_names_all_profiles_and_what_is_mailed_how() -> None:
    words = [
        'mail.host="mail.example.org"',
        'mail.from="a@example.org"',
        'mail.security="implicit"',
        "mail.largest=5000000",
    ]
    plain, mailing = (
        list(media_storage(load("gateway", (), each, vocabulary()))) for each in ([], words)
    )
    named = {line.split(" | ")[0].strip("| ") for line in plain if line.startswith("| STD-")}
    written = {name for name, each in PROFILES.items() if not each.secure}
    assert named == {*written, *MAIL_PROFILES}
    assert "| Mail server (SMTP) | none |" in plain
    assert "| Mail server (SMTP) | mail.example.org:its port |" in mailing
    assert "| Length of a mail | 5000000 bytes, more becomes several |" in mailing
