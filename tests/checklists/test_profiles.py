"""Profiles of products, run as they are: exactly what each statement takes is taken."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from itertools import permutations
from pathlib import Path

import pytest
from pydicom import dcmread

from agent.configuration.load import load
from agent.dataset.sop_classes import SOP_CLASSES
from agent.vocabulary import vocabulary
from tests.checklists.in_syntax import (
    BIG_ENDIAN,
    IMPLICIT,
    RLE,
    batches,
    jpeg,
    store_pairs,
)
from tests.checklists.made import CT, EXPLICIT, store_all
from tests.node.running import NodeProcess, free_port
from tests.peers.raw_pdu import context_results, proposed_context
from tests.peers.raw_peer import RawPeer
from tests.peers.sample_files import data_set_bytes

PROFILES = Path(__file__).parents[2] / "profiles"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
QUERY_RETRIEVE = tuple(
    f"1.2.840.10008.5.1.4.1.2.{root}.{kind}" for root in (1, 2) for kind in (1, 2, 3)
)
"""Patient Root and Study Root: FIND, MOVE, GET."""
STUDY_ROOT_FIND, STUDY_ROOT_MOVE = QUERY_RETRIEVE[3:5]
REVIEWER_SYNTAXES = (
    *(IMPLICIT, EXPLICIT, BIG_ENDIAN),
    *map(jpeg, (50, 51, 57, 70, 80, 81, 90, 91, 100)),
)


class ProfileNode(NodeProcess):
    """A node that runs a profile as it is, but for its ports and where it keeps things."""

    def __init__(self, folder: Path, profile: str, entities: Iterable[str], more: str = "") -> None:
        super().__init__(folder)
        self.ports = {name: free_port() for name in entities}
        tables = "".join(
            f'[[entity]]\nname = "{name}"\nport = {port}\naddresses = ["127.0.0.1"]\n'
            for name, port in self.ports.items()
        )
        self.configuration.write_text(
            f'profile = "{profile}"\n[node]\nstate = "{folder}/state"\n'
            f'control = "{self.control}"\n{tables}{more}'
        )


def classes_of(profile: str, service: str, entity: str = "") -> tuple[str, ...]:
    configuration = load(profile=profile, files=(), vocabulary=vocabulary())
    found = [
        uid
        for each in configuration.entities
        if not entity or each.name == entity
        for table in each.services_of(service, "scp")
        for uid in table.sop_classes
    ]
    return tuple(dict.fromkeys(found))


def results(
    port: int, called: str, pairs: Iterable[tuple[str, str]]
) -> Mapping[tuple[str, str], int]:
    """(class, syntax) -> the result of a context of its own."""
    found = {}
    for batch in batches(pairs):
        with RawPeer.connect(port) as peer:
            accept = peer.associate(
                *(proposed_context(2 * at + 1, *pair) for at, pair in enumerate(batch)),
                called=called,
            )
            answers = context_results(accept)
            found.update({pair: answers[2 * at + 1][0] for at, pair in enumerate(batch)})
            peer.release()
    return found


@pytest.mark.parametrize("path", sorted(PROFILES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_profile_is_valid_and_says_what_it_is(path: Path) -> None:
    assert tomllib.loads(path.read_text())["description"]
    configuration = load(profile=path.stem, files=(), vocabulary=vocabulary())
    assert configuration.entities


def test_rv_01_sixty_six_classes_in_twelve_syntaxes_and_nothing_else(tmp_path: Path) -> None:
    classes = classes_of("reviewer", "storage")
    assert len(classes) == 66
    pairs = [(uid, syntax) for uid in classes for syntax in REVIEWER_SYNTAXES]
    with ProfileNode(tmp_path, "reviewer", ["REVIEWER"]) as node:
        found = results(node.ports["REVIEWER"], "REVIEWER", pairs)
        assert len(found) == 792
        assert set(found.values()) == {0}
        outside = results(node.ports["REVIEWER"], "REVIEWER", [(ENHANCED_CT, EXPLICIT), (CT, RLE)])
    assert outside == {(ENHANCED_CT, EXPLICIT): 3, (CT, RLE): 4}


def test_rv_02_an_object_in_each_syntax_is_stored_without_change(tmp_path: Path) -> None:
    with ProfileNode(tmp_path, "reviewer", ["REVIEWER"]) as node:
        sent = store_pairs(
            node.ports["REVIEWER"], [(CT, each) for each in REVIEWER_SYNTAXES], called="REVIEWER"
        )
        assert len(sent) == 12
        for path in node.objects():
            meta = dcmread(path, stop_before_pixels=True).file_meta
            assert data_set_bytes(path) == sent.pop(str(meta.MediaStorageSOPInstanceUID))
            assert meta.ImplementationVersionName.startswith("GANTRY")
            assert meta.ImplementationClassUID.startswith("2.25.")
    assert not sent


VIEWER_SETS = {
    "storage-a": (IMPLICIT, EXPLICIT, *map(jpeg, (50, 51, 70, 90, 91)), RLE),
    "storage-u": (IMPLICIT, EXPLICIT),
    "storage-v": (
        *(IMPLICIT, EXPLICIT, *map(jpeg, (50, 51, 70, 90, 91)), RLE),
        *map(jpeg, (100, 101, 102, 103)),
    ),
    "storage-w": (IMPLICIT, EXPLICIT, *map(jpeg, (100, 101, 102, 103))),
}
EVERY_SYNTAX = (*REVIEWER_SYNTAXES, RLE, *map(jpeg, (101, 102, 103, 106)))


@pytest.mark.parametrize(("entity", "called"), [("VIEWER", "VIEWER"), ("PRECACHE", "PF_VIEWER")])
def test_ic_12_thirty_four_classes_each_with_its_set_of_syntaxes(
    tmp_path: Path, entity: str, called: str
) -> None:
    configuration = load(profile="iconnect-access", files=(), vocabulary=vocabulary())
    (table,) = [each for each in configuration.entities if each.name == entity]
    allowed = {
        (uid, syntax)
        for service in table.services
        if service.service == "storage"
        for uid in service.sop_classes
        for syntax in VIEWER_SETS[service.name]
    }
    classes = {uid for uid, _ in allowed}
    assert len(classes) == 34
    pairs = [(uid, syntax) for uid in sorted(classes) for syntax in EVERY_SYNTAX]
    with ProfileNode(tmp_path, "iconnect-access", ["VIEWER", "TRANSFER", "PRECACHE"]) as node:
        found = results(node.ports[entity], called, pairs)
        assert {pair for pair, result in found.items() if result == 0} == allowed
        assert set(found.values()) == {0, 4}
        enhanced_us = "1.2.840.10008.5.1.4.1.1.6.2"
        assert results(node.ports[entity], called, [(enhanced_us, EXPLICIT)]) == {
            (enhanced_us, EXPLICIT): 3
        }
        if entity == "VIEWER":
            # What it did not ask for is refused, and nothing of it is kept (IC-27).
            assert store_all(node.ports[entity], (1, CT), called=called) == [0x0124]
            assert not node.objects()
            return
        sent = store_pairs(node.ports[entity], [(CT, RLE), (CT, jpeg(70))], called=called)
        assert {data_set_bytes(path) for path in node.objects()} == set(sent.values())


def test_ic_13_the_transfer_entity_takes_all_ninety_nine(tmp_path: Path) -> None:
    classes = (
        *classes_of("iconnect-access", "storage", "TRANSFER"),
        *classes_of("iconnect-access", "non-patient-object-storage", "TRANSFER"),
    )
    assert len(classes) == 99
    with ProfileNode(tmp_path, "iconnect-access", ["VIEWER", "TRANSFER", "PRECACHE"]) as node:
        port = node.ports["TRANSFER"]
        found = results(port, "TRF_VIEWER", [(uid, EXPLICIT) for uid in classes])
        assert set(found.values()) == {0}
        assert len(found) == 99
        odd = [(CT, jpeg(80)), ("1.2.3.4", EXPLICIT)]
        assert list(results(port, "TRF_VIEWER", odd).values()) == [4, 3]


def test_mx_01_each_entity_of_mxview_takes_its_own_classes_only(tmp_path: Path) -> None:
    storage = classes_of("mxview", "storage", "DS")
    assert len(storage) == 8
    verification = "1.2.840.10008.1.1"
    commitment = "1.2.840.10008.1.20.1"
    every = (*storage, verification, commitment, ENHANCED_CT, *QUERY_RETRIEVE)
    expected = {
        "DS": {*storage, verification, STUDY_ROOT_FIND, STUDY_ROOT_MOVE},
        "MS": {*storage, verification},
        "SC": {verification, commitment},
    }
    peer = '[[peer]]\nname = "RAWPEER"\n'
    with ProfileNode(tmp_path, "mxview", expected, peer) as node:
        for entity, wanted in expected.items():
            found = results(node.ports[entity], entity, [(uid, EXPLICIT) for uid in every])
            assert {uid for (uid, _), result in found.items() if result == 0} == wanted, entity


def test_mx_02_big_endian_is_chosen_first_then_explicit_and_nothing_compressed(
    tmp_path: Path,
) -> None:
    liked = (BIG_ENDIAN, EXPLICIT, IMPLICIT)
    offers = [order for count in (1, 2, 3) for order in permutations(liked, count)]
    peer = '[[peer]]\nname = "RAWPEER"\n'
    with ProfileNode(tmp_path, "mxview", ["DS", "MS", "SC"], peer) as node:
        for entity, sop_class in (("DS", CT), ("MS", CT), ("SC", "1.2.840.10008.1.20.1")):
            with RawPeer.connect(node.ports[entity]) as raw:
                accept = raw.associate(
                    proposed_context(99, sop_class, jpeg(70)),
                    *(
                        proposed_context(2 * at + 1, sop_class, *offer)
                        for at, offer in enumerate(offers)
                    ),
                    called=entity,
                )
                answers = context_results(accept)
                raw.release()
            assert answers.pop(99)[0] == 4
            assert list(answers.values()) == [
                (0, next(each for each in liked if each in offer)) for offer in offers
            ]
    assert len(offers) == 15


def test_mx_22_two_titles_are_two_archives(tmp_path: Path) -> None:
    peer = '[[peer]]\nname = "RAWPEER"\n'
    with ProfileNode(tmp_path, "mxview", ["DS", "MS", "SC"], peer) as node:
        store_pairs(node.ports["DS"], [(CT, EXPLICIT)], called="DS")
        assert len(node.ask("studies", archive="disk")["items"]) == 1
        assert node.ask("studies", archive="memory")["items"] == []


def test_cd_17_the_profile_has_all_forty_nine_classes() -> None:
    classes = (
        *classes_of("cdac-sdk", "storage"),
        *classes_of("cdac-sdk", "non-patient-object-storage"),
    )
    assert len(classes) == 49
    assert all(uid in SOP_CLASSES for uid in classes)


def test_cd_10_14_24_queries_and_retrievals_of_the_sdk_are_for_peers_under_our_title(
    tmp_path: Path,
) -> None:
    services = ("query", "move", "get", "instance-move", "instance-get", "get-without-bulk-data")
    classes = [uid for name in services for uid in classes_of("cdac-sdk", name)]
    assert {*QUERY_RETRIEVE} < {*classes}
    assert len(classes) == 6 + 3
    others = [
        uid
        for name in ("non-patient-query", "non-patient-move", "non-patient-get")
        for uid in classes_of("cdac-sdk", name)
    ]
    assert len(others) == 15
    peer = '[[peer]]\nname = "RAWPEER"\n'
    with ProfileNode(tmp_path, "cdac-sdk", ["CDAC"], peer) as node:
        port = node.ports["CDAC"]
        pairs = [(uid, EXPLICIT) for uid in (*classes, *others)]
        assert set(results(port, "CDAC", pairs).values()) == {0}
        elsewhere = results(port, "ANYBODY", pairs)
        refused = {uid for (uid, _), result in elsewhere.items() if result}
        assert refused == {*QUERY_RETRIEVE}, "storage takes any title, queries only ours"
