"""Several messages in one write: each whole, in PDUs that the peer can take (PS3.8 9.3.5, E.1)."""

from __future__ import annotations

import pytest

from agent.network.sending import messages


def parsed(data: bytes, longest: int) -> list[tuple[bytes, bytes]]:
    """(command, data set) of each message; every PDU has one PDV of context 5."""
    found: list[tuple[bytes, bytes]] = []
    command, content, at = b"", b"", 0
    while at < len(data):
        assert data[at] == 4
        length = int.from_bytes(data[at + 2 : at + 6], "big")
        assert length <= longest + 6
        assert int.from_bytes(data[at + 6 : at + 10], "big") == length - 4
        assert data[at + 10] == 5
        control, piece = data[at + 11], data[at + 12 : at + 6 + length]
        at += 6 + length
        if control & 1:
            command += piece
        else:
            content += piece
            if control & 2:
                found.append((command, content))
                command, content = b"", b""
    assert not command + content
    return found


@pytest.mark.parametrize("longest", [2, 16, 100, 65536])
def test_messages_come_apart_as_they_were_put_together(longest: int) -> None:
    command = bytes(range(40))
    sets = [b"", b"ab", bytes(100), bytes(range(16)) * 31]
    (part,) = messages(5, command, sets, longest)
    assert parsed(bytes(part), longest) == [(command, each) for each in sets]
