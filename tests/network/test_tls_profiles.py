"""The cipher suites of the live profiles, held against a second transcription of PS3.15."""

from __future__ import annotations

import pytest

from agent.network.tls_context import offered
from agent.network.tls_profiles import PROFILES, TLS_1_2, TLS_1_3

B12, B13 = "BCP 195 RFC 8996, 9325", "Modified BCP 195 RFC 8996, 9325"

# PS3.15 2026a B.13: "Servers shall support all of the following cipher suites".
B13_TLS_1_3 = (
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_128_CCM_SHA256",
    "TLS_AES_128_CCM_8_SHA256",
)
B13_TLS_1_2 = (
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CCM",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CCM",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8",
)
# Optional since CP-2311.
B13_CAMELLIA = {
    f"TLS_ECDHE_{key}_WITH_CAMELLIA_{suite}"
    for key in ("ECDSA", "RSA")
    for suite in ("256_GCM_SHA384", "128_GCM_SHA256")
}
# RFC 9325 4.2 and RFC 8446 9.1, which BCP 195 is.
B12_TLS_1_2 = {
    f"TLS_ECDHE_{key}_WITH_AES_{suite}"
    for key in ("ECDSA", "RSA")
    for suite in ("256_GCM_SHA384", "128_GCM_SHA256")
}
SHORT_TAGS = {each for each in (*B13_TLS_1_3, *B13_TLS_1_2) if "CCM_8" in each}


def test_the_lists_are_those_of_the_standard() -> None:
    modified = PROFILES[B13]
    assert set(modified.tls_1_3) == set(B13_TLS_1_3)
    assert set(modified.tls_1_2) == {*B13_TLS_1_2, *B13_CAMELLIA}
    plain = PROFILES[B12]
    assert set(plain.tls_1_3) == set(B13_TLS_1_3[:3])
    assert set(plain.tls_1_2) == B12_TLS_1_2


@pytest.mark.parametrize("name", [B12, B13])
def test_all_that_servers_shall_support_is_offered(name: str) -> None:
    profile = PROFILES[name]
    assert (profile.lowest, profile.highest, profile.security_level) == (TLS_1_2, TLS_1_3, 2)
    required = {*B13_TLS_1_3, *B13_TLS_1_2} if name == B13 else {*B12_TLS_1_2, *profile.tls_1_3}
    lacking = required - offered(profile)
    # OpenSSL from 3.2 on counts a tag of 64 bits below this security level.
    assert lacking in (set(), SHORT_TAGS if name == B13 else set())
