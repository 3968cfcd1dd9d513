"""The series that has our Procedure Logs of a study."""

from __future__ import annotations

from agent.archive.archive import Archive
from agent.dataset.uid import derived_uid


def log_series_of(archive: Archive, study_instance_uid: str) -> str:
    """Its Series Instance UID, which follows from the study: it has our logs, and nothing else."""
    seed = "\0".join(("procedure log", archive.identity, study_instance_uid))
    return derived_uid(seed.encode("utf-8"))
