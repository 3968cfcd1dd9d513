"""What the conformance statement says of objects of no patient, repositories and inventories."""

from __future__ import annotations

import pytest

from agent.archive.object_models import OBJECT_MODEL_NAMES
from tests.cli_of import gantry

SERVICES = ("non-patient-query", "repository-query", "inventory-creation")


@pytest.fixture(scope="module")
def statement(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("statement") / "gantry.toml"
    services = "".join(
        f'[[entity.service]]\nname = "{each}"\nroles = ["scp"]\n' for each in SERVICES
    )
    file.write_text(f'profile = "gateway"\n[[entity]]\nname = "GANTRY"\n{services}')
    return gantry("conformance", "gateway", "--config", file).check().output


def test_each_model_is_stated_with_its_keys(statement: str) -> None:
    for model in OBJECT_MODEL_NAMES.values():
        assert f"#### {model.name}\n" in statement
        assert f"| {model.find} |" in statement
    assert "Ranges of InstanceCreationDate and InstanceCreationTime are one range." in statement
    assert "ApprovalSubjectSequence (ReferencedSOPClassUID, ReferencedSOPInstanceUID)" in statement


def test_c_6_4_6_2_repository_query_is_stated(statement: str) -> None:
    assert "### Repository Query as SCP (PS3.4 C.6.4.6.2)" in statement
    for said in ("A Record Key is valid", "Maximum Number of Records", "File Access"):
        assert said in statement


def test_kk_2_4_2_inventory_creation_is_stated(statement: str) -> None:
    for said in (
        "Requested Status Interval",
        "Extended Matching Mechanisms",
        "Keys that are not matched",
        "PAUSED",
        "FAILURE",
        "Split",
    ):
        assert f"| {said} |" in statement
