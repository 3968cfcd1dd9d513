"""Mails with a file-set (PS3.12 K and W, PS3.11 G and L, PS3.15 B.8): for others, and from them."""

from __future__ import annotations

import email
import email.policy
import os
import random
import re
import subprocess
import time
from contextlib import suppress
from email.message import EmailMessage
from pathlib import Path

import pytest

from agent.errors import ConfigurationError, StorageError
from agent.media.checking import check
from agent.media.envelope import Envelope
from agent.media.found import Damage, FoundInstance
from agent.media.mail_writing import mail_size
from agent.media.opening import Keys, Opener
from agent.media.reading import found_in
from tests.media.instances import files_of
from tests.media.packed_files import (
    HEAD,
    mail_of_parts,
    mail_with_zip,
    names_below,
    zipped,
)
from tests.media.secure_files import Ring, make_ring
from tests.media.test_writing import judged, made, uids_by_pydicom
from tests.peers.openssl import openssl
from tests.peers.programs import program, run

UIDS = 9


@pytest.fixture(scope="module")
def file_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mail")
    made(folder / "set", files_of(folder / "in"))
    return folder / "set"


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Ring:
    return make_ring(tmp_path_factory.mktemp("ring"))


def read(path: Path, keys: Keys | None = None) -> tuple[list[FoundInstance], list[Damage]]:
    found = list(found_in(path, opener=Opener(keys) if keys else Opener()))
    return (
        [each for each in found if isinstance(each, FoundInstance)],
        [each for each in found if isinstance(each, Damage)],
    )


def message_in(path: Path) -> EmailMessage:
    made = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert isinstance(made, EmailMessage)
    assert not [each for part in made.walk() for each in part.defects]
    return made


def same_files(one: Path, other: Path) -> None:
    assert names_below(one) == names_below(other)
    for name in names_below(one):
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_the_attachment_is_as_the_profile_wants_it(file_set: Path, tmp_path: Path) -> None:
    """PS3.11 L.3.2."""
    message = message_in(mail_with_zip(file_set, tmp_path / "a.eml"))
    assert "DICOM-ZIP" in message["Subject"]
    assert (message["From"], message["Message-ID"]) == (HEAD.sender, HEAD.message_id)
    assert message["To"] == ", ".join(HEAD.recipients)
    (attachment,) = message.iter_attachments()
    assert attachment.get_content_type() == "application/zip"
    assert attachment.get_param("id") == attachment.get_param("name") == "DICOM.ZIP"
    assert attachment.get_content_disposition() == "attachment"
    assert attachment.get_filename() == "DICOM.ZIP"
    raw = (tmp_path / "a.eml").read_bytes()
    assert raw.isascii() and max(map(len, raw.split(b"\r\n"))) <= 100
    assert b"\n" not in raw.replace(b"\r\n", b"")


def test_the_parts_are_as_the_standard_wants_them(file_set: Path, tmp_path: Path) -> None:
    """PS3.12 K.1.2, RFC 3240."""
    message = message_in(mail_of_parts(file_set, tmp_path / "a.eml"))
    found = {}
    for part in message.iter_attachments():
        assert part.get_content_type() == "application/dicom"
        name = part.get_param("id")
        last = name.rsplit("/", 1)[-1]
        assert len(name) <= 71 and not name.startswith("/")
        assert part.get_param("name") == (last if name == "DICOMDIR" else f"{last}.dcm")
        found[name] = part.get_content()
    assert sorted(found) == names_below(file_set)
    assert all((file_set / name).read_bytes() == content for name, content in found.items())


@pytest.mark.peer
@pytest.mark.parametrize("reader", ["munpack", "ripmime"])
def test_mail_programs_unpack_the_file_set(file_set: Path, tmp_path: Path, reader: str) -> None:
    mail, out = mail_with_zip(file_set, tmp_path / "a.eml"), tmp_path / "out"
    out.mkdir()
    if reader == "munpack":
        run([program("mpack", "munpack"), "-q", "-C", out, mail]).check()
    else:
        run([program("ripmime", "ripmime"), "-i", mail, "-d", out]).check()
    run([program("unzip", "unzip"), "-q", out / "DICOM.ZIP", "-d", tmp_path / "set"]).check()
    same_files(tmp_path / "set", file_set)
    judged(tmp_path / "set")
    assert len(uids_by_pydicom(tmp_path / "set")) == UIDS


@pytest.mark.parametrize("write", [mail_with_zip, mail_of_parts])
def test_our_mail_is_read_as_its_folder_is(file_set: Path, tmp_path: Path, write: object) -> None:
    mail = write(file_set, tmp_path / "a.eml")  # type: ignore[operator]
    assert read(mail) == read(file_set)
    assert not list(check(mail))


def foreign(file_set: Path, *, directory: bool = False, **how: object) -> EmailMessage:
    """A mail by Python, with the files under their names alone."""
    message = EmailMessage()
    message["Subject"] = "Bilder für Dr. Müller"
    message.set_content("Grüße\n\n--not a boundary\n")
    for name in names_below(file_set):
        if name == "DICOMDIR" and not directory:
            continue
        message.add_attachment(
            (file_set / name).read_bytes(),
            maintype="application",
            subtype="dicom",
            filename=name.replace("/", "_"),
            **how,  # type: ignore[arg-type]
        )
    return message


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_parts_without_file_ids_are_walked(file_set: Path, tmp_path: Path, line_end: str) -> None:
    policy = email.policy.default.clone(linesep=line_end)
    path = tmp_path / "a.eml"
    path.write_bytes(foreign(file_set).as_bytes(policy=policy))
    assert [len(each) for each in read(path)] == [UIDS, 0]
    # A DICOMDIR that leads nowhere is of no use.
    path.write_bytes(foreign(file_set, directory=True).as_bytes(policy=policy))
    assert [len(each) for each in read(path)] == [UIDS, UIDS]


def test_mails_that_were_forwarded_are_opened(file_set: Path, tmp_path: Path) -> None:
    inner = message_in(mail_with_zip(file_set, tmp_path / "a.eml"))
    outer = EmailMessage()
    outer["Subject"] = "Fwd: images"
    outer.set_content("see below")
    outer.add_attachment(inner)
    (tmp_path / "b.eml").write_bytes(b"From box Thu Jan  1 00:00:00 2026\n" + bytes(outer))
    assert [len(each) for each in read(tmp_path / "b.eml")] == [UIDS, 0]


@pytest.mark.parametrize("charset", [b"no-such-charset", b"utf-8%00", b"us-ascii\0"])
def test_a_file_name_in_a_character_set_that_is_none_does_no_harm(
    file_set: Path, tmp_path: Path, charset: bytes
) -> None:
    raw = foreign(file_set).as_bytes()
    names = (b"filename*=%s''image%%E4%d.dcm\n" % (charset, number) for number in range(UIDS))
    raw, count = re.subn(rb'filename="[^"]*"\n', lambda _: next(names), raw)
    assert count == UIDS
    (tmp_path / "a.eml").write_bytes(raw)
    assert [len(each) for each in read(tmp_path / "a.eml")] == [UIDS, 0]


def test_a_parameter_in_pieces_without_numbers_does_no_harm(file_set: Path, tmp_path: Path) -> None:
    names = (b'filename*0=a; filename*=b; filename*1*="%d.dcm"\n' % each for each in range(UIDS))
    raw = re.sub(rb'filename="[^"]*"\n', lambda _: next(names), foreign(file_set).as_bytes())
    (tmp_path / "a.eml").write_bytes(raw)
    assert [len(each) for each in read(tmp_path / "a.eml")] == [UIDS, 0]
    bad = raw.replace(b"boundary=", b'boundary*0="a"; boundary*="b"; boundary=', 1)
    (tmp_path / "b.eml").write_bytes(bad)
    with suppress(StorageError):
        read(tmp_path / "b.eml")


def test_bodies_in_quoted_printable_are_read(file_set: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.eml"
    path.write_bytes(foreign(file_set, cte="quoted-printable").as_bytes())
    assert [len(each) for each in read(path)] == [UIDS, 0]


def test_a_part_that_is_damaged_is_named(file_set: Path, tmp_path: Path) -> None:
    raw = mail_of_parts(file_set, tmp_path / "a.eml").read_bytes()
    start = raw.index(b"\r\n\r\n", raw.index(b"application/dicom"))
    (tmp_path / "b.eml").write_bytes(raw[: start + 8] + b"\r\n" + raw[start + 11 :])
    found, damage = read(tmp_path / "b.eml")
    assert len(found) == UIDS - 1
    assert "it cannot be decoded from base64" in damage[0].reason


def test_an_archive_that_is_damaged_is_named(file_set: Path, tmp_path: Path) -> None:
    message = EmailMessage()
    message.set_content("x")
    archive = zipped(file_set, tmp_path / "a.zip").read_bytes()
    message.add_attachment(
        archive[:-900], maintype="application", subtype="zip", filename="DICOM.ZIP"
    )
    (tmp_path / "a.eml").write_bytes(bytes(message))
    found, damage = read(tmp_path / "a.eml")
    assert not found
    assert [each.file for each in damage] == ["DICOM.ZIP"]
    assert "the ZIP file is damaged" in damage[0].reason


def test_mails_that_were_cut_or_changed_come_to_an_end(file_set: Path, tmp_path: Path) -> None:
    whole = mail_of_parts(file_set, tmp_path / "a.eml").read_bytes()
    chance = random.Random(5)
    for number in range(60):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 9)):
            data[chance.randrange(30, len(data))] = chance.randrange(256)
        if number % 3 == 0:
            del data[chance.randrange(30, len(data)) :]
        (tmp_path / "b.eml").write_bytes(data)
        try:
            assert len(read(tmp_path / "b.eml")[0]) <= UIDS
        except StorageError as error:
            assert str(tmp_path) in str(error)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (
            b"".join(
                b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (n, n)
                for n in range(50)
            ),
            "more parts than a mail needs",
        ),
        (b"Subject: " + b"x" * 70_000, "a header of the mail has no end"),
        (b"Subject: x\nContent-Type: message/rfc822\n\n" * 50, "more parts than a mail needs"),
        # Python's own reading of parameters takes 8 s for one such field.
        (b'Content-Type: application/dicom; name="' + b";" * 65_000, "longer than one needs"),
        (
            b'Content-Disposition: attachment; filename="' + b";" * 65_000 + b"\n\n",
            "longer than one needs",
        ),
        (
            b"Content-Type: multipart/mixed; boundary=x\n\n"
            + (b"--x\nX: " + b"y" * 60_000 + b"\n\n") * 600,
            "more header than a mail needs",
        ),
    ],
)
def test_a_structure_that_nobody_needs_is_refused(tmp_path: Path, raw: bytes, reason: str) -> None:
    (tmp_path / "a.eml").write_bytes(raw)
    begun = time.process_time()
    with pytest.raises(StorageError, match=reason):
        read(tmp_path / "a.eml")
    assert time.process_time() - begun < 3.0


# The secured mail.


def sealed(file_set: Path, out: Path, ring: Ring) -> Path:
    return mail_with_zip(file_set, out, Envelope(ring.protection(sign=True)))


@pytest.mark.peer
def test_openssl_opens_our_secured_mail(file_set: Path, tmp_path: Path, ring: Ring) -> None:
    mail = sealed(file_set, tmp_path / "a.eml", ring)
    message = message_in(mail)
    assert "DICOM-ZIP" in message["Subject"]
    assert message.get_param("smime-type") == "enveloped-data"
    openssl(
        *("cms", "-decrypt", "-in", mail, "-out", tmp_path / "signed"),
        *("-recip", ring.first.certificate, "-inkey", ring.first.key),
    ).check()
    openssl(
        *("cms", "-verify", "-in", tmp_path / "signed", "-out", tmp_path / "plain"),
        *("-CAfile", ring.authority, "-purpose", "any"),
    ).check()
    (attachment,) = message_in(tmp_path / "plain").iter_attachments()
    assert attachment.get_content() == (tmp_path / "a.attached").read_bytes()


def test_our_secured_mail_is_read_by_those_it_is_for(
    file_set: Path, tmp_path: Path, ring: Ring
) -> None:
    mail = sealed(file_set, tmp_path / "a.eml", ring)
    for receiver in (ring.first, ring.second):
        assert read(mail, ring.keys(receiver)) == read(file_set)
    with pytest.raises(StorageError, match=r"is secured, and .*none of our keys opens"):
        read(mail, ring.keys(ring.stranger))
    with pytest.raises(StorageError, match="is secured, and"):
        read(mail)


def by_openssl(file_set: Path, folder: Path, ring: Ring, *, signer: object = None) -> Path:
    """A mail that is signed in one entity, then encrypted."""
    plain = mail_with_zip(file_set, folder / "plain.eml")
    who = signer or ring.signer
    openssl(
        *("cms", "-sign", "-nodetach", "-in", plain, "-out", folder / "signed.eml"),
        *("-signer", who.certificate, "-inkey", who.key),  # type: ignore[attr-defined]
    ).check()
    openssl(
        *("cms", "-encrypt", "-aes256", "-in", folder / "signed.eml", "-out", folder / "b.eml"),
        *("-subject", "DICOM-ZIP", ring.first.certificate),
    ).check()
    return folder / "b.eml"


@pytest.mark.peer
def test_a_mail_secured_by_openssl_is_read(file_set: Path, tmp_path: Path, ring: Ring) -> None:
    mail = by_openssl(file_set, tmp_path, ring)
    assert read(mail, ring.keys()) == read(file_set)


@pytest.mark.peer
def test_nothing_of_a_mail_by_a_stranger_is_used(
    file_set: Path, tmp_path: Path, ring: Ring
) -> None:
    mail = by_openssl(file_set, tmp_path, ring, signer=ring.stranger)
    with pytest.raises(StorageError, match="its signer is unknown"):
        read(mail, ring.keys())
    assert [len(each) for each in read(mail, ring.keys(any_signer=True))] == [UIDS, 0]


def test_nobody_sends_a_secured_mail_without_a_signature(
    file_set: Path, tmp_path: Path, ring: Ring
) -> None:
    with pytest.raises(ConfigurationError, match="nobody signs the mail"):
        mail_with_zip(file_set, tmp_path / "a.eml", Envelope(ring.protection()))


def test_the_size_of_a_mail_is_known_beforehand(file_set: Path, tmp_path: Path, ring: Ring) -> None:
    for number, size in enumerate((0, 100, 3_000_000)):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        (folder / "X").write_bytes(os.urandom(size))
        plain = mail_with_zip(folder, tmp_path / f"{number}.eml")
        packed = (tmp_path / f"{number}.attached").stat().st_size
        assert plain.stat().st_size <= mail_size(packed) <= 1.02 * plain.stat().st_size + 4096
        (tmp_path / f"{number}.attached").unlink()
        mail = sealed(folder, tmp_path / f"{number}.x", ring)
        whole = mail.stat().st_size
        assert whole <= mail_size(packed, layers=3) <= 1.02 * whole + 16384


@pytest.mark.peer
def test_dcmtk_reads_what_was_unpacked(file_set: Path, tmp_path: Path) -> None:
    archive = zipped(file_set, tmp_path / "a.zip")
    subprocess.run(["unzip", "-q", archive, "-d", tmp_path / "out"], check=True)
    dump = run([program("dcmtk", "dcmdump"), tmp_path / "out" / "DICOMDIR"]).check()
    assert dump.output.count("ReferencedFileID") >= UIDS
