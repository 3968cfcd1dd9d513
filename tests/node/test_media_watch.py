"""Media that come and go at a running node: mounted, imported by themselves, pulled, let go."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import FileDataset, dcmread
from pydicom.uid import generate_uid

from agent.archive.worklist_store import add_entry
from agent.errors import GantryError
from tests.checklists.test_import_integrator import image, medium
from tests.node.test_examination import Clinic
from tests.node.test_steps import until
from tests.node.test_worklist import entry
from tests.peers.dcmtk import DcmtkStoreScp
from tests.peers.programs import program, run

PERSON = {"PatientID": "F-99", "PatientName": "Fremd^Frieda", "PatientBirthDate": "19700101"}


def media(folder: Path, imports: str, labels: str = '["*"]') -> str:
    return (
        f'[[media]]\nname = "slots"\nkind = "simulator"\nimport = "{imports}"\nlabels = {labels}\n'
        f'[media.settings]\nfolder = "{folder}"\n'
    )


@pytest.fixture
def pacs(tmp_path: Path, start_peer: Any) -> Any:
    return start_peer(DcmtkStoreScp(tmp_path / "pacs"))


@pytest.fixture
def slots(tmp_path: Path) -> Path:
    folder = tmp_path / "slots"
    folder.mkdir()
    return folder


@pytest.fixture
def clinic(tmp_path: Path, pacs: Any, slots: Path, request: Any) -> Iterator[Clinic]:
    with Clinic(tmp_path, pacs.port, media(slots, *request.param)) as made:
        add_entry(str(made.worklist), entry(1, **PERSON))
        made.box.ask("worklist", refresh=True)
        yield made


def there(clinic: Clinic) -> list[dict[str, Any]]:
    return list(clinic.box.ask("media")["items"])


def wait_for(clinic: Clinic, state: str, seconds: float = 20.0) -> dict[str, Any]:
    until(
        lambda: [each["state"] for each in there(clinic)] == [state],
        lambda: f"{there(clinic)}\n{clinic.box.log[-3000:]}",
        seconds,
    )
    return there(clinic)[0]


@pytest.mark.parametrize("clinic", [("unchanged", '["*"]\nwritable = true')], indirect=True)
def test_a_stick_with_nothing_to_import_waits_for_a_study(clinic: Clinic, slots: Path) -> None:
    (slots / "EMPTY").mkdir()
    wait_for(clinic, "mounted")
    until(lambda: "medium came" in clinic.box.log, lambda: clinic.box.log)
    time.sleep(2.0)
    seen = wait_for(clinic, "mounted")
    assert seen["folder"] and not clinic.box.ask("import-list")["items"]
    clinic.box.ask("media-release", name="EMPTY")
    assert wait_for(clinic, "safe to remove")["folder"] == ""


def images(count: int = 4) -> list[FileDataset]:
    series = generate_uid()
    return [image(series, number) for number in range(count)]


@pytest.mark.parametrize("clinic", [("match",)], indirect=True)
def test_a_stick_imports_by_itself_once_and_is_safe_to_remove(
    clinic: Clinic, pacs: Any, slots: Path, tmp_path: Path
) -> None:
    made = images()
    stick = medium(tmp_path / "stick", made)
    stick.rename(slots / "STICK")
    seen = wait_for(clinic, "safe to remove")
    assert (seen["name"], seen["why"], seen["folder"]) == ("STICK", "", "")
    received = {str(dcmread(each).SOPInstanceUID) for each in pacs.wait_for_files(len(made))}
    assert received == {str(each.SOPInstanceUID) for each in made}
    until(lambda: len(clinic.steps.said) == 2, lambda: clinic.box.log)
    (slots / "STICK").rename(stick)
    until(lambda: not there(clinic), lambda: clinic.box.log)
    stick.rename(slots / "STICK")
    wait_for(clinic, "safe to remove")
    assert len(clinic.box.ask("import-list")["items"]) == 1
    assert clinic.box.ask("studies")["items"][0]["instances"] == len(made)


@pytest.mark.parametrize("clinic", [("match", '["HOSPITAL*"]')], indirect=True)
def test_a_stick_that_is_not_named_waits_for_a_person(
    clinic: Clinic, slots: Path, tmp_path: Path
) -> None:
    medium(tmp_path / "stick", images()).rename(slots / "PRIVATE")
    seen = wait_for(clinic, "mounted")
    assert clinic.box.ask("import-list")["items"] == []
    (begun,) = clinic.box.ask(
        "import-begin", root=seen["folder"], entry={"ScheduledProcedureStepID": "SPS1"}
    )["items"]
    until(
        lambda: clinic.box.ask("import-list")["items"][0]["state"] == "COMPLETED",
        lambda: clinic.box.log,
    )
    assert clinic.box.ask("import-list")["items"][0]["id"] == begun["id"]
    with pytest.raises(GantryError, match="there is no medium NOTHING"):
        clinic.box.ask("media-release", name="NOTHING")
    assert clinic.box.ask("media-release", name="PRIVATE")["state"] == "safe to remove"


@pytest.mark.parametrize("clinic", [("match",)], indirect=True)
def test_studies_of_nobody_in_the_worklist_are_not_imported_and_said(
    clinic: Clinic, slots: Path, tmp_path: Path
) -> None:
    known = images(2)
    other = image(generate_uid(), 9, PatientID="G-1", StudyInstanceUID=generate_uid())
    medium(tmp_path / "stick", [*known, other]).rename(slots / "STICK")
    until(
        lambda: [each["why"] for each in there(clinic)] not in ([], [""]),
        lambda: clinic.box.log,
    )
    (seen,) = there(clinic)
    assert seen["state"] == "mounted"
    assert "no worklist entry is of the patient G-1" in seen["why"]
    assert clinic.box.ask("studies")["items"][0]["instances"] == len(known)


@pytest.mark.parametrize("clinic", [("unchanged",)], indirect=True)
def test_a_stick_that_is_pulled_goes_on_when_it_is_back(
    clinic: Clinic, slots: Path, tmp_path: Path
) -> None:
    made = images(150)
    stick = medium(tmp_path / "stick", made)
    stick.rename(slots / "STICK")
    until(
        lambda: [each["objects"] > 5 for each in clinic.box.ask("import-list")["items"]] == [True],
        lambda: clinic.box.log,
    )
    (slots / "STICK").rename(stick)
    until(lambda: not there(clinic), lambda: clinic.box.log)
    until(
        lambda: clinic.box.ask("import-list")["items"][0]["waits"],
        lambda: clinic.box.log,
    )
    assert "medium pulled" in clinic.box.log
    stick.rename(slots / "STICK")
    wait_for(clinic, "safe to remove", 60)
    (over,) = clinic.box.ask("import-list")["items"]
    assert (over["objects"], over["failed"]) == (150, 0)


@pytest.mark.parametrize("clinic", [("unchanged",)], indirect=True)
def test_a_medium_that_was_mounted_by_a_killed_node_is_used_by_the_next(
    clinic: Clinic, slots: Path, tmp_path: Path
) -> None:
    stick = medium(tmp_path / "stick", images(100))
    stick.rename(slots / "STICK")
    until(lambda: clinic.box.ask("import-list")["items"], lambda: clinic.box.log)
    clinic.box.kill()
    with (slots / "STICK" / "DICOMDIR").open("rb"):
        # As an import has a file open that goes on before the medium is seen.
        clinic.box.start()
        until(lambda: clinic.box.ask("import-list")["items"][0]["objects"] == 100, str, 60)
    wait_for(clinic, "safe to remove", 60)
    (over,) = clinic.box.ask("import-list")["items"]
    assert (over["objects"], over["failed"]) == (100, 0)


@pytest.mark.parametrize("clinic", [("unchanged",)], indirect=True)
def test_a_disc_image_is_imported_and_pushed_out(
    clinic: Clinic, pacs: Any, slots: Path, tmp_path: Path
) -> None:
    made = images(3)
    tree = medium(tmp_path / "tree", made)
    disc = tmp_path / "DISC.iso"
    run(
        [
            program("xorriso", "xorriso"),
            *("-as", "mkisofs", "-quiet", "-V", "DISC", "-o", str(disc), str(tree)),
        ]
    ).check()
    disc.rename(slots / "DISC.iso")
    assert len(pacs.wait_for_files(len(made))) == len(made)
    until(lambda: "medium went" in clinic.box.log, lambda: clinic.box.log)
    assert not (slots / "DISC.iso").exists()


@pytest.mark.parametrize("clinic", [("unchanged", '["HOSPITAL*"]')], indirect=True)
def test_an_export_to_a_stick_that_is_pulled_goes_on_when_it_is_back(
    clinic: Clinic, slots: Path, tmp_path: Path
) -> None:
    series, large = generate_uid(), {"Rows": 1024, "Columns": 512, "PixelData": bytes(1 << 20)}
    made = [image(series, number, **large) for number in range(24)]
    medium(tmp_path / "stick", made).rename(slots / "HOSPITAL")
    wait_for(clinic, "safe to remove", 60)
    (slots / "HOSPITAL").rename(tmp_path / "other")
    until(lambda: not there(clinic), lambda: clinic.box.log)
    configuration = clinic.box.configuration.read_text()
    clinic.box.configuration.write_text(
        configuration.replace('labels = ["HOSPITAL*"]', 'labels = ["HOSPITAL*"]\nwritable = true')
    )
    clinic.box.ask("reload")
    (slots / "STICK").mkdir()
    folder = Path(wait_for(clinic, "mounted", 60)["folder"])
    # A folder of it: what simulates a stick cannot be told from one that was made in its place.
    begun = clinic.box.ask("export-begin", target=str(folder / "SET"), date_from="19000101")

    def export() -> dict[str, Any]:
        return next(
            each for each in clinic.box.ask("export-list")["items"] if each["id"] == begun["id"]
        )

    def said() -> str:
        return f"{export()}\n{clinic.box.log[-3000:]}"

    until(lambda: export()["now"] > 3, said, 60)
    (slots / "STICK").rename(tmp_path / "stick")
    until(lambda: export()["waits"], said, 60)
    (tmp_path / "stick").rename(slots / "STICK")
    until(lambda: export()["state"] == "COMPLETED", said, 60)
    assert export()["copied"] == 24
    assert clinic.box.ask("media-release", name="STICK")["state"] == "safe to remove"
    assert (slots / "STICK" / "SET" / "DICOMDIR").exists()
