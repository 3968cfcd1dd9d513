"""PS3.8 Table 9-10, cell by cell: 13 states, 19 events, 247 cells.

The expectation is written by columns, the table of the module by rows: a slip of the pen in one is
not in the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from agent.errors import AbortReaction, LocalError, PeerError
from agent.network.events import (
    AbortIndication,
    AssociateConfirmation,
    AssociateIndication,
    RejectIndication,
    ReleaseCollision,
    ReleaseConfirmation,
    ReleaseIndication,
    TransportClosed,
)
from agent.network.pdu import Abort, AssociateReject
from agent.network.state_machine import StateMachine, Subject
from agent.network.state_table import (
    ACTIONS,
    DATA_STATES,
    EVENTS,
    STATES,
    TABLE_9_10,
    TRANSITIONS,
    ProtocolEvent,
    as_markdown,
)
from tests.network.pdus import ACCEPT, REQUEST

_PROVIDER_FAULTS = "3:AA-8 4:AA-8 6:AA-8 10:AA-8 12:AA-8 13:AA-8"
_ASSOCIATED = "15:AA-1 16:AA-3 17:AA-4 19:AA-8"

COLUMNS = {
    1: "1:AE-1 5:AE-5",
    2: "3:AA-1 4:AA-1 6:AE-6 10:AA-1 12:AA-1 13:AA-1 16:AA-2 17:AA-5 18:AA-2 19:AA-1",
    3: f"{_PROVIDER_FAULTS} 7:AE-7 8:AE-8 {_ASSOCIATED}",
    4: "2:AE-2 15:AA-2 17:AA-4",
    5: f"3:AE-3 4:AE-4 6:AA-8 10:AA-8 12:AA-8 13:AA-8 {_ASSOCIATED}",
    6: f"3:AA-8 4:AA-8 6:AA-8 9:DT-1 10:DT-2 11:AR-1 12:AR-2 13:AA-8 {_ASSOCIATED}",
    7: f"3:AA-8 4:AA-8 6:AA-8 10:AR-6 12:AR-8 13:AR-3 {_ASSOCIATED}",
    8: f"{_PROVIDER_FAULTS} 9:AR-7 14:AR-4 {_ASSOCIATED}",
    9: f"{_PROVIDER_FAULTS} 14:AR-9 {_ASSOCIATED}",
    10: f"3:AA-8 4:AA-8 6:AA-8 10:AA-8 12:AA-8 13:AR-10 {_ASSOCIATED}",
    11: f"3:AA-8 4:AA-8 6:AA-8 10:AA-8 12:AA-8 13:AR-3 {_ASSOCIATED}",
    12: f"{_PROVIDER_FAULTS} 14:AR-4 {_ASSOCIATED}",
    13: "3:AA-6 4:AA-6 6:AA-7 10:AA-6 12:AA-6 13:AA-6 16:AA-2 17:AR-5 18:AA-2 19:AA-7",
}
EXPECTED = {
    (int(event), state): action
    for state, column in COLUMNS.items()
    for event, action in (cell.split(":") for cell in column.split())
}


@dataclass
class Effect:
    """What an action does: the next state, the PDU sent, the timer, the close, the primitive."""

    state: int | None
    sends: int | None = None
    artim: str = "unchanged"
    closes: bool = False
    issues: type | None = None


# Tables 9-6 to 9-9. DT-1, DT-2, AR-6 and AR-7 are streamed: see test_upper_layer_data.
EFFECTS = {
    "AE-1": Effect(4),
    "AE-2": Effect(5, sends=1),
    "AE-3": Effect(6, issues=AssociateConfirmation),
    "AE-4": Effect(1, closes=True, issues=RejectIndication),
    "AE-5": Effect(2, artim="started"),
    "AE-6": Effect(3, artim="stopped", issues=AssociateIndication),
    "AE-7": Effect(6, sends=2),
    "AE-8": Effect(13, sends=3, artim="started"),
    "DT-1": Effect(6),
    "DT-2": Effect(6),
    "AR-1": Effect(7, sends=5),
    "AR-2": Effect(8, issues=ReleaseIndication),
    "AR-3": Effect(1, closes=True, issues=ReleaseConfirmation),
    "AR-4": Effect(13, sends=6, artim="started"),
    "AR-5": Effect(1, artim="stopped", closes=True, issues=TransportClosed),
    "AR-6": Effect(7),
    "AR-7": Effect(8),
    "AR-8": Effect(None, issues=ReleaseCollision),
    "AR-9": Effect(11, sends=6),
    "AR-10": Effect(12, issues=ReleaseConfirmation),
    "AA-1": Effect(13, sends=7, artim="started"),
    "AA-2": Effect(1, artim="stopped", closes=True),
    "AA-3": Effect(1, closes=True, issues=AbortIndication),
    "AA-4": Effect(1, closes=True, issues=AbortIndication),
    "AA-5": Effect(1, artim="stopped", closes=True, issues=TransportClosed),
    "AA-6": Effect(13),
    "AA-7": Effect(13, sends=7),
    "AA-8": Effect(13, sends=7, artim="started", issues=AbortIndication),
}
FAULT = PeerError("a fault", reaction=AbortReaction(2, 2))


def subject_of(event: int, action: str) -> Subject:
    if action in ("AA-1", "AA-8", "AA-7", "AA-6") and event != 15:
        return FAULT
    subjects: dict[int, Subject] = {
        1: REQUEST,
        3: ACCEPT,
        4: AssociateReject(1, 1, 1),
        6: REQUEST,
        7: ACCEPT,
        8: AssociateReject(1, 1, 1),
        15: Abort(0, 0),
        16: Abort(0, 0),
        17: "closed",
        18: "expired",
        19: FAULT,
    }
    return subjects.get(event)


def machine_in(state: int, *, requestor: bool) -> StateMachine:
    machine = StateMachine(requestor=requestor)
    if state == 4:
        machine.happen(ProtocolEvent.A_ASSOCIATE_REQUEST, REQUEST)
    machine.state = state
    machine.artim = state in (2, 13)
    machine._outgoing.clear()
    return machine


@pytest.mark.parametrize("requestor", [True, False], ids=["requestor", "acceptor"])
@pytest.mark.parametrize("state", range(1, 14), ids=lambda state: f"Sta{state}")
@pytest.mark.parametrize("event", list(ProtocolEvent), ids=lambda event: f"Evt{event:d}")
def test_cell(event: ProtocolEvent, state: int, requestor: bool) -> None:
    machine = machine_in(state, requestor=requestor)
    running, starts = machine.artim, machine.artim_starts
    action = EXPECTED.get((event, state))
    if action is None:
        with pytest.raises(LocalError, match="Table 9-10"):
            machine.happen(event)
        assert (machine.state, machine.artim, machine._outgoing) == (state, running, [])
        return
    assert TRANSITIONS[event, state].action == action
    effect = EFFECTS[action]
    issued = machine.happen(event, subject_of(event, action))
    assert machine.state == (effect.state or (9 if requestor else 10))
    assert machine.state in TRANSITIONS[event, state].next_states
    assert [pdu[0] for pdu in machine._outgoing] == ([effect.sends] if effect.sends else [])
    assert machine.closing is effect.closes
    assert machine.artim is {"started": True, "stopped": False}.get(effect.artim, running)
    assert machine.artim_starts - starts == (effect.artim == "started")
    if action == "AA-2":
        assert isinstance(issued, TransportClosed)
    elif action == "AA-1":
        # Nothing is issued for what the user asked; a fault in Sta2 is told for the log.
        assert (issued is None) is (event == ProtocolEvent.A_ABORT_REQUEST)
    else:
        assert type(issued) is (effect.issues or type(None))


def test_there_are_247_cells_and_both_transcriptions_agree() -> None:
    assert len(STATES) * len(EVENTS) == 247
    assert {place: cell.action for place, cell in TRANSITIONS.items()} == EXPECTED
    rows = TABLE_9_10.strip().splitlines()
    assert len(rows) == 20
    assert all(len(row.split()) == 14 for row in rows)


def test_next_states_are_those_of_the_action_wherever_it_stands() -> None:
    for cell in TRANSITIONS.values():
        expected = {"AE-6": (3, 13), "AR-8": (9, 10)}.get(
            cell.action, (EFFECTS[cell.action].state,)
        )
        assert cell.next_states == expected


def test_every_action_of_tables_9_6_to_9_9_is_used_and_described() -> None:
    assert {cell.action for cell in TRANSITIONS.values()} == set(ACTIONS) == set(EFFECTS)


def test_ae_6_rejects_what_has_not_protocol_version_1() -> None:
    machine = machine_in(2, requestor=False)
    request = type(REQUEST).decode(REQUEST.encode()[6:])
    object.__setattr__(request, "protocol_version", 2)
    machine.happen(ProtocolEvent.A_ASSOCIATE_RQ_PDU, request)
    assert machine.state == 13
    assert machine._outgoing == [bytes.fromhex("03000000000400010202")]
    assert machine.artim


def test_data_is_taken_in_sta6_and_sta7_only() -> None:
    assert {6, 7} == DATA_STATES


def test_the_table_renders_as_text_for_the_documentation() -> None:
    text = as_markdown()
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + 19 + 1 + 13 + 1 + 28
    assert "| 6 A-ASSOCIATE-RQ PDU |  | AE-6 → 3/13 | AA-8 → 13 |  | AA-8 → 13 |" in text
    assert sum(line.count("→") for line in rows) == len(EXPECTED)
