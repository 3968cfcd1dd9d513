"""Child processes of tests: started, waited for until they listen, and ended for sure."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Self

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_POLL_SECONDS = 0.01
_LISTEN = "0A"
_PORTS = range(15_000, int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]))
_TURNS = Path(tempfile.gettempdir(), f"gantry-test-ports-{os.geteuid()}")


class PeerFailed(AssertionError):
    """A peer did not start, ended early or did not do in time what it was asked."""


def _die_with_the_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port() -> int:
    """A TCP port that nobody holds at this moment, on any address: some peers bind to all, and the
    remains of a connection (TIME_WAIT) would be in their way.

    It stays free until it is taken, and between a peer that is killed and the same one started
    again: it is none of those that the kernel gives to connections, and no two tests get the same,
    those of another run beside this one included, before all have had their turn.
    """
    try:
        with _TURNS.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            last = int(file.read() or 0)
            for step in range(1, len(_PORTS) + 1):
                place = (last + step) % len(_PORTS)
                if _is_free(_PORTS[place]):
                    file.truncate(0)
                    file.write(str(place))
                    return _PORTS[place]
    except (OSError, ValueError):
        pass
    with closing(socket.socket()) as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True


def wait_until(
    condition: Callable[[], Any], what: str, *, seconds: float = 20.0, every: float = _POLL_SECONDS
) -> Any:
    """The first true value of `condition()`; PeerFailed, naming `what`, when time is up."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise PeerFailed(f"after {seconds:g} s still not: {what}")
        time.sleep(every)


def process_tree(pid: int) -> list[int]:
    """The process and all its living descendants, by /proc; empty when it is gone.

    Of the leader of a process group, those of its group too: a process whose parent has ended is
    not a descendant any more.
    """
    if not Path(f"/proc/{pid}").exists():
        return []
    found = [pid]
    if _group_of(pid) == pid:
        found += [
            int(each.name)
            for each in Path("/proc").iterdir()
            if each.name.isdigit() and int(each.name) != pid and _group_of(int(each.name)) == pid
        ]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                words = children.read_text().split()
                found += [int(word) for word in words if int(word) not in found]
            except OSError:
                continue
    return found


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except OSError:
        return 0


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    return inodes


def listens(pid: int, port: int) -> bool:
    """Whether this very process, or a child of it, listens on the TCP port.

    Asks the kernel instead of connecting: no stray association in the peer's log, and no other
    program on the same port is taken for it.
    """
    inodes = _listening_inodes(port)
    return bool(inodes) and any(
        target in inodes for member in process_tree(pid) for target in _open_files(member)
    )


def _open_files(pid: int) -> Iterator[str]:
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                yield str(entry.readlink())
    except OSError:
        return


class ChildProcess:
    """A program in a process group of its own, with its output in a log file.

    It is killed when the `with` block ends, and by the kernel if the test run dies first.
    """

    def __init__(
        self,
        arguments: Sequence[str | Path],
        *,
        log: Path,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.arguments = [str(argument) for argument in arguments]
        self.log = log
        self._folder = folder
        self._environment = dict(os.environ) | dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start, or start again after `stop` or `kill`; output is appended to the log."""
        assert not self.is_running
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self.arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env=self._environment,
                start_new_session=True,
                preexec_fn=_die_with_the_parent,
            )
        return self

    def __enter__(self) -> Self:
        return self if self._process is not None else self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        return None if self._process is None else self._process.poll()

    @property
    def output(self) -> str:
        """All that it has printed so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def send_signal(self, number: int) -> None:
        """To the whole process group (DCMTK's `--fork` makes children)."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def wait(self, seconds: float = 20.0) -> int:
        """The exit status; PeerFailed with the log when it does not end in time."""
        assert self._process is not None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise PeerFailed(f"did not end in {seconds:g} s: {self.describe()}") from None

    def stop(self, seconds: float = 10.0) -> int:
        """SIGTERM, then wait."""
        self.send_signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self) -> None:
        """SIGKILL to the whole group; returns when it is gone. Allowed at any time."""
        if self._process is None:
            return
        self.send_signal(signal.SIGKILL)
        self._process.wait()

    def wait_for_output(self, text: str, *, seconds: float = 20.0) -> None:
        """Return when the log holds the text."""
        self._wait(lambda: text in self.output, f"the output has {text!r}", seconds)

    def wait_until_listening(self, port: int, *, seconds: float = 20.0) -> None:
        """Return when this process listens on the port."""
        self._wait(lambda: listens(self.pid, port), f"listens on port {port}", seconds)

    def _wait(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        def met_or_ended() -> bool:
            ended = not self.is_running
            if condition():
                return True
            if ended:
                raise PeerFailed(f"ended before it {what}: {self.describe()}")
            return False

        try:
            wait_until(met_or_ended, what, seconds=seconds)
        except PeerFailed as error:
            if self.is_running:
                raise PeerFailed(f"{error}: {self.describe()}") from None
            raise

    def describe(self) -> str:
        """The command line, the exit status and the end of the log, for a failure message."""
        end = "\n".join(self.output.splitlines()[-40:])
        return f"{' '.join(self.arguments)} (status {self.returncode})\n{end}"


class Server(ChildProcess):
    """A child process that listens on a port, given by the kernel unless one is asked for.

    Between the kernel's answer and the program's bind somebody else may take the port: a start
    that fails is tried again, with another port unless it was asked for.
    """

    host = "127.0.0.1"
    _TRIES = 3

    def __init__(self, *, log: Path, port: int | None = None, **settings: Any) -> None:
        super().__init__((), log=log, **settings)
        self._wanted_port = port
        self.port = port or 0

    def command(self) -> Sequence[str | Path]:
        """The command line for `self.port`; prepares the files that it names."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Asked again and again once the program listens."""
        return True

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"{self.host}:{self.port}"

    def start(self) -> Self:
        """Start and wait until it is ready; started again, it comes back on the same port."""
        tries = 1 if self.port and self._wanted_port is None else self._TRIES
        for attempt in range(tries):
            if attempt or not self.port:
                self.port = self._wanted_port or free_port()
            self.arguments = [str(argument) for argument in self.command()]
            super().start()
            try:
                self.wait_until_listening(self.port)
                self._wait(self.is_ready, "is ready", 20.0)
                return self
            except PeerFailed:
                self.kill()
                if attempt + 1 == tries:
                    raise
        raise AssertionError("unreachable")
