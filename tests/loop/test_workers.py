"""Worker processes: services with pipelined calls, pools, and what happens when one dies."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.loop import Loop, TaskGroup, sleep
from agent.loop.calls import Calls
from agent.loop.template import Template
from agent.loop.workers import Service, WorkerDied, WorkerPool


@pytest.fixture
def template() -> Iterator[Template]:
    made = Template.start()
    yield made
    made.close()


def run(main: Callable[[], Awaitable[Any]]) -> Any:
    async def wrapped() -> Any:
        return await main()

    return Loop().run(wrapped())


def echo(calls: Calls, greeting: str) -> None:
    while group := calls.receive():
        for call in group:
            if call.name == "sizes":
                call.reply([os.fstat(each).st_size for each in call.descriptors])
            elif call.name == "fail":
                call.fail(ValueError(greeting))
            elif call.name == "die":
                os._exit(1)
            else:
                call.reply((greeting, call.arguments, len(group)))


def size_of(descriptors: list[int]) -> int:
    return os.fstat(descriptors[0]).st_size


def fail(text: str) -> None:
    raise KeyError(text)


def wait_and_tell(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_service_answers_and_fails_and_dies_clearly(template: Template) -> None:
    async def main() -> None:
        service = await Service.start(template, echo, "hello")
        assert (await service.call("x", 1, "two"))[:2] == ("hello", (1, "two"))
        with pytest.raises(ValueError, match="hello"):
            await service.call("fail")
        with pytest.raises(WorkerDied):
            await service.call("die")
        with pytest.raises(WorkerDied):
            await service.call("x")
        await service.closed()

    run(main)


def test_ten_thousand_calls_with_descriptors_are_pipelined_in_groups(
    template: Template, tmp_path: Any
) -> None:
    (tmp_path / "file").write_bytes(bytes(77))

    async def main() -> None:
        service = await Service.start(template, echo, "hello")
        descriptor = os.open(tmp_path / "file", os.O_RDONLY)
        groups = []

        async def ask(number: int) -> None:
            if number % 4 == 0:
                assert await service.call("sizes", descriptors=[descriptor]) == [77]
            else:
                groups.append((await service.call("x", number, b"." * 200))[2])

        async with TaskGroup() as tasks:
            for number in range(10000):
                tasks.start(ask(number))
        os.close(descriptor)
        service.close()
        await service.closed()
        assert max(groups) > 8

    before = len(list(Path("/proc/self/fd").iterdir()))
    run(main)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def test_large_messages_pass_both_ways(template: Template) -> None:
    async def main() -> None:
        service = await Service.start(template, echo, "hello")
        data = os.urandom(5_000_000)
        assert (await service.call("x", data))[1] == (data,)
        service.close()

    run(main)


def test_a_pool_runs_functions_and_passes_their_errors(template: Template, tmp_path: Any) -> None:
    (tmp_path / "file").write_bytes(bytes(5))

    async def main() -> None:
        pool = WorkerPool(template)
        assert await pool.call(os.getpid) != os.getpid()
        with pytest.raises(KeyError, match="what"):
            await pool.call(fail, "what")
        descriptor = os.open(tmp_path / "file", os.O_RDONLY)
        assert await pool.call(size_of, descriptors=[descriptor]) == 5
        os.close(descriptor)
        with pytest.raises(WorkerDied):
            await pool.call(die)
        assert await pool.call(os.getpid) != os.getpid()
        pool.close()

    run(main)


def test_a_pool_has_at_most_so_many_workers_and_ends_them_when_idle(template: Template) -> None:
    async def main() -> None:
        pool = WorkerPool(template, limit=2, idle_seconds=0.05)
        found = set()

        async def ask() -> None:
            found.add(await pool.call(wait_and_tell, 0.02))

        async with TaskGroup() as group:
            for _ in range(6):
                group.start(ask())
        assert len(found) == 2
        await sleep(0.5)
        assert not any(Path(f"/proc/{pid}").exists() for pid in found)

    run(main)


def test_workers_end_when_the_node_is_killed() -> None:
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        template = Template.start()

        async def main() -> None:
            pool = WorkerPool(template)
            worker = await pool.call(os.getpid)
            os.write(write, f"{worker} {template.pid}".encode())
            await sleep(60)

        run(main)
        os._exit(0)
    os.close(write)
    workers = [int(each) for each in os.read(read, 100).split()]
    os.close(read)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    end = time.monotonic() + 10
    while any(_alive(each) for each in workers) and time.monotonic() < end:
        time.sleep(0.02)
    assert not any(_alive(each) for each in workers)


def _alive(pid: int) -> bool:
    try:
        with Path(f"/proc/{pid}/stat").open() as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
