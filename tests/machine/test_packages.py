"""The Debian packages on a fresh Debian 12, entered with chroot: `gantry test --machine`.

Installed with apt without any network, called by DCMTK, upgraded, removed, purged; for arm64 under
QEMU's user emulation. Needs root, mmdebstrap, a Debian mirror and a package index; the roots are
made once and kept in the cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from image.foreign_debian import ensure_host_packages
from image.packages import command
from image.packages.targets import TARGETS
from tests.machine.guest import CACHE, ROOT

pytestmark = [pytest.mark.machine, pytest.mark.timeout(3600)]

PACKAGES = "systemd,python3,dcmtk,iproute2,libstdc++6,zlib1g,libudev1"
CHECKS = ROOT / "tests" / "machine" / "inside" / "package_checks.py"
IMAGE = "SC_rgb_small_odd.dcm"
VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
sys.exit(JsonStrictValidator(SchemaVersion.V1_5).validate_str(open(sys.argv[1]).read()))
"""


def fresh_debian(architecture: str) -> Path:
    """An archive of a Debian 12 with what the package depends on, and DCMTK."""
    recipe = hashlib.sha256(f"{architecture} {PACKAGES}".encode()).hexdigest()[:16]
    archive = CACHE / f"debian-{recipe}.tar"
    if not archive.exists():
        ensure_host_packages(
            {"mmdebstrap": "mmdebstrap", "qemu-aarch64-static": "qemu-user-static"}
        )
        CACHE.mkdir(parents=True, exist_ok=True)
        made = archive.with_suffix(".new.tar")
        options = (f"--architectures={architecture}", f"--include={PACKAGES}", "--mode=root")
        debian = ("mmdebstrap", "--quiet", "--variant=minbase", *options, "bookworm", str(made))
        subprocess.run(debian, check=True)
        made.rename(archive)
    return archive


class Chroot:
    """A Debian in a folder, without a network."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, *words: str, status: int = 0) -> str:
        done = subprocess.run(
            # A namespace of mounts too: /proc goes with it.
            [
                *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"),
                *("sh", "-ec", 'mount -t proc proc "$0/proc"; exec chroot "$0" "$@"'),
                *(str(self.root), *words),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"},
        )
        assert done.returncode == status, done.stdout
        return done.stdout

    def install(self, package: Path) -> str:
        shutil.copy(package, self.root / "tmp" / package.name)
        quiet = ("--yes", "--quiet", "--no-install-recommends")
        return self.run("apt-get", *quiet, "install", f"/tmp/{package.name}")

    def status(self) -> str:
        return self.run("dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Version}", "gantry")


@pytest.fixture(scope="module", params=["amd64", "arm64"])
def package(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    return command.make(command.recipe(TARGETS[request.param], folder), folder / "made")


@pytest.fixture
def debian(package: Path, tmp_path: Path) -> Iterator[Chroot]:
    if os.geteuid():
        pytest.skip("needs root")
    root = tmp_path / "debian"
    root.mkdir()
    archive = fresh_debian(package.stem.rpartition("_")[2])
    subprocess.run(["tar", "-x", "-p", "--numeric-owner", "-C", root, "-f", archive], check=True)
    yield Chroot(root)
    # Device nodes and the files of others: pytest keeps folders of earlier runs.
    shutil.rmtree(root)


def older(package: Path, folder: Path) -> Path:
    """The same under a lower version, made by dpkg-deb."""
    run = subprocess.check_call
    run(["dpkg-deb", "--raw-extract", package, folder])
    described = folder / "DEBIAN" / "control"
    described.write_text(described.read_text().replace("\nVersion: ", "\nVersion: 0.0.1~"))
    path = folder.with_suffix(".deb")
    run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", folder, path])
    return path


def test_it_is_installed_works_is_upgraded_removed_and_purged(
    package: Path, debian: Chroot, tmp_path: Path
) -> None:
    debian.install(older(package, tmp_path / "older"))
    assert debian.status().startswith("ii 0.0.1~")
    etc, state = debian.root / "etc" / "gantry", debian.root / "var" / "lib" / "gantry"
    configuration = etc / "gantry.toml"
    owner = debian.run("stat", "-c", "%U %G %a", "/etc/gantry/gantry.toml", "/var/lib/gantry")
    assert owner.split("\n")[:2] == ["root gantry 640", "gantry gantry 750"]
    enabled = debian.root / "etc/systemd/system/multi-user.target.wants/gantry.service"
    assert enabled.is_symlink()

    found = json.loads(checked(debian).splitlines()[-1])
    assert (found["node"]["status"], found["node"]["owner"]) == (0, "gantry")
    assert not [each for each in found["codecs"].items() if "(" in each[1] or "other" in each[1]]
    assert found["version"].endswith(command.version_of_project())
    assert "ok  the C kernels of the codecs are here" in found["doctor"]
    print(found)

    # What the administrator has changed and switched off stays so, and nobody is asked.
    with configuration.open("a") as file:
        file.write("# Changed by hand.\n")
    changed = configuration.read_bytes()
    enabled.unlink()
    debian.install(package)
    assert debian.status() == f"ii {command.version_of_project()}"
    assert configuration.read_bytes() == changed
    assert not enabled.is_symlink()

    kept = debian.run("apt-get", "-y", "-q", "remove", "gantry")
    assert "patients' objects in /var/lib/gantry" in kept
    assert configuration.read_bytes() == changed
    assert list(state.rglob("*.dcm"))
    assert not (debian.root / "usr/lib/gantry").exists()

    said = debian.run("apt-get", "-y", "-q", "purge", "gantry")
    assert "deleting /var/lib/gantry (patients' objects, keys, logs)" in said
    assert not etc.exists()
    assert not state.exists()
    left = debian.run("find", "/etc", "/usr", "/var/lib", "-iname", "*gantry*")
    assert not [each for each in left.split() if "/tmp/" not in each], left


def checked(debian: Chroot) -> str:
    """What the checks inside print, on an image that DCMTK and we can both show."""
    given = get_testdata_file(IMAGE)
    assert isinstance(given, str)
    shutil.copy(given, debian.root / "root" / IMAGE)
    shutil.copy(CHECKS, debian.root / "root" / CHECKS.name)
    return debian.run("python3", f"/root/{CHECKS.name}", f"/root/{IMAGE}", "/root")


def test_made_again_elsewhere_and_later_it_has_the_same_bytes(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    target = TARGETS[package.stem.rpartition("_")[2]]
    again = command.make(command.recipe(target, tmp_path), tmp_path / "elsewhere" / "made")
    assert again.read_bytes() == package.read_bytes()


def test_the_bill_of_materials_is_valid_for_others(package: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "judge"], check=True)
    python = tmp_path / "judge" / "bin" / "python"
    judge = "cyclonedx-python-lib[json-validation]"
    subprocess.run([python, "-m", "pip", "install", "--quiet", judge], check=True)
    bill = package.with_suffix(".cdx.json")
    done = subprocess.run([python, "-c", VALIDATE, bill], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_lintian_finds_no_error(package: Path) -> None:
    if shutil.which("lintian") is None:
        pytest.skip("needs lintian")
    command_line = ["lintian", "--fail-on", "error", "--allow-root", str(package)]
    done = subprocess.run(command_line, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
