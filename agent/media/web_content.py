"""The web content of a medium (IHE Portable Data for Imaging): pictures and pages for a browser.

It lies outside of the folder with the DICOM files, under names of ISO 9660 Level 1, and no
directory leads to it. Pages of series grow with each object; the others are written at the end.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

from agent.dataset.whole_write import sync_folder
from agent.errors import GantryError, LocalError
from agent.media.contents import Patient, Patients, Series, Study, placed
from agent.media.examining import Examined, examined
from agent.media.file_ids import DICOMDIR, FileNames, open_file
from agent.media.found import FoundInstance
from agent.media.icons import picture_of
from agent.media.web_pages import (
    INDEX,
    PICTURES,
    README,
    About,
    Picture,
    SeriesPage,
    pictures_page,
    readme,
    root_page,
    series_entry,
    series_head,
    series_tail,
)
from agent.quoting import quoted

NAMES = (README, INDEX, PICTURES)
"""All that there is of it in the root."""
MOST_OF_AN_IMAGE = 48 << 10
"""Bytes that an image takes beside itself, its picture and its place in a page: more than most."""

_SIDE = 256


def check_room_for_pages(folder: Path) -> None:
    """Raises LocalError where something of these names is there already: it stays as it is."""
    for name in NAMES:
        if os.path.lexists(folder / name) or FileNames(folder).real_name(name) is not None:
            raise LocalError(
                f"{quoted(folder)} has {quoted(name)} already.",
                value=str(folder / name),
                way_out="Take another folder, or leave the web pages out (--web).",
            )


def remove_pages(folder: Path) -> None:
    """All that a `WebContent` can have left in a folder. Raises OSError."""
    for name in (README, INDEX):
        (folder / name).unlink(missing_ok=True)
    if (folder / PICTURES).is_dir():
        shutil.rmtree(folder / PICTURES)


class WebContent:
    """Pages that are being made; `finish` writes the last of them.

    Memory: half a KiB for each series, and for each image a codec's working set while its picture
    is made. All raise OSError where the medium cannot be written.
    """

    def __init__(self, folder: Path, about: About) -> None:
        """Raises LocalError where the folder has such pages already."""
        if folder.is_dir():
            check_room_for_pages(folder)
        self._folder = folder
        self._about = about
        self._patients: Patients = {}
        self._pages: dict[int, SeriesPage] = {}
        self._is_finished = False

    def __enter__(self) -> WebContent:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Without `finish` before, nothing is left of it."""
        if not self._is_finished and self._pages:
            remove_pages(self._folder)

    def add(self, path: Path, file_id: str) -> None:
        """An object of the medium, from the Part 10 file that it is a copy of.

        One of which no picture can be made is listed without. Raises GantryError for what is no
        DICOM file.
        """
        descriptor = open_file(path)
        try:
            found = examined(descriptor)
            patient, study, series = placed(self._patients, _as_found(found, file_id))
            page = self._page_of(patient, study, series)
            picture = self._picture(descriptor, found, f"{page.folder}/I{series.count:07}.JPG")
        finally:
            os.close(descriptor)
        if page.first is None and picture is not None:
            self._pages[id(series)] = page._replace(first=picture)
        entry = series_entry(found.keys.get("InstanceNumber", ""), file_id, picture)
        with self._opened(f"{PICTURES}/{page.folder}/{INDEX}", "a") as file:
            file.write(entry)

    def finish(self) -> Iterator[str]:
        """Write what is missing; the names of all files, with "/", when they are on the medium."""
        has_directory = FileNames(self._folder).real_name(DICOMDIR) is not None
        patients = self._patients.values()
        for page in self._pages.values():
            with self._opened(f"{PICTURES}/{page.folder}/{INDEX}", "a") as file:
                file.write(series_tail())
        (self._folder / PICTURES).mkdir(exist_ok=True)
        self._write(f"{PICTURES}/{INDEX}", pictures_page(self._about, patients, self._pages))
        self._write(README, (readme(self._about, has_directory),))
        self._write(INDEX, root_page(self._about, patients, has_directory))
        yield from self._synced()
        self._is_finished = True

    def _page_of(self, patient: Patient, study: Study, series: Series) -> SeriesPage:
        page = self._pages.get(id(series))
        if page is None:
            page = self._pages[id(series)] = SeriesPage(f"S{len(self._pages) + 1:07}", None)
            (self._folder / PICTURES / page.folder).mkdir(parents=True)
            self._write(f"{PICTURES}/{page.folder}/{INDEX}", (series_head(patient, study, series),))
        return page

    def _picture(self, descriptor: int, found: Examined, name: str) -> Picture | None:
        try:
            pieces, width, height = picture_of(descriptor, found.meta, _SIDE)
            jpeg = b"".join(pieces)
        except GantryError:
            return None
        (self._folder / PICTURES / name).write_bytes(jpeg)
        return Picture(name.rpartition("/")[2], width, height)

    def _write(self, name: str, texts: Iterable[str]) -> None:
        with self._opened(name, "w") as file:
            file.writelines(texts)

    def _opened(self, name: str, mode: str) -> IO[str]:
        return (self._folder / name).open(mode, encoding="utf-8", newline="")

    def _synced(self) -> Iterator[str]:
        for place in (self._folder / PICTURES).iterdir():
            if place.is_dir():
                for file in sorted(place.iterdir()):
                    yield self._on_disk(file)
                sync_folder(place)
        yield self._on_disk(self._folder / PICTURES / INDEX)
        sync_folder(self._folder / PICTURES)
        for name in (README, INDEX):
            yield self._on_disk(self._folder / name)
        sync_folder(self._folder)

    def _on_disk(self, path: Path) -> str:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return str(path.relative_to(self._folder))


def _as_found(found: Examined, file_id: str) -> FoundInstance:
    return FoundInstance(
        file_id, found.sop_class_uid, found.sop_instance_uid, found.transfer_syntax_uid, found.keys
    )
