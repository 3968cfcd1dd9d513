"""Programs of others, run as child processes without blocking the loop."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from agent.errors import LocalError
from agent.loop.deadlines import timeout as time_limit
from agent.loop.loop import current_loop
from agent.loop.task_group import TaskGroup
from agent.loop.waiting import readable, writable


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """How a program ended; `returncode` is negative for the signal that killed it."""

    returncode: int
    stdout: bytes
    stderr: bytes


async def run_process(
    argv: Sequence[str],
    *,
    input: bytes | None = None,
    limit: int = 1 << 20,
    timeout: float | None = None,
) -> ProcessResult:
    """Run a program to its end; of each output at most `limit` bytes are kept, the rest is read.

    Raises OSError when it cannot be started, TimedOut after `timeout` seconds. However this ends,
    the program does: it is killed when the wait for it is.
    """
    # Imported late: the module costs memory that a relaying node need not spend.
    import subprocess

    process = subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    )
    out, errors = bytearray(), bytearray()
    ended = os.pidfd_open(process.pid)
    try:
        with time_limit(timeout):
            async with TaskGroup() as group:
                assert process.stdout is not None
                assert process.stderr is not None
                group.start(_read(process.stdout.fileno(), out, limit), "stdout")
                group.start(_read(process.stderr.fileno(), errors, limit), "stderr")
                if process.stdin is not None:
                    group.start(_write(process.stdin, input or b""), "stdin")
            await readable(ended)
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        process.wait()
        loop = current_loop()
        for descriptor in (ended, *_descriptors(process.stdin, process.stdout, process.stderr)):
            loop.forget(descriptor)
        os.close(ended)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    return ProcessResult(process.returncode, bytes(out), bytes(errors))


def _descriptors(*pipes: object) -> list[int]:
    return [pipe.fileno() for pipe in pipes if pipe is not None and not pipe.closed]  # type: ignore[attr-defined]


async def _read(descriptor: int, into: bytearray, limit: int) -> None:
    os.set_blocking(descriptor, False)
    while True:
        await readable(descriptor)
        try:
            data = os.read(descriptor, 65536)
        except BlockingIOError:
            continue
        if not data:
            return
        into += data[: max(0, limit - len(into))]


async def _write(pipe: object, data: bytes) -> None:
    descriptor: int = pipe.fileno()  # type: ignore[attr-defined]
    os.set_blocking(descriptor, False)
    view = memoryview(data)
    try:
        while view:
            await writable(descriptor)
            with contextlib.suppress(BlockingIOError):
                view = view[os.write(descriptor, view) :]
    except BrokenPipeError:
        return
    finally:
        if not pipe.closed:  # type: ignore[attr-defined]
            current_loop().forget(descriptor)
            pipe.close()  # type: ignore[attr-defined]


def check_returncode(result: ProcessResult, argv: Sequence[str]) -> ProcessResult:
    """The result, or LocalError with the last line of what the program complained."""
    if result.returncode:
        lines = result.stderr.decode(errors="replace").strip().splitlines()
        raise LocalError(
            f"{argv[0]} failed: {lines[-1] if lines else 'without a word'}", value=result.returncode
        )
    return result
