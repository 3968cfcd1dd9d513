"""The queue of audit messages on disk: order, places, bounds, and what a crash leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import StorageError
from agent.security.audit_queue import AuditQueue

MEBIBYTE = 1 << 20
ROOT = Path(__file__).parents[2]


def a_queue(folder: Path, size: int = MEBIBYTE, **options: object) -> AuditQueue:
    return AuditQueue(folder, size=size, **options)  # type: ignore[arg-type]


def filled(queue: AuditQueue, count: int, size: int = 1000) -> list[int]:
    return [queue.append(f"{number}:".ljust(size, "x"), 5, 1.0 + number) for number in range(count)]


def numbers(queue: AuditQueue, start: int) -> list[int]:
    """All from there, page by page."""
    found: list[int] = []
    while page := queue.read(start, most=7):
        found += [each.number for each in page]
        start = found[-1] + 1
    return found


def test_messages_come_back_in_order_whatever_the_page(tmp_path: Path) -> None:
    queue = a_queue(tmp_path)
    queue.place("a")
    assert filled(queue, 500) == list(range(1, 501))
    assert len(list(tmp_path.glob("*.messages"))) > 2
    assert numbers(queue, 1) == list(range(1, 501))
    assert numbers(queue, 250) == list(range(250, 501))
    page = queue.read(499)
    assert [(each.number, each.when, each.severity) for each in page] == [
        (499, 499, 5),
        (500, 500, 5),
    ]
    assert page[0].xml.startswith(b"498:")
    assert queue.read(501) == []


def test_a_new_repository_gets_what_comes_and_each_has_its_place(tmp_path: Path) -> None:
    queue = a_queue(tmp_path)
    filled(queue, 3)
    assert queue.place("late") == 4
    filled(queue, 2)
    assert queue.waiting("late") == 2
    queue.advance("late", 5)
    queue.close()
    again = a_queue(tmp_path)
    assert (again.place("late"), again.waiting("late"), again.next) == (5, 1, 6)
    again.keep_places_of(set())
    assert again.place("late") == 6


def test_what_everybody_has_goes_first_and_costs_nothing(tmp_path: Path) -> None:
    queue = a_queue(tmp_path)
    queue.place("a")
    for _ in range(4):
        filled(queue, 500)
        queue.advance("a", queue.next)
    assert queue.held <= MEBIBYTE
    assert queue.lost == 0
    assert not queue.is_full


def test_when_it_is_full_the_oldest_are_lost_and_counted(tmp_path: Path) -> None:
    queue = a_queue(tmp_path)
    queue.place("a")
    filled(queue, 2000)
    assert queue.held <= MEBIBYTE
    assert queue.is_full
    here = numbers(queue, 1)
    assert here == list(range(here[0], 2001))
    assert queue.lost == here[0] - 1 == 2000 - len(here)
    assert queue.place("a") == here[0]


def test_or_the_newest_are(tmp_path: Path) -> None:
    queue = a_queue(tmp_path, newest=True)
    queue.place("a")
    kept = [each for each in filled(queue, 2000) if each]
    assert queue.held <= MEBIBYTE
    assert queue.lost == 2000 - len(kept)
    assert numbers(queue, 1) == kept == list(range(1, len(kept) + 1))
    queue.advance("a", queue.next)
    assert filled(queue, 1) == [len(kept) + 1]


def test_what_is_kept_for_people_goes_after_its_time(tmp_path: Path) -> None:
    queue = a_queue(tmp_path, keep=100.0)
    queue.place("a")
    filled(queue, 500)
    made = max(path.stat().st_mtime for path in tmp_path.glob("*.messages"))
    queue.tidy(made + 1000)
    assert queue.oldest == 1
    queue.advance("a", queue.next)
    queue.tidy(made + 50)
    assert queue.oldest == 1
    queue.tidy(made + 1000)
    assert queue.oldest > 300
    assert numbers(queue, 1)[-1] == 500


@settings(deadline=None, max_examples=50)
@given(cut=st.integers(0, 400), junk=st.binary(max_size=60))
def test_a_torn_end_is_cut_off_and_numbers_go_on(
    tmp_path_factory: pytest.TempPathFactory, cut: int, junk: bytes
) -> None:
    folder = tmp_path_factory.mktemp("torn")
    queue = a_queue(folder)
    filled(queue, 5, size=100)
    queue.close()
    (file,) = folder.glob("*.messages")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) - cut] + junk)
    again = a_queue(folder)
    left = numbers(again, 1)
    assert left == list(range(1, len(left) + 1))
    assert len(left) >= 5 - cut // 100 - 1
    number = again.append("after", 5, 1.0)
    assert number == len(left) + 1
    assert again.read(number)[0].xml == b"after"


def test_a_message_survives_a_kill_as_soon_as_it_has_its_number(tmp_path: Path) -> None:
    writer = (
        "import sys; from pathlib import Path; from agent.security.audit_queue import AuditQueue\n"
        "queue = AuditQueue(Path(sys.argv[1]), size=1 << 24)\n"
        "while True: print(queue.append('x' * 500, 5, 1.0), flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", writer, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    said = 0
    for line in process.stdout:
        said = int(line)
        if said == 300:
            os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    queue = a_queue(tmp_path, 1 << 24)
    assert queue.next > said >= 300
    assert numbers(queue, 1) == list(range(1, queue.next))


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be kept"):
        a_queue(tmp_path / "file")


def test_a_disk_that_is_full_is_told_and_loses_no_other(tmp_path: Path) -> None:
    queue = a_queue(tmp_path)
    filled(queue, 3)
    real = os.write
    os.write = lambda end, data: real(end, bytes(data)[:40])  # type: ignore[assignment]
    try:
        with pytest.raises(StorageError, match="No space left"):
            filled(queue, 1)
    finally:
        os.write = real
    assert queue.lost == 1
    assert filled(queue, 1) == [4]
    assert numbers(queue, 1) == [1, 2, 3, 4]
