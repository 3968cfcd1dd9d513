"""What a backup has in it: the configuration's files, keys and secrets, the state, the archives.

Everything below the state folder belongs, but for what is made anew (locks, sockets, what is being
written). Of places elsewhere those files belong that the configuration names.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.archive import backup, layout
from agent.configuration.configuration import Configuration
from agent.configuration.key import keys_of
from agent.configuration.kind import Kind
from agent.configuration.kinds import ListOf, Table, Tables
from agent.configuration.kinds import Path as PathKind
from agent.configuration.profiles import SYSTEM_FOLDER, profile_folders
from agent.configuration.secrets import Secret
from agent.errors import ConfigurationError
from agent.workflow.archive_tables import RESTORING, archive_folder

_OF_THE_ARCHIVE = (
    layout.INDEX,
    f"{layout.INDEX}-wal",
    f"{layout.INDEX}-shm",
    layout.LOCK,
    layout.BALLAST,
    layout.OBJECTS,
    layout.INCOMING,
)
_CERTIFICATES = frozenset(("trust", "crl", "certificates", "folder"))
"""Keys whose folders have certificates and keys in them."""

_MOST_FILES = 10_000


def archives_of(configuration: Configuration) -> dict[str, Path]:
    """The folder of each archive."""
    return {each.name: archive_folder(configuration, each) for each in configuration.archives}


def roots_of(configuration: Configuration) -> list[Path]:
    """The folders that are restored whole: the state, and archives that lie elsewhere."""
    state = Path(configuration.node.state)
    outside = [each for each in archives_of(configuration).values() if state not in each.parents]
    return [state, *dict.fromkeys(outside)]


def state_files(configuration: Configuration) -> Iterator[Path]:
    """Folders, and regular files, without what `frozen` has of an archive; parents come first."""
    archives = set(archives_of(configuration).values())
    for root in roots_of(configuration):
        yield from _below(root, archives)


def _below(folder: Path, archives: set[Path]) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda each: each.name):
        path = Path(entry.path)
        if path.name == RESTORING or path.name.startswith(backup.PREFIX):
            continue
        if folder in archives and path.name in _OF_THE_ARCHIVE:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield path
            yield from _below(path, archives)
        elif entry.is_file(follow_symlinks=False) and path.suffix != ".new":
            yield path


def configuration_files(configuration: Configuration) -> list[Path]:
    """Files outside of the roots: the configuration, and the keys, certificates and secrets that
    it names."""
    shipped = {each for each in profile_folders() if each != SYSTEM_FOLDER}
    found = [Path(each) for each in configuration.origin.files]
    found = [each.absolute() for each in found if each.parent not in shipped]
    found += _named(configuration)
    roots = roots_of(configuration)
    outside = (each for each in found if not any(root in each.parents for root in roots))
    return list(dict.fromkeys(each for each in outside if _is_regular(each)))


def _named(section: Any) -> Iterator[Path]:
    for key in keys_of(type(section)).values():
        value = getattr(section, key.field)
        if isinstance(key.kind, Table) and value is not None:
            yield from _named(value)
        elif isinstance(key.kind, Tables):
            for each in value:
                yield from _named(each)
        else:
            yield from _paths(key.name, key.kind, value)


def _paths(name: str, kind: Kind, value: Any) -> Iterator[Path]:
    if isinstance(kind, ListOf):
        for each in value or ():
            yield from _paths(name, kind.kind, each)
    elif isinstance(value, Secret) and value.file:
        yield Path(value.file)
    elif isinstance(kind, PathKind) and value:
        path = Path(value)
        if name in _CERTIFICATES and path.is_dir():
            yield from _few_files(path)
        else:
            yield path


def _few_files(folder: Path) -> Iterator[Path]:
    """The files right in a folder of certificates; not of one that is a store of something else."""
    entries = [Path(each.path) for each in os.scandir(folder)][: _MOST_FILES + 1]
    if len(entries) <= _MOST_FILES:
        yield from (each for each in entries if each.suffix in (".pem", ".crt", ".key", ".crl", ""))


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def not_taken(configuration: Configuration) -> list[str]:
    """What cannot be in a backup, in sentences."""
    places = {"pkcs11": "in a token", "tpm": "in the TPM of this machine"}
    return [
        f"the private key {each.name} is {places[each.store]} and stays there: after a restore to"
        " another machine make a new one with `gantry keys` and have it certified"
        for each in configuration.keys
        if each.store in places
    ]


def check_known(configuration: Configuration) -> None:
    """Raises ConfigurationError for a state that is not there."""
    if not Path(configuration.node.state).is_dir():
        raise ConfigurationError(
            f"there is no state in {configuration.node.state}",
            way_out="Name the configuration of the node with --config.",
        )
