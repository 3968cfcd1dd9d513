"""Objects in: what is stored, what is answered, what the index knows of it (PS3.4 annex B)."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agent.archive import incoming, reader_worker
from agent.archive.comparison import LARGEST_AT_ONCE, are_same
from agent.archive.decision import Decision, Origin
from agent.archive.records import Flag
from agent.archive.settings import ArchiveSettings, StorageStatuses
from agent.archive.worker_answers import Comparison
from agent.dataset import tags
from agent.dataset.byte_source import FileBytes
from agent.dataset.file_meta import read_file_meta
from agent.dataset.head import Head, scan_head
from agent.dataset.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from agent.errors import LocalError, StatusReaction, StorageError
from tests.archive.objects import (
    CT_IMAGE_STORAGE,
    Rules,
    SampleObject,
    Worker,
    files,
    receive,
    sample,
)

SYNTAXES = (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)


def test_an_object_is_stored_byte_for_byte_with_its_rows_and_jobs(tmp_path: Path) -> None:
    one = sample()
    with Worker(tmp_path, Rules(("PACS", "CLOUD"))) as worker:
        (verdict,) = worker.store(one)
    assert (verdict.status, verdict.instance_id, verdict.jobs) == (0, 1, 2)
    assert verdict.is_stored
    assert files(tmp_path) == {1: one.meta + one.data_set}
    folder = str(tmp_path)
    (study,) = reader_worker.studies(folder).items
    assert (study.study_instance_uid, study.patient_id, study.patient_name) == (
        "1.2.3",
        "4711",
        "Doe^Jane",
    )
    assert (study.series, study.instances, study.size) == (1, 1, len(one.meta + one.data_set))
    (series,) = reader_worker.series(folder, study.id).items
    assert (series.series_instance_uid, series.modality) == ("1.2.3.0", "CT")
    (instance,) = reader_worker.instances(folder, series=series.id).items
    assert (instance.sop_instance_uid, instance.source) == ("1.2.3.1", "MODALITY")
    assert instance.data_set_offset == len(one.meta)
    assert {job.destination for job in reader_worker.jobs(folder).items} == {"PACS", "CLOUD"}


def test_a_group_is_stored_in_one_transaction_and_each_is_answered(tmp_path: Path) -> None:
    objects = [sample(f"1.2.3.{number}") for number in range(1, 21)]
    with Worker(tmp_path) as worker:
        verdicts = worker.store(*objects)
        assert [verdict.instance_id for verdict in verdicts] == list(range(1, 21))
        assert worker.call("statistics")["batches"] == 2  # the first one was that of the start
    assert len(files(tmp_path)) == 20


def test_a_large_object_does_not_make_small_ones_wait(tmp_path: Path) -> None:
    large = sample("1.2.3.1", pixels=bytes(9 << 20))
    with Worker(tmp_path) as worker:
        verdicts = worker.store(large, *(sample(f"1.2.3.{number}") for number in range(2, 5)))
        assert [verdict.instance_id for verdict in verdicts] == [4, 1, 2, 3]
        assert worker.store(large)[0].duplicate


def test_an_unknown_call_is_refused(tmp_path: Path) -> None:
    with Worker(tmp_path) as worker, pytest.raises(LocalError):
        worker.call("format the disk")


def test_names_cross_from_one_folder_to_the_next(tmp_path: Path) -> None:
    with Worker(tmp_path) as worker:
        worker.worker._store.use_up(997)  # type: ignore[union-attr]
        worker.store(*(sample(f"1.2.3.{number}") for number in range(1, 6)))
    assert sorted(files(tmp_path)) == [998, 999, 1000, 1001, 1002]
    assert sorted(each.name for each in (tmp_path / "objects").iterdir()) == ["000000", "000001"]


def test_ps34_the_same_bytes_again_answer_success_without_a_second_copy(tmp_path: Path) -> None:
    with Worker(tmp_path, Rules(("PACS",))) as worker:
        worker.store(sample())
        (again,) = worker.store(sample())
        assert (again.status, again.duplicate, again.instance_id, again.jobs) == (0, True, 1, 0)
        (job,) = worker.queue("claim", "PACS", 10)
        worker.queue("finish", job.id)
        (again,) = worker.store(sample())
        assert again.jobs == 0, "delivered already: no loop between two that send back"
    assert len(files(tmp_path)) == 1


def test_a_duplicate_gets_the_job_that_it_never_had(tmp_path: Path) -> None:
    with Worker(tmp_path) as worker:
        worker.store(sample())
        worker.call("set_receiver", Rules(("PACS",)))
        (again,) = worker.store(sample())
        assert (again.duplicate, again.jobs) == (True, 1)


def test_a_duplicate_is_delivered_again_where_that_is_wanted(tmp_path: Path) -> None:
    settings = ArchiveSettings(repeat_for_duplicates=True)
    with Worker(tmp_path, Rules(("PACS",)), settings) as worker:
        worker.store(sample())
        assert worker.store(sample())[0].jobs == 0, "the first job is not finished"
        (job,) = worker.queue("claim", "PACS", 10)
        worker.queue("finish", job.id)
        assert worker.store(sample())[0].jobs == 1


def test_other_bytes_under_a_uid_are_kept_and_flagged(tmp_path: Path) -> None:
    with Worker(tmp_path) as worker:
        worker.store(sample())
        (other,) = worker.store(sample(pixels=b"\7\7" * 500))
        assert (other.status, other.variant, other.duplicate) == (0, True, False)
        (third,) = worker.store(sample(pixels=b"\7\7" * 500))
        assert (third.duplicate, third.instance_id) == (True, other.instance_id)
    assert len(files(tmp_path)) == 2
    flags = [each.flags for each in reader_worker.instances(str(tmp_path)).items]
    assert flags == [Flag(0), Flag.VARIANT]


def test_a_large_object_that_comes_again_is_compared_by_another_worker(tmp_path: Path) -> None:
    pixels = bytes(LARGEST_AT_ONCE)
    with Worker(tmp_path) as worker:
        worker.store(sample(pixels=pixels))
        (asked,) = worker.try_store(sample(pixels=pixels), compared={})
        wanted = asked.result()
        assert isinstance(wanted, Comparison)
        assert wanted.number == 1
        for other, same in ((pixels, True), (pixels[:-2] + b"\1\1", False)):
            with receive(tmp_path, sample(pixels=other)) as reception:
                assert are_same(tmp_path, reception.descriptor, wanted) is same
        (again,) = worker.try_store(sample(pixels=pixels), compared={1: True})
        assert again.result().verdict.duplicate
        (other,) = worker.try_store(sample(pixels=pixels), compared={1: False})
        assert other.result().verdict.variant
        # Then there are two that it may be; those that were compared are not compared again.
        (third,) = worker.try_store(sample(pixels=pixels), compared={1: False})
        assert third.result().number == 2
        assert len(files(tmp_path)) == 2
        # What went meanwhile is no reason to let go what comes.
        worker.call("delete", [1, 2], True)
        while worker.call("sweep"):
            pass
        with receive(tmp_path, sample(pixels=pixels)) as reception:
            assert are_same(tmp_path, reception.descriptor, wanted) is False
        (kept,) = worker.try_store(sample(pixels=pixels), compared={1: True, 2: True})
        assert (kept.result().verdict.duplicate, kept.result().verdict.instance_id) == (False, 3)


@pytest.mark.parametrize("pixels", [(b"\1\1", b"\1\1"), (b"\1\1", b"\2\2")])
def test_twins_in_one_group_are_compared_too(tmp_path: Path, pixels: tuple[bytes, bytes]) -> None:
    with Worker(tmp_path) as worker:
        one, two = worker.store(sample(pixels=pixels[0]), sample(pixels=pixels[1]))
    assert one.status == two.status == 0
    assert two.duplicate == (pixels[0] == pixels[1])
    assert two.variant == (pixels[0] != pixels[1])
    assert len(files(tmp_path)) == len(set(pixels))


def test_ps34_another_uid_than_the_command_says_is_a900(tmp_path: Path) -> None:
    one = sample()
    with Worker(tmp_path) as worker:
        for wrong, tag in (
            (SampleObject(one.meta, one.data_set, "1.2.9"), tags.SOP_INSTANCE_UID),
            (SampleObject(one.meta, one.data_set, "1.2.3.1", "1.2.8"), tags.SOP_CLASS_UID),
            (sample(""), tags.SOP_INSTANCE_UID),
        ):
            (verdict,) = worker.store(wrong)
            assert (verdict.status, verdict.offending_elements) == (0xA900, (tag,))
            assert not verdict.is_stored
    assert files(tmp_path) == {}


def test_ps34_what_cannot_be_parsed_is_answered_as_the_profile_says(tmp_path: Path) -> None:
    one = sample()
    broken = SampleObject(one.meta, one.data_set[:64], one.sop_instance_uid)
    statuses = StorageStatuses(cannot_understand=0xC006)
    with Worker(tmp_path, settings=ArchiveSettings(statuses=statuses)) as worker:
        broken_verdict, good_verdict = worker.store(broken, sample("1.2.3.2"))
    assert broken_verdict.status == 0xC006
    assert good_verdict.status == 0, "one failure is nobody else's"
    assert len(files(tmp_path)) == 1


def test_the_rules_may_refuse_or_drop(tmp_path: Path) -> None:
    refusal = StatusReaction(0x0124, "Not authorized")
    with Worker(tmp_path, Rules(("PACS",), refusal=refusal)) as worker:
        (verdict,) = worker.store(sample())
        assert (verdict.status, verdict.comment) == (0x0124, "Not authorized")
        worker.call("set_receiver", Rules(("PACS",), discard=True))
        (verdict,) = worker.store(sample())
        assert (verdict.status, verdict.instance_id, verdict.jobs) == (0, 0, 0)
    assert files(tmp_path) == {}


@dataclass(frozen=True)
class RulesThatWarn(Rules):
    warning: StatusReaction | None = None

    def receive(self, head: Head, origin: Origin) -> Decision:
        return replace(super().receive(head, origin), warning=self.warning)


def test_ps34_a_warning_of_the_rules_is_answered_and_the_object_is_kept(tmp_path: Path) -> None:
    warning = StatusReaction(0xB007, "No Modality", (tags.MODALITY,))
    with Worker(tmp_path, RulesThatWarn(("PACS",), warning=warning)) as worker:
        (verdict,) = worker.store(sample())
    assert (verdict.status, verdict.comment) == (0xB007, "No Modality")
    assert verdict.offending_elements == (tags.MODALITY,)
    assert verdict.is_stored and verdict.jobs == 1


class Broken(Rules):
    def receive(self, head: object, origin: object) -> None:  # type: ignore[override]
        raise ZeroDivisionError


def test_rules_that_fail_are_our_failure_and_not_the_worker_s_end(tmp_path: Path) -> None:
    with Worker(tmp_path, Broken()) as worker:
        (call,) = worker.try_store(sample())
        assert isinstance(call.error, StorageError)
        assert isinstance(call.error.reaction, StatusReaction)
        assert call.error.reaction.status == 0x0110
        worker.call("set_receiver", Rules())
        assert worker.store(sample())[0].status == 0


@pytest.mark.parametrize("syntax", [None, *SYNTAXES])
def test_ps34_coercion_answers_b000_and_is_recorded_in_the_object(
    tmp_path: Path, syntax: str | None
) -> None:
    one = sample() if syntax is None else sample(transfer_syntax=syntax)
    coercions = {tags.PATIENT_ID: b"0815", tags.ISSUER_OF_PATIENT_ID: b"HOSPITAL"}
    with Worker(tmp_path, Rules(("PACS",), coercions=coercions)) as worker:
        (verdict,) = worker.store(one)
        assert (verdict.status, verdict.offending_elements) == (
            0xB000,
            (tags.PATIENT_ID, tags.ISSUER_OF_PATIENT_ID),
        )
        assert verdict.is_stored
        (again,) = worker.store(one)
        assert (again.duplicate, again.status) == (True, 0xB000)
        # Sent back in its coerced form, it is what we have; nothing is left to coerce.
        stored = files(tmp_path)[1]
    assert len(files(tmp_path)) == 1
    (study,) = reader_worker.studies(str(tmp_path)).items
    assert (study.patient_id, study.issuer_of_patient_id) == ("0815", "HOSPITAL")
    pydicom = pytest.importorskip("pydicom")
    data_set = pydicom.dcmread(tmp_path / "objects/000000/000000001.dcm")
    assert (data_set.PatientID, data_set.PixelData) == ("0815", b"\1\2" * 500)
    (record,) = data_set.OriginalAttributesSequence
    assert record.ReasonForTheAttributeModification == "COERCE"
    assert record.SourceOfPreviousValues == "MODALITY"
    (modified,) = record.ModifiedAttributesSequence
    assert modified.PatientID == "4711"
    assert not modified.IssuerOfPatientID
    assert stored[:128] == bytes(128)


def test_a_coercion_that_changes_nothing_is_none(tmp_path: Path) -> None:
    one = sample()
    with Worker(tmp_path, Rules(coercions={tags.PATIENT_ID: b"4711"})) as worker:
        (verdict,) = worker.store(one)
    assert verdict.status == 0
    assert files(tmp_path) == {1: one.meta + one.data_set}


def test_an_object_without_study_is_kept(tmp_path: Path) -> None:
    with Worker(tmp_path, Rules(("PACS",))) as worker:
        (verdict,) = worker.store(sample(study="", series=""))
        assert verdict.status == 0
        (job,) = worker.queue("claim", "PACS", 1)
        assert (job.study_instance_uid, job.sop_instance_uid) == ("", "1.2.3.1")
    assert reader_worker.counts(str(tmp_path)).instances == 1
    assert reader_worker.studies(str(tmp_path)).items == ()


def test_an_object_of_another_patient_in_a_study_is_flagged(tmp_path: Path) -> None:
    with Worker(tmp_path) as worker:
        worker.store(sample("1.2.3.1"), sample("1.2.3.2", patient_id="4712"))
    flags = [each.flags for each in reader_worker.instances(str(tmp_path)).items]
    assert flags == [Flag(0), Flag.OTHER_PATIENT]
    assert reader_worker.counts(str(tmp_path)).patients == 1


@pytest.mark.parametrize(
    ("name", "character_set", "text"),
    [
        ("Buc^Jérôme".encode("latin-1"), "ISO_IR 100", "Buc^Jérôme"),
        ("Wang^XiaoDong=王^小東".encode(), "ISO_IR 192", "Wang^XiaoDong=王^小東"),
    ],
)
def test_names_are_kept_as_bytes_and_read_as_text(
    tmp_path: Path, name: bytes, character_set: str, text: str
) -> None:
    with Worker(tmp_path) as worker:
        worker.store(sample(patient_name=name, character_set=character_set))
        assert worker.rows("SELECT patient_name FROM patient") == [(name,)]
    (study,) = reader_worker.studies(str(tmp_path)).items
    assert study.patient_name == text


def test_where_there_are_no_nameless_files_hidden_names_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming.os, "open", _without_nameless_files)
    with Worker(tmp_path) as worker:
        lost = incoming.create(tmp_path)
        assert lost.name
        (verdict,) = worker.store(sample())
        assert verdict.status == 0
        assert [each.name for each in (tmp_path / "incoming").iterdir()] == [lost.name]
    with Worker(tmp_path):
        assert not list((tmp_path / "incoming").iterdir())
    assert len(files(tmp_path)) == 1


_open = os.open


def _without_nameless_files(path: object, flags: int, *more: object, **fields: object) -> int:
    if flags & os.O_TMPFILE == os.O_TMPFILE:
        raise OSError(95, "Operation not supported")
    return _open(path, flags, *more, **fields)  # type: ignore[arg-type]


def test_only_one_writes(tmp_path: Path) -> None:
    with Worker(tmp_path):
        with pytest.raises(StorageError, match="Another process writes"):
            Worker(tmp_path)
    with Worker(tmp_path):
        pass


def test_the_preamble_in_the_spool_is_zeros_and_the_data_set_is_found(tmp_path: Path) -> None:
    with Worker(tmp_path) as worker:
        worker.store(sample())
    path = tmp_path / "objects/000000/000000001.dcm"
    with path.open("rb") as file:
        assert file.read(132) == bytes(128) + b"DICM"
        meta = read_file_meta(file.fileno(), tolerate=False)
        source = FileBytes(file.fileno(), meta.data_set_offset)
        head = scan_head(source, meta.encoding, frozenset((tags.SOP_CLASS_UID,)))
    assert head.values[tags.SOP_CLASS_UID].rstrip(b"\0").decode() == CT_IMAGE_STORAGE
