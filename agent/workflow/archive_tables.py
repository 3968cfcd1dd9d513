"""Where an archive lies and how it behaves, from its table in the configuration."""

from __future__ import annotations

from pathlib import Path

from agent.archive.settings import ArchiveSettings, RetryPolicy, StorageStatuses
from agent.configuration.archive import Archive as ArchiveTable
from agent.configuration.configuration import Configuration
from agent.errors import StorageError
from agent.workflow.signatures_anew import signatures_anew

RESTORING = ".restoring"
"""The folder, in a state or an archive, in which a restore is prepared."""

READY = "ready"
"""The file in it that says that the restore is whole, and is being put in place."""


def archive_folder(configuration: Configuration, table: ArchiveTable) -> Path:
    """Where an archive lies."""
    return Path(table.folder or Path(configuration.node.state, "archive", table.name))


def check_restored(configuration: Configuration) -> None:
    """Raises StorageError where a restore was cut off while it was put in place."""
    if Path(configuration.node.state, RESTORING, READY).exists():
        raise StorageError(
            "a restore was cut off while it was put in place",
            way_out="Run `gantry restore --finish`.",
        )


def archive_settings(configuration: Configuration, table: ArchiveTable) -> ArchiveSettings:
    """The settings of an archive, with the statuses of the entity that stores to it."""
    entity = next((each for each in configuration.entities if each.archive == table.name), None)
    statuses = StorageStatuses()
    if entity is not None:
        said = entity.status
        statuses = StorageStatuses(
            disk_full=said.disk_full,
            volume_away=said.volume_away,
            storage_failure=said.out_of_resources,
            does_not_match=said.mismatch,
            cannot_understand=said.unparsable,
        )
    retry = configuration.delivery.retry
    return ArchiveSettings(
        quota=table.quota,
        high_watermark=table.high_watermark,
        low_watermark=table.low_watermark,
        reserve=table.reserve,
        volume=table.volume,
        identity_record=str(Path(configuration.node.state, f"archive-{table.name}.identity")),
        statuses=statuses,
        retry=RetryPolicy(
            retry.first, retry.factor, retry.longest, retry.jitter, retry.attempts, retry.age
        ),
        sign_anew=signatures_anew(configuration),
    )
