"""What is inside a package, as CycloneDX 1.5 in JSON: /usr/share/doc/gantry/gantry.cdx.json.

The wheels with version, hash and licence; within them what was compiled in, as they say it (PEP
770) or, where they are silent, by the table here; and the packages of Debian that are depended on,
by name, since which versions they are is decided where the package is installed.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from image.foreign_debian import ForeignDebianError
from image.packages.targets import NAME
from image.packages.wheel import Wheel

_SPACE = uuid.UUID("6f1c3f0e-5d53-5e0a-9f0b-6e2a0f4c7b11")
# Libraries beside the modules of a wheel that has no SBOM: what its file is called, what it is.
_BESIDE: Mapping[str, tuple[str, str]] = {
    "libscipy_openblas": ("OpenBLAS", "BSD-3-Clause"),
    "libgfortran": ("libgfortran", "GPL-3.0-or-later WITH GCC-exception-3.1"),
    "libquadmath": ("libquadmath", "LGPL-2.1-or-later"),
}
_SIMPLE = re.compile(r"[A-Za-z0-9.+-]+")

Component = dict[str, Any]


def bill_of_materials(
    *,
    version: str,
    architecture: str,
    wheels: Sequence[Wheel],
    packages: Path,
    relations: Mapping[str, Sequence[str]],
    moment: int,
) -> str:
    """The JSON text. `packages` is the folder with the unpacked wheels; `relations` are the fields
    Depends, Recommends and Suggests. Raises ForeignDebianError at a library of unknown origin.
    """
    own = f"pkg:deb/{NAME}@{version}?arch={architecture}"
    of_wheels = {each.name: _wheel(each, packages) for each in wheels}
    of_debian = list(_of_debian(relations, architecture))
    refs = {name: str(each["bom-ref"]) for name, each in of_wheels.items()}
    required = [each["bom-ref"] for each in of_debian if each["scope"] == "required"]
    document: Component = {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": NAME,
                "version": version,
                "licenses": _licences("MIT"),
                "purl": own,
            },
        },
        "components": [*of_wheels.values(), *of_debian],
        "dependencies": [
            {"ref": own, "dependsOn": sorted([*refs.values(), *required])},
            *(
                {
                    "ref": refs[each.name],
                    "dependsOn": sorted(refs[name] for name in each.requires if name in refs),
                }
                for each in wheels
            ),
        ],
    }
    # The same content has the same number.
    text = json.dumps(document, sort_keys=True)
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(_SPACE, text)}"
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _wheel(wheel: Wheel, packages: Path) -> Component:
    purl = f"pkg:pypi/{wheel.name}@{wheel.version}"
    inside = [*_compiled_in(wheel, purl), *_beside(wheel, packages, purl)]
    component: Component = {
        "type": "library",
        "bom-ref": purl,
        "name": wheel.name,
        "version": wheel.version,
        "purl": purl,
        "scope": "required",
        "hashes": [{"alg": "SHA-256", "content": wheel.sha256}],
        "licenses": _licences(wheel.licence),
        "properties": [{"name": "gantry:wheel", "value": wheel.path.name}],
    }
    return {**component, "components": inside} if inside else component


def _compiled_in(wheel: Wheel, parent: str) -> Iterator[Component]:
    """What the wheel's own SBOMs name, without their bookkeeping of how it was built."""
    for bill in wheel.inside:
        for each in bill.get("components", ()):
            kept = {
                key: each[key]
                for key in ("type", "name", "version", "licenses", "hashes")
                if key in each
            }
            # The build's own folders are no address.
            if "file://" not in each.get("purl", "file://"):
                kept["purl"] = each["purl"]
            yield {**kept, "bom-ref": f"{parent}#{each['name']}@{each.get('version', '')}"}


def _beside(wheel: Wheel, packages: Path, parent: str) -> Iterator[Component]:
    for folder in wheel.folders:
        if not folder.endswith(".libs"):
            continue
        for file in sorted((packages / folder).iterdir()):
            known = [each for prefix, each in _BESIDE.items() if file.name.startswith(prefix)]
            if not known:
                raise ForeignDebianError(
                    f"{wheel.path.name} brings {file.name}, of unknown origin."
                )
            ((name, licence),) = known
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            yield {
                "type": "library",
                "bom-ref": f"{parent}#{file.name}",
                "name": name,
                "hashes": [{"alg": "SHA-256", "content": digest}],
                "licenses": _licences(licence),
                "properties": [{"name": "gantry:file", "value": f"{folder}/{file.name}"}],
            }


def _of_debian(relations: Mapping[str, Sequence[str]], architecture: str) -> Iterator[Component]:
    seen = set()
    for field, entries in relations.items():
        for entry in entries:
            # Of alternatives the first is what is installed by default.
            name = entry.split("|")[0].split("(")[0].strip()
            if name in seen:
                continue
            seen.add(name)
            purl = f"pkg:deb/debian/{name}?arch={architecture}&distro=debian-12"
            yield {
                "type": "library",
                "bom-ref": purl,
                "name": name,
                "purl": purl,
                "scope": "required" if field == "Depends" else "optional",
                "properties": [{"name": f"gantry:{field.lower()}", "value": entry}],
            }


def _licences(expression: str) -> list[Mapping[str, Any]]:
    if _SIMPLE.fullmatch(expression):
        return [{"license": {"id": expression}}]
    return [{"expression": expression}]


def components_of(document: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """All components of a parsed bill, those within others too."""
    for each in document.get("components", ()):
        yield each
        yield from components_of(each)
