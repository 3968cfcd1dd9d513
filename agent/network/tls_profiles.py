"""The secure transport connection profiles of PS3.15 Annex B that rest on TLS, as one table.

The node's TLS contexts, the checks of the configuration and the conformance statement read it. The
live profiles are B.12 and B.13; the others are retired, and hold only where one is named. ISCL
(B.2) is no TLS and is not here.

B.12 leaves the cipher suites to BCP 195: for TLS 1.2 those of RFC 9325 4.2, for TLS 1.3 those of
RFC 8446 9.1. B.13 names them all (PS3.15 2024e, 2026a): five that servers shall support for TLS
1.3, ten for TLS 1.2, and those with Camellia, which CP-2311 has made optional. Groups and signature
algorithms are OpenSSL's at the security level of the profile: level 2 takes no RSA or DH key below
2048 bits and no SHA-1, and the curves of its default list begin with X25519 and P-256. Cipher
suites with DHE are left out everywhere: RFC 9325 4.1 advises against them, and B.13 forbids them
where the length of the key cannot be set, which Python's `ssl` cannot without a file.
"""

from __future__ import annotations

from dataclasses import dataclass

TLS_1_0, TLS_1_2, TLS_1_3 = "TLS 1.0", "TLS 1.2", "TLS 1.3"

# The names of the RFCs and of PS3.15, and those of OpenSSL ("" for what it does not have).
OPENSSL_NAMES = {
    "TLS_AES_256_GCM_SHA384": "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256": "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_GCM_SHA256": "TLS_AES_128_GCM_SHA256",
    "TLS_AES_128_CCM_SHA256": "TLS_AES_128_CCM_SHA256",
    "TLS_AES_128_CCM_8_SHA256": "TLS_AES_128_CCM_8_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CAMELLIA_256_GCM_SHA384": "",
    "TLS_ECDHE_RSA_WITH_CAMELLIA_256_GCM_SHA384": "",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CCM": "ECDHE-ECDSA-AES256-CCM",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8": "ECDHE-ECDSA-AES256-CCM8",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_CAMELLIA_128_GCM_SHA256": "",
    "TLS_ECDHE_RSA_WITH_CAMELLIA_128_GCM_SHA256": "",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CCM": "ECDHE-ECDSA-AES128-CCM",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8": "ECDHE-ECDSA-AES128-CCM8",
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA": "",
}

RFC_8446 = ("TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256")
_RFC_9325 = (
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
)
# RFC 7525 4.2, which B.9 and B.10 rest on, knows RSA only.
_RFC_7525 = ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")
_OLD = ("TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_3DES_EDE_CBC_SHA")


@dataclass(frozen=True, slots=True)
class SecureTransportProfile:
    """One profile: `name` is its title in PS3.15 without "TLS Secure Transport Connection Profile".

    Cipher suites stand in our order of preference. `unavailable` says why a profile cannot be had.
    """

    clause: str
    name: str
    lowest: str
    highest: str
    tls_1_3: tuple[str, ...]
    tls_1_2: tuple[str, ...]
    security_level: int = 2
    retired: bool = False
    unavailable: str = ""

    @property
    def title(self) -> str:
        return f"{self.name} TLS Secure Transport Connection Profile"

    @property
    def versions(self) -> str:
        return self.lowest if self.lowest == self.highest else f"{self.lowest} to {self.highest}"

    @property
    def cipher_suites(self) -> tuple[str, ...]:
        return self.tls_1_3 + self.tls_1_2


_PROFILES = (
    SecureTransportProfile(
        "PS3.15 B.12", "BCP 195 RFC 8996, 9325", TLS_1_2, TLS_1_3, RFC_8446, _RFC_9325
    ),
    SecureTransportProfile(
        "PS3.15 B.13",
        "Modified BCP 195 RFC 8996, 9325",
        TLS_1_2,
        TLS_1_3,
        (*RFC_8446, "TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"),
        tuple(each for each in OPENSSL_NAMES if each.startswith("TLS_ECDHE_")),
    ),
    SecureTransportProfile(
        "PS3.15 B.1",
        "Basic",
        TLS_1_0,
        TLS_1_0,
        (),
        ("TLS_RSA_WITH_3DES_EDE_CBC_SHA",),
        retired=True,
        unavailable="it wants TLS_RSA_WITH_3DES_EDE_CBC_SHA, and OpenSSL has no Triple DES for TLS"
        " any more",
    ),
    # RSA key transport with AES; the profile is older than TLS 1.1, and TLS 1.0 signs with SHA-1.
    SecureTransportProfile(
        "PS3.15 B.3", "AES", TLS_1_0, TLS_1_2, (), _OLD, security_level=0, retired=True
    ),
    # It may come down to the AES profile; not to TLS 1.0, which RFC 8996 has taken out of BCP 195.
    SecureTransportProfile(
        "PS3.15 B.9",
        "BCP 195",
        TLS_1_2,
        TLS_1_3,
        RFC_8446,
        _RFC_7525 + _OLD,
        security_level=1,
        retired=True,
    ),
    SecureTransportProfile(
        "PS3.15 B.10",
        "Non-Downgrading BCP 195",
        TLS_1_2,
        TLS_1_3,
        RFC_8446,
        _RFC_7525,
        retired=True,
    ),
    SecureTransportProfile(
        "PS3.15 B.11", "Extended BCP 195", TLS_1_2, TLS_1_3, RFC_8446, _RFC_9325, retired=True
    ),
)

PROFILES = {each.name: each for each in _PROFILES}
DEFAULT = _PROFILES[0]


def profile_of(name: str) -> SecureTransportProfile:
    """The profile of this name, the live one of B.12 for "". Raises KeyError."""
    return PROFILES[name] if name else DEFAULT
