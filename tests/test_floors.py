"""The floors of the house, held against the imports of every module of `agent` and `hal`.

A module imports from floors below its own, and from its own row of the table; nothing else, and
there is no list of exceptions. Imports for type checking count like all others.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Floor, and the packages and modules of one row: those may import each other.
FLOORS: tuple[tuple[int, tuple[str, ...]], ...] = (
    (8, ("agent.cli",)),
    (
        7,
        (
            "agent.node",
            "agent.support",
            "agent.keepers",
            "agent.front_door",
            "agent.admittance",
            "agent.conformance_access",
            "agent.questions",
            "agent.procedure_questions",
            "agent.retrieval_questions",
            "agent.figures",
            "agent.vocabulary",
            "agent.control",
            "agent.control_request",
            "agent.conformance",
            "agent.conformance_procedures",
            "agent.conformance_retrieval",
            "agent.conformance_fetching",
            "agent.conformance_sections",
            "agent.conformance_transport",
            "agent.conformance_media",
            "agent.conformance_objects",
            "agent.conformance_query",
            "agent.conformance_confidentiality",
            "agent.conformance_signatures",
            "agent.conformance_audit",
        ),
    ),
    (6, ("agent.workflow",)),
    (5, ("agent.web",)),
    (5, ("agent.services",)),
    (5, ("agent.media",)),
    (4, ("agent.archive",)),
    (4, ("agent.objects",)),
    (4, ("agent.security",)),
    (3, ("agent.network",)),
    (2, ("agent.configuration",)),
    (2, ("agent.codecs",)),
    (1, ("agent.dataset",)),
    (1, ("agent.loop",)),
    (0, ("agent.errors", "agent.observation", "agent.quoting", "agent.standard_error")),
    (0, ("hal",)),
)

# The node has one thread and a loop of its own; workers are processes made by `agent.loop`.
FORBIDDEN = frozenset(("asyncio", "threading", "multiprocessing", "concurrent", "_thread"))

# Relaying must fit in 30 MiB: the modules that stay in memory leave these to workers.
HEAVY = ("pydicom", "numpy", "cryptography", "sqlite3")
RESIDENT = (
    "agent.loop",
    "agent.dataset",
    "agent.configuration",
    "agent.network",
    "agent.node",
    "agent.support",
    "agent.front_door",
    "agent.admittance",
    "agent.figures",
    "agent.vocabulary",
    "agent.control",
)


def module_name(path: Path) -> str:
    """`agent/network/pdu.py` -> `agent.network.pdu`; a package by its folder."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {
    module_name(path): path
    for package in ("agent", "hal")
    for path in sorted((ROOT / package).rglob("*.py"))
}


def row_of(module: str) -> tuple[int, tuple[str, ...]] | None:
    """The row of the table that a module belongs to."""
    for row in FLOORS:
        if any(module == name or module.startswith(f"{name}.") for name in row[1]):
            return row
    return None


def imported_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full name of all that a module imports, wherever in it the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            start = "." * node.level + (node.module or "")
            for alias in node.names:
                yield node.lineno, f"{start}.{alias.name}"
        elif isinstance(node, ast.Call) and _is_import_by_name(node):
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield node.lineno, first.value


def _is_import_by_name(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else None
    name = call.func.id if isinstance(call.func, ast.Name) else name
    return name in ("import_module", "__import__") and bool(call.args)


def _belongs_to_agent_itself(name: str) -> bool:
    # `from agent import __version__` is the package's own word; a sub-package is not.
    return name == "agent" or (name.startswith("agent.__") and name.endswith("__"))


def faults_of(module: str, source: str) -> list[str]:
    """What the rules of the house say against the imports of a module."""
    own = (0, ("agent",)) if module == "agent" else row_of(module)
    if own is None:
        return [f"{module} has no floor: add its package to the table, and say why"]
    faults = []
    for line, name in imported_names(ast.parse(source)):
        fault = _fault_of_import(own, name)
        if fault:
            faults.append(f"{module}:{line} imports {name}: {fault}")
    return faults


def _fault_of_import(own: tuple[int, tuple[str, ...]], name: str) -> str:
    if name.startswith("."):
        return "imports are absolute"
    if name.partition(".")[0] in FORBIDDEN:
        return "one thread, one loop"
    if name.partition(".")[0] not in ("agent", "hal"):
        return ""
    if own[1] == ("hal",) and name.startswith("agent"):
        return "hal knows nothing of agent"
    if _belongs_to_agent_itself(name):
        return ""
    row = row_of(name)
    if row is None:
        return "it has no floor"
    if row == own or row[0] < own[0]:
        return ""
    return f"floor {own[0]} must not know floor {row[0]}"


@pytest.mark.parametrize("module", SOURCES)
def test_imports_go_down_the_floors_only(module: str) -> None:
    faults = faults_of(module, SOURCES[module].read_text())
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("agent.loop.timers", "from agent.dataset import uid"),
        ("agent.dataset.uid", "import agent.loop"),
        ("agent.network.pdu", "from agent import services"),
        ("agent.network.pdu", "import typing\nif typing.TYPE_CHECKING:\n import agent.node"),
        ("agent.network.pdu", "def f():\n from agent.archive.spool import Spool"),
        ("agent.network.pdu", "import importlib\nimportlib.import_module('agent.archive')"),
        ("agent.network.pdu", "from . import state_table"),
        ("agent.network.pdu", "from .state_table import TABLE"),
        ("agent.network.pdu", "import threading"),
        ("agent.network.pdu", "from concurrent.futures import Future"),
        ("agent.archive.spool", "from agent.objects import x"),
        ("agent.errors", "import hal.clock"),
        ("hal.clock", "from agent.errors import DeviceError"),
        ("hal.clock", "from agent import errors"),
        ("agent.attic", ""),
        ("agent.network.pdu", "from agent.attic import x"),
        ("agent", "from agent.loop import Loop"),
    ],
)  # fmt: skip
def test_the_test_sees_what_is_forbidden(module: str, source: str) -> None:
    assert faults_of(module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("agent.network.pdu", "from agent.network import state_table\nimport agent.errors"),
        ("agent.network.pdu", "from agent import errors, observation, __version__"),
        ("agent.node", "from agent import control\nfrom hal.capture import simulator"),
        ("hal.clock", "from hal.capture.base import Capture"),
        ("agent.cli.run", "from agent.node import Node\nimport agent.cli.exit_status"),
        ("agent.observation", "from agent.errors import GantryError"),
    ],
)
def test_the_test_allows_what_is_allowed(module: str, source: str) -> None:
    assert faults_of(module, source) == []


_IMPORT_ALL = """
import importlib, sys
for name in sys.argv[2:]:
    importlib.import_module(name)
    heavy = [module for module in sys.argv[1].split(",") if module in sys.modules]
    if heavy:
        sys.exit(f"{name} imports {', '.join(heavy)}")
"""


@pytest.mark.parametrize("package", RESIDENT)
def test_what_stays_in_memory_imports_nothing_heavy(package: str) -> None:
    modules = [name for name in SOURCES if name == package or name.startswith(f"{package}.")]
    if not modules:
        pytest.skip(f"there is no {package} yet")
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT_ALL, ",".join(HEAVY), *modules],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
