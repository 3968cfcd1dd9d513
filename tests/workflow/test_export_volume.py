"""Volumes of an export step by step, with what can happen between two of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset

from agent.archive.archive import Archive
from agent.archive.decision import KeepAll, Origin
from agent.archive.layout import object_path
from agent.archive.reader_worker import instances
from agent.archive.settings import ArchiveSettings
from agent.dataset.file_meta import encode_file_meta
from agent.errors import GantryError, StorageError
from agent.loop import Loop, timeout
from agent.loop.workers import Template, WorkerPool
from agent.media.disc_image import files_in
from agent.workflow.export_planning import plan
from agent.workflow.export_settings import (
    BURNING,
    DISC,
    FOLDER,
    IMAGE,
    VERIFYING,
    NoRoom,
    NotAsWritten,
    Plan,
    Selection,
    Target,
    VolumeSettings,
)
from agent.workflow.export_volume import VolumeWriting
from tests.media.instances import EXPLICIT, instance, save
from tests.media.test_writing import uids_read_by_us
from tests.peers.programs import program, run
from tests.peers.sample_files import split_part10

ALL = Selection(date_from="19000101")


def archive_of(folder: Path, *objects: Dataset) -> Path:
    """An archive with these objects, as received in Explicit VR Little Endian."""
    template = Template.start()

    async def main() -> None:
        pool = WorkerPool(template, limit=1)
        archive = await Archive.open(
            folder / "archive", template, KeepAll(), settings=ArchiveSettings(reserve=0), pool=pool
        )
        try:
            with timeout(60):
                for each in objects:
                    await store(archive, each)
        finally:
            await archive.close()
            pool.close()

    async def store(archive: Archive, each: Dataset) -> None:
        _, data = split_part10(save(each, folder / "object").read_bytes())
        meta = encode_file_meta(
            sop_class_uid=each.SOPClassUID,
            sop_instance_uid=each.SOPInstanceUID,
            transfer_syntax_uid=EXPLICIT,
            implementation_class_uid="1.2.3",
            implementation_version_name="TEST",
        )
        with archive.receive(meta) as reception:
            os.write(reception.descriptor, data)
            origin = Origin(
                source="test",
                sop_class_uid=each.SOPClassUID,
                sop_instance_uid=each.SOPInstanceUID,
            )
            assert (await archive.commit(reception, origin)).is_stored

    try:
        Loop().run(main())
    finally:
        template.close()
    return folder / "archive"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return archive_of(tmp_path, *(instance(number) for number in range(1, 5)))


def planned(archive: Path, target: Target, selection: Selection = ALL) -> Plan:
    return plan(str(archive), selection, target, "", str(archive.parent))


def writing(archive: Path, target: Target, made: Plan | None = None) -> VolumeWriting:
    made = made or planned(archive, target)
    return VolumeWriting(
        VolumeSettings(
            "1", 1, "EXPORT_1", str(archive), str(archive.parent / "scratch"), made.profile, target,
            made.mount, made.volumes[0], made.last_instance, "1.2.3", "TEST",
        )
    )  # fmt: skip


def until_stage(volume: VolumeWriting, stage: str, count: int = 1) -> Iterator[object]:
    """Go on until so many steps of a stage are done; what is still to come."""
    steps = volume.steps()
    for step in steps:
        if step.stage == stage:
            count -= 1
        if not count:
            break
    return steps


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def flipped_head(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 2)


def longer(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0\0")


@pytest.mark.parametrize("damage", [flipped, flipped_head, cut, longer, Path.unlink])
@pytest.mark.parametrize("name", ["I0000002", "DICOMDIR"])
def test_rv_24_what_is_not_as_it_was_written_is_found_and_named(
    archive: Path, tmp_path: Path, damage: object, name: str
) -> None:
    target = tmp_path / "set"
    steps = until_stage(writing(archive, Target(FOLDER, str(target))), VERIFYING)
    (path,) = target.rglob(name)
    assert callable(damage)
    damage(path)
    with pytest.raises(NotAsWritten, match=name):
        for _ in steps:
            pass


@pytest.mark.parametrize("damage", [flipped, cut, Path.unlink])
def test_rv_24_damage_of_an_image_is_found_and_named(
    archive: Path, tmp_path: Path, damage: object
) -> None:
    program("xorriso", "xorriso")
    target = tmp_path / "cd.iso"
    volume = writing(archive, Target(IMAGE, str(target)))
    steps = until_stage(volume, VERIFYING, 5 + 1 + 1)
    (path,) = (archive.parent / "scratch" / "file-set").rglob("I0000003")
    assert callable(damage)
    damage(path)
    with pytest.raises(NotAsWritten, match="I0000003"):
        for _ in steps:
            pass
    volume.take_back()
    assert not target.exists()


def test_each_step_is_cut_off_once_and_the_next_life_writes_the_same(
    archive: Path, tmp_path: Path
) -> None:
    target = Target(FOLDER, str(tmp_path / "set"))
    made = planned(archive, target)
    # Held to the end: a process that is killed tidies nothing.
    killed = []
    count = len(list(writing(archive, target, made).steps()))
    assert count == 4 + 5 + 1
    with pytest.raises(GantryError, match="has a file-set already"):
        planned(archive, target)
    for moment in range(count):
        # The note of what is finished goes, as another export would not have it.
        for path in (archive.parent / "scratch").iterdir():
            path.unlink()
        other = Target(FOLDER, str(tmp_path / f"set-{moment}"))
        made = planned(archive, other)
        steps = writing(archive, other, made).steps()
        for _ in range(moment):
            next(steps)
        killed.append(steps)
        again = writing(archive, other, made)
        assert len(list(again.steps())) == count
        assert again.tally().copied == 4
        names = sorted(path.name for path in Path(other.path).rglob("*") if path.is_file())
        assert names == ["DICOMDIR", "I0000001", "I0000002", "I0000003", "I0000004"]
        once_more = writing(archive, other, made)
        assert list(once_more.steps()) == [] and once_more.tally() == again.tally()


def test_a_note_of_another_export_is_not_believed(archive: Path, tmp_path: Path) -> None:
    target = Target(FOLDER, str(tmp_path / "set"))
    volume = writing(archive, target)
    assert list(volume.steps())
    other = Target(FOLDER, str(tmp_path / "other"))
    settings = writing(archive, other)._settings
    # The index was lost: numbers begin anew, and our scratch files are those of a former one.
    assert list(VolumeWriting(settings._replace(key="1-of-another-time")).steps())
    assert uids_read_by_us(tmp_path / "other") == uids_read_by_us(tmp_path / "set")


def test_an_update_that_is_cut_off_at_any_step_is_taken_back_whole(tmp_path: Path) -> None:
    archive = archive_of(tmp_path, *(instance(each, study=each) for each in (1, 2, 3)))
    target = tmp_path / "set"
    first = Selection(query=(("StudyID", "1"),))
    new = Target(FOLDER, str(target))
    for _ in writing(archive, new, planned(archive, new, first)).steps():
        pass
    before = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
    (archive.parent / "scratch" / "done-1").unlink()
    update = Target(FOLDER, str(target), update=True)
    made = planned(archive, update)
    killed = []
    for moment in range(1, 7):
        volume = writing(archive, update, made)
        steps = volume.steps()
        for _ in range(moment):
            next(steps)
        killed.append(steps)
        assert (target / "GANTRY.TMP").is_dir()
        volume.take_back()
        assert {path: path.read_bytes() for path in target.rglob("*") if path.is_file()} == before
    volume = writing(archive, update, made)
    assert list(volume.steps())
    assert (volume.tally().copied, volume.tally().there) == (2, 1)
    assert len(uids_read_by_us(target)) == 3
    assert all(
        path.read_bytes() == data for path, data in before.items() if path.name != "DICOMDIR"
    )


def test_another_export_takes_back_what_was_left_and_not_what_was_finished(
    archive: Path, tmp_path: Path
) -> None:
    target = Target(FOLDER, str(tmp_path / "set"))
    left = writing(archive, target).steps()
    next(left)
    assert list((tmp_path / "set").rglob("I0000001"))
    planned(archive, target)
    assert not (tmp_path / "set").exists(), "it was made by the export that was cut off"
    mark = tmp_path / "set" / "GANTRY.TMP"
    mark.mkdir(parents=True)
    (mark / "STATE").write_text("what is this?")
    with pytest.raises(StorageError, match="is not what an export of ours leaves"):
        planned(archive, target)


def test_a_finished_volume_whose_mark_stayed_is_not_undone(archive: Path, tmp_path: Path) -> None:
    target = Target(FOLDER, str(tmp_path / "set"))
    volume = writing(archive, target)
    volume._seal = lambda: None  # type: ignore[method-assign]
    assert list(volume.steps())
    assert (tmp_path / "set" / "GANTRY.TMP").is_dir()
    (archive.parent / "scratch" / "done-1").unlink()
    update = Target(FOLDER, str(tmp_path / "set"), update=True)
    planned(archive, update)
    assert not (tmp_path / "set" / "GANTRY.TMP").exists()
    assert len(uids_read_by_us(tmp_path / "set")) == 4


def test_an_object_that_is_gone_or_damaged_is_named_and_stops_nobody(
    archive: Path, tmp_path: Path
) -> None:
    target = Target(FOLDER, str(tmp_path / "set"))
    made = planned(archive, target)
    first, second, third, _ = (
        object_path(archive, each.id) for each in instances(str(archive)).items
    )
    first.unlink()
    second.write_bytes(b"no DICOM")
    third.write_bytes(third.read_bytes()[:200])
    volume = writing(archive, target, made)
    assert list(volume.steps())
    tally = volume.tally()
    assert (tally.copied, tally.left_out) == (1, 3)
    assert [uid.rpartition(".")[2] for uid, _ in tally.failures] == ["1", "2", "3"]
    assert len(uids_read_by_us(tmp_path / "set")) == 1


def test_what_comes_after_the_plan_is_no_part_of_the_export(archive: Path, tmp_path: Path) -> None:
    target = Target(FOLDER, str(tmp_path / "set"))
    made = planned(archive, target)
    (one,) = made.volumes
    before = made._replace(last_instance=made.last_instance - 1, volumes=(one._replace(objects=3),))
    volume = writing(archive, target, before)
    assert list(volume.steps())
    assert (volume.tally().copied, volume.tally().left_out) == (3, 0)
    assert len(uids_read_by_us(tmp_path / "set")) == 3


def test_what_was_deleted_after_the_plan_is_told(archive: Path, tmp_path: Path) -> None:
    target = Target(FOLDER, str(tmp_path / "set"))
    made = planned(archive, target)
    (one,) = made.volumes
    volume = writing(archive, target, made._replace(volumes=(one._replace(objects=6),)))
    assert list(volume.steps())
    assert volume.tally().left_out == 2
    assert volume.tally().failures == (("", "2 objects are not in the archive any more"),)


def test_studies_and_series_are_spread_as_whole_as_they_can_be(tmp_path: Path) -> None:
    def image(number: int, study: int, series: int) -> Dataset:
        return instance(number, study=study, series=series, PixelData=bytes(50_000))

    archive = archive_of(
        tmp_path,
        *(image(each, 1, 1) for each in range(1, 4)),
        *(image(each, 2, 1 + each % 3) for each in range(10, 22)),
        image(30, 3, 1),
    )
    target = Target(FOLDER, str(tmp_path / "set"), volume_size=540_000)
    made = planned(archive, target)
    shape = [
        [(unit.study.rpartition(".")[2], len(unit.series)) for unit in each.units]
        for each in made.volumes
    ]
    assert shape == [[("1", 0), ("2", 1)], [("2", 2), ("3", 0)]]
    assert [each.objects for each in made.volumes] == [7, 9]
    assert all(each.size <= 540_000 for each in made.volumes)
    one = planned(archive, target._replace(volume_size=1_600_000))
    assert [each.place for each in one.volumes] == [str(tmp_path / "set")]
    with pytest.raises(NoRoom, match=r"takes 2[0-9]{5} bytes, and a volume 200000"):
        planned(archive, target._replace(volume_size=200_000))


@pytest.mark.parametrize("files", [1, 3, 300])
def test_files_of_an_image_lie_where_isoinfo_finds_them(tmp_path: Path, files: int) -> None:
    source = tmp_path / "files"
    for number in range(files):
        path = source / "A" / f"B{number % 3}" / f"I{number:07}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(number * 17 % 5000))
    (source / "DICOMDIR").write_bytes(b"x" * 2049)
    image = tmp_path / "disc.iso"
    run([program("xorriso", "xorriso"), "-as", "mkisofs", "-iso-level", "1", "-o", image, source])
    with image.open("rb") as file:
        found = {
            name: os.pread(file.fileno(), size, position)
            for name, position, size in files_in(file.fileno())
        }
    assert found == {
        str(path.relative_to(source)): path.read_bytes()
        for path in source.rglob("*")
        if path.is_file()
    }
    listed = run([program("genisoimage", "isoinfo"), "-f", "-i", image]).check().output
    names = {line.rstrip(";1").lstrip("/").rstrip(".") for line in listed.split()}
    assert {name for name in names if name.count("/") == 2 or name == "DICOMDIR"} == set(found)


@pytest.mark.parametrize("content", [b"", bytes(40_000), b"\1CD001\1" * 6000])
def test_what_is_no_disc_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "disc"
    path.write_bytes(content)
    with path.open("rb") as file, pytest.raises(StorageError):
        list(files_in(file.fileno()))


def test_a_folder_of_a_disc_that_leads_to_itself_comes_to_an_end(tmp_path: Path) -> None:
    sector = bytearray(2048)
    record = bytearray(34)
    record[0], record[25], record[32], record[33] = 34, 2, 1, ord("A")
    record[2:6] = (17).to_bytes(4, "little")
    record[10:14] = (2048).to_bytes(4, "little")
    sector[:34] = record
    primary = bytearray(b"\1CD001\1".ljust(2048, b"\0"))
    primary[156:190] = record
    path = tmp_path / "disc"
    path.write_bytes(bytes(16 * 2048) + primary + sector)
    with path.open("rb") as file, pytest.raises(StorageError, match="is not as ISO 9660"):
        list(files_in(file.fileno()))


def test_a_disc_that_does_not_take_what_is_burnt_is_told(archive: Path, tmp_path: Path) -> None:
    program("xorriso", "xorriso")
    drive = tmp_path / "drive"
    drive.touch()
    target = Target(DISC, str(drive))
    volume = writing(archive, target)
    assert [step.stage for step in volume.steps()][-2:] == [BURNING, VERIFYING]
    (archive.parent / "scratch" / "done-1").unlink()
    with pytest.raises(GantryError, match="is not blank"):
        for _ in writing(archive, target).steps():
            pass


@pytest.mark.parametrize(
    "target",
    [
        Target("tape", "/tmp/set"),
        Target(FOLDER, "/tmp/set", volume_size=-1),
        Target(FOLDER, "set"),
        Target(FOLDER, "/dev/null"),
        Target(FOLDER, "/proc/set"),
        Target(IMAGE, "/proc/set.iso"),
        Target(IMAGE, "/dev/null"),
        Target(IMAGE, "/tmp/set.iso", update=True),
        Target(DISC, "/dev/no-drive"),
    ],
)
def test_a_target_that_cannot_be_is_refused(archive: Path, target: Target) -> None:
    with pytest.raises(GantryError):
        volume = writing(archive, target)
        list(volume.steps())
