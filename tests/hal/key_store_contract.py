"""What every store of keys owes its owner: subclassed per driver, with a judge by others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hal.keys.base import Key, KeyStore, NoSuchKey, WrongStore
from hal.keys.named_key import NamedKey
from tests.peers.certificates import Authority
from tests.peers.openssl import openssl

MESSAGE = b"to be signed"


def verify(key: Key, signature: bytes, hash_name: str = "sha256") -> None:
    """Raises when the signature is not that of the key over MESSAGE."""
    kind = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384()}[hash_name]
    public = load_der_public_key(key.public_key)
    if isinstance(public, rsa.RSAPublicKey):
        public.verify(signature, MESSAGE, padding.PKCS1v15(), kind)
    else:
        assert isinstance(public, ec.EllipticCurvePublicKey)
        public.verify(signature, MESSAGE, ec.ECDSA(kind))


def undo_what_the_public_key_does(key: Key) -> None:
    """The bare operation of RSA."""
    public = load_der_public_key(key.public_key)
    assert isinstance(public, rsa.RSAPublicKey)
    numbers = public.public_numbers()
    # One whose result begins with zeros, which none of the bytes may be lost of.
    small = (1 << 40) + 1
    block = pow(small, numbers.e, numbers.n).to_bytes(256, "big")
    assert key.sign_block(block, padded=True) == small.to_bytes(256, "big")


def request_that_openssl_verifies(store: KeyStore, folder: Path) -> None:
    named = NamedKey(str(folder / "named"), store)
    named.request("CN=edge,O=Clinic", ["edge.clinic.example", "192.0.2.7"])
    words = ("-in", folder / "named" / "request.pem", "-noout", "-verify", "-text")
    said = openssl("req", *words).check().output
    assert "verify OK" in said
    assert "CN = edge" in said and "DNS:edge.clinic.example, IP Address:192.0.2.7" in said


class KeyStoreContract:
    algorithms: tuple[str, ...] = ("ec-p256", "ec-p384", "rsa-2048")

    @pytest.fixture
    def store(self) -> Any:
        raise NotImplementedError

    def test_keys_of_each_kind_sign(self, store: KeyStore, tmp_path: Path) -> None:
        for algorithm in self.algorithms:
            key = store.create("a", algorithm)
            assert key.is_rsa == algorithm.startswith("rsa")
            again = store.key("a")
            assert again.public_key == key.public_key
            verify(again, again.sign(MESSAGE))
            verify(again, key.sign(MESSAGE, "sha384"), "sha384")
            with pytest.raises(WrongStore):
                key.sign(MESSAGE, "md5")
            if key.is_rsa:
                undo_what_the_public_key_does(key)
                request_that_openssl_verifies(store, tmp_path)
            store.delete("a")

    def test_slots_are_apart_and_a_deleted_key_is_gone(self, store: KeyStore) -> None:
        assert store.slots == []
        with pytest.raises(NoSuchKey):
            store.key("a")
        first = store.create("a", "ec-p256")
        with pytest.raises(WrongStore, match="already"):
            store.create("a", "ec-p256")
        second = store.create("b", "ec-p256")
        assert store.slots == ["a", "b"]
        assert first.public_key != second.public_key
        store.delete("a")
        store.delete("a")
        assert store.slots == ["b"]
        assert store.key("b").public_key == second.public_key

    def test_a_closed_store_opens_again_with_its_keys(self, store: KeyStore) -> None:
        with store:
            public = store.create("a", "ec-p256").public_key
        store.close()
        with store:
            verify(store.key("a"), store.key("a").sign(MESSAGE))
            assert store.key("a").public_key == public

    def test_an_algorithm_that_there_is_not_is_refused(self, store: KeyStore) -> None:
        with pytest.raises(WrongStore, match="rsa-512"):
            store.create("a", "rsa-512")
        assert store.slots == []

    def test_openssl_verifies_the_request(self, store: KeyStore, tmp_path: Path) -> None:
        store.create("a", "ec-p256")
        request_that_openssl_verifies(store, tmp_path)

    def test_a_renewal_is_used_when_its_certificate_is_installed(
        self, store: KeyStore, tmp_path: Path
    ) -> None:
        authority = Authority("trusted")
        named = NamedKey(str(tmp_path / "named"), store)

        def certified() -> bytes:
            return authority.sign(x509.load_pem_x509_csr(named.request("CN=edge", [])))

        with pytest.raises(NoSuchKey):
            named.renew("ec-p256")
        named.create("ec-p256")
        first = certified()
        assert named.slot_in_use() is None
        named.install(first)
        assert named.slot_in_use() == "a"
        assert named.renew("ec-p256").public_key == store.key("b").public_key
        second = certified()
        assert named.slot_in_use() == "a", "the old one goes on until there is another"
        named.install(second)
        assert named.slot_in_use() == "b"
        assert store.slots == ["b"]
        for of_another_key in (first, authority.certificate_pem):
            with pytest.raises(WrongStore, match="none of these"):
                named.install(of_another_key)
        assert named.install(certified()).subject == "CN=edge"
        assert store.slots == ["b"], "a new certificate of the same key"
        named.delete()
        assert store.slots == [] and not (tmp_path / "named" / "certificate.pem").exists()
