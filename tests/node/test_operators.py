"""What persons may ask of the control socket: other accounts of the machine ask a running node."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from agent.configuration.access import Operator
from agent.security.operators import CHANGE, LOOK, SEE, Identifiers, Person, may_ask
from tests.node.running import NodeProcess, folder_for_all

NOBODY, OTHER = 65534, 4711


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    more = (
        '[node]\ncontrol_mode = "0666"\n'
        '[[access.operator]]\nname = "one"\nusers = "4712"\nquestions = ["reload", "status"]\n'
        '[[access.operator]]\nname = "all"\ngroups = ["4713", "no-such-group"]\nquestions = "all"\n'
        '[[access.operator]]\nname = "lookers"\nusers = ["nobody"]\n'
    )
    with folder_for_all() as folder:
        node = NodeProcess(folder / "node")
        text = node.configuration.read_text()
        node.configuration.write_text(text.replace("[node]\n", more.partition("[[")[0], 1))
        with node.configuration.open("a") as file:
            file.write("[[" + more.partition("[[")[2])
        with node:
            yield node


def ask(
    node: NodeProcess, user: int, groups: tuple[int, ...] = (), **request: Any
) -> dict[str, Any]:
    """Speak the protocol as somebody else: what a command line does proves nothing."""
    incoming, outgoing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups(groups)
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            end = socket.socket(socket.AF_UNIX)
            end.connect(str(node.control))
            end.sendall(json.dumps(request).encode() + b"\n")
            os.write(outgoing, end.makefile("rb").readline())
        finally:
            os._exit(0)
    os.close(outgoing)
    with os.fdopen(incoming, "rb") as stream:
        said = stream.read()
    os.waitpid(child, 0)
    found: dict[str, Any] = json.loads(said)
    return found


def test_who_may_look_may_not_change(node: NodeProcess) -> None:
    assert ask(node, NOBODY, do="status")["ok"]
    for question in ("studies", "reload", "delete"):
        refused = ask(node, NOBODY, do=question)
        assert refused["error"] == f"user 65534 may not ask for '{question}'"
        assert "[[access.operator]]" in refused["way_out"]
    assert "access.refused reason=question question=reload user=65534" in node.log


def test_who_is_in_no_table_may_ask_nothing_and_root_everything(node: NodeProcess) -> None:
    assert not ask(node, OTHER, do="status")["ok"]
    assert ask(node, 0, do="studies")["ok"]


def test_single_questions_and_groups_of_the_machine_are_known(node: NodeProcess) -> None:
    assert ask(node, 4712, do="reload")["ok"]
    assert not ask(node, 4712, do="studies")["ok"]
    assert ask(node, OTHER, (4713, 4714), do="studies")["ok"]
    assert not ask(node, OTHER, (4714,), do="studies")["ok"]


def test_nobody_is_believed_who_says_to_be_somebody_else(node: NodeProcess) -> None:
    assert not ask(node, OTHER, do="studies", by=[0, [0]])["ok"]
    assert not ask(node, OTHER, do="studies", by={"user": 0, "groups": [0]})["ok"]


def test_every_question_of_a_node_is_known_to_the_rules(node: NodeProcess) -> None:
    from agent.questions import answers_of

    class Everything:
        def __getattr__(self, name: str) -> Any:
            return self

    # A question that is added belongs into one of the lists of agent/security/operators.py.
    assert set(answers_of(Everything())) == SEE | CHANGE  # type: ignore[arg-type]
    assert not SEE & CHANGE
    assert LOOK < SEE


def test_without_tables_whoever_may_open_the_socket_may_ask() -> None:
    anybody = Person(OTHER, frozenset((OTHER,)))
    assert may_ask((), Identifiers({}, {}), anybody, "delete")
    table = Operator(name="one", users=("anna",), questions=("look",))
    # A name that there is no account for fits nobody.
    assert not may_ask((table,), Identifiers({}, {}), anybody, "status")
    assert may_ask((table,), Identifiers({"anna": OTHER}, {}), anybody, "status")
