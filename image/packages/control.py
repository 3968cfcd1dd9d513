"""The control archive: what dpkg is told of a package, and what it runs (Policy 5 and 6)."""

from __future__ import annotations

import configparser
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from image.packages.targets import NAME, Target
from image.packages.tree import HERE, MAINTAINER, units

_DEPENDS = (
    # Modules are compiled for this version, and lie outside the folders of its own.
    *("python3 (>= 3.11~)", "python3 (<< 3.12~)"),
    # Loaded by name at run time.
    "libudev1",
    *("systemd | systemd-standalone-sysusers", "systemd | systemd-standalone-tmpfiles"),
)
_RECOMMENDS = (
    # Sticks, cards and discs: mounted for the service, checked after a pull, burnt.
    *("udisks2", "polkitd", "dosfstools", "exfatprogs", "xorriso"),
    # A clock that is right.
    "systemd-timesyncd | time-daemon",
)
_SUGGESTS = ("v4l-utils", "tpm2-tools", "opensc", "dcmtk")
_DESCRIPTION = """\
DICOM box beside an imaging modality
 Gantry gives a device that has only a video plug, or only old, plain DICOM,
 what a hospital's network asks of a modality: worklist in, images and reports
 out, storage commitment, performed procedure steps, TLS, audit, compression,
 film, sticks and discs. It loses nothing when the plug is pulled.
 .
 The Python packages that it needs are inside, in a folder of its own."""
_SCRIPTS = ("postinst", "prerm", "postrm")


def relations(target: Target, libraries: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The fields that name other packages; `libraries` is what the compiled modules need."""
    of_debian = (each for each in target.left_to_debian.values() if each)
    return {
        "Depends": (*_DEPENDS, *libraries, *of_debian),
        "Recommends": _RECOMMENDS,
        "Suggests": _SUGGESTS,
    }


def members(
    tree: Path, *, version: str, target: Target, related: Mapping[str, Sequence[str]]
) -> dict[str, bytes]:
    """The plain members: control, md5sums, and conffiles where there are any."""
    files = [path for path in sorted(tree.rglob("*")) if path.is_file()]
    names = [path.relative_to(tree).as_posix() for path in files]
    sums = (
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {name}\n"
        for path, name in zip(files, names, strict=True)
    )
    fields = {
        "Package": NAME,
        "Version": version,
        "Architecture": target.debian,
        "Maintainer": MAINTAINER,
        "Installed-Size": str(_installed_size(tree)),
        **{field: ", ".join(entries) for field, entries in related.items()},
        "Section": "net",
        "Priority": "optional",
        "Description": _DESCRIPTION,
    }
    found = {
        "control": "".join(f"{field}: {text}\n" for field, text in fields.items()).encode(),
        "md5sums": "".join(sums).encode(),
    }
    # What an administrator may change is never overwritten. gantry.toml is none of these: it is
    # made at the first installation, and no package has it.
    if conffiles := [f"/{name}\n" for name in names if name.startswith("etc/")]:
        found["conffiles"] = "".join(conffiles).encode()
    return found


def _installed_size(tree: Path) -> int:
    """In KiB, as deb-substvars(5) counts: files rounded up, one for anything else."""
    return 1 + sum(
        -(-path.stat().st_size // 1024) if path.is_file() else 1 for path in tree.rglob("*")
    )


def scripts(folder: Path = HERE / "scripts") -> dict[str, bytes]:
    """The maintainer scripts, with the names of our units put in."""
    enabled, started = _units_at_work()
    values = {
        "@ENABLED@": " ".join(enabled),
        "@STARTED@": " ".join(started),
        # Who calls while the service is away waits at the socket.
        "@RESTARTED@": " ".join(each for each in started if each.endswith(".service")),
    }
    found = {}
    for name in _SCRIPTS:
        text = (folder / name).read_text()
        for mark, value in values.items():
            text = text.replace(mark, value)
        found[name] = text.encode()
    return found


def _units_at_work() -> tuple[list[str], list[str]]:
    """Units that are wanted at boot, and those of them that are started at once.

    What is done once at boot is not done when a package is installed.
    """
    enabled, started = [], []
    for file in units():
        unit = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes="#")
        unit.optionxform = str  # type: ignore[assignment, method-assign]
        unit.read_string(file.read_text())
        if "@" in file.name or not unit.has_section("Install"):
            continue
        enabled.append(file.name)
        if unit.get("Service", "Type", fallback="") != "oneshot":
            started.append(file.name)
    return enabled, started
