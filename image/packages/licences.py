"""The list of licences with their texts: /usr/share/doc/gantry/copyright, by Debian's DEP 5."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from image.packages.wheel import Wheel

_HEAD = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Gantry
Comment: What was compiled into the modules of others is listed, each with its licence, in
 /usr/share/doc/gantry/gantry.cdx.json.
"""


def copyright_file(own_licence: Path, packages: str, wheels: Sequence[Wheel]) -> str:
    """`packages` is the folder that the wheels are in, on the installed system."""
    own = own_licence.read_text()
    (holder,) = (line for line in own.splitlines() if line.startswith("Copyright (c) "))
    parts = [_HEAD, _paragraph(["*"], holder.removeprefix("Copyright (c) "), "MIT", [own])]
    for wheel in wheels:
        files = [f"{packages}/{each}/*" for each in wheel.folders if not each.endswith(".data")]
        parts.append(_paragraph(files, "see below", wheel.licence, wheel.texts))
    return "\n".join(parts)


def _paragraph(files: Sequence[str], holder: str, licence: str, texts: Sequence[str]) -> str:
    name = licence.replace(" AND ", " and ").replace(" OR ", " or ")
    lines = [f"Files: {' '.join(files)}", f"Copyright: {holder}", f"License: {name}"]
    for number, text in enumerate(texts):
        if number:
            lines.append(" .")
        lines.extend(_as_continued(text))
    return "\n".join(lines) + "\n"


def _as_continued(text: str) -> Iterator[str]:
    for line in text.strip("\n").splitlines():
        shown = line.rstrip().replace("\f", "")
        yield f" {shown}" if shown else " ."
