"""Where the command line begins: `gantry run` becomes the node, all else is read first.

Nothing may be imported here: it would stay in the memory of a node for years.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is returned, and nothing but SystemExit is raised."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words[:1] == ["run"]:
        from agent.cli.node_process import main as run_the_node

        return run_the_node(words[1:])
    from agent.cli.command_line import main as run_a_command

    return run_a_command(words)


if __name__ == "__main__":
    # By its own name: what a worker is sent must not be found in `__main__`.
    from agent.cli.main import main

    sys.exit(main())
