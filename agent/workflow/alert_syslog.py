"""Alerts by syslog: one message each, over the transports that audit messages have too.

A message over TLS counts as told when the kernel of the receiver has acknowledged it; what a
receiver then loses is told again with the next repetition.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.configuration.alerts import AlertSyslog
from agent.loop import TimedOut, timeout
from agent.network.resolution import Resolve
from agent.network.stream import ConnectionLost
from agent.security.audit_syslog import NOTICE, WARNING, Recorded, Sender
from agent.security.audit_transport import open_connection
from agent.workflow.alert_record import OVER, Told

_PATIENCE, _CONFIRM = 30.0, 10.0
_MSGID, _NUMBER = "ALERT", "GANTRY_ALERT_NUMBER"


async def send(
    table: AlertSyslog,
    host: str,
    tidings: Sequence[Told],
    first: int,
    moment: float,
    resolve: Resolve | None,
) -> None:
    """Tell them, numbered from `first`. Raises GantryError where nobody takes them."""
    sender = Sender(host, table.facility, message_id=_MSGID, journal_number=_NUMBER)
    batch = [
        Recorded(number, moment, NOTICE if each.what == OVER else WARNING, _text(each))
        for number, each in enumerate(tidings, first)
    ]
    try:
        with timeout(_PATIENCE):
            connection = await open_connection(table, sender, resolve, _CONFIRM)
            try:
                await connection.send(batch)
                await connection.acknowledged()
            finally:
                connection.close()
    except TimedOut as error:
        raise ConnectionLost("the receiver of syslog does not answer") from error


def _text(told: Told) -> bytes:
    return f"{told.key.partition(' ')[0]} {told.what}: {told.text}".encode()
