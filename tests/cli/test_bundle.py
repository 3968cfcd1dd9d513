"""`gantry doctor --bundle`: a support bundle has what support needs, and nothing of any patient."""

from __future__ import annotations

import base64
import json
import tarfile
import time
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.data import get_testdata_file
from pynetdicom import AE, AllStoragePresentationContexts, evt

from agent.cli import bundle_log
from agent.cli.bundle_redactor import REMOVED, Redactor
from agent.cli.bundle_sentences import Sentences, own_sentences, sentences_in
from tests.cli_of import gantry
from tests.node.running import NodeProcess, free_port, peer_table
from tests.node.test_steps import until
from tests.peers.dcmtk import storescu

CT = Path(str(get_testdata_file("CT_small.dcm")))

# One patient each: character set, its name in Python, and the name.
SETS = (
    ("ISO_IR 100", "latin-1", "Mußgräber^Jörgvalentin"),
    ("ISO_IR 144", "iso8859-5", "Люксемберг^Ксенофонт"),
    ("ISO_IR 192", "utf-8", "Zażółcky^Świętopełk"),
    ("\\ISO 2022 IR 87", "iso2022_jp", "Yamadazaki^Taroemon=山田崎^太郎衛門"),
    ("GB18030", "gb18030", "Wangxiaodong^Xiaoling=王小东^小玲"),
)
PEOPLE_OF_THE_CONFIGURATION = ("Obermüllerin", "Kranzbinder", "hausmeisterei")


@dataclass(frozen=True)
class Seeded:
    """What must not be found, and what was made of it."""

    texts: tuple[str, ...]
    files: tuple[Path, ...]


def seeded(folder: Path) -> Seeded:
    """Objects whose attributes are all words that are found nowhere else."""
    texts: list[str] = []
    files = []
    for number, (character_set, _, name) in enumerate(SETS):
        made = dcmread(CT)
        made.SpecificCharacterSet = character_set.split("\\")
        values = {
            "PatientName": name,
            "PatientID": f"77430{number}91827",
            "OtherPatientIDs": f"OTHERID{number}QX",
            "IssuerOfPatientID": f"ISSUER{number}QX",
            "PatientBirthDate": f"193{number}0417",
            "PatientAddress": f"Kastanienallee {number}77",
            "AccessionNumber": f"ACCQ{number}551",
            "StudyID": f"STUDQ{number}66",
            "StudyDescription": f"Verdachtsdiagnose{number}",
            "SeriesDescription": f"Seriesword{number}",
            "ReferringPhysicianName": f"Referrerin{number}^Anna",
            "OperatorsName": f"Operateuse{number}^Ida",
            "InstitutionName": f"Institutsname{number}",
            "StudyInstanceUID": f"1.2.826.0.1.9991.{number}.77123",
            "SeriesInstanceUID": f"1.2.826.0.1.9992.{number}.77123",
            "SOPInstanceUID": f"1.2.826.0.1.9993.{number}.77123",
            "FrameOfReferenceUID": f"1.2.826.0.1.9994.{number}.77123",
        }
        for keyword, value in values.items():
            setattr(made, keyword, value)
            texts += [value, *(part for part in value.replace("=", "^").split("^") if part)]
        made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
        # A file that names the patient, as people call them.
        target = folder / f"{number}.dcm"
        dcmwrite(target, made)
        files.append(target)
    return Seeded(tuple(dict.fromkeys(each for each in texts if len(each) > 2)), tuple(files))


def refusing(event: Any) -> Dataset:
    """A peer that says in its answer whose object it does not like."""
    given = event.dataset
    answer = Dataset()
    answer.Status = 0xC123
    answer.ErrorComment = f"{given.PatientID} {given.AccessionNumber} is not ours"
    return answer


@dataclass
class Box:
    """A node that has seen patients, and failed."""

    node: NodeProcess
    seeded: Seeded
    folder: Path

    def bundle(self, name: str, *more: str | Path) -> dict[str, bytes]:
        """Its parts, by name."""
        target = self.folder / name
        words = ("--config", self.node.configuration, "--control", self.node.control)
        gantry("doctor", "--bundle", target, *words, *more).check()
        assert target.stat().st_mode & 0o777 == 0o600
        return unpacked(target)


def unpacked(target: Path) -> dict[str, bytes]:
    if target.suffix == ".zip":
        with zipfile.ZipFile(target) as archive:
            return {each: archive.read(each) for each in archive.namelist()}
    with tarfile.open(target) as archive:
        found = {}
        for each in archive:
            opened = archive.extractfile(each)
            assert opened is not None
            assert (each.uid, each.uname) == (0, "")
            found[each.name] = opened.read()
        return found


def names_of_persons(folder: Path) -> str:
    return (
        f'description = "Frau Obermüllerin"\n[mail]\nhost = "localhost"\nport = 9\n'
        f'from = "kranzbinder@clinic.example"\nuser = "Kranzbinder"\n'
        f'secret = {{ file = "{folder}/hausmeisterei" }}\n'
        '[[access.operator]]\nname = "hausmeisterei"\nusers = ["0"]\nquestions = ["status"]\n'
    )


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    folder = tmp_path_factory.mktemp("bundle")
    made = seeded(folder)
    entity = AE(ae_title="PACS")
    entity.supported_contexts = AllStoragePresentationContexts
    entity.add_supported_context("1.2.840.10008.1.1")
    port = free_port()
    server = entity.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, refusing)]
    )
    drop = folder / "drop"
    drop.mkdir()
    more = (
        f'[log]\nlevel = "debug"\n[[folder]]\nname = "drop"\npath = "{drop}"\nsettle = "0.1 s"\n'
        + peer_table("PACS", port)
    )
    node = NodeProcess(folder / "node", more)
    text = node.configuration.read_text()
    profile, rest = text.split("\n", 1)
    people = names_of_persons(folder).split("[mail]", 1)
    node.configuration.write_text(f"{profile}\n{people[0]}{rest}[mail]{people[1]}")
    with node:
        fail(node, made, drop)
        yield Box(node, made, folder)
    server.shutdown()


def fail(node: NodeProcess, made: Seeded, drop: Path) -> None:
    """All that can go wrong with a patient's name in it."""
    for path in made.files:
        storescu(node.port, path, calling="CT1").check()
    for _, _, name in SETS:
        # What is no object, called by the patient.
        (drop / f"{name} {made.texts[2]}.pdf").write_bytes(b"no object")
    truncated = made.files[0].read_bytes()[:900]
    (drop / f"{made.texts[1]}.dcm").write_bytes(truncated)
    for text in made.texts:
        node_log = node.folder / "log"
        with node_log.open("a") as log:
            # A traceback, a library's words, and the words of ours about a foreign value.
            log.write(f"ValueError: {text} is no number\n{text}\n")
            log.write(f'file not taken folder=drop file="{text}" why="{text}"\n')
            log.write(json.dumps({"event": "file not taken", "file": text, text: 1}) + "\n")
    until(lambda: node.queue("PACS").get("held") == len(made.files), lambda: node.log)
    until(lambda: "file not taken" in node.log, lambda: node.log)


def forms(text: str) -> Iterator[bytes]:
    """How a text may be hidden: by its coding, by what carries it."""
    codings = ["utf-8", "utf-16-le", "utf-16-be", *(coding for _, coding, _ in SETS)]
    for coding in codings:
        try:
            raw = text.encode(coding)
        except UnicodeEncodeError:
            continue
        yield raw
        yield raw.hex().encode()
        yield raw.hex().upper().encode()
        yield quote(raw).encode()
        for before in range(3):
            # What stands before it shifts its letters by two bits; the ends depend on neighbours.
            code = base64.b64encode(b"\0" * before + raw)
            yield code[4 if before else 0 : (len(before * b" " + raw) // 3) * 4]
        yield json.dumps(raw.decode("latin-1"))[1:-1].encode()
    yield json.dumps(text)[1:-1].encode()
    yield text.encode("unicode_escape")


def leaks(parts: dict[str, bytes], texts: Iterable[str]) -> list[str]:
    """Which of them are in the bundle, and where."""
    whole = {name: (name.encode() + b"\n" + data).lower() for name, data in parts.items()}
    return [
        f"{text} in {name}"
        for text in texts
        for form in dict.fromkeys(forms(text))
        if len(form) > 3
        for name, data in whole.items()
        if form.lower() in data
    ]


def test_what_the_node_says_has_patients_in_it_so_that_there_is_something_to_find(
    box: Box,
) -> None:
    said = {
        "log": box.node.log.encode(),
        "status": json.dumps(box.node.ask("status")).encode(),
        "queue": json.dumps(box.node.ask("queue")).encode(),
        "configuration": box.node.configuration.read_bytes(),
    }
    found = {each.rpartition(" in ")[2] for each in leaks(said, box.seeded.texts)}
    assert {"log", "status", "queue"} <= found
    assert leaks(said, PEOPLE_OF_THE_CONFIGURATION)
    hidden = {
        f"{number}": form
        for number, form in enumerate(forms("Mußgräber^Jörgvalentin"))
        if len(form) > 3
    }
    assert len({each.split(" in ")[1] for each in leaks(hidden, ["Mußgräber^Jörgvalentin"])}) == (
        len(hidden)
    )


@pytest.fixture(scope="module")
def parts_of_box(box: Box) -> dict[str, bytes]:
    return box.bundle("support.tar.xz", "--log", box.node.folder / "log")


def test_nothing_of_a_patient_or_a_person_is_in_a_bundle(
    box: Box, parts_of_box: dict[str, bytes]
) -> None:
    assert leaks(parts_of_box, (*box.seeded.texts, *PEOPLE_OF_THE_CONFIGURATION)) == []


def test_a_bundle_has_what_support_needs(parts_of_box: dict[str, bytes]) -> None:
    parts = {name.partition("/")[2]: data.decode() for name, data in parts_of_box.items()}
    assert json.loads(parts["versions.json"])["profile"] == "gateway"
    assert json.loads(parts["machine.json"])["disks"]["archive main"]["free bytes"] > 0
    assert "!!  the mail server " in parts["findings.txt"]
    assert "ok  peer PACS " in parts["findings.txt"]
    assert 'name = "PACS"' in parts["configuration.toml"]
    assert f'from = "{REMOVED}"' in parts["configuration.toml"]
    status = json.loads(parts["status.json"])
    (row,) = (each for each in status["destinations"] if each["peer"] == "PACS")
    assert row["queue"]["held"] == len(SETS)
    assert "gantry_queue_depth{" in parts["metrics.txt"]
    (jobs,) = json.loads(parts["queue.json"])["jobs"]
    assert (jobs["peer"], jobs["state"], jobs["status"]) == ("PACS", "held", "C123")
    assert jobs["jobs"] == len(SETS)
    assert json.loads(parts["processes.json"])[0]["what"] == "node"
    lines = parts["log.txt"].splitlines()
    assert any("association accepted" in each and "calling=" in each for each in lines)
    assert any("object refused" in each and "peer=PACS" in each for each in lines)
    assert f'status="C123H Error: cannot understand {REMOVED}"' in parts["log.txt"]


def test_a_bundle_of_a_broken_box_is_made_all_the_same(tmp_path: Path) -> None:
    wrong = tmp_path / "gantry.toml"
    wrong.write_text('[[peer]]\nname = "PACS"\naddress = "Kranzbinder"\n')
    target = tmp_path / "b.zip"
    words = ("--config", wrong, "--control", tmp_path / "none", "--offline", "--log", wrong)
    gantry("doctor", "--bundle", target, *words).check()
    parts = unpacked(target)
    assert leaks(parts, PEOPLE_OF_THE_CONFIGURATION) == []
    assert b"!!" in parts["gantry-support/findings.txt"]
    assert b"the node did not answer" in parts["gantry-support/status.json"]


def test_a_bundle_has_one_of_two_forms(tmp_path: Path) -> None:
    done = gantry("doctor", "--bundle", tmp_path / "b.rar", "--offline")
    assert done.returncode == 2
    assert ".tar.xz" in done.output


def test_a_sentence_is_let_through_and_what_stands_in_its_gaps_is_not() -> None:
    sentences = Sentences(
        sentences_in('raise E(f"the file {a} of {b} is damaged")\n"""A {c}."""\n')
    )
    redactor = Redactor(sentences, ["PACS"])
    said = redactor.sentence("the file Doe^Jane.dcm of PACS is damaged")
    assert said == f"the file {REMOVED} of PACS is damaged"
    assert redactor.sentence("the file of Doe^Jane is lost") == REMOVED
    assert redactor.sentence("A 4711.") == REMOVED


def test_a_uid_is_the_same_word_everywhere_in_one_bundle_only() -> None:
    first, second = (Redactor(own_sentences(), []) for _ in range(2))
    uid = "1.2.826.0.1.9991.4.77123"
    assert first.field("uid", uid) == first.field("object", uid) != second.field("uid", uid)
    assert first.field("uid", uid).startswith("#")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("objects", "4711 Doe"),
        ("peer", "Doe"),
        ("state", "Doe^Jane"),
        ("uid", "Doe"),
        ("address", "Doe:104"),
        ("status", "DOE1"),
        ("why", "Doe^Jane"),
        ("patient_id", "4711"),
    ],
)
def test_a_field_is_known_by_name_and_form(name: str, text: str) -> None:
    assert Redactor(own_sentences(), ["PACS"]).field(name, text) == REMOVED


def test_of_a_long_log_the_last_lines_are_shown(tmp_path: Path) -> None:
    log = tmp_path / "log"
    error = "Doe^Jane port {} cannot be reached: nothing listens there"
    log.write_text(
        "".join(f'delivery failed peer=P error="{error.format(n)}"\n' for n in range(20_000))
    )
    redactor = Redactor(own_sentences(), ["P"])
    begun = time.process_time()
    lines = list(bundle_log.shown(bundle_log.of_files([log], 3000), redactor))
    assert time.process_time() - begun < 10
    assert len(lines) == 3000
    assert set(lines) == {
        f'delivery failed peer=P error="{REMOVED} port {REMOVED} cannot be reached: nothing'
        ' listens there"'
    }
