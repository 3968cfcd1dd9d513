"""Signals and programs of others, on the loop."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from agent.errors import LocalError
from agent.loop import (
    Loop,
    ManualClock,
    Signals,
    TaskGroup,
    TimedOut,
    current_loop,
    give_way,
    run_process,
    sleep,
)
from agent.loop.processes import check_returncode
from tests.loop.running import run


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_blocks_for_signals_may_end_in_any_order() -> None:
    before = signal.getsignal(signal.SIGUSR1)

    async def main() -> list[int]:
        first, second = Signals(signal.SIGUSR1), Signals(signal.SIGUSR2)
        await first.__aenter__()
        await second.__aenter__()
        await first.__aexit__(None, None, None)
        found: list[int] = []
        async with TaskGroup() as group:

            async def receive() -> None:
                found.append(await second.receive())

            group.start(receive())
            await sleep(0.01)
            os.kill(os.getpid(), signal.SIGUSR2)
        await second.__aexit__(None, None, None)
        return found

    assert Loop().run(main()) == [signal.SIGUSR2]
    assert signal.getsignal(signal.SIGUSR1) is before
    assert signal.set_wakeup_fd(-1) == -1


def test_signals_wait_until_they_are_received() -> None:
    async def main() -> list[int]:
        async with Signals(signal.SIGUSR1, signal.SIGUSR2) as signals:
            os.kill(os.getpid(), signal.SIGUSR1)
            os.kill(os.getpid(), signal.SIGUSR2)
            await sleep(0.01)
            return [await signals.receive(), await signals.receive()]

    assert Loop().run(main()) == [signal.SIGUSR1, signal.SIGUSR2]


def test_a_signal_that_is_taken_or_cannot_be_is_refused_and_nothing_stays() -> None:
    async def main() -> None:
        async with Signals(signal.SIGUSR1):
            with pytest.raises(LocalError, match="SIGUSR1"):
                async with Signals(signal.SIGUSR2, signal.SIGUSR1):
                    pass
        with pytest.raises(OSError, match="Invalid argument"):
            async with Signals(signal.SIGUSR2, signal.SIGKILL):
                pass
        async with Signals(signal.SIGUSR2):
            pass

    before = open_descriptors()
    Loop().run(main())
    assert open_descriptors() == before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_signal_wakes_a_loop_that_sleeps_for_long() -> None:
    async def main() -> int:
        async with Signals(signal.SIGALRM) as signals:
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            return await signals.receive()

    started = time.monotonic()
    assert Loop().run(main()) == signal.SIGALRM
    assert time.monotonic() - started < 5


def test_outputs_are_kept_to_the_limit_and_read_to_the_end() -> None:
    program = "import sys; sys.stdout.write('o' * 3_000_000); sys.stderr.write('e' * 10)"

    async def main() -> Any:
        return await run_process([sys.executable, "-S", "-c", program], limit=1000)

    result = Loop().run(main())
    assert (result.returncode, result.stdout, result.stderr) == (0, b"o" * 1000, b"e" * 10)


def test_a_program_that_does_not_read_its_input_ends_well() -> None:
    async def main() -> Any:
        return await run_process(["true"], input=b"." * 10_000_000)

    assert Loop().run(main()).returncode == 0


def test_a_program_that_is_not_there_says_so_and_leaves_nothing() -> None:
    async def main() -> None:
        with pytest.raises(FileNotFoundError):
            await run_process(["/no/such/program"])

    before = open_descriptors()
    Loop().run(main())
    assert open_descriptors() == before


def test_a_program_that_a_signal_killed_tells_which() -> None:
    async def main() -> Any:
        return await run_process(["sh", "-c", "kill -9 $$"])

    assert Loop().run(main()).returncode == -signal.SIGKILL


def test_a_child_that_is_left_behind_is_not_waited_for() -> None:
    async def main() -> bytes:
        result = await run_process(["sh", "-c", "sleep 20 & echo $!"])
        return result.stdout

    started = time.monotonic()
    daemon = int(Loop().run(main()))
    assert time.monotonic() - started < 10
    os.kill(daemon, signal.SIGKILL)


def test_a_program_that_is_given_up_dies_with_its_children(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(TimedOut):
            await run_process(
                ["sh", "-c", f"sleep 20 & echo $! > {tmp_path}/pid; wait"], timeout=0.2
            )

    before = open_descriptors()
    Loop().run(main())
    assert open_descriptors() == before
    pid = int((tmp_path / "pid").read_text())
    end = time.monotonic() + 5
    while is_alive(pid) and time.monotonic() < end:
        time.sleep(0.01)
    assert not is_alive(pid)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_program_is_given_its_real_time_by_a_clock_that_is_moved_by_hand() -> None:
    async def main() -> int:
        return (await run_process(["sleep", "0.1"], timeout=5)).returncode

    assert run(main) == 0


def test_a_program_that_hangs_is_tested_in_no_time_with_little_patience() -> None:
    async def main() -> None:
        with pytest.raises(TimedOut):
            await run_process(["sleep", "60"], timeout=30)

    started = time.monotonic()
    run(main, ManualClock(patience=0.05))
    assert time.monotonic() - started < 5


def test_many_programs_run_at_once_while_the_loop_goes_on() -> None:
    async def main() -> int:
        rounds = 0
        async with TaskGroup() as group:
            tasks = [group.start(run_process(["sh", "-c", "sleep 0.1"])) for _ in range(5)]
            while not all(task.done for task in tasks):
                rounds += 1
                await sleep(0.005)
        await give_way()
        assert current_loop().outside == 0
        return rounds

    assert Loop().run(main()) >= 5


def test_a_program_that_failed_is_quoted() -> None:
    async def main() -> None:
        argv = ["sh", "-c", "echo one >&2; echo two >&2; exit 3"]
        with pytest.raises(LocalError, match="sh failed: two") as caught:
            check_returncode(await run_process(argv), argv)
        assert caught.value.value == 3

    Loop().run(main())
