"""C-MOVE and C-GET as SCP, line by line (PS3.4 C.4.2, C.4.3, C.5.3), with peers made by hand."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from agent.dataset.attributes import Attributes
from agent.dataset.sop_classes import storage_sop_classes
from agent.errors import LocalError
from agent.services.retrieval_provider import relational_answer
from agent.services.retrieval_user import retrieval_identifier
from tests.checklists import retrieving
from tests.checklists.retrieving import (
    COMPLETED,
    CT,
    FAILED,
    IMPLICIT,
    MR,
    PATIENT_ROOT_MOVE,
    REMAINING,
    SECONDARY_CAPTURE,
    STUDY_ROOT_MOVE,
    WARNING,
    Answers,
    Destination,
    Made,
    answers_of,
    associate_for_get,
    cancel_request,
    encoded,
    failed_uids,
    get,
    get_request,
    identifier,
    move,
    move_request,
    number,
    peer_table,
    status,
    wait_until_calm,
)
from tests.cli_of import gantry
from tests.node.running import NodeProcess, free_port
from tests.peers.raw_pdu import (
    c_store_request,
    item,
    proposed_context,
    split_items,
    user_information,
)
from tests.peers.raw_peer import RawPeer

pytestmark = pytest.mark.peer

SIX, THREE, MANY, LARGE, KINDS = (f"1.2.826.0.1.3680043.9.{n}" for n in range(1, 6))
MOST = 60
ALL_KINDS = storage_sop_classes()[:75]


class House(NamedTuple):
    """A node with objects, the port of its second entity, and where objects can be moved to."""

    node: NodeProcess
    impatient: int
    far: Destination

    @property
    def port(self) -> int:
        return self.node.port


@pytest.fixture(scope="module")
def _house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    impatient = free_port()
    with Destination() as far:
        more = (
            f'{retrieving.SERVICES}[[entity]]\nname = "IMPATIENT"\nport = {impatient}\n'
            'addresses = ["127.0.0.1"]\n'
            'retrieval = {on_failure = "stop", at_once = 1, grace = 0.3}\n'
            f'accept = {{calling = "any", called_title = false}}\n{retrieving.SERVICES}'
            f"{peer_table('FAR', far.port)}{peer_table('DEAD', free_port())}"
            + peer_table("OLD", free_port(), "[peer.quirks]\nrelational_unnegotiated = true\n")
            + peer_table("ONLY_FINDS", far.port, 'services = ["verification"]\n')
        )
        with NodeProcess(tmp_path_factory.mktemp("node"), more) as node:
            retrieving.store(
                node.port,
                [
                    *(Made(f"{SIX}.{n}", SIX) for n in range(1, 7)),
                    Made(f"{THREE}.1", THREE),
                    Made(f"{THREE}.2", THREE, MR),
                    Made(f"{THREE}.3", THREE, patient_id="P2"),
                    *(Made(f"{MANY}.{n}", MANY) for n in range(1, MOST + 1)),
                    *(Made(f"{LARGE}.{n}", LARGE, size=8_000_000) for n in range(1, 3)),
                    *(Made(f"{KINDS}.{n}", KINDS, uid) for n, uid in enumerate(ALL_KINDS, 1)),
                ],
            )
            yield House(node, impatient, far)


@pytest.fixture
def house(_house: House) -> House:
    _house.far.clear()
    return _house


def uids(study: str, count: int) -> list[str]:
    return [f"{study}.{n}" for n in range(1, count + 1)]


def test_ps34_063_sub_operations_go_to_the_destination_over_another_association(
    house: House,
) -> None:
    answers = move(house.port, "FAR", identifier("STUDY", study=SIX), message_id=77)
    assert answers.status == 0
    assert sorted(house.far.uids) == uids(SIX, 6)
    (association,) = house.far.associations
    assert association[4:20].strip() == b"FAR" and association[20:36].strip() == b"GANTRY"
    for each in house.far.requests:
        # C-MOVE only: who asked for it, and with which message (PS3.7 9.1.1.1).
        assert each.command[0x1030].strip() == b"MOVER"
        assert struct.unpack("<H", each.command[0x1031]) == (77,)
    stored = {each.uid: each.data_set() for each in (Made(uid, SIX) for uid in uids(SIX, 6))}
    sent = dict(zip(house.far.uids, (each.data_set for each in house.far.requests), strict=True))
    assert sent == stored


def test_ps34_064_an_unknown_destination_is_a801_and_nobody_is_called(house: House) -> None:
    # Orthanc answers C000 here.
    for title in ("NOBODY", "ONLY_FINDS", ""):
        answers = move(house.port, title, identifier("STUDY", study=SIX))
        assert answers.status == 0xA801
        assert len(answers.responses) == 1
    assert house.far.associations == []


def _sums(answers: Answers) -> set[int]:
    found = set()
    for each in answers.responses[:-1]:
        counters = [number(each, which) for which in (REMAINING, COMPLETED, FAILED, WARNING)]
        assert None not in counters and each.data_set == b""
        found.add(sum(filter(None, counters)))
    return found


def test_ps34_065_every_pending_has_four_counters_whose_sum_is_constant(house: House) -> None:
    house.far.statuses = [0, 0xA700, 0xB000, 0]
    answers = move(house.port, "FAR", identifier("STUDY", study=SIX))
    assert _sums(answers) == {6}
    remaining = [number(each, REMAINING) for each in answers.responses[:-1]]
    assert remaining[0] == 6 and remaining == sorted(remaining, reverse=True)  # type: ignore[type-var]
    assert _sums(get(house.port, identifier("STUDY", study=SIX))) == {6}


def test_ps34_066_a_final_response_has_no_remaining_unless_cancelled(house: House) -> None:
    house.far.statuses = [0, 0xA700, 0xB000, 0]
    answers = move(house.port, "FAR", identifier("STUDY", study=SIX))
    assert answers.status == 0xB000
    assert answers.counts() == (None, 4, 1, 1)


def test_ps34_067_an_object_without_a_context_is_named_in_a_warning(house: House) -> None:
    house.far.refuses = (MR,)
    answers = move(house.port, "FAR", identifier("STUDY", study=THREE))
    assert answers.status == 0xB000
    assert failed_uids(answers.final) == [f"{THREE}.2"]
    assert answers.counts() == (None, 2, 1, 0)


def test_ps34_068_all_well_is_0000_without_a_data_set(house: House) -> None:
    answers = move(house.port, "FAR", identifier("STUDY", study=f"{SIX}\\{THREE}"))
    assert answers.status == 0
    assert answers.final.data_set == b"" and answers.counts() == (None, 9, 0, 0)


def test_ps34_069_when_all_fail_it_is_a_failure(house: House) -> None:
    answers = move(house.port, "DEAD", identifier("STUDY", study=SIX))
    assert answers.status == 0xA702
    assert answers.counts() == (None, 0, 6, 0)
    assert failed_uids(answers.final) == uids(SIX, 6)
    house.far.statuses = [0xA700]
    answers = move(house.port, "FAR", identifier("STUDY", study=THREE))
    assert answers.status == 0xA702 and sorted(failed_uids(answers.final)) == uids(THREE, 3)


def test_ps34_070_warnings_alone_make_a_warning(house: House) -> None:
    house.far.statuses = [0xB000]
    answers = move(house.port, "FAR", identifier("STUDY", study=SIX))
    assert answers.status == 0xB000
    assert answers.counts() == (None, 0, 0, 6) and answers.final.data_set == b""


def test_ps34_071_a_cancel_ends_a_move_with_fe00(house: House) -> None:
    reached = threading.Event()
    house.far.before = lambda count: reached.set() if count == 3 else time.sleep(0.005)
    with RawPeer.connect(house.port) as peer:
        peer.associate(proposed_context(1, STUDY_ROOT_MOVE, IMPLICIT))
        peer.send_message(1, move_request("FAR"), identifier("STUDY", study=MANY))
        assert reached.wait(10)
        peer.send_message(1, cancel_request())
        answers = answers_of(peer)
        peer.release()
    assert answers.status == 0xFE00
    remaining, completed, failed, warning = answers.counts()
    assert None not in (remaining, completed, failed, warning)
    assert sum((remaining or 0, completed or 0, failed or 0, warning or 0)) == MOST
    assert 3 <= (completed or 0) < MOST / 2 and not failed
    time.sleep(0.1)
    assert len(house.far.requests) == completed


def test_ps34_071_a_cancel_ends_a_get_with_fe00_between_objects(house: House) -> None:
    with RawPeer.connect(house.port) as peer:
        associate_for_get(peer)
        peer.send_message(1, get_request(), identifier("STUDY", study=MANY))

        def answer(count: int) -> int:
            if count == 5:
                peer.send_message(1, cancel_request())
            return 0

        answers = answers_of(peer, answer)
        # The association is as good as before.
        peer.send_message(1, get_request(message_id=2), identifier("STUDY", study=THREE))
        again = answers_of(peer)
        peer.release()
    assert answers.status == 0xFE00
    remaining, completed, failed, _ = answers.counts()
    assert (remaining or 0) + (completed or 0) == MOST and not failed
    assert len(answers.stored) == completed and 5 <= len(answers.stored) <= 6
    assert again.status == 0 and len(again.stored) == 3


def test_a_cancel_while_the_destination_says_nothing_is_answered_after_the_grace(
    house: House,
) -> None:
    goes_on = threading.Event()
    house.far.before = lambda count: goes_on.wait(20) and None
    with RawPeer.connect(house.impatient) as peer:
        peer.associate(proposed_context(1, STUDY_ROOT_MOVE, IMPLICIT))
        peer.send_message(1, move_request("FAR"), identifier("STUDY", study=SIX))
        while not house.far.requests:
            time.sleep(0.01)
        begun = time.monotonic()
        peer.send_message(1, cancel_request())
        answers = answers_of(peer)
        assert 0.25 < time.monotonic() - begun < 2
        peer.release()
    goes_on.set()
    assert answers.status == 0xFE00
    # What was under way when it was aborted has failed, for all that anybody knows.
    assert answers.counts() == (5, 0, 1, 0)
    assert failed_uids(answers.final) == [f"{SIX}.1"]


@pytest.mark.parametrize(
    ("level", "keys", "wanted"),
    [
        ("STUDY", {"study": f"{SIX}\\{THREE}"}, uids(SIX, 6) + uids(THREE, 3)),
        ("SERIES", {"study": SIX, "series": f"{SIX}.1\\{THREE}.1"}, uids(SIX, 6)),
        (
            "IMAGE",
            {"study": SIX, "series": f"{SIX}.1", "image": f"{SIX}.2\\{SIX}.5"},
            [f"{SIX}.2", f"{SIX}.5"],
        ),
        ("STUDY", {"study": "1.2.3.4"}, []),
    ],
)
def test_ps34_072_lists_of_uids_retrieve_all_of_each_level(
    house: House, level: str, keys: dict[str, str], wanted: list[str]
) -> None:
    # Where nothing matches it is a success of none: Orthanc answers C000.
    assert move(house.port, "FAR", identifier(level, **keys)).status == 0
    assert sorted(house.far.uids) == wanted
    brought = get(house.port, identifier(level, **keys))
    assert (brought.status, len(brought.stored)) == (0, len(wanted))


@pytest.mark.parametrize(
    ("sop_class", "level", "keys"),
    [
        (PATIENT_ROOT_MOVE, "PATIENT", {"patient": "P1\\P2"}),
        (PATIENT_ROOT_MOVE, "STUDY", {"study": SIX}),
        (STUDY_ROOT_MOVE, "PATIENT", {"patient": "P1"}),
        (STUDY_ROOT_MOVE, "", {"study": SIX}),
        (STUDY_ROOT_MOVE, "SERIES", {"series": f"{SIX}.1"}),
        (STUDY_ROOT_MOVE, "STUDY", {}),
    ],
)
def test_ps34_072_an_identifier_that_does_not_match_is_a900(
    house: House, sop_class: str, level: str, keys: dict[str, str]
) -> None:
    answers = move(house.port, "FAR", identifier(level, **keys), sop_class=sop_class)
    assert answers.status == 0xA900
    assert answers.final.command[0x0902] and len(answers.final.command[0x0901]) == 4
    assert house.far.associations == []


def test_the_patient_level_of_patient_root(house: House) -> None:
    keys = identifier("PATIENT", patient="P2")
    assert move(house.port, "FAR", keys, sop_class=PATIENT_ROOT_MOVE).status == 0
    # The index has a study with one patient: that of its first object.
    assert house.far.uids == []
    keys = identifier("STUDY", patient="P1", study=THREE)
    assert move(house.port, "FAR", keys, sop_class=PATIENT_ROOT_MOVE).status == 0
    assert sorted(house.far.uids) == uids(THREE, 3)


def test_an_identifier_that_cannot_be_read_is_cxxx(house: House) -> None:
    answers = move(house.port, "FAR", b"\x08\x00\x52\x00\xff\xff\x00\x00STUDY ")
    assert answers.status & 0xF000 == 0xC000


def test_ps34_073_stores_between_pending_responses_are_answered(house: House) -> None:
    answers = get(house.port, identifier("STUDY", study=SIX))
    assert answers.status == 0 and answers.counts() == (None, 6, 0, 0)
    assert all(0x1030 not in each.command for each in answers.stored)
    assert [each.data_set for each in answers.stored] == [
        Made(uid, SIX).data_set() for uid in uids(SIX, 6)
    ]


def test_ps34_074_roles_are_answered_and_a_class_without_one_fails(house: House) -> None:
    with RawPeer.connect(house.port) as peer:
        roles = associate_for_get(peer, classes=(CT, MR), with_role=(CT,))
        assert roles == {CT: b"\0\1"}
        peer.send_message(1, get_request(), identifier("STUDY", study=THREE))
        answers = answers_of(peer)
        peer.release()
    assert answers.status == 0xB000 and failed_uids(answers.final) == [f"{THREE}.2"]
    assert len(answers.stored) == 2
    none = get(house.port, identifier("STUDY", study=THREE), with_role=())
    assert none.status == 0xA702 and sorted(failed_uids(none.final)) == uids(THREE, 3)


@pytest.mark.parametrize("priority", [0, 1, 2])
def test_ps34_075_sub_operations_have_the_priority_of_the_request(
    house: House, priority: int
) -> None:
    move(house.port, "FAR", identifier("STUDY", study=SIX), priority=priority)
    brought = get(house.port, identifier("STUDY", study=SIX), priority=priority)
    for each in (*house.far.requests, *brought.stored):
        assert struct.unpack("<H", each.command[0x0700]) == (priority,)


def test_mx_26_all_of_a_request_goes_over_one_association(house: House) -> None:
    keys = identifier("STUDY", study=f"{SIX}\\{THREE}\\{MANY}")
    assert move(house.port, "FAR", keys, priority=2).status == 0
    assert len(house.far.associations) == 1 and len(house.far.requests) == MOST + 9


def test_more_contexts_than_an_association_has_take_several_one_after_the_other(
    house: House,
) -> None:
    answers = move(house.port, "FAR", identifier("STUDY", study=KINDS))
    assert answers.status == 0, answers.final
    assert sorted(house.far.uids) == sorted(uids(KINDS, len(ALL_KINDS)))
    assert len(house.far.associations) == 2


def test_mx_27_where_it_is_wanted_the_first_failure_ends_it(house: House) -> None:
    house.far.statuses = [0, 0xB000, 0xA700, 0]
    answers = move(house.impatient, "FAR", identifier("STUDY", study=SIX))
    assert answers.status == 0xA702
    assert len(house.far.requests) == 3
    assert answers.counts() == (None, 1, 4, 1)
    assert failed_uids(answers.final) == [f"{SIX}.{n}" for n in range(3, 7)]
    brought = get(
        house.impatient,
        identifier("STUDY", study=SIX),
        store_status=lambda count: 0xC000 if count == 2 else 0,
    )
    assert brought.status == 0xA702 and len(brought.stored) == 2


def _extended(sop_class: str, information: bytes) -> bytes:
    uid = sop_class.encode()
    return item(0x56, struct.pack(">H", len(uid)) + uid + information)


@pytest.mark.parametrize(
    ("offered", "answered"), [(b"\1", b"\1"), (b"\0", b"\0"), (b"\1\1", b"\1\0"), (None, None)]
)
def test_relational_retrieval_is_negotiated_and_only_then_done(
    house: House, offered: bytes | None, answered: bytes | None
) -> None:
    sub_items = () if offered is None else (_extended(STUDY_ROOT_MOVE, offered),)
    with RawPeer.connect(house.port) as peer:
        accepted = peer.associate(
            proposed_context(1, STUDY_ROOT_MOVE, IMPLICIT), user=user_information(*sub_items)
        )
        said = [
            value[2 + len(STUDY_ROOT_MOVE) :]
            for kind, content in accepted.items()
            if kind == 0x50
            for sub_kind, value in split_items(content)
            if sub_kind == 0x56
        ]
        assert said == ([] if answered is None else [answered])
        keys = identifier("IMAGE", image=f"{SIX}.1\\{THREE}.2")
        peer.send_message(1, move_request("FAR"), keys)
        final = answers_of(peer)
        peer.release()
    agreed = bool(answered and answered[0])
    assert final.status == (0 if agreed else 0xA900)
    assert sorted(house.far.uids) == ([f"{SIX}.1", f"{THREE}.2"] if agreed else [])


def test_a_peer_with_that_quirk_retrieves_relationally_without_negotiation(house: House) -> None:
    keys = identifier("SERIES", series=f"{SIX}.1")
    assert move(house.port, "FAR", keys).status == 0xA900
    assert move(house.port, "FAR", keys, calling="OLD").status == 0
    assert sorted(house.far.uids) == uids(SIX, 6)


def test_ps34_081_a_view_is_neither_agreed_to_nor_sent(house: House) -> None:
    with pytest.raises(LocalError):
        retrieval_identifier(
            STUDY_ROOT_MOVE, "STUDY", Attributes(StudyInstanceUID=SIX, QueryRetrieveView="ENHANCED")
        )
    # Byte 2 is answered 0; whoever asks for a view all the same gets what is stored.
    assert relational_answer(b"\0\1", relational=True) == b"\0\0"
    keys = identifier("STUDY", study=SIX) + b""
    view = encoded({0x00080053: b"ENHANCED"})
    assert move(house.port, "FAR", keys[:14] + view + keys[14:]).status == 0
    assert sorted(house.far.uids) == uids(SIX, 6)


def test_several_moves_at_once_take_turns_and_none_waits_for_all_of_another(
    house: House,
) -> None:
    house.far.before = lambda count: time.sleep(0.004)
    found: dict[str, float] = {}

    def one(study: str, port: int, calling: str) -> None:
        assert move(port, "FAR", identifier("STUDY", study=study), calling=calling).status == 0
        found[study] = time.monotonic()

    large = threading.Thread(target=one, args=(MANY, house.port, "LARGE"))
    large.start()
    while not house.far.requests:
        time.sleep(0.005)
    small = threading.Thread(target=one, args=(THREE, house.port, "SMALL"))
    small.start()
    large.join()
    small.join()
    assert found[THREE] < found[MANY]
    # Where one at once is performed, the second waits for its turn.
    house.far.clear()
    house.far.before = lambda count: time.sleep(0.004)
    both = [
        threading.Thread(target=one, args=(study, house.impatient, "SAME"))
        for study in (MANY, THREE)
    ]
    both[0].start()
    while not house.far.requests:
        time.sleep(0.005)
    both[1].start()
    for each in both:
        each.join()
    assert found[MANY] < found[THREE]


def _descriptors(node: NodeProcess) -> int:
    """Open files, pipes and connections; workers, which come and go, have sockets of the kernel."""
    assert node.process is not None
    tables = [Path(f"/proc/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    connections = {f"socket:[{line.split()[9]}]" for table in tables for line in table}
    found = 0
    for each in Path(f"/proc/{node.process.pid}/fd").iterdir():
        with suppress(OSError):
            target = str(each.readlink())
            found += target in connections or target.startswith("pipe:") or "/objects/" in target
    return found


def test_ends_at_any_point_leave_nothing_behind(house: House) -> None:
    """Disconnects and cancels in moves and gets, at points that a count spreads over their way."""
    move(house.port, "FAR", identifier("STUDY", study=SIX))
    get(house.port, identifier("STUDY", study=SIX))
    wait_until_calm(house.node)
    before = _descriptors(house.node)
    for point in range(12):
        with RawPeer.connect(house.port) as peer:
            peer.associate(proposed_context(1, STUDY_ROOT_MOVE, IMPLICIT))
            peer.send_message(1, move_request("FAR"), identifier("STUDY", study=LARGE))
            time.sleep(0.004 * point)
            if point % 3 == 2:
                peer.send_message(1, cancel_request())
            peer.reset() if point % 2 else peer.close()
        with RawPeer.connect(house.port) as peer:
            associate_for_get(peer)
            peer.send_message(1, get_request(), identifier("STUDY", study=LARGE))
            peer.receive_exactly(100_000 * point)
            peer.reset() if point % 2 else peer.close()
    wait_until_calm(house.node)
    end = time.monotonic() + 5
    while _descriptors(house.node) > before and time.monotonic() < end:
        time.sleep(0.05)
    assert _descriptors(house.node) <= before
    # And all is as it was.
    assert move(house.port, "FAR", identifier("STUDY", study=SIX)).status == 0
    assert "an error that" not in house.node.log and "provider failed" not in house.node.log


def test_a_destination_that_goes_away_is_called_again_once_it_took_something(
    house: House,
) -> None:
    def break_off(count: int) -> None:
        if count == 3:
            raise OSError("gone")

    house.far.before = break_off
    answers = move(house.port, "FAR", identifier("STUDY", study=SIX))
    assert answers.status == 0xB000
    assert answers.counts() == (None, 5, 1, 0) and failed_uids(answers.final) == [f"{SIX}.3"]
    assert len(house.far.associations) == 2


def test_objects_are_converted_where_the_peer_takes_another_syntax_only(house: House) -> None:
    brought = get(house.port, identifier("STUDY", study=SIX), syntaxes=(IMPLICIT,))
    assert brought.status == 0 and len(brought.stored) == 6
    assert brought.stored[0].data_set.startswith(b"\x08\x00\x16\x00" + struct.pack("<I", 26))


def test_a_class_that_a_get_may_bring_is_not_stored_where_it_is_not_offered(
    house: House,
) -> None:
    """Both roles of one class on one association (PS3.7 D.3.3.4)."""
    with RawPeer.connect(house.port) as peer:
        roles = associate_for_get(peer, classes=(SECONDARY_CAPTURE,))
        assert roles == {SECONDARY_CAPTURE: b"\0\1"}
        each = Made("1.2.3.4.5", SIX, SECONDARY_CAPTURE)
        request = c_store_request(SECONDARY_CAPTURE, each.uid)
        peer.send_message(3, request, each.data_set())
        # Only its role as SCP was agreed upon.
        assert status(peer.receive_message()) == 0x0122
        peer.release()


def test_the_statement_says_what_can_be_retrieved(house: House) -> None:
    said = gantry("conformance", "gateway", "--config", house.node.configuration).check().output
    section = said.partition("### Retrieval as SCP")[2].partition("\n## ")[0]
    assert "| Move destinations | FAR, DEAD, OLD |" in section
    assert "| A801H |" in section and "| AA04H |" in section
    assert "nothing more is sent: A702H" in said
    assert "1.2.840.10008.5.1.4.1.2.2.3" in said
    assert "Retrieval as SCP" not in gantry("conformance", "gateway").check().output


def test_mx_21_a_move_counts_as_an_access_of_the_study(house: House) -> None:
    def accessed() -> float:
        found = house.node.ask("studies", study_instance_uid=THREE)["items"]
        return float(found[0]["accessed"])

    before = accessed()
    move(house.port, "FAR", identifier("IMAGE", study=THREE, series=f"{THREE}.1", image=""))
    keys = identifier("IMAGE", study=THREE, series=f"{THREE}.1", image=f"{THREE}.1")
    assert move(house.port, "FAR", keys).status == 0
    end = time.monotonic() + 5
    while accessed() <= before:
        assert time.monotonic() < end
        time.sleep(0.02)
