"""The service as it is installed on a Debian, with systemd, udisks and polkit: `--machine`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.machine.pulling import Pulling
from tests.machine.test_drivers_in_a_guest import run_inside
from tests.machine.test_pulls import pack

pytestmark = [pytest.mark.machine, pytest.mark.timeout(1800)]

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
cd /opt/gantry
useradd --system --user-group --home-dir /var/lib/gantry --shell /usr/sbin/nologin gantry
install -d -m 0750 -g gantry /etc/gantry
install -m 0640 -g gantry /tmp/results/gantry.toml /etc/gantry/
install -m 0644 systemd/gantry.service /etc/systemd/system/
install -m 0644 systemd/50-gantry-media.rules /etc/polkit-1/rules.d/
mkdir /etc/systemd/system/gantry.service.d
printf '[Service]\\nTimeoutStartSec=300\\nWatchdogSec=300\\n' \\
  >/etc/systemd/system/gantry.service.d/emulated.conf
systemctl daemon-reload
systemctl start gantry || {{ journalctl -u gantry -n 40; exit 1; }}
export PYTHONPATH=/opt/gantry
python3 -m pytest -c /dev/null --rootdir /tmp/results --noconftest -p no:cacheprovider -q -s \\
  --junitxml=/tmp/results/junit.xml /opt/gantry/tests/machine/inside/{checks}.py
"""
CONFIGURATION = """
profile = "gateway"
[[entity]]
name = "GANTRY"
port = 104
[entity.accept]
calling = "any"
[[media]]
name = "sticks"
import = "unchanged"
"""


def test_the_service_imports_a_stick_without_the_right_to_mount(tmp_path: Path) -> None:
    hand = Pulling(tmp_path / "results" / "plugging")
    pack(tmp_path / "code", tmp_path / "results" / "code.tar")
    (tmp_path / "results" / "gantry.toml").write_text(CONFIGURATION)
    try:
        found = run_inside(
            "service_checks",
            tmp_path / "results",
            hand.devices,
            hand.attend,
            job=JOB,
            seconds=1200.0,
            systemd=True,
        )
    finally:
        hand.close()
    assert not any(found.values()), found
    assert len(found) == 4
