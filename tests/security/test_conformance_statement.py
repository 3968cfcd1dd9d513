"""What the conformance statement says of de-identification (PS3.15 E.1.3, PS3.2 N.8.4.4)."""

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
