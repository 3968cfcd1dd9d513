"""The Debian packages in small: their form, read by dpkg; what is in them; made twice, the same.

The real ones, with the wheels of PyPI, are made and installed by tests/machine/test_packages.py.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from image.command import COMMANDS
from image.foreign_debian import ForeignDebianError
from image.packages import command, control, lock, tree, wheel
from image.packages.bill_of_materials import components_of
from image.packages.targets import TARGETS
from tests.peers.programs import run

ROOT = Path(__file__).parents[2]
MOMENT = 1_700_000_000
SOURCES = {"agent/__init__.py": b"WORDS = {'one', 'two', 'three'}\n", "hal/__init__.py": b""}

needs_dpkg = pytest.mark.skipif(
    shutil.which("dpkg-deb") is None or shutil.which("readelf") is None,
    reason="needs dpkg-deb and readelf",
)


def wheel_file(folder: Path, name: str, members: dict[str, bytes], fields: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        described = {
            "METADATA": f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n{fields}".encode(),
            "RECORD": b"",
            "licenses/LICENSE": b"Do what you like.\n\nBut do.\n",
        }
        more = {f"{name}-1.0.dist-info/{file}": text for file, text in described.items()}
        for member, content in {**members, **more}.items():
            # Dated 1980: a wheel is made once.
            archive.writestr(zipfile.ZipInfo(member), content)
    return path


def small_package(folder: Path, version: str = "1.2.3") -> Path:
    """A package of two wheels as small as can be, with a program of this machine inside."""
    licence = "License-Expression: MIT\nLicense-File: LICENSE\n"
    program = Path("/bin/true").resolve().read_bytes()
    profile = "gantry-1.0.data/data/share/gantry/profiles/gateway.toml"
    own = wheel_file(folder / "in", "gantry", {**SOURCES, profile: b"# A profile\n"}, licence)
    inside = {
        "components": [{"type": "library", "name": "zip", "version": "3", "purl": "file://x"}]
    }
    others = {
        "other/__init__.py": b"",
        "other/tests/test_it.py": b"",
        "other/module.so": program,
        "other-1.0.data/scripts/other": b"#!python\n",
        "other-1.0.dist-info/sboms/inside.json": json.dumps(inside).encode(),
    }
    other = wheel_file(folder / "in", "other", others, licence + "Requires-Dist: third\n")
    recipe = command.Recipe(TARGETS["amd64"], own, [other], [sys.executable], version, MOMENT)
    return command.make(recipe, folder / "out")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_package(tmp_path_factory.mktemp("small"))


def test_the_lock_has_what_pyproject_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {each.name: each for each in lock.locked()}
    for each in project["dependencies"]:
        name, _, least = each.partition(">=")
        assert name in pinned, f"{name}: image/build lock"
        found = [int(part) for part in pinned[name].version.split(".")]
        assert found >= [int(part) for part in least.split(".")], name
    for target in TARGETS.values():
        assert set(target.left_to_debian) <= set(pinned)


def test_a_lock_without_hashes_is_refused() -> None:
    digest = "0" * 64
    (found,) = lock.locked(f"# Wheels\nsix==1.0 \\\n    --hash=sha256:{digest}\n")
    assert found == lock.Locked("six", "1.0", (digest,))
    assert lock.locked(str(found)) == (found,)
    for line in ("six==1.0", f"six>=1.0 --hash=sha256:{digest}", "six==1.0 --hash=sha256:12"):
        with pytest.raises(ForeignDebianError, match="not a pinned project"):
            lock.locked(line)


@needs_dpkg
def test_dpkg_reads_the_package(small: Path) -> None:
    fields = run(["dpkg-deb", "--field", small, "Package", "Version", "Architecture"]).check()
    assert fields.output == "Package: gantry\nVersion: 1.2.3\nArchitecture: amd64\n"
    depends = run(["dpkg-deb", "--field", small, "Depends"]).check().output
    assert "python3 (>= 3.11~), python3 (<< 3.12~)" in depends
    assert "libc6 (>= 2." in depends
    assert small.name == "gantry_1.2.3_amd64.deb"


@needs_dpkg
def test_what_is_inside_lies_where_it_belongs_and_is_roots(small: Path) -> None:
    listing = run(["dpkg-deb", "--contents", small]).check().output
    rows = [line.split(maxsplit=5) for line in listing.splitlines()]
    modes = {path.removeprefix("."): mode for mode, _, _, _, _, path in rows}
    assert {owner for _, owner, *_ in rows} == {"root/root"}
    assert {date for _, _, _, date, *_ in rows} == {"2023-11-14"}
    for name in (
        "/usr/lib/gantry/packages/agent/__init__.py",
        "/usr/lib/gantry/packages/other/module.so",
        "/usr/lib/systemd/system/gantry.service",
        "/usr/share/polkit-1/rules.d/50-gantry-media.rules",
        "/usr/share/gantry/profiles/gateway.toml",
        "/usr/share/doc/gantry/copyright",
        "/usr/share/doc/gantry/gantry.cdx.json",
    ):
        assert modes[name] == "-rw-r--r--", name
    programs = [path for path, mode in modes.items() if mode.startswith("-") and "x" in mode]
    assert programs == ["/usr/bin/gantry"]
    compiled = [path for path in modes if path.endswith(".pyc")]
    assert len(compiled) == 3
    assert not [
        path for path in modes if "/tests/" in path or path.endswith(("RECORD", "bin/other"))
    ]


@needs_dpkg
def test_a_package_has_the_sums_of_its_files(small: Path, tmp_path: Path) -> None:
    run(["dpkg-deb", "--raw-extract", small, tmp_path / "raw"]).check()
    checked = run(["md5sum", "--check", "--quiet", "DEBIAN/md5sums"], folder=tmp_path / "raw")
    assert checked.check().output == ""


@needs_dpkg
def test_modules_were_compiled_for_where_they_will_be_and_are_not_checked(
    small: Path, tmp_path: Path
) -> None:
    run(["dpkg-deb", "--extract", small, tmp_path]).check()
    folder = tmp_path / "usr/lib/gantry/packages/agent"
    (compiled,) = (folder / "__pycache__").iterdir()
    head = compiled.read_bytes()
    # PEP 552: bit 0 a hash instead of a date, bit 1 that it is to be checked.
    assert int.from_bytes(head[4:8], "little") == 0b01
    assert b"/usr/lib/gantry/packages/agent/__init__.py" in head
    assert str(tmp_path.parent).encode() not in head


@needs_dpkg
def test_two_builds_give_the_same_bytes(small: Path, tmp_path: Path) -> None:
    again = small_package(tmp_path)
    assert again.read_bytes() == small.read_bytes()
    assert (
        again.with_suffix(".cdx.json").read_bytes() == small.with_suffix(".cdx.json").read_bytes()
    )
    assert small_package(tmp_path, "1.2.4").read_bytes() != small.read_bytes()


@needs_dpkg
def test_the_bill_names_what_is_inside(small: Path) -> None:
    bill = json.loads(small.with_suffix(".cdx.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    found = {each["name"]: each for each in components_of(bill)}
    assert found["other"]["purl"] == "pkg:pypi/other@1.0"
    source = small.parents[1] / "in" / "other-1.0-py3-none-any.whl"
    digest = run(["sha256sum", source]).check().output.split()[0]
    assert found["other"]["hashes"] == [{"alg": "SHA-256", "content": digest}]
    assert found["other"]["licenses"] == [{"license": {"id": "MIT"}}]
    assert found["zip"] in found["other"]["components"]
    assert "purl" not in found["zip"]
    assert found["python3"]["scope"] == "required"
    assert found["udisks2"]["scope"] == "optional"
    refs = [each["bom-ref"] for each in found.values()]
    assert len(set(refs)) == len(refs)
    of_package, *_ = bill["dependencies"]
    assert {found["other"]["bom-ref"], found["libc6"]["bom-ref"]} <= set(of_package["dependsOn"])


def test_a_wheel_without_a_known_licence_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ForeignDebianError, match="does not say its licence"):
        wheel.read(wheel_file(tmp_path, "other", {}, "License-File: LICENSE\n"))
    with pytest.raises(ForeignDebianError, match="does not say its licence"):
        wheel.read(wheel_file(tmp_path, "other", {}, "License-Expression: MIT\n"))


def test_a_wheel_that_leads_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    path = wheel_file(
        tmp_path,
        "other",
        {"../../etc/passwd": b""},
        "License-Expression: MIT\nLicense-File: LICENSE\n",
    )
    with pytest.raises(ForeignDebianError, match="leads out"):
        wheel.unpack(wheel.read(path), tmp_path / "a" / "b" / "c", tmp_path / "usr")


def test_each_file_of_systemd_has_a_place() -> None:
    for file in sorted(tree.SYSTEMD.rglob("*")):
        if file.is_file():
            tree.place(file.relative_to(tree.SYSTEMD).as_posix())
    with pytest.raises(ForeignDebianError, match="no row of PLACES"):
        tree.place("gantry.unknown")


def test_the_scripts_are_shell_and_name_our_units(tmp_path: Path) -> None:
    scripts = control.scripts()
    assert b"gantry.service" in scripts["postinst"]
    for name, text in scripts.items():
        assert b"@" not in text, name
        (tmp_path / name).write_bytes(text)
        run(["sh", "-n", tmp_path / name]).check()


def test_files_in_etc_are_the_administrators(tmp_path: Path) -> None:
    for name in ("etc/gantry/site", "usr/bin/gantry"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("")
    described = control.members(tmp_path, version="1", target=TARGETS["amd64"], related={})
    assert described["conffiles"] == b"/etc/gantry/site\n"


def test_the_front_lists_its_commands_and_refuses_others() -> None:
    front = [sys.executable, "-m", "image.command"]
    listed = run([*front, "--help"], folder=ROOT).check().output
    assert all(name in listed for name in COMMANDS)
    assert subprocess.run([*front, "cake"], cwd=ROOT, capture_output=True).returncode == 2
    refused = run([*front, "packages", "pdp11"], folder=ROOT)
    assert refused.returncode == 2
    assert "pdp11 is none of amd64, arm64, armhf" in refused.output
