"""A Media Creation Management SCP of pynetdicom: takes a request, and is done at the third look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import MediaCreationManagement

from tests.node.running import free_port


class MediaCreationScp:
    """What it was told is in `created` and `acted`, by UID, in `asked` by association.

    `create`, `act` and `get` are the statuses that it answers; `progress` are the results that
    N-GET gives, one after the other, the last for ever.
    """

    def __init__(
        self,
        progress: Sequence[Dataset] = (),
        *,
        create: int = 0,
        act: int = 0,
        get: int = 0,
    ) -> None:
        self.created: dict[str, Dataset] = {}
        self.acted: list[tuple[str, int, Dataset]] = []
        self.asked: list[tuple[int, str, list[int]]] = []
        self.order: list[str] = []
        self.port = free_port()
        self._progress = list(progress)
        self._statuses = (create, act, get)
        application = AE(ae_title="ROBOT")
        application.add_supported_context(MediaCreationManagement)
        self._server: Any = application.start_server(
            ("127.0.0.1", self.port),
            block=False,
            evt_handlers=[
                (evt.EVT_N_CREATE, self._create),
                (evt.EVT_N_ACTION, self._act),
                (evt.EVT_N_GET, self._get),
            ],
        )

    def __enter__(self) -> MediaCreationScp:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()

    def _create(self, event: Any) -> Any:
        self.order.append("N-CREATE")
        self.created[str(event.request.AffectedSOPInstanceUID)] = event.attribute_list
        return self._statuses[0], None

    def _act(self, event: Any) -> Any:
        self.order.append(f"N-ACTION {event.action_type}")
        uid = str(event.request.RequestedSOPInstanceUID)
        self.acted.append((uid, event.action_type, event.action_information))
        return self._statuses[1], None

    def _get(self, event: Any) -> Any:
        self.order.append("N-GET")
        tags = [int(each) for each in event.request.AttributeIdentifierList or ()]
        self.asked.append((id(event.assoc), str(event.request.RequestedSOPInstanceUID), tags))
        found = self._progress.pop(0) if len(self._progress) > 1 else self._progress[0]
        return self._statuses[2], found


def progress(status: str, info: str = "NORMAL", **more: Any) -> Dataset:
    """A result as an SCP tells it."""
    made = Dataset()
    made.ExecutionStatus, made.ExecutionStatusInfo = status, info
    made.TotalNumberOfPiecesOfMediaCreated = 0
    made.FailedSOPSequence, made.ReferencedStorageMediaSequence = [], []
    for keyword, value in more.items():
        setattr(made, keyword, value)
    return made
