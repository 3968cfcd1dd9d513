"""Lines of the checklists about file-sets: RV-21 of the Reviewer, CD-46, 47 and 51 of C-DAC."""

from __future__ import annotations

import email
import email.policy
import io
import os
import subprocess
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.fileset import FileSet

from agent.dataset.sop_classes import SOP_CLASSES
from agent.media.application_profiles import profile_of
from agent.media.file_set import FileSetWriter
from agent.media.reading import found_in
from tests.cli_of import gantry
from tests.media.instances import GRAYSCALE_STATE, files_of, instance, save
from tests.media.packed_files import names_below
from tests.media.secure_files import PASSWORD, Ring, make_ring, opened, secured
from tests.media.test_record_types import complete
from tests.media.test_writing import CREATOR, judged, made, uids_by_pydicom, uids_read_by_us
from tests.node.running import NodeProcess
from tests.node.test_export import a_mixture, begin, files_on, over
from tests.peers.openssl import (
    DIGESTED,
    SIGNED,
    as_content_info,
    decrypted,
    digest_verified,
    digested,
    enveloped,
    signed,
    verified,
)

pytestmark = pytest.mark.peer

PROFILE = Path(__file__).parents[2] / "profiles" / "reviewer.toml"

RECORD_TYPES = {
    "MRSpectroscopyStorage": "SPECTROSCOPY",
    "RawDataStorage": "RAW DATA",
    "StereometricRelationshipStorage": "STEREOMETRIC",
    "KeyObjectSelectionDocumentStorage": "KEY OBJECT DOC",
    "EncapsulatedPDFStorage": "ENCAP DOC",
} | {
    name: kind
    for kind, names in {
        "WAVEFORM": (
            *("TwelveLeadECGWaveformStorage", "GeneralECGWaveformStorage"),
            *("AmbulatoryECGWaveformStorage", "HemodynamicWaveformStorage"),
            *("CardiacElectrophysiologyWaveformStorage", "BasicVoiceAudioWaveformStorage"),
        ),
        "PRESENTATION": (
            *("GrayscaleSoftcopyPresentationStateStorage", "ColorSoftcopyPresentationStateStorage"),
            "PseudoColorSoftcopyPresentationStateStorage",
            "BlendingSoftcopyPresentationStateStorage",
        ),
        "SR DOCUMENT": (
            *("BasicTextSRStorage", "EnhancedSRStorage", "ComprehensiveSRStorage"),
            *("MammographyCADSRStorage", "XRayRadiationDoseSRStorage"),
        ),
    }.items()
    for name in names
}
"""By PS3.3 Table F.4-1; all others that are claimed are images."""

RETIRED = {
    *("StoredPrintStorage", "StandaloneOverlayStorage", "StandaloneCurveStorage"),
    *("StandaloneModalityLUTStorage", "StandaloneVOILUTStorage"),
}
"""Claimed too; their record types were retired with them (PS3.3 F.6), and nothing writes them."""


def claimed() -> list[str]:
    """The 58 classes that may be on media: those that are sent as well."""
    services = tomllib.loads(PROFILE.read_text())["entity"][0]["service"]
    names: list[str] = next(each for each in services if each["name"] == "storage")["sop_classes"]
    return names[: names.index("PositronEmissionTomographyImageStorage") + 1]


def test_rv_21_the_right_record_type_for_each_of_the_58_classes(tmp_path: Path) -> None:
    uids = {row.keyword: uid for uid, row in SOP_CLASSES.items()}
    names = claimed()
    assert len(names) == 58
    files, wanted = [], {}
    for number, name in enumerate(names, start=1):
        kind = RECORD_TYPES.get(name, "IMAGE")
        one = complete(kind, GRAYSCALE_STATE if kind == "PRESENTATION" else uids[name])
        one.SOPClassUID = uids[name]
        one.SOPInstanceUID = instance(number).SOPInstanceUID
        one.SeriesInstanceUID = f"{one.StudyInstanceUID}.{number}"
        one.InstanceNumber = number
        files.append(save(one, tmp_path / "in" / f"{number}"))
        wanted[str(one.SOPInstanceUID)] = name, kind
    (tmp_path / "theirs").mkdir()
    theirs = FileSet()
    refused = set()
    with FileSetWriter(tmp_path / "set", profile_of("STD-GEN-CD"), CREATOR) as writer:
        for path, (name, _) in zip(files, wanted.values(), strict=True):
            if name in RETIRED:
                with pytest.raises(Exception, match="have no Directory Record"):
                    writer.add(path)
                refused.add(name)
                continue
            writer.add(path)
            theirs.add(path)
        writer.finish()
    theirs.write(tmp_path / "theirs")
    assert refused == RETIRED
    judged(tmp_path / "set")
    ours = types_in(tmp_path / "set")
    assert ours == {uid: kind for uid, (name, kind) in wanted.items() if name not in RETIRED}
    assert ours == types_in(tmp_path / "theirs")


def types_in(folder: Path) -> dict[str, str]:
    return {
        str(each.ReferencedSOPInstanceUIDInFile): each.DirectoryRecordType
        for each in pydicom.dcmread(folder / "DICOMDIR").DirectoryRecordSequence
        if "ReferencedFileID" in each
    }


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A medium of 400 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=400k", "gantry-test", str(folder)]
    if subprocess.run(words, capture_output=True).returncode:
        pytest.skip("a file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    folder = tmp_path_factory.mktemp("lines")
    with NodeProcess(folder / "node") as running:
        a_mixture(running, folder / "in")
        yield running


def test_cd_46_updating_asks_for_room_and_a_full_medium_keeps_the_old_file_set(
    node: NodeProcess, small: Path, tmp_path: Path
) -> None:
    folder = small / "set"
    made(folder, files_of(tmp_path / "in"))
    first, *others = uids_by_pydicom(folder)
    new = save(instance(50, study=2), tmp_path / "new")
    gantry("media", "update", folder, new, "--delete", first).check()
    expected = sorted([*others, str(instance(50).SOPInstanceUID)])
    assert uids_by_pydicom(folder) == uids_read_by_us(folder) == expected
    judged(folder)

    # Free space is asked for first (M-INQUIRE FILE-SET): nothing is written where it is not there.
    free = os.statvfs(folder)
    (folder / "OTHER").write_bytes(bytes((free.f_bavail - 3) * free.f_frsize))
    before = (folder / "DICOMDIR").read_bytes(), names_below(folder)
    with pytest.raises(Exception, match=r"[0-9]+ bytes are needed on .* are free"):
        begin(node, folder, update=True, date_from="19000101")
    assert ((folder / "DICOMDIR").read_bytes(), names_below(folder)) == before

    # Who does not ask meets the end of the medium.
    more = [save(instance(60 + number, study=2), tmp_path / f"{number}") for number in range(9)]
    done = gantry("media", "update", folder, *more)
    assert done.returncode == 1
    assert "No space left on device" in done.output
    assert set(uids_by_pydicom(folder)) >= set(expected)
    assert not {each for each in names_below(folder) if each.endswith(".NEW")}
    found = list(found_in(folder))
    assert {each.sop_instance_uid for each in found} >= set(expected)  # type: ignore[union-attr]


@pytest.mark.parametrize("profile", ["STD-GEN-MIME", "STD-GEN-ZIP-MAIL"])
def test_cd_47_mails_are_unpacked_to_a_valid_file_set_and_read_back(
    node: NodeProcess, tmp_path: Path, profile: str
) -> None:
    path = tmp_path / "mail.eml"
    how = {"kind": "message", "profile": profile, "date_from": "19000101"}
    assert over(node, begin(node, path, **how)["id"])["state"] == "COMPLETED"
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert isinstance(message, email.message.EmailMessage)
    out = tmp_path / "out"
    for part in message.iter_attachments():
        if profile == "STD-GEN-ZIP-MAIL":
            assert "DICOM-ZIP" in message["Subject"]
            assert part.get_filename() == "DICOM.ZIP"
            zipfile.ZipFile(io.BytesIO(part.get_content())).extractall(out)
            continue
        place = out / part.get_param("id")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(part.get_content())
    judged(out)
    assert len(files_on(out)) == 9
    assert uids_read_by_us(path) == uids_read_by_us(out) == uids_by_pydicom(out)
    assert gantry("media", "check", path).returncode == 0


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Ring:
    return make_ring(tmp_path_factory.mktemp("keys"))


@pytest.mark.parametrize("sign", [False, True], ids=["digested", "signed"])
@pytest.mark.parametrize("cipher", ["triple-des", "aes-128", "aes-192", "aes-256"])
def test_cd_51_secure_files_are_opened_by_openssl_and_those_of_openssl_by_us(
    ring: Ring, tmp_path: Path, cipher: str, sign: bool
) -> None:
    plain = save(instance(1), tmp_path / "plain")
    content = plain.read_bytes()
    if cipher != "triple-des":  # That one is read only: nobody should write it today.
        password = ring.password_keys().passwords
        protection = ring.protection(sign=sign, cipher=cipher, passwords=password)
        ours = secured(plain, tmp_path / "ours", protection)
        for how in ({"own": ring.second}, {"password": PASSWORD}):
            inner = decrypted(ours, tmp_path / "inner", **how)  # type: ignore[arg-type]
            inner = as_content_info(inner, SIGNED if sign else DIGESTED)
            if sign:
                verified(inner, tmp_path / "out", ring.authority)
            else:
                digest_verified(inner, tmp_path / "out")
            assert (tmp_path / "out").read_bytes() == content
    if sign:
        inner = signed(plain, tmp_path / "theirs.inner", ring.signer)
    else:
        inner = digested(plain, tmp_path / "theirs.inner")
    to_a_key = enveloped(inner, tmp_path / "theirs", ring.first.certificate, cipher=cipher)
    with_a_password = enveloped(
        inner, tmp_path / "theirs.password", password=PASSWORD, cipher=cipher
    )
    for file, keys in ((to_a_key, ring.keys()), (with_a_password, ring.password_keys())):
        found, signer = opened(file, keys)
        assert found == content
        assert bool(signer) == sign
