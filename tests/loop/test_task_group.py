"""Task groups: nothing outlives the block, and no error is lost."""

from __future__ import annotations

import pytest

from agent.errors import LocalError
from agent.loop import Cancelled, Event, TaskGroup, TimedOut, give_way, shielded, sleep, timeout
from tests.loop.running import run


async def fail_after(seconds: float, error: BaseException) -> None:
    await sleep(seconds)
    raise error


async def fail_when_cancelled(error: Exception) -> None:
    try:
        await Event().wait()
    except Cancelled:
        raise error from None


def test_of_several_errors_the_first_comes_out_and_the_others_are_its_notes() -> None:
    async def main() -> None:
        async with TaskGroup() as group:
            group.start(fail_when_cancelled(ValueError("second")), name="other")
            group.start(fail_after(1, KeyError("first")))

    with pytest.raises(KeyError, match="first") as caught:
        run(main)
    assert caught.value.__notes__ == ["also, in other: ValueError('second')"]


def test_errors_of_children_are_notes_of_the_error_of_the_block() -> None:
    async def main() -> None:
        async with TaskGroup() as group:
            group.start(fail_when_cancelled(ValueError("child")), name="child")
            await sleep(1)
            raise KeyError("block")

    with pytest.raises(KeyError, match="block") as caught:
        run(main)
    assert caught.value.__notes__ == ["also, in child: ValueError('child')"]


def test_an_error_of_the_block_after_that_of_a_child_is_its_note() -> None:
    async def main() -> None:
        async with TaskGroup() as group:
            group.start(fail_after(1, KeyError("child")))
            try:
                await Event().wait()
            finally:
                raise ValueError("block")

    with pytest.raises(KeyError, match="child") as caught:
        run(main)
    assert caught.value.__notes__ == ["also, in the block: ValueError('block')"]


def test_an_error_that_the_block_got_by_joining_comes_out_once() -> None:
    async def main() -> None:
        async with TaskGroup() as group:
            await group.start(fail_after(1, KeyError("child"))).join()

    with pytest.raises(KeyError, match="child") as caught:
        run(main)
    assert not hasattr(caught.value, "__notes__")


def test_the_context_of_a_childs_error_is_kept() -> None:
    async def child() -> None:
        try:
            raise ValueError("cause")
        except ValueError:
            raise KeyError("effect")  # noqa: B904 (the context is what is tested)

    async def main() -> None:
        async with TaskGroup() as group:
            group.start(child())
            await Event().wait()

    with pytest.raises(KeyError) as caught:
        run(main)
    assert isinstance(caught.value.__context__, ValueError)


def test_an_error_goes_before_a_time_limit() -> None:
    async def main() -> None:
        with timeout(1):
            async with TaskGroup() as group:
                group.start(fail_when_cancelled(ValueError("lost?")))

    with pytest.raises(ValueError, match="lost"):
        run(main)


def test_a_time_limit_around_a_group_ends_all_of_it() -> None:
    ended: list[str] = []

    async def child() -> None:
        try:
            await Event().wait()
        finally:
            with shielded():
                await sleep(5)
            ended.append("child")

    async def main() -> None:
        with timeout(1):
            async with TaskGroup() as group:
                group.start(child())
                group.start(child())

    with pytest.raises(TimedOut):
        run(main)
    assert ended == ["child", "child"]


def test_a_task_started_in_a_group_that_ends_never_begins() -> None:
    began: list[bool] = []

    async def late() -> None:
        began.append(True)

    async def main() -> None:
        async with TaskGroup() as group:
            group.start(fail_after(1, KeyError("child")))
            try:
                await Event().wait()
            finally:
                group.start(late())

    with pytest.raises(KeyError):
        run(main)
    assert not began


def test_a_child_can_start_sisters_while_the_block_waits() -> None:
    async def main() -> list[int]:
        found: list[int] = []
        async with TaskGroup() as group:

            async def child(depth: int) -> None:
                await sleep(1)
                found.append(depth)
                if depth:
                    group.start(child(depth - 1))

            group.start(child(3))
        assert len(group) == 0
        return found

    assert run(main) == [3, 2, 1, 0]


def test_cancelling_the_children_is_no_error_of_the_block() -> None:
    async def main() -> str:
        async with TaskGroup() as group:
            for _ in range(3):
                group.start(Event().wait())
            await sleep(1)
            group.cancel()
            await sleep(1)
        return "went on"

    assert run(main) == "went on"


def test_a_group_takes_no_task_before_or_after_its_block() -> None:
    async def main() -> None:
        group = TaskGroup()
        with pytest.raises(LocalError, match="not open"):
            group.start(sleep(1))
        async with group:
            await give_way()
        with pytest.raises(LocalError, match="not open"):
            group.start(sleep(1))

    run(main)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_in_a_child_ends_the_loop_in_order(error: type[BaseException]) -> None:
    ended: list[bool] = []

    async def sister() -> None:
        try:
            await Event().wait()
        finally:
            ended.append(True)

    async def main() -> None:
        async with TaskGroup() as group:
            group.start(sister())
            group.start(fail_after(1, error()))

    with pytest.raises(error):
        run(main)
    assert ended == [True]
