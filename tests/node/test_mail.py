"""Studies of a node as ZIP files and as mails, and back again."""

from __future__ import annotations

import shutil
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.errors import GantryError
from agent.media.found import FoundInstance
from agent.media.opening import Opener
from agent.media.reading import found_in
from tests.cli_of import gantry
from tests.media.secure_files import Ring, make_ring
from tests.media.test_writing import judged
from tests.node.running import NodeProcess
from tests.node.test_export import (
    a_mixture,
    begin,
    completed,
    exported,
    files_on,
    nothing_is_left,
    over,
    some,
)
from tests.node.test_steps import until
from tests.peers.certificates import Certificates
from tests.peers.mail_server import PASSWORD, USER, MailServer
from tests.peers.programs import missing, program, run
from tests.peers.sample_files import data_set_bytes

pytestmark = pytest.mark.peer

TO = "mailto:doctor@practice.example"
QUICK = "[mail.retry]\nfirst = 0.3\nlongest = 1\njitter = 0\n"


@pytest.fixture(scope="module", autouse=True)
def aiosmtpd() -> None:
    if not Path("/usr/lib/python3/dist-packages/aiosmtpd").exists():
        missing("aiosmtpd", "apt-get install python3-aiosmtpd, or './gantry test' as root")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    with MailServer(tmp_path_factory.mktemp("smtp")) as running:
        yield running


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Ring:
    return make_ring(tmp_path_factory.mktemp("ring"))


@pytest.fixture(scope="module")
def shared(
    server: MailServer, ring: Ring, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[NodeProcess, dict[str, bytes]]]:
    """A node with nine objects in three studies."""
    folder = tmp_path_factory.mktemp("node")
    certificates = folder / "certificates"
    certificates.mkdir()
    shutil.copy(ring.first.certificate, certificates / "doctor@practice.example.pem")
    secured = (
        f'certificates = "{certificates}"\nsigning_key = "{ring.signer.key}"\n'
        f'signing_certificate = "{ring.signer.certificate}"\n'
        'recipients = ["*@practice.example"]\n'
    )
    with NodeProcess(folder / "node", server.table(secured + QUICK)) as running:
        yield running, a_mixture(running, folder / "in")


@pytest.fixture
def node(shared: tuple[NodeProcess, dict[str, bytes]], server: MailServer) -> NodeProcess:
    server.answer()
    for each in server.folder.glob("0*"):
        each.unlink()
    return shared[0]


@pytest.fixture
def archive(shared: tuple[NodeProcess, dict[str, bytes]]) -> dict[str, bytes]:
    return shared[1]


def unzipped(archive: Path, folder: Path) -> Path:
    run([program("unzip", "unzip"), "-q", archive, "-d", folder]).check()
    return folder


def refusal(node: NodeProcess, target: Path | str, **how: Any) -> str:
    with pytest.raises(GantryError) as caught:
        begin(node, target, **{"date_from": "19000101", **how})
    return str(caught.value)


def test_a_zip_file_has_every_byte_of_the_archive(
    node: NodeProcess, archive: dict[str, bytes], tmp_path: Path
) -> None:
    done = gantry(
        "export",
        *("--control", node.control, "--from", "19000101", "--wait", tmp_path / "all.zip"),
    )
    assert done.returncode == 0, done.output
    run([program("unzip", "unzip"), "-tq", tmp_path / "all.zip"]).check()
    folder = unzipped(tmp_path / "all.zip", tmp_path / "out")
    judged(folder)
    assert files_on(folder) == archive
    assert exported(node, 1)["profile"] == "STD-GEN-ZIP-MAIL"
    assert {each.name for each in tmp_path.iterdir()} == {"all.zip", "out"}
    nothing_is_left(node, folder)
    for act in ("list", "check"):
        found = gantry("media", act, tmp_path / "all.zip")
        assert found.returncode == 0, found.output


@pytest.mark.long
def test_several_zip_files_where_one_is_too_large(
    node: NodeProcess, archive: dict[str, bytes], tmp_path: Path
) -> None:
    limit = 16_000
    found = completed(node, tmp_path / "a.zip", kind="zip", volume_size=limit, date_from="19000101")
    files = sorted(tmp_path.glob("a-*.zip"))
    assert len(files) == len(found["volumes"]) > 1
    seen = {}
    for each in files:
        assert each.stat().st_size <= limit
        seen |= files_on(unzipped(each, tmp_path / each.stem))
    assert seen == archive


def test_a_mail_in_a_file_is_imported_by_another_node(
    node: NodeProcess, archive: dict[str, bytes], tmp_path: Path
) -> None:
    for profile, target in (("STD-GEN-MIME", "parts.eml"), ("", "zipped.eml")):
        completed(node, tmp_path / target, kind="message", profile=profile, date_from="19000101")
    (tmp_path / "zip").mkdir()
    with zipfile.ZipFile(tmp_path / "zip" / "theirs.ZIP", "w") as theirs:
        for path in node.objects():
            theirs.write(path, f"a name of theirs/{path.name}.dcm")
    with NodeProcess(tmp_path / "other") as other:
        paths = (tmp_path / "parts.eml", tmp_path / "zipped.eml", tmp_path / "zip" / "theirs.ZIP")
        for number, (path, patient) in enumerate(zip(paths, ("P1", "P2", "P1"), strict=True)):
            words = ("--unchanged", "--wait", "--patient", patient, path)
            done = gantry("import", "--control", other.control, *words)
            assert done.returncode == 0, done.output
            assert len(other.objects()) == (6, 9, 9)[number]
        assert {data_set_bytes(path) for path in other.objects()} == set(archive.values())


def test_a_mail_is_sent_and_what_the_server_said_is_told(
    node: NodeProcess, server: MailServer, archive: dict[str, bytes], tmp_path: Path
) -> None:
    done = gantry(
        "export",
        *("--control", node.control, "--patient", "P2", "--wait", f"{TO},b@practice.example"),
    )
    assert done.returncode == 0, done.output
    assert "250 2.0.0 taken as" in done.output
    (mail,), (envelope,) = server.mails, server.envelopes
    assert envelope["from"] == mail["From"] == "box@clinic.example"
    assert envelope["to"] == ["doctor@practice.example", "b@practice.example"]
    assert envelope["options"] == [f"SIZE={server.files[0].stat().st_size}"] or envelope["options"]
    assert "DICOM-ZIP" in mail["Subject"] and mail["Message-ID"] in done.output
    assert "P2" not in mail["Subject"] and "Müller" not in str(mail["Subject"])
    (attachment,) = mail.iter_attachments()
    (tmp_path / "a.zip").write_bytes(attachment.get_content())
    sent = files_on(unzipped(tmp_path / "a.zip", tmp_path / "set"))
    assert len(sent) == 3 and sent.items() <= archive.items()
    nothing_is_left(node, tmp_path / "set")


def test_a_secured_mail_is_for_one_who_has_the_key(
    node: NodeProcess, server: MailServer, archive: dict[str, bytes], ring: Ring
) -> None:
    completed(node, TO, kind="mail", profile="STD-GEN-SEC-ZIP-MAIL", patient_id="P2")
    found = [
        each.sop_instance_uid
        for each in found_in(server.files[0], opener=Opener(ring.keys()))
        if isinstance(each, FoundInstance)
    ]
    assert len(found) == 3 and set(found) <= set(archive)


@pytest.mark.parametrize(
    ("target", "how", "reason"),
    [
        ("mailto:doctor@elsewhere.example", {}, "nothing may be sent to doctor@elsewhere"),
        ("mailto:doctor", {}, "'doctor' is no mail address"),
        ("mailto:a@practice.example\r\nBcc: x@y", {}, "is no mail address"),
        (TO, {"profile": "STD-GEN-CD"}, "STD-GEN-CD is not for mails"),
        (
            "mailto:b@practice.example",
            {"profile": "STD-GEN-SEC-ZIP-MAIL"},
            "there is no certificate of b@practice.example",
        ),
    ],
)
def test_what_cannot_be_sent_is_refused_at_once(
    node: NodeProcess, server: MailServer, target: str, how: dict[str, str], reason: str
) -> None:
    assert reason in refusal(node, target, kind="mail", **how)
    assert not server.files


def test_mails_are_for_mails(node: NodeProcess, tmp_path: Path) -> None:
    for kind in ("folder", "image"):
        why = refusal(node, tmp_path / "x", kind=kind, profile="STD-GEN-ZIP-MAIL")
        assert "STD-GEN-ZIP-MAIL is for mails only" in why
    sealed = refusal(node, tmp_path / "x.eml", kind="message", profile="STD-GEN-SEC-ZIP-MAIL")
    assert "encrypted for somebody" in sealed


def test_a_server_that_says_later_is_asked_again(node: NodeProcess, server: MailServer) -> None:
    server.answer(data="451 4.3.0 come back later")
    number = begin(node, TO, kind="mail", patient_id="P2")["id"]
    until(lambda: "451 4.3.0 come back later" in exported(node, number)["waits"], lambda: node.log)
    server.answer(rcpt={"doctor@practice.example": "450 4.2.1 mailbox busy"})
    until(lambda: "450 4.2.1 mailbox busy" in exported(node, number)["waits"], lambda: node.log)
    assert not server.files
    server.answer()
    assert over(node, number)["state"] == "COMPLETED"
    assert len(server.files) == 1


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"data": "554 5.7.1 no pictures here"}, "554 5.7.1 no pictures here"),
        ({"mail": "550 5.1.8 who are you"}, "550 5.1.8 who are you"),
        (
            {"rcpt": {"doctor@practice.example": "550 5.1.1 no such doctor"}},
            "550 5.1.1 no such doctor",
        ),
    ],
)
def test_a_refusal_for_good_is_told_in_the_words_of_the_server(
    node: NodeProcess, server: MailServer, answers: dict[str, Any], words: str, tmp_path: Path
) -> None:
    server.answer(**answers)
    found = over(node, begin(node, TO, kind="mail", patient_id="P2")["id"])
    assert found["state"] == "FAILED"
    assert words in found["reason"]
    nothing_is_left(node, tmp_path)


def test_one_who_is_refused_does_not_keep_it_from_the_others(
    node: NodeProcess, server: MailServer
) -> None:
    server.answer(rcpt={"gone@practice.example": "550 5.1.1 no such user"})
    target = f"{TO},gone@practice.example"
    found = over(node, begin(node, target, kind="mail", patient_id="P2")["id"])
    assert found["state"] == "FAILED"
    assert "gone@practice.example: 550 5.1.1 no such user" in found["reason"]
    assert "it was sent to doctor@practice.example" in found["reason"]
    assert [each["to"] for each in server.envelopes] == [["doctor@practice.example"]]


def test_those_who_have_it_do_not_get_it_again(node: NodeProcess, server: MailServer) -> None:
    server.answer(rcpt={"busy@practice.example": "450 4.2.1 busy"})
    number = begin(node, f"{TO},busy@practice.example", kind="mail", patient_id="P2")["id"]
    until(lambda: "450 4.2.1 busy" in exported(node, number)["waits"], lambda: node.log)
    server.answer()
    assert over(node, number)["state"] == "COMPLETED"
    assert [each["to"] for each in server.envelopes] == [
        ["doctor@practice.example"],
        ["busy@practice.example"],
    ]
    assert len({mail["Message-ID"] for mail in server.mails}) == 1


def test_what_is_uncertain_is_sent_again_as_the_same_mail_and_told(
    node: NodeProcess, server: MailServer
) -> None:
    server.answer(leave=True)
    number = begin(node, TO, kind="mail", patient_id="P2")["id"]
    until(lambda: "before it said" in exported(node, number)["waits"], lambda: node.log)
    server.answer()
    found = over(node, number)
    assert found["state"] == "COMPLETED"
    assert "it may have come twice" in found["said"][0]
    assert len(server.files) >= 2
    assert len({path.read_bytes() for path in server.files}) == 1


def test_an_export_that_is_stopped_is_not_sent(node: NodeProcess, server: MailServer) -> None:
    server.answer(data="451 later")
    number = begin(node, TO, kind="mail", patient_id="P2")["id"]
    until(lambda: exported(node, number)["waits"], lambda: node.log)
    node.ask("export-stop", id=number)
    assert over(node, number)["state"] == "DISCONTINUED"
    server.answer()
    time.sleep(0.5)
    assert not server.files


def test_several_mails_where_one_is_too_large(
    node: NodeProcess, server: MailServer, archive: dict[str, bytes], tmp_path: Path
) -> None:
    found = completed(node, TO, kind="mail", volume_size=24_000, date_from="19000101")
    assert len(server.files) == len(found["volumes"]) > 1
    seen = {}
    for number, (path, mail) in enumerate(zip(server.files, server.mails, strict=True)):
        assert path.stat().st_size <= 24_000
        (attachment,) = mail.iter_attachments()
        (tmp_path / f"{number}.zip").write_bytes(attachment.get_content())
        seen |= files_on(unzipped(tmp_path / f"{number}.zip", tmp_path / f"{number}"))
    assert seen == archive
    assert len({mail["Message-ID"] for mail in server.mails}) == len(server.files)


# Nodes of their own.


def test_a_node_that_is_killed_sends_its_mail_once(tmp_path: Path) -> None:
    with MailServer(tmp_path / "smtp") as server:
        server.answer(data="451 later")
        with NodeProcess(tmp_path / "node", server.table(QUICK)) as node:
            some(node, tmp_path / "in", images=2)
            number = begin(node, TO, kind="mail", date_from="19000101")["id"]
            until(lambda: exported(node, number)["waits"], lambda: node.log)
            node.kill()
            server.answer()
            node.start()
            assert over(node, number)["state"] == "COMPLETED"
            assert len(server.files) == 1
            node.kill()
            node.start()
            time.sleep(1)
            assert len(server.files) == 1


@pytest.mark.long
def test_a_server_that_is_not_there_is_waited_for_until_it_is_too_long(tmp_path: Path) -> None:
    table = '[mail]\nhost = "localhost"\nport = 9\nsecurity = "none"\nfrom = "box@clinic.example"\n'
    with NodeProcess(tmp_path / "node", f"{table}{QUICK}attempts = 2\n") as node:
        some(node, tmp_path / "in", images=2)
        found = over(node, begin(node, TO, kind="mail", date_from="19000101")["id"])
        assert found["state"] == "FAILED"
        assert "given up after 2 tries" in found["reason"]
        assert "it cannot be reached" in found["reason"]


@pytest.mark.parametrize("security", ["starttls", pytest.param("implicit", marks=pytest.mark.long)])
def test_mails_go_over_tls_to_a_server_that_is_who_it_should_be(
    tmp_path: Path, certificates: Certificates, security: str
) -> None:
    (tmp_path / "password").write_text(PASSWORD)
    login = f'user = "{USER}"\nsecret = {{ file = "{tmp_path}/password" }}\n'
    trust = f'trust = ["{certificates.authority}"]\n'
    with MailServer(
        tmp_path / "smtp", security=security, credentials=certificates.server
    ) as server:
        server.answer(auth=True)
        with NodeProcess(tmp_path / "node", server.table(login + QUICK, security=security)) as node:
            some(node, tmp_path / "in", images=2)
            number = begin(node, TO, kind="mail", date_from="19000101")["id"]
            until(lambda: "certificate" in exported(node, number)["waits"], lambda: node.log)
            node.write(server.table(login.replace(USER, "nobody") + trust + QUICK, security))
            node.ask("reload")
            until(lambda: "535" in exported(node, number)["waits"], lambda: node.log)
            assert not server.files
            node.write(server.table(login + trust + QUICK, security))
            node.ask("reload")
            assert over(node, number)["state"] == "COMPLETED"
        (envelope,) = server.envelopes
        assert envelope["tls"] and envelope["user"]
