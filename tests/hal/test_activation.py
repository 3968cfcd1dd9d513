"""Descriptors that systemd hands over: what is taken, and what is refused."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from hal.activation import HandedOver, handed_over


@pytest.fixture
def row() -> Iterator[int]:
    """The first of four descriptors in a row: a pipe, a listening, a silent and a Unix socket."""
    first = 700  # What other tests left open lies below, and is closed when it is collected.
    read, write = os.pipe()
    listening = socket.create_server(("127.0.0.1", 0))
    silent = socket.socket()
    unix = socket.socket(socket.AF_UNIX)
    for place, each in enumerate((read, listening.fileno(), silent.fileno(), unix.fileno())):
        os.dup2(each, first + place, inheritable=True)
    for each in (listening, silent, unix):
        each.close()
    os.close(read)
    os.close(write)
    yield first
    for place in range(4):
        if _is_open(first + place):
            os.close(first + place)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def environment(count: str, **more: str) -> dict[str, str]:
    return {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count, "OTHER": "stays", **more}


def test_only_listening_tcp_sockets_are_kept_and_all_have_their_names(row: int) -> None:
    given = environment("4", LISTEN_FDNAMES="pipe:dicom:silent")
    found = handed_over(given, first=row)
    assert [each.name for each in found] == ["pipe", "dicom", "silent", "unknown"]
    problems = ["it is no socket", "", "it does not listen", "AF_UNIX"]
    assert all(said in each.problem for said, each in zip(problems, found, strict=True))
    assert [each.end is not None for each in found] == [False, True, False, False]
    end = found[1].end
    assert end is not None and end.fileno() == row + 1 and not end.getblocking()
    assert not os.get_inheritable(row + 1)
    assert [_is_open(row + place) for place in range(4)] == [False, True, False, False]
    assert given == {"OTHER": "stays"}
    end.close()


@pytest.mark.parametrize("count", ["", "-1", "two", "0"])
def test_a_count_that_makes_no_sense_is_none(count: str, row: int) -> None:
    assert handed_over(environment(count), first=row) == []


def test_what_is_for_another_process_is_not_touched(row: int) -> None:
    given = {"LISTEN_PID": str(os.getpid() + 1), "LISTEN_FDS": "4"}
    assert handed_over(given, first=row) == []
    assert given == {} and _is_open(row)


def test_a_descriptor_that_is_not_there_is_told() -> None:
    (found,) = handed_over(environment("1"), first=900)
    assert found == HandedOver("", None, "descriptor 900: Bad file descriptor")
