"""Listening sockets that the service manager has bound and handed over.

With `gantry.socket` systemd binds the ports below 1024, and the node needs no privilege for them.
A listener takes the socket that has its very address and port; all others are bound as ever.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent import observation
from agent.configuration.connection import Socket
from agent.loop import Task, current_loop, readable, sleep
from agent.network.connection import refuse
from agent.network.listening_sockets import ListeningSockets
from agent.quoting import Sentence

if TYPE_CHECKING:
    from hal.activation import HandedOver

_LATER = 0.5

_Place = tuple[bytes, int]


class HandedSockets(ListeningSockets):
    """Those that the service manager has bound come first.

    A socket that no listener wants is kept for a reload that may want it; until then who calls
    there is refused at once. To close it would leave callers waiting: systemd has it open as well,
    and does not answer while the service runs. When the node drains all are let go, and who calls
    waits in the kernel for the node that starts next.
    """

    def __init__(self, found: Sequence[HandedOver]) -> None:
        self._spare: dict[_Place, socket.socket] = {}
        self._taken: dict[socket.socket, _Place] = {}
        self._refusing: dict[_Place, Task[None]] = {}
        self._closed = False
        for each in found:
            if each.end is None:
                _say_unusable(each.name, each.problem)
            elif (place := _place_of(each.end)) in self._spare:
                _say_unusable(each.name, "another one has the same address and port")
                each.end.close()
            else:
                self._spare[place] = each.end
        self._both = frozenset(
            port for (packed, port), end in self._spare.items() if _has_both(end, packed)
        )

    def open(self, address: str, port: int, options: Socket) -> socket.socket:
        place = _packed(address), port
        end = self._spare.pop(place, None)
        if end is None:
            return super().open(address, port, options)
        refusing = self._refusing.pop(place, None)
        if refusing is not None:
            refusing.cancel()
            current_loop().forget(end)
        if options.receive_buffer:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, options.receive_buffer)
        self._taken[end] = place
        observation.info("socket taken over", address=address, port=port)
        return end

    def close(self, end: socket.socket) -> None:
        place = self._taken.pop(end, None)
        if place is None or self._closed:
            super().close(end)
            return
        current_loop().forget(end)
        self._spare[place] = end
        self._refuse_at(place)

    def close_all(self) -> None:
        self._closed = True
        for place, end in self._spare.items():
            if place in self._refusing:
                self._refusing.pop(place).cancel()
            super().close(end)
        self._spare.clear()

    def serves_both(self, port: int) -> bool:
        return port in self._both

    def refuse_the_rest(self) -> None:
        """All listeners have what they want."""
        for place, end in self._spare.items():
            if place not in self._refusing:
                address, port = end.getsockname()[:2]
                observation.notice(
                    "socket not wanted: callers are refused",
                    address=address,
                    port=port,
                    way_out="no entity listens on this address and port: see gantry.socket",
                )
                self._refuse_at(place)

    def _refuse_at(self, place: _Place) -> None:
        name = f"refusal on port {place[1]}"
        task = current_loop().start_background(_refuse_all(self._spare[place]), name)
        self._refusing[place] = task


async def _refuse_all(end: socket.socket) -> None:
    while True:
        try:
            refuse(end.accept()[0])
        except BlockingIOError:
            await readable(end)
        except OSError:
            await sleep(_LATER)  # Out of descriptors.
        if current_loop().turn_used:
            await sleep(0)


def _say_unusable(name: str, problem: str) -> None:
    observation.warning("handed over, and of no use: closed", name=name, why=Sentence(problem))


def _place_of(end: socket.socket) -> _Place:
    address, port = end.getsockname()[:2]
    return _packed(address), port


def _packed(address: str) -> bytes:
    """The same for all ways to write an address; of one with a zone, the zone counts too."""
    plain, _, zone = address.partition("%")
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            return socket.inet_pton(family, plain) + zone.encode()
    return address.encode()


def _has_both(end: socket.socket, packed: bytes) -> bool:
    is_any = end.family == socket.AF_INET6 and not any(packed)
    return is_any and not end.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
