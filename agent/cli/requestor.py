"""What the commands that open an association have in common."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from agent.cli.options import client_context
from agent.configuration.connection import Timers
from agent.configuration.identity import KINDS
from agent.configuration.secrets import Secret
from agent.errors import ConfigurationError
from agent.network.association import Association, ServiceProvider
from agent.network.presentation_context import PresentationContextProposal
from agent.network.transport import open_association
from agent.network.user_identity import USERNAME, USERNAME_AND_PASSCODE, UserIdentity
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
            user_identity=identity_of(options),
        ),
        timers=Timers(connect=limit, association=limit, dimse=limit, progress=limit),
        ssl_context=client_context(options),
        providers=providers,
    )


def identity_of(options: argparse.Namespace) -> UserIdentity | None:
    """The user identity that the options tell; a confirmation is asked for.

    Raises ConfigurationError where something of it is missing.
    """
    secret = Secret(file=str(options.secret)).read() if options.secret else b""
    name = (options.user or "").encode()
    if options.identity:
        if not secret or name:
            raise ConfigurationError(
                f"--identity {options.identity} is what --secret holds, and has no --user"
            )
        return UserIdentity(KINDS[options.identity], secret, positive_response_requested=True)
    if secret and not name:
        raise ConfigurationError("--secret is whose?", way_out="Give --user, or --identity.")
    if not name:
        return None
    kind = USERNAME_AND_PASSCODE if secret else USERNAME
    return UserIdentity(kind, name, secret, positive_response_requested=True)
