"""Decisions on associations that must be waited for: the loop goes on; peers do as they like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agent.loop import Cancelled, Event, Loop, readable, timeout
from agent.network.pdu import AssociateReject, AssociateRequest
from agent.network.rejection import USER_IDENTITY_NOT_AUTHORIZED
from agent.network.transport import Admission, Caller, Listener
from agent.services.verification import VerificationProvider
from tests.network.listening import IMPLICIT, VERIFICATION, offer
from tests.peers import raw_pdu
from tests.peers.child_script import in_child
from tests.peers.raw_pdu import associate_request, proposed_context
from tests.peers.raw_peer import RawPeer

ECHO = proposed_context(1, VERIFICATION, IMPLICIT)


class Judge:
    """Decides on "SLOW" when `go` is set, on others at once."""

    def __init__(self, verdict: AssociateReject | None = None, *, fails: bool = False) -> None:
        self.go = Event()
        self.verdict = verdict
        self.fails = fails
        self.waiting = self.cancelled = 0
        self.associations: list[Any] = []

    def admit(self, request: AssociateRequest, caller: Caller) -> Any:
        if request.calling_ae_title != "SLOW":
            self.go.set()
            return self._admission()
        return self._decide()

    def _admission(self) -> Admission:
        return Admission(
            offer(user_identity_response=b"fine"),
            {VERIFICATION: VerificationProvider()},
            opened=self.associations.append,
        )

    async def _decide(self) -> Admission | AssociateReject:
        self.waiting += 1
        try:
            await self.go.wait()
        except Cancelled:
            self.cancelled += 1
            raise
        if self.fails:
            raise RuntimeError("a defect")
        return self.verdict or self._admission()


def against(judge: Judge, script: Callable[[int], Any]) -> Any:
    async def main() -> Any:
        listener = Listener(judge.admit)
        port = listener.bind("127.0.0.1", 0)
        with in_child(script, port) as child:
            with timeout(30):
                await readable(child._result)
            result = child.result()
        listener.close()
        return result

    return Loop().run(main())


def _slow_then_quick(port: int) -> list[int]:
    with RawPeer.connect(port) as slow, RawPeer.connect(port) as quick:
        slow.send(associate_request(ECHO, calling="SLOW"))
        quick.associate(ECHO)
        found = [quick.echo()]
        slow.receive_pdu(raw_pdu.A_ASSOCIATE_AC)
        found.append(slow.echo())
        slow.release()
        quick.release()
        return found


def test_others_are_served_while_one_waits_and_then_it_is_served_too() -> None:
    judge = Judge()
    assert against(judge, _slow_then_quick) == [0, 0]
    assert judge.waiting == 1


def _rejected(port: int) -> bytes:
    with RawPeer.connect(port) as slow, RawPeer.connect(port) as quick:
        slow.send(associate_request(ECHO, calling="SLOW"))
        quick.associate(ECHO)
        found = slow.receive_pdu(raw_pdu.A_ASSOCIATE_RJ).body
        # ARTIM runs as ever: who was rejected closes, and is closed.
        quick.release()
        return found


def test_a_rejection_that_comes_later_is_sent_like_any_other() -> None:
    judge = Judge(USER_IDENTITY_NOT_AUTHORIZED)
    assert against(judge, _rejected) == bytes((0, 1, 2, 1))


def test_a_defect_in_deciding_rejects_for_now() -> None:
    assert against(Judge(fails=True), _rejected) == bytes((0, 2, 2, 1))


def _leaves(port: int) -> None:
    with RawPeer.connect(port) as slow:
        slow.send(associate_request(ECHO, calling="SLOW"))
        slow.send(raw_pdu.abort())
        assert slow.is_closed_by_peer()
    with RawPeer.connect(port) as slow:
        slow.send(associate_request(ECHO, calling="SLOW"))
        slow.reset()
    with RawPeer.connect(port) as quick:
        quick.associate(ECHO)
        quick.release()


def test_who_leaves_ends_the_wait() -> None:
    judge = Judge()
    # The last, who may come in at once, sets `go` only when the others are gone.
    judge.go = Event()
    judge.admit = lambda request, caller: (  # type: ignore[method-assign]
        judge._decide() if request.calling_ae_title == "SLOW" else judge._admission()
    )
    against(judge, _leaves)
    assert judge.waiting in (1, 2)
    assert judge.cancelled == judge.waiting


def _sends_data_too_early(port: int) -> tuple[int, bool]:
    with RawPeer.connect(port) as slow, RawPeer.connect(port) as quick:
        slow.send(associate_request(ECHO, calling="SLOW"))
        slow.send_message(1, raw_pdu.c_echo_request(1))
        found = slow.receive_pdu()
        # Now it is decided, and too late.
        quick.associate(ECHO)
        assert quick.echo() == 0
        slow.socket.settimeout(0.3)
        try:
            silent = slow.socket.recv(1) == b""
        except TimeoutError:
            silent = True
        quick.release()
        return found.kind, silent


def test_data_before_the_answer_aborts_and_nothing_is_answered_afterwards() -> None:
    # PS3.8 Table 9-10: P-DATA in Sta3 is AA-8.
    assert against(Judge(), _sends_data_too_early) == (raw_pdu.A_ABORT, True)


def _asks_with_a_secret(port: int) -> bytes:
    item = raw_pdu.item(0x58, b"\2\1\0\4anna\0\6geheim")
    with RawPeer.connect(port) as peer, RawPeer.connect(port) as quick:
        peer.send(associate_request(ECHO, calling="SLOW", user=raw_pdu.user_information(item)))
        quick.associate(ECHO)
        answer = peer.receive_pdu(raw_pdu.A_ASSOCIATE_AC).body
        peer.release()
        quick.release()
        return answer


def test_the_response_is_sent_and_no_secret_stays_with_the_association() -> None:
    judge = Judge()
    answer = against(judge, _asks_with_a_secret)
    assert raw_pdu.item(0x59, b"\0\4fine") in answer
    slow = next(each for each in judge.associations if each.calling_ae_title == "SLOW")
    identity = slow.associate_request.user_information.user_identity
    assert (identity.kind, identity.primary, identity.secondary) == (2, b"", b"")
