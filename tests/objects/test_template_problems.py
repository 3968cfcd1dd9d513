"""Templates of devices: what `gantry config check` and `doctor` say of them."""

from __future__ import annotations

import pytest

from agent.objects.template_problems import template_problems

GOOD = {
    "manufacturer": "ACME",
    "software_versions": ["1", "2"],
    "station_name": "Käthe",
    "character_set": "ISO_IR 100",
    "modality": "US",
    "attributes": {"KVP": 70, "ProcedureCodeSequence": [{"CodeValue": "C"}]},
}
BAD = [
    ({"manufacterer": "ACME"}, "manufacterer"),
    ({"institution_name": "G" * 65}, "institution_name"),
    ({"modality": "ö"}, "modality"),
    ({"software_versions": ["1", "2" * 65]}, "software_versions"),
    ({"character_set": "latin"}, "character_set"),
    ({"attributes": 3}, "attributes"),
    ({"attributes": {"KVP": "much"}}, "attributes.KVP"),
    ({"attributes": {"Nothing": 1}}, "attributes.Nothing"),
    ({"attributes": {"ProcedureCodeSequence": 1}}, "attributes.ProcedureCodeSequence"),
    (
        {"attributes": {"ProcedureCodeSequence": [{"CodeValue": "C" * 17}]}},
        "attributes.ProcedureCodeSequence.CodeValue",
    ),
]


def test_a_sound_template_has_no_problems():
    assert list(template_problems(GOOD)) == []


@pytest.mark.parametrize(("template", "key"), BAD)
def test_each_fault_is_told_by_its_key(template, key):
    assert [found for found, _ in template_problems({**GOOD, **template})] == [key]
