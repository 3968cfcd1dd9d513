"""A key in the machine's TPM, through the kernel's resource manager; runs inside the guest, as a
user of the group tss. What is signed is judged outside, where there is an OpenSSL."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hal.keys.base import NoSuchKey, WrongStore, open_driver

DEVICE = "/dev/tpmrm0"
MESSAGE = b"what is signed in the guest"
HANDLES = {"ec-p256": 0x81010010, "rsa-2048": 0x81010020}


def test_the_user_is_nobody_special() -> None:
    assert os.geteuid() != 0
    assert os.stat(DEVICE).st_mode & 0o777 == 0o660  # noqa: PTH116


@pytest.mark.parametrize("algorithm", HANDLES)
def test_a_key_is_made_signs_and_is_there_again(algorithm: str) -> None:
    options = {"device": DEVICE, "handle": HANDLES[algorithm]}
    with open_driver("tpm", **options) as store:
        assert store.slots == []
        made = store.create("a", algorithm).public_key
    with open_driver("tpm", **options) as again:
        key = again.key("a")
        assert key.public_key == made and again.slots == ["a"]
        signed = {"key": made.hex(), "signature": key.sign(MESSAGE).hex()}
    Path(f"{algorithm}.json").write_text(json.dumps(signed))


def test_two_processes_use_the_chip_at_a_time() -> None:
    """As the node and a command do: the kernel keeps them apart."""
    stores = [open_driver("tpm", device=DEVICE, handle=HANDLES["ec-p256"]) for _ in range(2)]
    for store in stores:
        store.open()
    try:
        assert stores[0].key("a").public_key == stores[1].key("a").public_key
        with pytest.raises(WrongStore):
            stores[1].create("a", "ec-p256")
        assert stores[0].key("a").sign(MESSAGE) != stores[1].key("a").sign(MESSAGE)
    finally:
        for store in stores:
            store.close()


def test_a_key_that_is_deleted_is_gone() -> None:
    with open_driver("tpm", device=DEVICE, handle=HANDLES["ec-p256"]) as store:
        store.delete("a")
        with pytest.raises(NoSuchKey):
            store.key("a")
