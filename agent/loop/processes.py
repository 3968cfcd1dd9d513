"""Programs of others, run as child processes without blocking the loop."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from agent.errors import LocalError
from agent.loop.deadlines import shielded
from agent.loop.deadlines import timeout as time_limit
from agent.loop.loop import current_loop
from agent.loop.task_group import TaskGroup
from agent.loop.waiting import readable, writable
from agent.quoting import quoted


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

    Raises OSError when it cannot be started, TimedOut after `timeout` seconds. When the wait is
    given up, the program is killed with its children. A child that it leaves behind, as daemons
    are, is neither killed nor waited for, even if it keeps the outputs open.
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
    assert process.stdout is not None
    assert process.stderr is not None
    loop = current_loop()
    ended = os.pidfd_open(process.pid)
    out, errors = _Output(process.stdout, limit), _Output(process.stderr, limit)
    loop.outside += 1
    try:
        with time_limit(timeout):
            async with TaskGroup() as group:
                group.start(out.read(), "stdout")
                group.start(errors.read(), "stderr")
                if process.stdin is not None:
                    group.start(_write(process.stdin, input or b""), "stdin")
                await readable(ended)
                group.cancel()
        out.read_what_is_there()
        errors.read_what_is_there()
    finally:
        try:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            # A process in an uninterruptible wait (a stick that was pulled) dies late: it holds up
            # this task, not the loop.
            with shielded():
                await readable(ended)
            process.wait()
        finally:
            loop.outside -= 1
            loop.forget(ended)
            os.close(ended)
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None and not pipe.closed:
                    loop.forget(pipe)
                    pipe.close()
    return ProcessResult(process.returncode, bytes(out.kept), bytes(errors.kept))


class _Output:
    """A pipe that is read to its end, and of which the beginning is kept."""

    def __init__(self, pipe: IO[bytes], limit: int) -> None:
        self.kept = bytearray()
        self._descriptor = pipe.fileno()
        self._limit = limit
        os.set_blocking(self._descriptor, False)

    async def read(self) -> None:
        while not self.read_what_is_there():
            await readable(self._descriptor)

    def read_what_is_there(self) -> bool:
        """Whether the end was reached. Reads what fits into a pipe, so that others get a turn."""
        for _ in range(16):
            try:
                data = os.read(self._descriptor, 1 << 16)
            except BlockingIOError:
                return False
            if not data:
                return True
            self.kept += data[: max(0, self._limit - len(self.kept))]
        return False


async def _write(pipe: IO[bytes], data: bytes) -> None:
    descriptor = pipe.fileno()
    os.set_blocking(descriptor, False)
    view = memoryview(data)
    try:
        while view:
            await writable(descriptor)
            with contextlib.suppress(BlockingIOError):
                view = view[os.write(descriptor, view) :]
    except BrokenPipeError:
        # It does not want more: its own affair.
        return
    finally:
        current_loop().forget(descriptor)
        pipe.close()


def check_returncode(result: ProcessResult, argv: Sequence[str]) -> ProcessResult:
    """The result, or LocalError with the last line of what the program complained."""
    if result.returncode:
        lines = result.stderr.decode(errors="replace").strip().splitlines()
        raise LocalError(
            f"{argv[0]} failed: {quoted(lines[-1]) if lines else 'without a word'}",
            value=result.returncode,
        )
    return result
