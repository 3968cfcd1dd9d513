"""`gantry doctor`: check this machine, its devices, the configuration, the peers and the clock."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from agent.cli.device_faults import device_faults
from agent.cli.doctor_codecs import codecs
from agent.cli.doctor_devices import devices
from agent.cli.doctor_findings import BAD, GOOD, Finding
from agent.cli.doctor_keys import keys
from agent.cli.doctor_mail import mail
from agent.cli.doctor_result import keep_result
from agent.cli.doctor_tls import tls
from agent.cli.node_configuration import add_control_option, reader
from agent.cli.options import add_configuration_options
from agent.configuration.configuration import Configuration
from agent.errors import ConfigurationError, GantryError
from agent.loop import Loop
from agent.network.negotiation import ContextNeed, propose
from agent.network.tls import client_context
from agent.network.transport import open_association
from agent.network.user_information import UserInformation
from agent.services.offer import implementation_of
from agent.services.verification import c_echo
from agent.workflow.calendar_watch import seconds_of
from agent.workflow.presented_identity import check_confirmation, presented_identity
from hal.clock import calendar


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_configuration_options(parser)
    parser.add_argument(
        "--rebuild-index",
        action="store_true",
        help="make the index of every archive anew from its objects (stop the node first)",
    )
    parser.add_argument(
        "--offline", action="store_true", help="do not call the peers and the mail server"
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep the result, for 'gantry status', panel and alerts"
    )
    group = parser.add_argument_group("support")
    group.add_argument(
        "--bundle",
        metavar="FILE",
        type=Path,
        help="write what support needs, without patient data, into FILE.tar.xz or FILE.zip",
    )
    add_control_option(parser)
    group.add_argument(
        "--log",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="the log of the node, where it is not in the journal; may be given again",
    )
    group.add_argument(
        "--lines", metavar="N", type=int, default=5000, help="lines of the log (%(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    if options.bundle is not None:
        return _write_bundle(options)
    configuration = reader(options)()
    if options.rebuild_index:
        return _rebuild(configuration)
    findings = _findings(configuration, options.offline)
    for verdict, text in findings:
        print(f"{verdict}  {text}")
    if options.keep:
        keep_result(configuration, findings)
    return 1 if any(verdict == BAD for verdict, _ in findings) else 0


def _findings(configuration: Configuration, offline: bool) -> list[Finding]:
    findings = [
        *_machine(configuration),
        *codecs(),
        *devices(configuration),
        *((BAD, str(each)) for each in device_faults(configuration)),
        *_folders(configuration),
    ]
    findings += tls(configuration)
    findings += keys(configuration)
    findings += mail(configuration, offline=offline)
    if not offline:
        findings += Loop().run(_peers(configuration))
    return findings


def _write_bundle(options: argparse.Namespace) -> int:
    """Of a configuration that cannot be read too: that may be why support is needed."""
    from agent.cli.bundle import Source, write

    findings: list[Finding] = []
    try:
        configuration = reader(options)()
        findings += _findings(configuration, options.offline)
    except ConfigurationError as error:
        configuration = Configuration()
        findings += [(BAD, each.strip()) for each in error.message.splitlines()]
        findings += _machine(configuration)
    source = Source(configuration, options.control, options.log, max(1, options.lines))
    write(options.bundle, source, findings)
    print(f"{options.bundle}: {options.bundle.stat().st_size} bytes, without patient data")
    return 0


def _machine(configuration: Configuration) -> Iterator[Finding]:
    table = configuration.clock
    state = calendar(earliest=seconds_of(table.earliest), needs_server=table.server)
    yield GOOD if state.set else BAD, f"the clock: {state.words}"
    yield GOOD, f"Python {sys.version.split()[0]}, {os.cpu_count()} processors"


def _folders(configuration: Configuration) -> Iterator[Finding]:
    from agent.workflow.archive_tables import archive_folder

    for table in configuration.archives:
        folder = archive_folder(configuration, table)
        place = next(each for each in (folder, *folder.parents) if each.exists())
        if not os.access(place, os.W_OK):
            yield BAD, f"archive {table.name}: {place} cannot be written"
            continue
        free = os.statvfs(place)
        yield GOOD, f"archive {table.name}: {free.f_bavail * free.f_frsize / 1e9:.1f} GB free"


async def _peers(configuration: Configuration) -> list[Finding]:
    class_uid, version_name = implementation_of(configuration)
    findings = []
    for peer in configuration.peers:
        if not peer.addresses:
            continue
        need = ContextNeed("1.2.840.10008.1.1", ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1"))
        try:
            association = await open_association(
                [(each.host, each.port) for each in peer.addresses],
                called_ae_title=peer.title,
                calling_ae_title=peer.calling_title,
                proposals=propose([need])[0],
                information=UserInformation(
                    peer.maximum_pdu,
                    class_uid,
                    version_name,
                    user_identity=presented_identity(peer),
                ),
                timers=peer.timers,
                socket=peer.socket,
                ssl_context=client_context(peer.tls),
                server_name=peer.tls.server_name if peer.tls else "",
            )
            check_confirmation(peer, association)
            await c_echo(association)
            await association.release()
            findings.append((GOOD, f"peer {peer.name} answers"))
        except GantryError as error:
            way_out = f" {error.way_out}" if error.way_out else ""
            findings.append((BAD, f"peer {peer.name}: {error}.{way_out}"))
    return findings


def _rebuild(configuration: Configuration) -> int:
    from agent.archive.rebuild import rebuild
    from agent.workflow.archive_tables import archive_folder, archive_settings
    from agent.workflow.routing import Routing

    for table in configuration.archives:
        result = rebuild(
            archive_folder(configuration, table),
            Routing.of(configuration),
            archive_settings(configuration, table),
        )
        print(f"archive {table.name}: {result}")
    return 0
