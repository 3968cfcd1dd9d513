"""PS3.8 Table 9-10, DICOM Upper Layer Protocol State Transition Table, as printed.

A row for each event, a column for each state, `action/next state` in the cells. Two next states
mean that the action chooses (AE-6: acceptable or not; AR-8: requestor or not). A dot
is an empty cell.

What is *not* in the table, and where it is decided:

- An empty cell. Of a primitive of the local user (events 1, 7, 8, 9, 11, 14, 15): a `LocalError`,
  the state stays. Of a PDU in Sta1 or Sta4 there is no transport connection that it could come
  from: bytes are dropped. Event 17 in Sta1 and event 18 where the timer does not run come late
  and are dropped.
- Which PDU is event 19: `upper_layer` and the decoders say so, each with its clause.
- The bytes behind a PDU of event 19 cannot be framed: they are dropped until the connection closes.
- An unexpected PDU is acted upon when its header is there; its body is counted and dropped.
- The reason in the A-ABORT PDU (Table 9-26): 2, unexpected-PDU, for the events 3, 4, 6, 10, 12 and
  13; 1 or 4 to 6, as the fault is, for event 19; what the user said for event 15.
- AA-1 says «service-user source». In Sta2 there is no service user yet, and source 0 has no reason
  (9.3.8), so for a fault of the peer's PDU the source is 2, service-provider: the peer then learns
  what was wrong. For event 15 it is the source that the user gave, 0 by default.
- A fault in Sta2 (AA-1), an ARTIM end (AA-2) and a rejection by AE-6 issue no primitive. The
  transport is told none the less, for its log: `AbortIndication`, `TransportClosed`,
  `ProviderRejection`.
- AA-7 answers once; what comes after it is dropped, so that a peer cannot make us write for ever.
- How long ARTIM runs, and every deadline beside it: `deadlines`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class ProtocolEvent(IntEnum):
    """The events of Table 9-10 with their numbers."""

    A_ASSOCIATE_REQUEST = 1
    TRANSPORT_CONNECT_CONFIRMATION = 2
    A_ASSOCIATE_AC_PDU = 3
    A_ASSOCIATE_RJ_PDU = 4
    TRANSPORT_CONNECTION_INDICATION = 5
    A_ASSOCIATE_RQ_PDU = 6
    A_ASSOCIATE_RESPONSE_ACCEPT = 7
    A_ASSOCIATE_RESPONSE_REJECT = 8
    P_DATA_REQUEST = 9
    P_DATA_TF_PDU = 10
    A_RELEASE_REQUEST = 11
    A_RELEASE_RQ_PDU = 12
    A_RELEASE_RP_PDU = 13
    A_RELEASE_RESPONSE = 14
    A_ABORT_REQUEST = 15
    A_ABORT_PDU = 16
    TRANSPORT_CONNECTION_CLOSED = 17
    ARTIM_EXPIRED = 18
    INVALID_PDU = 19


class Cell(NamedTuple):
    """An action by its name in Tables 9-6 to 9-9, and the state or states that it leads to."""

    action: str
    next_states: tuple[int, ...]


STATES = {
    1: "Idle",
    2: "Transport connection open, awaiting A-ASSOCIATE-RQ PDU",
    3: "Awaiting local A-ASSOCIATE response primitive",
    4: "Awaiting transport connection opening to complete",
    5: "Awaiting A-ASSOCIATE-AC or A-ASSOCIATE-RJ PDU",
    6: "Association established and ready for data transfer",
    7: "Awaiting A-RELEASE-RP PDU",
    8: "Awaiting local A-RELEASE response primitive",
    9: "Release collision requestor side; awaiting A-RELEASE response primitive",
    10: "Release collision acceptor side; awaiting A-RELEASE-RP PDU",
    11: "Release collision requestor side; awaiting A-RELEASE-RP PDU",
    12: "Release collision acceptor side; awaiting A-RELEASE response primitive",
    13: "Awaiting transport connection close indication (association no longer exists)",
}

EVENTS = {
    1: "A-ASSOCIATE request primitive",
    2: "Transport connect confirmation",
    3: "A-ASSOCIATE-AC PDU",
    4: "A-ASSOCIATE-RJ PDU",
    5: "Transport connection indication",
    6: "A-ASSOCIATE-RQ PDU",
    7: "A-ASSOCIATE response primitive (accept)",
    8: "A-ASSOCIATE response primitive (reject)",
    9: "P-DATA request primitive",
    10: "P-DATA-TF PDU",
    11: "A-RELEASE request primitive",
    12: "A-RELEASE-RQ PDU",
    13: "A-RELEASE-RP PDU",
    14: "A-RELEASE response primitive",
    15: "A-ABORT request primitive",
    16: "A-ABORT PDU",
    17: "Transport connection closed indication",
    18: "ARTIM timer expired",
    19: "Unrecognized or invalid PDU",
}

ACTIONS = {
    "AE-1": "Issue transport connect request to the local transport service",
    "AE-2": "Send A-ASSOCIATE-RQ PDU",
    "AE-3": "Issue A-ASSOCIATE confirmation (accept)",
    "AE-4": "Issue A-ASSOCIATE confirmation (reject) and close transport connection",
    "AE-5": "Issue transport connection response; start ARTIM",
    "AE-6": "Stop ARTIM; if acceptable issue A-ASSOCIATE indication, "
    "otherwise send A-ASSOCIATE-RJ PDU and start ARTIM",
    "AE-7": "Send A-ASSOCIATE-AC PDU",
    "AE-8": "Send A-ASSOCIATE-RJ PDU and start ARTIM",
    "DT-1": "Send P-DATA-TF PDU",
    "DT-2": "Issue P-DATA indication",
    "AR-1": "Send A-RELEASE-RQ PDU",
    "AR-2": "Issue A-RELEASE indication",
    "AR-3": "Issue A-RELEASE confirmation and close transport connection",
    "AR-4": "Send A-RELEASE-RP PDU and start ARTIM",
    "AR-5": "Stop ARTIM",
    "AR-6": "Issue P-DATA indication",
    "AR-7": "Send P-DATA-TF PDU",
    "AR-8": "Issue A-RELEASE indication (release collision); requestor to Sta9, acceptor to Sta10",
    "AR-9": "Send A-RELEASE-RP PDU",
    "AR-10": "Issue A-RELEASE confirmation",
    "AA-1": "Send A-ABORT PDU (service-user source) and start or restart ARTIM",
    "AA-2": "Stop ARTIM if running; close transport connection",
    "AA-3": "Issue A-ABORT indication (service-user) or A-P-ABORT indication (service-provider) "
    "and close transport connection",
    "AA-4": "Issue A-P-ABORT indication",
    "AA-5": "Stop ARTIM",
    "AA-6": "Ignore PDU",
    "AA-7": "Send A-ABORT PDU",
    "AA-8": "Send A-ABORT PDU (service-provider source), issue A-P-ABORT indication, start ARTIM",
}

# fmt: off
TABLE_9_10 = """
Evt   Sta1    Sta2       Sta3     Sta4    Sta5     Sta6     Sta7       Sta8     Sta9     Sta10     Sta11    Sta12    Sta13
1     AE-1/4  ·          ·        ·       ·        ·        ·          ·        ·        ·         ·        ·        ·
2     ·       ·          ·        AE-2/5  ·        ·        ·          ·        ·        ·         ·        ·        ·
3     ·       AA-1/13    AA-8/13  ·       AE-3/6   AA-8/13  AA-8/13    AA-8/13  AA-8/13  AA-8/13   AA-8/13  AA-8/13  AA-6/13
4     ·       AA-1/13    AA-8/13  ·       AE-4/1   AA-8/13  AA-8/13    AA-8/13  AA-8/13  AA-8/13   AA-8/13  AA-8/13  AA-6/13
5     AE-5/2  ·          ·        ·       ·        ·        ·          ·        ·        ·         ·        ·        ·
6     ·       AE-6/3,13  AA-8/13  ·       AA-8/13  AA-8/13  AA-8/13    AA-8/13  AA-8/13  AA-8/13   AA-8/13  AA-8/13  AA-7/13
7     ·       ·          AE-7/6   ·       ·        ·        ·          ·        ·        ·         ·        ·        ·
8     ·       ·          AE-8/13  ·       ·        ·        ·          ·        ·        ·         ·        ·        ·
9     ·       ·          ·        ·       ·        DT-1/6   ·          AR-7/8   ·        ·         ·        ·        ·
10    ·       AA-1/13    AA-8/13  ·       AA-8/13  DT-2/6   AR-6/7     AA-8/13  AA-8/13  AA-8/13   AA-8/13  AA-8/13  AA-6/13
11    ·       ·          ·        ·       ·        AR-1/7   ·          ·        ·        ·         ·        ·        ·
12    ·       AA-1/13    AA-8/13  ·       AA-8/13  AR-2/8   AR-8/9,10  AA-8/13  AA-8/13  AA-8/13   AA-8/13  AA-8/13  AA-6/13
13    ·       AA-1/13    AA-8/13  ·       AA-8/13  AA-8/13  AR-3/1     AA-8/13  AA-8/13  AR-10/12  AR-3/1   AA-8/13  AA-6/13
14    ·       ·          ·        ·       ·        ·        ·          AR-4/13  AR-9/11  ·         ·        AR-4/13  ·
15    ·       ·          AA-1/13  AA-2/1  AA-1/13  AA-1/13  AA-1/13    AA-1/13  AA-1/13  AA-1/13   AA-1/13  AA-1/13  ·
16    ·       AA-2/1     AA-3/1   ·       AA-3/1   AA-3/1   AA-3/1     AA-3/1   AA-3/1   AA-3/1    AA-3/1   AA-3/1   AA-2/1
17    ·       AA-5/1     AA-4/1   AA-4/1  AA-4/1   AA-4/1   AA-4/1     AA-4/1   AA-4/1   AA-4/1    AA-4/1   AA-4/1   AR-5/1
18    ·       AA-2/1     ·        ·       ·        ·        ·          ·        ·        ·         ·        ·        AA-2/1
19    ·       AA-1/13    AA-8/13  ·       AA-8/13  AA-8/13  AA-8/13    AA-8/13  AA-8/13  AA-8/13   AA-8/13  AA-8/13  AA-7/13
"""  # noqa: E501
# fmt: on


def _read(text: str) -> dict[tuple[int, int], Cell]:
    table: dict[tuple[int, int], Cell] = {}
    for line in text.strip().splitlines()[1:]:
        event, *cells = line.split()
        for state, printed in enumerate(cells, start=1):
            if printed != "·":
                action, _, following = printed.partition("/")
                next_states = tuple(map(int, following.split(",")))
                table[int(event), state] = Cell(action, next_states)
    return table


# (event, state) -> cell; an empty cell has no entry.
TRANSITIONS = _read(TABLE_9_10)

# Sta6 and Sta7: the states in which a P-DATA-TF PDU is data and not a fault.
DATA_STATES = frozenset(
    state
    for (event, state), cell in TRANSITIONS.items()
    if event == ProtocolEvent.P_DATA_TF_PDU and cell.action in ("DT-2", "AR-6")
)


def as_markdown() -> str:
    """The state table, its states, events and actions, for the documentation."""
    lines = ["| event | " + " | ".join(f"Sta{state}" for state in STATES) + " |"]
    lines.append("|---|" + "---|" * len(STATES))
    for event, meaning in EVENTS.items():
        cells = []
        for state in STATES:
            cell = TRANSITIONS.get((event, state))
            following = "/".join(map(str, cell.next_states)) if cell else ""
            cells.append(f"{cell.action} → {following}" if cell else "")
        lines.append(f"| {event} {meaning} | " + " | ".join(cells) + " |")
    lines += ["", "| state | meaning |", "|---|---|"]
    lines += [f"| Sta{state} | {meaning} |" for state, meaning in STATES.items()]
    lines += ["", "| action | does |", "|---|---|"]
    lines += [f"| {action} | {does} |" for action, does in ACTIONS.items()]
    return "\n".join(lines) + "\n"
