"""Command sets, and messages put together from fragments (PS3.7 6.3, annex E)."""

from __future__ import annotations

from collections.abc import Iterator

from agent.errors import GantryError, LocalError
from agent.network.command import VALUE_REPRESENTATIONS, Command
from agent.network.commands import check
from agent.network.data_set import DataSetSink, MemorySink
from agent.network.events import DataFragment
from agent.network.message import MessageAssembler
from tests.fuzz.structure import change_command
from tests.fuzz.target import Target
from tests.node.hostile import CT
from tests.peers.raw_pdu import c_echo_request, c_store_request, command_set


class _Handler:
    def begin(self, context: int, command: Command) -> DataSetSink | None:
        return MemorySink(4096)

    def complete(
        self, context: int, command: Command, sink: DataSetSink | None, error: GantryError | None
    ) -> None:
        pass


def run(data: bytes) -> None:
    """The first byte says which: a command, read again as it is written; or fragments, each with a
    byte for context and kind, one for its length, and its bytes."""
    if data:
        (_assemble if data[0] & 1 else _read)(data[1:])


def _read(data: bytes) -> None:
    command = Command.decode(data)
    check(command)
    known = {number for number in command.elements if number in VALUE_REPRESENTATIONS}
    if len(known) == len(command.elements) and all(
        str(each).isascii() for each in command.elements.values()
    ):
        written = Command.decode(command.encode())
        assert written.field == command.field


def _assemble(data: bytes) -> None:
    assembler = MessageAssembler(_Handler(), limit=4096)
    position = 0
    try:
        while position + 2 <= len(data):
            kind, length = data[position], data[position + 1]
            position += 2
            piece = memoryview(data)[position : position + length]
            position += length
            assembler.take(DataFragment(kind >> 6, bool(kind & 1), bool(kind & 2), piece))
    except LocalError as error:
        raise AssertionError("a peer's fault is told as ours") from error
    finally:
        assembler.discard()


def _fragmented(command: bytes, data_set: bytes = b"") -> bytes:
    found = b""
    for content, kind in ((command, 1), (data_set, 0)):
        pieces = [content[start : start + 200] for start in range(0, len(content), 200)]
        for number, piece in enumerate(pieces, 1):
            last = 2 if number == len(pieces) else 0
            found += bytes((kind | last, len(piece))) + piece
    return found


def seeds() -> Iterator[bytes]:
    """Requests and responses, whole and in fragments."""
    store = c_store_request(CT, "1.2.3")
    find = {0x0002: "1.2.840.10008.5.1.4.1.2.2.1", 0x0100: 0x20, 0x0110: 7, 0x0700: 0, 0x0800: 1}
    move = {**find, 0x0100: 0x21, 0x0600: "ELSEWHERE"}
    answer = {0x0002: CT, 0x0100: 0x8001, 0x0120: 7, 0x0800: 0x0101, 0x0900: 0xA700}
    event = {0x0002: CT, 0x0100: 0x0100, 0x0110: 7, 0x0800: 1, 0x1000: "1.2.3", 0x1002: 1}
    others: tuple[dict[int, int | str | bytes], ...] = (find, move, answer, event)
    for each in (c_echo_request(), store, *(command_set(given) for given in others)):
        yield b"\x00" + each
        yield b"\x01" + _fragmented(each, b"\x08\x00\x16\x00" + bytes(300))


TARGET = Target(run, seeds, longest=1 << 13, mutate=change_command)
