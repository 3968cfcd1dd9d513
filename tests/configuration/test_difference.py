"""What a reload changes."""

from __future__ import annotations

import pytest

from agent.configuration.configuration import Configuration
from agent.configuration.difference import Changes, Differences, differences
from agent.configuration.load import load
from tests.configuration.words import VOCABULARY

BASE = (
    'peer.A={addresses=["192.0.2.1:104"]}',
    'peer.B={addresses=["192.0.2.2:104"]}',
    'route.r.deliver=["A"]',
    'entity.SECOND={port=11113, service=[{name="verification"}]}',
)


def configured(*overrides: str) -> Configuration:
    return load("gateway", files=[], overrides=(*BASE, *overrides), vocabulary=VOCABULARY)


def test_nothing_differs_from_itself() -> None:
    found = differences(configured(), configured())
    assert found == Differences()
    assert not found


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (
            "entity.SECOND.port=11114",
            Differences(entities=Changes(changed=("SECOND",)), reopen=("SECOND",)),
        ),
        (
            "entity.GANTRY.socket.backlog=9",
            Differences(entities=Changes(changed=("GANTRY",)), reopen=("GANTRY",)),
        ),
        ("entity.GANTRY.maximum_pdu=16384", Differences(entities=Changes(changed=("GANTRY",)))),
        ("entity.SECOND.enabled=false", Differences(entities=Changes(removed=("SECOND",)))),
        ("peer.A.window.associations=3", Differences(peers=Changes(changed=("A",)))),
        ("peer.B.enabled=false", Differences(peers=Changes(removed=("B",)))),
        ("peer.C.title=SEE", Differences(peers=Changes(added=("C",)))),
        ("route.r.priority=1", Differences(routes=True)),
        ("log.level=debug", Differences(sections=("log",))),
        ("archive.main.quota=1 GiB", Differences(archives=Changes(changed=("main",)))),
        (
            "archive.main.folder=/srv/x",
            Differences(archives=Changes(changed=("main",)), restart=("archive.main.folder",)),
        ),
        ("loop.turn_budget=0.02", Differences(sections=("loop",), restart=("loop.turn_budget",))),
        ("folder.drop.path=/srv/drop", Differences(folders=Changes(added=("drop",)))),
        ("capture.video.kind=simulator", Differences(captures=Changes(added=("video",)))),
    ],
)
def test_one_changed_key_is_found_in_its_part(override: str, expected: Differences) -> None:
    key, _, value = override.partition("=")
    quoted = override if " " not in value else f'{key}="{value}"'
    found = differences(configured(), configured(quoted))
    assert found == expected
    assert found
