"""Where the archive's workers begin: functions that the node can name without importing SQLite."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.archive.decision import Receiver
    from agent.archive.inventory_requests import InventoryState
    from agent.archive.matching_rules import MatchingRules
    from agent.archive.settings import ArchiveSettings
    from agent.archive.worker_answers import Comparison
    from agent.archive.worklist_entry import WorklistPage

_QUESTIONS = {
    "studies": "agent.archive.reader_worker",
    "series": "agent.archive.reader_worker",
    "instances": "agent.archive.reader_worker",
    "counts": "agent.archive.reader_worker",
    "jobs": "agent.archive.reader_worker",
    "finished_jobs": "agent.archive.reader_worker",
    "destinations": "agent.archive.reader_worker",
    "corrections": "agent.archive.reader_worker",
    "query_page": "agent.archive.query_worker",
    "repository_page": "agent.archive.repository_query",
    "object_query_page": "agent.archive.object_query",
    "candidates": "agent.archive.candidates",
    "audited_studies": "agent.archive.audited_studies",
    "unaudited_objects": "agent.archive.audited_studies",
    "step": "agent.archive.procedure_steps",
    "steps": "agent.archive.procedure_steps",
    "references": "agent.archive.references",
    "presence": "agent.archive.commitments",
    "examinations": "agent.archive.examinations",
    "examination": "agent.archive.examinations",
    "administrations": "agent.archive.administrations",
    "media_requests": "agent.archive.media_requests",
    "media_request": "agent.archive.media_requests",
    "ended_examinations": "agent.archive.forgetting",
    "stale_commitments": "agent.archive.forgetting",
    "select": "agent.archive.selected_instances",
    "selected_page": "agent.archive.selected_instances",
}


def serve_storage(calls: Any, folder: str, settings: ArchiveSettings, receiver: Receiver) -> None:
    """The permanent worker; see `agent.archive.storage_worker.entry`."""
    from agent.archive.storage_worker import entry

    entry(calls, folder, settings, receiver)


def answer(folder: str, question: str, arguments: tuple[Any, ...], fields: dict[str, Any]) -> Any:
    """One question to a reader worker; the functions are those of `agent.archive.reader_worker`."""
    function = getattr(import_module(_QUESTIONS[question]), question)
    return function(folder, *arguments, **fields)


def find_entries(
    folder: str,
    called_title: str,
    identifier: bytes,
    rules: MatchingRules,
    after: int,
    limit: int,
) -> WorklistPage:
    """A page of a worklist; see `agent.archive.worklist_store.find_entries`."""
    from agent.archive import worklist_store

    return worklist_store.find_entries(folder, called_title, identifier, rules, after, limit)


def set_step_status(folder: str, study_instance_uid: str, step_id: str, status: str) -> bool:
    """A step was reported; see `agent.archive.worklist_store.set_step_status`."""
    from agent.archive import worklist_store

    return worklist_store.set_step_status(folder, study_instance_uid, step_id, status)


def add_administration(folder: str, record: dict[str, Any]) -> bool:
    """A substance was administered; see `agent.archive.administrations.add_administration`."""
    from agent.archive import administrations

    return administrations.add_administration(folder, record)


def change_media_requests(folder: str, change: str, *arguments: Any) -> Any:
    """One of the changes of `agent.archive.media_requests`, by its name."""
    from agent.archive import media_requests

    return getattr(media_requests, change)(folder, *arguments)


def forget_entries(
    folder: str, titles: tuple[str, ...], own_before: float, others_before: float
) -> int:
    """Delete old entries; see `agent.archive.worklist_forgetting.forget_entries`."""
    from agent.archive import worklist_forgetting

    return worklist_forgetting.forget_entries(folder, titles, own_before, others_before)


def change_inventories(folder: str, change: str, *arguments: Any) -> Any:
    """One of the functions of `agent.archive.inventory_requests`, by its name."""
    from agent.archive import inventory_requests

    return getattr(inventory_requests, change)(folder, *arguments)


def append_inventory_records(
    folder: str, state: InventoryState, retrieve_title: str, largest: int
) -> InventoryState:
    """See `agent.archive.inventory_writing.append_records`."""
    from agent.archive import inventory_writing

    return inventory_writing.append_records(folder, state, retrieve_title, largest)


def write_inventory(
    folder: str,
    state: InventoryState,
    completion: str,
    retrieve_title: str,
    version: str,
    *,
    descriptors: list[int],
) -> None:
    """See `agent.archive.inventory_writing.write_inventory`."""
    from agent.archive import inventory_writing

    inventory_writing.write_inventory(
        folder, state, completion, retrieve_title, version, descriptors=descriptors
    )


def compare(folder: str, wanted: Comparison, *, descriptors: list[int]) -> bool:
    """See `agent.archive.comparison.are_same`. Raises StorageError."""
    from pathlib import Path

    from agent.archive import failure
    from agent.archive.comparison import are_same

    try:
        return are_same(Path(folder), descriptors[0], wanted)
    except OSError as error:
        raise failure.of_system(error, "compare the object") from error


def sync(*, descriptors: list[int]) -> None:
    """Make the data of a file durable. Raises StorageError."""
    import os

    from agent.archive import failure

    try:
        for descriptor in descriptors:
            os.fdatasync(descriptor)
    except OSError as error:
        raise failure.of_system(error, "sync the object") from error
