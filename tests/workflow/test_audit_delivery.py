"""Audit messages to rsyslog over TLS and UDP, and to a journal: none is lost when it dies."""

from __future__ import annotations

import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from agent.configuration.addresses import Address
from agent.configuration.audit import AuditRepository
from agent.configuration.connection import Retry, Tls
from agent.loop import Loop, TaskGroup, TimedOut, now, sleep, timeout
from agent.security.audit_queue import AuditQueue
from agent.security.audit_syslog import Recorded, Sender
from agent.security.audit_transport import TlsConnection, open_connection
from agent.workflow.audit_delivery import AuditDelivery
from tests.peers.rsyslog import Rsyslog, shared_repository

pytestmark = pytest.mark.peer

QUICK = Retry(first=0.1, longest=0.3)


shared = shared_repository


@pytest.fixture
def repository(shared: Rsyslog) -> Rsyslog:
    shared.forget()
    return shared


def over_tls(repository: Rsyslog, **more: object) -> AuditRepository:
    files = repository.certificates
    tls = Tls(
        certificate=str(files.client.certificate),
        private_key=str(files.client.key),
        trust=(str(files.authority),),
    )
    fields = {"confirm": 1.0, "retry": QUICK, "tls": tls, **more}
    return AuditRepository(name="r", address=Address("localhost", repository.port), **fields)


class Sending:
    """A queue and its delivery, in the loop of a test."""

    def __init__(self, folder: Path, table: AuditRepository) -> None:
        self.queue = AuditQueue(folder / "queue", size=1 << 24)
        self.queue.place(table.name)
        self.delivery = AuditDelivery(table, self.queue, "box", None)

    def say(self, count: int = 1, text: str = "<?xml?>") -> None:
        for _ in range(count):
            self.queue.append(text, 5, 1_700_000_000.0)
        self.delivery.wake()

    def run(self, story: Callable[[], Awaitable[None]]) -> None:
        async def main() -> None:
            async with TaskGroup() as group:
                task = group.start(self.delivery.run(), "delivery")
                await story()
                task.cancel()

        Loop().run(main())


async def until(holds: Callable[[], object], seconds: float = 15.0) -> None:
    end = now() + seconds
    while not holds():
        assert now() < end, holds
        await sleep(0.02)


def test_every_message_arrives_in_order_and_is_counted_as_delivered_later(
    tmp_path: Path, repository: Rsyslog
) -> None:
    sending = Sending(tmp_path, over_tls(repository))

    async def story() -> None:
        sending.say(200, "<?xml?>é" * 40)
        await until(lambda: repository.numbers() == list(range(1, 201)))
        assert sending.delivery.waiting == 200
        await until(lambda: sending.delivery.waiting == 0)

    sending.run(story)
    assert repository.messages()[0] == "<?xml?>é" * 40
    assert repository.lines()[0].startswith("<85>1 2023-11-14T22:13:20.000000Z box gantry ")


def test_nothing_is_lost_when_the_receiver_is_killed_while_it_receives(
    tmp_path: Path, repository: Rsyslog
) -> None:
    """It is killed three times, with messages unread in its socket, and messages come all along."""
    sending = Sending(tmp_path, over_tls(repository))

    async def story() -> None:
        for round_number in range(3):
            seen = len(repository.numbers())
            sending.say(300)
            await until(lambda seen=seen: len(repository.numbers()) > seen)
            # What comes now is acknowledged by the kernel, and nobody reads it.
            repository.send_signal(signal.SIGSTOP)
            sending.say(20)
            await sleep(0.3)
            repository.kill()
            sending.say(30)
            await until(lambda: sending.delivery.failures)
            assert sending.delivery.last_reason
            repository.start()
            last = 350 * (round_number + 1)
            await until(lambda last=last: set(repository.numbers()) >= set(range(1, last + 1)))
        await until(lambda: sending.delivery.waiting == 0)
        assert sending.delivery.failures == 0

    sending.run(story)
    assert set(repository.numbers()) == set(range(1, 1051))


def test_what_was_not_confirmed_is_sent_again_after_a_restart_of_ours(
    tmp_path: Path, repository: Rsyslog
) -> None:
    table = over_tls(repository, confirm=60.0)
    first = Sending(tmp_path, table)

    async def story() -> None:
        first.say(5)
        await until(lambda: len(repository.numbers()) == 5)

    first.run(story)
    first.queue.close()
    second = Sending(tmp_path, table)

    async def again() -> None:
        second.say(1)
        await until(lambda: repository.numbers() == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 6])

    second.run(again)


def test_a_receiver_whose_certificate_is_not_trusted_gets_nothing(
    tmp_path: Path, repository: Rsyslog
) -> None:
    stranger = Tls(
        certificate=str(repository.certificates.client.certificate),
        private_key=str(repository.certificates.client.key),
        trust=(str(repository.certificates.stranger.certificate),),
    )
    sending = Sending(tmp_path, over_tls(repository, tls=stranger))

    async def story() -> None:
        sending.say(3)
        await until(lambda: "certificate is not accepted" in sending.delivery.last_reason)

    sending.run(story)
    assert repository.numbers() == []
    assert sending.delivery.waiting == 3


def test_what_the_receivers_kernel_has_not_taken_is_not_acknowledged(
    tmp_path: Path, repository: Rsyslog
) -> None:
    big = Recorded(1, 1.0, 5, b"x" * (1 << 20))

    async def story() -> None:
        connection = await open_connection(over_tls(repository), Sender("box"), None, 10.0)
        repository.send_signal(signal.SIGSTOP)
        try:
            with suppress(TimedOut), timeout(1.0):
                await connection.send([big] * 64)
            assert isinstance(connection, TlsConnection)
            assert connection._stream.unacknowledged > 0
            with pytest.raises(TimedOut), timeout(0.2):
                await connection.acknowledged()
        finally:
            repository.send_signal(signal.SIGCONT)
            connection.close()

    Loop().run(story())


def test_over_udp_what_is_sent_is_gone_and_what_is_too_long_is_told(
    tmp_path: Path, repository: Rsyslog
) -> None:
    table = AuditRepository(
        name="u",
        transport="udp",
        address=Address("127.0.0.1", repository.udp_port),
        largest=4096,
        retry=QUICK,
    )
    sending = Sending(tmp_path, table)

    async def story() -> None:
        sending.say(100)
        sending.say(1, "x" * 5000)
        sending.say(1)
        await until(lambda: len(repository.numbers("udp")) == 101)
        await until(lambda: sending.delivery.waiting == 0)

    sending.run(story)
    assert repository.numbers("udp") == [*range(1, 101), 102]


def test_over_udp_a_closed_port_is_noticed_and_waited_for(
    tmp_path: Path, repository: Rsyslog
) -> None:
    table = AuditRepository(
        name="u",
        transport="udp",
        address=Address("127.0.0.1", repository.udp_port),
        retry=QUICK,
    )
    repository.kill()
    sending = Sending(tmp_path, table)

    async def story() -> None:
        sending.say(3)
        await until(lambda: sending.delivery.failures)
        repository.start()
        await until(lambda: repository.numbers("udp") == [1, 2, 3])

    sending.run(story)


def test_the_journal_gets_entries_by_its_own_protocol(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    table = AuditRepository(name="j", transport="journal", socket=str(path), retry=QUICK)
    sending = Sending(tmp_path, table)
    got: list[bytes] = []

    async def story() -> None:
        sending.say(2, "<?xml?>é")
        await until(lambda: sending.delivery.failures)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
            journal.bind(str(path))
            await until(lambda: sending.delivery.waiting == 0)
            journal.setblocking(False)
            got.extend(journal.recv(65536) for _ in range(2))

    sending.run(story)
    assert got[0].startswith("MESSAGE=<?xml?>é\nPRIORITY=5\nSYSLOG_FACILITY=10\n".encode())
    assert got[1].endswith(b"GANTRY_AUDIT_NUMBER=2\n")
