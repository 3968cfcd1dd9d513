"""An object on its way to a medium, without what tells whose it is (PS3.15 annex E).

All else on the medium follows from the files there: the DICOMDIR is made from them, their names are
numbers.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from agent.archive.records import Instance
from agent.configuration.deidentification import Deidentify
from agent.dataset.file_meta import read_file_meta
from agent.errors import ConfigurationError
from agent.media.file_ids import open_file
from agent.quoting import quoted
from agent.workflow.export_settings import ExportFailed, NoRoom

if TYPE_CHECKING:
    from agent.workflow.deidentified_copy import Deidentifier

DEIDENTIFIED = "deidentified"
"""The name of the scratch file; it has one object at a time."""


def deidentifier_of(rule: Deidentify | None) -> Deidentifier | None:
    """None for no rule. Raises ExportFailed where its secret or its certificates cannot be used."""
    if rule is None:
        return None
    # With it comes what decodes frames.
    from agent.workflow.deidentified_copy import Deidentifier

    try:
        return Deidentifier(rule)
    except ConfigurationError as error:
        raise ExportFailed(f"{quoted(error)}", value=rule.name) from error


def deidentified(
    path: Path,
    instance: Instance,
    deidentifier: Deidentifier,
    scratch: Path,
    implementation: tuple[str, str],
) -> tuple[Path, Instance]:
    """The file of a copy, and the object that it is.

    Raises what `deidentify_file` raises, OSError where the object cannot be opened, and NoRoom
    where the scratch file cannot be written.
    """
    from agent.workflow.deidentified_copy import deidentify_file

    target = scratch / DEIDENTIFIED
    source = open_file(path)
    try:
        with target.open("w+b") as made:
            deidentify_file(source, made.fileno(), deidentifier, implementation)
            meta = read_file_meta(made.fileno())
    except OSError as error:
        # The source was opened, and is read by what says otherwise: it is our own disk.
        raise NoRoom(f"{quoted(target)} cannot be written: {error.strerror}") from error
    finally:
        os.close(source)
    return target, instance._replace(
        sop_instance_uid=meta.media_storage_sop_instance_uid,
        transfer_syntax_uid=meta.transfer_syntax_uid,
    )
