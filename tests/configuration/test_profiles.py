"""Where profiles are found."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent.configuration.profiles import VARIABLE, find_profile, profile_names

ROOT = Path(__file__).parents[2]


def test_a_checkout_has_its_own_profiles() -> None:
    assert find_profile("gateway") == ROOT / "profiles" / "gateway.toml"
    assert {"gateway", "capture-station"} <= set(profile_names())


def test_the_folders_of_the_environment_come_first_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "gateway.toml").touch()
    (tmp_path / "two" / "other.toml").touch()
    monkeypatch.setenv(VARIABLE, f"{tmp_path}/none:{tmp_path}/one:{tmp_path}/two")
    assert find_profile("gateway") == tmp_path / "one" / "gateway.toml"
    assert find_profile("other") == tmp_path / "two" / "other.toml"
    assert find_profile("capture-station") == ROOT / "profiles" / "capture-station.toml"


@pytest.mark.parametrize("name", ["../gateway", "/etc/passwd", "", ".", "a/b", "a b", "x" * 65])
def test_a_name_is_never_a_path(name: str) -> None:
    assert find_profile(name) is None


def test_an_installation_has_its_profiles_below_its_prefix(tmp_path: Path) -> None:
    library = tmp_path / "lib"
    shutil.copytree(ROOT / "agent" / "configuration", library / "agent" / "configuration")
    for name in ("__init__.py", "errors.py"):
        shutil.copy(ROOT / "agent" / name, library / "agent" / name)
    installed = tmp_path / "share" / "gantry" / "profiles"
    installed.mkdir(parents=True)
    shutil.copy(ROOT / "profiles" / "gateway.toml", installed)
    program = (
        f"import sys; sys.prefix = {str(tmp_path)!r}; sys.path.insert(0, {str(library)!r})\n"
        "from agent.configuration.profiles import find_profile; print(find_profile('gateway'))"
    )
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(installed / "gateway.toml")
