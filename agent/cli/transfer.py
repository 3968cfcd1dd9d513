"""`gantry transfer`: have studies of one peer sent to another by the running node.

Directly, the source sends to the target itself (C-MOVE with a third AE); brokered, the studies are
retrieved into our archive first and delivered from there, which also serves a source that does not
know the target.
"""

from __future__ import annotations

import argparse

from agent.cli.fetch import add_list_options, add_study_options, begun, settled
from agent.errors import ConfigurationError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="source", metavar="PEER", help="the peer that has them")
    parser.add_argument("--to", dest="target", metavar="PEER", help="the peer that gets them")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--direct", action="store_true", help="the source sends to the target itself")
    way.add_argument("--brokered", action="store_true", help="by way of our archive (default)")
    add_study_options(parser)
    add_list_options(parser)


def run(options: argparse.Namespace) -> int:
    if settled(options):
        return 0
    if not options.list and not options.target:
        raise ConfigurationError("it is not said where to", way_out="Write '--to PEER'.")
    return begun(options, options.source, options.target or "", direct=options.direct)
