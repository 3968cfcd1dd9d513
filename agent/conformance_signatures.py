"""What the conformance statement says of digital signatures (PS3.15 A.2 to A.4, C; PS3.2 N.8.4)."""

from __future__ import annotations

from collections.abc import Iterator

from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity
from agent.conformance_sections import section
from agent.security.signature_profiles import PROFILES
from agent.security.signature_reading import MOST_SIGNATURES
from agent.security.signature_terms import MAC_ALGORITHMS, SOUND_MAC_ALGORITHMS

_ON_RECEIPT = {
    "ignore": "not verified",
    "note": "verified; the verdict is logged",
    "refuse": "verified; refused with {status:04X}H where one is invalid",
    "require": "verified; refused with {status:04X}H where not each is valid and trusted, or there "
    "is none",
}

_BROKEN = {
    False: "go",
    True: "give way to one of ours, over what was verified and has the same value, for the purpose "
    "of a Modification Signature",
}


def signatures(configuration: Configuration) -> Iterator[str]:
    """The section that each configuration has: signatures can be verified on demand always."""
    yield ""
    yield "## Digital signatures (PS3.15 C)"
    yield ""
    yield "| profile | clause | signed | verified | what is signed |"
    yield "|---|---|---|---|---|"
    for each in PROFILES.values():
        made = _signed(each.name, configuration)
        yield f"| {each.title} | {each.clause} | {made} | Y | {each.signs} |"
    yield from section("Signatures that are made and verified", _rows(configuration))
    entities = [each for each in configuration.entities if each.services_of("storage", "scp")]
    if entities:
        yield from section(
            "Signatures of received objects (PS3.15 A.2, A.3)",
            ((each.name, _received(each, configuration)) for each in entities),
        )


def _signed(profile: str, configuration: Configuration) -> str:
    names = [each.name for each in configuration.captures if each.sign]
    if profile == "creator" and names:
        return f"what {', '.join(names)} captures; on demand"
    return "on demand"


def _rows(configuration: Configuration) -> Iterator[tuple[str, str]]:
    table = configuration.signatures
    yield "MAC algorithms verified", ", ".join(MAC_ALGORITHMS)
    yield "MAC algorithms used to sign", f"{', '.join(SOUND_MAC_ALGORITHMS)}; captures: {table.mac}"
    yield "Keys that sign", "RSA with PKCS #1 v1.5, 2048 bits at least, from a file"
    yield "Keys that are verified", "RSA with PKCS #1 v1.5; ECDSA"
    yield (
        "MAC calculation transfer syntax",
        "Explicit VR Little Endian; that of the object where pixel data are encapsulated. Verified "
        "in each explicit VR syntax that says of pixel data what the object has",
    )
    yield "Signatures within sequence items", "made and verified, Base profile"
    yield (
        "Certificates",
        "X509_1993_SIG; paths by RFC 5280 to configured certificates, with validity, key usage and "
        "basic constraints; an incomplete, expired or revoked path is untrustworthy, not invalid",
    )
    revocation = "by the lists that are configured" if table.revocations else "not looked at"
    yield "Revocation", revocation
    yield (
        "Certified time stamps",
        "CMS_TSP (RFC 3161): put in when handed in, kept, and verified; no authority is asked",
    )
    yield "Signatures of one object", f"at most {MOST_SIGNATURES}"
    yield (
        "How a signatory is identified",
        "capture: the key of the device's configuration; on demand: who can read the private key",
    )
    yield (
        "Reports and key object selections (A.4)",
        "signed when a person asks for it; each reference of their evidence gets a MAC of the "
        "object where it has neither a MAC nor a signature, and nothing is signed while an object "
        "is not at hand",
    )


def _received(entity: Entity, configuration: Configuration) -> str:
    said = _ON_RECEIPT[entity.storage.signatures].format(status=entity.status.signature)
    level = entity.storage.negotiated_signature_level
    gone = _BROKEN[configuration.signatures.replace]
    kept = {
        0: "no promise for signatures",
        1: f"signatures over what is coerced or compressed {gone}",
        2: f"signatures over what is coerced, corrected, compressed or converted {gone} (A.2)",
        3: "every bit is kept (A.3), save where a rule compresses, corrects or converts; then "
        f"signatures over what that changes {gone}",
    }
    return f"Signature Level {level}; {said}; {kept.get(level, '')}"
