"""`gantry echo`: is the peer there, and does it take our association? (PS3.4 A)"""

from __future__ import annotations

import argparse
import json
import time

from agent.cli.options import add_peer_options
from agent.cli.requestor import associate
from agent.dataset.sop_classes import VERIFICATION
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from agent.loop import Loop
from agent.network.negotiation import ContextNeed, propose
from agent.network.status import status_text
from agent.services.verification import c_echo


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_peer_options(parser)


def run(options: argparse.Namespace) -> int:
    return Loop().run(_echo(options))


async def _echo(options: argparse.Namespace) -> int:
    syntaxes = (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN)
    started = time.monotonic()
    association = await associate(options, propose([ContextNeed(VERIFICATION, syntaxes)])[0])
    response = await c_echo(association)
    took = (time.monotonic() - started) * 1000
    await association.release()
    if options.json:
        print(
            json.dumps(
                {
                    "host": options.peer[0],
                    "port": options.peer[1],
                    "called": options.called,
                    "status": response.status,
                    "milliseconds": round(took, 1),
                    "implementation": association.implementation_version_name,
                }
            )
        )
    else:
        host, port = options.peer
        name = association.implementation_version_name
        of = f" ({name})" if name else ""
        print(
            f"{options.called} at {host}:{port}{of}: {status_text(response.status)}, {took:.0f} ms"
        )
    return 0 if response.status == 0 else 1
