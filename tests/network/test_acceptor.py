"""Associations that others open with us: odd, slow, hostile and ordinary ones, byte by byte."""

from __future__ import annotations

import os
import socket
import ssl
import time
from typing import Any

import pytest

from agent.configuration.connection import Timers
from agent.network.limits import UpperLayerLimits
from agent.network.rejection import CALLED_AE_TITLE_NOT_RECOGNIZED, CALLING_AE_TITLE_NOT_RECOGNIZED
from agent.network.transport import ListenerLimits
from tests.network.listening import CT, EXPLICIT, IMPLICIT, VERIFICATION, Storage, against_listener
from tests.peers import raw_pdu
from tests.peers.raw_pdu import (
    c_echo_request,
    c_store_request,
    context_results,
    fragments,
    proposed_context,
    release_request,
    status_of,
    user_information,
)
from tests.peers.raw_peer import RawPeer

ECHO = proposed_context(1, VERIFICATION, IMPLICIT)
STORE = proposed_context(3, CT, EXPLICIT)
DATA = os.urandom(5000)


def _echo_twice(port: int) -> list[int]:
    with RawPeer.connect(port) as peer:
        peer.associate(ECHO)
        found = [peer.echo(1, 1), peer.echo(1, 2)]
        peer.release()
        return found


def test_ps34_008_echo_is_answered_and_the_association_stays_open() -> None:
    assert against_listener(_echo_twice).result == [0, 0]


def _store(port: int, size: int, drip: int = 0) -> int:
    with RawPeer.connect(port) as peer:
        peer.associate(ECHO, STORE)
        if drip:
            message = b"".join(
                [
                    *fragments(3, c_store_request(CT, "1.2.3"), command=True, size=size),
                    *fragments(3, DATA, command=False, size=size),
                ]
            )
            peer.drip(message, size=drip)
        else:
            peer.send_message(3, c_store_request(CT, "1.2.3"), DATA, size=size)
        status = status_of(peer.receive_message().command)
        assert peer.echo() == 0
        peer.release()
        return status


@pytest.mark.parametrize("size", [1, 2, 7, 100, 16000])
def test_values_of_any_size_make_the_same_message(size: int) -> None:
    storage = Storage()
    assert against_listener(_store, size, storage=storage).result == 0
    (received,) = storage.received
    assert (received.data_set, received.sop_instance_uid) == (DATA, "1.2.3")


def test_segments_of_one_byte_make_the_same_message() -> None:
    storage = Storage()
    assert against_listener(_store, 500, 1, storage=storage).result == 0
    assert storage.received[0].data_set == DATA


def _several_values_in_a_pdu(port: int) -> int:
    with RawPeer.connect(port) as peer:
        peer.associate(STORE)
        command = c_store_request(CT, "1.2.3")
        peer.send(
            raw_pdu.data(
                raw_pdu.value(3, 1, command[:20]),
                raw_pdu.value(3, 3, command[20:]),
                raw_pdu.value(3, 0, DATA[:10]),
                raw_pdu.value(3, 0, b""),
                raw_pdu.value(3, 2, DATA[10:]),
            )
        )
        return status_of(peer.receive_message().command)


def test_several_values_in_one_pdu_command_and_data_mixed() -> None:
    storage = Storage()
    assert against_listener(_several_values_in_a_pdu, storage=storage).result == 0
    assert storage.received[0].data_set == DATA


def _window_of_eight(port: int) -> list[int]:
    with RawPeer.connect(port) as peer:
        peer.associate(STORE, user=user_information(raw_pdu.asynchronous_window(8, 1)))
        for number in range(1, 9):
            peer.send_message(3, c_store_request(CT, f"1.2.{number}", number), DATA)
        answers = [peer.receive_message() for _ in range(8)]
        peer.release()
        return sorted(int.from_bytes(each.command[0x0120], "little") for each in answers)


def test_eight_operations_are_outstanding_at_once_when_that_is_negotiated() -> None:
    from tests.network.listening import offer

    storage = Storage(hold=8)
    outcome = against_listener(
        _window_of_eight,
        storage=storage,
        offered=offer(asynchronous_operations_window=(8, 1)),
    )
    assert outcome.result == list(range(1, 9))


def _many_contexts(port: int) -> dict[int, tuple[int, str]]:
    with RawPeer.connect(port) as peer:
        proposals = [
            proposed_context(2 * index + 1, CT if index % 2 else f"1.2.{index}", EXPLICIT)
            for index in range(128)
        ]
        accept = peer.associate(*proposals)
        peer.release()
        return context_results(accept)


def test_ps34_028_each_of_128_contexts_gets_its_own_answer() -> None:
    results = against_listener(_many_contexts).result
    assert [results[2 * index + 1][0] for index in range(128)] == [3, 0] * 64


def _release_in_the_middle(port: int) -> bool:
    with RawPeer.connect(port) as peer:
        peer.associate(STORE)
        first = next(iter(fragments(3, DATA, command=False, size=100)))
        for each in fragments(3, c_store_request(CT, "1.2.3"), command=True, size=16000):
            peer.send(each)
        peer.send(first, release_request())
        return peer.receive_pdu().kind == 6


def test_a_release_in_the_middle_of_a_message_stores_nothing() -> None:
    storage = Storage()
    assert against_listener(_release_in_the_middle, storage=storage).result
    assert not storage.received


def _on_a_context_that_was_refused(port: int) -> int:
    with RawPeer.connect(port) as peer:
        peer.associate(ECHO, proposed_context(5, "1.2.3.4", EXPLICIT))
        peer.send_message(5, c_store_request("1.2.3.4", "1.2.3"), DATA)
        return peer.receive_pdu().kind


def test_a_message_on_a_refused_context_aborts() -> None:
    assert against_listener(_on_a_context_that_was_refused).result == 7


def _storage_refused(port: int) -> list[int]:
    with RawPeer.connect(port) as peer:
        peer.associate(ECHO, STORE)
        found = []
        for number in (1, 2):
            peer.send_message(3, c_store_request(CT, "1.2.3", number), DATA, size=1000)
            found.append(status_of(peer.receive_message().command))
        found.append(peer.echo())
        peer.release()
        return found


def test_ps34_013_a_refusal_keeps_the_association() -> None:
    storage = Storage(refuse=0xA700)
    assert against_listener(_storage_refused, storage=storage).result == [0xA700, 0xA700, 0]


def _unknown_operation(port: int) -> int:
    with RawPeer.connect(port) as peer:
        peer.associate(ECHO)
        peer.send_message(1, c_store_request(VERIFICATION, "1.2.3"), DATA)
        status = status_of(peer.receive_message().command)
        assert peer.echo() == 0
        return status


def test_ps34_006_an_operation_that_a_service_does_not_know_is_answered_not_aborted() -> None:
    assert against_listener(_unknown_operation).result == 0x0211


def _rejected(port: int) -> bytes:
    with RawPeer.connect(port) as peer:
        peer.send(raw_pdu.associate_request(ECHO, called="WRONG"))
        return peer.receive_pdu(3).body


@pytest.mark.parametrize(
    ("reject", "wanted"),
    [
        (CALLED_AE_TITLE_NOT_RECOGNIZED, b"\0\x01\x01\x07"),
        (CALLING_AE_TITLE_NOT_RECOGNIZED, b"\0\x01\x01\x03"),
    ],
)
def test_ic_02_a_title_that_is_not_ours_is_rejected_with_its_reason(
    reject: Any, wanted: bytes
) -> None:
    outcome = against_listener(_rejected, decide=lambda request, caller: reject)
    assert outcome.result == wanted


def _hundred_and_one(port: int, limit: int) -> tuple[list[int], bytes]:
    peers = [RawPeer.connect(port) for _ in range(limit)]
    for peer in peers:
        peer.associate(ECHO)
    with RawPeer.connect(port) as late:
        late.send(raw_pdu.associate_request(ECHO))
        rejected = late.receive_pdu(3).body
    statuses = [peer.echo() for peer in peers]
    for peer in peers:
        peer.release()
    with RawPeer.connect(port) as again:
        again.associate(ECHO)
        again.release()
    return statuses, rejected


def test_rv_04_the_association_above_the_limit_is_rejected_as_transient() -> None:
    statuses, rejected = against_listener(
        _hundred_and_one, 100, limits=ListenerLimits(associations=100)
    ).result
    assert statuses == [0] * 100
    assert rejected == b"\0\x02\x03\x02"


def _silent(port: int) -> float:
    started = time.monotonic()
    with RawPeer.connect(port) as peer:
        assert peer.is_closed_by_peer()
    return time.monotonic() - started


def test_ic_08_a_connection_without_a_request_ends_with_the_artim_timer() -> None:
    took = against_listener(_silent, timers=Timers(association=0.3)).result
    assert 0.2 < took < 3


def _idle(port: int) -> tuple[int, float]:
    with RawPeer.connect(port) as peer:
        peer.associate(ECHO)
        started = time.monotonic()
        return peer.receive_pdu().kind, time.monotonic() - started


def test_ic_08_an_idle_association_is_aborted_after_its_time() -> None:
    kind, took = against_listener(_idle, timers=Timers(idle=0.3)).result
    assert kind == 7
    assert 0.2 < took < 3


def _stuck_in_a_message(port: int, drip: bool) -> int:
    with RawPeer.connect(port) as peer:
        peer.associate(STORE)
        for each in fragments(3, c_store_request(CT, "1.2.3"), command=True, size=16000):
            peer.send(each)
        pieces = b"".join(fragments(3, DATA, command=False, size=16000))
        peer.send(pieces[:100])
        end = time.monotonic() + 5
        at = 100
        peer.socket.settimeout(0.1)
        while time.monotonic() < end:
            if drip:
                peer.send(pieces[at : at + 1])
                at += 1
            try:
                return peer.socket.recv(1)[0]
            except TimeoutError:
                continue
        return 0


@pytest.mark.parametrize("drip", [False, True])
def test_a_peer_that_stops_or_drips_in_a_message_is_aborted(drip: bool) -> None:
    storage = Storage()
    timers = Timers(progress=0.4, slowest=1000)
    assert against_listener(_stuck_in_a_message, drip, storage=storage, timers=timers).result == 7
    assert not storage.received


def _hostile(port: int, content: bytes) -> bool:
    with RawPeer.connect(port) as peer:
        peer.send(content)
        peer.socket.shutdown(socket.SHUT_WR)
        while True:
            try:
                if not peer.socket.recv(4096):
                    break
            except ConnectionError:
                break
    with RawPeer.connect(port) as other:
        other.associate(ECHO)
        served = other.echo() == 0
        other.release()
        return served


@pytest.mark.parametrize(
    "content",
    [
        b"\x01\0\xff\xff\xff\xff" + bytes(100),
        b"\x04\0\xff\xff\xff\xff" + bytes(100),
        b"\x09\0\0\0\0\x04" + bytes(4),
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(60),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\0" * 64,
        raw_pdu.associate_request(ECHO) + b"\x04\0\xff\xff\xff\xff" + b"\xff" * 1000,
        raw_pdu.associate_request(ECHO) + raw_pdu.data(raw_pdu.value(1, 3, b"\xff" * 100)),
        raw_pdu.associate_request(ECHO) + raw_pdu.data(raw_pdu.value(1, 2, b"no command")),
        raw_pdu.associate_request(ECHO)
        + b"".join(fragments(1, b"\0" * 200000, command=True, size=16000)),
        raw_pdu.associate_request(ECHO)[:40],
    ],
)
def test_hostile_bytes_end_their_own_connection_only(content: bytes) -> None:
    assert against_listener(_hostile, content).result


def _half_open(port: int, number: int) -> bool:
    peers = [RawPeer.connect(port) for _ in range(number)]
    with RawPeer.connect(port) as other:
        other.associate(ECHO)
        served = other.echo() == 0
    for peer in peers:
        peer.close()
    return served


def test_half_open_connections_do_not_keep_others_out() -> None:
    assert against_listener(_half_open, 300).result


def _connect_and_leave(port: int, number: int) -> bool:
    for _ in range(number):
        RawPeer.connect(port).reset()
    with RawPeer.connect(port) as peer:
        peer.associate(ECHO)
        return peer.echo() == 0


def test_connecting_and_leaving_leaves_nothing_behind(count: Any) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    outcome = against_listener(_connect_and_leave, count(1000, 100000), seconds=600)
    assert outcome.result
    assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208


def _never_reads(port: int) -> bool:
    with RawPeer.connect(port) as peer:
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.associate(ECHO)
        echo = b"".join(fragments(1, c_echo_request(1), command=True, size=16000))
        peer.socket.settimeout(0.5)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                peer.socket.sendall(echo * 200)
            except (ConnectionError, TimeoutError) as error:
                if isinstance(error, ConnectionError):
                    return True
        return False


def test_a_peer_that_never_reads_is_left() -> None:
    assert against_listener(_never_reads, timers=Timers(progress=0.5)).result


def _longer_than_announced(port: int) -> int:
    with RawPeer.connect(port) as peer:
        peer.associate(STORE)
        peer.send(raw_pdu.data(raw_pdu.value(3, 3, b"\0" * 200000)))
        return peer.receive_pdu().kind


def test_a_pdu_longer_than_we_announced_aborts() -> None:
    assert against_listener(_longer_than_announced).result == 7


def _many_echoes(port: int, number: int) -> list[int]:
    peers = [RawPeer.connect(port) for _ in range(number)]
    for peer in peers:
        peer.associate(ECHO, called="ANY")
    found = [peer.echo() for peer in peers]
    for peer in peers:
        peer.release()
    return found


def test_cd_01_two_hundred_associations_at_once_are_all_served() -> None:
    limits = ListenerLimits(associations=300, upper_layer=UpperLayerLimits())
    assert against_listener(_many_echoes, 200, limits=limits).result == [0] * 200


def _echo_by_tls(port: int, authority: str) -> int:
    context = ssl.create_default_context(cafile=authority)
    context.check_hostname = False
    with socket.create_connection(("127.0.0.1", port)) as plain:
        peer = RawPeer(context.wrap_socket(plain))
        peer.associate(ECHO, STORE)
        peer.send_message(3, c_store_request(CT, "1.2.3"), DATA * 100, size=16000)
        status = status_of(peer.receive_message().command)
        return status or peer.echo()


def test_tls_carries_the_same(certificates: Any) -> None:
    storage = Storage()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server.certificate, certificates.server.key)
    outcome = against_listener(
        _echo_by_tls, str(certificates.authority), storage=storage, secured=lambda: context
    )
    assert outcome.result == 0
    assert storage.received[0].data_set == DATA * 100


def test_a_plain_peer_on_the_tls_port_is_left(certificates: Any) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server.certificate, certificates.server.key)
    assert against_listener(_plain_to_tls, secured=lambda: context).result


def _plain_to_tls(port: int) -> bool:
    with RawPeer.connect(port) as peer:
        peer.send(raw_pdu.associate_request(ECHO))
        while True:
            try:
                if not peer.socket.recv(4096):
                    return True
            except ConnectionError:
                return True
