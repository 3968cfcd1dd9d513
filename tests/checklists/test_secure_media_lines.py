"""Secure media: lines RV-26 to RV-30, with openssl as the other maker and as the judge."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.fileset import FileSet

from agent.media.file_ids import fault_of
from agent.media.found import FoundInstance
from agent.media.opening import NO_KEYS, Keys, Opener
from agent.media.reading import found_in
from agent.security.cms import CIPHERS, DIGESTS
from tests.checklists.test_import_integrator import begin, image, wait_until_over
from tests.cli_of import ROOT, gantry
from tests.media.instances import ROOT as UID_ROOT
from tests.media.instances import files_of, instance, mixture, save
from tests.media.secure_files import PASSWORD, Ring, make_ring, secured
from tests.node.test_examination import Clinic
from tests.peers.dcmtk import DcmtkStoreScp
from tests.peers.memory import MIB
from tests.peers.openssl import (
    DIGESTED,
    SIGNED,
    as_content_info,
    decrypted,
    digest_verified,
    digested,
    enveloped,
    signed,
    structure,
    verified,
)
from tests.peers.programs import program, run

pytestmark = pytest.mark.peer

PATIENT_DATA = (
    *("ller^J", "19700203", "Befund", "Radiology Report", "Study 1", "Study 2", "LABEL"),
    *(UID_ROOT, "NOID-", "DICM", "ORIGINAL", "1.2.840.10008"),
)


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Ring:
    return make_ring(tmp_path_factory.mktemp("keys"))


def all_files(folder: Path) -> list[Path]:
    return sorted(each for each in folder.rglob("*") if each.is_file())


def plain_medium(medium: Path, into: Path, open_one: Callable[[Path], Path]) -> Path:
    """The medium as openssl opens it, file by file."""
    for file in all_files(medium):
        out = into / file.relative_to(medium)
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(open_one(file), out)
    return into


def uids(medium: Path, keys: Keys = NO_KEYS, **how: bool) -> list[str]:
    """What we find on it; there is no damage."""
    with Opener(keys) as opener:
        found = list(found_in(medium, opener=opener, **how))
    assert all(isinstance(each, FoundInstance) for each in found), found
    return sorted(each.sop_instance_uid for each in found if isinstance(each, FoundInstance))


def reasons(medium: Path, keys: Keys) -> dict[str, str]:
    """Why files cannot be read."""
    with Opener(keys) as opener:
        return {
            each.file: each.reason
            for each in found_in(medium, opener=opener)
            if not isinstance(each, FoundInstance)
        }


MIXTURE = sorted(str(each.SOPInstanceUID) for each in mixture())


@pytest.mark.parametrize("sign", [False, True], ids=["digested", "signed"])
def test_rv_26_every_file_is_an_envelope_and_nothing_plain_is_on_the_medium(
    ring: Ring, tmp_path: Path, sign: bool
) -> None:
    medium = tmp_path / "medium"
    signing = ["--sign", ring.signer.key, ring.signer.certificate] if sign else []
    words = ("media", "create", medium, *files_of(tmp_path / "source"))
    gantry(*words, "--recipient", ring.first.certificate, *signing, "--id", "SECURED").check()

    files = all_files(medium)
    assert medium / "DICOMDIR" in files
    assert len(files) == len(MIXTURE) + 1
    kind, name = (SIGNED, "signedData") if sign else (DIGESTED, "digestData")
    for file in files:
        seen = structure(file)
        assert "OBJECT            :pkcs7-envelopedData" in seen
        assert f"OBJECT            :pkcs7-{name}" in seen
        assert fault_of(str(file.relative_to(medium)).replace("/", "\\")) == ""

    scratch, out = tmp_path / "inner", tmp_path / "out"

    def open_one(file: Path) -> Path:
        inner = as_content_info(decrypted(file, scratch, ring.first), kind)
        return verified(inner, out, ring.authority) if sign else digest_verified(inner, out)

    plain = plain_medium(medium, tmp_path / "plain", open_one)
    assert sorted(str(each.SOPInstanceUID) for each in FileSet(plain / "DICOMDIR")) == MIXTURE
    assert uids(medium, ring.keys()) == uids(plain) == MIXTURE
    assert not reasons(plain, NO_KEYS)

    disc = tmp_path / "disc.iso"
    run(
        [program("xorriso", "xorriso"), "-as", "mkisofs", "-quiet", "-J", "-R", "-o", disc, medium]
    ).check()
    image_of_plain = tmp_path / "plain.iso"
    run(
        [program("xorriso", "xorriso"), "-as", "mkisofs", "-quiet", "-o", image_of_plain, plain]
    ).check()
    on_disc, on_plain = disc.read_bytes(), image_of_plain.read_bytes()
    for text in PATIENT_DATA:
        assert text == "NOID-" or text.encode() in on_plain, f"{text} could not be found at all"
        assert text.encode() not in on_disc, text
        assert text.encode("utf-16-be") not in on_disc, text


def test_rv_26_the_medium_is_never_plain_while_it_is_made(
    ring: Ring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agent.configuration.secrets import Secret
    from agent.media import file_set
    from agent.media.application_profiles import profile_of
    from agent.media.envelope import Envelope
    from tests.media.test_writing import CREATOR

    medium = tmp_path / "medium"
    seen: list[bytes] = []
    monkeypatch.setattr(
        file_set,
        "sync_folder",
        lambda folder: seen.extend(each.read_bytes() for each in all_files(medium)),
    )
    protection = ring.protection(passwords=(Secret(file=str(ring.password)),))
    with file_set.FileSetWriter(
        medium, profile_of("STD-GEN-SEC-CD"), CREATOR, envelope=Envelope(protection)
    ) as writer:
        for path in files_of(tmp_path / "source"):
            writer.add(path)
            seen.extend(each.read_bytes() for each in all_files(medium))
        writer.finish()
    assert seen
    assert not any(text.encode() in each for text in PATIENT_DATA for each in seen)
    assert uids(medium, ring.password_keys()) == MIXTURE


@pytest.mark.parametrize("cipher", ["aes-128", "aes-192", "aes-256"])
def test_rv_27_several_recipients_and_a_password(ring: Ring, tmp_path: Path, cipher: str) -> None:
    medium = tmp_path / "medium"
    gantry(
        *("media", "create", medium, *files_of(tmp_path / "source"), "--cipher", cipher),
        *("--recipient", ring.first.certificate, "--recipient", ring.second.certificate),
        *("--password-file", ring.password),
    ).check()
    file = next(each for each in all_files(medium) if each.name != "DICOMDIR")
    assert f":{cipher}-cbc" in structure(file)
    scratch, out = tmp_path / "inner", tmp_path / "out"
    for how in ({"own": ring.first}, {"own": ring.second}, {"password": PASSWORD}):
        inner = as_content_info(decrypted(file, scratch, **how), DIGESTED)  # type: ignore[arg-type]
        assert str(dcmread(digest_verified(inner, out)).SOPInstanceUID) in MIXTURE
    for keys in (ring.keys(ring.first), ring.keys(ring.second), ring.password_keys()):
        assert uids(medium, keys, open_files=False) == MIXTURE


def test_rv_27_a_password_outside_of_iso_ir_6_is_refused(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("Schlüssel")
    file = save(instance(1), tmp_path / "plain")
    done = gantry("media", "secure", file, tmp_path / "out", "--password-file", password)
    assert done.returncode == 2
    assert "characters that a Secure DICOM file may not have" in done.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("indefinite", [False, True], ids=["der", "ber"])
def test_rv_28_a_medium_of_another_maker_is_read(
    ring: Ring, tmp_path: Path, indefinite: bool
) -> None:
    """Each cipher, each digest, signed and digested, for a key and for a password."""
    more = ("-stream",) if indefinite else ()
    wanted = []
    number = 0
    for cipher in CIPHERS:
        for digest in DIGESTS:
            for sign in (False, True):
                number += 1
                made = instance(number)
                wanted.append(str(made.SOPInstanceUID))
                plain = save(made, tmp_path / "plain")
                inner = tmp_path / "inner"
                if sign:
                    signed(plain, inner, ring.signer, digest, *more)
                else:
                    digested(plain, inner, digest)
                to = [] if number % 2 else [ring.first.certificate]
                password = "" if to else PASSWORD
                out = tmp_path / "medium" / f"I{number:07}"
                out.parent.mkdir(exist_ok=True)
                enveloped(inner, out, *to, password=password, cipher=cipher, more=more)
    keys = Keys(ring.keys().private_keys, ring.password_keys().passwords, (str(ring.authority),))
    assert uids(tmp_path / "medium", keys) == sorted(wanted)
    found = reasons(tmp_path / "medium", NO_KEYS)
    assert len(found) == len(wanted)
    assert set(found.values()) == {"it is a Secure DICOM file and there is no key for it"}


@pytest.fixture
def clinic(tmp_path: Path, ring: Ring, start_peer: Any) -> Iterator[tuple[Clinic, Any]]:
    pacs = start_peer(DcmtkStoreScp(tmp_path / "pacs"))
    table = f'[media_keys]\nprivate_key = "{ring.first.key}"\ntrust = ["{ring.authority}"]\n'
    with Clinic(tmp_path, pacs.port, table) as made:
        yield made, pacs


def test_rv_29_what_cannot_be_opened_is_refused_with_its_reason_and_the_rest_comes(
    ring: Ring, tmp_path: Path, clinic: tuple[Clinic, Any]
) -> None:
    box, pacs = clinic
    medium, scratch = tmp_path / "medium", tmp_path / "scratch"
    medium.mkdir()
    good = []
    for number in range(8):
        made = image("1.2.3.1", number)
        made.save_as(scratch, enforce_file_format=True)
        inner = tmp_path / "inner"
        out = medium / f"I{number:07}"
        signer = ring.stranger if number == 3 else ring.signer
        signed(scratch, inner, signer)
        if number == 4:
            data = bytearray(inner.read_bytes())
            data[-10] ^= 1  # within the signature, which comes last
            inner.write_bytes(data)
        recipient = ring.stranger if number == 5 else ring.first
        enveloped(inner, out, recipient.certificate)
        if number == 6:
            data = bytearray(out.read_bytes())
            data[len(data) // 2] ^= 1
            out.write_bytes(data)
        if number == 7:
            out.write_bytes(out.read_bytes()[:-100])
        if number < 3:
            good.append(str(made.SOPInstanceUID))
    begun = begin(box, medium)
    done = wait_until_over(box, begun["id"])
    assert done["objects"] == len(good)
    said = {each["file"]: each["reason"] for each in done["failures"]}
    for number, reason in (
        (3, "its signer is unknown: CN=stranger: nobody whom we trust vouches"),
        (4, "the signature of CN=signer is wrong"),
        (5, "none of our keys opens"),
        (6, ""),
        (7, "cut off"),
    ):
        assert reason in said[f"I{number:07}"], said
    assert said["I0000006"]
    assert len(said) == 5
    stored = {str(dcmread(each).SOPInstanceUID) for each in pacs.wait_for_files(len(good))}
    assert stored == set(good)


def test_rv_29_a_secure_file_set_of_ours_is_imported_whole(
    ring: Ring, tmp_path: Path, clinic: tuple[Clinic, Any]
) -> None:
    box, pacs = clinic
    sources = []
    for number in range(4):
        sources.append(tmp_path / f"source{number}")
        image("1.2.3.1", number).save_as(sources[-1], enforce_file_format=True)
    medium = tmp_path / "medium"
    gantry("media", "create", medium, *sources, "--recipient", ring.first.certificate).check()
    done = wait_until_over(box, begin(box, medium)["id"])
    assert (done["objects"], done["failed"]) == (4, 0)
    wanted = {dcmread(each).PixelData for each in sources}
    assert {dcmread(each).PixelData for each in pacs.wait_for_files(4)} == wanted


def test_rv_29_the_command_says_why(ring: Ring, tmp_path: Path) -> None:
    plain = save(instance(1), tmp_path / "plain")
    file = secured(plain, tmp_path / "secured", ring.protection(sign=True))
    out = tmp_path / "out"
    done = gantry("media", "open", file, out, "--key", ring.first.key)
    assert done.returncode == 1
    assert "its signer is unknown: CN=signer" in done.output
    assert not out.exists()
    trust = ("--trust", ring.authority, "--json")
    done = gantry("media", "open", file, out, "--key", ring.first.key, *trust).check()
    assert json.loads(done.output)["signer"] == "CN=signer"
    assert out.read_bytes() == plain.read_bytes()
    done = gantry("media", "open", file, out, "--key", ring.first.key, *trust)
    assert (done.returncode, "File exists" in done.output) == (1, True)
    twice = gantry("media", "secure", file, tmp_path / "x", "--recipient", ring.first.certificate)
    assert (twice.returncode, "is no DICOM file" in twice.output) == (1, True)


_MEASURED = """
import re, sys
from pathlib import Path
from agent.cli.main import main
status = main(sys.argv[1:])
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print("PEAK", peak.group(1))
sys.exit(status)
"""


def peak_of(*words: str | Path) -> int:
    """The largest resident set of a command, in bytes."""
    done = run(
        [sys.executable, "-c", _MEASURED, *words],
        seconds=1800,
        folder=ROOT,
        environment={"TMPDIR": str(Path(words[-1]).parent)},
    ).check()
    return int(done.output.rpartition("PEAK ")[2]) * 1024


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(64 << 20, id="64 MiB"),
        pytest.param(2 << 30, id="2 GiB", marks=[pytest.mark.long, pytest.mark.timeout(3600)]),
    ],
)
@pytest.mark.parametrize("sign", [False, True], ids=["digested", "signed"])
def test_rv_30_a_large_file_takes_no_more_memory_than_a_small_one(
    ring: Ring, tmp_path: Path, size: int, sign: bool
) -> None:
    signing = ["--sign", str(ring.signer.key), str(ring.signer.certificate)] if sign else []
    opening = ["--key", str(ring.first.key), "--trust", str(ring.authority)]
    peaks = []
    for name, length in (("small", 1 << 20), ("large", size)):
        folder = tmp_path / name
        folder.mkdir()
        source, file, back = folder / "source", folder / "secured", folder / "back"
        with source.open("wb") as out:
            out.write(bytes(128) + b"DICM")
            out.truncate(length)
        recipient = ("--recipient", str(ring.first.certificate))
        writing = peak_of("media", "secure", *recipient, *signing, str(source), str(file))
        reading = peak_of("media", "open", *opening, str(file), str(back))
        assert run(["cmp", source, back]).check()
        peaks.append((writing, reading))
        shutil.rmtree(folder)
    for small, large in zip(*peaks, strict=True):
        assert large - small < 3 * MIB, peaks
        assert large < 75 * MIB, peaks  # of which the libraries alone are 60
