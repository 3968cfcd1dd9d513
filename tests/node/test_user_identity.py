"""User identities of callers (PS3.7 D.3.3.7): DCMTK's storescu and pynetdicom present all kinds."""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    CTImageStorage,
    MRImageStorage,
    Verification,
)

from agent.security.passcodes import Entry, put
from tests.node.running import NodeProcess
from tests.node.test_access import answered
from tests.node.test_front_door import store, until
from tests.peers.process import free_port

# What a site would write: it reads one question and answers it.
VERIFIER = f"""#!{sys.executable} -IS
import base64, json, sys, time
asked = json.loads(sys.stdin.readline())
assert len(sys.argv) == 2 and sys.argv[1] == "--realm", sys.argv
primary = base64.b64decode(asked["primary"])
if primary == b"slow":
    time.sleep(60)
if primary == b"broken":
    sys.exit(3)
if primary == b"noise":
    print("yes, of course")
    sys.exit(0)
if primary.startswith(b"good"):
    said = {{"accept": True, "user": asked["kind"] + "-user",
            "response": base64.b64encode(b"answer to " + primary).decode()}}
else:
    said = {{"accept": False, "reason": "not one of ours"}}
print(json.dumps(said))
"""

ACCESS = """
[[access.rule]]
name = "anna-stores"
user = "anna"
service = "storage"
sop_class = "CT Image Storage"
[[access.rule]]
name = "tickets"
identity = ["kerberos", "saml", "jwt"]
user = "*-user"
[[access.rule]]
name = "all-echo"
service = "verification"
"""


@pytest.fixture(scope="module")
def strict_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, strict_port: int) -> Iterator[NodeProcess]:
    folder = tmp_path_factory.mktemp("identity")
    passcodes, verifier = folder / "passcodes", folder / "verify"
    put(passcodes, Entry.make("anna", b"geheim", n=1024, p=1))
    put(passcodes, Entry.make("Bärbel", "schlüssel".encode(), n=1024, p=1))
    verifier.write_text(VERIFIER)
    verifier.chmod(0o755)
    more = (
        '[entity.accept.identity]\nwanted = "optional"\n'
        f'[identity]\npasscodes = "{passcodes}"\nlimit = "2500 ms"\n'
        f'[identity.verifier]\nprogram = ["{verifier}", "--realm"]\n'
        f'[[entity]]\nname = "STRICT"\nport = {strict_port}\naddresses = ["127.0.0.1"]\n'
        '[entity.accept]\ncalling = "any"\nidentity = { wanted = "required" }\n'
        '[[entity.service]]\nname = "verification"\n'
        f"{ACCESS}"
        "[access.lock_out]\nuser = 0\n"
    )
    with NodeProcess(folder / "node", more) as running:
        running.strict_port = strict_port  # type: ignore[attr-defined]
        yield running


def identity(kind: int, primary: bytes, secondary: bytes = b"", *, ask: bool = True) -> Any:
    item = UserIdentityNegotiation()
    item.user_identity_type = kind
    item.primary_field = primary
    if secondary:
        item.secondary_field = secondary
    item.positive_response_requested = ask
    return item


def associate(
    node: NodeProcess,
    item: Any = None,
    *classes: str,
    port: int = 0,
    called: str = "GANTRY",
) -> Association:
    entity = AE("MODALITY")
    for each in classes or (Verification,):
        entity.add_requested_context(each)
    return answered(
        lambda: entity.associate(
            "127.0.0.1",
            port or node.port,
            ae_title=called,
            ext_neg=[item] if item is not None else None,
        )
    )


def response(association: Association) -> bytes | None:
    found = association.acceptor.user_identity
    return None if found is None else found.server_response


def rejection(association: Association) -> tuple[int, int, int]:
    assert association.is_rejected
    answer = association.acceptor.primitive
    return answer.result, answer.result_source, answer.diagnostic


# Rejected-permanent by the ACSE provider: PS3.7 D.3.3.7.3.
NOT_AUTHORIZED = (1, 2, 1)
NOT_NOW = (2, 2, 1)


def test_a_user_with_a_passcode_may_use_what_the_rules_say_of_the_user(node: NodeProcess) -> None:
    association = associate(
        node, identity(2, b"anna", b"geheim"), CTImageStorage, MRImageStorage, Verification
    )
    assert association.is_established
    assert response(association) == b""
    refused = [each.abstract_syntax for each in association.rejected_contexts]
    assert refused == [MRImageStorage]
    listed = node.ask("status")["associations"]
    assert [each["user"] for each in listed] == ["anna"]
    association.release()
    assert "user.authenticated" in node.log
    # Without the user, the same caller may echo and nothing else.
    plain = associate(node, None, CTImageStorage, Verification)
    assert [each.abstract_syntax for each in plain.accepted_contexts] == [Verification]
    assert response(plain) is None
    plain.release()


def test_names_and_passcodes_beyond_ascii_are_utf_8(node: NodeProcess) -> None:
    item = identity(2, "Bärbel".encode(), "schlüssel".encode())
    association = associate(node, item)
    assert association.is_established
    association.release()


def test_no_response_is_sent_unless_it_is_asked_for(node: NodeProcess) -> None:
    association = associate(node, identity(2, b"anna", b"geheim", ask=False))
    assert association.is_established
    assert response(association) is None
    association.release()


@pytest.mark.parametrize(
    ("name", "passcode"),
    [(b"anna", b"falsch"), (b"nobody", b"geheim"), (b"anna\n", b"geheim"), (b"\xff\xfe", b"x")],
)
def test_a_wrong_user_or_passcode_is_refused(
    node: NodeProcess, name: bytes, passcode: bytes
) -> None:
    assert rejection(associate(node, identity(2, name, passcode))) == NOT_AUTHORIZED
    assert "reason=identity" in node.log


@pytest.mark.parametrize(("kind", "word"), [(3, "kerberos"), (4, "saml"), (5, "jwt")])
def test_a_verifier_says_who_it_is_and_what_is_answered(
    node: NodeProcess, kind: int, word: str
) -> None:
    association = associate(node, identity(kind, b"good " + word.encode()), MRImageStorage)
    assert association.is_established, node.log
    assert response(association) == b"answer to good " + word.encode()
    assert [each["user"] for each in node.ask("status")["associations"]] == [f"{word}-user"]
    association.release()
    assert rejection(associate(node, identity(kind, b"bad"))) == NOT_AUTHORIZED
    assert 'why="not one of ours"' in node.log


@pytest.mark.parametrize("primary", [b"broken", b"noise"])
def test_a_verifier_that_fails_is_no_refusal_for_good(node: NodeProcess, primary: bytes) -> None:
    assert rejection(associate(node, identity(5, primary))) == NOT_NOW
    assert "user.not_verified" in node.log


def test_a_verifier_that_takes_long_holds_up_nobody_and_has_a_limit(node: NodeProcess) -> None:
    begun = time.monotonic()
    answers: list[tuple[int, int, int]] = []
    slow = threading.Thread(
        target=lambda: answers.append(rejection(associate(node, identity(5, b"slow"))))
    )
    slow.start()
    while slow.is_alive():
        before = time.monotonic()
        associate(node).release()
        assert time.monotonic() - before < 1.5
    slow.join()
    assert answers == [NOT_NOW]
    assert 2.4 < time.monotonic() - begun < 8


def test_a_caller_who_leaves_ends_the_verification(node: NodeProcess) -> None:
    entity = AE("MODALITY")
    entity.add_requested_context(Verification)
    entity.acse_timeout = 0.3
    left = entity.associate(
        "127.0.0.1", node.port, ae_title="GANTRY", ext_neg=[identity(5, b"slow")]
    )
    assert not left.is_established
    count = node.log.count("user.not_verified")
    until(lambda: not _children_of(node, "verify"), 1.0)
    assert node.log.count("user.not_verified") == count


def _children_of(node: NodeProcess, name: str) -> list[str]:
    assert node.process is not None
    found = []
    for each in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = each.read_text().rpartition(")")[2].split()
            if int(fields[1]) == node.process.pid:
                found.append((each.parent / "cmdline").read_text())
        except OSError:
            continue
    return [each for each in found if name in each]


def test_who_must_identify_a_user_is_refused_without(node: NodeProcess, strict_port: int) -> None:
    strict = {"port": strict_port, "called": "STRICT"}
    assert rejection(associate(node, None, **strict)) == NOT_AUTHORIZED  # type: ignore[arg-type]
    assert "reason=identity-missing" in node.log
    # A name alone proves nothing.
    bare = associate(node, identity(1, b"anna"), **strict)  # type: ignore[arg-type]
    assert rejection(bare) == NOT_AUTHORIZED
    assert "reason=identity-kind" in node.log
    good = associate(node, identity(2, b"anna", b"geheim"), **strict)  # type: ignore[arg-type]
    assert good.is_established
    assert good.send_c_echo().Status == 0
    good.release()


def test_a_kind_that_is_not_taken_is_passed_over_where_identities_are_optional(
    node: NodeProcess,
) -> None:
    association = associate(node, identity(1, b"anna"))
    assert association.is_established
    # D.3.3.7: without support there is no response, and the requestor knows.
    assert response(association) is None
    association.release()


def test_dcmtk_stores_under_each_kind_of_identity(node: NodeProcess, tmp_path: Path) -> None:
    called = ("-aec", "GANTRY", "-aet", "DCMTK")
    done = store(node.port, *called, "-usr", "anna", "-pwd", "geheim", "-rsp", "-d")
    assert "0x0000: Success" in done.check().output
    wrong = store(node.port, *called, "-usr", "anna", "-pwd", "falsch", "-rsp")
    assert "Rejected Permanent" in wrong.output
    for option, kind in (("-kt", "kerberos"), ("--saml", "saml"), ("--jwt", "jwt")):
        file = tmp_path / kind
        file.write_bytes(b"good from DCMTK")
        done = store(node.port, *called, option, str(file), "-rsp", "-d")
        assert "0x0000: Success" in done.check().output, kind
        file.write_bytes(b"forged")
        assert "Rejected Permanent" in store(node.port, *called, option, str(file), "-rsp").output


def test_one_act_from_the_shell_may_be_done_in_the_name_of_a_user(
    node: NodeProcess, strict_port: int, tmp_path: Path
) -> None:
    from tests.cli_of import gantry

    secret = tmp_path / "secret"
    secret.write_text("geheim\n")
    there = ("echo", f"127.0.0.1:{strict_port}", "--called", "STRICT")
    gantry(*there, "--user", "anna", "--secret", secret).check()
    plain = gantry(*there)
    assert plain.returncode == 1
    assert "want a user identity" in plain.output
    secret.write_text("good token")
    gantry(*there, "--identity", "jwt", "--secret", secret).check()


def test_the_verifier_never_sees_a_secret_among_its_arguments_and_no_log_has_one(
    node: NodeProcess,
) -> None:
    associate(node, identity(5, b"good secret-token-4711")).release()
    assert rejection(associate(node, identity(2, b"anna", b"nearly-geheim-42"))) == NOT_AUTHORIZED
    assert "secret-token-4711" not in node.log
    assert "nearly-geheim-42" not in node.log


def test_passcodes_that_others_may_read_are_not_used(node: NodeProcess) -> None:
    file = node.folder.parent / "passcodes"
    file.chmod(0o644)
    try:
        assert rejection(associate(node, identity(2, b"anna", b"geheim"))) == NOT_NOW
        assert "may be read by others" in node.log
    finally:
        file.chmod(0o600)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_user_who_fails_too_often_is_shut_out_and_others_are_not(node: NodeProcess) -> None:
    text = node.configuration.read_text()
    node.configuration.write_text(text.replace("user = 0\n", 'user = 2\nduration = "1 min"\n'))
    node.reload()
    try:
        for _ in range(2):
            wrong = associate(node, identity(2, b"anna", b"falsch"))
            assert rejection(wrong) == NOT_AUTHORIZED
        assert rejection(associate(node, identity(2, b"anna", b"geheim"))) == NOT_AUTHORIZED
        other = associate(node, identity(2, "Bärbel".encode(), "schlüssel".encode()))
        assert other.is_established
        other.release()
        locked = node.ask("status")["locked_out"]
        assert [(each["kind"], each["who"]) for each in locked] == [("user", "anna")]
    finally:
        node.configuration.write_text(text)
        node.reload()
    again = associate(node, identity(2, b"anna", b"geheim"))
    assert again.is_established
    again.release()


def test_a_verifier_may_listen_on_a_socket(node: NodeProcess, tmp_path: Path) -> None:
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"verifier-{os.getpid()}"
    asked: list[dict[str, Any]] = []
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def serve() -> None:
        end, _ = server.accept()
        with end, end.makefile("rwb") as stream:
            asked.append(json.loads(stream.readline()))
            stream.write(b'{"accept": true, "user": "sam-user"}\n')

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    text = node.configuration.read_text()
    start = text.index("program = [")
    end = text.index("\n", start)
    node.configuration.write_text(f'{text[:start]}socket = "{path}"{text[end:]}')
    node.reload()
    try:
        association = associate(node, identity(4, b"<assertion/>"), MRImageStorage)
        assert association.is_established, node.log
        association.release()
        thread.join(5)
        assert asked[0]["kind"] == "saml"
        assert asked[0]["calling"] == "MODALITY"
        server.close()
        assert rejection(associate(node, identity(4, b"<assertion/>"))) == NOT_NOW
    finally:
        path.unlink()
        node.configuration.write_text(text)
        node.reload()
