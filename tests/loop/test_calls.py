"""A worker that has more to do than what it is asked waits for both."""

from __future__ import annotations

import os
import socket
import time

from agent.loop.calls import Calls
from agent.loop.messages import Kind, encode


def test_a_worker_waits_for_a_call_a_descriptor_or_a_moment() -> None:
    node, end = socket.socketpair()
    readable, writable = os.pipe()
    try:
        calls = Calls(end)
        begun = time.monotonic()
        assert not calls.wait(None, 0.05)
        assert time.monotonic() - begun >= 0.05
        os.write(writable, b"x")
        assert not calls.wait(readable, 10)
        node.sendall(encode(Kind.CALL, 1, ("one", ())) + encode(Kind.CALL, 2, ("two", ())))
        assert calls.wait(readable, 10)
        (first,) = calls.receive(limit=1)
        # The second came with it: nothing more is to be read, and yet it waits.
        assert first.name == "one" and calls.wait(None, 0)
        (second,) = calls.receive(limit=1)
        assert second.name == "two" and not calls.wait(None, 0)
        first.reply("done")
        assert not calls.wait(None, 0)
        assert node.recv(1000), "answers that wait are sent first"
        node.close()
        assert calls.wait(None, 10) and calls.receive() == []
    finally:
        node.close()
        end.close()
        os.close(readable)
        os.close(writable)
