"""A support bundle: what somebody far away needs to find a fault, and nothing of any patient.

An archive (tar.xz, or ZIP by its name) of a few small files. Everything in it went through the
redactor (`agent.cli.bundle_redactor`), which lets through what it knows and nothing else. Memory:
the lines of the log that were asked for, and some 10 MiB for the compression.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.cli import bundle_configuration, bundle_log, bundle_machine, bundle_node
from agent.cli.bundle_redactor import REMOVED, Redactor
from agent.cli.bundle_sentences import own_sentences
from agent.cli.doctor_findings import Finding
from agent.configuration.configuration import Configuration
from agent.errors import ConfigurationError, GantryError, StorageError

_FOLDER = "gantry-support"
_README = """\
A support bundle of Gantry, made {moment}.

versions.json       the program, what it stands on, and the profile
machine.json        kernel, board, heat, memory, disks, network interfaces, clock
findings.txt        what `gantry doctor` found
configuration.toml  what differs from the defaults
status.json         what the node was doing
metrics.txt         its counters
queue.json          jobs by peer, state and reason
processes.json      memory of its processes
log.txt             the last lines of the log

Nothing in here is of a patient, no secret, and no name of a person. Only what is known to be safe
was let through: numbers that count or measure, words of the program itself, names that the
configuration gives to peers and devices, IP addresses. "{removed}" stands for the rest. UIDs are
words that begin with "#": the same UID is the same word, in this bundle only.
What cannot be known for sure is whether a peer or an AE title is called by the name of a person.
"""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a bundle is made from: the log is that of the journal where no files are named."""

    configuration: Configuration
    control: Path
    logs: Sequence[Path]
    lines: int


def write(target: Path, source: Source, findings: Iterable[Finding]) -> None:
    """Make it; what was there before under this name goes. Raises StorageError."""
    make = _archiver(target)
    redactor = Redactor(own_sentences(), bundle_configuration.names_in(source.configuration))
    parts = {name: part.encode() for name, part in _parts(source, findings, redactor)}
    fresh = target.with_name(f".{target.name}.new")
    try:
        # Only for who made it: it tells of the network.
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            make(out, parts)
        fresh.replace(target)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise StorageError(f"{target} cannot be written: {error.strerror}") from error


def _parts(
    source: Source, findings: Iterable[Finding], redactor: Redactor
) -> Iterable[tuple[str, str]]:
    configuration = source.configuration
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    yield "README.txt", _README.format(moment=moment, removed=REMOVED)
    yield "versions.json", _json(bundle_machine.versions(configuration))
    yield "machine.json", _json(bundle_machine.machine(_folders(configuration)))
    said = (f"{verdict}  {redactor.finding(text)}\n" for verdict, text in findings)
    yield "findings.txt", "".join(said)
    yield "configuration.toml", bundle_configuration.shown(configuration)
    control, names = source.control, [each.name for each in configuration.archives]
    for name, part in (
        ("status.json", lambda: _json(bundle_node.status(control, redactor))),
        ("metrics.txt", lambda: bundle_node.metrics(control, redactor)),
        ("queue.json", lambda: _json(bundle_node.queue(control, redactor, names))),
    ):
        yield name, _asked(part, redactor)
    yield "processes.json", _json(bundle_node.processes(control))
    yield "log.txt", "".join(f"{line}\n" for line in _log(source, redactor))


def _asked(part: Callable[[], str], redactor: Redactor) -> str:
    """What only a running node can tell."""
    try:
        return part()
    except GantryError as error:
        return f"the node did not answer: {redactor.sentence(error.message)}\n"


def _log(source: Source, redactor: Redactor) -> Iterable[str]:
    try:
        lines = (
            bundle_log.of_files(source.logs, source.lines)
            if source.logs
            else bundle_log.of_the_journal(source.lines)
        )
        return list(bundle_log.shown(lines, redactor))
    except OSError as error:
        raise ConfigurationError(
            f"the log {error.filename} cannot be read: {error.strerror}",
            way_out="Name one that is there with --log.",
        ) from error


def _folders(configuration: Configuration) -> dict[str, Path]:
    from agent.workflow.archive_tables import archive_folder

    tables = configuration.archives
    found = {f"archive {each.name}": archive_folder(configuration, each) for each in tables}
    return {"system": Path("/"), "state": Path(configuration.node.state), **found}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def _archiver(target: Path) -> Callable[[Any, dict[str, bytes]], None]:
    if target.name.endswith((".tar.xz", ".txz")):
        return _tar
    if target.name.endswith(".zip"):
        return _zip
    raise ConfigurationError(
        f"{target.name} is neither a .tar.xz nor a .zip",
        value=target.name,
        way_out="Name the bundle FILE.tar.xz or FILE.zip.",
    )


def _tar(out: Any, parts: dict[str, bytes]) -> None:
    # Of the first preset: a better one takes up to 700 MiB, this one 9.
    with tarfile.open(fileobj=out, mode="w:xz", preset=1) as archive:
        for name, data in parts.items():
            about = tarfile.TarInfo(f"{_FOLDER}/{name}")
            about.size, about.mtime, about.mode = len(data), int(time.time()), 0o600
            archive.addfile(about, io.BytesIO(data))


def _zip(out: Any, parts: dict[str, bytes]) -> None:
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(f"{_FOLDER}/{name}", data)
