"""`gantry first-boot`: make a box of a fresh installation, by gantry.conf on its boot partition.

Keys, host name, time zone and /etc/gantry/gantry.toml are made once; a stamp in the state folder
says that it is done. Each step can be done again, and the stamp comes last: where the power fails
in between, the next start does it anew and keeps the keys that there are.
"""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli import first_boot_report as reports
from agent.cli.exit_status import ExitStatus, explain, status_of
from agent.configuration.box_identity import BoxIdentity, identity_of
from agent.configuration.configuration import Configuration
from agent.configuration.first_configuration import KEY, first_configuration
from agent.configuration.first_settings import NAME, FirstSettings, read_first_settings
from agent.configuration.load import MAIN_FILE, load
from agent.configuration.problems import ConfigurationErrors, Problem
from agent.dataset.whole_write import put_in_place, replace_file, write_synced
from agent.errors import DeviceError, GantryError
from agent.network.own_keys import named_key, unusable
from agent.vocabulary import vocabulary
from hal.board import read_board
from hal.keys.base import KeyStoreError

if TYPE_CHECKING:
    from cryptography import x509

PLACES = ("boot/firmware", "boot/efi", "boot")
"""Where the boot partition is mounted: Raspberry Pi OS, UEFI, and older Raspberry Pi OS."""
STATE = "var/lib/gantry"
STAMP = "first-boot"
_TPM = "/dev/tpmrm0"
# A host name that names no box.
_UNNAMED = frozenset(("", "localhost", "debian", "raspberrypi", "gantry"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from",
        dest="source",
        metavar="PATH",
        type=Path,
        help=f"{NAME} or the folder that holds it (default: {', '.join('/' + p for p in PLACES)})",
    )
    parser.add_argument(
        "--root",
        metavar="FOLDER",
        type=Path,
        default=Path("/"),
        help="the system to set up, where it is not this one",
    )
    parser.add_argument(
        "--tpm", metavar="DEVICE", default=_TPM, help="the TPM to use (default %(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    root: Path = options.root
    stamp = root / STATE / STAMP
    if stamp.exists():
        print(f"done before: {stamp}")
        return ExitStatus.DONE
    source = _source(options.source, root)
    if source is None:
        print(f"there is no {NAME} on a boot partition: nothing is done")
        return ExitStatus.DONE
    try:
        said = _set_up(source, root, options.tpm)
    except (GantryError, OSError) as error:
        text = explain(error)
        reports.show_failure(root)
        reports.write(source.parent, ["This box could not be set up.", "", *text.splitlines()])
        print(text)
        return status_of(error)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    replace_file(
        stamp, b"The first start is over. Without this file it is done anew.\n", mode=0o644
    )
    reports.show_success(root)
    print("\n".join(said))
    return ExitStatus.DONE


def _source(given: Path | None, root: Path) -> Path | None:
    folders = [root / each for each in PLACES] if given is None else [given]
    files = [each / NAME if each.is_dir() else each for each in folders]
    if given is not None:
        return files[0]
    return next((each for each in files if each.is_file()), None)


@dataclass(frozen=True)
class _Box:
    """What the steps are about."""

    source: Path
    root: Path
    settings: FirstSettings
    identity: BoxIdentity
    hostname: str


def _set_up(source: Path, root: Path, tpm: str) -> list[str]:
    """All steps; what was done, for a person. Raises GantryError."""
    target = root / MAIN_FILE.relative_to("/")
    if target.exists():
        return [f"{target} is there already: it is kept, and {source} is not used"]
    box = _box(source, root)
    said = [f"This box is set up by {source.name}."]
    (root / STATE).mkdir(parents=True, exist_ok=True)
    entity = _entity_of(box)
    wants_key = box.settings.tls != "no"
    store = tpm if wants_key and box.settings.key_store != "files" and _is_there(tpm) else ""
    if wants_key and box.settings.key_store == "tpm" and not store:
        raise DeviceError(
            f"key_store is 'tpm', and there is no TPM: {tpm}",
            way_out="Switch it on in the firmware, or write key_store = 'files'.",
        )
    new = target.with_name(target.name + ".new")
    configuration = _written(box, entity, store, new)
    if wants_key:
        try:
            said += _make_key(box, configuration)
        except GantryError as error:
            if not store or box.settings.key_store == "tpm":
                raise
            said.append(f"the TPM is not used: {error}")
            configuration = _written(box, entity, "", new)
            said += _make_key(box, configuration)
    _name_machine(box)
    _set_time_zone(box)
    ours = next(each for each in configuration.entities if each.name == entity)
    said += [
        f"AE title {ours.title} on port {', '.join(map(str, ours.ports)) or 'none'}",
        f"profile {configuration.profile}, host name {box.hostname}",
        f"UID root {configuration.node.uid_root}",
        *(f"peer {each.name}: {each.title} at {each.addresses[0]}" for each in configuration.peers),
        f"named by {box.identity.source}",
        "Further changes are made in /etc/gantry/gantry.toml.",
    ]
    reports.write(source.parent, said)
    put_in_place(new, target)
    return said


def _box(source: Path, root: Path) -> _Box:
    settings = read_first_settings(source)
    zone = root / "usr/share/zoneinfo" / settings.time_zone
    if settings.time_zone and not zone.is_file():
        problem = f"there is no time zone {settings.time_zone!r}"
        raise ConfigurationErrors([Problem(source.name, 0, "time_zone", problem)])
    if settings.title and settings.uid_root:
        identity = BoxIdentity(settings.title, settings.uid_root, source.name)
    else:
        identity = identity_of(read_board(root))
    try:
        present = (root / "etc/hostname").read_text().strip()
    except OSError:
        present = ""
    hostname = settings.hostname or present
    if hostname in _UNNAMED and not settings.hostname:
        hostname = _host_name_of(identity.title)
    return _Box(source, root, settings, identity, hostname)


def _host_name_of(title: str) -> str:
    kept = "".join(each if each.isalnum() else "-" for each in title.lower())
    return kept.strip("-") or "gantry"


def _entity_of(box: _Box) -> str:
    """The name of the profile's first entity: the one that the settings are about."""
    try:
        profile = load(box.settings.profile, (), (), vocabulary())
    except ConfigurationErrors as error:
        raise ConfigurationErrors(
            replace(each, source=box.source.name if each.source == "--profile" else each.source)
            for each in error.problems
        ) from error
    return profile.entities[0].name if profile.entities else "GANTRY"


def _written(box: _Box, entity: str, tpm: str, new: Path) -> Configuration:
    """Write the configuration beside its place and read it, as `gantry config check` does."""
    text = first_configuration(box.settings, box.identity, entity, tpm, box.hostname)
    new.parent.mkdir(parents=True, exist_ok=True)
    write_synced(new, text.encode(), mode=0o640)
    if os.geteuid() == 0:
        # The service reads it, and others do not: it may come to hold passwords.
        os.chown(new, 0, (box.root / STATE).stat().st_gid)
    others = sorted(new.with_name(f"{MAIN_FILE.name}.d").glob("*.toml"))
    try:
        return load(None, (new, *others), (), vocabulary())
    except ConfigurationErrors as error:
        new.unlink()
        raise ConfigurationErrors(
            replace(each, source=f"what follows from {box.source.name}", line=0)
            for each in error.problems
        ) from error


def _make_key(box: _Box, configuration: Configuration) -> list[str]:
    """The key for TLS, unless there is one, and the request for its certificate."""
    table = configuration.named_key(KEY)
    assert table is not None
    table = replace(table, folder=str(box.root / table.folder.lstrip("/")))
    try:
        key = named_key(table)
        with key.store:
            if not key.store.slots:
                key.create(table.algorithm)
            subject, names = f"CN={box.hostname}", (box.hostname,)
            request = key.request(subject, names)
            if not key.certificates():
                from hal.keys.own_certificate import own_certificate

                key.install(own_certificate(key.key_to_certify(), subject, names))
            shown = _fingerprint_of(key.certificates()[0])
    except KeyStoreError as error:
        raise unusable(table, error) from error
    name = "gantry-request.pem"
    said = [
        f"a key for TLS in {'the TPM' if table.store == 'tpm' else 'a file'}; it certifies"
        " itself for now, SHA-256:",
        shown,
    ]
    if reports.put(box.source.parent / name, request):
        said.append(f"for one of the hospital's have {name}, beside {box.source.name}, signed;")
        said.append(f"then: gantry keys install {KEY} CERTIFICATE")
    return said


def _fingerprint_of(certificate: x509.Certificate) -> str:
    """As other programs show it: pairs of digits with colons."""
    from cryptography.hazmat.primitives import hashes

    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def _is_there(device: str) -> bool:
    return ":" in device or Path(device).exists()


def _name_machine(box: _Box) -> None:
    file = box.root / "etc/hostname"
    file.parent.mkdir(parents=True, exist_ok=True)
    name = f"{box.hostname}\n"
    _if_different(file, name, lambda text: replace_file(file, text.encode(), mode=0o644))
    if box.root == Path("/") and socket.gethostname() != box.hostname:
        try:
            socket.sethostname(box.hostname)
        except OSError as error:
            print(f"the name holds from the next start on: {error.strerror}")


def _if_different(file: Path, text: str, write: Callable[[str], None]) -> None:
    try:
        same = file.read_text() == text
    except OSError:
        same = False
    if not same:
        write(text)


def _set_time_zone(box: _Box) -> None:
    zone = box.settings.time_zone
    if not zone:
        return
    link = box.root / "etc/localtime"
    new = link.with_name("localtime.new")
    new.unlink(missing_ok=True)
    new.symlink_to(f"/usr/share/zoneinfo/{zone}")
    new.replace(link)
