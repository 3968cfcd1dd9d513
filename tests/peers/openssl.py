"""`openssl`: a TLS server; and `openssl cms`, which makes Secure DICOM files as another maker would
and judges ours."""

from __future__ import annotations

from pathlib import Path

from tests.peers.certificates import Credentials
from tests.peers.process import Server
from tests.peers.programs import Completed, program, run

ENVELOPED, SIGNED, DIGESTED = (f"1.2.840.113549.1.7.{end}" for end in (3, 2, 5))
_CIPHERS = {
    "aes-128": "-aes128",
    "aes-192": "-aes192",
    "aes-256": "-aes256",
    "triple-des": "-des3",
}


class TlsServer(Server):
    """`openssl s_server`: it does handshakes, and speaks no DICOM."""

    def __init__(self, folder: Path, own: Credentials, *options: str | Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(log=folder / "s_server.log")
        self._own = ["-cert", own.certificate, "-key", own.key]
        self._options = options

    def command(self) -> list[str | Path]:
        words = ["s_server", "-www", "-accept", str(self.port)]
        return [program("openssl", "openssl"), *words, *self._own, *self._options]


def openssl(*words: str | Path) -> Completed:
    """Run it to its end; its status is left to the caller."""
    return run([program("openssl", "openssl"), *words])


def cms(*words: str | Path) -> None:
    """Run `openssl cms` in DER; AssertionError when it says no."""
    openssl("cms", *words).check()


def digested(file: Path, out: Path, digest: str = "sha256", *more: str) -> Path:
    """Digested-data around a file."""
    words = ("-digest_create", "-binary", "-md", digest, "-outform", "DER")
    cms(*words, "-in", file, "-out", out, *more)
    return out


def signed(
    file: Path, out: Path, signer: Credentials, digest: str = "sha256", *more: str | Path
) -> Path:
    """Signed-data around a file."""
    cms(
        *("-sign", "-binary", "-nodetach", "-md", digest, "-outform", "DER"),
        *("-signer", signer.certificate, "-inkey", signer.key, "-in", file, "-out", out, *more),
    )
    return out


def enveloped(
    file: Path,
    out: Path,
    *recipients: Path,
    password: str = "",
    cipher: str = "aes-256",
    more: tuple[str, ...] = (),
) -> Path:
    """Enveloped-data around what `digested` or `signed` made."""
    words = ["-pwri_password", password] if password else []
    cms(
        *("-encrypt", "-binary", _CIPHERS[cipher], "-outform", "DER", "-in", file, "-out", out),
        *more,
        *words,
        *recipients,
    )
    return out


def decrypted(file: Path, out: Path, own: Credentials | None = None, password: str = "") -> Path:
    """What is in the envelope, as openssl opens it."""
    words: list[str | Path] = ["-pwri_password", password]
    if own is not None:
        words = ["-recip", own.certificate, "-inkey", own.key]
    cms("-decrypt", "-binary", "-inform", "DER", "-in", file, "-out", out, *words)
    return out


def as_content_info(file: Path, kind: str) -> Path:
    """Content of a type alone is nothing that openssl reads: around it goes its type."""
    content = file.read_bytes()
    kinds = {SIGNED: 2, DIGESTED: 5}
    identifier = bytes.fromhex("06092A864886F70D0107") + bytes((kinds[kind],))
    inner = b"\xa0\x84" + len(content).to_bytes(4, "big") + content
    whole = b"\x30\x84" + (len(identifier) + len(inner)).to_bytes(4, "big") + identifier + inner
    out = file.with_suffix(".cms")
    out.write_bytes(whole)
    return out


def verified(file: Path, out: Path, authority: Path) -> Path:
    """The file in Signed-data, when openssl finds its signature right and its signer known."""
    cms(
        *("-verify", "-binary", "-inform", "DER", "-in", file, "-out", out),
        *("-CAfile", authority, "-purpose", "any"),
    )
    return out


def digest_verified(file: Path, out: Path) -> Path:
    """The file in Digested-data, when openssl finds its digest right."""
    cms("-digest_verify", "-binary", "-inform", "DER", "-in", file, "-out", out)
    return out


def structure(file: Path) -> str:
    """What `asn1parse` sees."""
    return openssl("asn1parse", "-inform", "DER", "-in", file).check().output
