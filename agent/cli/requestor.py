"""What the commands that open an association have in common."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from agent.cli.options import client_context
from agent.configuration.connection import Timers
from agent.network.association import Association, ServiceProvider
from agent.network.presentation_context import PresentationContextProposal
from agent.network.transport import open_association
from agent.network.user_information import (
    ExtendedNegotiation,
    RoleSelection,
    UserInformation,
)
from agent.services.storage import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME


async def associate(
    options: argparse.Namespace,
    proposals: Sequence[PresentationContextProposal],
    *,
    window: int = 1,
    roles: tuple[RoleSelection, ...] = (),
    extended: tuple[ExtendedNegotiation, ...] = (),
    providers: Mapping[str, ServiceProvider] | None = None,
) -> Association:
    """An association as `add_peer_options` described it; `providers` as of `open_association`."""
    limit = options.timeout
    return await open_association(
        [options.peer],
        called_ae_title=options.called,
        calling_ae_title=options.calling,
        proposals=proposals,
        information=UserInformation(
            131072,
            IMPLEMENTATION_CLASS_UID,
            IMPLEMENTATION_VERSION_NAME,
            asynchronous_operations_window=(window, 1) if window > 1 else None,
            roles=roles,
            extended=extended,
        ),
        timers=Timers(connect=limit, association=limit, dimse=limit, progress=limit),
        ssl_context=client_context(options),
        providers=providers,
    )
