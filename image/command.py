"""The front of `image/build`: one line a subcommand."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from image.foreign_debian import ForeignDebianError


class _Command(NamedTuple):
    """`module` has `main(arguments)`, which gives the exit status; imported when asked for."""

    module: str
    does: str


COMMANDS: Mapping[str, _Command] = {
    "packages": _Command("image.packages.command", "the Debian packages, with what is in them"),
    "card": _Command("image.card", "an image for a card, and the update that leads to it"),
    "lock": _Command("image.packages.lock", "choose anew the wheels that go into the packages"),
    "wheels": _Command("image.build_wheels", "our own wheels, C kernels included"),
}


def _usage() -> str:
    lines = (f"  {name:10} {command.does}" for name, command in COMMANDS.items())
    return "\n".join(("usage: image/build COMMAND ... (each has --help)", "", *lines))


def main(arguments: Sequence[str]) -> int:
    """The exit status: 0 done, 1 it could not be made, 2 wrong usage."""
    if not arguments or arguments[0] not in COMMANDS:
        is_help = list(arguments[:1]) in (["--help"], ["-h"])
        print(_usage(), file=sys.stdout if is_help else sys.stderr)
        return 0 if is_help else 2
    name, *rest = arguments
    try:
        status: int = importlib.import_module(COMMANDS[name].module).main(rest)
    except ForeignDebianError as error:
        print(f"image/build {name}: {error}", file=sys.stderr)
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
