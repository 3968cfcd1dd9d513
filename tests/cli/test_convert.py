"""`gantry convert`: files and folders, what is passed over, and what is never touched."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest

from agent.dataset.transfer_syntaxes import RLE_LOSSLESS
from tests.cli_of import gantry

SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in"
    (made / "deeper").mkdir(parents=True)
    shutil.copy(SAMPLES / "CT_small.dcm", made / "a.dcm")
    shutil.copy(SAMPLES / "MR_small.dcm", made / "deeper" / "b.dcm")
    shutil.copy(SAMPLES / "dicomdirtests" / "DICOMDIR", made / "DICOMDIR")
    (made / "notes.txt").write_text("not an image")
    return made


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_folder_keeps_its_shape(folder: Path, tmp_path: Path, jobs: str) -> None:
    out = tmp_path / "out"
    done = gantry("convert", str(folder), str(out), "--to", "rle", "--jobs", jobs)
    assert done.returncode == 0, done.output
    assert "2 converted, 0 failed, 2 passed over" in done.output
    assert {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()} == {
        "a.dcm",
        "deeper/b.dcm",
    }
    for name, original in (("a.dcm", "CT_small.dcm"), ("deeper/b.dcm", "MR_small.dcm")):
        made = pydicom.dcmread(out / name)
        assert made.file_meta.TransferSyntaxUID == RLE_LOSSLESS
        assert np.array_equal(made.pixel_array, pydicom.dcmread(SAMPLES / original).pixel_array)


def test_a_file_that_is_there_is_replaced_only_by_force(folder: Path, tmp_path: Path) -> None:
    source, target = str(folder / "a.dcm"), tmp_path / "out.dcm"
    target.write_text("precious")
    done = gantry("convert", source, str(target), "--to", "rle")
    assert done.returncode == 1 and "--force replaces it" in done.output
    assert target.read_text() == "precious"
    assert gantry("convert", source, str(target), "--to", "rle", "--force").returncode == 0
    assert pydicom.dcmread(target).file_meta.TransferSyntaxUID == RLE_LOSSLESS


def test_a_damaged_file_leaves_nothing_behind(folder: Path, tmp_path: Path) -> None:
    data = (SAMPLES / "MR_small_RLE.dcm").read_bytes()
    cut = data[: len(data) // 2] + b"\xfe\xff\xdd\xe0\0\0\0\0"
    (folder / "a.dcm").write_bytes(cut)
    out = tmp_path / "out" / "a.dcm"
    done = gantry("convert", str(folder / "a.dcm"), str(out), "--to", "explicit")
    assert done.returncode == 1 and "a.dcm: " in done.output
    assert not list(out.parent.iterdir())


@pytest.mark.parametrize(
    "words, complaint",
    [
        (["--to", "jpeg-none"], "is no transfer syntax"),
        (["--to", "rle", "--quality", "101"], "quality is a number from 1 to 100"),
        ([], "--to"),
    ],
)
def test_wrong_usage_is_told(
    folder: Path, tmp_path: Path, words: list[str], complaint: str
) -> None:
    done = gantry("convert", str(folder), str(tmp_path / "out"), *words)
    assert done.returncode == 2 and complaint in done.output


def test_a_source_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = gantry("convert", str(tmp_path / "none"), str(tmp_path / "out"), "--to", "rle")
    assert done.returncode == 1 and "is not there" in done.output
