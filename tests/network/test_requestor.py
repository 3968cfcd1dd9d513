"""Associations that we open: with DCMTK, pynetdicom and scripted peers, good and bad."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from agent.configuration.connection import Timers
from agent.dataset.file_meta import read_file_meta
from agent.errors import PeerError, UnreachableError
from agent.loop import Loop, TaskGroup, TimedOut, sleep, timeout
from agent.network.association import Association
from agent.network.data_set import BytesSource, ChainSource, FileSource
from agent.network.negotiation import ContextNeed, propose
from agent.network.transport import AssociationRejected, open_association
from agent.network.user_information import UserInformation
from agent.services.storage import c_store
from agent.services.storage_negotiation import context_needs
from agent.services.verification import c_echo
from tests.network.listening import CT, EXPLICIT, IMPLICIT, VERIFICATION
from tests.peers import raw_pdu
from tests.peers.child_script import in_child
from tests.peers.raw_peer import RawServer
from tests.peers.sample_files import assert_same_data_set, data_set_bytes, rounds, samples

DATA = os.urandom(300_001)


def run(main: Callable[[], Awaitable[Any]]) -> Any:
    async def wrapped() -> Any:
        return await main()

    return Loop().run(wrapped())


async def associate(
    port: int,
    *needs: ContextNeed,
    timers: Timers | None = None,
    window: tuple[int, int] | None = None,
    **more: Any,
) -> Association:
    return await open_association(
        [("127.0.0.1", port)],
        called_ae_title="FAR",
        calling_ae_title="GANTRY",
        proposals=propose(needs or (ContextNeed(VERIFICATION, (IMPLICIT,)),))[0],
        information=UserInformation(
            131072, "1.2.826.0.1.3680043.2", asynchronous_operations_window=window
        ),
        timers=timers or Timers(),
        **more,
    )


@pytest.mark.peer
@pytest.mark.parametrize("peer", ["dcmtk_storescp", "pynetdicom_scp"])
def test_ps34_007_echo_is_answered_by_others(peer: str, request: pytest.FixtureRequest) -> None:
    far = request.getfixturevalue(peer)

    async def main() -> None:
        association = await associate(far.port)
        assert (await c_echo(association)).status == 0
        assert (await c_echo(association)).status == 0
        await association.release()
        assert association.released

    run(main)


@pytest.mark.peer
@pytest.mark.parametrize("peer", ["dcmtk_storescp", "pynetdicom_scp"])
def test_every_sample_is_sent_as_it_is_and_arrives_byte_for_byte(
    peer: str, request: pytest.FixtureRequest
) -> None:
    far = request.getfixturevalue(peer)

    async def send(group: tuple[Any, ...]) -> dict[str, int]:
        needs = context_needs((each.sop_class_uid, each.transfer_syntax_uid) for each in group)
        own = [ContextNeed(each.sop_class_uid, (each.transfer_syntax_uid,)) for each in group]
        assert needs
        statuses = {}
        for proposals in propose(own):
            association = await open_association(
                [("127.0.0.1", far.port)],
                called_ae_title="FAR",
                calling_ae_title="GANTRY",
                proposals=proposals,
                information=UserInformation(0, "1.2.826.0.1.3680043.2"),
            )
            for each in group:
                context = association.contexts.find(each.sop_class_uid, each.transfer_syntax_uid)
                if context is None:
                    continue
                descriptor = os.open(each.path, os.O_RDONLY)
                meta = read_file_meta(descriptor)
                response = await c_store(
                    association,
                    context,
                    each.sop_class_uid,
                    each.sop_instance_uid,
                    FileSource(descriptor, meta.data_set_offset),
                )
                os.close(descriptor)
                statuses[each.sop_instance_uid] = response.status
            await association.release()
        return statuses

    sent = 0
    # DCMTK aborts when a data set has an odd length, as one of the samples has (PS3.5 7.1.1).
    whole = [each for each in samples() if len(each.data_set()) % 2 == 0]
    for group in rounds(whole):
        before = set(far.received())
        statuses = run(lambda group=group: send(group))
        assert set(statuses.values()) <= {0}
        sent += len(statuses)
        arrived = {data_set_bytes(path): path for path in far.received() if path not in before}
        for each in group:
            if each.sop_instance_uid in statuses:
                assert_same_data_set(
                    arrived.get(each.data_set(), next(iter(arrived.values()))), each.path
                )
        for path in far.received():
            path.unlink()
    assert sent > 60


def _accept_and_tell(server: RawServer, maximum: int) -> tuple[bytes, int]:
    with server.accept() as peer:
        peer.accept_association(user=raw_pdu.user_information(maximum_length=maximum))
        longest = 0
        command: dict[int, bytes] = {}
        gathered, data = b"", b""
        while True:
            received = peer.receive_pdu(4)
            longest = max(longest, len(received.body))
            last = 0
            for _, control, content in received.values():
                if control & 1:
                    gathered += content
                    if control & 2:
                        command = raw_pdu.read_command(gathered)
                else:
                    data += content
                    last = control & 2
            if last:
                break
        peer.send_message(1, raw_pdu.response(command, 0))
        peer.receive_pdu(5)
        peer.send(raw_pdu.release_response())
        return data, longest


@pytest.mark.parametrize("maximum", [0, 64, 4096, 16384, 131072, 262143])
def test_ic_07_no_pdu_is_longer_than_the_peer_takes(maximum: int) -> None:
    async def main(port: int) -> None:
        association = await associate(port, ContextNeed(CT, (EXPLICIT,)))
        context = association.contexts.find(CT)
        assert context is not None
        source = ChainSource([BytesSource(DATA[:1001]), BytesSource(DATA[1001:])])
        assert (await c_store(association, context, CT, "1.2.3", source)).status == 0
        await association.release()

    with RawServer() as server, in_child(_accept_and_tell, server, maximum) as script:
        run(lambda: main(server.port))
        data, longest = script.result()
    assert data == DATA
    assert longest <= (maximum or 1 << 18)


def _answer_backwards(server: RawServer, number: int) -> None:
    with server.accept() as peer:
        peer.accept_association(
            user=raw_pdu.user_information(raw_pdu.asynchronous_window(number, 1))
        )
        requests = [peer.receive_message() for _ in range(number)]
        for each in reversed(requests):
            peer.send_message(1, raw_pdu.response(each.command, 0))
        peer.receive_pdu(5)
        peer.send(raw_pdu.release_response())


def test_cd_06_eight_requests_are_outstanding_and_answered_backwards() -> None:
    async def main(port: int) -> list[int]:
        association = await associate(port, ContextNeed(CT, (EXPLICIT,)), window=(8, 1))
        context = association.contexts.find(CT)
        assert context is not None
        done: list[int] = []

        async def store(number: int) -> None:
            source = BytesSource(DATA[:5000])
            assert (await c_store(association, context, CT, f"1.2.{number}", source)).status == 0
            done.append(number)

        async with TaskGroup() as group:
            for number in range(8):
                group.start(store(number))
        await association.release()
        return done

    with RawServer() as server, in_child(_answer_backwards, server, 8) as script:
        assert run(lambda: main(server.port)) == list(reversed(range(8)))
        script.result()


def _reject(server: RawServer) -> None:
    with server.accept() as peer:
        peer.receive_pdu(1)
        peer.send(raw_pdu.associate_reject(1, 1, 7))
        peer.is_closed_by_peer()


def _stay_silent(server: RawServer, after_association: bool) -> None:
    with server.accept() as peer:
        if after_association:
            peer.accept_association()
        while True:
            try:
                if not peer.socket.recv(65536):
                    return
            except ConnectionError:
                return


def _reset(server: RawServer) -> None:
    with server.accept() as peer:
        peer.accept_association()
        peer.receive_message()
        peer.reset()


def _abort(server: RawServer) -> None:
    with server.accept() as peer:
        peer.accept_association()
        peer.receive_message()
        peer.send(raw_pdu.abort(2, 0))
        peer.is_closed_by_peer()


def test_a_rejection_says_in_the_standards_words_why() -> None:
    with RawServer() as server, in_child(_reject, server):
        with pytest.raises(AssociationRejected, match="called-AE-title-not-recognized"):
            run(lambda: associate(server.port))


def test_nobody_there_is_an_error_of_its_own() -> None:
    with RawServer() as server:
        port = server.port
    with pytest.raises(UnreachableError, match="nothing listens there"):
        run(lambda: associate(port))


@pytest.mark.parametrize("after_association", [False, True])
def test_a_peer_that_never_answers_is_left_after_its_timer(after_association: bool) -> None:
    async def main(port: int) -> None:
        association = await associate(port, timers=Timers(association=0.3, dimse=0.3))
        await c_echo(association)

    started = time.monotonic()
    with RawServer() as server, in_child(_stay_silent, server, after_association):
        with pytest.raises(PeerError, match="kept us waiting"):
            run(lambda: main(server.port))
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("script", [_reset, _abort])
def test_a_peer_that_goes_fails_the_request_with_its_reason(script: Any) -> None:
    async def main(port: int) -> None:
        association = await associate(port)
        await c_echo(association)

    with RawServer() as server, in_child(script, server):
        with pytest.raises(PeerError, match=r"reset|aborted"):
            run(lambda: main(server.port))


def _stop_reading(server: RawServer) -> None:
    with server.accept() as peer:
        peer.accept_association()
        time.sleep(3)


def test_a_peer_that_stops_reading_is_left_after_the_progress_timer() -> None:
    async def main(port: int) -> None:
        association = await associate(
            port, ContextNeed(CT, (EXPLICIT,)), timers=Timers(progress=0.4)
        )
        context = association.contexts.find(CT)
        assert context is not None
        await c_store(association, context, CT, "1.2.3", BytesSource(bytes(50_000_000)))

    with RawServer() as server, in_child(_stop_reading, server):
        with pytest.raises(PeerError, match="kept us waiting for the peer to read"):
            run(lambda: main(server.port))


def _read_all(server: RawServer) -> bytes:
    with server.accept() as peer:
        peer.accept_association()
        found = b""
        while True:
            try:
                piece = peer.socket.recv(65536)
            except ConnectionError:
                return found
            if not piece:
                return found
            found = (found + piece)[-10:]
            time.sleep(0.01)


def test_cancelling_in_the_middle_of_a_pdu_aborts_the_association() -> None:
    async def main(port: int) -> None:
        association = await associate(port, ContextNeed(CT, (EXPLICIT,)))
        context = association.contexts.find(CT)
        assert context is not None
        try:
            with timeout(0.2):
                await c_store(association, context, CT, "1.2.3", BytesSource(bytes(90_000_000)))
        except TimedOut:
            pass
        await sleep(0)
        assert not association.is_open

    with RawServer() as server, in_child(_read_all, server) as script:
        run(lambda: main(server.port))
        script.result()


@pytest.mark.peer
def test_tls_to_dcmtk(tmp_path: Path, certificates: Any, start_peer: Any) -> None:
    from tests.peers.dcmtk import DcmtkStoreScp

    far = start_peer(
        DcmtkStoreScp(tmp_path / "far", *certificates.dcmtk_options(certificates.server))
    )

    async def main() -> None:
        association = await associate(
            far.port,
            ContextNeed(VERIFICATION, (IMPLICIT,)),
            ssl_context=certificates.client_context(certificates.client),
            server_name="localhost",
        )
        assert (await c_echo(association)).status == 0
        await association.release()

    run(main)
