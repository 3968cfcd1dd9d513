"""The first file of `config init` and the reference of all keys."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import pytest

from agent.configuration.configuration import Configuration, Origin
from agent.configuration.deidentification import Mask
from agent.configuration.document import first_file, reference, with_reference
from agent.configuration.key import keys_of
from agent.configuration.load import load
from agent.configuration.rendering import render
from agent.configuration.route import Change, Condition
from tests.configuration.test_keys import ALL
from tests.configuration.words import VOCABULARY, load_text

README = Path(__file__).parents[2] / "profiles" / "README.md"
COMMENTED_KEY = re.compile(r"(?m)^#(?=[a-z_\[])")


@pytest.mark.parametrize("profile", ["gateway", "capture-station"])
def test_the_first_file_is_valid_and_changes_nothing_of_its_profile(
    tmp_path: Path, profile: str
) -> None:
    configuration = load_text(tmp_path, first_file(profile))
    expected = load(profile, files=[], vocabulary=VOCABULARY)
    assert replace(configuration, origin=expected.origin) == expected


def test_the_first_file_is_valid_with_every_key_uncommented(tmp_path: Path) -> None:
    text = COMMENTED_KEY.sub("", first_file())
    configuration = load_text(tmp_path, text)
    assert configuration.peers[0].addresses
    assert configuration.routes[0].deliver == ("PACS",)
    assert configuration.node == Configuration().node
    assert configuration.limits == Configuration().limits
    assert configuration.entities[0].limits == type(configuration.entities[0].limits)()


def test_the_first_file_shows_every_key_and_no_other() -> None:
    text = first_file()
    for kind, key in ALL:
        # Conditions, changes and masks are shown by an example of a list of them.
        if kind not in (Condition, Change, Mask) and key.name not in ("profile", "description"):
            assert re.search(rf"(?m)^#.*\b{key.name}\b", text), f"{kind.__name__}.{key.name}"
    tree = tomllib.loads(COMMENTED_KEY.sub("", text))
    assert set(tree) - {"profile"} < set(keys_of(Configuration))
    assert all(len(line) <= 100 for line in text.splitlines())


def test_the_reference_in_the_readme_of_the_profiles_is_what_the_keys_declare() -> None:
    text = README.read_text("utf-8")
    assert text == with_reference(text), (
        "run: python -m agent.configuration.document profiles/README.md"
    )


def test_the_reference_has_a_row_for_every_key() -> None:
    rows = re.findall(r"(?m)^\| `([^`]+)` \|", reference())
    assert len(rows) == len(ALL)
    assert sorted(rows) == sorted(key.name for _, key in ALL)


def test_a_text_without_marks_is_left_alone() -> None:
    with pytest.raises(ValueError, match="marks"):
        with_reference("# Profiles\n")


# `config show`


@pytest.mark.parametrize("profile", ["gateway", "capture-station"])
@pytest.mark.parametrize("defaults", [True, False])
def test_what_is_shown_can_be_loaded_and_means_the_same(
    tmp_path: Path, profile: str, defaults: bool
) -> None:
    configuration = load(
        profile,
        files=[],
        overrides=[
            'peer.PACS={addresses=["192.0.2.1:104", "[::1]:104"], tls={certificate="/c.pem"}}',
            "peer.PACS.retry.first=7.5",
            'peer.PACS.tls.passphrase={credential="pin"}',
            'route.r={deliver=["PACS"], change=[{attribute="PatientID", map={"a b"="\\"c\\""}}]}',
            'route.r.match.attribute=[{attribute="0009,1001", regex="A\\\\d", not=true}]',
            "entity.GANTRY.status.disk_full=A701",
            "node.control_mode='0600'",
            "capture.second.settings={width=640, format='rgb'}",
        ],
        vocabulary=VOCABULARY,
    )
    shown = render(configuration, defaults=defaults)
    again = load_text(tmp_path, shown, profile=None)
    assert replace(again, origin=Origin()) == replace(configuration, origin=Origin())


def test_names_are_shown_as_they_were_written(tmp_path: Path) -> None:
    shown = render(load_text(tmp_path, "", profile="gateway"))
    assert 'sop_classes = ["storage-all"]' in shown
    assert 'transfer_syntaxes = ["all"]' in shown


def test_secrets_of_drivers_are_hidden_and_the_place_of_a_secret_is_shown(tmp_path: Path) -> None:
    configuration = load_text(
        tmp_path,
        """
        [[peer]]
        name = "P"
        [peer.tls]
        passphrase = { credential = "key-pin" }
        [[capture]]
        name = "video"
        settings = { user = "me", password = "hunter2", nested = { api_token = "hunter2" } }
        """,
    )
    shown = render(configuration)
    assert "hunter2" not in shown
    assert 'user = "me"' in shown
    assert 'passphrase = { credential = "key-pin" }' in shown


def test_every_field_of_every_section_is_a_declared_key() -> None:
    for kind in {kind for kind, _ in ALL}:
        assert is_dataclass(kind)
        named = {key.field for key in keys_of(kind).values()}
        assert {each.name for each in fields(kind)} - named <= {"origin", "stored"}
