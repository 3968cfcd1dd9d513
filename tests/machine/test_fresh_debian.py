"""`./gantry` on a fresh Debian 12 that has Python and no C compiler: `gantry test --machine`.

The system is unpacked into a folder and entered with chroot. Needs root, mmdebstrap, a Debian
mirror and a package index; a minute and a half.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine.guest import ROOT

pytestmark = [pytest.mark.machine, pytest.mark.timeout(1200)]

OF_THE_HOST = ("etc/resolv.conf", "etc/hosts", "etc/pip.conf", "etc/ssl/certs/ca-certificates.crt")
NOBODY = 65534


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Path]:
    """The root of the new system; the checkout is at /srv/gantry and belongs to nobody."""
    if os.geteuid() or shutil.which("mmdebstrap") is None:
        pytest.skip("needs root and mmdebstrap")
    root = tmp_path / "debian"
    packages = "python3,python3-venv,ca-certificates"
    command = ["mmdebstrap", "--quiet", "--variant=apt", "--mode=root", f"--include={packages}"]
    subprocess.run([*command, "bookworm", str(root)], check=True)
    for name in OF_THE_HOST:
        if Path("/", name).exists():
            shutil.copy(Path("/", name), root / name)
    checkout = root / "srv" / "gantry"
    ignored = shutil.ignore_patterns(".venv", ".git", "__pycache__", "*.so", "build", "dist")
    shutil.copytree(ROOT, checkout, ignore=ignored, symlinks=True)
    for path in (checkout, *checkout.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    yield root
    # Device nodes and the files of others: pytest keeps folders of earlier runs.
    shutil.rmtree(root)


def gantry(root: Path, *words: str, user: int) -> str:
    """What `./gantry` says in there, as this user."""
    environment = {name: text for name, text in os.environ.items() if name.startswith("PIP_")}
    environment |= {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp"}
    command = ["chroot", f"--userspec={user}:{user}", str(root), "/srv/gantry/gantry", *words]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    assert done.returncode in (0, 1), done.stdout
    return done.stdout


def test_a_compiler_is_installed_by_root_and_asked_for_by_others(fresh: Path) -> None:
    kernel = fresh / "srv/gantry/agent/codecs/kernel.abi3.so"
    said = gantry(fresh, "doctor", "--offline", user=NOBODY)
    assert "sudo apt-get install --no-install-recommends gcc libc6-dev libpython3.11-dev" in said
    assert "without the C kernels of the codecs" in said
    assert "--  the C kernels of the codecs were not built" in said
    assert not kernel.exists()
    assert "installing" not in gantry(fresh, "doctor", "--offline", user=NOBODY)

    shutil.rmtree(fresh / "srv/gantry/.venv")
    said = gantry(fresh, "doctor", "--offline", user=0)
    assert "installing gcc libc6-dev libpython3.11-dev with apt-get" in said
    assert "ok  the C kernels of the codecs are here" in said
    assert kernel.exists()
