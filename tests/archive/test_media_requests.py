"""Media creation requests as they are kept: every change is whole, or was not made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.archive import media_requests as kept
from agent.archive.layout import MEDIA_REQUESTS
from agent.archive.media_requests import FailedInstance, MadeVolume, RequestState
from agent.errors import StorageError

IDLE = RequestState("1.2.3", "IDLE", "NORMAL", "VIEWER", "GANTRY", 10.0, 10.0)


def test_a_request_is_kept_with_all_that_is_known_of_it(tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert kept.media_requests(folder) == []
    assert kept.media_request(folder, "1.2.3") is None
    assert kept.add_media_request(folder, IDLE, b"attributes") == ""
    assert kept.media_request(folder, "1.2.3") == (IDLE, b"attributes")
    full = IDLE._replace(
        status="CREATING",
        failed=(FailedInstance("1.2", "1.2.4", 0x0112),),
        volumes=(MadeVolume("A", "1.2.5"),),
        copies=3,
        priority="HIGH",
    )
    assert kept.change_media_request(folder, full, ("IDLE",))
    found = kept.media_request(folder, "1.2.3")
    assert found is not None
    assert found[0]._replace(changed=10.0) == full
    assert found[0].changed > 10.0
    assert found[1] == b"attributes"


def test_a_uid_is_used_once(tmp_path: Path) -> None:
    folder = str(tmp_path)
    kept.add_media_request(folder, IDLE, b"first")
    assert kept.add_media_request(folder, IDLE._replace(calling="OTHER"), b"second") == "IDLE"
    assert kept.media_request(folder, "1.2.3") == (IDLE, b"first")


def test_a_change_counts_only_from_the_states_that_it_expects(tmp_path: Path) -> None:
    folder = str(tmp_path)
    pending = IDLE._replace(status="PENDING")
    assert not kept.change_media_request(folder, pending, ("IDLE",))
    kept.add_media_request(folder, IDLE, b"")
    assert kept.change_media_request(folder, pending, ("IDLE",))
    assert not kept.change_media_request(folder, pending, ("IDLE",))
    assert [each.status for each in kept.media_requests(folder)] == ["PENDING"]
    assert kept.media_requests(folder, ("IDLE", "DONE")) == []


def test_what_is_being_finished_or_is_over_is_not_removed(tmp_path: Path) -> None:
    folder = str(tmp_path)
    open_states = ("IDLE", "PENDING", "CREATING")
    assert kept.remove_media_request(folder, "1.2.3", open_states) == ("", False)
    kept.add_media_request(folder, IDLE, b"")
    creating = IDLE._replace(status="CREATING")
    finishing = creating._replace(volumes=(MadeVolume("A", "1.2.5"),))
    kept.change_media_request(folder, finishing, ("IDLE",))
    assert kept.remove_media_request(folder, "1.2.3", open_states) == ("CREATING", False)
    kept.change_media_request(folder, creating, ("CREATING",))
    assert kept.remove_media_request(folder, "1.2.3", open_states) == ("CREATING", True)
    assert kept.media_request(folder, "1.2.3") is None
    assert list((tmp_path / MEDIA_REQUESTS).iterdir()) == []


def test_what_is_old_is_forgotten_and_nothing_that_is_open(tmp_path: Path) -> None:
    folder = str(tmp_path)
    for number, status in enumerate(("IDLE", "PENDING", "DONE", "FAILURE")):
        uid = f"1.2.{number}"
        kept.add_media_request(folder, IDLE._replace(uid=uid, status=status), b"")
    assert kept.forget_media_requests(folder, ("DONE", "FAILURE"), 0.0, 10.0) == 0
    assert kept.forget_media_requests(folder, ("DONE", "FAILURE"), 11.0, 20.0) == 0
    assert kept.forget_media_requests(folder, ("DONE", "FAILURE"), 5.0, 11.0) == 2
    assert [each.status for each in kept.media_requests(folder)] == ["IDLE", "PENDING"]


@pytest.mark.parametrize("uid", ["../../etc/passwd", "1.2.3/../1.2.3", "", "1" * 65, "a"])
def test_no_uid_leads_to_another_file(tmp_path: Path, uid: str) -> None:
    kept.add_media_request(str(tmp_path), IDLE, b"")
    assert kept.media_request(str(tmp_path), uid) is None
    assert kept.remove_media_request(str(tmp_path), uid, ("IDLE",)) == ("", False)


def test_what_a_crash_left_or_somebody_put_there_is_no_request(tmp_path: Path) -> None:
    kept.add_media_request(str(tmp_path), IDLE, b"")
    place = tmp_path / MEDIA_REQUESTS
    (place / "1.2.4.request").write_bytes(b"its state was never written")
    (place / "1.2.5.json.new").write_bytes(b"{")
    (place / "1.2.6.json").write_bytes(b"{}")
    (place / "1.2.7.json").write_bytes(b"\0")
    (place / "notes.json").write_text("[]")
    assert [each.uid for each in kept.media_requests(str(tmp_path))] == ["1.2.3"]
    assert kept.add_media_request(str(tmp_path), IDLE._replace(uid="1.2.4"), b"new") == ""
    assert kept.media_request(str(tmp_path), "1.2.4") == (IDLE._replace(uid="1.2.4"), b"new")


def test_a_full_disk_refuses_a_request_and_leaves_the_old_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(tmp_path)
    kept.add_media_request(folder, IDLE, b"")

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(kept, "write_whole", full)
    with pytest.raises(StorageError, match="full"):
        kept.change_media_request(folder, IDLE._replace(status="PENDING"), ("IDLE",))
    with pytest.raises(StorageError, match="full"):
        kept.add_media_request(folder, IDLE._replace(uid="1.2.4"), b"")
    assert kept.media_requests(folder) == [IDLE]
