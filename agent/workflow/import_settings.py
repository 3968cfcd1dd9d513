"""What the node and the worker of an import tell each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.configuration.configuration import Configuration
from agent.media.opening import NO_KEYS, Keys
from agent.security.credentials import KeyFile
from agent.workflow.object_copy import Taken

if TYPE_CHECKING:
    from agent.security.signature_verification import Verified
    from agent.workflow.signature_rule import SignatureRule
    from agent.workflow.signatures_anew import SignaturesAnew


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
    signatures: SignatureRule | None = None
    """Set where signatures are looked at."""
    sign_anew: SignaturesAnew | None = None
    """Set where broken signatures are replaced."""


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
    signatures: Sequence[Verified] | None = ()
    """Those of the file, where they are looked at; None where it cannot be parsed."""


@dataclass(frozen=True, slots=True)
class NotTaken:
    """An object of the study whose file cannot be read, and why."""

    file: str
    reason: str
