"""Fairness and lag: nothing starves, and how long things wait is measured."""

from __future__ import annotations

import time

import pytest

from agent.loop import (
    Channel,
    Event,
    Loop,
    ManualClock,
    TaskGroup,
    current_loop,
    give_way,
    now,
    readable,
    sleep,
    timeout,
    turn,
)
from agent.loop.lag import Lag
from agent.loop.timers import Timers
from tests.loop.running import run, socket_pair


def burn(seconds: float) -> None:
    """Use so much CPU time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_tasks_that_are_always_ready_do_not_starve_a_timer() -> None:
    async def main() -> int:
        rounds = 0
        done = False

        async def busy() -> None:
            nonlocal rounds
            while not done:
                rounds += 1
                await give_way()

        async with TaskGroup() as group:
            for _ in range(10):
                group.start(busy())
            started = time.monotonic()
            await sleep(0.02)
            done = True
            assert time.monotonic() - started < 1
        return rounds

    assert Loop().run(main()) > 100


def test_timers_that_are_always_due_do_not_starve_tasks_and_descriptors() -> None:
    async def main() -> int:
        rings = 0
        done = False

        async def ringing() -> None:
            nonlocal rings
            while not done:
                rings += 1
                await sleep(0)

        with socket_pair() as (ours, theirs):
            async with TaskGroup() as group:
                for _ in range(10):
                    group.start(ringing())
                for _ in range(10):
                    theirs.send(b"x")
                    await readable(ours)
                    ours.recv(1)
                    await give_way()
                done = True
        return rings

    assert Loop().run(main()) > 10


def test_every_task_that_is_ready_has_its_turn_before_one_has_its_second() -> None:
    async def main() -> list[int]:
        order: list[int] = []

        async def worker(number: int) -> None:
            for _ in range(3):
                order.append(number)
                await give_way()

        async with TaskGroup() as group:
            for number in range(4):
                group.start(worker(number))
        return order

    assert run(main) == [0, 1, 2, 3] * 3


def test_long_work_that_offers_turns_leaves_others_a_fair_share() -> None:
    async def main() -> dict[str, float]:
        used = dict.fromkeys("abcd", 0.0)

        async def work(name: str) -> None:
            end = now() + 0.2
            while now() < end:
                before = time.thread_time()
                burn(0.0002)
                used[name] += time.thread_time() - before
                await turn()

        async with TaskGroup() as group:
            for name in used:
                group.start(work(name))
        return used

    used = Loop(turn_budget=0.002).run(main())
    assert min(used.values()) > max(used.values()) / 2


def test_lag_tells_of_a_turn_that_took_too_long() -> None:
    async def main() -> None:
        for _ in range(20):
            await sleep(0)
        burn(0.02)
        await sleep(0)

    loop = Loop(turn_budget=0.005)
    loop.run(main())
    assert 0.019 < loop.lag.longest_turn < 0.1
    assert loop.lag.turns_over_budget == 1
    assert loop.lag.over_budget >= 1
    assert loop.lag.p999 >= 0.019
    assert loop.lag.p50 < 0.005
    assert set(loop.lag.snapshot()) == {
        "count",
        "p50",
        "p999",
        "over_budget",
        "longest_turn",
        "turns_over_budget",
    }


def test_what_a_start_took_can_be_forgotten() -> None:
    async def main() -> None:
        burn(0.02)
        await sleep(0)
        burn(0.02)
        current_loop().measure_anew()
        await sleep(0)

    loop = Loop(turn_budget=0.005)
    loop.run(main())
    assert loop.lag.longest_turn < 0.005
    assert loop.lag.turns_over_budget == 0


def test_time_that_the_process_did_not_run_is_no_turn() -> None:
    async def main() -> None:
        time.sleep(0.03)
        await sleep(0)

    loop = Loop()
    loop.run(main())
    assert loop.lag.longest_turn < 0.01
    assert loop.lag.turns_over_budget == 0
    assert loop.lag.p999 > 0.02


def test_time_that_the_loop_sleeps_is_no_lag() -> None:
    async def main() -> None:
        for _ in range(5):
            await sleep(0.02)

    loop = Loop()
    loop.run(main())
    assert loop.lag.p50 < 0.005


@pytest.mark.parametrize("seconds", [0.0, 1e-6, 1e-5, 0.001, 0.005, 1.0, 100.0, 1e6])
def test_a_quantile_is_right_to_a_quarter_octave(seconds: float) -> None:
    lag = Lag(0.005)
    for _ in range(1000):
        lag.lap(seconds)
    if 1e-5 <= seconds <= 80:
        assert seconds <= lag.p50 <= seconds * 1.2
    assert lag.p50 == lag.p999
    assert lag.over_budget == (1000 if seconds > 0.005 else 0)


def test_quantiles_part_the_many_from_the_few() -> None:
    lag = Lag(0.005)
    assert lag.p50 == lag.p999 == 0
    for _ in range(9980):
        lag.lap(0.0001)
    for _ in range(20):
        lag.lap(0.05)
    assert lag.p50 < 0.0002
    assert lag.p999 >= 0.05
    assert lag.over_budget == 20


def test_cancelled_timers_do_not_pile_up() -> None:
    timers = Timers()
    for number in range(100_000):
        timers.add(1e9 + number, lambda: None).cancel()
    assert len(timers) < 2000
    assert timers.next_at() is None


def test_a_timer_that_rings_may_set_and_cancel_others() -> None:
    timers = Timers()
    rung: list[int] = []
    later = []

    def ring(number: int) -> None:
        rung.append(number)
        later.append(timers.add(10, lambda: rung.append(-number)))
        timers.add(1e9, lambda: None).cancel()

    for number in range(2000):
        timers.add(1, lambda number=number: ring(number))
    timers.ring(1)
    assert rung == list(range(2000))
    timers.ring(10)
    assert rung[2000:] == [-number for number in range(2000)]


def test_deadlines_of_many_requests_leave_nothing_behind() -> None:
    async def main() -> int:
        for _ in range(20_000):
            with timeout(30):
                pass
        return len(current_loop()._timers)

    assert run(main) < 2000


def test_a_clock_moved_by_hand_gives_sockets_their_real_time() -> None:
    async def main() -> tuple[float, bytes]:
        with socket_pair() as (ours, theirs):

            async def answer() -> None:
                await readable(theirs)
                theirs.send(theirs.recv(10))

            started = now()
            async with TaskGroup() as group:
                group.start(answer())
                ours.send(b"x")
                with timeout(30):
                    await readable(ours)
            return now() - started, ours.recv(10)

    assert run(main) == (0, b"x")


def test_a_clock_moved_by_hand_stands_still_while_tasks_can_run() -> None:
    clock = ManualClock(5)

    async def main() -> None:
        for _ in range(1000):
            await give_way()
        assert now() == 5
        clock.advance(2)
        clock.move_to(1)
        assert now() == 7
        await sleep(1)
        assert now() == 8

    Loop(clock).run(main())


def test_switches_per_second(capsys: pytest.CaptureFixture[str]) -> None:
    number = 20_000

    async def sockets() -> None:
        with socket_pair() as (ours, theirs):

            async def echo(end: object, first: bool) -> None:
                for _ in range(number):
                    if first:
                        end.send(b"x")  # type: ignore[attr-defined]
                    while True:
                        try:
                            end.recv(10)  # type: ignore[attr-defined]
                            break
                        except BlockingIOError:
                            await readable(end)  # type: ignore[arg-type]
                    if not first:
                        end.send(b"x")  # type: ignore[attr-defined]

            async with TaskGroup() as group:
                group.start(echo(ours, True))
                group.start(echo(theirs, False))

    async def channel() -> None:
        there: Channel[int] = Channel(1)
        back: Channel[int] = Channel(1)

        async def other() -> None:
            async for item in there:
                await back.put(item)

        async with TaskGroup() as group:
            group.start(other())
            for item in range(number):
                await there.put(item)
                await back.get()
            there.close()

    async def turns() -> None:
        for _ in range(2 * number):
            await turn()

    async def waits() -> None:
        done = Event()
        done.set()
        for _ in range(2 * number):
            await done.wait()

    lines = []
    for name, main in (
        ("over a socket pair", sockets()),
        ("over a channel", channel()),
        ("turns offered", turns()),
        ("waits that do not wait", waits()),
    ):
        started = time.perf_counter()
        Loop().run(main)
        lines.append(f"{name}: {2 * number / (time.perf_counter() - started):,.0f}/s")
    with capsys.disabled():
        print("\n  switches " + ", ".join(lines))
