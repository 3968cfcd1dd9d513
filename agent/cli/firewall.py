"""`gantry firewall`: what the configuration listens on, as rules for nftables.

It fills one chain of a table that the owner of the machine has, and says nothing of the rest: who
else may come in, and that nothing is forwarded, is said there.

    gantry firewall | nft --file -
"""

from __future__ import annotations

import argparse
import ipaddress
import re
from collections.abc import Iterator

from agent.cli.node_configuration import reader
from agent.cli.options import add_configuration_options
from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity

DEFAULT_CHAIN = "inet gantry served"

_FAMILIES = ("inet", "ip", "ip6")
_ANYWHERE = (ipaddress.ip_address("0.0.0.0"), ipaddress.ip_address("::"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_configuration_options(parser)
    parser.add_argument(
        "--chain",
        type=chain,
        default=DEFAULT_CHAIN,
        metavar='"FAMILY TABLE CHAIN"',
        help="the chain to fill; it must be there (default %(default)s)",
    )


def chain(text: str) -> str:
    """A chain by its three words. Raises argparse.ArgumentTypeError."""
    words = text.split()
    named = all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", each) for each in words)
    if len(words) != 3 or words[0] not in _FAMILIES or not named:
        raise argparse.ArgumentTypeError(f'{text!r} is no chain such as "{DEFAULT_CHAIN}"')
    return " ".join(words)


def run(options: argparse.Namespace) -> int:
    print(rules(reader(options)(), options.chain), end="")
    return 0


def rules(configuration: Configuration, chain: str) -> str:
    """The commands for `nft --file`, which carries out all of them or none.

    The chain is emptied, and then lets in each port that an entity listens on: at its addresses,
    where it does not listen on all of them.
    """
    lines = [f"flush chain {chain}"]
    for entity in configuration.entities:
        for port in sorted(entity.ports):
            lines += [f"add rule {chain} {each}" for each in _rules(entity, port)]
    return "".join(f"{line}\n" for line in lines)


def _rules(entity: Entity, port: int) -> Iterator[str]:
    # Names are letters, digits, "_", "." and "-": no quote can be in them.
    accept = f'tcp dport {port} accept comment "entity {entity.name}"'
    addresses = [ipaddress.ip_address(each.partition("%")[0]) for each in entity.bind_addresses]
    if any(each in _ANYWHERE for each in addresses):
        yield accept
        return
    for each in addresses:
        if not each.is_loopback:
            yield f"{'ip' if each.version == 4 else 'ip6'} daddr {each} {accept}"
