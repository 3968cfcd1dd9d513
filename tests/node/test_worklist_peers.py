"""Worklists compared attribute by attribute: DCMTK, Orthanc and pynetdicom, in both roles."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pynetdicom import AE, build_context
from pynetdicom.sop_class import ModalityWorklistInformationFind

from agent.archive.worklist_store import add_entry
from agent.dataset.attributes import Attributes
from agent.dataset.json_model import from_json, to_json
from agent.services.modality_worklist import RETURN_KEYS, STEP, worklist_identifier
from tests.cli_of import gantry
from tests.node.running import NodeProcess, free_port
from tests.node.test_steps import until
from tests.node.test_worklist import SERVES, ask_pynetdicom, entry, query, today, wl_file
from tests.peers.dcmtk import DcmtkWorklistScp
from tests.peers.orthanc import Orthanc, worklist_plugin

VALUES: dict[str, Any] = {
    "AS": "034Y",
    "CS": "SOME",
    "DS": "70.5",
    "TM": "0930",
    "US": 4,
}
"""A value for each VR that is no text and no date; texts are made of their own tag."""

UNKNOWN_TO_DCMTK = frozenset(
    (
        "Occupation",
        "PatientAge",
        "PatientBirthName",
        "PatientInstitutionResidence",
        "ReasonForRequestedProcedureCodeSequence",
        "RequestedContrastAgent",
        "StudyComments",
    )
)
"""What wlmscpfs does not return, although it is asked for and in its file."""


def value_of(keyword: str) -> Any:
    vr, tag = dictionary_VR(keyword), tag_for_keyword(keyword)
    texts = {"PN": f"Müller^{tag:08X}", "UI": f"1.2.826.0.1.3680043.9.6.{tag}"}
    if vr == "DA":
        return today()
    return VALUES.get(vr, texts.get(vr, f"é{tag:08X}"))


def full_entry() -> Attributes:
    """An entry that has a value for each attribute that we ask to be returned."""
    entry: dict[str, Any] = {"SpecificCharacterSet": "ISO_IR 100"}
    for sequence, keywords in RETURN_KEYS.items():
        item = {each: value_of(each) for each in keywords if not each.endswith("Sequence")}
        if sequence:
            entry[sequence] = [item]
        else:
            entry |= item
    code = {each: value_of(each) for each in RETURN_KEYS["RequestedProcedureCodeSequence"]}
    entry[STEP][0] |= {
        "Modality": "US",
        "ScheduledStationAETitle": "US1",
        "ScheduledProtocolCodeSequence": [code],
    }
    return Attributes.of(entry)


def differences(expected: Attributes, found: Attributes) -> list[str]:
    """The keywords, with the sequence before them, whose values are not the same."""
    told = from_json(to_json(found))
    named: list[str] = []
    for sequence, keywords in RETURN_KEYS.items():
        one = expected.item_of(sequence) if sequence else expected
        other = told.item_of(sequence) if sequence else told
        for keyword in keywords:
            mine, theirs = one.get(keyword), other.get(keyword)
            if mine is None or theirs is None or mine.values != theirs.values:
                named.append(f"{sequence}.{keyword}".strip("."))
    return named


def dcmtk(folder: Path, start_peer: Any) -> tuple[int, Path]:
    peer = start_peer(DcmtkWorklistScp(folder / "wl", ae_title="RIS"))
    return peer.port, peer.entries


def orthanc(folder: Path, start_peer: Any) -> tuple[int, Path]:
    entries = folder / "worklists"
    entries.mkdir(parents=True)
    peer = start_peer(
        Orthanc(
            folder / "orthanc",
            ae_title="RIS",
            # It answers C-FIND to those only whom it knows.
            modalities={"GANTRY": ("127.0.0.1", free_port())},
            settings={"Worklists": {"Enable": True, "Database": str(entries)}},
            plugins=[worklist_plugin()],
        )
    )
    return peer.port, entries


Provider = Callable[[Path, Any], tuple[int, Path]]


@pytest.mark.parametrize(
    ("provider", "unknown"), [(dcmtk, UNKNOWN_TO_DCMTK), (orthanc, frozenset())]
)
def test_cd_26_our_command_shows_each_attribute_as_the_ris_has_it(
    tmp_path: Path, start_peer: Any, provider: Provider, unknown: frozenset[str]
) -> None:
    port, entries = provider(tmp_path, start_peer)
    wl_file(entries / "one.wl", full_entry())
    done = gantry("worklist", f"127.0.0.1:{port}", "--called", "RIS", "--json")
    (found,) = json.loads(done.check().output)
    named = differences(full_entry(), from_json(found))
    assert {each.partition(".")[0] for each in named} == unknown


MATCHES = {
    ("Modality=US", "ScheduledProcedureStepStartDate={today}"): 1,
    ("ScheduledProcedureStepStartDate=20200101-20201231",): 0,
    ("ScheduledStationAETitle=US1", "PatientName=M*"): 1,
}


@pytest.mark.parametrize("provider", [dcmtk, orthanc])
def test_cd_26_a_ris_of_others_matches_the_keys_that_our_command_sends(
    tmp_path: Path, start_peer: Any, provider: Provider
) -> None:
    port, entries = provider(tmp_path, start_peer)
    wl_file(entries / "one.wl", full_entry())
    for keys, expected in MATCHES.items():
        words = [key.format(today=today()) for key in keys]
        done = gantry("worklist", f"127.0.0.1:{port}", *words, "--called", "RIS", "--json").check()
        assert len(json.loads(done.output)) == expected, keys


@pytest.mark.parametrize(
    ("provider", "unknown"), [(dcmtk, UNKNOWN_TO_DCMTK), (orthanc, frozenset())]
)
def test_cd_26_the_node_keeps_each_attribute_of_its_worklist(
    tmp_path: Path, start_peer: Any, provider: Provider, unknown: frozenset[str]
) -> None:
    port, entries = provider(tmp_path, start_peer)
    wl_file(entries / "one.wl", full_entry())
    node = NodeProcess(
        tmp_path / "box",
        f'[[peer]]\nname = "RIS"\naddresses = ["127.0.0.1:{port}"]\nservices = ["worklist"]\n',
    )
    text = node.configuration.read_text()
    asks = '[worklist]\npeer = "RIS"\nstation = "US1"\nevery = "5 s"\n'
    node.configuration.write_text(text.replace("[[entity]]", f"{asks}[[entity]]", 1))
    with node:
        until(lambda: node.ask("worklist")["entries"], lambda: node.log)
        (found,) = node.ask("worklist")["entries"]
    named = differences(full_entry(), from_json(found))
    assert {each.partition(".")[0] for each in named} == unknown


@pytest.fixture
def ris(tmp_path: Path) -> Any:
    """A node of ours that answers worklist queries from one entry that has everything."""
    node = NodeProcess(tmp_path / "ris", SERVES)
    add_entry(str(tmp_path / "ris" / "state" / "worklist"), full_entry())
    with node:
        yield node


def test_cd_26_pynetdicom_gets_each_attribute_from_us(ris: NodeProcess) -> None:
    asked = Dataset.from_json(json.dumps(to_json(worklist_identifier({}))))
    (found,) = ask_pynetdicom(ris.port, asked)
    found.decode()
    assert differences(full_entry(), from_json(found.to_json_dict())) == []


def test_cd_26_a_broad_query_and_one_by_patient_are_answered_on_either_of_two_contexts(
    ris: NodeProcess,
) -> None:
    add_entry(str(ris.folder / "state" / "worklist"), entry(2))
    application = AE(ae_title="US1")
    twice = [build_context(ModalityWorklistInformationFind) for _ in range(2)]
    association = application.associate("127.0.0.1", ris.port, contexts=twice, ae_title="GANTRY")
    assert association.is_established
    assert len(association.accepted_contexts) == 2
    broad, one = query(Modality="US"), query()
    one.PatientID = "P2"
    for asked, expected in ((broad, 2), (one, 1)):
        answers = list(association.send_c_find(asked, ModalityWorklistInformationFind))
        assert [status.Status for status, _ in answers] == [0xFF00] * expected + [0]
    association.release()


def test_cd_26_orthanc_gets_each_attribute_from_us(
    tmp_path: Path, ris: NodeProcess, start_peer: Any
) -> None:
    asker = start_peer(
        Orthanc(tmp_path / "orthanc", modalities={"GANTRY": ("127.0.0.1", ris.port)})
    )
    # Orthanc has names of its own for some attributes, so it is asked by tag.
    asked = _by_tag(worklist_identifier({}))
    (found,) = asker.rest(
        "/modalities/GANTRY/find-worklist", method="POST", body={"Query": asked, "Short": True}
    )
    assert found == _by_tag(full_entry(), str)


def _by_tag(attributes: Attributes, text: Callable[[Any], str] = lambda _: "") -> dict[str, Any]:
    """As Orthanc writes data sets in JSON when it is to be short."""
    made: dict[str, Any] = {}
    for tag in attributes:
        vr, values = attributes[tag]
        name = f"{tag >> 16:04x},{tag & 0xFFFF:04x}"
        if vr == "SQ":
            made[name] = [_by_tag(each, text) for each in attributes.items_of(tag)]
        else:
            made[name] = text(values[0]) if values else ""
    return made
