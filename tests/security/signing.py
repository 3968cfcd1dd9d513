"""Those who sign in tests: an authority, one below it, signers, and one who stamps the time."""

from __future__ import annotations

import datetime
import hashlib
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element

from agent.dataset.byte_source import FileBytes
from agent.dataset.file_meta import read_file_meta
from agent.security.credentials import KeyFile
from agent.security.signature_creation import SigningOrder, sign_file
from agent.security.signature_keys import FileSigner
from agent.security.signature_verification import Trust, Verified, verify

SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"
CT = SAMPLES / "CT_small.dcm"
REPORT = SAMPLES / "reportsi.dcm"

DCMSIGN_MAC = {
    "RIPEMD160": "+mr",
    "MD5": "+mm",
    "SHA1": "+ms",
    "SHA256": "+m2",
    "SHA384": "+m3",
    "SHA512": "+m5",
}
"""The options of DCMTK's dcmsign that choose a MAC algorithm."""

_DAY = datetime.timedelta(days=1)
_NOW = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)


@dataclass(frozen=True)
class Holder:
    """A key with its certificate, as files and as objects."""

    key: Path
    certificate: Path
    key_object: Any
    certificate_object: x509.Certificate


def holder(
    folder: Path,
    name: str,
    issuer: Holder | None = None,
    *,
    authority: bool = False,
    stamps: bool = False,
    curve: bool = False,
    begin: int = -1,
    end: int = 30,
) -> Holder:
    """A new key with a certificate of `issuer`, or of its own, valid between two days from now."""
    key: Any = (
        ec.generate_private_key(ec.SECP256R1()) if curve else rsa.generate_private_key(65537, 2048)
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate_object.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOW + begin * _DAY)
        .not_valid_after(_NOW + end * _DAY)
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
    )
    if stamps:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        builder = builder.add_extension(usage, critical=True)
    made = builder.sign(key if issuer is None else issuer.key_object, hashes.SHA256())
    files = folder / f"{name}.key", folder / f"{name}.pem"
    files[0].write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    files[1].write_bytes(made.public_bytes(Encoding.PEM))
    return Holder(*files, key, made)


def revocation_list(folder: Path, issuer: Holder, *revoked: Holder, end: int = 7) -> Path:
    """A list of an authority that lasts so many days from now."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate_object.subject)
        .last_update(_NOW - _DAY)
        .next_update(_NOW + end * _DAY)
    )
    for each in revoked:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(each.certificate_object.serial_number)
            .revocation_date(_NOW - _DAY)
            .build()
        )
    made = folder / f"{issuer.key.stem}-{len(revoked)}-{end}.crl"
    made.write_bytes(builder.sign(issuer.key_object, hashes.SHA256()).public_bytes(Encoding.PEM))
    return made


@dataclass(frozen=True)
class Signers:
    """All of them, made once."""

    folder: Path
    root: Holder
    middle: Holder
    signer: Holder
    below: Holder
    """Signed by `middle`, which `root` has signed."""
    expired: Holder
    curve: Holder
    stamper: Holder


def make_signers(folder: Path) -> Signers:
    root = holder(folder, "root", authority=True)
    middle = holder(folder, "middle", root, authority=True)
    return Signers(
        folder,
        root,
        middle,
        holder(folder, "signer", root),
        holder(folder, "below", middle),
        holder(folder, "expired", root, begin=-30, end=-1),
        holder(folder, "curve", root, curve=True),
        holder(folder, "stamper", root, stamps=True),
    )


def signed_by_us(source: Path, target: Path, by: Holder, **order: Any) -> str:
    """A copy with a signature more; its UID."""
    signer = FileSigner(KeyFile(str(by.key)), str(by.certificate))
    with source.open("rb") as opened, target.open("wb") as written:
        return sign_file(opened.fileno(), written.fileno(), SigningOrder(**order), signer)


def trust(*anchors: Holder, others: tuple[Holder, ...] = (), lists: tuple[Path, ...] = ()) -> Trust:
    return Trust.of_files(
        [str(each.certificate) for each in anchors],
        [str(each.certificate) for each in others],
        [str(each) for each in lists],
    )


def verified(file: Path, trusted: Trust, *, days: float = 0) -> list[Verified]:
    """As of so many days from now."""
    moment = datetime.datetime.now(datetime.UTC) + days * _DAY
    descriptor = os.open(file, os.O_RDONLY)
    try:
        meta = read_file_meta(descriptor)
        return verify(
            FileBytes(descriptor, meta.data_set_offset), meta.encoding_uid, trusted, moment
        )
    finally:
        os.close(descriptor)


def by_pydicom(data_set: pydicom.Dataset, number: int = 0) -> tuple[bytes, bytes, x509.Certificate]:
    """The stream of bytes that a signature is over, its value and its certificate, worked out with
    pydicom alone (PS3.3 C.12.1.1.3.1.2)."""
    signature = data_set.DigitalSignaturesSequence[number]
    parameters = next(
        each for each in data_set.MACParametersSequence if each.MACIDNumber == signature.MACIDNumber
    )
    signed = parameters.DataElementsSigned
    stream = mac_stream(data_set, [signed] if isinstance(signed, int) else list(signed))
    left_out = {"CertificateOfSigner", "Signature", "CertifiedTimestampType", "CertifiedTimestamp"}
    stream += b"".join(_in_mac(each) for each in signature if each.keyword not in left_out)
    certificate = x509.load_der_x509_certificate(signature.CertificateOfSigner)
    return stream, signature.Signature, certificate


def mac_stream(data_set: pydicom.Dataset, signed: Iterable[int]) -> bytes:
    """What a MAC over these elements is made of, without fields of a signature."""
    return b"".join(_in_mac(data_set[tag]) for tag in sorted(signed) if tag in data_set)


def _in_mac(element: pydicom.DataElement) -> bytes:
    group_and_number = element.tag.group.to_bytes(2, "little") + element.tag.elem.to_bytes(
        2, "little"
    )
    if element.VR == "SQ":
        items = b"".join(
            b"\xfe\xff\x00\xe0" + b"".join(map(_in_mac, each)) for each in element.value
        )
        return group_and_number + b"SQ\0\0" + items + b"\xfe\xff\xdd\xe0"
    if element.tag == 0x7FE00010 and element.is_undefined_length:
        stream = io.BytesIO(element.value)
        made = group_and_number + b"OB\0\0"
        while head := stream.read(8):
            if head[:4] != b"\xfe\xff\x00\xe0":
                break
            made += head[:4] + stream.read(int.from_bytes(head[4:], "little"))
        return made + b"\xfe\xff\xdd\xe0"
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, False
    write_data_element(out, element, ["iso8859"])
    return bytes(out.getvalue())


def digest_of(stream: bytes, term: str) -> bytes:
    return hashlib.new(term.lower(), stream).digest()
