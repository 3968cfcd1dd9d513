"""A network namespace of its own for a test: peers that listen on all interfaces are alone in it.

Needs root and iproute2. The namespace has a loopback interface and nothing else; with a second
namespace and `link` there is a cable that a test can pull.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers.programs import Completed, run


def _ip(*words: str) -> Completed:
    return run(["ip", *words], seconds=10.0)


def require_namespaces() -> None:
    """Skip the test where network namespaces cannot be made."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")


@dataclass(frozen=True)
class NetworkNamespace:
    """A namespace by its name; programs start in it with `command`."""

    name: str

    def command(self, arguments: Sequence[str | Path]) -> list[str]:
        """The command line that runs a program inside."""
        return ["ip", "netns", "exec", self.name, *map(str, arguments)]

    def set_link(self, interface: str, *, up: bool) -> None:
        """Plug or pull the cable."""
        inside = ["ip", "link", "set", interface, "up" if up else "down"]
        run(self.command(inside), seconds=10.0).check()


@contextmanager
def network_namespace(name: str) -> Iterator[NetworkNamespace]:
    """A namespace for the block, with its loopback up; `name` is made one of this process."""
    require_namespaces()
    own = NetworkNamespace(f"gantry-{name}-{os.getpid()}")
    made = _ip("netns", "add", own.name)
    if made.returncode:
        pytest.skip(f"no network namespace can be made here: {made.output.strip()}")
    try:
        own.set_link("lo", up=True)
        yield own
    finally:
        with suppress(AssertionError):
            _ip("netns", "delete", own.name)


def link(one: NetworkNamespace, other: NetworkNamespace) -> tuple[str, str]:
    """A cable between two namespaces, 10.99.0.1 and 10.99.0.2 on interfaces named `cable`.

    The addresses exist only inside the two namespaces.
    """
    ends = {one: "10.99.0.1", other: "10.99.0.2"}
    kind = ["link", "add", "cable", "netns", one.name, "type", "veth"]
    _ip(*kind, "peer", "name", "cable", "netns", other.name).check()
    for namespace, address in ends.items():
        inside = ["ip", "address", "add", f"{address}/24", "dev", "cable"]
        run(namespace.command(inside), seconds=10.0).check()
        namespace.set_link("cable", up=True)
    return ends[one], ends[other]
