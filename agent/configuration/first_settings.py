"""`gantry.conf`: what a hospital engineer writes on the boot partition before the first start.

A FAT partition that any computer opens, and a file that any editor changes: with CRLF or LF, with
the mark at its beginning that some editors put there, in UTF-8 or UTF-16. It is TOML with a few
keys; the table [network] is for the network of a card's image, which reads it at each start.
"""

from __future__ import annotations

import codecs
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from agent.configuration.addresses import Address, network, parse_address
from agent.configuration.key import key, keys_of, section
from agent.configuration.kinds import (
    ApplicationEntityTitle,
    Choice,
    ListOf,
    Mapped,
    Text,
    UniqueIdentifier,
    count,
)
from agent.configuration.layers import Layer, Merged
from agent.configuration.problems import ConfigurationErrors, Problem
from agent.configuration.reading import Reading
from agent.configuration.vocabulary import Vocabulary
from hal.keys.names import ALGORITHMS

NAME = "gantry.conf"
_LONGEST = 1 << 16
_NETWORK = "network"
# The mark and the code that it stands for; without one, UTF-8.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_HINT = 'a setting is of the form title = "GANTRY1", with straight quotes'


@dataclass(frozen=True, slots=True)
class Station:
    """A peer as it stands in one text: AE title and address."""

    title: str
    address: Address

    def __str__(self) -> str:
        return f"{self.title}@{self.address}"


def parse_station(value: object) -> Station:
    """`TITLE@HOST:PORT`; raises `ValueError` with what is wrong."""
    title, at, place = value.rpartition("@") if isinstance(value, str) else ("", "", "")
    title = title.strip()
    if not at or not re.fullmatch(r"[ -\[\]-~]{1,16}", title):
        raise ValueError("not of the form TITLE@HOST:PORT")
    return Station(title, parse_address(place.strip()))


def _station() -> Mapped:
    return Mapped('"TITLE@HOST:PORT", such as "PACS@192.0.2.10:104"', parse_station, str)


@section
class FirstSettings:
    """What a box is told before its first start. Everything may be left out."""

    profile: str = key(Text(64, minimum=1), "what this box is", default="gateway")
    title: str = key(
        ApplicationEntityTitle(optional=True),
        "its AE title",
        default="",
        default_text="GANTRY- and the end of the board's serial number",
    )
    uid_root: str = key(
        UniqueIdentifier(maximum=43),
        "the root under which it makes UIDs",
        default="",
        default_text="one under 2.25 that follows from the board's serial number",
    )
    hostname: str = key(
        Text(
            63,
            pattern=r"([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)?",
            what="at most 63 letters, digits and '-'",
        ),
        "its name on the network",
        default="",
        default_text="what the machine is called already",
    )
    time_zone: str = key(
        Text(64, pattern=r"([A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2})?", what='"Europe/Berlin"'),
        "the zone of its local time",
        default="",
        default_text="that of the machine",
    )
    port: int = key(count(1, 65535), "the TCP port on which it is called", default=104)
    tls: str = key(
        Choice("no", "beside", "only"),
        "whether it is called by TLS: not at all; on port 2762 beside the plain port; or only by "
        "TLS, on `port`",
        default="no",
    )
    key_store: str = key(
        Choice("any", "tpm", "files"),
        "where the key for TLS is made: in the TPM, in a file, or wherever it can be",
        default="any",
    )
    key_algorithm: str = key(
        Choice(*ALGORITHMS),
        "the kind of that key",
        default="rsa-2048",
    )
    callers: tuple[str, ...] = key(
        ListOf(ApplicationEntityTitle()), "AE titles of devices that may call", default=()
    )
    networks: tuple[str, ...] = key(
        ListOf(network()),
        "networks and hosts that may call",
        default=(),
        default_text="from anywhere",
    )
    archive: Station | None = key(
        _station(), "the archive to which all is sent", default=None, default_text="none"
    )
    worklist: Station | None = key(
        _station(), "the server that has the worklist", default=None, default_text="none"
    )
    steps: Station | None = key(
        _station(), "the server that is told of performed steps", default=None, default_text="none"
    )


def read_first_settings(path: Path) -> FirstSettings:
    """Read the file. Raises ConfigurationErrors with all that is wrong with it."""
    problems: list[Problem] = []
    try:
        with path.open("rb") as file:
            raw = file.read(_LONGEST + 1)
    except OSError as error:
        raise ConfigurationErrors(
            [Problem(str(path), 0, "", f"cannot be read: {error.strerror}")]
        ) from error
    if len(raw) > _LONGEST:
        raise ConfigurationErrors([Problem(str(path), 0, "", f"is longer than {_LONGEST} bytes")])
    text = _decoded(raw, path.name, problems)
    tree = _tree(text, path.name, problems)
    layer = Layer(path.name, tree, text)
    of_network = tree.pop(_NETWORK, {})
    known = keys_of(FirstSettings)
    misplaced = known.keys() & of_network.keys() if isinstance(of_network, dict) else ()
    problems += [
        Problem(
            path.name,
            layer.line((_NETWORK, name)),
            name,
            "stands below [network]; move it above that line",
        )
        for name in sorted(misplaced)
    ]
    merged = Merged()
    merged.add(layer)
    reading = Reading(merged, Vocabulary())
    settings = reading.root(FirstSettings)
    problems += reading.problems
    if problems:
        raise ConfigurationErrors(problems)
    return settings


def _decoded(raw: bytes, source: str, problems: list[Problem]) -> str:
    mark, code = next((each for each in _MARKS if raw.startswith(each[0])), (b"", "utf-8"))
    raw = raw.removeprefix(mark)
    try:
        text = raw.decode(code)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problems.append(Problem(source, line, "", "has a character that is not UTF-8"))
        text = raw.decode(code, "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _tree(text: str, source: str, problems: list[Problem]) -> dict[str, object]:
    """The values; where the text is not TOML, those of the lines that are, and all that are not."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        whole = str(error)
    except RecursionError:
        problems.append(Problem(source, 0, "", "is nested too deeply"))
        return {}
    good: list[str] = []
    before = len(problems)
    for number, line in enumerate(text.splitlines(), 1):
        try:
            tomllib.loads(line)
            good.append(line)
        except tomllib.TOMLDecodeError:
            good.append("")
            problems.append(Problem(source, number, "", "cannot be understood", _HINT))
    try:
        tree = tomllib.loads("\n".join(good))
    except tomllib.TOMLDecodeError as error:
        problems.append(Problem(source, 0, "", f"cannot be understood: {error}"))
        return {}
    if len(problems) == before:
        problems.append(Problem(source, 0, "", f"cannot be understood: {whole}"))
    return tree
