"""Pages for a web browser, and icons, on media that a node makes: exports and media creation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import GantryError
from agent.workflow.export_unfinished import Unfinished
from tests.media.instances import save
from tests.media.test_icons import angiogram, icon_in, images_of
from tests.media.test_writing import judged
from tests.media.web_judging import browsed
from tests.node.media_device import asked, media_node, over, request_for, stored
from tests.node.running import NodeProcess
from tests.node.test_export import a_mixture, begin, completed, files_on, image_files
from tests.node.test_media_creation import media_of
from tests.peers.dcmtk import dcmsend

pytestmark = pytest.mark.peer

SAID = """
[media_pages]
enabled = true
institution = "General <Hospital>"
contact = "Telephone 555 0100"
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path_factory.mktemp("pages") / "node", SAID) as running:
        a_mixture(running, tmp_path_factory.mktemp("in"))
        yield running


def test_an_export_has_pages_where_the_configuration_says_so(
    node: NodeProcess, tmp_path: Path
) -> None:
    completed(node, tmp_path / "set", date_from="1900")
    judged(tmp_path / "set")
    assert len(files_on(tmp_path / "set")) == 9
    pages = browsed(tmp_path / "set")
    assert "General <Hospital>" in pages["INDEX.HTM"].text
    assert "Telephone 555 0100" in (tmp_path / "set" / "README.TXT").read_text()
    with pytest.raises(GantryError, match="with a new file-set only"):
        begin(node, tmp_path / "set", date_from="1900", update=True, pages=True)
    completed(node, tmp_path / "set", date_from="1900", update=True)


def test_an_export_has_none_where_a_person_does_not_want_them(
    node: NodeProcess, tmp_path: Path
) -> None:
    completed(node, tmp_path / "set", date_from="1900", pages=False, icons=True)
    assert {each.name for each in (tmp_path / "set").iterdir()} == {"DICOM", "DICOMDIR"}
    assert b"\x88\x00\x00\x02SQ" in (tmp_path / "set" / "DICOMDIR").read_bytes()


def test_an_image_of_a_disc_has_them_too(node: NodeProcess, tmp_path: Path) -> None:
    image = tmp_path / "cd.iso"
    completed(node, image, date_from="1900", kind="image", profile="STD-GEN-CD", pages=True)
    out = image_files(image, tmp_path / "out")
    judged(out)
    assert len(browsed(out)) == 10


def test_plain_files_have_them_without_a_directory(node: NodeProcess, tmp_path: Path) -> None:
    completed(node, tmp_path / "set", date_from="1900", profile="NONE", pages=True)
    assert "DICOMDIR" not in browsed(tmp_path / "set")["INDEX.HTM"].links
    assert "DICOMDIR" not in (tmp_path / "set" / "README.TXT").read_text()


def test_pages_of_others_are_in_the_way_and_stay(node: NodeProcess, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "INDEX.HTM").write_text("mine")
    with pytest.raises(GantryError, match=r"has INDEX\.HTM already"):
        begin(node, folder, date_from="1900")
    assert [each.name for each in folder.iterdir()] == ["INDEX.HTM"]


def test_media_creation_follows_include_non_dicom_objects_and_the_profile(tmp_path: Path) -> None:
    """PS3.4 S.3.2.1.1.7, PS3.11 A.3."""
    with media_node(tmp_path) as node:
        images = stored(node, tmp_path / "in", 2)
        for said, wanted in (("YES", True), ("NO", False), ("", False)):
            more = {"IncludeNonDICOMObjects": said} if said else {}
            uid = asked(node, request_for(images, "STD-GEN-CD", **more))
            assert over(node, uid).ExecutionStatus == "DONE"
            folder = media_of(node, uid) / "volume-1"
            judged(folder)
            assert (folder / "INDEX.HTM").exists() is wanted
            if wanted:
                browsed(folder)
        small, large = angiogram(901, 64), angiogram(902, 1024)
        dcmsend(
            node.port, *(save(each, tmp_path / f"{each.Rows}") for each in (small, large))
        ).check()
        uid = asked(node, request_for([small], "STD-XABC-CD"))
        assert over(node, uid).ExecutionStatus == "DONE"
        (record,) = images_of(media_of(node, uid) / "volume-1" / "DICOMDIR")
        assert icon_in(record).shape == (128, 128)
        refused = over(node, asked(node, request_for([small, large], "STD-XABC-CD")))
        assert refused.ExecutionStatusInfo == "INST_AP_CONFLICT"
        (failure,) = refused.FailedSOPSequence
        assert failure.ReferencedSOPInstanceUID == large.SOPInstanceUID


@pytest.mark.parametrize("pages", [True, False])
def test_pages_of_an_export_that_came_to_nothing_go_and_those_of_others_stay(
    tmp_path: Path, pages: bool
) -> None:
    folder = tmp_path / "set"
    Unfinished(folder, "1", pages=pages).begin()
    (folder / "IHE_PDI" / "S0000001").mkdir(parents=True)
    (folder / "IHE_PDI" / "S0000001" / "I0000001.JPG").write_bytes(b"")
    (folder / "INDEX.HTM").write_text("")
    Unfinished(folder, "1").take_back()
    assert folder.exists() is not pages


def test_angiograms_are_converted_and_have_icons_and_what_is_too_large_is_named(
    node: NodeProcess, tmp_path: Path
) -> None:
    """PS3.11 A.3: lossless JPEG of at most 512 rows, with an icon of 128."""
    of_one = {"PatientID": "XA", "StudyInstanceUID": "1.2.3.9", "SeriesInstanceUID": "1.2.3.9.1"}
    angiograms = [angiogram(901, 64, **of_one), angiogram(902, 1024, **of_one)]
    dcmsend(node.port, *(save(each, tmp_path / f"{each.Rows}") for each in angiograms)).check()
    found = completed(node, tmp_path / "set", patient_id="XA", profile="STD-XABC-CD", pages=False)
    assert (found["converted"], found["failed"]) == (1, 1)
    (failure,) = found["failures"]
    assert "Rows of at most 512, not 1024" in failure["reason"]
    judged(tmp_path / "set")
    (record,) = images_of(tmp_path / "set" / "DICOMDIR")
    assert record.ReferencedTransferSyntaxUIDInFile == "1.2.840.10008.1.2.4.70"
    assert icon_in(record).shape == (128, 128)
