"""The command line: finds the command, reads its options, and turns errors into words.

Options that stand before the command hold for all commands.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, NoReturn

from agent import __version__, observation
from agent.cli.commands import COMMANDS, Command
from agent.cli.exit_status import ExitStatus, report
from agent.errors import ConfigurationError

_DESCRIPTION = "The small box beside an imaging modality: it keeps, forwards and answers for it."
_EPILOG = """\
'gantry COMMAND --help' shows the options of a command.

exit status: 0 done; 1 the peer or the data said no; 2 wrong usage or configuration;
             3 the peer could not be reached
"""


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Asks for the width of the terminal itself: argparse's way imports a megabyte for it, in a
    process that may run for years."""

    def __init__(self, prog: str) -> None:
        try:
            columns = os.get_terminal_size(sys.__stdout__.fileno()).columns  # type: ignore[union-attr]
        except (AttributeError, OSError, ValueError):
            columns = 0
        columns = int(os.environ.get("COLUMNS", "0") or 0) or columns or 80
        super().__init__(prog, width=max(40, columns - 2))


class _Parser(argparse.ArgumentParser):
    """A parser whose complaint is one sentence, with the way out."""

    def error(self, message: str) -> NoReturn:
        self.exit(
            ExitStatus.WRONG_USAGE,
            f"{self.prog}: {message}\n  '{self.prog} --help' shows what it takes.\n",
        )


def _list_of_commands() -> str:
    lines: list[str] = []
    group = ""
    for command in COMMANDS.values():
        if command.group != group:
            group = command.group
            lines.append(f"\n{group}:")
        lines.append(f"  {command.name:<14}{command.summary}")
    return "\n".join(lines)


def _root_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="gantry",
        description=f"{_DESCRIPTION}\n{_list_of_commands()}",
        epilog=_EPILOG,
        formatter_class=_Formatter,
        usage="gantry [options] COMMAND ...",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"gantry {__version__}")
    _add_log_options(parser)
    parser.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def _add_log_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--log-level",
        metavar="LEVEL",
        choices=[level.name.lower() for level in observation.Level],
        help="least severe events to log: error, warning, notice, info or debug",
    )
    parser.add_argument(
        "--log-format",
        metavar="FORMAT",
        choices=list(observation.FORMATS),
        help="form of the log lines on standard error: text or json",
    )


def _command_parser(command: Command, module: Any, before: argparse.Namespace) -> _Parser:
    # A command may say more about an option that all have: its own words win.
    parser = _Parser(
        prog=f"gantry {command.name}",
        description=module.__doc__,
        formatter_class=_Formatter,
        conflict_handler="resolve",
        allow_abbrev=False,
    )
    _add_log_options(parser)
    module.add_arguments(parser)
    if command.audited:
        from agent.cli.audited import add_audit_option

        for each in _ends_of(parser):
            add_audit_option(each)
    # What was said before the command holds unless it is said again behind it.
    parser.set_defaults(log_level=before.log_level, log_format=before.log_format)
    return parser


def _ends_of(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parser, or those of its acts, however deep they are."""
    below = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    if not below:
        yield parser
    for each in below:
        for act in each.choices.values():
            yield from _ends_of(act)


def _parsed(
    parser: argparse.ArgumentParser, rest: list[str]
) -> tuple[argparse.Namespace, list[str]]:
    """Words may stand before options, behind them, or both: argparse's first way of parsing takes
    only those of one place. Its second one cannot do commands of commands."""
    try:
        return parser.parse_known_intermixed_args(rest)
    except TypeError:
        return parser.parse_known_args(rest)


def _find(name: str) -> Command:
    found = COMMANDS.get(name)
    if found is not None:
        return found
    from difflib import get_close_matches

    near = get_close_matches(name, COMMANDS, n=1)
    raise ConfigurationError(
        f"there is no command '{name}'",
        value=name,
        way_out=(
            f"Did you mean 'gantry {near[0]}'?" if near else "'gantry --help' lists the commands."
        ),
    )


def _load(command: Command) -> Any:
    try:
        return import_module(command.module)
    except ModuleNotFoundError as error:
        if error.name == command.module:
            raise ConfigurationError(
                f"'gantry {command.name}' is not part of this version", value=command.name
            ) from error
        raise ConfigurationError(
            f"'gantry {command.name}' needs the Python module {error.name}, which is not installed",
            value=error.name,
            way_out="Run './gantry' of the checkout, which installs what is missing.",
        ) from error


def _chosen(
    command: Command, module: Any, words: list[str], before: argparse.Namespace
) -> argparse.Namespace:
    parser = _command_parser(command, module, before)
    chosen, passed_on = _parsed(parser, words)
    if passed_on and not command.passes_on:
        parser.error(f"does not know {' '.join(passed_on)}")
    chosen.passed_on = passed_on
    return chosen


def options_of(name: str, words: Sequence[str]) -> argparse.Namespace:
    """The options of a command, from the words behind its name.

    Raises SystemExit where they ask for help or make no sense, which has been printed then.
    """
    command = COMMANDS[name]
    before = argparse.Namespace(log_level=None, log_format=None)
    return _chosen(command, _load(command), list(words), before)


def _run(arguments: Sequence[str]) -> int:
    root = _root_parser()
    options = root.parse_args(arguments)
    if not options.command:
        root.print_help(sys.stderr)
        return ExitStatus.WRONG_USAGE
    name, *rest = options.command
    command = _find(name)
    module = _load(command)
    chosen = _chosen(command, module, rest, options)
    observation.log.configure(
        level=observation.Level[(chosen.log_level or command.log_level).upper()],
        style=chosen.log_format or "text",
    )
    if not command.audited:
        return int(module.run(chosen))
    from agent.cli.audited import audited

    with audited(name, chosen):
        return int(module.run(chosen))


def _leave_quietly() -> int:
    # The reader of our output is gone (`gantry queue | head`): no noise at exit either.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    return ExitStatus.REFUSED


def main(arguments: Sequence[str]) -> int:
    """Run one command; the exit status is returned, and nothing but SystemExit is raised."""
    try:
        status = _run(arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        return _leave_quietly()
    except (Exception, KeyboardInterrupt) as error:
        return report(error)
