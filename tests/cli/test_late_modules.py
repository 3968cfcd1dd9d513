"""Modules that are imported when they are first asked, and what a node has in memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

_NEVER_NEEDED = ("argparse", "gettext", "inspect", "ast", "sqlite3", "tokenize")


def printed(source: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return done.stdout.strip()


def test_a_late_module_is_imported_when_it_is_asked_for_a_name() -> None:
    assert (
        printed(
            "import sys\n"
            "from agent.cli.late_modules import import_late\n"
            "import_late('tabnanny')\n"
            "import tabnanny\n"
            "print('tokenize' in sys.modules, end=' ')\n"
            "print(tabnanny.check.__name__, 'tokenize' in sys.modules, end=' ')\n"
            "from tabnanny import check\n"
            "print(check is tabnanny.check is sys.modules['tabnanny'].check)"
        )
        == "False check True True"
    )


def test_a_late_module_has_no_names_that_the_module_has_not() -> None:
    assert (
        printed(
            "from agent.cli.late_modules import import_late\n"
            "import_late('tabnanny')\n"
            "import tabnanny\n"
            "print(hasattr(tabnanny, 'nothing_of_the_kind'))"
        )
        == "False"
    )


def test_a_module_that_is_imported_already_stays() -> None:
    assert (
        printed(
            "import json, sys\n"
            "from agent.cli.late_modules import import_late\n"
            "import_late('json')\n"
            "print(sys.modules['json'] is json)"
        )
        == "True"
    )


def test_the_node_imports_nothing_that_it_does_not_need() -> None:
    """Each of these would be in memory once more for each worker, whose pages soon are its own."""
    assert (
        printed(
            "import sys\n"
            "from agent.cli import node_process\n"
            "from agent.cli.late_modules import import_late\n"
            "import_late(*node_process._LATE)\n"
            "import agent.node\n"
            "from agent.services.catalogue import services\n"
            "services()\n"
            f"unneeded = [name for name in {_NEVER_NEEDED!r} if name in sys.modules]\n"
            "print([name for name in unneeded if hasattr(sys.modules[name], '__file__')])"
        )
        == "[]"
    )
