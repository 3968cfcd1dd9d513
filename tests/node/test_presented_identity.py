"""The user identity with which peers are called (PS3.7 D.3.3.7): pynetdicom looks at it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage, Verification  # type: ignore[attr-defined]

from tests.cli_of import gantry
from tests.node.running import NodeProcess, free_port, peer_table
from tests.node.test_front_door import store, until

NAMES = {1: "USERNAME", 2: "PASSCODE", 3: "KERBEROS", 4: "SAML", 5: "JWT"}
WORDS = {1: "username", 2: "username-and-passcode", 3: "kerberos", 4: "saml", 5: "jwt"}


class Verifying:
    """A Storage SCP that notes who called it, and says no to the user `refused`."""

    def __init__(self, *, looks: bool = True) -> None:
        self.identities: dict[str, tuple[int, bytes, bytes]] = {}
        self.stored: list[str] = []
        self.port = free_port()
        entity = AE("VERIFYING")
        entity.add_supported_context(CTImageStorage)
        entity.add_supported_context(Verification)
        handlers: list[Any] = [(evt.EVT_C_STORE, self._store)]
        if looks:
            handlers.append((evt.EVT_USER_ID, self._identified))
        self.server = entity.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=handlers
        )

    def _identified(self, event: Any) -> tuple[bool, bytes | None]:
        request = event.assoc.requestor.primitive
        item = event.assoc.requestor.user_identity
        self.identities[str(request.called_ae_title).strip()] = (
            item.user_identity_type,
            item.primary_field,
            item.secondary_field or b"",
        )
        return item.primary_field != b"refused", b"fine"

    def _store(self, event: Any) -> int:
        self.stored.append(str(event.assoc.requestor.primitive.called_ae_title).strip())
        return 0


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Verifying, Verifying]]:
    looking, blind = Verifying(), Verifying(looks=False)
    yield looking, blind
    looking.server.shutdown()
    blind.server.shutdown()


@pytest.fixture(scope="module")
def node(
    tmp_path_factory: pytest.TempPathFactory, servers: tuple[Verifying, Verifying]
) -> Iterator[NodeProcess]:
    folder = tmp_path_factory.mktemp("presented")
    secret = folder / "secret"
    secret.write_bytes(b"geheim-4711\n")
    more = ""
    looking, blind = servers
    for kind, name in NAMES.items():
        user = 'user = "anna"\n' if kind < 3 else ""
        where = f'secret = {{ file = "{secret}" }}\n' if kind > 1 else ""
        more += peer_table(
            name,
            looking.port,
            # pynetdicom never confirms the kinds 1 and 2.
            f'[peer.identity]\nkind = "{WORDS[kind]}"\n{user}{where}'
            f'positive_response = "{"required" if kind > 2 else "asked"}"\n',
        )
    more += peer_table(
        "REFUSED", looking.port, '[peer.identity]\nkind = "username"\nuser = "refused"\n'
    )
    for name, wish in (("BLIND", "asked"), ("DEMANDING", "required")):
        more += peer_table(
            name,
            blind.port,
            f'[peer.identity]\nkind = "username"\nuser = "anna"\npositive_response = "{wish}"\n',
        )
    with NodeProcess(folder / "node", more) as running:
        store(running.port, "-aec", "GANTRY").check()
        yield running


def test_each_kind_of_identity_is_presented_and_confirmed(
    node: NodeProcess, servers: tuple[Verifying, Verifying]
) -> None:
    looking, _ = servers
    for name in NAMES.values():
        node.wait_until_delivered(name)
    assert {NAMES[kind]: looking.identities[NAMES[kind]] for kind in NAMES} == {
        "USERNAME": (1, b"anna", b""),
        "PASSCODE": (2, b"anna", b"geheim-4711"),
        "KERBEROS": (3, b"geheim-4711", b""),
        "SAML": (4, b"geheim-4711", b""),
        "JWT": (5, b"geheim-4711", b""),
    }
    assert set(NAMES.values()) <= set(looking.stored)


def test_a_peer_that_refuses_our_identity_gets_nothing_and_says_why(
    node: NodeProcess, servers: tuple[Verifying, Verifying]
) -> None:
    until(lambda: "service-provider (ACSE" in str(node.ask("status")["destinations"]))
    assert "REFUSED" in servers[0].identities
    assert "REFUSED" not in servers[0].stored


def test_a_peer_that_does_not_look_at_identities_gets_objects_unless_it_must(
    node: NodeProcess, servers: tuple[Verifying, Verifying]
) -> None:
    _, blind = servers
    node.wait_until_delivered("BLIND")
    assert "BLIND" in blind.stored
    until(lambda: "without confirming our user identity" in str(node.ask("status")))
    assert "DEMANDING" not in blind.stored


def test_no_log_and_no_answer_has_the_secret(node: NodeProcess) -> None:
    assert "geheim-4711" not in node.log
    assert "geheim-4711" not in str(node.ask("status"))


def test_doctor_calls_a_peer_with_its_identity(node: NodeProcess) -> None:
    said = gantry("doctor", "--config", node.configuration)
    assert "peer JWT answers" in said.output
    assert "peer REFUSED: the peer rejected the association" in said.output
    assert "peer DEMANDING: DEMANDING took the association without confirming" in said.output
