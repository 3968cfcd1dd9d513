"""The last lines of the log as a support bundle shows them.

A line is an event of ours with its fields (`agent.observation`), as text or as JSON; of any other
line, a traceback or what a library wrote, nothing is shown but that it was there.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from agent.cli.bundle_redactor import FIELDS, REMOVED, Redactor

_UNIT = "gantry.service"
_LONGEST = 8192
_SECONDS = 60.0
_PRIORITY = re.compile(r"<[0-7]>")
_FIELD = re.compile(r' ([A-Za-z_][A-Za-z0-9_]*)=("(?:[^"\\]|\\.)*"|[^ "]*)')
_EVENT = re.compile(r"[a-z][a-z_.' ]*[a-z]")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def of_files(files: Iterable[Path], count: int) -> Iterator[str]:
    """The last lines of each; memory: so many lines. Raises OSError."""
    for path in files:
        last: deque[str] = deque(maxlen=count)
        with path.open("r", encoding="utf-8", errors="replace") as opened:
            while line := opened.readline(_LONGEST):
                last.append(line)
        yield from last


def of_the_journal(count: int) -> Iterator[str]:
    """What the service said last; nothing where there is no journal or it is not ours to read."""
    words = ["journalctl", f"--unit={_UNIT}", "--output=json", "--quiet", f"--lines={count}"]
    try:
        done = subprocess.run(words, capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return
    for line in done.stdout.splitlines():
        try:
            entry = json.loads(line)
            moment = int(entry["__REALTIME_TIMESTAMP"]) / 1e6
            text = str(entry["MESSAGE"])
        except (ValueError, KeyError, TypeError):
            continue
        yield f"{moment:.6f} {text}"


def shown(lines: Iterable[str], redactor: Redactor) -> Iterator[str]:
    """Each line as far as it is safe."""
    for line in lines:
        yield _shown(line.rstrip("\n"), redactor)


def _shown(line: str, redactor: Redactor) -> str:
    moment, space, rest = line.partition(" ")
    # The journal tells when a line came; the line itself does not.
    prefix = ""
    if space and re.fullmatch(r"[0-9]{9,11}\.[0-9]{6}", moment):
        prefix, line = f"{moment} ", rest
    level = _PRIORITY.match(line)
    if level is not None:
        prefix, line = prefix + level[0], line[level.end() :]
    said = _json(line, redactor) if line.startswith("{") else _text(line, redactor)
    return prefix + (REMOVED if said is None else said)


def _text(line: str, redactor: Redactor) -> str | None:
    found = _EVENT.match(line)
    if found is None:
        return None
    head = found[0]
    # A field's name looks like the end of an event's.
    if line[found.end() : found.end() + 1] == "=":
        head = head.rpartition(" ")[0]
    place = len(head)
    if head not in redactor.sentences.words:
        return None
    said = [head]
    while place < len(line):
        field = _FIELD.match(line, place)
        if field is None:
            return " ".join([*said, REMOVED])
        if field[1] in FIELDS:
            said.append(f"{field[1]}={_quoted(redactor.field(field[1], _plain(field[2])))}")
        place = field.end()
    return " ".join(said)


def _plain(value: str) -> str:
    if not value.startswith('"'):
        return value
    try:
        return str(json.loads(value))
    except ValueError:
        return value


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if " " in value or not value else value


def _json(line: str, redactor: Redactor) -> str | None:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or fields.get("event") not in redactor.sentences.words:
        return None
    said: dict[str, object] = {}
    for name, value in fields.items():
        if name == "event" or (name == "time" and _TIME.fullmatch(str(value))):
            said[name] = value
        elif name in FIELDS:
            said[name] = redactor.field(name, "" if value is None else str(value))
    return json.dumps(said, ensure_ascii=False)
