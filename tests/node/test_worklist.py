"""The worklist over the wire, both roles: DCMTK, Orthanc and pynetdicom on the other side."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import ModalityWorklistInformationFind

from agent.archive.worklist_store import add_entry
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import encode_attributes
from agent.dataset.file_meta import encode_file_meta
from agent.dataset.transfer_syntaxes import TRANSFER_SYNTAXES
from tests.cli_of import gantry
from tests.node.running import NodeProcess
from tests.peers.dcmtk import DcmtkWorklistScp, findscu

EXPLICIT = "1.2.840.10008.1.2.1"


def today() -> str:
    """Asked anew for each entry: a run of all tests may go on past midnight."""
    return time.strftime("%Y%m%d")


def entry(number: int, **more: Any) -> Attributes:
    step = {
        "Modality": "US",
        "ScheduledStationAETitle": "US1",
        "ScheduledProcedureStepStartDate": today(),
        "ScheduledProcedureStepStartTime": f"{8 + number:02}0000",
        "ScheduledProcedureStepDescription": "Abdomen",
        "ScheduledProtocolCodeSequence": [
            {
                "CodeValue": "ABD",
                "CodingSchemeDesignator": "99TEST",
                "CodeMeaning": "Abdomen, whole",
            }
        ],
        "ScheduledProcedureStepID": f"SPS{number}",
    }
    step.update({key: more.pop(key) for key in list(more) if key in step})
    return Attributes.of(
        {
            "SpecificCharacterSet": "ISO_IR 100",
            "AccessionNumber": f"A{number}",
            "PatientName": f"Müller^Jörg{number}",
            "PatientID": f"P{number}",
            "PatientBirthDate": "19700101",
            "PatientSex": "M",
            "StudyInstanceUID": f"1.2.826.0.1.3680043.9.6.{number}",
            "RequestedProcedureID": f"RP{number}",
            "RequestedProcedureDescription": "Ultrasound",
            "ScheduledProcedureStepSequence": [step],
            **more,
        }
    )


def wl_file(path: Path, attributes: Attributes) -> None:
    """As a RIS writes it for wlmscpfs."""
    meta = encode_file_meta(
        sop_class_uid="1.2.276.0.7230010.3.1.0.1",
        sop_instance_uid="1.2.826.0.1.3680043.9.5.1",
        transfer_syntax_uid=EXPLICIT,
        implementation_class_uid="1.2.3",
        implementation_version_name="TEST",
    )
    path.write_bytes(meta + encode_attributes(attributes, TRANSFER_SYNTAXES[EXPLICIT]))


SERVES = '[[entity.service]]\nname = "worklist"\nroles = ["scp"]\n'


@pytest.fixture
def ris(tmp_path: Path) -> Any:
    """A node of ours that answers worklist queries from two entries in JSON and one in DICOM."""
    node = NodeProcess(tmp_path / "ris", SERVES)
    folder = tmp_path / "ris" / "state" / "worklist"
    add_entry(str(folder), entry(1))
    add_entry(str(folder), entry(2, Modality="CT", ScheduledStationAETitle="CT1"))
    (folder / "GANTRY").mkdir()
    wl_file(folder / "GANTRY" / "three.wl", entry(3))
    (folder / "OTHER").mkdir()
    wl_file(folder / "OTHER" / "four.wl", entry(4))
    (folder / "broken.wl").write_bytes(b"no DICOM at all")
    with node:
        yield node


def ask_pynetdicom(port: int, identifier: Dataset) -> list[Dataset]:
    application = AE(ae_title="US1")
    application.add_requested_context(ModalityWorklistInformationFind)
    association = application.associate("127.0.0.1", port, ae_title="GANTRY")
    assert association.is_established
    found = []
    for status, match in association.send_c_find(identifier, ModalityWorklistInformationFind):
        if status.Status in (0xFF00, 0xFF01):
            found.append(match)
        else:
            assert status.Status == 0
    association.release()
    return found


def query(**step: str) -> Dataset:
    identifier = Dataset()
    identifier.PatientName = ""
    identifier.PatientID = ""
    item = Dataset()
    for keyword in ("Modality", "ScheduledProcedureStepID", "ScheduledStationAETitle"):
        setattr(item, keyword, step.pop(keyword, ""))
    for keyword, value in step.items():
        setattr(item, keyword, value)
    identifier.ScheduledProcedureStepSequence = [item]
    return identifier


def test_a_modality_of_others_finds_the_entries_of_the_called_title(ris: NodeProcess) -> None:
    found = ask_pynetdicom(ris.port, query())
    assert sorted(str(each.PatientID) for each in found) == ["P1", "P2", "P3"]
    for each in found:
        each.decode()
        assert str(each.PatientName).startswith("Müller^Jörg")
    (only,) = ask_pynetdicom(ris.port, query(Modality="CT"))
    assert only.ScheduledProcedureStepSequence[0].ScheduledProcedureStepID == "SPS2"
    assert "worklist entry passed over" in ris.log
    # Its name might be a patient's: `find FOLDER -inum N` has it.
    broken = ris.folder / "state" / "worklist" / "broken.wl"
    assert f"(inode {broken.stat().st_ino})" in ris.log


def test_findscu_gets_the_entries(ris: NodeProcess) -> None:
    done = findscu(
        ris.port,
        "PatientName=M*",
        "AccessionNumber",
        "ScheduledProcedureStepSequence[0].Modality=US",
        options=("-W",),
        called="GANTRY",
    )
    done.check()
    assert done.output.count("Pending") == 2, done.output
    assert "A1" in done.output
    assert "A3" in done.output


@pytest.mark.parametrize(("offered", "answered"), [(b"\1\1\1", 3), (b"\1\1\0\1", 4), (None, 0)])
def test_ps34_090_extended_negotiation_is_answered_in_the_length_that_was_offered(
    ris: NodeProcess, offered: bytes | None, answered: int
) -> None:
    from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

    application = AE(ae_title="US1")
    application.add_requested_context(ModalityWorklistInformationFind)
    items = []
    if offered is not None:
        item = SOPClassExtendedNegotiation()
        item.sop_class_uid = ModalityWorklistInformationFind
        item.service_class_application_information = offered
        items.append(item)
    association = application.associate("127.0.0.1", ris.port, ae_title="GANTRY", ext_neg=items)
    assert association.is_established
    said = association.acceptor.sop_class_extended.get(ModalityWorklistInformationFind, b"")
    association.release()
    assert len(said) == answered
    assert said[:2] == b"\1\1"[:answered]


def test_our_command_asks_wlmscpfs_and_shows_each_value(tmp_path: Path, start_peer: Any) -> None:
    peer = DcmtkWorklistScp(tmp_path / "wl", ae_title="RIS")
    wl_file(peer.entries / "one.wl", entry(1))
    wl_file(peer.entries / "two.wl", entry(2, Modality="CT"))
    scp = start_peer(peer)
    address = f"127.0.0.1:{scp.port}"
    done = gantry("worklist", address, "Modality=US", "--called", "RIS")
    assert done.returncode == 0, done.output
    assert "Müller^Jörg1" in done.output
    assert "P2" not in done.output
    whole = json.loads(gantry("worklist", address, "--called", "RIS", "--json").output)
    assert sorted(each["00100020"]["Value"][0] for each in whole) == ["P1", "P2"]
    step = whole[0]["00400100"]["Value"][0]
    assert step["00400008"]["Value"][0]["00080104"]["Value"] == ["Abdomen, whole"]
    full = gantry("worklist", address, "PatientID=P1", "--called", "RIS", "--full")
    assert "ScheduledProcedureStepDescription = Abdomen" in full.output


def test_our_command_asks_a_node_of_ours_fuzzily_and_stops_where_told(ris: NodeProcess) -> None:
    address = f"127.0.0.1:{ris.port}"
    fuzzy = gantry("worklist", address, "PatientName=mueler", "--fuzzy", "--called", "GANTRY")
    assert fuzzy.output.count("Müller") == 3, fuzzy.output
    plain = gantry("worklist", address, "PatientName=mueler", "--called", "GANTRY")
    assert "Müller" not in plain.output
    cut = gantry("worklist", address, "--most", "1", "--called", "GANTRY")
    assert cut.returncode == 0, cut.output
    assert cut.output.count("Müller") == 1


def test_ps34_083_a_wild_card_is_not_sent_where_a_single_value_is_asked(ris: NodeProcess) -> None:
    done = gantry("worklist", f"127.0.0.1:{ris.port}", "PatientID=P*", "--called", "GANTRY")
    assert done.returncode == 2
    assert "single value only" in done.output


def test_the_worklist_is_kept_while_the_ris_is_away_and_its_age_is_told(
    tmp_path: Path, ris: NodeProcess
) -> None:
    more = (
        f'[worklist]\npeer = "RIS"\nstation = "US1"\nevery = "5 s"\n'
        f'[[peer]]\nname = "RIS"\ntitle = "GANTRY"\naddresses = ["127.0.0.1:{ris.port}"]\n'
        'services = ["worklist"]\n'
    )
    box = NodeProcess(tmp_path / "box", more)
    box.configuration.write_text(
        box.configuration.read_text().replace("[[entity]]", more + "[[entity]]", 1)[: -len(more)]
    )
    with box:
        end = time.monotonic() + 20
        while not box.ask("worklist")["entries"]:
            assert time.monotonic() < end, box.log
            time.sleep(0.1)
        heard = box.ask("worklist")
        assert len(heard["entries"]) == 2
        ris.kill()
        box.kill()
        box.start()
        end = time.monotonic() + 20
        while not (kept := box.ask("worklist"))["entries"] or not kept["reason"]:
            assert time.monotonic() < end, box.log
            time.sleep(0.1)
        assert kept["entries"] == heard["entries"]
        assert kept["age"] > 0
        shown = gantry("worklist", "--control", box.control)
        assert shown.returncode == 0, shown.output
        assert "2 entries of RIS" in shown.output
        assert "the last try failed" in shown.output


def test_an_entry_is_added_by_a_command_and_refused_where_it_lacks_something(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "entries"
    words = [
        "PatientName=Doe^Jane",
        "PatientID=P9",
        "StudyInstanceUID=1.2.3",
        "RequestedProcedureID=R",
        "ScheduledStationAETitle=US1",
        f"ScheduledProcedureStepStartDate={today()}",
        "ScheduledProcedureStepStartTime=0800",
        "Modality=US",
        "ScheduledProcedureStepID=S",
    ]
    done = gantry("worklist", "--add", folder, *words)
    assert done.returncode == 0, done.output
    (written,) = folder.glob("*.json")
    assert json.loads(written.read_text())["00100020"]["Value"] == ["P9"]
    short = gantry("worklist", "--add", folder, *words[1:])
    assert short.returncode != 0
    assert "PatientName" in short.output
