"""Workers: faults stay where they belong, limits hold, and nothing is left behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from agent.errors import GantryError, LocalError, StatusReaction, StorageError
from agent.loop import Loop, ManualClock, TaskGroup, TimedOut, current_loop, sleep, timeout
from agent.loop.calls import Calls
from agent.loop.service import Service, WorkerDied
from agent.loop.template import Template
from agent.loop.workers import WorkerPool


@pytest.fixture
def template() -> Iterator[Template]:
    made = Template.start()
    yield made
    made.close()


class OddError(Exception):
    """Can be pickled, but not read again: it takes other arguments than it stores."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


class Unreadable:
    """Can be pickled, but not read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (refuse_to_be_read, ())


def refuse_to_be_read() -> NoReturn:
    raise ValueError("unreadable")


def entry(calls: Calls, *_: object) -> None:
    while group := calls.receive():
        for call in group:
            answer(call)


def answer(call: Any) -> None:
    if call.name == "odd":
        call.fail(OddError("one", "two"))
    elif call.name == "unpicklable":
        call.reply(lambda: None)
    elif call.name == "unreadable":
        call.reply(Unreadable())
    elif call.name == "storage":
        reaction = StatusReaction(0xA700, "full")
        call.fail(StorageError("full", value=3, reaction=reaction))
    elif call.name == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
        call.reply(None)
    elif call.name == "size":
        call.reply(len(call.arguments[0]))
    else:
        call.reply((os.getpid(), *call.arguments))


def fails_at_start(calls: Calls) -> None:
    raise StorageError("the index is damaged")


def holds_a_lock(calls: Calls, path: str) -> None:
    with Path(path).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        while group := calls.receive():
            for call in group:
                call.reply(None)


def tells_its_group(calls: Calls, limit: int) -> None:
    while group := calls.receive(limit):
        if group[0].name == "wait":
            time.sleep(0.1)
        for call in group:
            call.reply(len(group))


def pid_after(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def descriptors_of_worker() -> list[str]:
    found = []
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(f"{each.name} {each.readlink()}")
    return found


def take_memory(size: int) -> int:
    return len(bytearray(size))


def name_of_process() -> str:
    return Path("/proc/self/comm").read_text().strip()


def memory_of(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no Pss")


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("odd", "OddError: one and two"),
        ("unpicklable", "cannot be sent"),
        ("unreadable", "cannot be read: ValueError"),
    ],
)
def test_what_cannot_be_sent_or_read_fails_its_own_call_only(
    template: Template, name: str, text: str
) -> None:
    async def main() -> None:
        service = await Service.start(template, entry)
        async with TaskGroup() as group:
            others = [group.start(service.call("x", number)) for number in range(10)]
            with pytest.raises(LocalError, match=text):
                await service.call(name)
        assert [(await each.join())[1] for each in others] == list(range(10))
        # The other way: the worker cannot read what it is asked.
        with pytest.raises(LocalError, match="the call cannot be read"):
            await service.call("x", Unreadable())
        with pytest.raises(Exception, match=r"pickle|local object"):
            await service.call("x", lambda: None)
        assert (await service.call("x", 1))[1] == 1
        assert service.outstanding == current_loop().outside == 0

    Loop().run(main())


def test_an_error_keeps_its_data_and_says_where_it_was_raised(template: Template) -> None:
    async def main() -> None:
        service = await Service.start(template, entry)
        with pytest.raises(StorageError) as caught:
            await service.call("storage")
        assert caught.value.value == 3
        assert caught.value.reaction == StatusReaction(0xA700, "full")
        pool = WorkerPool(template)
        with pytest.raises(ValueError, match="unreadable") as raised:
            await pool.call(refuse_to_be_read)
        (note,) = raised.value.__notes__
        assert "test_worker_faults.py" in note
        assert note.endswith("in refuse_to_be_read")

    Loop().run(main())


def test_descriptors_that_are_none_fail_their_own_call_only(template: Template) -> None:
    async def main() -> None:
        service = await Service.start(template, entry)
        with pytest.raises(OSError, match="Bad file descriptor"):
            await service.call("x", descriptors=[54321])
        with pytest.raises(LocalError, match="too large"):
            await service.call("x", descriptors=[0] * 254)
        assert (await service.call("x", 1, descriptors=[0] * 253))[1] == 1

    Loop().run(main())


def test_a_worker_that_fails_at_its_start_tells_why(template: Template) -> None:
    async def main() -> None:
        service = await Service.start(template, fails_at_start, name="index")
        with pytest.raises(WorkerDied, match="index died: the index is damaged") as caught:
            await service.call("x")
        assert isinstance(caught.value.__cause__, StorageError)
        service = await Service.start(template, entry, Unreadable(), name="odd")
        with pytest.raises(WorkerDied, match="odd died: what shall be run cannot be read"):
            await service.call("x")
        await service.closed()

    Loop().run(main())


def test_a_template_that_died_is_made_again_and_its_workers_live_on(template: Template) -> None:
    async def main() -> None:
        running = await Service.start(template, entry)
        await running.call("x")
        first = template.pid
        os.kill(first, signal.SIGKILL)
        while template.is_alive:
            await sleep(0.01)
        assert (await running.call("x", 1))[1] == 1
        service = await Service.start(template, entry)
        assert (await service.call("x", 2))[1] == 2
        assert template.is_alive
        assert template.pid != first
        assert await WorkerPool(template).call(os.getppid) == template.pid

    Loop().run(main())


def test_an_idle_template_ends_and_comes_back_when_it_is_wanted() -> None:
    template = Template.start(idle_seconds=0.1)

    async def main() -> None:
        running = await Service.start(template, entry)
        await running.call("x")
        for _ in range(3):
            while template.is_alive:
                await sleep(0.01)
            assert (await WorkerPool(template).call(os.getpid)) != os.getpid()
            assert (await running.call("x", 1))[1] == 1
        template.stay()
        first = template.pid
        await sleep(0.3)
        assert template.is_alive
        assert template.pid == first

    try:
        Loop().run(main())
    finally:
        template.close()


async def _seven() -> int:
    await sleep(0.01)
    return 7


def _by_a_loop_of_its_own() -> int:
    return Loop().run(_seven())


def test_workers_of_a_template_that_came_back_have_loops_of_their_own() -> None:
    template = Template.start(idle_seconds=0.1)

    async def main() -> None:
        assert await WorkerPool(template).call(_by_a_loop_of_its_own) == 7
        while template.is_alive:
            await sleep(0.01)
        # It is forked again out of this loop, in the middle of this task.
        assert await WorkerPool(template).call(_by_a_loop_of_its_own) == 7

    try:
        Loop().run(main())
    finally:
        template.close()


def test_a_template_that_is_closed_makes_no_more_workers() -> None:
    template = Template.start()
    template.close()

    async def main() -> None:
        service = await Service.start(template, entry)
        with pytest.raises(WorkerDied):
            await service.call("x")

    Loop().run(main())


def test_a_worker_that_stands_still_does_not_hold_up_the_loop(template: Template) -> None:
    async def main() -> None:
        service = await Service.start(template, entry)
        pid = (await service.call("x"))[0]
        assert service.pid == pid
        async with TaskGroup() as group:
            group.start(service.call("stop"))
            data = os.urandom(100_000)
            calls = [group.start(service.call("size", data)) for _ in range(100)]
            await sleep(0.05)
            assert not any(call.done for call in calls)
            assert current_loop().lag.longest_turn < 0.1
            os.kill(pid, signal.SIGCONT)
        assert {await call.join() for call in calls} == {100_000}

    Loop().run(main())


def test_both_ends_can_send_much_at_once(template: Template) -> None:
    async def main() -> None:
        service = await Service.start(template, entry)
        data = os.urandom(300_000)
        async with TaskGroup() as group:
            calls = [group.start(service.call("x", data)) for _ in range(50)]
        assert [(await call.join())[1] == data for call in calls] == [True] * 50

    Loop().run(main())


def test_a_call_that_is_cancelled_before_it_was_sent_is_not_carried_out(
    template: Template,
) -> None:
    async def main() -> None:
        service = await Service.start(template, entry)
        pid = (await service.call("x"))[0]
        os.kill(pid, signal.SIGSTOP)
        read, write = os.pipe()
        with pytest.raises(TimedOut):
            with timeout(0.02):
                async with TaskGroup() as group:
                    for _ in range(2000):
                        group.start(service.call("x", descriptors=[read]))
        os.close(read)
        os.close(write)
        sent = service.outstanding
        assert sent < 1000
        os.kill(pid, signal.SIGCONT)
        assert (await service.call("x", "after"))[1] == "after"
        assert service.outstanding == current_loop().outside == 0

    Loop().run(main())


def test_closing_lets_what_waits_be_sent_and_answered(template: Template) -> None:
    async def main() -> None:
        service = await Service.start(template, entry)
        async with TaskGroup() as group:
            calls = [group.start(service.call("size", bytes(10_000))) for _ in range(200)]
            await sleep(0)
            service.close()
            service.close()
            with pytest.raises(WorkerDied, match="told to end"):
                await service.call("x")
        assert {await call.join() for call in calls} == {10_000}
        await service.closed()

    Loop().run(main())


def test_when_a_worker_has_closed_its_locks_are_free(template: Template, tmp_path: Path) -> None:
    path = str(tmp_path / "lock")

    async def main() -> None:
        for _ in range(20):
            service = await Service.start(template, holds_a_lock, path)
            await service.call("x")
            service.close()
            await service.closed()
            assert service.pid is not None
            assert not is_alive(service.pid)

    Loop().run(main())


@pytest.mark.parametrize("limit", [1, 7, 64])
def test_calls_that_wait_come_as_a_group_up_to_the_limit(template: Template, limit: int) -> None:
    async def main() -> None:
        service = await Service.start(template, tells_its_group, limit)
        async with TaskGroup() as group:
            group.start(service.call("wait"))
            await sleep(0.05)
            calls = [group.start(service.call("x")) for _ in range(100)]
        sizes = [await call.join() for call in calls]
        assert max(sizes) == limit

    Loop().run(main())


def test_a_worker_has_no_descriptor_of_the_node(template: Template) -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        second = Template.start()
        try:
            found = await WorkerPool(second).call(descriptors_of_worker)
        finally:
            second.close()
            ours.close()
            theirs.close()
        sockets = [each for each in found if "socket:" in each]
        assert len(sockets) == 1, found
        assert not any("eventpoll" in each for each in found)

    Loop().run(main())


def test_an_abandoned_call_keeps_its_place_until_it_is_done(template: Template) -> None:
    async def main() -> None:
        pool = WorkerPool(template, limit=1)
        first = await pool.call(os.getpid)
        with pytest.raises(TimedOut):
            with timeout(0.02):
                await pool.call(pid_after, 0.2)
        assert len(pool) == 1
        started = time.monotonic()
        assert await pool.call(os.getpid) == first
        assert time.monotonic() - started > 0.1

    Loop().run(main())


def test_an_abandoned_call_is_killed_where_that_is_allowed(template: Template) -> None:
    async def main() -> None:
        pool = WorkerPool(template, limit=1, kill_abandoned=True)
        first = await pool.call(os.getpid)
        with pytest.raises(TimedOut):
            with timeout(0.02):
                await pool.call(pid_after, 60)
        assert await pool.call(os.getpid) != first
        assert not is_alive(first)

    started = time.monotonic()
    Loop().run(main())
    assert time.monotonic() - started < 5


def test_callers_get_workers_in_the_order_in_which_they_came(template: Template) -> None:
    async def main() -> list[int]:
        pool = WorkerPool(template, limit=1)
        order: list[int] = []

        async def ask(number: int) -> None:
            await pool.call(pid_after, 0.001)
            order.append(number)

        async with TaskGroup() as group:
            tasks = [group.start(ask(number)) for number in range(20)]
            await sleep(0.005)
            tasks[15].cancel()
        return order

    assert Loop().run(main()) == [number for number in range(20) if number != 15]


def test_cancelled_callers_leave_no_place_taken(template: Template) -> None:
    async def main() -> None:
        pool = WorkerPool(template, limit=2)
        for round_ in range(30):
            async with TaskGroup() as group:
                tasks = [group.start(pool.call(pid_after, 0.001)) for _ in range(10)]
                await sleep(0.0005 * (round_ % 10))
                for task in tasks[::2]:
                    task.cancel()
            assert len(pool) <= 2
        async with TaskGroup() as group:
            found = [group.start(pool.call(os.getpid)) for _ in range(10)]
        assert len({await each.join() for each in found}) <= 2

    Loop().run(main())


def test_a_worker_that_died_while_idle_is_not_used(template: Template) -> None:
    async def main() -> None:
        pool = WorkerPool(template)
        pid = await pool.call(os.getpid)
        os.kill(pid, signal.SIGKILL)
        while len(pool):
            await sleep(0.005)
        assert await pool.call(os.getpid) != pid

    Loop().run(main())


def test_idle_workers_end_by_the_clock_of_the_loop_and_busy_pools_set_one_timer(
    template: Template,
) -> None:
    async def main() -> None:
        pool = WorkerPool(template, idle_seconds=30)
        for _ in range(500):
            await pool.call(os.getpid)
        assert len(current_loop()._timers) < 10
        await sleep(29)
        assert len(pool) == 1
        await sleep(32)
        await pool.closed()
        assert len(pool) == 0

    Loop(ManualClock(grace=0.02)).run(main())


def test_a_closed_pool_refuses_and_ends_all_its_workers(template: Template) -> None:
    async def main() -> None:
        pool = WorkerPool(template, limit=1)
        async with TaskGroup() as group:
            busy = group.start(pool.call(pid_after, 0.05))
            await sleep(0.01)

            async def wait() -> None:
                with pytest.raises(LocalError, match="closed"):
                    await pool.call(os.getpid)

            group.start(wait())
            await sleep(0.01)
            pool.close()
            pool.close()
        pid = await busy.join()
        with pytest.raises(LocalError, match="closed"):
            await pool.call(os.getpid)
        await pool.closed()
        assert not is_alive(pid)

    Loop().run(main())


def test_the_memory_of_a_worker_can_be_limited(template: Template) -> None:
    async def main() -> None:
        pool = WorkerPool(template, address_space=192 << 20)
        with pytest.raises(MemoryError):
            await pool.call(take_memory, 256 << 20)
        assert await pool.call(take_memory, 1 << 20) == 1 << 20
        assert await WorkerPool(template).call(take_memory, 256 << 20) == 256 << 20

    Loop().run(main())


def test_a_worker_bears_its_name(template: Template) -> None:
    async def main() -> None:
        assert await WorkerPool(template, kind="codec").call(name_of_process) == "codec worker"

    Loop().run(main())


def test_a_clock_moved_by_hand_waits_for_workers(template: Template) -> None:
    async def patient() -> None:
        pool = WorkerPool(template)
        with timeout(5):
            await pool.call(pid_after, 0.1)

    async def impatient() -> None:
        pool = WorkerPool(template, kill_abandoned=True)
        with pytest.raises(TimedOut):
            with timeout(3600):
                await pool.call(pid_after, 60)

    started = time.monotonic()
    Loop(ManualClock()).run(patient())
    Loop(ManualClock(patience=0.05)).run(impatient())
    assert time.monotonic() - started < 5


def test_the_loop_ends_with_calls_unanswered_and_so_do_the_workers(template: Template) -> None:
    async def main() -> int:
        service = await Service.start(template, entry)
        pid: int = (await service.call("x"))[0]
        os.kill(pid, signal.SIGSTOP)
        for _ in range(10):
            current_loop().start(service.call("x"), "left")
        await sleep(0.01)
        return pid

    pid = Loop().run(main())
    os.kill(pid, signal.SIGCONT)
    end = time.monotonic() + 5
    while is_alive(pid) and time.monotonic() < end:
        time.sleep(0.01)
    assert not is_alive(pid)


def test_errors_of_workers_belong_to_the_families() -> None:
    assert issubclass(WorkerDied, LocalError)
    assert issubclass(WorkerDied, GantryError)


_TREE = """
import os, time
from agent.loop import Loop
from agent.loop.workers import Service, Template, WorkerPool
from tests.loop.test_worker_faults import entry, memory_of
template = Template.start()
async def main():
    service = await Service.start(template, entry)
    pid = (await service.call("x"))[0]
    started = time.perf_counter()
    other = await Service.start(template, entry)
    await other.call("x")
    seconds = time.perf_counter() - started
    print(memory_of(os.getpid()), memory_of(template.pid), memory_of(pid), seconds)
Loop().run(main())
template.close()
"""


def test_node_template_and_worker_are_small(capsys: pytest.CaptureFixture[str]) -> None:
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", _TREE], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr
    node, template, worker, seconds = map(float, done.stdout.split())
    with capsys.disabled():
        print(
            f"\n  PSS with one worker more: node {node / 2**20:.1f} MiB,"
            f" template {template / 2**20:.1f} MiB, worker {worker / 2**20:.1f} MiB;"
            f" a worker starts and answers in {seconds * 1000:.1f} ms"
        )
    assert template < 10 << 20
    assert worker < 10 << 20
