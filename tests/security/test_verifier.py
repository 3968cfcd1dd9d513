"""Verifiers: the line that asks, answers that are none, and programs that misbehave."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.configuration.identity import Verifier
from agent.errors import LocalError
from agent.loop import Loop, TimedOut, timeout
from agent.network.peer_certificate import PeerCertificate
from agent.network.user_identity import UserIdentity
from agent.security.applicant import Applicant
from agent.security.verifier import Answer, ask

IDENTITY = UserIdentity(3, b"\x00ticket\xff", b"more", positive_response_requested=True)
CALLER = Applicant("GANTRY", "CT1", "192.0.2.7", PeerCertificate((("O", "H"), ("CN", "ct1"))))


def answered(*program: str, seconds: float = 20.0) -> Answer:
    async def main() -> Any:
        with timeout(seconds):
            return await ask(Verifier(program=program), "kerberos", IDENTITY, CALLER)

    found: Answer = Loop().run(main())
    return found


def test_the_question_has_all_that_is_promised(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    says = '{"accept": true, "user": "anna", "response": "AAE=", "more": [1]}'
    found = answered("/bin/sh", "-c", 'cat > "$0"; printf "%s\\n" "$1"', str(asked), says)
    assert found == Answer(True, "anna", b"\x00\x01")
    assert asked.read_bytes().endswith(b"}\n")
    assert json.loads(asked.read_text()) == {
        "version": 1,
        "kind": "kerberos",
        "primary": base64.b64encode(IDENTITY.primary).decode(),
        "secondary": base64.b64encode(b"more").decode(),
        "positive_response_requested": True,
        "called": "GANTRY",
        "calling": "CT1",
        "address": "192.0.2.7",
        "subject": "CN=ct1,O=H",
    }


def test_a_refusal_may_say_why() -> None:
    said = '{"accept": false, "reason": "expired"}'
    assert answered("/bin/echo", said) == Answer(False, "", b"", "expired")


@pytest.mark.parametrize(
    "said",
    [
        "",
        "yes",
        "[]",
        "{}",
        '{"accept": 1, "user": "anna"}',
        '{"accept": "true", "user": "anna"}',
        '{"accept": true}',
        '{"accept": true, "user": ""}',
        '{"accept": true, "user": 7}',
        '{"accept": true, "user": "anna", "response": "no base64!"}',
        '{"accept": true, "user": "anna", "response": 5}',
        '{"accept": true, "user": "anna"}\n{"accept": false}',
        "[" * 50_000,
        '{"accept": true, "user": "' + "a" * 300 + '"}',
    ],
)
def test_what_is_no_answer_lets_nobody_in(tmp_path: Path, said: str) -> None:
    file = tmp_path / "said"
    file.write_text(said)
    with pytest.raises(LocalError, match="the verifier /bin/cat"):
        answered("/bin/cat", str(file))


def test_a_program_that_never_stops_talking_is_cut_off() -> None:
    with pytest.raises((LocalError, TimedOut)):
        answered(sys.executable, "-IS", "-c", "while True: print('x' * 9999)", seconds=1.0)


def test_a_program_that_is_not_there_or_fails_is_told() -> None:
    with pytest.raises(LocalError, match="cannot be started"):
        answered("/no/such/program")
    with pytest.raises(LocalError, match="ended with status 7"):
        answered("/bin/sh", "-c", 'echo "{\\"accept\\": true, \\"user\\": \\"a\\"}"; exit 7')
