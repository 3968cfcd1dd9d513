"""Keys in a TPM on a real kernel: swtpm is the chip of a virtual machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tests.machine.inside.tpm_checks import HANDLES, MESSAGE
from tests.machine.test_drivers_in_a_guest import run_inside
from tests.peers.key_keepers import MachineChip

pytestmark = [pytest.mark.machine, pytest.mark.timeout(1800)]

# As Debian's tpm-udev: the group of those who may use the chip.
JOB = """
modprobe -a tpm_tis tpm_crb
/lib/systemd/systemd-udevd --daemon
udevadm trigger --type=all --action=add
udevadm settle
for i in 1 2 3 4 5 6 7 8 9 10; do [ -e /dev/tpmrm0 ] && break; sleep 1; done
groupadd --system tss
useradd --system --groups tss box
chgrp tss /dev/tpmrm0; chmod 660 /dev/tpmrm0
chmod 777 /tmp/results
export PYTHONPATH=/tmp/checkout PYTHONDONTWRITEBYTECODE=1
setpriv --reuid nobody --regid nogroup --clear-groups python3 -c '
from hal.keys.base import KeyStoreError, open_driver
try:
    with open_driver("tpm", handle=0x81010010) as store:
        print(store.slots)
except KeyStoreError as error:
    print(type(error).__name__, error)
' > refused 2>&1
setpriv --reuid box --regid box --init-groups \\
  python3 -m pytest -c /dev/null --rootdir /tmp/results --noconftest -p no:cacheprovider -q \\
  --junitxml=/tmp/results/junit.xml /tmp/checkout/tests/machine/inside/{checks}.py
"""


def test_an_unprivileged_user_has_keys_in_the_chip_of_the_machine(tmp_path: Path) -> None:
    results = tmp_path / "results"
    with MachineChip(tmp_path / "chip") as chip:
        found = run_inside("tpm_checks", results, chip.words_for_qemu, job=JOB)
    wrong = {name: why for name, why in found.items() if why}
    assert not wrong, "\n".join(f"{name}: {why}" for name, why in wrong.items())
    assert len(found) == 5
    for algorithm in HANDLES:
        signed = json.loads((results / f"{algorithm}.json").read_text())
        key, signature = load_der_public_key(bytes.fromhex(signed["key"])), signed["signature"]
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(bytes.fromhex(signature), MESSAGE, padding.PKCS1v15(), hashes.SHA256())
        else:
            assert isinstance(key, ec.EllipticCurvePublicKey)
            key.verify(bytes.fromhex(signature), MESSAGE, ec.ECDSA(hashes.SHA256()))
    refused = (results / "refused").read_text()
    assert "/dev/tpmrm0" in refused and "Traceback" not in refused, refused
