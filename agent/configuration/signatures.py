"""Digital signatures of objects (PS3.15 C): with what this node signs, and whom it trusts."""

from __future__ import annotations

from agent.configuration.key import key, section
from agent.configuration.kinds import Choice, Flag, ListOf, Path
from agent.configuration.secrets import Secret, SecretPlace


@section
class Signatures:
    """With what this node signs objects, and whose signatures it trusts."""

    signing_key: str = key(
        Path(),
        "our private RSA key (PEM)",
        default="",
        default_text="none",
        example='"/etc/gantry/signing.key"',
    )
    signing_passphrase: Secret = key(
        SecretPlace(),
        "the passphrase of that key",
        default=Secret(),
        default_text="the key has none",
        example='{ credential = "signing-key" }',
    )
    signing_certificate: str = key(
        Path(),
        "its certificate",
        default="",
        default_text="none",
        example='"/etc/gantry/signing.crt"',
    )
    mac: str = key(
        Choice("SHA256", "SHA384", "SHA512"),
        "the MAC algorithm of signatures that are made (PS3.15 C.1)",
        default="SHA256",
    )
    replace: bool = key(
        Flag(),
        "where a change of ours (coercion, correction, compression, conversion) breaks signatures, "
        "one of ours takes their place: over what they were over, as it is now, but for attributes "
        "with other values; only where they were valid, and by signers whom we trust (PS3.15 A.2)",
        default=False,
    )
    trust: tuple[str, ...] = key(
        ListOf(Path(optional=False)),
        "files or folders with the certificates of authorities, or of signers, that are trusted",
        default=(),
        default_text="nobody: signatures that are right are untrustworthy",
        example='["/etc/gantry/signers.crt"]',
    )
    intermediates: tuple[str, ...] = key(
        ListOf(Path(optional=False)),
        "files or folders with certificates that may stand between a signer's and a trusted one",
        default=(),
        example='["/etc/gantry/intermediates"]',
    )
    revocations: tuple[str, ...] = key(
        ListOf(Path(optional=False)),
        "files or folders with certificate revocation lists; each authority must have a current "
        "one then",
        default=(),
        default_text="revocation is not looked at",
        example='["/var/lib/gantry/lists"]',
    )
