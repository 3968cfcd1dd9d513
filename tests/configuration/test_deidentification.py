"""`[[deidentify]]`: what is taken, and what is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.configuration.load import load
from agent.configuration.problems import ConfigurationErrors
from agent.vocabulary import vocabulary

RULE = """
[[deidentify]]
name = "trial"
secret = { file = "/etc/gantry/key" }
"""
PEER = '[[peer]]\nname = "PACS"\naddresses = ["192.0.2.1:104"]\n'


def _loaded(folder: Path, text: str):  # type: ignore[no-untyped-def]
    file = folder / "gantry.toml"
    file.write_text(text)
    return load(None, [file], (), vocabulary())


def _refused(folder: Path, text: str) -> str:
    with pytest.raises(ConfigurationErrors) as caught:
        _loaded(folder, text)
    return str(caught.value)


def test_a_rule_is_found_by_its_name(tmp_path: Path) -> None:
    text = RULE + (
        'options = ["retain-uids", "clean-pixel-data"]\n'
        'set = [{ attribute = "PatientName", value = "Trial^One" }]\n'
        'mask = [{ modality = "US", columns = 640, rectangles = [[0, 0, 640, 48]] }]\n'
    )
    rule = _loaded(tmp_path, text).deidentification("trial")
    assert rule.options == ("retain-uids", "clean-pixel-data")
    assert [(each.attribute, each.value) for each in rule.values] == [(0x00100010, "Trial^One")]
    assert [tuple(each) for each in rule.masks[0].rectangles] == [(0, 0, 640, 48)]
    assert (rule.masks[0].hides, rule.recognise) == ("writing", True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[deidentify]]\nname = "trial"\n', "secret"),
        (RULE.replace('{ file = "/etc/gantry/key" }', '"4711"'), "say where it lies"),
        (RULE + 'options = ["retain-everything"]\n', "clean-pixel-data"),
        (RULE + 'options = ["retain-full-dates", "retain-modified-dates"]\n', "PS3.15 E.3.6"),
        (RULE + "mask = [{ rectangles = [[0, 0, 0, 1]] }]\n", "width and height"),
        (RULE + "mask = [{ rectangles = [[0, 0, 1]] }]\n", "four whole numbers"),
        (RULE + 'set = [{ attribute = "PatientNam", value = "X" }]\n', "PatientName"),
        (RULE + 'encrypt_for = ["trial.pem"]\n', "an absolute path"),
        (PEER + '[[route]]\nname = "r"\ndeliver = ["PACS"]\ndeidentify = "trial"\n', "'trial'"),
        (
            RULE + PEER + '[peer.commitment]\neach = "study"\n'
            '[[route]]\nname = "r"\ndeliver = ["PACS"]\ndeidentify = "trial"\n',
            "cannot commit",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_named(tmp_path: Path, text: str, said: str) -> None:
    assert said in _refused(tmp_path, text)
