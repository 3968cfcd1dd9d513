"""What a person reads: the first file of `config init`, and the reference of all keys.

Both are made from the declarations of the keys, so they say what is so.
`python -m agent.configuration.document FILE` writes the reference into a Markdown file anew.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from agent.configuration.configuration import Configuration
from agent.configuration.key import Key, keys_of, meaning_of
from agent.configuration.kind import Kind
from agent.configuration.kinds import Amount, ListOf, Table, Tables
from agent.configuration.secrets import Secret
from agent.configuration.toml_text import value_text

BEGIN = "<!-- keys: made by `python -m agent.configuration.document` -->"
END = "<!-- end of keys -->"

# What the tables of the first file are called, and what they cannot do without.
FIRST_NAMES: dict[str, dict[str, str]] = {
    "access.rule": {"name": "modalities"},
    "access.operator": {"name": "technicians"},
    "key": {"name": "box"},
    "archive": {"name": "main"},
    "audit.repository": {"name": "central", "address": '"192.0.2.20:6514"'},
    "alerts.syslog": {"name": "central", "address": '"192.0.2.20:6514"'},
    "entity": {"name": "GANTRY"},
    "entity.service": {"name": "storage"},
    "peer": {"name": "PACS", "addresses": '["192.0.2.10:104"]'},
    "route": {"name": "everything", "deliver": '["PACS"]'},
    "deidentify": {
        "name": "trial",
        "secret": '{ file = "/etc/gantry/pseudonyms.key" }',
    },
    "compress": {"name": "images", "to": '["jpeg-lossless"]'},
    "folder": {"name": "drop", "path": '"/srv/gantry/drop"'},
    "capture": {"name": "video"},
    "serial": {"name": "scanner"},
    "media": {"name": "sticks"},
    "prefetch": {"name": "priors", "peer": '["PACS"]'},
    "precache": {"name": "today", "peer": '["PACS"]'},
}


def first_file(profile: str = "gateway") -> str:
    """A file for /etc/gantry/gantry.toml: every key, commented out, at its default.

    It is valid as it is, and with every line uncommented that begins with "#" and no blank.
    """
    lines = [
        "# The configuration of Gantry. A key that is left out, or commented out, has the value of",
        "# the profile, or else the default that is shown here. Lines that begin with '#' and no",
        "# blank are keys: take the '#' away to set one. `gantry config` checks the result.",
        "# More files may lie in gantry.toml.d/; they are read after this one, in order of name.",
        "",
        f"profile = {value_text(profile)}",
    ]
    for key in keys_of(Configuration).values():
        if isinstance(key.kind, (Table, Tables)):
            lines += _first_table(key, key.name, "#")
    return "\n".join(lines) + "\n"


def _first_table(key: Key, path: str, mark: str) -> Iterator[str]:
    kind = key.kind
    assert isinstance(kind, (Table, Tables))
    # A part that is absent by default would change what holds: its lines are examples only.
    mark = "# " if isinstance(kind, Table) and kind.optional else mark
    yield ""
    text = (
        meaning_of(kind.section).partition("\n\n")[0] if "." not in path else _sentence(key.meaning)
    )
    yield from _comment(text)
    yield f"{mark}[{path}]" if isinstance(kind, Table) else f"{mark}[[{path}]]"
    tables = []
    for inner in keys_of(kind.section).values():
        if isinstance(inner.kind, (Table, Tables)) and getattr(inner.kind, "named", True):
            tables.append(inner)
        else:
            yield from _first_key(inner, path, mark)
    for inner in tables:
        yield from _first_table(inner, f"{path}.{inner.name}", mark)


def _first_key(key: Key, path: str, mark: str) -> Iterator[str]:
    yield from _comment(" ".join(_sentence(each) for each in _notes(key)))
    given = FIRST_NAMES.get(path, {}).get(key.name)
    if key.example and given is None:
        yield f"# For example: {key.name} = {key.example}"
    if given is not None:
        value = given if given[0] in '["{' else value_text(given)
    elif key.required:
        raise AssertionError(f"the first file lacks a value for {path}.{key.name}")
    elif key.default is None or (written := key.kind.write(key.default)) == {}:
        return
    else:
        value = value_text(written)
    yield f"{mark}{key.name} = {value}"


def _comment(text: str) -> Iterator[str]:
    for line in textwrap.wrap(" ".join(text.split()), 96, break_on_hyphens=False):
        yield f"# {line}"


def _allowed(kind: Kind) -> str:
    """What a key allows, short: units are explained once for all."""
    if isinstance(kind, Amount) and kind.units:
        return kind.allowed.replace(f", or a text with a unit ({', '.join(kind.units)})", "")
    if isinstance(kind, ListOf):
        inner = _allowed(kind.kind)
        return f"a list, each {inner}" if inner else "a list"
    return kind.allowed


def _notes(key: Key) -> Iterator[str]:
    yield key.meaning
    if allowed := _allowed(key.kind):
        yield f"value: {allowed}"
    if key.default_text:
        yield f"empty: {key.default_text}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def reference() -> str:
    """Every table and key, as Markdown."""
    headers: dict[type, list[str]] = {}
    _collect(Configuration, "", headers)
    lines: list[str] = []
    for section, paths in headers.items():
        title = ", ".join(f"`{path}`" for path in paths) if paths != [""] else "Top of the file"
        lines += ["", f"### {title}", "", meaning_of(section), ""]
        lines += ["| key | value | default | meaning |", "|---|---|---|---|"]
        lines += [_row(key) for key in keys_of(section).values()]
    return "\n".join(lines).strip("\n") + "\n"


def _collect(section: type, path: str, headers: dict[type, list[str]]) -> None:
    headers.setdefault(section, []).append(path)
    inner_path = path.strip("[]")
    for key in keys_of(section).values():
        if isinstance(key.kind, (Table, Tables)):
            inner = f"{inner_path}.{key.name}" if inner_path else key.name
            _collect(
                key.kind.section,
                f"[{inner}]" if isinstance(key.kind, Table) else f"[[{inner}]]",
                headers,
            )


def _row(key: Key) -> str:
    meaning = key.meaning
    if key.required:
        default = "(required)"
    elif isinstance(key.kind, (Table, Tables)) or key.default in (None, "", (), {}, Secret()):
        default = key.default_text
    else:
        default = f"`{value_text(key.kind.write(key.default))}`"
        meaning += f"; empty: {key.default_text}" if key.default_text else ""
    meaning += f", for example `{key.example}`" if key.example else ""
    meaning += " (needs a restart)" if key.restart else ""
    cells = (f"`{key.name}`", _allowed(key.kind), default, meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def with_reference(text: str) -> str:
    """The Markdown text with what stands between the two marks made anew."""
    before, begin, rest = text.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the text lacks the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{after}"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(with_reference(target.read_text("utf-8")), "utf-8")
