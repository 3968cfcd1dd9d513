"""Lock-out after failures, and the rate of connections, by a clock of the test's own."""

from __future__ import annotations

from agent.configuration.access import LockOut
from agent.security.lock_out import MOST, ConnectionRate, LockOuts


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_failures_within_the_window_shut_out_for_the_time_that_is_configured() -> None:
    clock = Clock()
    found = LockOuts(LockOut(host=3, title=0, user=0, window=60, duration=300), clock)
    for _ in range(3):
        assert not found.is_shut_out("host", "192.0.2.1")
        found.failed(host="192.0.2.1", title="CT1", user="anna")
        clock.now += 10
    assert found.is_shut_out("host", "192.0.2.1")
    assert not found.is_shut_out("host", "192.0.2.2")
    # What is not counted shuts nobody out.
    assert not found.is_shut_out("title", "CT1")
    assert found.listing() == [{"kind": "host", "who": "192.0.2.1", "seconds": 290}]
    clock.now += 289
    assert found.is_shut_out("host", "192.0.2.1")
    clock.now += 2
    assert not found.is_shut_out("host", "192.0.2.1")
    assert found.listing() == []


def test_failures_that_lie_far_apart_are_mistakes() -> None:
    clock = Clock()
    found = LockOuts(LockOut(user=2, window=60), clock)
    for _ in range(10):
        found.failed(user="anna")
        clock.now += 61
    assert not found.is_shut_out("user", "anna")
    found.failed(user="anna")
    found.succeeded("anna")
    found.failed(user="anna")
    assert not found.is_shut_out("user", "anna")
    found.failed(user="anna")
    assert found.is_shut_out("user", "anna")
    # A success by who got in otherwise does not let the others in.
    found.succeeded("anna")
    assert found.is_shut_out("user", "anna")


def test_what_is_remembered_is_bounded_and_who_is_shut_out_is_forgotten_last() -> None:
    clock = Clock()
    found = LockOuts(LockOut(host=2), clock)
    for _ in range(2):
        found.failed(host="192.0.2.1")
    for number in range(3 * MOST):
        found.failed(host=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(found._failures["host"]) == MOST
    assert found.is_shut_out("host", "192.0.2.1")


def test_one_subscriber_of_ipv6_is_one_host() -> None:
    found = LockOuts(LockOut(host=2), Clock())
    found.failed(host="2001:db8:0:1::1")
    found.failed(host="2001:db8:0:1:ffff::2%eth0")
    assert found.is_shut_out("host", "2001:db8:0:1::77")
    assert not found.is_shut_out("host", "2001:db8:0:2::1")


def test_a_rate_is_counted_anew_each_second_and_each_host_for_itself() -> None:
    clock = Clock()
    rate = ConnectionRate(clock)
    assert [rate.exceeds("a", 2) for _ in range(4)] == [-1, 0, 1, 2]
    assert rate.exceeds("b", 2) == -1
    clock.now += 1
    assert rate.exceeds("a", 2) == -1
    for number in range(2 * MOST):
        rate.exceeds(str(number), 2)
    assert len(rate._counts) <= MOST
