"""The service as it is installed on a Debian, with systemd, udisks and polkit: `--machine`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.machine.pulling import Pulling
from tests.machine.test_drivers_in_a_guest import run_inside
from tests.machine.test_pulls import pack

pytestmark = [pytest.mark.machine, pytest.mark.timeout(3000)]

# As systemd/README.md says; the virtual environment is the guest's own Python.
JOB = """
set -e
modprobe -a xhci_pci usb_storage sd_mod
mkdir -p /opt/gantry/.venv/bin
tar -x -C /opt/gantry -f /tmp/results/code.tar
cat >/opt/gantry/.venv/bin/gantry <<'END'
#!/bin/sh
export PYTHONPATH=/opt/gantry
exec python3 -m agent.cli.main "$@"
END
chmod +x /opt/gantry/.venv/bin/gantry
ln -s /opt/gantry/.venv/bin/gantry /usr/bin/gantry
cd /opt/gantry/systemd
install -D -m 0644 -t /etc/systemd/system gantry*.service gantry.socket gantry-doctor.timer
install -D -m 0644 sysusers.d/gantry.conf /etc/sysusers.d/gantry.conf
install -D -m 0644 tmpfiles.d/gantry.conf /etc/tmpfiles.d/gantry.conf
install -D -m 0644 journald.conf.d/gantry.conf /etc/systemd/journald.conf.d/gantry.conf
install -D -m 0644 -t /etc/udev/rules.d 60-gantry.rules
install -m 0644 50-gantry-media.rules /etc/polkit-1/rules.d/
systemd-sysusers
systemd-tmpfiles --create gantry.conf
udevadm control --reload
mkdir -p /boot/firmware /etc/systemd/system/gantry.service.d
printf 'hostname = "edge-7"\\r\\n' >/boot/firmware/gantry.conf
install -m 0640 -g gantry /tmp/results/media.toml /etc/gantry/gantry.toml.d/
printf '[Service]\\nTimeoutStartSec=300\\nWatchdogSec=300\\n' \\
  >/etc/systemd/system/gantry.service.d/emulated.conf
systemctl daemon-reload
systemctl enable gantry
systemctl start gantry gantry-doctor.timer || {{ journalctl -n 80; exit 1; }}
export PYTHONPATH=/opt/gantry
python3 -m pytest -c /dev/null --rootdir /tmp/results --noconftest -p no:cacheprovider -q -s \\
  --junitxml=/tmp/results/junit.xml /opt/gantry/tests/machine/inside/box_checks.py \\
  /opt/gantry/tests/machine/inside/{checks}.py
"""
CONFIGURATION = """
[[entity]]
name = "GANTRY"
[entity.accept]
calling = "any"
[[media]]
name = "sticks"
import = "unchanged"
"""


def test_a_box_is_set_up_serves_and_imports_a_stick_without_any_right(tmp_path: Path) -> None:
    hand = Pulling(tmp_path / "results" / "plugging")
    pack(tmp_path / "code", tmp_path / "results" / "code.tar")
    (tmp_path / "results" / "media.toml").write_text(CONFIGURATION)
    try:
        found = run_inside(
            "service_checks",
            tmp_path / "results",
            hand.devices,
            hand.attend,
            job=JOB,
            seconds=2700.0,
            systemd=True,
        )
    finally:
        hand.close()
    assert not any(found.values()), found
    assert len(found) == 12
