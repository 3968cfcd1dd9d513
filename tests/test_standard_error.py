"""A log whose reader stands still: what is written, what is lost, and that nobody waits."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import socket
import tty
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from agent import standard_error
from agent.standard_error import StandardError


class Ends(NamedTuple):
    """A descriptor that a log is written to, and one that is read."""

    written: int
    read: int


def _pipe() -> Ends:
    read, written = os.pipe()
    return Ends(written, read)


def _socket() -> Ends:
    written, read = socket.socketpair()
    return Ends(written.detach(), read.detach())


def _terminal() -> Ends:
    main, other = pty.openpty()
    tty.setraw(other)
    return Ends(other, main)


@pytest.fixture(params=[_pipe, _socket, _terminal])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    made: Ends = request.param()
    os.set_blocking(made.read, False)
    yield made
    for each in made:
        with suppress(OSError):
            os.close(each)


def _log(ends: Ends) -> StandardError:
    return StandardError(lambda lines: f"lost {lines}\n", ends.written)


def _read(ends: Ends) -> str:
    found = b""
    with suppress(BlockingIOError):
        while part := os.read(ends.read, 1 << 16):
            found += part
    return found.decode()


def _drain(log: StandardError, ends: Ends) -> str:
    found = _read(ends)
    while log.is_behind:
        log.flush()
        found += _read(ends)
    return found


def _lines(first: int, end: int) -> str:
    return "".join(f"line {number} {'x' * 80}\n" for number in range(first, end))


def test_lines_are_written_at_once_where_there_is_room(ends: Ends) -> None:
    log = _log(ends)
    log.write("one\n")
    assert _read(ends) == "one\n"
    log.write("two\nof two\n")
    assert _read(ends) == "two\nof two\n"
    assert not log.is_behind


def test_nobody_waits_for_a_reader_who_stands_still(ends: Ends) -> None:
    """A write that waits would wait for ever: the test would not end."""
    log = _log(ends)
    for number in range(20_000):
        log.write(_lines(number, number + 1))
    assert log.is_behind
    seen = _drain(log, ends)
    lines = seen.splitlines(keepends=True)
    (told,) = [at for at, line in enumerate(lines) if line.startswith("lost ")]
    # All from the first on are there, in order; then how many are not.
    assert "".join(lines[:told]) == _lines(0, told)
    assert len(_lines(0, told)) >= standard_error._MOST_KEPT - 100
    assert lines[told:] == [f"lost {20_000 - told}\n"]
    log.write("after\n")
    assert _read(ends) == "after\n"


def test_what_is_lost_stands_where_it_is_missing(ends: Ends) -> None:
    log = _log(ends)
    for number in range(20_000):
        log.write(_lines(number, number + 1))
    seen = ""
    with suppress(BlockingIOError):
        # Room for some, not for all that is kept.
        seen += os.read(ends.read, 2000).decode()
    log.write("later\n")
    seen += _drain(log, ends)
    lines = seen.splitlines()
    told = next(at for at, line in enumerate(lines) if line.startswith("lost "))
    assert "".join(f"{line}\n" for line in lines[:told]) == _lines(0, told)
    missing = int(lines[told].split()[1])
    assert lines[told + 1 :] in (["later"], [])
    assert told + missing == 20_000 + (lines[told + 1 :] == [])


def test_the_end_waits_a_little_for_the_reader(ends: Ends) -> None:
    log = _log(ends)
    for number in range(20_000):
        log.write(_lines(number, number + 1))
    log.end(0.05)
    assert log.is_behind
    if (child := os.fork()) == 0:
        os.set_blocking(ends.read, True)
        while b"lost" not in os.read(ends.read, 1 << 16):
            continue
        os._exit(0)
    log.end(20)
    assert not log.is_behind
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_reader_who_is_gone_stops_nobody(ends: Ends) -> None:
    os.close(ends.read)
    log = _log(ends)
    for number in range(3_000):
        log.write(_lines(number, number + 1))
    assert not log.is_behind


def test_whoever_shares_the_descriptor_goes_on_waiting(ends: Ends) -> None:
    log = _log(ends)
    log.write("x\n")
    assert os.get_blocking(ends.written)
    assert not fcntl.fcntl(ends.written, fcntl.F_GETFL) & os.O_NONBLOCK


def test_a_forked_process_has_a_way_of_its_own(ends: Ends, tmp_path: Path) -> None:
    log = _log(ends)
    log.write("of the parent\n")
    if (child := os.fork()) == 0:
        # What the parent had is closed here, and its number is another file's.
        status = 1
        try:
            for number in range(3, 100):
                if number != ends.written:
                    with suppress(OSError):
                        os.close(number)
            for number in range(10):
                os.open(tmp_path / f"{number}", os.O_CREAT | os.O_WRONLY)
            log.write("of the child\n")
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert _read(ends) == "of the parent\nof the child\n"
    assert not any(each.stat().st_size for each in tmp_path.iterdir())


def test_what_the_parent_could_not_write_yet_is_written_once(ends: Ends) -> None:
    log = _log(ends)
    for number in range(3_000):
        log.write(_lines(number, number + 1))
    assert log.is_behind
    before = _read(ends)
    if (child := os.fork()) == 0:
        log.write("of the child\n")
        log.end(5)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    # Whatever was in the middle of a line may be followed by the child's.
    assert _read(ends) == "of the child\n"
    assert (before + _drain(log, ends)).startswith(_lines(0, 500))


def test_a_pipe_that_cannot_be_opened_anew_is_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that another user made, such as the shell of who became this one."""
    real: Callable[..., int] = os.open

    def denied(path: str, *others: int) -> int:
        if str(path).startswith("/proc/self/fd"):
            raise PermissionError(errno.EACCES, "not allowed", path)
        return real(path, *others)

    monkeypatch.setattr(standard_error.os, "open", denied)
    ends = _pipe()
    os.set_blocking(ends.read, False)
    test_nobody_waits_for_a_reader_who_stands_still(ends)


def test_a_file_is_written_to_and_a_full_disk_stops_nobody(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        log = StandardError(str, file.fileno())
        log.write(_lines(0, 2_000))
        assert (tmp_path / "log").read_text() == _lines(0, 2_000)
    with Path("/dev/full").open("wb") as full:
        log = StandardError(str, full.fileno())
        log.write("x\n")
        assert not log.is_behind


def test_a_descriptor_that_is_closed_stops_nobody() -> None:
    read, written = os.pipe()
    os.close(read)
    os.close(written)
    log = StandardError(str, written)
    log.write("x\n")
    assert not log.is_behind
