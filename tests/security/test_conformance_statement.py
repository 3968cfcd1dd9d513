"""What the conformance statement says of de-identification (PS3.15 E.1.3, PS3.2 N.8.4.4) and of
digital signatures (PS3.15 C)."""

from __future__ import annotations

from pathlib import Path

from tests.cli_of import gantry


def test_the_statement_has_every_option_of_every_way(tmp_path: Path) -> None:
    configuration = tmp_path / "gantry.toml"
    configuration.write_text(
        '[[peer]]\nname = "TRIAL"\naddresses = ["192.0.2.1:104"]\n'
        '[[deidentify]]\nname = "trial"\nsecret = { file = "/etc/gantry/key" }\n'
        'options = ["retain-uids", "clean-graphics"]\n'
        '[[route]]\nname = "out"\ndeliver = ["TRIAL"]\ndeidentify = "trial"\n'
    )
    text = gantry("conformance", "gateway", "--config", configuration).check().output
    assert "| retain-uids | Y |" in text
    assert "| clean-graphics | Y |" in text
    assert "| clean-pixel-data | N |" in text
    assert "route out" in text
    assert "Table E.1-1 (621 rows)" in text
    assert "GEMS_PARM_01" in text
    assert "1 to 3652 days" in text


def test_a_statement_without_a_way_claims_nothing() -> None:
    assert "confidentiality" not in gantry("conformance", "gateway").check().output


def test_the_statement_says_what_is_signed_and_what_becomes_of_signatures(tmp_path: Path) -> None:
    configuration = tmp_path / "gantry.toml"
    configuration.write_text(
        '[signatures]\nsigning_key = "/k"\nsigning_certificate = "/c"\nmac = "SHA512"\n'
        '[[capture]]\nname = "scope"\nsign = true\n'
        '[[entity]]\nname = "IN"\n[entity.storage]\nsignatures = "refuse"\n'
        '[[entity.service]]\nname = "storage"\n'
    )
    text = gantry("conformance", "gateway", "--config", configuration).check().output
    assert "| Creator RSA Digital Signature Profile | PS3.15 C.2 | what scope captures;" in text
    assert "captures: SHA512" in text
    assert "| IN | Signature Level 3; verified; refused with C005H where one is invalid;" in text
    assert "| C005H | a digital signature is not as we want it |" in text
    for name in ("RIPEMD160, MD5, SHA1, SHA256, SHA384, SHA512", "CMS_TSP", "SHA256, SHA384"):
        assert name in text
