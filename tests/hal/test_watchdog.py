import os
import socket

import pytest

from hal.watchdog import ServiceNotifier
from tests.hal.clocks import StoppedClock


@pytest.fixture(params=["path", "abstract"])
def manager_socket(request, tmp_path):
    if request.param == "path":
        name = address = str(tmp_path / "notify")
    else:
        address = f"\0gantry-test-{os.getpid()}-{tmp_path.name}"
        name = "@" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address)
        receiver.setblocking(False)
        yield name, receiver


def said(receiver):
    try:
        return receiver.recv(4096).decode().split("\n")
    except BlockingIOError:
        return None


def test_each_state_is_one_datagram(manager_socket):
    name, receiver = manager_socket
    service = ServiceNotifier({"NOTIFY_SOCKET": name})
    assert service.listening
    assert service.ready("listening on\n11112")
    assert said(receiver) == ["READY=1", "STATUS=listening on 11112"]
    assert service.status("3 jobs wait")
    assert said(receiver) == ["STATUS=3 jobs wait"]
    assert service.reloading()
    first, second = said(receiver)
    assert first == "RELOADING=1" and second.startswith("MONOTONIC_USEC=")
    assert service.extend(1.5)
    assert said(receiver) == ["EXTEND_TIMEOUT_USEC=1500000"]
    assert service.stopping()
    assert said(receiver) == ["STOPPING=1"]
    service.close()


def test_beats_come_at_half_of_what_systemd_allows(manager_socket):
    name, receiver = manager_socket
    clock = StoppedClock(0.0)
    service = ServiceNotifier(
        {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())},
        clock=clock,
    )
    assert service.interval == 1.5
    assert service.beat() and said(receiver) == ["WATCHDOG=1"]
    assert not service.beat() and said(receiver) is None
    assert service.deadline() == 1.5
    clock.time = 1.5
    assert service.beat() and said(receiver) == ["WATCHDOG=1"]
    service.close()


def test_the_environment_is_not_left_for_children():
    environment = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "A": "b"}
    ServiceNotifier(environment)
    assert environment == {"A": "b"}


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"NOTIFY_SOCKET": ""},
        {"NOTIFY_SOCKET": "relative"},
        {"NOTIFY_SOCKET": "/no/such/socket"},
        {"NOTIFY_SOCKET": "/" + "x" * 300},
    ],
)
def test_without_a_manager_every_call_does_nothing(environment):
    service = ServiceNotifier({**environment, "WATCHDOG_USEC": "1000000"})
    assert not any([service.ready(), service.status("x"), service.stopping(), service.beat()])
    service.close()


@pytest.mark.parametrize(
    ("microseconds", "process"), [("0", ""), ("junk", ""), ("", ""), ("-5", ""), ("1000000", "1")]
)
def test_a_watchdog_that_is_not_ours_is_not_fed(microseconds, process):
    service = ServiceNotifier(
        {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": microseconds, "WATCHDOG_PID": process}
    )
    assert service.interval is None and service.deadline() is None and not service.beat()


def test_a_manager_that_does_not_read_does_not_block_us(tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(path)
        service = ServiceNotifier({"NOTIFY_SOCKET": path})
        answers = [service.status("x" * 1000) for _ in range(5000)]
        assert answers[0] and not answers[-1]
        service.close()
