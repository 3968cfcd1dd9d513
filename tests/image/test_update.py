"""Updates as RAUC itself sees them, by the settings of a card; and the boot loader's script."""

from __future__ import annotations

from pathlib import Path

import pytest

from image.boards import BOARDS
from image.root import FILES
from image.update import Signer, compatible, test_authority, write_bundle
from tests.peers.programs import Completed, program, run

_BOARD = BOARDS["arm64"]
make_authority = test_authority
del test_authority  # pytest would take it for a test.


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    for package, name in (("rauc", "rauc"), ("squashfs-tools", "mksquashfs")):
        program(package, name)
    return make_authority(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def bundle(ours: Signer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "root").write_bytes(bytes(range(256)) * 4096)
    write_bundle(_BOARD, folder / "root", ours, "7", folder, folder / "gantry.raucb")
    return folder / "gantry.raucb"


def card_says(bundle: Path, trusted: Signer, folder: Path) -> Completed:
    """`rauc info` on a card whose keyring is this certificate."""
    settings = (FILES / "etc/rauc/system.conf").read_text()
    (folder / "system.conf").write_text(settings.replace("@COMPATIBLE@", compatible(_BOARD)))
    (folder / "keyring.pem").write_bytes(trusted.certificate.read_bytes())
    rauc = program("rauc", "rauc")
    return run([rauc, f"--conf={folder}/system.conf", "info", bundle], seconds=20.0)


def test_a_card_takes_what_its_authority_has_signed(
    bundle: Path, ours: Signer, tmp_path: Path
) -> None:
    said = card_says(bundle, ours, tmp_path).check().output
    assert "gantry-arm64" in said and "verity" in said and "'7'" in said


def test_a_card_refuses_what_a_stranger_has_signed(bundle: Path, tmp_path: Path) -> None:
    stranger = make_authority(tmp_path / "stranger", "Somebody else")
    said = card_says(bundle, stranger, tmp_path)
    assert said.returncode != 0
    assert "signature verification failed" in said.output.lower()


def test_a_card_refuses_what_was_changed_after_signing(
    bundle: Path, ours: Signer, tmp_path: Path
) -> None:
    spoilt = bytearray(bundle.read_bytes())
    # The signature is at the end, its length the last eight bytes; the manifest is inside it.
    place = spoilt.rindex(b"version=7")
    spoilt[place + len("version=")] = ord("8")
    changed = tmp_path / "changed.raucb"
    changed.write_bytes(spoilt)
    assert card_says(changed, ours, tmp_path).returncode != 0


def test_an_authority_that_is_there_stays(ours: Signer) -> None:
    before = ours.key.read_bytes()
    assert make_authority(ours.key.parent) == ours
    assert ours.key.read_bytes() == before
    assert ours.key.stat().st_mode & 0o077 == 0


def test_grub_understands_the_choice_of_the_slot() -> None:
    check = program("grub-common", "grub-script-check")
    run([check, FILES.parent / "grub.cfg"], seconds=10.0).check()
