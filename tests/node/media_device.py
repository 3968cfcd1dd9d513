"""Media creation as pynetdicom asks for it, and nodes that do it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.tag import Tag
from pydicom.uid import generate_uid
from pynetdicom import AE
from pynetdicom.sop_class import MediaCreationManagement

from tests.media.instances import CT, instance, save
from tests.node.running import NodeProcess
from tests.node.test_steps import until
from tests.peers.dcmtk import dcmsend

SERVICE = '[[entity.service]]\nname = "media-creation"\nroles = ["scp"]\n'
EXPLICIT = "1.2.840.10008.1.2.1"


def media_node(folder: Path, more: str = "") -> NodeProcess:
    """A node that makes media in `folder`/media; `more` are keys of [entity.media_creation]."""
    return NodeProcess(
        folder / "node",
        f'{SERVICE}[entity.media_creation]\nfolder = "{folder}/media"\n{more}',
    )


def media_of(node: NodeProcess, uid: str) -> Path:
    """Where the media of a request are."""
    return node.folder.parent / "media" / uid


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    """One that makes media in `tmp_path`/media."""
    with media_node(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def shared_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """The same for all tests of a module that leave its folder of media alone."""
    with media_node(tmp_path_factory.mktemp("media-node")) as running:
        yield running


def stored(node: NodeProcess, folder: Path, count: int = 3, size: int = 8, **how: Any) -> list[Any]:
    """CT images of `size` rows, 512 bytes each, stored in the node: a study of their own."""
    made = []
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    for number in range(1, count + 1):
        uids["SOPInstanceUID"] = generate_uid()
        image = instance(number, **{**uids, "Rows": size, "Columns": 256, **how})
        image.PixelData = os.urandom(size * 512)
        made.append(image)
    files = [save(each, folder / f"{each.InstanceNumber}") for each in made]
    dcmsend(node.port, *files).check()
    return made


def request_for(images: Iterable[Any], profile: str | Sequence[str] = "", **more: Any) -> Dataset:
    """The attributes of an N-CREATE; a profile for all, or one for each."""
    made = Dataset()
    made.ReferencedSOPSequence = []
    for number, each in enumerate(images):
        item = Dataset()
        item.ReferencedSOPClassUID = each.SOPClassUID
        item.ReferencedSOPInstanceUID = each.SOPInstanceUID
        name = profile if isinstance(profile, str) else profile[number]
        if name:
            item.RequestedMediaApplicationProfile = name
        made.ReferencedSOPSequence.append(item)
    for keyword, value in more.items():
        setattr(made, keyword, value)
    return made


def unknown_image() -> Dataset:
    """One that nobody has."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = CT, generate_uid()
    return made


class Requester:
    """An SCU of pynetdicom."""

    def __init__(self, port: int, called: str = "GANTRY", syntax: str = EXPLICIT) -> None:
        application = AE(ae_title="VIEWER")
        application.add_requested_context(MediaCreationManagement, syntax)
        self.association = application.associate("127.0.0.1", port, ae_title=called)
        assert self.association.is_established

    def _alone(self) -> None:
        """pynetdicom's own thread must stand still: it may take a response for a request, and drop
        it, where it was just looking for one when we began."""
        self.association._reactor_checkpoint.clear()
        time.sleep(0.02)

    def create(self, request: Dataset, uid: str) -> Any:
        self._alone()
        return self.association.send_n_create(request, MediaCreationManagement, uid)[0]

    def act(self, uid: str, action: int, information: Dataset | None = None) -> Any:
        self._alone()
        status, _ = self.association.send_n_action(
            information, action, MediaCreationManagement, uid
        )
        return status

    def initiate(self, uid: str, **information: Any) -> int:
        told = Dataset()
        for keyword, value in information.items():
            setattr(told, keyword, value)
        # pynetdicom announces an empty data set, and never sends it.
        return int(self.act(uid, 1, told if len(told) else None).Status)

    def cancel(self, uid: str) -> int:
        return int(self.act(uid, 2).Status)

    def get(self, uid: str, keywords: Sequence[str] = ()) -> tuple[Any, Any]:
        tags = [Tag(each) for each in keywords]
        self._alone()
        return self.association.send_n_get(tags, MediaCreationManagement, uid)


@contextmanager
def requester(node: NodeProcess, syntax: str = EXPLICIT) -> Iterator[Requester]:
    made = Requester(node.port, syntax=syntax)
    try:
        yield made
    finally:
        made.association.release()


def result(node: NodeProcess, uid: str) -> Any:
    """What N-GET tells, on an association of its own; None where the request is not there."""
    with requester(node) as scu:
        status, found = scu.get(uid)
        return found if status.Status == 0 else None


def over(node: NodeProcess, uid: str, seconds: float = 30.0) -> Any:
    """The result, when it is DONE or FAILURE."""
    until(
        lambda: result(node, uid).ExecutionStatus in ("DONE", "FAILURE"),
        lambda: f"{result(node, uid)}\n{node.log[-3000:]}",
        seconds,
    )
    return result(node, uid)


def asked(node: NodeProcess, request: Dataset, uid: str = "", **information: Any) -> str:
    """A request that was created and initiated; its UID."""
    uid = uid or generate_uid()
    with requester(node) as scu:
        assert scu.create(request, uid).Status == 0
        assert scu.initiate(uid, **information) == 0
    return uid
