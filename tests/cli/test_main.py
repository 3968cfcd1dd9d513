"""The root of the command line: commands found by name, exit statuses, words for errors."""

from __future__ import annotations

import argparse
import errno
import os
import socket
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent import __version__, observation
from agent.cli import command_line, commands
from agent.cli.commands import COMMANDS, Command
from agent.cli.exit_status import ExitStatus, explain, status_of
from agent.cli.node_process import _log_warnings
from agent.errors import (
    ConfigurationError,
    DeviceError,
    LocalError,
    PeerError,
    StorageError,
    UnreachableError,
)
from agent.quoting import quoted

ROOT = Path(__file__).parents[2]


def caused_by(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def gantry(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent.cli.main", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | environment,
    )


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A command `trial` whose `act` the test sets; `options` is what it was given."""
    module = SimpleNamespace(__doc__="A trial.", act=lambda options: 0, options=None)

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--count", type=int, default=1)
        parser.add_argument("act", nargs="?")
        parser.add_argument("words", nargs="*")

    def run(options: argparse.Namespace) -> int:
        module.options = options
        return int(module.act(options))

    module.add_arguments, module.run = add_arguments, run
    row = Command("trial", commands.FILES, "a trial", "agent.cli.trial")
    monkeypatch.setitem(COMMANDS, "trial", row)
    monkeypatch.setitem(sys.modules, "agent.cli.trial", module)
    monkeypatch.setattr(command_line, "import_module", lambda name: sys.modules[name])
    monkeypatch.setattr(observation, "log", observation.Log())
    return module


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (LocalError("ours"), 2),
        (ConfigurationError("wrong key"), 2),
        (PeerError("it said no"), 1),
        (DeviceError("unplugged"), 1),
        (StorageError("full"), 1),
        (UnreachableError("nobody there"), 3),
        (caused_by(PeerError("no"), ConnectionRefusedError(errno.ECONNREFUSED, "refused")), 3),
        (caused_by(PeerError("no"), socket.gaierror(-2, "Name or service not known")), 3),
        (caused_by(PeerError("no"), OSError(errno.EHOSTUNREACH, "no route")), 3),
        (caused_by(PeerError("cut"), ConnectionResetError(errno.ECONNRESET, "reset")), 1),
        (caused_by(StorageError("gone"), OSError(errno.ENOENT, "no such file")), 1),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "a.dcm"), 1),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), 3),
        (ZeroDivisionError("a bug"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_the_exit_status_says_whose_fault_it_was(error: BaseException, status: int) -> None:
    assert status_of(error) == status


def test_an_error_is_one_sentence_and_the_way_out() -> None:
    error = PeerError("the peer wants a PDU of 12 bytes", clause="PS3.8 D.1", way_out="Raise it.")
    assert explain(error) == "the peer wants a PDU of 12 bytes (PS3.8 D.1)\n  Raise it."
    assert explain(FileNotFoundError(2, "No such file", "a.dcm")) == "a.dcm: No such file"


def test_what_ends_a_node_is_told_to_its_log_without_the_words_of_others() -> None:
    error = PeerError(f"{quoted('DOE^JOHN')} is no date", way_out=f"Look at {quoted('4711')}.")
    assert explain(error, in_log=True) == "(...) is no date\n  Look at (...)."
    assert explain(FileNotFoundError(2, "No such file", "DOE"), in_log=True) == "No such file"
    assert "DOE" not in explain(ValueError("DOE^JOHN"), in_log=True)


def test_what_libraries_warn_of_is_for_the_level_debug(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    monkeypatch.setattr(observation, "log", observation.Log())
    _log_warnings()
    for level in (observation.Level.INFO, observation.Level.DEBUG):
        observation.log.configure(level=level, write=lines.append)
        warnings.showwarning("Invalid value: DOE^JOHN", UserWarning, "x.py", 1)
    assert lines == ['a library warns kind=UserWarning text="Invalid value: DOE^JOHN"\n']


def test_no_traceback_comes_out_and_one_can_be_asked_for(
    trial: SimpleNamespace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trial.act = lambda options: 1 // 0
    assert command_line.main(["trial"]) == 1
    quiet = capsys.readouterr().err
    assert "Traceback" not in quiet and "ZeroDivisionError" in quiet
    monkeypatch.setenv("GANTRY_TRACEBACK", "1")
    command_line.main(["trial"])
    assert "Traceback" in capsys.readouterr().err


def test_a_command_gets_its_options_and_gives_the_status(trial: SimpleNamespace) -> None:
    trial.act = lambda options: options.count
    assert command_line.main(["trial", "--count", "3"]) == 3


@pytest.mark.parametrize(
    "arguments", [["--log-level", "debug", "trial"], ["trial", "--log-level", "debug"]]
)
def test_log_options_hold_before_and_behind_the_command(
    trial: SimpleNamespace, arguments: list[str]
) -> None:
    assert command_line.main(arguments) == 0
    assert observation.log.level is observation.Level.DEBUG


def test_a_command_that_a_person_types_logs_only_what_went_wrong(trial: SimpleNamespace) -> None:
    assert command_line.main(["trial"]) == 0
    assert observation.log.level is observation.Level.WARNING


@pytest.mark.parametrize(
    "arguments",
    [["start", "a", "b", "--count", "3"], ["start", "--count", "3", "a", "b"],
     ["--count", "3", "start", "a", "b"], ["start", "a", "--count", "3", "b"]],
)  # fmt: skip
def test_words_may_stand_before_options_and_behind_them(
    trial: SimpleNamespace, arguments: list[str]
) -> None:
    assert command_line.main(["trial", *arguments]) == 0
    assert (trial.options.act, trial.options.words, trial.options.count) == ("start", ["a", "b"], 3)


def test_an_option_that_nobody_knows_is_wrong_usage(
    trial: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        command_line.main(["trial", "--cuont", "3"])
    assert stopped.value.code == ExitStatus.WRONG_USAGE
    assert "--cuont" in capsys.readouterr().err


def test_the_version_is_that_of_the_package() -> None:
    done = gantry("--version")
    assert (done.returncode, done.stdout) == (0, f"gantry {__version__}\n")


def test_help_lists_every_command_in_its_group() -> None:
    done = gantry("--help")
    assert done.returncode == 0
    for command in COMMANDS.values():
        assert f"  {command.name} " in done.stdout
        assert f"\n{command.group}:" in done.stdout


def test_without_a_command_the_help_goes_to_standard_error() -> None:
    done = gantry()
    assert (done.returncode, done.stdout) == (2, "")
    assert "COMMAND" in done.stderr


def test_a_slip_of_the_finger_is_understood() -> None:
    done = gantry("ecoh")
    assert done.returncode == 2
    assert "gantry echo" in done.stderr


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: command.name)
def test_every_command_of_the_table_explains_itself(command: Command) -> None:
    done = gantry(command.name, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: gantry {command.name}")


def test_finding_a_command_imports_no_other() -> None:
    script = (
        "import sys; from agent.cli import main\n"
        "try: main.main(['test', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted(name for name in sys.modules if name.startswith(('agent.', 'hal'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    loaded = eval(done.stdout.splitlines()[-1])
    assert set(loaded) == {
        "agent.cli",
        "agent.cli.command_line",
        "agent.cli.commands",
        "agent.cli.exit_status",
        "agent.cli.main",
        "agent.cli.test_command",
        "agent.errors",
        "agent.observation",
        "agent.quoting",
    }


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["run", "--help"], 0, "usage: gantry run"),
        (["run", "--nonsense"], 2, "--nonsense"),
        (["run", "--config", "/nowhere"], 2, "/nowhere"),
        (["--log-level", "debug", "run", "--config", "/nowhere"], 2, "/nowhere"),
        (["run", "--log-level", "loud"], 2, "loud"),
    ],
)
def test_the_words_of_run_are_read_where_its_configuration_is(
    words: list[str], status: int, said: str
) -> None:
    done = gantry(*words)
    assert done.returncode == status
    assert said in done.stdout + done.stderr and "Traceback" not in done.stderr


def test_the_node_does_not_keep_what_reads_options() -> None:
    script = (
        "import sys; from agent.cli import main\n"
        "main.main(['run', '--nonsense'])\n"
        "print([name for name in ('argparse', 'tomllib', 'agent.cli.command_line')"
        " if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_reader_that_leaves_makes_no_noise() -> None:
    done = subprocess.run(
        f"{sys.executable} -m agent.cli.main --help | true",
        shell=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.stderr == ""
