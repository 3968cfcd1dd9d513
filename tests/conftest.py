"""Options and fixtures that all tests share; the peers are in `tests/peers`."""

from __future__ import annotations

import os
import socketserver
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from tests.peers.pynetdicom_pausing import pause_exactly

pytest_plugins = ["tests.peers.fixtures"]

_WANT_OF_DATA = "GANTRY_TEST_DATA is not set"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("gantry")
    group.addoption("--long", action="store_true", help="full counts")
    group.addoption("--machine", action="store_true", help="tests in virtual machines too")
    group.addoption("--cross", action="store_true", help="wheels for ARM, under emulation, too")
    group.addoption("--fuzz", type=int, metavar="MINUTES", help="search for hostile input so long")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    # The full counts take what they take.
    if config.getoption("--long") or config.getoption("--fuzz"):
        config.option.timeout = config.option.timeout or 4 * 3600
    # How long an example takes says how much other work there is.
    settings.register_profile("gantry", deadline=None)
    settings.load_profile("gantry")
    # Our programs are started a thousand times, and an installed Python has them compiled.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # The servers of pynetdicom look so often whether they are to end; every half second else.
    socketserver.BaseServer.serve_forever.__defaults__ = (0.1,)
    pause_exactly()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = {
        "long": (config.getoption("--long"), "a full count: gantry test --long"),
        "machine": (config.getoption("--machine"), "needs a machine: gantry test --machine"),
        "cross": (config.getoption("--cross"), "builds for ARM: gantry test --cross"),
        "fuzz": (config.getoption("--fuzz"), "a search: gantry test --fuzz MINUTES"),
    }
    for item in items:
        for name, (wanted, reason) in left_out.items():
            if item.get_closest_marker(name) and not wanted:
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [
        report
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple) and "GANTRY_TEST_DATA" in report.longrepr[2]
    ]
    if skipped:
        terminalreporter.write_line(
            f"{len(skipped)} tests were skipped for want of GANTRY_TEST_DATA"
            " (a folder with the reference images)"
        )


@pytest.fixture
def count(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """`count(20, 200)`: how often to do a thing, in an ordinary run and with `--long`."""
    is_long: bool = request.config.getoption("--long")
    return lambda short, long: long if is_long else short


@pytest.fixture
def fuzz_minutes(request: pytest.FixtureRequest) -> int:
    """The minutes of `--fuzz`, for tests marked `fuzz`; 0 in an ordinary run."""
    return request.config.getoption("--fuzz") or 0


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of reference images that GANTRY_TEST_DATA names; skips the test without it."""
    folder = os.environ.get("GANTRY_TEST_DATA")
    if not folder:
        pytest.skip(_WANT_OF_DATA)
    found = Path(folder)
    assert found.is_dir(), f"GANTRY_TEST_DATA names {found}, which is no folder"
    return found
