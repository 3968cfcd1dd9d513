"""Loading: the one way from files and command line to a configuration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from agent.configuration.assignment import AssignmentError, as_tree, parse_assignment
from agent.configuration.completion import complete
from agent.configuration.configuration import Configuration, Origin
from agent.configuration.layers import Layer, Merged, read_layer
from agent.configuration.problems import ConfigurationErrors, Problem
from agent.configuration.profiles import find_profile, profile_folders, profile_names
from agent.configuration.reading import Reading, nearest
from agent.configuration.vocabulary import Vocabulary

MAIN_FILE = Path("/etc/gantry/gantry.toml")
DEEPEST_PROFILE = 8


def load(
    profile: str | None = None,
    files: Sequence[str | Path] | None = None,
    overrides: Iterable[str] = (),
    vocabulary: Vocabulary | None = None,
) -> Configuration:
    """Read, join and check all layers.

    `profile` is the name of the lowest layer; without it, the key `profile` of the files names it.
    `files` are configuration files, each with the files of the folder beside it (`gantry.toml.d`);
    without it, /etc/gantry/gantry.toml where there is one. `overrides` are "key=value" texts.

    Raises `ConfigurationErrors` with all that is wrong.
    """
    problems: list[Problem] = []
    layers = [each for path in _files(files) if (each := read_layer(path, problems)) is not None]
    words = tuple(overrides)
    layers += _assigned(words, problems)
    below, name = _profiles(profile, layers, problems)
    merged = Merged()
    for layer in (*below, *layers):
        merged.add(layer)
    reading = Reading(merged, vocabulary if vocabulary is not None else Vocabulary())
    # References are looked up even where something could not be read: all problems at once.
    configuration = complete(reading.root(Configuration), reading)
    problems += reading.problems
    if problems:
        raise ConfigurationErrors(problems)
    origin = Origin(
        files=tuple(each.source for each in (*below, *layers) if each.text),
        overrides=tuple(_key_of(word) for word in words),
    )
    return replace(configuration, profile=name, origin=origin)


def _files(files: Sequence[str | Path] | None) -> list[Path]:
    if files is None:
        files = [MAIN_FILE] if MAIN_FILE.is_file() else []
        if not files:
            return _drop_ins(MAIN_FILE)
    return [each for path in files for each in (Path(path), *_drop_ins(Path(path)))]


def _drop_ins(path: Path) -> list[Path]:
    return sorted(path.with_name(path.name + ".d").glob("*.toml"))


def _assigned(words: Iterable[str], problems: list[Problem]) -> list[Layer]:
    layers = []
    for word in words:
        # Without the value, which might be what nobody should see.
        source = f"--set {_key_of(word)}"
        try:
            parts, value = parse_assignment(word)
        except AssignmentError as error:
            problems.append(Problem(source, 0, "", str(error)))
            continue
        layers.append(Layer(source, as_tree(parts, value, Configuration)))
    return layers


def _key_of(word: str) -> str:
    return word.partition("=")[0].strip()


def _profiles(
    name: str | None, layers: Sequence[Layer], problems: list[Problem]
) -> tuple[list[Layer], str]:
    """The profile with the profiles beneath it, the lowest first; and its name."""
    source, line, wanted = "--profile", 0, name
    if wanted is None:
        for layer in layers:
            given = layer.tree.get("profile")
            if isinstance(given, str) and given:
                source, line, wanted = layer.source, layer.line(("profile",)), given
    found: list[Layer] = []
    seen: list[str] = []
    while isinstance(wanted, str) and wanted:
        path = find_profile(wanted)
        if path is None or wanted in seen or len(seen) == DEEPEST_PROFILE:
            again = wanted in seen or path is not None
            problems.append(
                Problem(
                    source,
                    line,
                    "profile",
                    f"profile {wanted!r} lies beneath itself, or {DEEPEST_PROFILE} lie upon it"
                    if again
                    else f"there is no profile {wanted!r}",
                    ", ".join(profile_names())
                    or f"none is found in {', '.join(map(str, profile_folders()))}",
                    "" if again else nearest(wanted, profile_names()),
                )
            )
            break
        seen.append(wanted)
        read = read_layer(path, problems)
        if read is None:
            break
        found.insert(0, read)
        source, line = read.source, read.line(("profile",))
        # Left in where it is no text, for the reading to say so.
        wanted = read.tree.get("profile")
        if isinstance(wanted, str):
            del read.tree["profile"]
    return found, seen[0] if seen else ""
