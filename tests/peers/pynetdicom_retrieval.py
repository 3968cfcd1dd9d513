"""C-MOVE and C-GET by pynetdicom, in both roles: the SCU as a call, the SCP scripted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pynetdicom import AE, build_context, build_role, evt

from tests.node.running import free_port


def identifier(keys: Mapping[str, Any]) -> Dataset:
    """A data set of keys by keyword."""
    made = Dataset()
    for keyword, value in keys.items():
        setattr(made, keyword, value)
    return made


def pynetdicom_get(
    port: int, sop_class: str, keys: Mapping[str, Any], folder: Path, classes: Sequence[str]
) -> list[dict[str, Any]]:
    """C-GET; the responses by keyword, `FailedSOPInstanceUIDList` among them. Objects go into
    `folder` by their UIDs."""

    def store(event: Any) -> int:
        data_set = event.dataset
        data_set.file_meta = event.file_meta
        data_set.save_as(folder / f"{data_set.SOPInstanceUID}.dcm", enforce_file_format=True)
        return 0

    application = AE(ae_title="PYNETDICOM")
    application.requested_contexts = [build_context(uid) for uid in (sop_class, *classes)]
    association: Any = application.associate(
        "127.0.0.1",
        port,
        ae_title="GANTRY",
        ext_neg=[build_role(uid, scp_role=True) for uid in classes],
        evt_handlers=[(evt.EVT_C_STORE, store)],
    )
    assert association.is_established
    found = [_said(*each) for each in association.send_c_get(identifier(keys), sop_class)]
    association.release()
    return found


def pynetdicom_move(
    port: int, sop_class: str, keys: Mapping[str, Any], destination: str
) -> list[dict[str, Any]]:
    """C-MOVE; the responses as of `pynetdicom_get`."""
    application = AE(ae_title="PYNETDICOM")
    application.add_requested_context(sop_class)
    association: Any = application.associate("127.0.0.1", port, ae_title="GANTRY")
    assert association.is_established
    sent = association.send_c_move(identifier(keys), destination, sop_class)
    found = [_said(*each) for each in sent]
    association.release()
    return found


def _said(status: Dataset, data_set: Dataset | None) -> dict[str, Any]:
    said = {each.keyword: each.value for each in status}
    if data_set is not None:
        said |= {each.keyword: each.value for each in data_set}
    return said


class RetrievalScp:
    """An SCP of retrieval. `answers` gives what the handlers of pynetdicom yield: for a C-MOVE the
    destination, the number, then (status, data set); for a C-GET without the destination.

    What it was asked is in `asked`, what its C-STOREs were answered in `stored`.
    """

    def __init__(
        self,
        answers: Callable[[Any], Iterator[Any]],
        sop_classes: Sequence[str],
        storage_classes: Sequence[str] = (),
    ) -> None:
        self.asked: list[Dataset] = []
        self.contexts: list[Any] = []
        self.port = free_port()
        self._answers = answers
        application = AE(ae_title="SCP")
        for uid in sop_classes:
            application.add_supported_context(uid)
        for uid in storage_classes:
            application.add_supported_context(uid, scu_role=True, scp_role=False)
        for context in storage_classes:
            application.add_requested_context(context)
        self._server: Any = application.start_server(
            ("127.0.0.1", self.port),
            block=False,
            evt_handlers=[
                (evt.EVT_C_MOVE, self._retrieve),
                (evt.EVT_C_GET, self._retrieve),
                (evt.EVT_REQUESTED, self._requested),
            ],
        )

    def __enter__(self) -> RetrievalScp:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()

    def _requested(self, event: Any) -> None:
        self.contexts.append(event.assoc.requestor.primitive)

    def _retrieve(self, event: Any) -> Iterator[Any]:
        self.asked.append(event.identifier)
        yield from self._answers(event)
