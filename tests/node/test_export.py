"""Studies of a node onto media, as programs of others find them there."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.fileset import FileSet

from agent.errors import GantryError
from agent.media.found import FoundInstance
from agent.media.reading import found_in
from tests.cli_of import gantry
from tests.media.instances import IMPLICIT, SC, instance, mixture, save
from tests.media.test_writing import judged, uids_by_pydicom, uids_read_by_us
from tests.node.running import NodeProcess
from tests.node.test_steps import until
from tests.peers.dcmtk import dcmsend, dcmtk_program, storescu
from tests.peers.memory import MIB, proportional_set_size
from tests.peers.process import process_tree
from tests.peers.programs import program, run
from tests.peers.sample_files import data_set_bytes

pytestmark = pytest.mark.peer

BUDGET = 40 * MIB
"""Of a worker that decodes frames; the object is of 128 MiB."""


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path / "node") as running:
        yield running


def stored(node: NodeProcess, *files: Path) -> dict[str, bytes]:
    """Send the files to the node; the data sets that it keeps, by SOP Instance UID."""
    for start in range(0, len(files), 200):
        dcmsend(node.port, *files[start : start + 200]).check()
    return {
        str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID): data_set_bytes(path)
        for path in node.objects()
    }


def a_mixture(node: NodeProcess, folder: Path) -> dict[str, bytes]:
    return stored(
        node, *(save(made, folder / f"{number}") for number, made in enumerate(mixture()))
    )


def some(
    node: NodeProcess,
    folder: Path,
    series: int = 1,
    images: int = 4,
    size: int = 64,
    study: int = 1,
) -> dict[str, bytes]:
    """Images of `size` kilobytes, all of one study."""
    made = []
    for number in range(series * images):
        image = instance(
            study * 10_000 + number,
            study=study,
            series=number // images + 1,
            Rows=size,
            Columns=512,
        )
        image.PixelData = os.urandom(size * 1024)
        made.append(save(image, folder / f"{study}-{number}"))
    return stored(node, *made)


@dataclass(frozen=True)
class Loaded:
    """A node for several tests, and the data sets that are in it, by SOP Instance UID."""

    node: NodeProcess
    archive: dict[str, bytes]


@pytest.fixture(scope="module")
def with_a_mixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    folder = tmp_path_factory.mktemp("mixture")
    with NodeProcess(folder / "node") as node:
        yield Loaded(node, a_mixture(node, folder / "in"))


@pytest.fixture(scope="module")
def with_160_images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    """Of 100 kilobytes each, in four series."""
    folder = tmp_path_factory.mktemp("images")
    with NodeProcess(folder / "node") as node:
        yield Loaded(node, some(node, folder / "in", series=4, images=40, size=100))


@pytest.fixture
def mixed(with_a_mixture: Loaded) -> Iterator[Loaded]:
    yield with_a_mixture
    nothing_goes_on(with_a_mixture.node)


@pytest.fixture
def full(with_160_images: Loaded) -> Iterator[Loaded]:
    yield with_160_images
    nothing_goes_on(with_160_images.node)


def nothing_goes_on(node: NodeProcess) -> None:
    """What a test that failed has left would disturb the next."""
    for each in node.ask("export-list")["items"]:
        if each["state"] == "IN PROGRESS":
            node.ask("export-stop", id=each["id"])
            over(node, each["id"])


def begin(node: NodeProcess, target: Path | str, **how: Any) -> dict[str, Any]:
    how = how or {"date_from": "19000101"}
    return dict(node.ask("export-begin", target=str(target), **how))


def exported(node: NodeProcess, number: int) -> dict[str, Any]:
    items = node.ask("export-list", limit=1000)["items"]
    return next(dict(each) for each in items if each["id"] == number)


def over(node: NodeProcess, number: int, seconds: float = 60.0) -> dict[str, Any]:
    until(
        lambda: exported(node, number)["state"] != "IN PROGRESS",
        lambda: f"{exported(node, number)}\n{node.log[-3000:]}",
        seconds,
    )
    return exported(node, number)


def completed(node: NodeProcess, target: Path | str, **how: Any) -> dict[str, Any]:
    found = over(node, begin(node, target, **how)["id"])
    assert found["state"] == "COMPLETED", found
    return found


def files_on(folder: Path) -> dict[str, bytes]:
    """The data sets of a file-set, by SOP Instance UID, found through its directory."""
    return {
        str(each.SOPInstanceUID): data_set_bytes(Path(each.path))
        for each in FileSet(folder / "DICOMDIR")
    }


def nothing_is_left(node: NodeProcess, folder: Path) -> None:
    names = {each.name for each in folder.iterdir()} if folder.exists() else set()
    assert not names & {"GANTRY.TMP", "DICOMDIR.NEW"}
    scratch = node.folder / "state" / "exports"
    # It goes when the export is over, a moment after that can be seen.
    until(lambda: not scratch.exists() or not list(scratch.iterdir()), lambda: node.log)


def test_a_folder_gets_a_file_set_with_every_byte_of_the_archive(
    node: NodeProcess, tmp_path: Path
) -> None:
    archive = a_mixture(node, tmp_path / "in")
    found = completed(node, tmp_path / "set")
    assert (found["profile"], found["copied"], found["failed"]) == ("STD-GEN-CD", 9, 0)
    judged(tmp_path / "set")
    assert files_on(tmp_path / "set") == archive
    assert uids_by_pydicom(tmp_path / "set") == uids_read_by_us(tmp_path / "set")
    nothing_is_left(node, tmp_path / "set")
    noted = node.ask("corrections")["items"]
    assert [each["action"] for each in noted] == ["export"] * 3
    assert [each["instances"] for each in noted] == [3, 3, 3]


@pytest.mark.parametrize(
    ("how", "uids"),
    [
        ({"patient_id": "P2"}, {7, 8, 9}),
        ({"query": {"StudyDescription": "Study 2"}}, {4, 5, 6}),
        ({"query": {"AccessionNumber": "A*", "PatientName": "m*"}, "patient_id": "P2"}, {7, 8, 9}),
        ({"date_from": "20260102", "date_to": "20260102"}, set(range(1, 10))),
    ],
)
def test_studies_are_chosen_by_what_is_known_of_them(
    mixed: Loaded, tmp_path: Path, how: dict[str, Any], uids: set[int]
) -> None:
    completed(mixed.node, tmp_path / "set", **how)
    found = {int(each.rpartition(".")[2]) for each in files_on(tmp_path / "set")}
    assert found == uids


def test_nothing_is_written_where_it_is_not_clear_what_or_where_to(
    node: NodeProcess, tmp_path: Path
) -> None:
    a_mixture(node, tmp_path / "in")
    target = tmp_path / "set"
    for message, how in (
        ("no study fits", {"patient_id": "P9"}),
        ("no study fits", {"date_from": "20260103"}),
        ("there is no study 1.2.3", {"studies": ["1.2.3"]}),
        ("not looked for by Rows", {"query": {"Rows": "1"}}),
        ("no application profile", {"patient_id": "P2", "profile": "STD-NONE"}),
        ("wants the file system UDF", {"patient_id": "P2", "profile": "STD-GEN-BD",
                                       "kind": "image"}),
        ("no file-set", {"patient_id": "P2", "update": True}),
        ("has no File-set Updater", {"patient_id": "P2", "update": True,
                                     "profile": "STD-GEN-DVD-JPEG"}),
        ("a volume 1000", {"patient_id": "P2", "volume_size": 1000}),
        ("there is no drive", {"patient_id": "P2", "kind": "disc"}),
    ):  # fmt: skip
        with pytest.raises(GantryError, match=message):
            begin(node, target, **how)
    with pytest.raises(GantryError, match="there is no folder"):
        begin(node, tmp_path / "away" / "set", patient_id="P2")
    with pytest.raises(GantryError, match="not a whole path"):
        begin(node, "set", patient_id="P2")
    assert not target.exists()
    assert node.ask("export-list")["items"] == []
    completed(node, target, patient_id="P2")
    with pytest.raises(GantryError, match="has a file-set already"):
        begin(node, target, patient_id="P2")


def test_a_file_set_is_added_to_and_what_was_there_stays(mixed: Loaded, tmp_path: Path) -> None:
    node, archive = mixed.node, mixed.archive
    target = tmp_path / "set"
    completed(node, target, patient_id="P1")
    before = {path: path.read_bytes() for path in (target / "DICOM").rglob("I*")}
    found = completed(node, target, date_from="20260101", update=True)
    assert (found["copied"], found["there"]) == (3, 6)
    assert files_on(target) == archive
    assert all(path.read_bytes() == content for path, content in before.items())
    judged(target)
    nothing_is_left(node, target)


def test_what_a_profile_does_not_take_is_converted_without_loss(
    node: NodeProcess, tmp_path: Path
) -> None:
    plain = save(instance(1), tmp_path / "in" / "1")
    implicit = save(instance(2, InstanceNumber=2), tmp_path / "in" / "2", IMPLICIT)
    image = instance(3, SC, Rows=16, Columns=16)
    image.PixelData = os.urandom(512)
    save(image, tmp_path / "raw")
    packed = tmp_path / "in" / "3"
    run([dcmtk_program("dcmcjpeg"), "+e1", tmp_path / "raw", packed]).check()
    # dcmsend would turn it into what the node prefers.
    storescu(node.port, implicit, options=["-xi"]).check()
    archive = stored(node, plain, packed)
    found = completed(node, tmp_path / "set", profile="STD-GEN-CD", date_from="1900")
    assert (found["copied"], found["converted"], found["failed"]) == (1, 2, 0)
    judged(tmp_path / "set")
    uids = set()
    for each in FileSet(tmp_path / "set" / "DICOMDIR"):
        written = pydicom.dcmread(each.path)
        assert written.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
        uids.add(str(written.SOPInstanceUID))
        if written.SOPInstanceUID == image.SOPInstanceUID:
            assert written.PixelData == image.PixelData
        else:
            assert written.PixelData == bytes(128)
            assert written.PatientName == "Müller^Jürgen"
    assert uids == set(archive)
    run([dcmtk_program("dcmmkdir"), "-Pgp", "+id", tmp_path / "set", "+r", "+D",
         tmp_path / "THEIRS", "DICOM"]).check()  # fmt: skip


def test_what_cannot_be_converted_is_left_out_and_named(mixed: Loaded, tmp_path: Path) -> None:
    node = mixed.node
    target = tmp_path / "set"
    found = completed(node, target, profile="STD-CTMR-CD", date_from="1900")
    kept = {path.rpartition(".")[2] for path in uids_read_by_us(target)}
    assert kept == {"1", "2", "3", "8"}
    assert (found["copied"], found["failed"]) == (4, 5)
    assert all("has no room for objects" in each["reason"] for each in found["failures"])
    assert {each["sop_instance_uid"].rpartition(".")[2] for each in found["failures"]} == {
        "4", "5", "6", "7", "9"
    }  # fmt: skip
    said = gantry("export", "--list", "--control", node.control)
    assert "4 of 9 objects" in said.output and "5 left out" in said.output


def image_files(image: Path, into: Path) -> Path:
    """The files of an image, as xorriso takes them out."""
    run([program("xorriso", "xorriso"), "-no_rc", "-osirrox", "on", "-indev", f"stdio:{image}",
         "-extract", "/", into]).check()  # fmt: skip
    for path in (into, *into.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return into


def test_an_image_has_every_file_as_other_programs_find_it(mixed: Loaded, tmp_path: Path) -> None:
    node, archive = mixed.node, mixed.archive
    image = tmp_path / "cd.iso"
    found = completed(node, image, kind="image", profile="STD-GEN-CD", date_from="1900")
    assert found["copied"] == 9
    out = image_files(image, tmp_path / "out")
    assert files_on(out) == archive
    judged(out)
    listed = run([program("genisoimage", "isoinfo"), "-l", "-i", image]).check().output
    assert "DICOMDIR" in listed and listed.count("I0000001") >= 5
    described = run([program("genisoimage", "isoinfo"), "-d", "-i", image]).check().output
    assert f"Volume id: EXPORT_{found['id']}" in described
    assert "Rock Ridge" not in described.replace("NO Rock Ridge", "")
    nothing_is_left(node, tmp_path / "set")
    with pytest.raises(GantryError, match="is there already"):
        begin(node, image, kind="image", date_from="1900")


@pytest.mark.parametrize("kind", ["folder", "image"])
def test_what_is_too_large_for_one_volume_is_on_several_each_a_file_set(
    node: NodeProcess, tmp_path: Path, kind: str
) -> None:
    archive = some(node, tmp_path / "in", series=3, images=3, size=200)
    archive |= some(node, tmp_path / "in", series=1, images=2, size=100, study=2)
    ending = ".iso" if kind == "image" else ""
    size = 1_450_000 if kind == "image" else 800_000
    found = completed(
        node, tmp_path / f"big{ending}", kind=kind, volume_size=size, date_from="1900"
    )
    names = [Path(each["place"]).name for each in found["volumes"]]
    assert names == [f"big-{number}{ending}" for number in range(1, len(names) + 1)]
    assert len(names) >= 3
    seen: dict[str, bytes] = {}
    for number, name in enumerate(names):
        folder = tmp_path / name
        if kind == "image":
            assert folder.stat().st_size <= size
            folder = image_files(folder, tmp_path / f"out-{number}")
        else:
            assert sum(each.stat().st_size for each in folder.rglob("*") if each.is_file()) <= size
        judged(folder)
        content = files_on(folder)
        assert content and not content.keys() & seen.keys()
        seen |= content
    assert seen == archive
    assert not (tmp_path / f"big{ending}").exists()


def test_a_disc_is_burnt_and_the_next_volume_waits_for_the_next_disc(
    node: NodeProcess, tmp_path: Path
) -> None:
    archive = some(node, tmp_path / "in", series=2, images=3, size=200)
    drive = tmp_path / "drive"
    drive.touch()
    begun = begin(node, drive, kind="disc", volume_size=1_600_000, date_from="1900")
    seen: dict[str, bytes] = {}
    until(lambda: "is not blank" in exported(node, begun["id"])["waits"], lambda: node.log)
    assert [each["done"] for each in exported(node, begun["id"])["volumes"]] == [True, False]
    seen |= files_on(image_files(drive, tmp_path / "out-1"))
    drive.write_bytes(b"")
    assert over(node, begun["id"])["state"] == "COMPLETED"
    second = files_on(image_files(drive, tmp_path / "out-2"))
    assert not seen.keys() & second.keys()
    assert seen | second == archive
    nothing_is_left(node, tmp_path / "set")


def test_what_a_killed_node_left_of_an_export_that_was_over_goes(node: NodeProcess) -> None:
    node.kill()
    left = node.folder / "state" / "exports" / "main-4711"
    left.mkdir(parents=True)
    (left / "message.eml").write_text("with a patient's images")
    with node:
        until(lambda: not left.exists(), lambda: node.log)


@pytest.mark.parametrize("kind", ["folder", "image"])
@pytest.mark.parametrize("moment", [0.0, 0.3, 0.8, 1.5])
def test_an_export_goes_on_after_the_node_was_killed(
    full: Loaded, tmp_path: Path, moment: float, kind: str
) -> None:
    node, archive = full.node, full.archive
    target = tmp_path / ("cd.iso" if kind == "image" else "set")
    begun = begin(node, target, kind=kind, date_from="1900")
    until(lambda: exported(node, begun["id"])["stage"], lambda: node.log)
    time.sleep(moment)
    node.kill()
    node.start()
    found = over(node, begun["id"])
    assert (found["state"], found["copied"], found["failed"]) == ("COMPLETED", 160, 0)
    if kind == "image":
        target = image_files(target, tmp_path / "out")
    assert files_on(target) == archive
    on_disk = [each for each in target.rglob("*") if each.is_file()]
    assert len(on_disk) == 161, "nothing of the first attempt is left"
    nothing_is_left(node, target)


def test_an_update_that_is_given_up_leaves_the_file_set_as_it_was(
    node: NodeProcess, tmp_path: Path
) -> None:
    archive = some(node, tmp_path / "in", images=2)
    target = tmp_path / "set"
    completed(node, target, date_from="1900")
    before = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
    some(node, tmp_path / "in", series=4, images=60, size=100, study=2)
    begun = begin(node, target, date_from="1900", update=True)
    until(lambda: exported(node, begun["id"])["now"] > 5, lambda: node.log)
    node.ask("export-stop", id=begun["id"])
    assert over(node, begun["id"])["state"] == "DISCONTINUED"
    assert {path: path.read_bytes() for path in target.rglob("*") if path.is_file()} == before
    assert files_on(target) == archive
    with pytest.raises(GantryError, match="not in progress"):
        node.ask("export-stop", id=begun["id"])
    nothing_is_left(node, target)


@pytest.fixture
def stick(tmp_path: Path) -> Iterator[Path]:
    """A file system of twenty megabytes."""
    folder = tmp_path / "stick"
    folder.mkdir()
    if os.geteuid() or not plugged(folder):
        pytest.skip("needs the right to mount")
    yield folder
    subprocess.run(["umount", "-l", folder], capture_output=True)


def plugged(folder: Path, options: str = "size=20m") -> bool:
    words = ["mount", "-t", "tmpfs", "-o", options, "gantry-test", str(folder)]
    return not subprocess.run(words, capture_output=True).returncode


def test_too_little_room_is_said_before_anything_is_written(
    node: NodeProcess, tmp_path: Path, stick: Path
) -> None:
    some(node, tmp_path / "in", images=30, size=1024)
    with pytest.raises(GantryError, match=r"[0-9]+ bytes are needed .* [0-9]+ are free"):
        begin(node, stick / "set", date_from="1900")
    with pytest.raises(GantryError, match="bytes are needed"):
        begin(node, stick / "cd.iso", kind="image", date_from="1900")
    assert list(stick.iterdir()) == []


def test_a_target_that_is_full_before_the_end_fails_and_is_left_as_it_was(
    node: NodeProcess, tmp_path: Path, stick: Path
) -> None:
    some(node, tmp_path / "in", images=15, size=64)
    subprocess.run(["umount", stick], check=True)
    # Room for bytes, and not for so many files: that is not known before.
    assert plugged(stick, "size=20m,nr_inodes=16")
    (stick / "letter").write_text("mine")
    found = over(node, begin(node, stick / "set", date_from="1900")["id"])
    assert found["state"] == "FAILED", found
    assert "no room left" in found["reason"]
    assert [each.name for each in stick.rglob("*")] == ["letter"]
    assert (stick / "letter").read_text() == "mine"


def test_a_stick_that_is_pulled_is_waited_for_and_nothing_goes_where_it_was(
    full: Loaded, stick: Path
) -> None:
    node, archive = full.node, full.archive
    begun = begin(node, stick / "set", date_from="1900")
    until(lambda: exported(node, begun["id"])["now"] > 5, lambda: node.log)
    subprocess.run(["umount", "-l", stick], check=True)
    until(lambda: exported(node, begun["id"])["waits"], lambda: node.log)
    assert "cannot be written to" in exported(node, begun["id"])["waits"]
    assert plugged(stick, "size=40m")
    found = over(node, begun["id"])
    assert (found["state"], found["copied"]) == ("COMPLETED", 160)
    assert files_on(stick / "set") == archive
    nothing_is_left(node, stick / "set")


def test_the_command_exports_waits_and_tells(node: NodeProcess, tmp_path: Path) -> None:
    a_mixture(node, tmp_path / "in")
    control = ("--control", str(node.control))
    done = gantry("export", tmp_path / "set", "--patient", "P2", "--wait", *control)
    assert done.returncode == 0, done
    assert "3 of 3 objects of 1 studies as STD-GEN-CD" in done.output
    said = gantry("export", "--list", "--json", *control).check()
    (item,) = json.loads(said.output)["items"]
    assert (item["state"], item["copied"]) == ("COMPLETED", 3)
    image = gantry("export", tmp_path / "cd.iso", "--image", "--from", "2026-01-02", "--wait",
                   "--volume-size", "650MiB", *control)  # fmt: skip
    assert image.returncode == 0, image
    assert len([each for each in found_in(image_files(tmp_path / "cd.iso", tmp_path / "out"))
                if isinstance(each, FoundInstance)]) == 9  # fmt: skip
    left_out = gantry("export", tmp_path / "two", "--patient", "P2", "--wait", "--profile",
                      "STD-CTMR-CD", *control)  # fmt: skip
    assert left_out.returncode == 1
    for words in (
        (tmp_path / "x",),
        ("--patient", "P2"),
        (tmp_path / "x", "--burn", "/dev/sr0", "--patient", "P2"),
        (tmp_path / "x", "--from", "yesterday"),
        (tmp_path / "x", "--patient", "P2", "--volume-size", "many"),
    ):
        assert gantry("export", *words, *control).returncode == 2, words


def test_memory_does_not_grow_with_the_objects(node: NodeProcess, tmp_path: Path) -> None:
    """A worker has its own modules, some MiB, and pieces of what it copies."""
    image = instance(1, SC, Rows=16384, Columns=4096)
    image.PixelData = bytes(1 << 27)
    raw = save(image, tmp_path / "raw")
    run([dcmtk_program("dcmcjpeg"), "+e1", raw, tmp_path / "packed"]).check()
    archive = stored(node, save(instance(2), tmp_path / "2"), tmp_path / "packed")
    assert node.process is not None
    most = 0
    for target, profile in (("jpeg", "STD-GEN-USB-JPEG"), ("plain", "STD-GEN-CD")):
        begun = begin(node, tmp_path / target, profile=profile, date_from="1900")
        while exported(node, begun["id"])["state"] == "IN PROGRESS":
            for process in process_tree(node.process.pid):
                most = max(most, proportional_set_size([process]))
            time.sleep(0.05)
        assert over(node, begun["id"])["copied"] + exported(node, begun["id"])["converted"] == 2
    assert files_on(tmp_path / "jpeg") == archive
    assert most < BUDGET, f"{most / MIB:.1f} MiB"
