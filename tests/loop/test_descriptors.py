"""Descriptors: woken when ready, registered once, and never a reason to spin."""

from __future__ import annotations

import os
import resource
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent import observation
from agent.errors import LocalError
from agent.loop import (
    Event,
    Loop,
    TaskGroup,
    current_loop,
    give_way,
    readable,
    sleep,
    writable,
)
from tests.loop.running import fill, run, socket_pair


class CountingSelector(selectors.DefaultSelector):  # type: ignore[valid-type,misc]
    """The real selector, which counts how often it asks the kernel to change a registration."""

    changes = 0

    def register(self, *arguments: object) -> object:
        type(self).changes += 1
        return super().register(*arguments)

    def modify(self, *arguments: object) -> object:
        type(self).changes += 1
        return super().modify(*arguments)

    def unregister(self, *arguments: object) -> object:
        type(self).changes += 1
        return super().unregister(*arguments)


async def echo(end: socket.socket, number: int) -> None:
    for _ in range(number):
        while True:
            try:
                data = end.recv(100)
                break
            except BlockingIOError:
                await readable(end)
        end.send(data)


def test_a_descriptor_that_is_used_all_day_is_registered_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(selectors, "DefaultSelector", CountingSelector)
    CountingSelector.changes = 0

    async def main() -> None:
        with socket_pair() as (ours, theirs):
            async with TaskGroup() as group:
                ours.send(b"x")
                group.start(echo(ours, 1000))
                group.start(echo(theirs, 1000))

    Loop().run(main())
    assert CountingSelector.changes == 4


def test_both_directions_of_a_descriptor_can_be_waited_for_at_once() -> None:
    async def main() -> list[str]:
        order: list[str] = []
        with socket_pair() as (ours, theirs):
            written = fill(ours)

            async def read() -> None:
                await readable(ours)
                order.append("read")

            async def write() -> None:
                await writable(ours)
                order.append("write")

            async with TaskGroup() as group:
                group.start(read())
                group.start(write())
                await sleep(1)
                theirs.send(b"x")
                await sleep(1)
                while written:
                    written -= len(theirs.recv(1 << 20))
        return order

    assert run(main) == ["read", "write"]


def test_a_pipe_whose_other_end_is_closed_wakes_reader_and_writer() -> None:
    async def main() -> None:
        for wait, kept in ((readable, 0), (writable, 1)):
            ends = os.pipe()
            os.set_blocking(ends[1], False)
            if kept:
                fill_pipe(ends[1])
            async with TaskGroup() as group:
                group.start(wait(ends[kept]))
                await sleep(1)
                os.close(ends[1 - kept])
            current_loop().forget(ends[kept])
            os.close(ends[kept])

    run(main)


def fill_pipe(descriptor: int) -> None:
    try:
        while True:
            os.write(descriptor, b"." * 4096)
    except BlockingIOError:
        pass


def test_a_connection_that_ended_while_nobody_waited_does_not_spin_the_loop() -> None:
    async def main() -> int:
        with socket_pair() as (ours, theirs):
            theirs.send(b"x")
            await readable(ours)
            await writable(ours)
            theirs.close()
            before = current_loop().lag.count
            await sleep(0.1)
            return current_loop().lag.count - before

    assert Loop().run(main()) < 10


def test_forgetting_wakes_who_waits() -> None:
    async def main() -> list[str]:
        seen: list[str] = []
        ours, theirs = socket.socketpair()
        fill_blocking(ours)

        async def wait(name: str) -> None:
            await (readable(ours) if name == "reader" else writable(ours))
            seen.append(f"{name} {ours.fileno()}")

        async with TaskGroup() as group:
            group.start(wait("reader"))
            group.start(wait("writer"))
            await sleep(1)
            current_loop().forget(ours)
            ours.close()
        theirs.close()
        current_loop().forget(12345)
        assert len(current_loop().descriptors) == current_loop().descriptors.waiting == 0
        return seen

    assert run(main) == ["reader -1", "writer -1"]


def fill_blocking(end: socket.socket) -> None:
    end.setblocking(False)
    fill(end)


def test_a_number_that_is_used_again_after_a_close_without_forgetting_is_watched() -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        number = ours.fileno()
        theirs.send(b"x")
        await readable(ours)
        ours.close()
        theirs.close()
        with socket_pair() as (ours, theirs):
            assert ours.fileno() == number
            async with TaskGroup() as group:
                group.start(readable(ours))
                await sleep(1)
                theirs.send(b"x")

    run(main)


@contextmanager
def captured_log() -> Iterator[list[str]]:
    lines: list[str] = []
    observation.log.configure(write=lines.append)
    try:
        yield lines
    finally:
        observation.log.configure()


def test_a_descriptor_that_is_closed_here_but_open_elsewhere_does_not_spin_the_loop() -> None:
    async def main() -> tuple[int, float]:
        ours, theirs = socket.socketpair()
        with socket_pair() as (other, peer):
            theirs.send(b"x")
            await readable(ours)
            copy = os.dup(ours.fileno())
            # Not forgotten: the kernel goes on telling of what the copy keeps open.
            ours.close()
            async with TaskGroup() as group:
                group.start(readable(other))
                await sleep(0.05)
                before, used = current_loop().lag.count, time.process_time()
                await sleep(0.2)
                found = current_loop().lag.count - before, time.process_time() - used
                # What was watched properly still is.
                peer.send(b"x")
            os.close(copy)
            theirs.close()
        return found

    with captured_log() as lines:
        laps, used = Loop().run(main())
    assert laps < 20
    assert used < 0.05
    assert len(lines) == 1
    assert "closed before the loop was told" in lines[0]


def test_what_cannot_be_waited_for_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        with (tmp_path / "file").open("wb") as file:
            with pytest.raises(PermissionError):
                await readable(file)
        ours, theirs = socket.socketpair()
        ours.close()
        with pytest.raises(LocalError, match="closed"):
            await readable(ours)
        theirs.close()
        with socket_pair() as (ours, _):
            fill(ours)
            async with TaskGroup() as group:
                group.start(writable(ours))
                await give_way()
                with pytest.raises(LocalError, match="already"):
                    await writable(ours)
                group.cancel()

    run(main)


def test_descriptors_beyond_those_of_select_work() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2100:
        pytest.skip("the machine allows too few descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2100), hard))

    async def main() -> int:
        woken = 0
        pairs = [socket.socketpair() for _ in range(1000)]

        async def wait(end: socket.socket) -> None:
            nonlocal woken
            await readable(end)
            woken += 1
            current_loop().forget(end)

        async with TaskGroup() as group:
            for ours, _ in pairs:
                group.start(wait(ours))
            await sleep(1)
            for _, theirs in pairs:
                theirs.send(b"x")
        assert max(ours.fileno() for ours, _ in pairs) > 1024
        for pair in pairs:
            for end in pair:
                end.close()
        return woken

    try:
        assert run(main) == 1000
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_hundred_idle_descriptors_cost_nothing() -> None:
    async def main() -> float:
        pairs = [socket.socketpair() for _ in range(100)]
        async with TaskGroup() as group:
            for ours, _ in pairs:
                group.start(readable(ours))
            await sleep(0.02)
            before = time.process_time()
            await sleep(0.3)
            used = time.process_time() - before
            group.cancel()
        for pair in pairs:
            for end in pair:
                current_loop().forget(end)
                end.close()
        return used

    assert Loop().run(main()) < 0.003


def test_a_descriptor_is_woken_while_other_tasks_never_wait() -> None:
    async def main() -> None:
        done = Event()

        async def busy() -> None:
            while not done.is_set():
                await give_way()

        with socket_pair() as (ours, theirs):
            async with TaskGroup() as group:
                group.start(busy())
                theirs.send(b"x")
                await readable(ours)
                done.set()

    Loop().run(main())
