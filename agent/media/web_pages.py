"""The pages of IHE Portable Data for Imaging as text (RAD-47, 4.47.4.1.2.3): README.TXT, INDEX.HTM.

XHTML 1.0 without scripts, styles of others or anything from elsewhere, so that each browser shows
it from the disc. All that comes from objects is escaped; control characters are left out.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from agent.media.contents import Patient, Series, Study

README, INDEX, PICTURES = "README.TXT", "INDEX.HTM", "IHE_PDI"
"""Names in the root; the last is the folder with the pictures."""
LISTED_WIDTH = 128
"""Pixels: how wide and high pictures are at most in a list."""

PRODUCT = "Gantry"

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN"
 "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">
<head>
<meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
<title>{title}</title>
<style type="text/css">
body {{ font-family: sans-serif; margin: 2em; }}
table {{ border-collapse: collapse; }}
th, td {{ border: 1px solid #999; padding: 0.3em 0.6em; text-align: left; vertical-align: top; }}
img {{ border: 0; background: #000; }}
div.image {{ float: left; width: 12em; height: 13em; margin: 0.3em; overflow: hidden; }}
</style>
</head>
<body>
"""
_TAIL = "</body>\n</html>\n"
_LINES = "\r\n"


class About(NamedTuple):
    """What the pages say of who made the medium, each may be "". `contact` and `disclaimer` may
    have several lines."""

    institution: str = ""
    contact: str = ""
    disclaimer: str = ""
    product: str = PRODUCT
    file_set_id: str = ""


class Picture(NamedTuple):
    """A picture of an image: its file, and its size in pixels."""

    file: str
    width: int
    height: int


class SeriesPage(NamedTuple):
    """Where the page of a series is below the folder with the pictures, and its first picture."""

    folder: str
    first: Picture | None


def shown(text: str) -> str:
    """For a page: escaped, on one line, without what is not for the eye."""
    return html.escape("".join(each if each.isprintable() else " " for each in text), quote=True)


def name_of(name: str) -> str:
    """A Person Name as people write it: the other forms of it in brackets (PS3.5 6.2.1)."""
    forms = [" ".join(form.replace("^", " ").split()) for form in name.split("=")]
    first, *others = [form for form in forms if form] or [""]
    return f"{first} ({', '.join(others)})" if others else first


def date_of(date: str) -> str:
    """A DA with hyphens; what is none stays as it is."""
    return f"{date[:4]}-{date[4:6]}-{date[6:]}" if len(date) == 8 and date.isdigit() else date


def _lines(text: str) -> str:
    return "<br />".join(shown(line) for line in text.splitlines())


def _rows(pairs: Iterable[tuple[str, str]]) -> str:
    rows = "".join(f"<tr><th>{what}</th><td>{shown(text)}</td></tr>\n" for what, text in pairs)
    return f'<table summary="What it belongs to">\n{rows}</table>\n'


def _link(target: str, text: str) -> str:
    return f'<a href="{target}">{text}</a>'


def _image(picture: Picture, folder: str, text: str) -> str:
    """A picture no larger than lists have it, which leads to itself."""
    longest = max(picture.width, picture.height, LISTED_WIDTH)
    width, height = (
        max(1, size * LISTED_WIDTH // longest) for size in (picture.width, picture.height)
    )
    file = f"{folder}{picture.file}"
    return _link(file, f'<img src="{file}" alt="{text}" width="{width}" height="{height}" />')


def readme(about: About, has_directory: bool) -> str:
    """README.TXT: who made the medium and with what, how it is laid out, the disclaimer."""
    directory = ["DICOMDIR      the directory of all of them, for DICOM applications"]
    parts = (
        ("Institution that made this medium", [about.institution, *about.contact.splitlines()]),
        ("Application that made this medium", [about.product]),
        (
            "What is on this medium",
            [
                "DICOM         images and documents in DICOM format",
                *(directory if has_directory else ()),
                "INDEX.HTM     what is on the medium; open it with a web browser",
                "IHE_PDI       small pictures for a web browser, not for diagnosis",
                "README.TXT    this text",
                "There is no viewer and no other program on this medium.",
            ],
        ),
        ("Disclaimer", about.disclaimer.splitlines()),
    )
    lines = [f"Medical images {about.file_set_id}".strip(), ""]
    for title, texts in parts:
        given = [text for text in texts if text.strip()]
        if given:
            lines += [title, "-" * len(title), *given, ""]
    return "".join(
        "".join(each if each.isprintable() else " " for each in line) + _LINES for line in lines
    )


def root_page(about: About, patients: Iterable[Patient], has_directory: bool) -> Iterator[str]:
    """INDEX.HTM in the root: who made it, what is where, and what can be imported."""
    title = f"Medical images {about.file_set_id}".strip()
    yield _HEAD.format(title=shown(title))
    yield f"<h1>{shown(about.institution or title)}</h1>\n"
    for text in (about.contact, about.disclaimer):
        if text.strip():
            yield f"<p>{_lines(text)}</p>\n"
    yield "<ul>\n"
    yield f"<li>{_link(f'{PICTURES}/{INDEX}', 'Pictures, for a web browser')}</li>\n"
    yield f"<li>{_link(README, 'About this medium')}</li>\n"
    if has_directory:
        yield f"<li>{_link('DICOMDIR', 'Directory, for DICOM applications')}</li>\n"
    yield "</ul>\n<h2>What can be imported</h2>\n"
    yield "<p>All objects below are on this medium in DICOM format. The pictures are made of them, "
    yield "one of each image; they are not for diagnosis, and cannot be imported.</p>\n"
    yield '<table summary="Series">\n'
    yield "<tr><th>Patient</th><th>Study</th><th>Series</th><th>Objects</th></tr>\n"
    for patient in patients:
        for study in patient.studies.values():
            for series in study.series.values():
                cells = (_who(patient), _which(study), _what(series), str(series.count))
                yield "".join(("<tr>", *(f"<td>{shown(each)}</td>" for each in cells), "</tr>\n"))
    yield f"</table>\n{_TAIL}"


def pictures_page(
    about: About, patients: Iterable[Patient], pages: Mapping[int, SeriesPage]
) -> Iterator[str]:
    """INDEX.HTM of the folder with the pictures: studies, with one picture of each series; `pages`
    are by the identity of the series, since UIDs may be there twice, or missing."""
    yield _HEAD.format(title=shown(f"Pictures {about.file_set_id}".strip()))
    yield f"<p>{_link(f'../{INDEX}', 'Back')}</p>\n"
    for patient in patients:
        yield f"<h1>{shown(_who(patient))}</h1>\n"
        for study in patient.studies.values():
            yield f'<h2>{shown(_which(study))}</h2>\n<table summary="Series">\n'
            for series in study.series.values():
                page = pages[id(series)]
                text = shown(f"{_what(series)}, {series.count} object{'s' * (series.count > 1)}")
                cell = _image(page.first, f"{page.folder}/", text) if page.first else ""
                link = _link(f"{page.folder}/{INDEX}", text)
                yield f"<tr><td>{cell}</td><td>{link}</td></tr>\n"
            yield "</table>\n"
    yield _TAIL


def series_head(patient: Patient, study: Study, series: Series) -> str:
    """How the page of a series begins."""
    return (
        _HEAD.format(title=shown(f"{name_of(patient.name)}, {_what(series)}"))
        + f"<p>{_link(f'../{INDEX}', 'Back')}</p>\n<h1>{shown(_what(series))}</h1>\n"
        + _rows(
            (
                ("Patient", _who(patient)),
                ("Date of birth", date_of(patient.birth_date)),
                ("Sex", patient.sex),
                ("Study", _which(study)),
                ("Accession number", study.accession_number),
            )
        )
    )


def series_entry(number: str, file_id: str, picture: Picture | None) -> str:
    """One object of it."""
    name = shown(f"Object {number}".strip())
    seen = _image(picture, "", name) if picture else "(no picture)"
    return f'<div class="image">{seen}<br />{name}<br /><small>{shown(file_id)}</small></div>\n'


def series_tail() -> str:
    """How it ends."""
    return f'<p style="clear: both">Not for diagnosis.</p>\n{_TAIL}'


def _who(patient: Patient) -> str:
    return ", ".join(each for each in (name_of(patient.name), patient.patient_id) if each)


def _which(study: Study) -> str:
    return " ".join(each for each in (date_of(study.date), study.description) if each) or "Study"


def _what(series: Series) -> str:
    named = f"Series {series.number}".strip()
    return " ".join(each for each in (named, series.modality, series.description) if each)
