"""Cancellation: delivered in every kind of wait, leaving everything as if nobody had waited."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.errors import LocalError
from agent.loop import (
    Cancelled,
    Channel,
    Event,
    Limit,
    Loop,
    Promise,
    Signals,
    Task,
    TaskGroup,
    TimedOut,
    current_loop,
    current_task,
    give_way,
    readable,
    run_process,
    shielded,
    sleep,
    timeout,
    writable,
)
from tests.loop.running import fill, run, socket_pair

Wait = Callable[[], Awaitable[Any]]


async def _wait_for_event() -> None:
    await Event().wait()


async def _wait_for_item() -> None:
    await Channel[int](1).get()


async def _wait_for_room() -> None:
    channel = Channel[int](1)
    channel.put_nowait(1)
    await channel.put(2)


async def _wait_for_promise() -> None:
    await Promise[int]().wait()


async def _wait_for_limit() -> None:
    limit = Limit(1)
    await limit.acquire()
    await limit.acquire()


async def _wait_for_children() -> None:
    async with TaskGroup() as group:
        group.start(sleep(1e6))
        group.start(_wait_for_event())


async def _wait_for_task() -> None:
    async with TaskGroup() as group:
        await group.start(sleep(1e6)).join()


async def _wait_to_read() -> None:
    with socket_pair() as (ours, _):
        await readable(ours)


async def _wait_to_write() -> None:
    with socket_pair() as (ours, _):
        fill(ours)
        await writable(ours)


async def _wait_for_signal() -> None:
    async with Signals(signal.SIGUSR1) as signals:
        await signals.receive()


async def _wait_for_process() -> None:
    await run_process(["sleep", "60"])


async def _wait_for_turn() -> None:
    while True:
        await give_way()


WAITS = [
    _wait_for_event,
    _wait_for_item,
    _wait_for_room,
    _wait_for_promise,
    _wait_for_limit,
    _wait_for_children,
    _wait_for_task,
    _wait_to_read,
    _wait_to_write,
    _wait_for_signal,
    _wait_for_process,
    _wait_for_turn,
]


@pytest.mark.parametrize("wait", WAITS)
def test_a_wait_is_cancelled_and_finally_runs(wait: Wait) -> None:
    seen: list[str] = []

    async def child() -> None:
        try:
            await wait()
        except Cancelled:
            seen.append("cancelled")
            raise
        finally:
            seen.append("finally")

    async def main() -> int:
        async with TaskGroup() as group:
            task = group.start(child())
            await give_way()
            await give_way()
            assert not task.done
            task.cancel()
        assert seen == ["cancelled", "finally"]
        return current_loop().descriptors.waiting

    assert Loop().run(main()) == 0


@pytest.mark.parametrize("wait", WAITS)
def test_a_wait_is_timed_out(wait: Wait) -> None:
    async def main() -> None:
        with pytest.raises(TimedOut):
            with timeout(0.02):
                await wait()

    Loop().run(main())


@pytest.mark.parametrize("wait", WAITS)
def test_a_wait_of_what_is_cancelled_already_does_not_begin(wait: Wait) -> None:
    async def main() -> None:
        current_task().cancel()
        await wait()

    with pytest.raises(Cancelled):
        Loop().run(main())


def test_a_task_that_is_cancelled_before_it_begins_never_does() -> None:
    began = []

    async def child() -> None:
        began.append(True)

    async def main() -> None:
        async with TaskGroup() as group:
            group.start(child()).cancel()

    run(main)
    assert not began


def test_cancelling_what_is_done_does_nothing() -> None:
    async def child() -> int:
        return 7

    async def main() -> int:
        async with TaskGroup() as group:
            task = group.start(child())
        task.cancel()
        assert task.done
        return await task.join()

    assert run(main) == 7


def test_an_item_that_was_given_to_a_task_that_is_cancelled_goes_to_the_next() -> None:
    async def main() -> list[int]:
        channel: Channel[int] = Channel(1)
        found: list[int] = []

        async def take() -> None:
            found.append(await channel.get())

        async with TaskGroup() as group:
            first = group.start(take())
            group.start(take())
            await sleep(1)
            channel.put_nowait(5)
            first.cancel()
        return found

    assert run(main) == [5]


def test_room_that_was_given_to_a_task_that_is_cancelled_goes_to_the_next() -> None:
    async def main() -> None:
        limit = Limit(1)
        await limit.acquire()
        async with TaskGroup() as group:
            first = group.start(limit.acquire())
            second = group.start(limit.acquire())
            await sleep(1)
            limit.release()
            first.cancel()
            await second.join()

    run(main)


def test_a_task_that_swallows_its_cancellation_is_told_again() -> None:
    async def main() -> int:
        told = 0

        async def stubborn() -> None:
            nonlocal told
            for _ in range(3):
                try:
                    await sleep(100)
                except Cancelled:
                    told += 1

        async with TaskGroup() as group:
            task = group.start(stubborn())
            await sleep(1)
            task.cancel()
        return told

    assert run(main) == 3


def test_shields_nest_and_cancellation_comes_when_the_last_is_left() -> None:
    steps: list[str] = []

    async def child() -> None:
        with shielded():
            with shielded():
                await sleep(5)
                steps.append("inner")
            await sleep(5)
            steps.append("outer")
        await sleep(5)
        steps.append("never")

    async def main() -> None:
        async with TaskGroup() as group:
            task = group.start(child())
            await sleep(1)
            task.cancel()

    run(main)
    assert steps == ["inner", "outer"]


def test_a_shield_holds_back_an_outer_deadline_but_not_its_own() -> None:
    async def main() -> None:
        with pytest.raises(TimedOut) as outer:
            with timeout(1):
                with shielded():
                    with pytest.raises(TimedOut) as inner:
                        with timeout(3):
                            await sleep(10)
                    assert inner.value.limit == 3
                await sleep(10)
        assert outer.value.limit == 1

    run(main)


@pytest.mark.parametrize(
    ("inner", "outer", "work", "expected"),
    [
        (1, 2, 5, "inner"),
        (2, 1, 5, "outer"),
        (1, 1, 5, "outer"),
        (3, 2, 1, "done"),
        (None, 1, 5, "outer"),
        (1, None, 5, "inner"),
        (0, 1, 5, "inner"),
        (-1, 1, 5, "inner"),
    ],
)
def test_of_nested_limits_the_one_that_ends_is_raised(
    inner: float | None, outer: float | None, work: float, expected: str
) -> None:
    async def main() -> str:
        try:
            with timeout(outer):
                try:
                    with timeout(inner):
                        await sleep(work)
                except TimedOut:
                    return "inner"
        except TimedOut:
            return "outer"
        return "done"

    assert run(main) == expected


@pytest.mark.parametrize("limit", [0.5, 1, 2])
def test_a_cancellation_is_never_taken_for_a_timeout(limit: float) -> None:
    seen: list[str] = []

    async def child() -> None:
        try:
            with timeout(limit):
                await sleep(10)
        except TimedOut:
            seen.append("timed out")
            await sleep(10)
        except Cancelled:
            seen.append("cancelled")
            raise

    async def main() -> None:
        async with TaskGroup() as group:
            task = group.start(child())
            await sleep(1)
            task.cancel()
        with pytest.raises(LocalError):
            await task.join()

    run(main)
    assert seen in (["timed out"] if limit < 1 else ["cancelled"], ["cancelled"])


def test_a_deadline_can_be_moved_while_its_block_runs() -> None:
    async def main() -> None:
        with timeout(1) as limit:
            await sleep(0.9)
            limit.move(current_loop().clock.now() + 5)
            await sleep(3)
            with pytest.raises(TimedOut):
                with timeout(1):
                    await sleep(2)

    run(main)


def test_when_the_main_task_ends_what_is_left_is_cancelled_and_waited_for() -> None:
    ended: list[str] = []

    async def left(name: str) -> None:
        try:
            await Event().wait()
        finally:
            with shielded():
                await sleep(10)
            ended.append(name)

    async def owner() -> None:
        async with TaskGroup() as group:
            group.start(left("child"))

    async def main() -> str:
        current_loop().start(left("one"), "one")
        current_loop().start_background(left("two"), "two")
        current_loop().start(owner(), "owner")
        await sleep(1)
        return "value"

    assert run(main) == "value"
    assert sorted(ended) == ["child", "one", "two"]


def test_what_main_raises_comes_out_after_what_is_left_has_ended() -> None:
    ended: list[bool] = []

    async def left() -> None:
        try:
            await Event().wait()
        finally:
            ended.append(True)

    async def main() -> None:
        current_loop().start(left(), "left")
        await give_way()
        raise KeyError("main")

    with pytest.raises(KeyError):
        run(main)
    assert ended == [True]


@pytest.fixture
def heard_interrupts() -> Iterator[None]:
    """SIGINT as a terminal has it: what a shell starts in the background is deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard_interrupts")
def test_an_interrupt_from_the_keyboard_ends_the_main_task_in_order() -> None:
    steps: list[str] = []

    async def main() -> None:
        try:
            async with TaskGroup() as group:
                group.start(sleep(60))
                os.kill(os.getpid(), signal.SIGINT)
                await sleep(60)
        finally:
            with shielded():
                await sleep(0.01)
            steps.append("cleaned up")

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        Loop().run(main())
    assert steps == ["cleaned up"]
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_reaches_a_loop_that_sleeps() -> None:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)

            async def main() -> None:
                with socket_pair() as (ours, _):
                    await readable(ours)

            Loop().run(main())
        except KeyboardInterrupt:
            code = 42
        finally:
            os._exit(code)
    try:
        end = time.monotonic() + 10
        while "poll" not in Path(f"/proc/{pid}/wchan").read_text():
            assert time.monotonic() < end
            time.sleep(0.005)
        os.kill(pid, signal.SIGINT)
        assert _exit_code(pid, end) == 42
    finally:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _exit_code(pid: int, end: float) -> int:
    while time.monotonic() < end:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    raise AssertionError("it goes on")


@pytest.mark.usefixtures("heard_interrupts")
def test_a_second_interrupt_ends_a_turn_that_never_ends() -> None:
    async def main() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            pass

    with pytest.raises(KeyboardInterrupt):
        Loop().run(main())


def test_a_program_that_handles_the_interrupt_itself_is_left_alone() -> None:
    async def main() -> int:
        async with Signals(signal.SIGINT) as signals:
            os.kill(os.getpid(), signal.SIGINT)
            return await signals.receive()

    assert Loop().run(main()) == signal.SIGINT


def test_what_waits_for_another_kind_of_loop_is_told() -> None:
    class Foreign:
        def __await__(self) -> Any:
            yield self

    async def main() -> None:
        await Foreign()

    with pytest.raises(LocalError, match="not of this loop"):
        run(main)


def test_a_loop_can_run_one_task_after_another_but_not_one_within_another() -> None:
    loop = Loop()

    async def one() -> int:
        async with TaskGroup():
            with pytest.raises(LocalError, match="re-entrant"):
                loop.run(one())
        with socket_pair() as (ours, theirs):
            theirs.send(b"x")
            await readable(ours)
        return 1

    assert loop.run(one()) == 1
    assert loop.run(one()) == 1


def test_outside_of_a_loop_everything_says_so() -> None:
    with pytest.raises(LocalError, match="no task"):
        current_task()
    with pytest.raises(LocalError, match="no loop"):
        current_loop()


def test_a_task_says_what_it_is() -> None:
    async def main() -> Task[None]:
        async with TaskGroup() as group:
            task = group.start(sleep(1), name="the sleeper")
            await give_way()
            assert repr(task) == "<task the sleeper, waiting>"
        return task

    assert repr(run(main)) == "<task the sleeper, done>"
