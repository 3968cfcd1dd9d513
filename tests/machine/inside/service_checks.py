"""Media at the service of systemd/gantry.service: its user may not mount, udisks does by a rule."""

from __future__ import annotations

import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agent.control import ask
from tests.machine.inside.pulled_box import NAME, hand, until

CONTROL = Path("/run/gantry/control")
RULES = Path("/opt/gantry/systemd/50-gantry-media.rules")
INSTALLED = Path("/etc/polkit-1/rules.d") / RULES.name
COUNT, SIZE = 8, 64


def seen() -> dict[str, Any]:
    return next((dict(each) for each in ask(CONTROL, "media")["items"]), {})


def said() -> str:
    """What the service says of itself."""
    done = subprocess.run(
        ["journalctl", "-u", "gantry", "-n", "40"], capture_output=True, text=True
    )
    return f"{seen()}\n{done.stdout}"


def imports() -> list[dict[str, Any]]:
    return list(ask(CONTROL, "import-list")["items"])


def is_in(state: str) -> dict[str, Any]:
    until(lambda: seen().get("state") == state, said)
    return seen()


def plug_in(number: int) -> None:
    """A stick with a study of its own."""
    hand("study", number=number, count=COUNT, size=SIZE)
    hand("make_stick", name=NAME, file_system="vfat", files=f"studies/{number}")
    hand("plug_in", name=NAME)


@pytest.fixture(autouse=True)
def _pulled() -> Iterator[None]:
    yield
    hand("pull", name=NAME)
    until(lambda: not seen(), said)


def test_a_stick_is_imported_by_the_service_as_its_own_user() -> None:
    plug_in(1)
    is_in("safe to remove")
    (over,) = imports()
    assert (over["state"], over["objects"], over["failed"]) == ("COMPLETED", COUNT, 0)
    assert over["medium"] == f"/media/gantry/{NAME}"
    shown = subprocess.run(
        ["systemctl", "show", "-P", "MainPID", "gantry"], capture_output=True, text=True
    )
    status = Path("/proc", shown.stdout.strip(), "status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert int(fields["Uid"].split()[1]) == pwd.getpwnam("gantry").pw_uid
    assert int(fields["CapBnd"], 16) == int(fields["CapEff"], 16) == 0
    assert (fields["NoNewPrivs"].strip(), fields["Seccomp"].strip()) == ("1", "2")
    mounts = Path("/proc", shown.stdout.strip(), "mounts").read_text().splitlines()
    state = next(each for each in mounts if each.split()[1] == "/var/lib/gantry")
    assert "noexec" in state.split()[3].split(",")


def test_a_stick_that_is_pulled_goes_on_when_it_is_back() -> None:
    plug_in(2)
    until(lambda: seen().get("state") == "being imported" and imports()[0]["id"] > 1, said)
    hand("pull", name=NAME)
    until(lambda: not seen(), said)
    time.sleep(1)
    hand("plug_in", name=NAME)
    is_in("safe to remove")
    (over, *_) = imports()
    assert (over["state"], over["objects"], over["failed"]) == ("COMPLETED", COUNT, 0)


def test_without_the_rule_it_is_said_what_is_missing() -> None:
    INSTALLED.unlink()
    try:
        time.sleep(3)
        plug_in(3)
        assert "polkit" in is_in("cannot be used")["why"]
    finally:
        shutil.copy(RULES, INSTALLED)
    time.sleep(3)


def refused(user: str, verb: str, device: str) -> bool:
    """Whether polkit does not let a user have udisks do it."""
    entry = pwd.getpwnam(user)
    command = ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
    command += ["udisksctl", verb, "--no-user-interaction", "-b", device]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 or "NotAuthorized" in done.stderr, done
    return done.returncode != 0


def test_the_rule_is_for_that_user_and_for_what_can_be_removed() -> None:
    plug_in(4)
    device = is_in("safe to remove")["device"]
    assert refused("nobody", "mount", device)
    assert not refused("gantry", "mount", device) and not refused("gantry", "unmount", device)
    assert not refused("root", "mount", device)
    assert refused("gantry", "unmount", device), "it is another's"
    assert not refused("root", "unmount", device)
    # A loop device is to udisks what a disk of the system is.
    run = partial(subprocess.run, check=True, capture_output=True, text=True)
    run(["truncate", "-s", "64M", "/var/tmp/disk"])
    run(["mkfs.vfat", "/var/tmp/disk"])
    run(["modprobe", "loop"])
    loop = run(["losetup", "-f", "--show", "/var/tmp/disk"]).stdout.strip()
    run(["udevadm", "settle"])
    time.sleep(2)
    assert refused("gantry", "mount", loop)
    run(["losetup", "-d", loop])
