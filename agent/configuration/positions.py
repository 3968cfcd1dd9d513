"""The lines on which the keys of a TOML text stand.

`tomllib` gives values without their places. This finds the places in a text that `tomllib` has
already taken, so it need not know what is wrong, only where strings and brackets end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Path = tuple[str | int, ...]

_BARE_OR_QUOTED = re.compile(r"""[A-Za-z0-9_\-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
# In a value: strings of all four kinds, comments, brackets; all else is passed over.
_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")'
    r"|'''.*?'{3,5}(?!')"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|[\[\]{}\n]",
    re.DOTALL,
)
_BLANK = re.compile(r"(?:[ \t\r\n]|\#[^\n]*)*")


def lines_of(text: str) -> dict[Path, int]:
    """The line of each table and key; an element of a list of tables has its index in the path."""
    found: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    for line, header, names in _statements(text):
        if header == "[[":
            where = _indexed(names[:-1], counts)
            path = (*where, names[-1])
            index = counts[path] = counts.get(path, -1) + 1
            table = (*path, index)
        elif header == "[":
            table = _indexed(names, counts)
        else:
            path = table
            for name in names:
                path = (*path, name)
                found.setdefault(path, line)
            continue
        for length in range(1, len(table) + 1):
            found.setdefault(table[:length], line)
    return found


def _indexed(names: tuple[str, ...], counts: dict[Path, int]) -> Path:
    """The path of a header: it means the last element of every list of tables on its way."""
    path: Path = ()
    for name in names:
        path = (*path, name)
        if path in counts:
            path = (*path, counts[path])
    return path


def _statements(text: str) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Each header ("[", "[[") and each key ("") with its line and its dotted name."""
    position = 0
    line = 1
    while True:
        blank = _BLANK.match(text, position)
        assert blank is not None
        line += blank[0].count("\n")
        position = blank.end()
        if position >= len(text):
            return
        header = "[[" if text.startswith("[[", position) else text[position]
        header = header if header in ("[", "[[") else ""
        names, after = _dotted(text, position + len(header))
        if not names:
            # Not TOML: `tomllib` has told so already.
            return
        yield line, header, names
        end = _end_of_statement(text, after, header)
        line += text.count("\n", position, end)
        position = end


def _dotted(text: str, position: int) -> tuple[tuple[str, ...], int]:
    names: list[str] = []
    while True:
        while position < len(text) and text[position] in " \t":
            position += 1
        match = _BARE_OR_QUOTED.match(text, position)
        if match is None:
            return tuple(names), position
        names.append(_unquoted(match[0]))
        position = match.end()
        while position < len(text) and text[position] in " \t":
            position += 1
        if not text.startswith(".", position):
            return tuple(names), position
        position += 1


def _unquoted(name: str) -> str:
    if name[0] == "'":
        return name[1:-1]
    if name[0] != '"':
        return name
    if "\\" not in name:
        return name[1:-1]
    import tomllib

    value: str = tomllib.loads(f"value = {name}")["value"]
    return value


def _end_of_statement(text: str, position: int, header: str) -> int:
    depth = 0
    for token in _TOKEN.finditer(text, position):
        if header and token[0] != "\n":
            continue
        if token[0] in ("[", "{"):
            depth += 1
        elif token[0] in ("]", "}"):
            depth -= 1
        elif token[0] == "\n" and depth <= 0:
            return token.end()
    return len(text)
