"""README.TXT, INDEX.HTM and pictures for a browser beside a file-set (IHE PDI, RAD-47)."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
from pydicom.fileset import FileSet

from agent.errors import LocalError
from agent.media.application_profiles import profile_of
from agent.media.checking import check
from agent.media.directory_writer import Creator
from agent.media.file_set import FileSetWriter
from agent.media.web_content import WebContent
from agent.media.web_pages import About
from hal.removable.discs import check_names
from tests.cli_of import gantry
from tests.media.instances import CT, ECG, MR, SC, files_of, instance, mixture, save
from tests.media.test_icons import image
from tests.media.test_writing import judged
from tests.media.web_judging import browsed, valid

CREATOR = Creator("1.2.826.0.1.3680043.9.9.100", "TEST", "WRITER")
ABOUT = About(
    "Krankenhaus Süd & Söhne <Radiology>",
    "Main Street 1\nTelephone 555 0100",
    "For <b>you</b> only.",
    file_set_id="DISC_1",
)
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></td></table><h1>",
    "&lt;b&gt;",
    "]]><!--",
    "javascript:alert(1)//",
)


def medium(folder: Path, files: list[Path], about: About = ABOUT) -> Path:
    writer = FileSetWriter(folder, profile_of("STD-GEN-DVD-JPEG"), CREATOR, file_set_id="DISC_1")
    with writer, WebContent(folder, about) as pages:
        for path in files:
            pages.add(path, writer.add(path))
        writer.finish()
        names = list(pages.finish())
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert len(names) == len(set(names))
    assert set(names) == {name for name in there if not name.startswith("DICOM")}
    return folder


@pytest.fixture(scope="module")
def a_medium(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("web")
    return medium(folder / "set", files_of(folder / "in"))


def test_every_link_leads_to_a_file_of_the_medium_and_every_page_is_valid(a_medium: Path) -> None:
    pages = browsed(a_medium)
    assert len(pages) == 2 + 8
    check_names(str(a_medium))
    assert (a_medium / "IHE_PDI" / "S0000001" / "I0000002.JPG").is_file()


def test_the_first_page_says_who_made_it_and_lists_all_that_can_be_imported(a_medium: Path) -> None:
    page = browsed(a_medium)["INDEX.HTM"]
    for wanted in (ABOUT.institution, "Telephone 555 0100", ABOUT.disclaimer):
        assert wanted in page.text
    assert page.links[:3] == ["IHE_PDI/INDEX.HTM", "README.TXT", "DICOMDIR"]
    studies = {(made.PatientID, made.StudyID) for made in mixture()}
    for patient, study in studies:
        assert f"Müller Jürgen, {patient}" in page.text
        assert f"2026-01-02 Study {study}" in page.text


def test_the_readme_is_for_everybody(a_medium: Path) -> None:
    text = (a_medium / "README.TXT").read_bytes()
    assert text.count(b"\n") == text.count(b"\r\n") > 10
    lines = text.decode("utf-8").splitlines()
    for wanted in (ABOUT.institution, "Telephone 555 0100", "Gantry", ABOUT.disclaimer):
        assert wanted in lines
    for name in ("DICOM ", "DICOMDIR ", "INDEX.HTM ", "IHE_PDI ", "README.TXT "):
        assert any(line.startswith(name) for line in lines)


def test_the_file_set_knows_nothing_of_it(a_medium: Path) -> None:
    judged(a_medium)
    assert list(check(a_medium)) == []
    assert len(FileSet(a_medium / "DICOMDIR")) == 9
    directory = (a_medium / "DICOMDIR").read_bytes()
    for name in (b"IHE_PDI", b"INDEX", b"README"):
        assert name not in directory


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_an_object_becomes_markup(tmp_path: Path, text: str) -> None:
    made = instance(
        1,
        CT,
        patient=text[:64],
        PatientName=text,
        StudyDescription=text,
        SeriesDescription=text,
        AccessionNumber=text[:16],
        StudyInstanceUID="1.2.3",
        SeriesInstanceUID="1.2.3.4",
        StudyDate=None,
    )
    made.SpecificCharacterSet = "ISO_IR 192"
    folder = medium(tmp_path / "set", [save(made, tmp_path / "in")], About(text, text, text))
    pages = browsed(folder)
    for page in pages.values():
        assert text.replace("^", " ") in page.text


def test_names_in_several_scripts_are_shown_as_people_write_them(tmp_path: Path) -> None:
    made = instance(1, CT, PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう")
    made.SpecificCharacterSet = "ISO_IR 192"
    folder = medium(tmp_path / "set", [save(made, tmp_path / "in")])
    assert "Yamada Tarou (山田 太郎, やまだ たろう), P1" in browsed(folder)["INDEX.HTM"].text


def test_pictures_are_jpeg_as_others_read_it(tmp_path: Path) -> None:
    codecs = pytest.importorskip("imagecodecs")
    grey = numpy.tile(numpy.linspace(0, 4000, 600).astype("<u2"), (300, 1))
    colour = numpy.zeros((101, 75, 3), "u1")
    colour[:50] = (250, 20, 30)
    files = [
        save(image(1, grey, WindowCenter=2000, WindowWidth=4000), tmp_path / "1"),
        save(image(2, colour, SC), tmp_path / "2"),
    ]
    folder = medium(tmp_path / "set", files) / "IHE_PDI" / "S0000001"
    shown = codecs.jpeg8_decode((folder / "I0000001.JPG").read_bytes())
    assert shown.shape == (128, 256)
    assert numpy.abs(shown[64].astype(int) - numpy.linspace(0, 255, 256)).max() <= 4
    shown = codecs.jpeg8_decode((folder / "I0000002.JPG").read_bytes())
    assert shown.shape == (101, 75, 3)
    assert numpy.abs(shown[20, 30].astype(int) - (250, 20, 30)).max() <= 6
    assert shown[80, 30].max() <= 6


def test_an_object_without_a_picture_is_listed_without(tmp_path: Path) -> None:
    broken = instance(1, MR, Rows=4000)
    files = [save(broken, tmp_path / "1"), save(instance(2, ECG, series=2), tmp_path / "2")]
    folder = tmp_path / "set"
    with WebContent(folder, ABOUT) as pages:
        for number, path in enumerate(files):
            pages.add(path, f"DICOM\\F{number}")
        list(pages.finish())
    assert not list(folder.rglob("*.JPG"))
    for number in (1, 2):
        page = folder / "IHE_PDI" / f"S000000{number}" / "INDEX.HTM"
        valid(page)
        assert "(no picture)" in page.read_text()


def test_nothing_is_left_where_it_is_not_finished(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    path = save(instance(1), tmp_path / "in")
    with pytest.raises(KeyboardInterrupt), WebContent(folder, ABOUT) as pages:
        pages.add(path, "DICOM\\X")
        raise KeyboardInterrupt
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["INDEX.HTM", "index.htm", "README.TXT", "ihe_pdi"])
def test_what_somebody_else_has_put_there_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(LocalError, match="already"):
        WebContent(tmp_path, ABOUT)
    assert (tmp_path / name).read_text() == "mine"


def test_media_create_makes_them_when_it_is_told_to(tmp_path: Path) -> None:
    files_of(tmp_path / "in")
    words = ("media", "create", tmp_path / "set", tmp_path / "in", "--id", "DISC")
    gantry(*words, "--web", "--institution", "Clinic <1>").check()
    assert "Clinic <1>" in browsed(tmp_path / "set")["INDEX.HTM"].text
    secret = tmp_path / "secret"
    secret.write_text("a long enough password")
    refused = gantry(*words[:2], tmp_path / "other", tmp_path / "in", "--web", "--password-file",
                     secret)  # fmt: skip
    assert "the file-set is secure" in refused.output
    assert refused.returncode and not (tmp_path / "other").exists()
