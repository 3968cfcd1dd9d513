"""What the node and the worker of an import tell each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.configuration.configuration import Configuration
from agent.media.opening import NO_KEYS, Keys
from agent.security.credentials import KeyFile
from agent.workflow.object_copy import Taken


@dataclass(frozen=True, slots=True)
class ImportSettings:
    """What the worker must know. `identity` is packed (`agent.archive.procedure_steps.pack`), empty
    where objects are taken as they are; `date_time` (DT) is that of the import's beginning."""

    root: str
    study_instance_uid: str
    identity: bytes
    date_time: str
    system: str
    implementation_class_uid: str
    implementation_version_name: str
    keys: Keys = NO_KEYS


def media_keys_of(configuration: Configuration) -> Keys:
    """With what Secure DICOM files are opened; the worker that needs a secret reads it."""
    table = configuration.media_keys
    own = (KeyFile(table.private_key, table.passphrase),) if table.private_key else ()
    return Keys(own, table.passwords, table.trust, table.signers == "any", table.folder)


@dataclass(frozen=True, slots=True)
class TakenObject:
    """An object that was written, and the series that it belongs to."""

    file: str
    taken: Taken
    keys: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NotTaken:
    """An object of the study whose file cannot be read, and why."""

    file: str
    reason: str
