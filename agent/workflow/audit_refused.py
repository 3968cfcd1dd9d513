"""Objects that somebody sent and we did not take: one failed transfer for an association.

What is not kept is not read, so whose it is is not known (PS3.15 A.5.3.7 wants a study and a
patient all the same: they are named as unknown). The message tells the SOP Classes with how many
instances of each, and the answers that were given. Memory: 1,024 associations, each with at most 32
SOP Classes and 32 answers; what goes beyond is counted under the last of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent.loop import now, sleep
from agent.network.commands import C_STORE_RQ
from agent.network.status import status_text
from agent.security import audit_terms as terms
from agent.security.audit_message import SERIOUS_FAILURE, AuditMessage, Participant
from agent.workflow.audit_participants import Us, patient_object, peer, study_object

if TYPE_CHECKING:
    from agent.network.association import Association
    from agent.network.exchange import IncomingRequest, Response

UNKNOWN = "unknown"
"""The study and the patient of what was not kept."""
_MOST, _MOST_KINDS = 1024, 32
_OTHERS = "others"
_LOOKS = 1.0


@dataclass(slots=True)
class _Refused:
    """What was refused on one association since `begun`, by the steady clock."""

    participants: tuple[Participant, Participant]
    begun: float
    when: float = 0.0
    classes: dict[str, int] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)


class RefusedObjects:
    """Gathers refusals into messages for `record`. `longest` is in seconds, as configured: after
    it, what goes on longer is told of."""

    def __init__(
        self,
        us: Callable[[], Us],
        longest: Callable[[], float],
        record: Callable[[AuditMessage], None],
    ) -> None:
        self._us = us
        self._longest = longest
        self._record = record
        self._gathered: dict[str, _Refused] = {}

    def heard(self, fields: Mapping[str, Any]) -> None:
        """An operation was answered with a failure."""
        request: IncomingRequest = fields["request"]
        response: Response = fields["response"]
        if request.command.field != C_STORE_RQ:
            return
        name = request.association.identification
        found = self._gathered.get(name)
        if found is None:
            if len(self._gathered) >= _MOST:
                self.end_association(next(iter(self._gathered)))
            found = self._gathered[name] = _Refused(self._ends(request.association), now())
        found.when = time.time()
        _count(found.classes, request.command.affected_sop_class_uid)
        said = f"{response.status:04X}H {response.comment or status_text(response.status)}"
        _count(found.answers, said)

    def end_association(self, name: str) -> None:
        """Nothing more comes over it."""
        found = self._gathered.pop(name, None)
        if found is not None:
            self._record(_message(found))

    def end(self) -> None:
        """All that was gathered is told."""
        for name in list(self._gathered):
            self.end_association(name)

    async def run(self) -> None:
        """Until cancelled: nothing waits for longer than is configured."""
        while True:
            await sleep(_LOOKS)
            for name, each in list(self._gathered.items()):
                if now() - each.begun >= self._longest():
                    self.end_association(name)

    def _ends(self, association: Association) -> tuple[Participant, Participant]:
        """We, who would have received, and who sends."""
        ours, theirs = association.called_ae_title, association.calling_ae_title
        if association.requestor:
            # It sends what we asked it for by C-GET.
            ours, theirs = theirs, ours
        us = self._us().participant(
            terms.DESTINATION, titles=(ours,), requestor=association.requestor
        )
        other = peer(
            theirs,
            association.address,
            terms.SOURCE,
            requestor=not association.requestor,
            user=association.user,
        )
        return us, other


_NOBODY = patient_object(UNKNOWN)


def _message(found: _Refused) -> AuditMessage:
    answers = ", ".join(
        f"{said} ({count} times)" if count > 1 else said for said, count in found.answers.items()
    )
    study = study_object(UNKNOWN, sop_classes=tuple(found.classes.items()))
    return AuditMessage(
        terms.INSTANCES_TRANSFERRED,
        "C",
        found.when,
        found.participants,
        (study, _NOBODY),
        outcome=SERIOUS_FAILURE,
        description=f"Objects were refused: {answers}",
    )


def _count(numbers: dict[str, int], name: str) -> None:
    if name not in numbers and len(numbers) >= _MOST_KINDS:
        name = _OTHERS
    numbers[name] = numbers.get(name, 0) + 1
