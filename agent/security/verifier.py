"""Verifiers: programs of others that say whether an identity is good.

One JSON object on one line asks, one answers; both end with a line feed, in UTF-8. A program gets
the question on its standard input, which is then closed, and ends with status 0; a service is asked
over a connection of its own to a Unix socket. The question:

    {"version": 1, "kind": "jwt", "primary": BASE64, "secondary": BASE64,
     "positive_response_requested": true, "called": AE, "calling": AE, "address": HOST,
     "subject": TEXT}

`kind` is a word of `[identity.verifier] kinds`, `subject` that of the caller's certificate or "".
The answer:

    {"accept": true, "user": TEXT, "response": BASE64}
    {"accept": false, "reason": TEXT}

`user` is what access rules and logs name the caller by; `response` goes to the caller who asked for
one (the Kerberos server ticket, SAML response or token of PS3.7 Table D.3-15). Whatever else is
said, another status, or no answer in time, means that nobody knows: the caller is rejected for now.
"""

from __future__ import annotations

import base64
import binascii
import json
import socket
from typing import Any, NamedTuple

from agent.configuration.identity import Verifier
from agent.errors import LocalError
from agent.loop import current_loop, run_process
from agent.loop.socket_bytes import receive, send_all
from agent.network.user_identity import UserIdentity
from agent.security.applicant import Applicant

LONGEST_ANSWER = 1 << 17
_LONGEST_USER = 256
_LONGEST_RESPONSE = 65535  # two bytes of length: PS3.7 Table D.3-15


class Answer(NamedTuple):
    accept: bool
    user: str = ""
    response: bytes = b""
    reason: str = ""


async def ask(table: Verifier, kind: str, identity: UserIdentity, applicant: Applicant) -> Answer:
    """Raises LocalError when no proper answer came; the caller limits the time."""
    question = {
        "version": 1,
        "kind": kind,
        "primary": base64.b64encode(identity.primary).decode(),
        "secondary": base64.b64encode(identity.secondary).decode(),
        "positive_response_requested": identity.positive_response_requested,
        "called": applicant.called,
        "calling": applicant.calling,
        "address": applicant.address,
        "subject": applicant.certificate.subject_text if applicant.certificate else "",
    }
    line = json.dumps(question).encode() + b"\n"
    if table.socket:
        return _read(await _ask_socket(table.socket, line), table.socket)
    return _read(await _ask_program(table.program, line), table.program[0])


async def _ask_program(program: tuple[str, ...], line: bytes) -> bytes:
    try:
        ended = await run_process(program, input=line, limit=LONGEST_ANSWER)
    except OSError as error:
        raise _failed(program[0], f"cannot be started: {error.strerror}") from error
    if ended.returncode:
        # Its own words are not repeated: they may tell what it was asked.
        raise _failed(program[0], f"ended with status {ended.returncode}")
    return ended.stdout


async def _ask_socket(path: str, line: bytes) -> bytes:
    end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    end.setblocking(False)
    try:
        end.connect(path)
        await send_all(end, line)
        end.shutdown(socket.SHUT_WR)
        said = bytearray()
        while b"\n" not in said and len(said) < LONGEST_ANSWER:
            data = await receive(end)
            if not data:
                break
            said += data
        return bytes(said)
    except OSError as error:
        raise _failed(path, f"cannot be asked: {error.strerror}") from error
    finally:
        current_loop().forget(end)
        end.close()


def _read(said: bytes, who: str) -> Answer:
    line, _, rest = said.partition(b"\n")
    if len(said) >= LONGEST_ANSWER or rest.strip():
        raise _failed(who, "said more than one line, or too long a one")
    try:
        found: Any = json.loads(line)
        accept = found["accept"]
        user, reason = found.get("user", ""), found.get("reason", "")
        response = base64.b64decode(found.get("response") or "", validate=True)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
        raise _failed(who, "answered what is no answer") from None
    texts = isinstance(user, str) and isinstance(reason, str)
    if not isinstance(accept, bool) or not texts or len(response) > _LONGEST_RESPONSE:
        raise _failed(who, "answered what is no answer")
    if accept and not 1 <= len(user) <= _LONGEST_USER:
        raise _failed(who, "accepted an identity and named no user")
    return Answer(accept, user, response, reason[:_LONGEST_USER])


def _failed(who: str, what: str) -> LocalError:
    return LocalError(
        f"the verifier {who} {what}",
        value=who,
        way_out="Look at [identity.verifier], and try it by hand.",
    )
