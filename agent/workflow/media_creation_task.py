"""What the node and the worker of a media creation request tell each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from agent.services.media_creation import Volume
from agent.services.storage_commitment import Failure
from agent.workflow.export_settings import Maker

if TYPE_CHECKING:
    from collections.abc import Iterable


class CreationTask(NamedTuple):
    """One request, as it is carried out. `request` has its attributes as the archive keeps them;
    the rest is what the configuration says. Folders are whole paths. `pages` for a web
    browser are made where the request does not say otherwise."""

    uid: str
    archive: str
    request: bytes
    copies: int
    folder: str
    kind: str
    volume_size: int
    profile: str
    profiles: tuple[str, ...]
    implementation_class_uid: str
    implementation_version_name: str
    maker: Maker
    pages: bool


class CreationResult(NamedTuple):
    """What came of it: `volumes` when they are made, and `info` is NORMAL. `passing` says that it
    may succeed another time, as it is; `why` is for people."""

    info: str
    failed: tuple[Failure, ...] = ()
    volumes: tuple[Volume, ...] = ()
    passing: bool = False
    why: str = ""


def serve_media_creation(calls: Any, task: CreationTask) -> None:
    """The worker of one request, which may be killed at any time: `make` answers with a
    CreationResult, and puts nothing yet where it belongs; see `media_creation_making`."""
    from agent.workflow.media_creation_making import Making

    while group := calls.receive(limit=1):
        for call in group:
            try:
                call.reply(Making(task).make())
            except Exception as error:
                call.fail(error)


def publish_media(folder: str, uid: str) -> bool:
    """Put the media of a request where they belong; see `media_creation_making.publish`."""
    from agent.workflow.media_creation_making import publish

    return publish(folder, uid)


def discard_media(folder: str, uid: str) -> None:
    """What was made of a request that is not wanted any more goes."""
    from agent.workflow.media_creation_making import discard

    discard(folder, uid)


def discard_other_media(folder: str, wanted: Iterable[str]) -> None:
    """What a former life left of requests that are not these goes."""
    from agent.workflow.media_creation_making import discard_others

    discard_others(folder, wanted)
