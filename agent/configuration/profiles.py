"""Where profiles are found: one TOML file for each product that the box can be."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

VARIABLE = "GANTRY_PROFILES"
SYSTEM_FOLDER = Path("/etc/gantry/profiles")


def profile_folders() -> tuple[Path, ...]:
    """The folders that hold profiles, the first that has one winning.

    Those that GANTRY_PROFILES names, /etc/gantry/profiles, the `profiles/` of a checkout, and
    `share/gantry/profiles` of the installation (of Debian's package in the end).
    """
    named = os.environ.get(VARIABLE, "")
    checkout = Path(__file__).resolve().parent.parent.parent
    folders = [Path(each) for each in named.split(os.pathsep) if each]
    folders.append(SYSTEM_FOLDER)
    if (checkout / "pyproject.toml").is_file():
        folders.append(checkout / "profiles")
    prefixes = dict.fromkeys((sys.prefix, "/usr"))
    return (*folders, *(Path(prefix) / "share" / "gantry" / "profiles" for prefix in prefixes))


def find_profile(name: str) -> Path | None:
    """The file of a profile, or None; a name is letters, digits, "-" and "_", never a path."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_\-]{0,63}", name):
        return None
    for folder in profile_folders():
        path = folder / f"{name}.toml"
        if path.is_file():
            return path
    return None


def profile_names() -> tuple[str, ...]:
    """The names of all profiles that can be found."""
    found: set[str] = set()
    for folder in profile_folders():
        if folder.is_dir():
            found.update(path.stem for path in folder.glob("*.toml"))
    return tuple(sorted(found))
