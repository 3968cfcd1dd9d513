"""C-FIND with pynetdicom: an SCU that shows all that came back, and a scripted SCP."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    PatientRootQueryRetrieveInformationModelFind,
    PatientStudyOnlyQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
)

from tests.peers.process import free_port

MODELS: dict[str, str] = {
    "patient": PatientRootQueryRetrieveInformationModelFind,
    "study": StudyRootQueryRetrieveInformationModelFind,
    "patient-study-only": PatientStudyOnlyQueryRetrieveInformationModelFind,
}
EXPLICIT = "1.2.840.10008.1.2.1"


def identifier(level: str, **keys: Any) -> Dataset:
    """A request identifier; text beyond ASCII is in UTF-8 unless it says otherwise."""
    made = Dataset()
    made.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(made, keyword, value)
    if "SpecificCharacterSet" not in made and not str(keys).isascii():
        made.SpecificCharacterSet = "ISO_IR 192"
    return made


@dataclass
class Answer:
    """What a C-FIND came to: the statuses in order, the matches, and what was negotiated."""

    statuses: list[int] = field(default_factory=list)
    matches: list[Dataset] = field(default_factory=list)
    final: Dataset = field(default_factory=Dataset)
    negotiated: bytes | None = None

    @property
    def status(self) -> int:
        return self.statuses[-1]

    def values(self, keyword: str) -> list[str]:
        """Of all matches, sorted."""
        return sorted(str(each.get(keyword, "missing")) for each in self.matches)


class Asker:
    """One association of pynetdicom, on which any number of queries is made."""

    def __init__(
        self,
        port: int,
        called: str,
        model: str = "study",
        information: bytes | None = None,
        *,
        calling: str = "ASKER",
        syntax: str = EXPLICIT,
    ) -> None:
        self._class = MODELS[model]
        application = AE(ae_title=calling)
        application.add_requested_context(self._class, syntax)
        items = []
        if information is not None:
            item = SOPClassExtendedNegotiation()
            item.sop_class_uid = self._class
            item.service_class_application_information = information
            items.append(item)
        self.association = application.associate("127.0.0.1", port, ae_title=called, ext_neg=items)
        assert self.association.is_established
        said = self.association.acceptor.sop_class_extended
        self.negotiated: bytes | None = said.get(self._class)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.association.release()

    def ask(self, keys: Dataset, *, cancel_after: int = 0) -> Answer:
        answer = Answer(negotiated=self.negotiated)
        for status, match in self.association.send_c_find(keys, self._class, msg_id=7):
            assert "Status" in status, "the association ended"
            answer.statuses.append(status.Status)
            answer.final = status
            if match is not None and status.Status in (0xFF00, 0xFF01):
                match.decode()
                answer.matches.append(match)
                if len(answer.matches) == cancel_after:
                    self.association.send_c_cancel(7, query_model=self._class)
        return answer


def ask(
    port: int,
    called: str,
    keys: Dataset,
    model: str = "study",
    information: bytes | None = None,
    **more: Any,
) -> Answer:
    """One query on an association of its own."""
    with Asker(port, called, model, information, **more) as asker:
        return asker.ask(keys)


class ScriptedArchive:
    """A C-FIND SCP of pynetdicom that answers what it is told to, and keeps what it was asked.

    `agrees` is what it answers extended negotiation with; None: nothing. A pause before each answer
    gives a cancel time to arrive.
    """

    def __init__(
        self,
        answers: Sequence[tuple[int, Dataset | None]] = (),
        *,
        agrees: bytes | None = None,
        pause: float = 0.0,
        more_after_cancel: int = 0,
    ) -> None:
        self.answers = answers
        self.asked: list[Dataset] = []
        self.offered: list[dict[str, bytes]] = []
        self.cancelled = 0
        self.port = free_port()
        self._agrees = agrees
        self._pause = pause
        self._more = more_after_cancel

    def __enter__(self) -> Self:
        application = AE(ae_title="SCRIPTED")
        for model in MODELS.values():
            application.add_supported_context(model)
        self._server = application.start_server(
            ("127.0.0.1", self.port),
            block=False,
            evt_handlers=[(evt.EVT_C_FIND, self._find), (evt.EVT_SOP_EXTENDED, self._extended)],
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()

    def _extended(self, event: Any) -> dict[str, bytes]:
        self.offered.append(dict(event.app_info))
        return {uid: self._agrees for uid in event.app_info if self._agrees is not None}

    def _find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        self.asked.append(event.identifier)
        left = None
        for status, match in self.answers:
            if self._pause:
                time.sleep(self._pause)
            if event.is_cancelled and left is None:
                self.cancelled += 1
                left = self._more
            if left is not None:
                if not left:
                    yield 0xFE00, None
                    return
                left -= 1
            yield status, match
