"""The Verification service class, both roles (PS3.4 Annex A).

One SOP class, one DIMSE service, no data set, and no extended negotiation of any kind (PS3.4 A.5).
"""

from __future__ import annotations

from agent.configuration.entity import Entity
from agent.dataset.sop_classes import VERIFICATION
from agent.errors import PeerError, StatusReaction
from agent.network.association import Association, IncomingRequest, Response
from agent.network.commands import C_ECHO_RQ, c_echo_rq
from agent.network.status import SUCCESS, UNRECOGNIZED_OPERATION
from agent.services.service import Service, Support


async def c_echo(association: Association) -> Response:
    """Ask the peer for an answer (PS3.7 9.1.5).

    Raises PeerError when it did not accept Verification, or the association ends.
    """
    context = association.contexts.find(VERIFICATION, scu=True)
    if context is None:
        raise PeerError(
            "the peer does not accept Verification on this association", clause="PS3.4 A.4"
        )
    return await association.request(
        context, c_echo_rq(association.next_message_id(), VERIFICATION)
    )


class VerificationProvider:
    """Answers each C-ECHO with success."""

    def begin(self, request: IncomingRequest) -> None:
        if request.command.field != C_ECHO_RQ:
            raise PeerError(
                "Verification knows C-ECHO only",
                clause="PS3.4 A.3",
                reaction=StatusReaction(UNRECOGNIZED_OPERATION, "Verification knows C-ECHO only"),
            )

    async def perform(self, request: IncomingRequest) -> Response:
        return Response(SUCCESS)


def _provider(entity: Entity, support: Support) -> VerificationProvider:
    return VerificationProvider()


SERVICE = Service(
    name="verification",
    meaning="C-ECHO: are you there?",
    clause="A",
    roles=("scu", "scp"),
    sop_classes=frozenset((VERIFICATION,)),
    default_sop_classes=(VERIFICATION,),
    provider=_provider,
)
