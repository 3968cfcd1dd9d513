"""A function that runs in a forked child, beside a loop in the test's own process."""

from __future__ import annotations

import os
import pickle
import select
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any


class ChildScript:
    """The running child; made by `in_child`."""

    def __init__(self, function: Callable[..., Any], arguments: Sequence[Any]) -> None:
        readable, writable = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(readable)
            _run_and_leave(function, arguments, writable)
        os.close(writable)
        self._result = readable
        self._reaped = False

    def result(self, *, seconds: float = 30.0) -> Any:
        """What the function returned; raises what it raised.

        TimeoutError when it takes too long, AssertionError when it died without a word.
        """
        content = b""
        end = time.monotonic() + seconds
        while True:
            ready, _, _ = select.select([self._result], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise TimeoutError(f"the scripted peer is not done in {seconds:g} s")
            chunk = os.read(self._result, 65536)
            if not chunk:
                break
            content += chunk
        assert content, "the scripted peer died"
        succeeded, outcome = pickle.loads(content)
        if succeeded:
            return outcome
        raise outcome

    def end(self) -> None:
        """Kill it if it still runs."""
        if self._reaped:
            return
        self._reaped = True
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._result)


def _run_and_leave(function: Callable[..., Any], arguments: Sequence[Any], report: int) -> None:
    try:
        outcome: tuple[bool, Any] = (True, function(*arguments))
    except BaseException as error:
        outcome = (False, error)
    try:
        content = pickle.dumps(outcome)
    except Exception:
        content = pickle.dumps((False, AssertionError(f"{outcome[1]!r}")))
    while content:
        content = content[os.write(report, content) :]
    os._exit(0)


@contextmanager
def in_child(function: Callable[..., Any], *arguments: Any) -> Iterator[ChildScript]:
    """Run a scripted peer in a forked child; it is killed when the block ends."""
    script = ChildScript(function, arguments)
    try:
        yield script
    finally:
        script.end()
