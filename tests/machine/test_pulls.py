"""Sticks that are pulled at moments of chance, from imports and exports: `gantry test --machine`.

10 pulls of each kind, 100 with `--long`. The guest boots once for all of a kind. The seed is
printed, and can be given: GANTRY_PULL_SEED.
"""

from __future__ import annotations

import compileall
import json
import os
import py_compile
import random
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.machine.guest import ROOT
from tests.machine.pulling import Pulling
from tests.machine.test_drivers_in_a_guest import run_inside

pytestmark = [pytest.mark.machine, pytest.mark.timeout(3 * 3600)]

JOB = """
modprobe -a xhci_pci sd_mod
modprobe usb_storage delay_use=0
/lib/systemd/systemd-udevd --daemon
udevadm trigger --type=all --action=add
mkdir -p /srv/gantry
tar -x -C /srv/gantry -f /tmp/results/code.tar
cd /srv/gantry
export PYTHONPATH=/srv/gantry GANTRY_PULLS={pulls} GANTRY_PULL_SEED={seed}
python3 -m pytest -c /dev/null --rootdir /tmp/results --noconftest -p no:cacheprovider -q -s \\
  --junitxml=/tmp/results/junit.xml /srv/gantry/tests/machine/inside/{{checks}}.py
"""


def pack(folder: Path, archive: Path) -> None:
    """The code for the guest in one file, compiled: emulated, it would take minutes to copy it."""
    ignored = shutil.ignore_patterns("__pycache__", "test_*.py", "bench", "fuzz")
    for name in ("agent", "hal", "tests", "profiles", "systemd"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(folder, quiet=1, invalidation_mode=mode)
    with tarfile.open(archive, "w") as made:
        made.add(folder, ".")


@pytest.mark.parametrize("kind", ["import", "export", "update"])
def test_nothing_is_lost_when_a_stick_is_pulled(
    kind: str, tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    seed = int(os.environ.get("GANTRY_PULL_SEED") or random.SystemRandom().randrange(1 << 32))
    pulls = int(os.environ.get("GANTRY_PULLS") or count(10, 100))
    print(f"GANTRY_PULL_SEED={seed}")
    hand = Pulling(tmp_path / "results" / "plugging")
    pack(tmp_path / "code", tmp_path / "results" / "code.tar")
    try:
        found = run_inside(
            f"{kind}_pull_checks",
            tmp_path / "results",
            hand.devices,
            hand.attend,
            job=JOB.format(pulls=pulls, seed=seed),
            seconds=120.0 + 90 * pulls,
        )
    finally:
        hand.close()
    kept = hand.folder / "figures"
    figures = kept.read_text() if kept.exists() else ""
    print(figures)
    assert not any(found.values()), (seed, found)
    assert (
        len([line for line in map(json.loads, figures.splitlines()) if "moment" in line]) == pulls
    )
