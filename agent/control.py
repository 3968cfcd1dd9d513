"""The control socket: commands talk to the running node by JSON, one object on a line.

A request is `{"do": NAME, ...}`; the answer is one line, `{"ok": true, "answer": ...}` or
`{"ok": false, "error": TEXT, "way_out": TEXT}`. Who may connect is decided by the permissions of
the socket's file; who asks is told to the answers (`by`), as the kernel knows it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from agent import observation
from agent.control_request import LONGEST_REQUEST, request_of
from agent.errors import ConfigurationError, GantryError, LocalError, UnreachableError
from agent.loop import (
    Limit,
    TaskGroup,
    TimedOut,
    current_loop,
    readable,
    sleep,
    timeout,
)
from agent.loop.socket_bytes import receive, send_all
from agent.quoting import quoted
from agent.security.operators import Person

_PATIENCE = 30.0
_LONGEST_ANSWER = 3600.0
_AT_ONCE = 32
_AFTER_A_FAULT = 0.5

# SO_PEERGROUPS (socket(7)), which Python has no name for.
_PEER_GROUPS = 59
_MOST_GROUPS = 256  # what getsockopt of Python takes

Answer = Callable[[dict[str, Any]], Awaitable[Any]]


def _plain(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    return str(value)


def _person_at(end: socket.socket) -> Person:
    """The process at the other end, as it was when it connected. Raises OSError."""
    size = struct.calcsize("3i")
    _, user, group = struct.unpack(
        "3i", end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    )
    groups = {group}
    # A kernel before 4.13 does not tell: the first group it is then.
    with contextlib.suppress(OSError):
        told = end.getsockopt(socket.SOL_SOCKET, _PEER_GROUPS, 4 * _MOST_GROUPS)
        groups.update(struct.unpack(f"{len(told) // 4}I", told))
    return Person(user, frozenset(groups))


def _give_to(path: Path, group: str) -> None:
    import grp

    try:
        os.chown(path, -1, grp.getgrnam(group).gr_gid)
    except (LookupError, OSError) as error:
        raise ConfigurationError(
            f"the control socket cannot be given to the group {group}: {quoted(error)}",
            way_out="Make the group, and let the node's user be in it.",
        ) from error


def _clear(path: Path) -> None:
    """Take away the socket that a killed node left behind."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
        end.setblocking(False)
        try:
            end.connect(str(path))
        except BlockingIOError:
            pass  # So many ask it.
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise LocalError(
        f"another node answers at {path}",
        value=str(path),
        way_out="Stop it, or give this one a state folder and a control socket of its own.",
    )


class ControlSocket:
    """The node's side."""

    def __init__(
        self, path: Path, mode: int, answers: dict[str, Answer], owner_group: str = ""
    ) -> None:
        """Raises ConfigurationError for a group that there is not, or that is not ours to give;
        LocalError where another node answers there."""
        self._path = path
        self._answers = answers
        self._room = Limit(_AT_ONCE)
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear(path)
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
                        observation.warning("control socket", error=error)
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
                said = await self._answer(request, _person_at(end))
                with timeout(_PATIENCE):
                    await send_all(end, said)
        except (GantryError, TimedOut, OSError):
            pass
        finally:
            self._room.release()
            current_loop().forget(end)
            end.close()

    async def _answer(self, line: bytes, person: Person) -> bytes:
        try:
            request = request_of(line)
            request["by"] = person
            answer = self._answers[request["do"]]
            said: dict[str, Any] = {"ok": True, "answer": await answer(request)}
        except (ValueError, KeyError, TypeError) as error:
            said = {"ok": False, "error": f"this cannot be asked: {error!r}"}
        except GantryError as error:
            said = {"ok": False, "error": str(error), "way_out": error.way_out}
        except Exception as error:
            # A defect of ours must not cost more than this answer.
            observation.error("question failed", **observation.unforeseen(error))
            said = {"ok": False, "error": f"the node failed to answer: {error!r}"}
        return json.dumps(said, default=_plain).encode() + b"\n"


async def _read_line(end: socket.socket) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n") and len(line) < LONGEST_REQUEST:
        data = await receive(end)
        if not data:
            break
        line += data
    return bytes(line)


def ask(path: Path, do: str, **fields: Any) -> Any:
    """Ask the running node; blocks. Raises UnreachableError when none runs, LocalError as it says.

    For commands only.
    """
    end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    end.settimeout(_LONGEST_ANSWER)
    try:
        end.connect(str(path))
        end.sendall(json.dumps({"do": do, **fields}).encode() + b"\n")
        with end.makefile("rb") as stream:
            line = stream.readline()
    except OSError as error:
        raise UnreachableError(
            f"no node answers at {quoted(path)}: {error.strerror or quoted(error)}",
            way_out="Start one with `gantry run`, or name its socket with --control.",
        ) from error
    finally:
        end.close()
    said = json.loads(line) if line else {"ok": False, "error": "the node closed the connection"}
    if not said["ok"]:
        raise LocalError(f"{quoted(said['error'])}", way_out=f"{quoted(said.get('way_out') or '')}")
    return said["answer"]
