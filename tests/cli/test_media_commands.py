"""`gantry import`, `gantry media devices` and the demo of media, as a person uses them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import generate_uid

from agent.archive.worklist_store import add_entry
from tests.checklists.test_import_integrator import image, medium
from tests.cli_of import gantry
from tests.node.running import free_port
from tests.node.test_examination import Clinic
from tests.node.test_media_watch import media
from tests.node.test_steps import until
from tests.node.test_worklist import entry
from tests.peers.programs import Completed


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    """Whose archive is away."""
    slots = tmp_path / "slots"
    slots.mkdir()
    with Clinic(tmp_path, free_port(), media(slots, "never")) as made:
        add_entry(str(made.worklist), entry(1))
        yield made


@pytest.fixture
def disc(tmp_path: Path) -> Path:
    series = generate_uid()
    return medium(tmp_path / "cd", [image(series, number) for number in range(3)])


def at(clinic: Clinic, *words: Any) -> Completed:
    return gantry(*words, "--control", clinic.box.control)


def test_import_wants_to_know_whose_objects_they_are(clinic: Clinic, disc: Path) -> None:
    refused = at(clinic, "import", disc)
    assert (refused.returncode, "whose the objects are" in refused.output) == (2, True)
    refused = at(clinic, "import", "--unchanged")
    assert (refused.returncode, "what is to be imported" in refused.output) == (2, True)
    refused = at(clinic, "import", disc, "--match")
    assert refused.returncode == 2
    assert "no worklist entry is of the patient" in refused.output
    assert "Choose one: gantry import" in refused.output
    assert at(clinic, "import", "--list").check().output == ""


def test_import_for_an_entry_is_listed_and_can_be_given_up(clinic: Clinic, disc: Path) -> None:
    begun = at(clinic, "import", disc, "--entry", "AccessionNumber=A1").check().output
    assert "of P1 Müller^Jörg1" in begun

    def items() -> list[dict[str, Any]]:
        said = at(clinic, "import", "--list", "--json").check().output
        return list(json.loads(said)["items"])

    until(lambda: items()[0]["copied"], lambda: clinic.box.log)
    assert "copied, being delivered: 3 objects" in at(clinic, "import", "--list").check().output
    at(clinic, "import", "--stop", "1", "--reason", "110514").check()
    until(lambda: items()[0]["state"] == "DISCONTINUED", lambda: clinic.box.log)
    assert "discontinued: 3 objects" in at(clinic, "import", "--list").check().output


def test_import_for_a_patient_goes_under_that_name(clinic: Clinic, disc: Path) -> None:
    at(clinic, "import", disc, "--as", "PatientID=4711", "PatientName=Doe^Jane").check()
    until(
        lambda: (
            "4711" in at(clinic, "studies").check().output
            and "Doe^Jane" in at(clinic, "studies").check().output
        ),
        lambda: clinic.box.log,
    )


def test_media_are_listed_and_let_go(clinic: Clinic, disc: Path, tmp_path: Path) -> None:
    assert at(clinic, "media", "devices").check().output == "no media\n"
    disc.rename(tmp_path / "slots" / "STICK")
    until(lambda: "mounted" in at(clinic, "media", "devices").output)
    assert "STICK" in at(clinic, "media", "devices").check().output
    assert "safe to remove" in at(clinic, "media", "release", "STICK").check().output
    assert at(clinic, "media", "release", "ANOTHER").returncode == 2


def test_the_demo_of_media_ends_well() -> None:
    said = gantry("demo", "--media").check().output
    assert "4 objects of Doe^Jane, no fault" in said
