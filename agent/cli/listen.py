"""`gantry listen`: receive objects into a folder, for set-up and fault-finding."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from agent.cli.options import add_tls_options as _add_tls_options
from agent.cli.options import ae_title
from agent.cli.options import port as port_number
from agent.cli.receiving import add_no_sync_option, listening, safe_way
from agent.loop import Loop, Signals
from agent.loop.workers import Template
from agent.workflow.folder_keeper import FolderKeeper


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", metavar="P", type=port_number, required=True, help="TCP port")
    parser.add_argument("--into", metavar="FOLDER", type=Path, required=True, help="where to")
    parser.add_argument("--address", default="0.0.0.0", help="address (default %(default)s)")
    parser.add_argument(
        "--called", metavar="AE", type=ae_title, help="take associations for this title only"
    )
    parser.add_argument("--window", metavar="N", type=int, default=8, help="operations at once")
    add_no_sync_option(parser)
    _add_tls_options(parser)


def run(options: argparse.Namespace) -> int:
    template = None if options.no_sync else Template.start()
    try:
        return Loop().run(_listen(options, template))
    finally:
        if template is not None:
            template.close()


async def _listen(options: argparse.Namespace, template: Template | None) -> int:
    keeper = FolderKeeper(options.into, safe_way(template))
    listener, port = listening(
        options, keeper, options.called or "", options.port, window=options.window
    )
    print(f"listening on port {port}, into {options.into}", flush=True)
    async with Signals(signal.SIGTERM, signal.SIGINT) as signals:
        await signals.receive()
    await listener.drain(5.0)
    keeper.close()
    print(f"{keeper.objects} objects received")
    return 0
