"""The drivers of `hal/keys`: files, SoftHSM and swtpm, each judged by programs of others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hal.keys import tpm_commands
from hal.keys.base import (
    KeyRefused,
    KeyStore,
    NoSuchKey,
    StoreGone,
    WrongStore,
    open_driver,
)
from hal.keys.named_key import NamedKey, certificates_in, facts_of
from tests.hal.key_store_contract import KeyStoreContract
from tests.peers.certificates import Authority
from tests.peers.fixtures import StartPeer
from tests.peers.key_keepers import PIN, TOKEN, SoftChip, SoftToken
from tests.peers.openssl import openssl

HANDLE = 0x81010010


class TestFiles(KeyStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> KeyStore:
        return open_driver("files", folder=str(tmp_path / "keys"))

    def test_the_file_is_pkcs8_and_its_owners_alone(self, store: KeyStore, tmp_path: Path) -> None:
        store.create("a", "ec-p256")
        file = tmp_path / "keys" / "a.key"
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.read_text().startswith("-----BEGIN PRIVATE KEY-----")
        openssl("pkey", "-in", file, "-noout", "-check").check()

    def test_a_passphrase_encrypts_the_file(self, tmp_path: Path) -> None:
        folder = str(tmp_path / "keys")
        open_driver("files", folder=folder, passphrase=b"sesame").create("a", "ec-p256")
        file = tmp_path / "keys" / "a.key"
        assert file.read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
        assert openssl("pkey", "-in", file, "-noout", "-passin", "pass:other").returncode
        openssl("pkey", "-in", file, "-noout", "-passin", "pass:sesame").check()
        with pytest.raises(KeyRefused, match="passphrase"):
            open_driver("files", folder=folder, passphrase=b"x").key("a").sign(b"")

    def test_a_file_that_others_may_read_is_refused(self, store: KeyStore, tmp_path: Path) -> None:
        store.create("a", "ec-p256")
        (tmp_path / "keys" / "a.key").chmod(0o640)
        with pytest.raises(KeyRefused, match="mode 640"):
            store.key("a")

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
    def test_a_file_of_somebody_else_is_refused(self, store: KeyStore, tmp_path: Path) -> None:
        store.create("a", "ec-p256")
        os.chown(tmp_path / "keys" / "a.key", 4711, -1)
        with pytest.raises(KeyRefused, match="user 4711"):
            store.key("a")

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
    def test_what_root_creates_belongs_to_the_owner_of_the_folder_above(
        self, store: KeyStore, tmp_path: Path
    ) -> None:
        os.chown(tmp_path, 4711, 4712)
        store.create("a", "ec-p256")
        found = (tmp_path / "keys" / "a.key").stat()
        assert (found.st_uid, found.st_gid) == (4711, 4712)

    def test_a_link_is_not_followed(self, store: KeyStore, tmp_path: Path) -> None:
        store.create("a", "ec-p256")
        (tmp_path / "keys" / "b.key").symlink_to("a.key")
        with pytest.raises(StoreGone):
            store.key("b")


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftToken]:
    made = SoftToken(tmp_path_factory.mktemp("token"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in made.environment.items():
            patch.setenv(name, value)
        yield made


class TestToken(KeyStoreContract):
    @pytest.fixture
    def store(self, token: SoftToken) -> Iterator[KeyStore]:
        store = open_driver(
            "pkcs11", label="edge", module=str(token.module), token=TOKEN, pin=PIN.encode()
        )
        yield store
        for slot in store.slots:
            store.delete(slot)
        store.close()

    def test_pkcs11_tool_sees_keys_that_never_leave(
        self, store: KeyStore, token: SoftToken
    ) -> None:
        store.create("a", "ec-p256")
        said = token.objects()
        private = said[said.index("Private Key Object") :]
        assert "edge.a" in private
        assert "never extractable" in private and "always sensitive" in private

    def test_a_wrong_pin_and_a_token_that_is_not_there_are_told(self, token: SoftToken) -> None:
        settings = {"label": "edge", "module": str(token.module), "token": TOKEN, "pin": b"0000"}
        with pytest.raises(KeyRefused, match="PIN is wrong"):
            open_driver("pkcs11", **settings).open()
        with pytest.raises(StoreGone, match="tokens that are there: 'box'"):
            open_driver("pkcs11", **(settings | {"token": "other"})).open()
        with pytest.raises(StoreGone, match="no PKCS#11 library"):
            open_driver("pkcs11", **(settings | {"module": "/nowhere.so"})).open()


@pytest.fixture(scope="module")
def chip(
    start_shared_peer: StartPeer[SoftChip], tmp_path_factory: pytest.TempPathFactory
) -> SoftChip:
    return start_shared_peer(SoftChip(tmp_path_factory.mktemp("chip")))


class TestChip(KeyStoreContract):
    @pytest.fixture
    def store(self, chip: SoftChip) -> Iterator[KeyStore]:
        store = open_driver("tpm", handle=HANDLE, device=chip.device, key_auth=b"password")
        yield store
        for slot in store.slots:
            store.delete(slot)
        store.close()

    def test_tpm2_tools_see_a_key_that_never_leaves(self, store: KeyStore, chip: SoftChip) -> None:
        store.create("a", "rsa-2048")
        said = chip.tool("readpublic", "-c", f"{HANDLE:#x}").check().output
        attributes = next(line for line in said.splitlines() if "sensitivedataorigin" in line)
        assert "fixedtpm|fixedparent" in attributes
        assert "fixedtpm" in attributes and "restricted" not in attributes
        transient = chip.tool("getcap", "handles-transient").check().output
        assert not transient.strip(), "nothing is left in the chip's memory"

    def test_a_wrong_password_is_told(self, store: KeyStore, chip: SoftChip) -> None:
        store.create("a", "ec-p256")
        other = open_driver("tpm", handle=HANDLE, device=chip.device, key_auth=b"guess")
        with pytest.raises(KeyRefused, match="password"):
            other.key("a").sign(b"")

    def test_a_chip_that_is_gone_is_told(self, chip: SoftChip) -> None:
        with pytest.raises(StoreGone, match="cannot be opened"):
            open_driver("tpm", handle=HANDLE, device="/dev/no-such-chip").open()
        chip.kill()
        store = open_driver("tpm", handle=HANDLE, device=chip.device)
        with pytest.raises(StoreGone):
            store.key("a")
        chip.start()
        with pytest.raises(NoSuchKey):
            store.key("a")

    def test_a_handle_outside_the_owners_is_refused(self) -> None:
        with pytest.raises(WrongStore, match="no handle of an owner"):
            open_driver("tpm", handle=0x80000000)


@pytest.mark.parametrize("cut", [0, 5, 12, 30, 60])
def test_an_answer_of_a_chip_that_is_cut_short_is_told(cut: int) -> None:
    whole = bytes.fromhex("8001") + (cut).to_bytes(4, "big") + bytes(4) + bytes(cut)
    with pytest.raises((StoreGone, WrongStore)):
        answer = whole[:cut]
        tpm_commands.answered(answer)
        tpm_commands.public_of(answer)


def test_a_driver_that_there_is_not_is_refused() -> None:
    with pytest.raises(WrongStore, match="files, pkcs11, tpm"):
        open_driver("drawer")


def test_a_chain_is_put_in_order_without_its_root(tmp_path: Path) -> None:
    root = Authority("root")
    middle = root.subordinate("middle")
    named = NamedKey(str(tmp_path), open_driver("files", folder=str(tmp_path)))
    named.create("ec-p256")
    own = middle.sign(x509.load_pem_x509_csr(named.request("CN=edge", [])))
    named.install(root.certificate_pem + b"some words\n" + middle.certificate_pem + own)
    subjects = [
        each.subject.rfc4514_string()
        for each in certificates_in((tmp_path / "certificate.pem").read_bytes())
    ]
    assert subjects == ["CN=edge", "CN=middle"]


@pytest.mark.parametrize(
    "data", [b"", b"rubbish", b"-----BEGIN CERTIFICATE-----\nAAAA\n", bytes(2_000_000)]
)
def test_what_is_no_certificate_is_refused(data: bytes, tmp_path: Path) -> None:
    named = NamedKey(str(tmp_path), open_driver("files", folder=str(tmp_path)))
    named.create("ec-p256")
    with pytest.raises(WrongStore):
        named.install(data)


def test_an_expired_certificate_is_refused(tmp_path: Path) -> None:
    named = NamedKey(str(tmp_path), open_driver("files", folder=str(tmp_path)))
    named.create("ec-p256")
    request = x509.load_pem_x509_csr(named.request("CN=edge", []))
    with pytest.raises(WrongStore, match="has expired"):
        named.install(Authority("trusted").sign(request, start=-30, days=1))


_CMS_OF_ANOTHER_KIND = "300b06092a864886f70d010703"


def _spoilt(old: bytes, new: bytes) -> bytes:
    """A certificate with other bytes in one place."""
    made = Authority("trusted").certificate.public_bytes(Encoding.DER)
    assert old in made
    return made.replace(old, new)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"rubbish",
        bytes.fromhex(_CMS_OF_ANOTHER_KIND),
        _spoilt(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x3f"),
        _spoilt(b"\x0c\x07trusted", b"\x0c\x07\xff\xffusted"),
        _spoilt(b"\x0c\x07trusted", b"\x1d\x07trusted"),
        _spoilt(b"\x0c\x07trusted", b"\x03\x07trusted"),
    ],
    ids=["nothing", "rubbish", "other CMS", "version", "no UTF-8", "no text", "no string"],
)
def test_what_is_no_certificate_is_told(data: bytes) -> None:
    """The last ones are found out only when their parts are asked for."""
    with pytest.raises(WrongStore):
        for each in certificates_in(data):
            facts_of(each)
