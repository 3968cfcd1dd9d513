"""Attributes that go encrypted with a de-identified object, and come back (PS3.15 E.1.1, E.1.2).

openssl opens what we encrypt, and encrypts what we open; pydicom reads and writes the data sets.
"""

from __future__ import annotations

import io
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset, dcmread
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from agent.configuration.deidentification import Deidentify
from agent.configuration.secrets import Secret
from agent.errors import ConfigurationError, LocalError, StorageError
from agent.security import encrypted_attributes as limits
from agent.security.credentials import KeyFile
from agent.workflow.deidentified_copy import Deidentifier, deidentify_file, reidentify_file
from tests.cli_of import gantry
from tests.peers import openssl
from tests.peers.certificates import Certificates, Credentials
from tests.security.deidentifying import encoded, read

SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"
CT = SAMPLES / "CT_small.dcm"
_IMPLEMENTATION = ("1.2.3", "TEST")


def _deidentified(source: Path, target: Path, *recipients: Credentials, **more: object) -> Path:
    rule = Deidentify(
        name="test",
        secret=Secret(),
        encrypt_for=tuple(str(each.certificate) for each in recipients),
        **more,  # type: ignore[arg-type]
    )
    with source.open("rb") as given, target.open("wb") as made:
        deidentifier = Deidentifier(rule, passing=True)
        deidentify_file(given.fileno(), made.fileno(), deidentifier, _IMPLEMENTATION)
    return target


def _reidentified(source: Path, target: Path, own: Credentials) -> Dataset:
    with source.open("rb") as given, target.open("wb") as made:
        reidentify_file(given.fileno(), made.fileno(), [KeyFile(str(own.key))], _IMPLEMENTATION)
    return dcmread(target)


def _opened_by_openssl(made: Path, folder: Path, own: Credentials) -> Dataset:
    (item,) = dcmread(made).EncryptedAttributesSequence
    assert item.EncryptedContentTransferSyntaxUID == ExplicitVRLittleEndian
    envelope, plain = folder / "envelope.der", folder / "plain"
    content = item.EncryptedContent
    # Of an odd envelope the value is padded, which asn1parse takes for an element.
    assert content[:2] == b"\x30\x82"
    envelope.write_bytes(content[: 4 + int.from_bytes(content[2:4], "big")])
    openssl.decrypted(envelope, plain, own)
    return read(plain.read_bytes())


def test_openssl_opens_the_attributes(tmp_path: Path, certificates: Certificates) -> None:
    given = dcmread(CT)
    made = _deidentified(CT, tmp_path / "made.dcm", certificates.client, certificates.server)
    for own in (certificates.client, certificates.server):
        (item,) = _opened_by_openssl(made, tmp_path, own).ModifiedAttributesSequence
        for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "SOPInstanceUID"):
            assert item[keyword].value == given[keyword].value
        assert "Rows" not in item
        assert "Modality" not in item
    assert str(given.PatientName).encode() not in made.read_bytes()
    text = openssl.structure(tmp_path / "envelope.der")
    assert "pkcs7-envelopedData" in text
    assert "aes-256-cbc" in text
    assert "rsaEncryption" in text


_WHOLE = (
    "CT_small.dcm",
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_RLE.dcm",
    "JPEG2000.dcm",
    "image_dfl.dcm",
    "reportsi.dcm",
    "rtplan.dcm",
    "waveform_ecg.dcm",
    "examples_overlay.dcm",
)


@pytest.mark.parametrize("name", _WHOLE)
def test_an_object_is_again_what_it_was(
    name: str, tmp_path: Path, certificates: Certificates
) -> None:
    given = dcmread(SAMPLES / name)
    made = _deidentified(SAMPLES / name, tmp_path / "made.dcm", certificates.client)
    again = _reidentified(made, tmp_path / "again.dcm", certificates.client)
    assert again.PatientIdentityRemoved == "NO"
    assert again.file_meta.MediaStorageSOPInstanceUID == given.SOPInstanceUID
    assert again.file_meta.TransferSyntaxUID == given.file_meta.TransferSyntaxUID
    del again.PatientIdentityRemoved
    for keyword in ("IconImageSequence", "DataSetTrailingPadding"):
        for each in (given, again):
            if keyword in each:
                del each[keyword]
    assert _comparable(again) == _comparable(given)


def _comparable(data_set: Dataset) -> str:
    """As text: private attributes in implicit VR have no VR of their own."""
    lines = str(data_set).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("(0008"))
    return "\n".join(line for line in lines[start:] if "Group Length" not in line)


@pytest.mark.parametrize("cipher", ["aes-128", "aes-192", "aes-256", "triple-des"])
@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_what_another_has_encrypted_is_read(
    cipher: str, syntax: str, tmp_path: Path, certificates: Certificates
) -> None:
    item, whole = Dataset(), Dataset()
    item.PatientName, item.PatientID, item.SOPInstanceUID = "Wunibald^Maria", "4711", "1.2.3.4.5"
    whole.ModifiedAttributesSequence = Sequence([item])
    plain = tmp_path / "plain"
    plain.write_bytes(encoded(whole, syntax))
    recipient = certificates.client
    openssl.enveloped(plain, tmp_path / "made.der", recipient.certificate, cipher=cipher)
    encrypted = Dataset()
    encrypted.EncryptedContentTransferSyntaxUID = syntax
    content = (tmp_path / "made.der").read_bytes()
    encrypted.EncryptedContent = content + b"\0" * (len(content) % 2)
    given = dcmread(CT)
    given.PatientIdentityRemoved = "YES"
    given.DeidentificationMethod = "by another"
    given.EncryptedAttributesSequence = Sequence([encrypted])
    given.save_as(tmp_path / "in.dcm")
    again = _reidentified(tmp_path / "in.dcm", tmp_path / "out.dcm", recipient)
    assert (again.PatientName, again.PatientID) == ("Wunibald^Maria", "4711")
    assert again.SOPInstanceUID == again.file_meta.MediaStorageSOPInstanceUID == "1.2.3.4.5"
    assert again.PatientIdentityRemoved == "NO"
    assert "DeidentificationMethod" not in again
    assert "EncryptedAttributesSequence" not in again
    assert again.PixelData == given.PixelData


def test_the_item_that_our_key_opens_is_found(tmp_path: Path, certificates: Certificates) -> None:
    one = dcmread(_deidentified(CT, tmp_path / "1", certificates.stranger))
    two = dcmread(_deidentified(CT, tmp_path / "2", certificates.client))
    two.EncryptedAttributesSequence = [
        *one.EncryptedAttributesSequence,
        *two.EncryptedAttributesSequence,
    ]
    two.save_as(tmp_path / "both")
    again = _reidentified(tmp_path / "both", tmp_path / "out", certificates.client)
    assert again.PatientName == dcmread(CT).PatientName


def test_nobody_else_opens_them(tmp_path: Path, certificates: Certificates) -> None:
    made = _deidentified(CT, tmp_path / "made.dcm", certificates.client)
    with pytest.raises(StorageError, match="None of the keys"):
        _reidentified(made, tmp_path / "out.dcm", certificates.stranger)
    with pytest.raises(StorageError, match="no encrypted attributes"):
        _reidentified(CT, tmp_path / "out.dcm", certificates.client)


def test_a_damaged_envelope_is_no_data_set(tmp_path: Path, certificates: Certificates) -> None:
    made = dcmread(_deidentified(CT, tmp_path / "made.dcm", certificates.client))
    content = bytearray(made.EncryptedAttributesSequence[0].EncryptedContent)
    for place, damage in ((5, b"\xff"), (len(content) // 3, b"\0\0\0\0"), (-40, bytes(36))):
        broken = bytearray(content)
        broken[place : place + len(damage) if place > 0 else -4] = damage
        made.EncryptedAttributesSequence[0].EncryptedContent = bytes(broken)
        made.save_as(tmp_path / "broken.dcm")
        with pytest.raises(StorageError):
            _reidentified(tmp_path / "broken.dcm", tmp_path / "out.dcm", certificates.client)


def test_a_certificate_that_is_none_is_named(tmp_path: Path) -> None:
    none = tmp_path / "none.pem"
    none.write_text("no certificate")
    with pytest.raises(ConfigurationError, match=r"none\.pem"):
        _deidentified(CT, tmp_path / "made.dcm", Credentials(none, none))


def test_what_is_too_long_to_be_encrypted_is_refused(
    tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LONGEST_CONTENT", 200)
    with pytest.raises(LocalError, match="too long"):
        _deidentified(CT, tmp_path / "made.dcm", certificates.client)


def test_the_command_goes_both_ways(tmp_path: Path, certificates: Certificates) -> None:
    own, made, again = certificates.client, tmp_path / "made.dcm", tmp_path / "again.dcm"
    gantry("deidentify", CT, made, "--keep-encrypted", own.certificate).check()
    assert dcmread(made).PatientID != dcmread(CT).PatientID
    gantry("deidentify", made, again, "--reidentify", own.key).check()
    assert dcmread(again).PatientID == dcmread(CT).PatientID
    done = gantry("deidentify", made, tmp_path / "no", "--reidentify", certificates.stranger.key)
    assert done.returncode == 1
    assert "None of the keys" in done.output
    assert io.BytesIO(again.read_bytes()).read(128) == bytes(128)
