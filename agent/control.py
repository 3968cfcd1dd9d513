"""The control socket: commands talk to the running node by JSON, one object on a line.

A request is `{"do": NAME, ...}`; the answer is one line, `{"ok": true, "answer": ...}` or
`{"ok": false, "error": TEXT, "way_out": TEXT}`. Who may connect is decided by the permissions of
the socket's file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from agent import observation
from agent.errors import ConfigurationError, GantryError, UnreachableError
from agent.loop import (
    Limit,
    TaskGroup,
    TimedOut,
    current_loop,
    readable,
    sleep,
    timeout,
    writable,
)

_LONGEST_REQUEST = 1 << 16
_PATIENCE = 30.0
_LONGEST_ANSWER = 3600.0
_AT_ONCE = 32
_AFTER_A_FAULT = 0.5

Answer = Callable[[dict[str, Any]], Awaitable[Any]]


def _plain(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    return str(value)


def _give_to(path: Path, group: str) -> None:
    import grp

    try:
        os.chown(path, -1, grp.getgrnam(group).gr_gid)
    except (LookupError, OSError) as error:
        raise ConfigurationError(
            f"the control socket cannot be given to the group {group}: {error}",
            way_out="Make the group, and let the node's user be in it.",
        ) from error


class ControlSocket:
    """The node's side."""

    def __init__(
        self, path: Path, mode: int, answers: dict[str, Answer], owner_group: str = ""
    ) -> None:
        """Raises ConfigurationError for a group that there is not, or that is not ours to give."""
        self._path = path
        self._answers = answers
        self._room = Limit(_AT_ONCE)
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            # What a killed node left behind; a running one holds the lock of its archives.
            path.unlink()
        self._end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self._end.bind(str(path))
        finally:
            os.umask(before)
        if owner_group:
            _give_to(path, owner_group)
        path.chmod(mode)
        self._end.listen(16)
        self._end.setblocking(False)

    async def run(self) -> None:
        """Serve until cancelled."""
        try:
            async with TaskGroup() as group:
                while True:
                    try:
                        end, _ = self._end.accept()
                    except BlockingIOError:
                        await readable(self._end)
                        continue
                    except OSError as error:
                        # Out of descriptors, or a caller who is gone already.
                        observation.warning("control socket", error=error.strerror)
                        await sleep(_AFTER_A_FAULT)
                        continue
                    end.setblocking(False)
                    await self._room.acquire()
                    group.start(self._serve(end), "control")
        finally:
            current_loop().forget(self._end)
            self._end.close()
            with contextlib.suppress(OSError):
                self._path.unlink()

    async def _serve(self, end: socket.socket) -> None:
        try:
            with timeout(_PATIENCE):
                request = await _read_line(end)
            if request:
                said = await self._answer(request)
                with timeout(_PATIENCE):
                    await _write(end, said)
        except (GantryError, TimedOut, OSError):
            pass
        finally:
            self._room.release()
            current_loop().forget(end)
            end.close()

    async def _answer(self, line: bytes) -> bytes:
        try:
            request = json.loads(line)
            answer = self._answers[request["do"]]
            said: dict[str, Any] = {"ok": True, "answer": await answer(request)}
        except (ValueError, KeyError, TypeError) as error:
            said = {"ok": False, "error": f"this cannot be asked: {error!r}"}
        except GantryError as error:
            said = {"ok": False, "error": str(error), "way_out": error.way_out}
        except Exception as error:
            # A defect of ours must not cost more than this answer.
            observation.error("question failed", error=repr(error))
            said = {"ok": False, "error": f"the node failed to answer: {error!r}"}
        return json.dumps(said, default=_plain).encode() + b"\n"


async def _read_line(end: socket.socket) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n") and len(line) < _LONGEST_REQUEST:
        try:
            data = end.recv(65536)
        except BlockingIOError:
            await readable(end)
            continue
        if not data:
            break
        line += data
    return bytes(line)


async def _write(end: socket.socket, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[end.send(view) :]
        except BlockingIOError:
            await writable(end)


def ask(path: Path, do: str, **fields: Any) -> Any:
    """Ask the running node; blocks. Raises UnreachableError when none runs, LocalError as it says.

    For commands only.
    """
    from agent.errors import LocalError

    end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    end.settimeout(_LONGEST_ANSWER)
    try:
        end.connect(str(path))
        end.sendall(json.dumps({"do": do, **fields}).encode() + b"\n")
        with end.makefile("rb") as stream:
            line = stream.readline()
    except OSError as error:
        raise UnreachableError(
            f"no node answers at {path}: {error.strerror or error}",
            way_out="Start one with `gantry run`, or name its socket with --control.",
        ) from error
    finally:
        end.close()
    said = json.loads(line) if line else {"ok": False, "error": "the node closed the connection"}
    if not said["ok"]:
        raise LocalError(str(said["error"]), way_out=str(said.get("way_out") or ""))
    return said["answer"]
