"""The loop: turns, timers, descriptors, cancellation, groups."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agent.errors import LocalError
from agent.loop import (
    Cancelled,
    Channel,
    Event,
    Loop,
    ManualClock,
    Signals,
    TaskGroup,
    TimedOut,
    current_loop,
    current_task,
    give_way,
    now,
    readable,
    run_process,
    shielded,
    sleep,
    timeout,
    turn,
)


def run(main: Callable[[], Awaitable[Any]], clock: Any = None) -> Any:
    async def wrapped() -> Any:
        return await main()

    return Loop(clock if clock is not None else ManualClock()).run(wrapped())


def test_a_timer_of_a_day_takes_no_time_on_a_manual_clock() -> None:
    async def main() -> float:
        before = now()
        await sleep(86400)
        return now() - before

    started = time.monotonic()
    assert run(main) == 86400
    assert time.monotonic() - started < 1


def test_sleepers_wake_in_the_order_of_their_moments() -> None:
    order: list[int] = []

    async def sleeper(seconds: int) -> None:
        await sleep(seconds)
        order.append(seconds)

    async def main() -> None:
        async with TaskGroup() as group:
            for seconds in (3, 1, 2):
                group.start(sleeper(seconds))

    run(main)
    assert order == [1, 2, 3]


def test_a_failing_child_cancels_its_sisters_and_the_body_and_its_error_comes_out() -> None:
    ended: list[str] = []

    async def forever() -> None:
        try:
            await Event().wait()
        finally:
            ended.append("sister")

    async def fails() -> None:
        await sleep(1)
        raise ValueError("child")

    async def main() -> None:
        async with TaskGroup() as group:
            group.start(forever())
            group.start(fails())
            try:
                await sleep(100)
            finally:
                ended.append("body")

    with pytest.raises(ValueError, match="child"):
        run(main)
    assert sorted(ended) == ["body", "sister"]


def test_a_failing_body_cancels_the_children_and_waits_for_them() -> None:
    ended: list[str] = []

    async def slow_to_end() -> None:
        try:
            await sleep(100)
        finally:
            with shielded():
                await sleep(5)
            ended.append("child")

    async def main() -> None:
        async with TaskGroup() as group:
            group.start(slow_to_end())
            await sleep(1)
            raise KeyError("body")

    with pytest.raises(KeyError):
        run(main)
    assert ended == ["child"]


def test_timeouts_nest_and_each_raises_its_own() -> None:
    async def main() -> str:
        try:
            with timeout(1):
                try:
                    with timeout(5):
                        await sleep(10)
                except TimedOut:
                    return "inner"
        except TimedOut as error:
            assert error.limit == 1
            return "outer"
        return "none"

    assert run(main) == "outer"


def test_a_timeout_that_is_not_reached_leaves_no_trace() -> None:
    async def main() -> None:
        with timeout(5):
            await sleep(1)
        await sleep(10)

    run(main)


def test_a_timeout_of_none_never_ends() -> None:
    async def main() -> None:
        with timeout(None):
            await sleep(10**6)

    run(main)


def test_cancelling_runs_finally_and_further_waits_raise_again() -> None:
    seen: list[str] = []

    async def child() -> None:
        try:
            await sleep(100)
        finally:
            seen.append("first")
            try:
                await sleep(1)
            except Cancelled:
                seen.append("again")
                raise

    async def main() -> None:
        async with TaskGroup() as group:
            task = group.start(child())
            await sleep(1)
            task.cancel()
            task.cancel()
        assert task.done

    run(main)
    assert seen == ["first", "again"]


def test_a_deadline_inside_a_shield_still_holds() -> None:
    async def main() -> str:
        task = current_task()
        task.cancel()
        with shielded():
            try:
                with timeout(1):
                    await sleep(100)
            except TimedOut:
                result = "timed out"
        try:
            await sleep(0)
        except Cancelled:
            return f"{result}, then cancelled"
        return result

    assert run(main) == "timed out, then cancelled"


def test_joining_a_cancelled_task_is_not_being_cancelled() -> None:
    async def child() -> None:
        await sleep(100)

    async def main() -> None:
        async with TaskGroup() as group:
            task = group.start(child(), name="the child")
            await sleep(1)
            task.cancel()
            with pytest.raises(LocalError, match="the child was cancelled"):
                await task.join()

    run(main)


def test_a_descriptor_wakes_its_reader_and_closing_it_does_too() -> None:
    async def main() -> list[bytes]:
        ours, theirs = socket.socketpair()
        found = []
        async with TaskGroup() as group:

            async def reader() -> None:
                for _ in range(3):
                    await readable(ours)
                    found.append(ours.recv(10))

            group.start(reader())
            for text in (b"a", b"b"):
                theirs.send(text)
                await sleep(1)
            theirs.close()
        current_loop().forget(ours)
        ours.close()
        return found

    assert run(main) == [b"a", b"b", b""]


def test_a_ready_descriptor_that_nobody_reads_does_not_spin_the_loop() -> None:
    async def main() -> int:
        ours, theirs = socket.socketpair()
        theirs.send(b"x")
        await readable(ours)
        before = current_loop().lag.count
        await sleep(0.2)
        current_loop().forget(ours)
        return current_loop().lag.count - before

    assert Loop().run(main()) < 10


def test_two_waiters_for_one_descriptor_are_refused() -> None:
    async def main() -> None:
        ours, _theirs = socket.socketpair()
        async with TaskGroup() as group:
            group.start(readable(ours))
            await sleep(1)
            with pytest.raises(LocalError):
                await readable(ours)
            group.cancel()
        current_loop().forget(ours)

    run(main)


def test_turn_gives_way_only_when_the_budget_is_used() -> None:
    async def main() -> tuple[int, int]:
        rounds = 0
        done = False

        async def other() -> None:
            nonlocal rounds
            while not done:
                rounds += 1
                await give_way()

        async with TaskGroup() as group:
            group.start(other())
            await give_way()
            before = rounds
            for _ in range(100):
                await turn()
            cheap = rounds - before
            end = time.thread_time() + 0.03
            while time.thread_time() < end:
                await turn()
            done = True
            return cheap, rounds - before

    cheap, busy = Loop(turn_budget=0.005).run(main())
    assert cheap <= 1
    assert busy >= 4


def test_a_channel_keeps_order_and_holds_givers_back() -> None:
    async def main() -> list[int]:
        channel: Channel[int] = Channel(2)
        found = []

        async def give() -> None:
            for number in range(10):
                await channel.put(number)
            channel.close()

        async with TaskGroup() as group:
            group.start(give())
            async for number in channel:
                assert len(channel) <= 2
                found.append(number)
        return found

    assert run(main) == list(range(10))


def test_signals_come_one_by_one() -> None:
    async def main() -> list[int]:
        async with Signals(signal.SIGUSR1, signal.SIGUSR2) as signals:
            os.kill(os.getpid(), signal.SIGUSR1)
            first = await signals.receive()
            os.kill(os.getpid(), signal.SIGUSR2)
            return [first, await signals.receive()]

    assert Loop().run(main()) == [signal.SIGUSR1, signal.SIGUSR2]


def test_a_program_is_run_with_its_input_and_outputs() -> None:
    async def main() -> Any:
        return await run_process(["sh", "-c", "cat; echo bad >&2; exit 3"], input=b"good" * 50000)

    result = Loop().run(main())
    assert (result.returncode, result.stdout, result.stderr) == (3, b"good" * 50000, b"bad\n")


def test_a_program_that_takes_too_long_is_killed() -> None:
    async def main() -> None:
        await run_process(["sleep", "60"], timeout=0.1)

    started = time.monotonic()
    with pytest.raises(TimedOut):
        Loop().run(main())
    assert time.monotonic() - started < 10


def test_waiting_for_nothing_at_all_is_an_error_not_a_hang() -> None:
    async def main() -> None:
        await Event().wait()

    with pytest.raises(LocalError, match="nothing is left"):
        Loop().run(main())
